/* load_stats.c: time, a histogram of latencies, and medians. */
#include "load_stats.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t read_clock(clockid_t clock)
{
    struct timespec ts;
    clock_gettime(clock, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t load_now(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t load_cpu(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

void load_histogram_clear(load_histogram_t *h)
{
    memset(h, 0, sizeof(*h));
}

/* Values below one power-of-two group have a bucket each; above, the top LOAD_STEP_BITS bits
 * after the leading one choose it. */
static size_t bucket_of(uint64_t value)
{
    if (value < (1u << LOAD_STEP_BITS)) {
        return (size_t)value;
    }
    unsigned shift = 63u - (unsigned)__builtin_clzll(value) - LOAD_STEP_BITS;
    size_t step = (size_t)(value >> shift) & ((1u << LOAD_STEP_BITS) - 1);
    size_t bucket = ((size_t)(shift + 1) << LOAD_STEP_BITS) + step;
    return bucket < LOAD_BUCKETS ? bucket : LOAD_BUCKETS - 1;
}

static uint64_t value_of(size_t bucket)
{
    size_t group = bucket >> LOAD_STEP_BITS;
    uint64_t step = bucket & ((1u << LOAD_STEP_BITS) - 1);
    if (group == 0) {
        return step;
    }
    return (step | (1u << LOAD_STEP_BITS)) << (group - 1);
}

void load_histogram_add(load_histogram_t *h, uint64_t value)
{
    h->count[bucket_of(value)]++;
    h->total++;
}

uint64_t load_histogram_percentile(const load_histogram_t *h, double share)
{
    uint64_t rank = (uint64_t)((double)h->total * share);
    uint64_t seen = 0;
    for (size_t i = 0; i < LOAD_BUCKETS; i++) {
        seen += h->count[i];
        if (seen > rank) {
            return value_of(i);
        }
    }
    return 0;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

double load_median(double *values, size_t count)
{
    qsort(values, count, sizeof(*values), compare);
    size_t middle = count / 2;
    return count % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}
