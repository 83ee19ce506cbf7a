/* pool.h: the worker processes: starts them, starts dead ones again, stops them.
 *
 * A worker (process.h) that dies is started again after a pause, which doubles from 100 ms to 5 s
 * and is forgotten after a healthy minute. The death of a worker that has never been ready is
 * final: the app cannot be loaded.
 *
 * Workers are replaced (replace.h) to run new code, or when they have grown old: others start
 * beside them, take over when all of them are ready, and only then do the old ones go, each when
 * its clients have moved. If one of the others does not start, the old ones stay.
 *
 * Threads:  the loop's.
 * Lifetime: clr_pool_new() … clr_pool_start() … clr_pool_stop() or clr_pool_kill() … on_stopped …
 * clr_pool_free(). Callbacks come from the loop, never from inside a call.
 */
#pragma once

#include "gateway/dispatch.h"
#include "supervisor/app.h"
#include "supervisor/path.h"
#include "supervisor/python.h"

typedef struct clr_pool clr_pool_t;

/* All borrowed until clr_pool_free(). */
typedef struct clr_pool_options {
    unsigned workers;
    const clr_app_t *app;
    const clr_python_t *python;
    const clr_home_t *home;
    const char *loop;      /* "asyncio" or "uvloop" */
    const char *log_level; /* as on the command line */
    const char *root_path; /* "" or "/prefix" */
    const char *lifespan;  /* "auto", "on" or "off" */
    bool factory;          /* the app's object is a function that makes the app */
    const char *ui;        /* the folder of a chat's page; NULL: ours */
    uint64_t graceful_timeout_ms;
    uint64_t drain_timeout_ms; /* how long a worker that is replaced may wait for its clients */
    /* What a worker may reach before it is replaced (recycle.h); 0: anything. */
    uint64_t max_sessions_per_worker;
    uint64_t worker_max_rss;
    uint64_t worker_max_age_ms;
    unsigned spin_us;       /* how long a worker may poll before it sleeps */
    bool preload;           /* load the app once, and fork the workers (zygote.h) */
    bool watch;             /* the app is loaded anew while workers go on */
    uint64_t block_warn_ms; /* a loop that stood still for so long is reported; 0: never */
} clr_pool_options_t;

typedef struct clr_pool_ops {
    /* Every worker has been ready: clients are spread over all of them from the first one on.
     * Once; nobody waits for the replacement of a worker that died. */
    void (*on_ready)(clr_pool_t *pool, void *ctx);
    /* The app could not be loaded, or no process started: text (borrowed, maybe many lines) says
     * why, status is the program's (clrun/exit.h). Once; the pool is stopping, and on_stopped
     * follows. */
    void (*on_failed)(clr_pool_t *pool, int status, clr_str_t text, void *ctx);
    /* After clr_pool_stop(), clr_pool_kill() or on_failed: no process is left. */
    void (*on_stopped)(clr_pool_t *pool, void *ctx);
    /* All workers are being replaced, or that is over, one way or the other. May be NULL. */
    void (*on_replacing)(clr_pool_t *pool, bool begins, void *ctx);
    /* New workers have taken over from all; or they do not start, and text (borrowed) says why. May
     * be NULL. */
    void (*on_replaced)(clr_pool_t *pool, bool ok, clr_str_t text, void *ctx);
} clr_pool_ops_t;

/* Returns owned. Borrows gw, options, ops and ctx until clr_pool_free(). */
clr_pool_t *clr_pool_new(clr_gateway_t *gw, const clr_pool_options_t *options,
                         const clr_pool_ops_t *ops, void *ctx);

/* After on_stopped, or if the pool was never started. */
void clr_pool_free(clr_pool_t *pool);

/* Starts all workers. */
void clr_pool_start(clr_pool_t *pool);

/* Replaces all workers; once more afterwards if they are being replaced already. `why` (static) is
 * for the log. */
void clr_pool_replace_all(clr_pool_t *pool, const char *why);

/* Asks all to finish. Who is not done is terminated so that all are gone after grace_ms. */
void clr_pool_stop(clr_pool_t *pool, uint64_t grace_ms);

/* Ends all now, and what they started. Also while stopping. */
void clr_pool_kill(clr_pool_t *pool);

/* What there is to say of the worker of that index, from 0 on; false if there is none. Those that
 * take over and those that leave follow those that serve. */
bool clr_pool_worker_status(const clr_pool_t *pool, size_t index, clr_worker_status_t *out);

unsigned clr_pool_ready_count(const clr_pool_t *pool);
