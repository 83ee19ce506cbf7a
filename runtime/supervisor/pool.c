/* pool.c: the worker processes. */
#include "supervisor/pool.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "clrun/exit.h"
#include "supervisor/spawn.h"

#define LOG "worker"

#define BACKOFF_MIN_MS    100
#define BACKOFF_MAX_MS    5000
#define HEALTHY_MS        60000 /* ready for so long: the back-off is forgotten */
#define HELLO_MS          30000 /* from the start of the process */
#define LOADING_WARN_MS   30000 /* an app may load for long; say so once */
#define PROCESS_LINGER_MS 5000  /* a process without its link: it may be writing a core dump */
#define LINK_LINGER_MS    500   /* a link without its process: a child of it holds the descriptor */
#define FAILED_KILL_MS    2000  /* a worker that said that the app cannot be loaded */
#define LOADING_KILL_MS   500   /* a loading worker that is asked to stop */

#define FAILING_MS (BACKOFF_MIN_MS * 4) /* the pause after three deaths in a row */

/* In the order of clr_worker_states. */
typedef enum slot_state {
    SLOT_GONE,    /* never started, or stopped for good */
    SLOT_WAITING, /* for its next start */
    SLOT_STARTING,
    SLOT_LOADING,
    SLOT_READY,
    SLOT_STOPPING,
} slot_state_t;

/* The place of one worker: the process and the link come and go. */
typedef struct slot {
    clr_pool_t *pool;
    unsigned number; /* 1, 2, … */
    slot_state_t state;
    uv_process_t process;
    clr_worker_t *worker; /* NULL while there is no link */
    clr_timer_t timer;    /* what for depends on the state */
    bool process_up;      /* the handle is not closed */
    bool exited;          /* the process is reaped: its pid is no longer ours */
    bool terminated;      /* SIGTERM was sent, or is not needed */
    int pid;
    int spawn_error;
    int64_t exit_status;
    int exit_signal;
    uint64_t kill_at_ms; /* while stopping */
    bool was_ready;      /* ever: the app can be loaded here */
    uint64_t backoff_ms;
    uint64_t restarts;
    uint64_t ready_at_ms;
} slot_t;

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
    uint64_t last_failure; /* hash of the last traceback, so that a repeated one is one line */
    slot_t slots[];
};

static void set_state(slot_t *s, slot_state_t state)
{
    clr_log_debug(LOG, "worker %u (pid %d): %s to %s", s->number, s->pid,
                  clr_worker_states[s->state], clr_worker_states[state]);
    s->state = state;
}

static void slot_kill(slot_t *s, int sig)
{
    if (!s->process_up || s->exited || s->pid <= 0)
        return;
    /* SIGKILL takes what the app started in its process group along; the group may not exist yet.
     */
    if (sig != SIGKILL || kill(-s->pid, sig) != 0)
        kill(s->pid, sig);
}

static void check_stopped(clr_pool_t *pool)
{
    for (unsigned i = 0; i < pool->options.workers; i++) {
        if (pool->slots[i].state != SLOT_GONE)
            return;
    }
    if (pool->stopping && !pool->stopped)
        clr_loop_timer_start(pool->gw->loop, &pool->stopped_timer, 0);
}

static void on_all_stopped(clr_timer_t *t)
{
    clr_pool_t *pool = clr_container_of(t, clr_pool_t, stopped_timer);
    if (pool->stopped)
        return;
    pool->stopped = true;
    pool->ops->on_stopped(pool, pool->ctx);
}

/* ---- stopping ---- */

/* Sends the worker off; it is gone at kill_at_ms at the latest. */
static void slot_stop(slot_t *s, uint64_t grace_ms)
{
    clr_loop_t *loop = s->pool->gw->loop;
    if (s->state == SLOT_GONE || s->state == SLOT_STOPPING)
        return;
    if (s->state == SLOT_WAITING) {
        clr_timer_stop(&s->timer);
        set_state(s, SLOT_GONE);
        return;
    }
    bool ready = s->state == SLOT_READY;
    set_state(s, SLOT_STOPPING);
    if (ready && s->worker && grace_ms > 0) {
        /* The worker cancels what still runs, and cleans up, in the last part of the time. */
        uint64_t reserve = grace_ms / 4 < 1000 ? grace_ms / 4 : 1000;
        clr_worker_stop(s->worker, (uint32_t)(grace_ms - reserve));
        s->kill_at_ms = clr_loop_now(loop) + grace_ms;
        clr_loop_timer_start(loop, &s->timer, grace_ms - reserve / 2);
        return;
    }
    /* While it loads it hears no STOP. */
    s->terminated = true;
    slot_kill(s, SIGTERM);
    s->kill_at_ms = clr_loop_now(loop) + (grace_ms < LOADING_KILL_MS ? grace_ms : LOADING_KILL_MS);
    clr_loop_timer_start_at(loop, &s->timer, s->kill_at_ms);
}

static void slot_escalate(slot_t *s)
{
    if (!s->terminated) {
        clr_log_warn(LOG, "worker %u (pid %d) is still busy: terminating it", s->number, s->pid);
        s->terminated = true;
        slot_kill(s, SIGTERM);
        clr_loop_timer_start_at(s->pool->gw->loop, &s->timer, s->kill_at_ms);
        return;
    }
    slot_kill(s, SIGKILL);
    if (s->worker && s->exited)
        clr_worker_detach(s->worker);
}

/* The worker that said why exits by itself; what the others would say is the same. */
static void pool_fail(clr_pool_t *pool, slot_t *failed, int status, clr_str_t text)
{
    clr_loop_t *loop = pool->gw->loop;
    if (pool->failed || pool->stopping)
        return;
    pool->failed = pool->stopping = true;
    for (unsigned i = 0; i < pool->options.workers; i++) {
        slot_t *s = &pool->slots[i];
        if (s != failed)
            slot_kill(s, SIGKILL);
        if (s->state == SLOT_GONE)
            continue;
        set_state(s, SLOT_STOPPING);
        s->terminated = true;
        s->kill_at_ms = clr_loop_now(loop) + FAILED_KILL_MS;
        clr_loop_timer_start_at(loop, &s->timer, s->kill_at_ms);
    }
    pool->ops->on_failed(pool, status, text, pool->ctx);
    check_stopped(pool);
}

/* ---- a death ---- */

static void describe_death(const slot_t *s, char *out, size_t size)
{
    if (s->spawn_error)
        snprintf(out, size, "could not be started: %s", clr_strerror(s->spawn_error));
    else if (s->exit_signal)
        snprintf(out, size, "died: signal %d (%s)", s->exit_signal, strsignal(s->exit_signal));
    else
        snprintf(out, size, "ended with exit status %d", (int)s->exit_status);
}

static void slot_schedule_restart(slot_t *s, const char *death)
{
    clr_loop_t *loop = s->pool->gw->loop;
    uint64_t now = clr_loop_now(loop);
    bool healthy = s->ready_at_ms && now - s->ready_at_ms >= HEALTHY_MS;
    if (healthy || !s->backoff_ms)
        s->backoff_ms = BACKOFF_MIN_MS;
    clr_log_error(LOG, "worker %u (pid %d) %s; its next start is in %u ms", s->number, s->pid,
                  death, (unsigned)s->backoff_ms);
    set_state(s, SLOT_WAITING);
    clr_loop_timer_start(loop, &s->timer, s->backoff_ms);
    s->backoff_ms = s->backoff_ms * 2 < BACKOFF_MAX_MS ? s->backoff_ms * 2 : BACKOFF_MAX_MS;
}

/* Process and link are both gone. */
static void slot_died(slot_t *s)
{
    clr_pool_t *pool = s->pool;
    char death[160], text[256];
    clr_timer_stop(&s->timer);
    describe_death(s, death, sizeof(death));
    if (pool->stopping) {
        set_state(s, SLOT_GONE);
        check_stopped(pool);
        return;
    }
    if (s->was_ready) {
        slot_schedule_restart(s, death);
        return;
    }
    set_state(s, SLOT_GONE);
    snprintf(text, sizeof(text), "worker %u %s before the app was loaded", s->number, death);
    pool_fail(pool, s, s->spawn_error ? CLR_EXIT_RUNTIME : CLR_EXIT_APP, clr_str_c(text));
}

static void slot_check(slot_t *s)
{
    if (!s->process_up && !s->worker) {
        slot_died(s);
        return;
    }
    /* Half of it is left. The other half ends by itself: an end of file makes the worker exit, and
     * the frames that a dead process sent (why it failed, say) are still to be read. */
    clr_loop_t *loop = s->pool->gw->loop;
    if (!s->process_up)
        clr_loop_timer_start(loop, &s->timer, LINK_LINGER_MS);
    else if (s->state != SLOT_STOPPING)
        clr_loop_timer_start(loop, &s->timer, PROCESS_LINGER_MS);
}

static void on_process_closed(uv_handle_t *handle)
{
    slot_t *s = clr_container_of(handle, slot_t, process);
    s->process_up = false;
    slot_check(s);
}

static void on_process_exit(uv_process_t *process, int64_t status, int sig)
{
    slot_t *s = clr_container_of(process, slot_t, process);
    s->exited = true;
    s->exit_status = status;
    s->exit_signal = sig;
    uv_close((uv_handle_t *)process, on_process_closed);
}

/* ---- what the worker says ---- */

static void on_hello(clr_worker_t *w, uint32_t pid, clr_str_t python, void *ctx)
{
    slot_t *s = ctx;
    (void)w;
    clr_log_debug(LOG, "worker %u (pid %u) runs Python %.*s", s->number, (unsigned)pid,
                  CLR_STR_ARG(python));
    if (s->state != SLOT_STARTING)
        return;
    set_state(s, SLOT_LOADING);
    clr_loop_timer_start(s->pool->gw->loop, &s->timer, LOADING_WARN_MS);
}

static bool all_were_ready(const clr_pool_t *pool)
{
    for (unsigned i = 0; i < pool->options.workers; i++) {
        if (!pool->slots[i].was_ready)
            return false;
    }
    return true;
}

static void on_ready(clr_worker_t *w, void *ctx)
{
    slot_t *s = ctx;
    clr_pool_t *pool = s->pool;
    (void)w;
    if (s->state != SLOT_LOADING)
        return;
    clr_timer_stop(&s->timer);
    set_state(s, SLOT_READY);
    s->ready_at_ms = clr_loop_now(pool->gw->loop);
    if (s->backoff_ms)
        clr_log_info(LOG, "worker %u (pid %d) is ready again", s->number, s->pid);
    pool->last_failure = 0;
    s->was_ready = true;
    if (!pool->started && all_were_ready(pool)) {
        pool->started = true;
        pool->ops->on_ready(pool, pool->ctx);
    }
}

static void on_failed(clr_worker_t *w, uint8_t kind, clr_str_t text, void *ctx)
{
    slot_t *s = ctx;
    clr_pool_t *pool = s->pool;
    (void)w;
    if (pool->stopping)
        return;
    if (!s->was_ready) {
        pool_fail(pool, s, kind == CLR_FAILED_NOT_FOUND ? CLR_EXIT_USAGE : CLR_EXIT_APP, text);
        return;
    }
    uint64_t hash = clr_hash(text, 0);
    if (hash == pool->last_failure)
        clr_log_error(LOG, "worker %u: the app still cannot be loaded", s->number);
    else
        clr_log_text(CLR_LOG_ERROR, LOG, text);
    pool->last_failure = hash;
}

/* Its sockets go to another worker when its link ends. */
static void on_given_up(clr_worker_t *w, void *ctx)
{
    (void)w;
    slot_kill(ctx, SIGKILL);
}

static void on_gone(clr_worker_t *w, int reason, void *ctx)
{
    slot_t *s = ctx;
    (void)w;
    (void)reason;
    s->worker = NULL;
    slot_check(s);
}

static const clr_worker_ops_t worker_ops = {
    .on_hello = on_hello,
    .on_ready = on_ready,
    .on_failed = on_failed,
    .on_given_up = on_given_up,
    .on_gone = on_gone,
};

/* ---- starting ---- */

/* What gateway and worker have in common: ours and theirs of the link, and of the watchdog's
 * stream. All close on exec; uv_spawn passes theirs on as descriptors 3 and 4. */
typedef struct wires {
    int link[2];
    int watch[2];
} wires_t;

static void close_pair(int pair[2])
{
    for (int i = 0; i < 2; i++) {
        if (pair[i] >= 0)
            close(pair[i]);
        pair[i] = -1;
    }
}

static int make_wires(wires_t *wires)
{
    *wires = (wires_t){{-1, -1}, {-1, -1}};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, wires->link) == 0 &&
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, wires->watch) == 0)
        return 0;
    int rc = -errno;
    close_pair(wires->link);
    return rc;
}

/* Takes our ends. */
static int slot_attach(slot_t *s, wires_t *wires)
{
    clr_pool_t *pool = s->pool;
    clr_buf_t config = {0};
    clr_spawn_config(&config, &pool->options, s->number);
    int rc = clr_worker_attach(&s->worker, pool->gw, wires->link[0], s->number,
                               clr_buf_str(&config), &worker_ops, s);
    clr_buf_deinit(&config);
    if (rc < 0) {
        s->worker = NULL;
        return rc;
    }
    wires->link[0] = -1;
    rc = clr_worker_watch(s->worker, wires->watch[0], s->pid);
    if (rc == 0)
        wires->watch[0] = -1;
    else
        clr_log_warn(LOG, "worker %u is not watched: %s", s->number, clr_strerror(rc));
    return 0;
}

static int slot_spawn(slot_t *s)
{
    clr_pool_t *pool = s->pool;
    wires_t wires;
    int rc = make_wires(&wires);
    if (rc < 0)
        return rc;
    rc = clr_spawn_process(&pool->gw->loop->uv, &s->process, &pool->options, wires.link[1],
                           wires.watch[1], on_process_exit);
    s->process_up = true;
    if (rc < 0) {
        s->exited = true;
        uv_close((uv_handle_t *)&s->process, on_process_closed);
    } else {
        s->pid = s->process.pid;
        rc = slot_attach(s, &wires);
        if (rc < 0)
            slot_kill(s, SIGKILL);
    }
    close_pair(wires.link);
    close_pair(wires.watch);
    return rc;
}

static void slot_start(slot_t *s)
{
    s->pid = 0;
    s->exited = s->terminated = false;
    s->spawn_error = s->exit_signal = 0;
    s->exit_status = 0;
    s->ready_at_ms = 0;
    set_state(s, SLOT_STARTING);
    s->spawn_error = slot_spawn(s);
    clr_loop_timer_start(s->pool->gw->loop, &s->timer, s->spawn_error ? 0 : HELLO_MS);
}

static void on_timer(clr_timer_t *t)
{
    slot_t *s = clr_container_of(t, slot_t, timer);
    switch (s->state) {
    case SLOT_WAITING:
        s->restarts++;
        slot_start(s);
        return;
    case SLOT_STOPPING:
        slot_escalate(s);
        return;
    case SLOT_GONE:
    case SLOT_STARTING:
    case SLOT_LOADING:
    case SLOT_READY:
        break;
    }
    if (!s->process_up && !s->worker) {
        slot_died(s); /* there was no process to begin with */
    } else if (!s->process_up) {
        clr_worker_detach(s->worker);
    } else if (!s->worker) {
        slot_kill(s, SIGKILL);
    } else if (s->state == SLOT_STARTING) {
        clr_log_error(LOG, "worker %u (pid %d) does not answer", s->number, s->pid);
        slot_kill(s, SIGKILL);
    } else if (s->state == SLOT_LOADING) {
        clr_log_warn(LOG, "worker %u (pid %d) has been loading the app for %u s", s->number, s->pid,
                     LOADING_WARN_MS / 1000);
    }
}

/* ---- life ---- */

clr_pool_t *clr_pool_new(clr_gateway_t *gw, const clr_pool_options_t *options,
                         const clr_pool_ops_t *ops, void *ctx)
{
    CLR_ASSERT(options->workers > 0);
    clr_pool_t *pool = clr_xcalloc(1, sizeof(*pool) + options->workers * sizeof(slot_t));
    pool->gw = gw;
    pool->options = *options;
    pool->ops = ops;
    pool->ctx = ctx;
    clr_timer_init(&pool->stopped_timer, on_all_stopped);
    for (unsigned i = 0; i < options->workers; i++) {
        slot_t *s = &pool->slots[i];
        s->pool = pool;
        s->number = i + 1;
        clr_timer_init(&s->timer, on_timer);
    }
    return pool;
}

void clr_pool_free(clr_pool_t *pool)
{
    if (!pool)
        return;
    for (unsigned i = 0; i < pool->options.workers; i++) {
        CLR_ASSERT(pool->slots[i].state == SLOT_GONE);
        CLR_ASSERT(!pool->slots[i].process_up);
        clr_timer_stop(&pool->slots[i].timer);
    }
    clr_timer_stop(&pool->stopped_timer);
    free(pool);
}

void clr_pool_start(clr_pool_t *pool)
{
    for (unsigned i = 0; i < pool->options.workers; i++)
        slot_start(&pool->slots[i]);
}

void clr_pool_stop(clr_pool_t *pool, uint64_t grace_ms)
{
    if (pool->stopping)
        return;
    pool->stopping = true;
    for (unsigned i = 0; i < pool->options.workers; i++)
        slot_stop(&pool->slots[i], grace_ms);
    check_stopped(pool);
}

void clr_pool_kill(clr_pool_t *pool)
{
    clr_pool_stop(pool, 0);
    for (unsigned i = 0; i < pool->options.workers; i++) {
        slot_t *s = &pool->slots[i];
        s->terminated = true;
        if (s->state == SLOT_STOPPING)
            slot_escalate(s);
    }
}

static bool is_failing(const slot_t *s)
{
    uint64_t now = clr_loop_now(s->pool->gw->loop);
    bool healthy = s->ready_at_ms && now - s->ready_at_ms >= HEALTHY_MS;
    return !healthy && s->backoff_ms > FAILING_MS;
}

/* Half of a worker that is ready may be gone already. */
static slot_state_t shown_state(const slot_t *s)
{
    bool linked = s->worker && clr_worker_state(s->worker) != CLR_WORKER_GONE;
    return s->state == SLOT_READY && (!linked || s->exited) ? SLOT_GONE : s->state;
}

bool clr_pool_worker_status(const clr_pool_t *pool, size_t index, clr_worker_status_t *out)
{
    if (index >= pool->options.workers)
        return false;
    const slot_t *s = &pool->slots[index];
    *out = (clr_worker_status_t){
        .number = s->number,
        .state = clr_worker_states[shown_state(s)],
        .pid = s->process_up && !s->exited ? s->pid : 0,
        .restarts = s->restarts,
        .failing = is_failing(s),
        .worker = s->worker,
    };
    return true;
}

unsigned clr_pool_ready_count(const clr_pool_t *pool)
{
    unsigned n = 0;
    for (unsigned i = 0; i < pool->options.workers; i++)
        n += pool->slots[i].state == SLOT_READY;
    return n;
}
