/* trim.h: gives memory that is no longer used back to the system.
 *
 * An allocator keeps what is freed for later, and glibc's returns only what lies at the heap's end:
 * after 5,000 clients have left, a heap of 7 MiB has 0.4 in use. So the free pages in between are
 * returned a while after half of the clients have gone, or what had to wait for a worker. Not at
 * once, since clients come back.
 *
 * Threads:  the loop's.
 * Lifetime: clr_trim_init() … clr_trim_deinit().
 */
#pragma once

#include "gateway/capacity.h"
#include "net/loop.h"

/* Fewer clients are not worth it. */
#define CLR_TRIM_CLIENTS 256

/* From what makes a return worth while to the return. */
#define CLR_TRIM_DELAY_MS 5000

typedef struct clr_trim {
    clr_loop_t *loop;
    const clr_capacity_t *clients;
    uint32_t most_;   /* clients at once since the last return */
    uint64_t due_ms_; /* when what waited for a worker is to be returned; 0: nothing did */
    uint64_t at_ms_;  /* when the timer fires, or has */
    clr_timer_t timer_;
    uint64_t count; /* of returns so far */
} clr_trim_t;

/* Borrows both. */
void clr_trim_init(clr_trim_t *trim, clr_loop_t *loop, const clr_capacity_t *clients);
void clr_trim_deinit(clr_trim_t *trim);

/* After clr_capacity_give(). */
void clr_trim_client_left(clr_trim_t *trim);

/* A worker is gone, or goes on after it was blocked: what waited for it has gone, too. */
void clr_trim_backlog_left(clr_trim_t *trim);
