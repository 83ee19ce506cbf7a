/* load_stats.h: time, a histogram of latencies, and medians.
 *
 * The histogram is log-linear: 128 steps in each power of two, so a percentile is right within one
 * per cent. It lives in the caller's struct and allocates nothing.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define LOAD_STEP_BITS 7
#define LOAD_BUCKETS   ((64 - LOAD_STEP_BITS) << LOAD_STEP_BITS)

typedef struct load_histogram {
    uint64_t total;
    uint32_t count[LOAD_BUCKETS];
} load_histogram_t;

/* Monotonic nanoseconds. */
uint64_t load_now(void);

/* Nanoseconds of processor time this process has used. */
uint64_t load_cpu(void);

void load_histogram_clear(load_histogram_t *h);
void load_histogram_add(load_histogram_t *h, uint64_t value);

/* The value below which this share (0..1) of the values lies; 0 when there is none. */
uint64_t load_histogram_percentile(const load_histogram_t *h, double share);

/* Sorts values in place. count must not be 0. */
double load_median(double *values, size_t count);
