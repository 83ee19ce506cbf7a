/* replace.h: other processes take the places of workers, all at once or one.
 *
 *           begin            all are ready              the old ones are gone
 *   IDLE ─────────► STARTING ─────────────► DRAINING ─────────────────────────► IDLE
 *                       │ one fails              ▲
 *                       └────────────────────────┘ (the new ones go instead)
 *
 * In STARTING the new processes stand by: no client sees the new code before all of it runs.
 * A replacement of all that is asked for meanwhile follows; one of a single worker is not begun.
 *
 * Threads: the loop's.
 */
#pragma once

#include "supervisor/pool.h"
#include "supervisor/process.h"

typedef enum clr_replace_state {
    CLR_REPLACE_IDLE,
    CLR_REPLACE_STARTING,
    CLR_REPLACE_DRAINING,
} clr_replace_state_t;

/* Part of a pool. */
typedef struct clr_replace {
    clr_replace_state_t state;
    bool all;             /* else one worker */
    bool failed;          /* the new ones are those that leave */
    const char *why;      /* it is done */
    const char *then_why; /* all are to be replaced afterwards; NULL: no */
    uint64_t since_ms;
    clr_timer_t deadline; /* of STARTING */
} clr_replace_t;

void clr_replace_init(clr_pool_t *pool);

/* Replaces that one. False if it cannot be now. `why` is static. */
CLR_NODISCARD bool clr_replace_one(clr_pool_t *pool, size_t index, const char *why);

/* The pool has become able to replace workers: begins what was asked for before. */
void clr_replace_on_started(clr_pool_t *pool);

/* The process that shall take over at the place is ready, says why it cannot be, is gone. */
void clr_replace_on_ready(clr_pool_t *pool);
void clr_replace_on_failed(clr_pool_t *pool, clr_process_t *p, clr_str_t text);
void clr_replace_on_gone(clr_pool_t *pool, size_t index);

/* The pool stops: everybody goes, and nothing follows. */
void clr_replace_stop(clr_pool_t *pool, uint64_t grace_ms);
void clr_replace_kill(clr_pool_t *pool);
