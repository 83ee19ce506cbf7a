/* recycle.h: workers that have served long enough are replaced, one at a time (replace.h): after so
 * many clients, at so much memory, at such an age.
 *
 * Threads: the loop's.
 */
#pragma once

#include "supervisor/pool.h"

/* Part of a pool. */
typedef struct clr_recycle {
    clr_timer_t timer;
} clr_recycle_t;

void clr_recycle_init(clr_pool_t *pool);

/* Every worker has been ready: begins to look, if there is anything to look at. */
void clr_recycle_start(clr_pool_t *pool);
void clr_recycle_stop(clr_pool_t *pool);
