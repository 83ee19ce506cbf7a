/* wheel.h: a hierarchical timer wheel with intrusive entries, 1 ms resolution. Starting, moving and
 * stopping a timer are a few pointer stores, whatever their number.
 *
 * Threads:  one at a time.
 * Lifetime: an entry must be stopped before its memory goes away. A callback may start, stop or
 * free any timer, its own included.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

typedef struct clr_timer {
    clr_list_t node_;
    uint64_t deadline; /* ms, in the wheel's time; meaningful while active */
    void (*cb)(struct clr_timer *self);
} clr_timer_t;

#define CLR_WHEEL_BITS   6
#define CLR_WHEEL_SIZE   (1u << CLR_WHEEL_BITS)
#define CLR_WHEEL_LEVELS 6

typedef struct clr_wheel {
    uint64_t now_;
    uint64_t occupied_[CLR_WHEEL_LEVELS]; /* a bit per non-empty slot */
    clr_list_t slots_[CLR_WHEEL_LEVELS][CLR_WHEEL_SIZE];
} clr_wheel_t;

void clr_wheel_init(clr_wheel_t *w, uint64_t now);

static inline void clr_timer_init(clr_timer_t *t, void (*cb)(clr_timer_t *self))
{
    clr_list_init(&t->node_);
    t->cb = cb;
}

static inline bool clr_timer_is_active(const clr_timer_t *t)
{
    return clr_list_is_linked(&t->node_);
}

/* A deadline in the past fires at the next clr_wheel_advance(). */
void clr_wheel_start(clr_wheel_t *w, clr_timer_t *t, uint64_t deadline);

/* Harmless when not active. */
void clr_timer_stop(clr_timer_t *t);

/* Runs everything due up to and including `now`. */
void clr_wheel_advance(clr_wheel_t *w, uint64_t now);

/* ms until something may be due (a lower bound, 0 if overdue), or -1 when no timer is active. */
int64_t clr_wheel_next(const clr_wheel_t *w, uint64_t now);
