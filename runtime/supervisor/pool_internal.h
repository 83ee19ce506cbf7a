/* pool_internal.h: what the files of the pool share.
 *
 * A place is one of --workers. It has the process that serves, while a replacement starts that one
 * too, and while neither runs the timer of the next start. Processes that were replaced are in
 * `leaving`: they belong to no place any more.
 */
#pragma once

#include "supervisor/pool.h"
#include "supervisor/process.h"
#include "supervisor/recycle.h"
#include "supervisor/replace.h"

typedef struct clr_place {
    clr_pool_t *pool;
    unsigned number;     /* 1, 2, … */
    clr_process_t *now;  /* NULL: waits for its next start, or is over */
    clr_process_t *next; /* shall take over */
    clr_timer_t restart;
    bool was_ready; /* ever: the app can be loaded here */
    uint64_t backoff_ms;
    uint64_t restarts;
    uint64_t recycle_after_ms; /* not before (recycle.h) */
    uint8_t age_jitter;
} clr_place_t;

/* A process that was replaced. */
typedef struct clr_leaving {
    clr_list_t node_;
    clr_pool_t *pool;
    clr_process_t *process;
} clr_leaving_t;

struct clr_pool {
    clr_gateway_t *gw;
    clr_pool_options_t options;
    const clr_pool_ops_t *ops;
    void *ctx;
    clr_timer_t stopped_timer; /* calls on_stopped from the loop */
    bool started;              /* every worker has been ready once */
    bool failed;
    bool stopping;
    bool stopped;
    unsigned generation;       /* of the workers that serve */
    unsigned generations;      /* that were begun: not all of them came to serve */
    uint64_t last_failure;     /* hash of the last traceback, so that a repeated one is one line */
    clr_zygote_t *zygote;      /* --preload: forks the workers that are there */
    clr_zygote_t *next_zygote; /* and those that shall take over */
    unsigned zygotes;          /* not closed yet */
    clr_replace_t replace;
    clr_recycle_t recycle;
    clr_list_t leaving; /* clr_leaving_t */
    clr_place_t places[];
};

/* For clr_process_start(), with the place as ctx. */
extern const clr_process_ops_t clr_pool_process_ops;

/* --preload: a new process that loads the app; NULL without, and if there cannot be one. */
clr_zygote_t *clr_pool_start_zygote(clr_pool_t *pool);

/* Sets a reference to NULL. */
void clr_pool_drop_zygote(clr_zygote_t **z);

/* The one that forks workers now, a new one if the former has died; or NULL. */
clr_zygote_t *clr_pool_zygote(clr_pool_t *pool);

/* Nothing is left that keeps on_stopped from being called. */
void clr_pool_check_stopped(clr_pool_t *pool);
