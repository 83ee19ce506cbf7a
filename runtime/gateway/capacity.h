/* capacity.h: how many client connections there may be at once.
 *
 * A connection beyond the limit is not taken: its listener stands still with it (net/listener.h),
 * and the kernel keeps those behind it waiting. The log says so once per burst; a burst is over
 * when half of the places are free.
 *
 * Threads:  the loop's.
 * Lifetime: nothing to undo after clr_capacity_init().
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef struct clr_capacity {
    uint32_t max; /* 0: no limit */
    uint32_t open;
    const char *limit; /* what the log calls it */
    bool waiting_;     /* one was turned away since there was room */
    bool told_;        /* the log knows of this burst */
    void (*on_room)(void *ctx);
    void *ctx;
} clr_capacity_t;

/* on_room is called from clr_capacity_give() after clr_capacity_take() said no, and may take. May
 * be NULL. Borrows ctx and limit. */
void clr_capacity_init(clr_capacity_t *c, uint32_t max, const char *limit,
                       void (*on_room)(void *ctx), void *ctx);

/* A place for one connection; false when all are taken. */
bool clr_capacity_take(clr_capacity_t *c);
void clr_capacity_give(clr_capacity_t *c);
