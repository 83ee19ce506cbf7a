/* process.h: one worker process and the link to it, from the start to the end.
 *
 *             hello           ready          drain            empty, or late
 *   STARTING ───────► LOADING ──────► READY ───────► DRAINING ───────────────► STOPPING ──► GONE
 *
 * Any state but the last goes to STOPPING when the worker is asked to stop, and to GONE when it
 * dies. Each state has a deadline: hello is due within seconds, an app that loads for long is
 * reported, clients that do not become idle are moved, and who does not stop is killed.
 *
 * Threads:  the loop's.
 * Lifetime: clr_process_start() … on_gone, in which, or after which, clr_process_free(). Callbacks
 *           come from the loop, never from inside a call.
 */
#pragma once

#include "gateway/dispatch.h"
#include "supervisor/pool.h"
#include "supervisor/zygote.h"

/* clr_process_state_name() has their names. */
typedef enum clr_process_state {
    CLR_PROCESS_GONE,
    CLR_PROCESS_STARTING,
    CLR_PROCESS_LOADING,
    CLR_PROCESS_READY,
    CLR_PROCESS_DRAINING, /* serves what it has until that is done or has moved */
    CLR_PROCESS_STOPPING,
} clr_process_state_t;

typedef struct clr_process clr_process_t;

typedef struct clr_process_ops {
    void (*on_ready)(clr_process_t *p, void *ctx);
    /* kind is an enum clr_failed, text (borrowed) the reason; it exits next. */
    void (*on_failed)(clr_process_t *p, uint8_t kind, clr_str_t text, void *ctx);
    /* Process and link are both gone. */
    void (*on_gone)(clr_process_t *p, void *ctx);
} clr_process_ops_t;

/* Which worker it is. */
typedef struct clr_process_role {
    unsigned number;      /* 1, 2, … */
    unsigned generation;  /* of the code: deploys count it up */
    clr_zygote_t *zygote; /* forks it, with options->preload, where NULL is a failure */
    bool standby;         /* when it is ready it gets no clients before clr_process_enlist() */
} clr_process_role_t;

/* Returns owned, also if no process can be started: on_gone says so then. Takes a reference to the
 * zygote. Borrows gw, options, ops and ctx until on_gone. */
clr_process_t *clr_process_start(clr_gateway_t *gw, const clr_pool_options_t *options,
                                 const clr_process_role_t *role, const clr_process_ops_t *ops,
                                 void *ctx);
void clr_process_free(clr_process_t *p);

/* It is somebody else's from now on. */
void clr_process_hand_over(clr_process_t *p, const clr_process_ops_t *ops, void *ctx);

/* Of one that was started for standby, and is ready: clients may come. */
void clr_process_enlist(clr_process_t *p);

/* It gets nothing new, its clients move to others when they are idle, all that are left after
 * drain_ms; then it is asked to finish within grace_ms. One that is not ready is stopped. */
void clr_process_drain(clr_process_t *p, uint64_t drain_ms, uint64_t grace_ms);

/* Asks it to finish; it is gone after grace_ms at the latest. */
void clr_process_stop(clr_process_t *p, uint64_t grace_ms);

/* Ends it now, and what it started. Also while it stops. */
void clr_process_kill(clr_process_t *p);

/* It has said that it cannot go on: waits for its exit, and kills it after that time. */
void clr_process_expect_exit(clr_process_t *p, uint64_t ms);

clr_process_state_t clr_process_state(const clr_process_t *p);
const char *clr_process_state_name(clr_process_state_t state);

/* The id of the process while it runs, else 0. */
int clr_process_pid(const clr_process_t *p);

/* Also when it is gone: the id that it had. */
int clr_process_last_pid(const clr_process_t *p);

/* The link, or NULL. */
clr_worker_t *clr_process_worker(const clr_process_t *p);

/* Since when it is ready, by the loop's clock; 0: it never was. */
uint64_t clr_process_ready_since(const clr_process_t *p);

clr_loop_t *clr_process_loop(const clr_process_t *p);

/* What it is for /readyz and the metrics, without what only its place knows. */
void clr_process_get_status(const clr_process_t *p, clr_worker_status_t *out);

/* Negative: it could not even be started. */
int clr_process_spawn_error(const clr_process_t *p);

/* "died: signal 9 (Killed)", "ended with exit status 1", … */
void clr_process_describe_end(const clr_process_t *p, char *out, size_t size);
