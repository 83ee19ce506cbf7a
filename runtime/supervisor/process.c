/* process.c: see process.h. */
#include "supervisor/process.h"

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
#include "supervisor/spawn.h"

#define LOG "worker"

#define HELLO_MS          30000 /* from the start of the process */
#define LOADING_WARN_MS   30000 /* an app may load for long; say so now and then */
#define PROCESS_LINGER_MS 5000  /* a process without its link: it may be writing a core dump */
#define LINK_LINGER_MS    500   /* a link without its process: a child of it holds the descriptor */
#define LOADING_KILL_MS   500   /* a loading worker that is asked to stop */
#define DRAIN_CHECK_MS    20    /* how often to look whether all clients have moved */

/* What gateway and worker have in common: ours and theirs of the link, and of the watchdog's
 * stream. All close on exec; uv_spawn passes theirs on as descriptors 3 and 4. */
typedef struct wires {
    int link[2];
    int watch[2];
} wires_t;

struct clr_process {
    clr_gateway_t *gw;
    const clr_pool_options_t *options;
    const clr_process_ops_t *ops;
    void *ctx;
    unsigned number; /* 1, 2, … */
    unsigned generation;
    clr_process_state_t state;
    uv_process_t handle;
    clr_zygote_t *zygote;     /* NULL: the process is our own */
    clr_zygote_child_t child; /* with one */
    wires_t wires;            /* until it is forked */
    clr_worker_t *worker;     /* NULL while there is no link */
    clr_timer_t timer;        /* what for depends on the state */
    bool standby;
    bool process_up; /* the handle is not closed */
    bool exited;     /* the process is reaped: its pid is no longer ours */
    bool terminated; /* SIGTERM was sent, or is not needed */
    int pid;
    int spawn_error;
    int64_t exit_status;
    int exit_signal;
    uint64_t started_at_ms;
    uint64_t ready_at_ms;
    uint64_t drain_until_ms;
    uint64_t grace_ms;   /* after draining */
    uint64_t kill_at_ms; /* while stopping */
};

const char *clr_process_state_name(clr_process_state_t state)
{
    static const char *const names[] = {"gone",  "starting", "loading",
                                        "ready", "draining", "stopping"};
    return names[state];
}

static void set_state(clr_process_t *p, clr_process_state_t state)
{
    clr_log_debug(LOG, "worker %u (pid %d): %s to %s", p->number, p->pid,
                  clr_process_state_name(p->state), clr_process_state_name(state));
    p->state = state;
}

static void close_pair(int pair[2])
{
    for (int i = 0; i < 2; i++) {
        if (pair[i] >= 0)
            close(pair[i]);
        pair[i] = -1;
    }
}

/* It has not been forked, and need not be. */
static void cancel_fork(clr_process_t *p)
{
    clr_zygote_forget(&p->child);
    close_pair(p->wires.link);
    close_pair(p->wires.watch);
    p->exited = true;
    p->process_up = false;
}

static void send_signal(clr_process_t *p, int sig)
{
    if (p->zygote && p->process_up && p->pid == 0)
        cancel_fork(p);
    if (!p->process_up || p->exited || p->pid <= 0)
        return;
    /* SIGKILL takes what the app started in its process group along; the group may not exist yet.
     */
    if (sig != SIGKILL || kill(-p->pid, sig) != 0)
        kill(p->pid, sig);
}

/* ---- stopping ---- */

void clr_process_stop(clr_process_t *p, uint64_t grace_ms)
{
    clr_loop_t *loop = p->gw->loop;
    if (p->state == CLR_PROCESS_GONE || p->state == CLR_PROCESS_STOPPING)
        return;
    bool listens = p->state == CLR_PROCESS_READY || p->state == CLR_PROCESS_DRAINING;
    set_state(p, CLR_PROCESS_STOPPING);
    if (listens && p->worker && grace_ms > 0) {
        /* The worker cancels what still runs, and cleans up, in the last part of the time. */
        uint64_t reserve = grace_ms / 4 < 1000 ? grace_ms / 4 : 1000;
        clr_worker_stop(p->worker, (uint32_t)(grace_ms - reserve));
        p->kill_at_ms = clr_loop_now(loop) + grace_ms;
        clr_loop_timer_start(loop, &p->timer, grace_ms - reserve / 2);
        return;
    }
    /* While it loads it hears no STOP. */
    p->terminated = true;
    send_signal(p, SIGTERM);
    p->kill_at_ms = clr_loop_now(loop) + (grace_ms < LOADING_KILL_MS ? grace_ms : LOADING_KILL_MS);
    clr_loop_timer_start_at(loop, &p->timer, p->kill_at_ms);
}

static void escalate(clr_process_t *p)
{
    if (!p->terminated) {
        clr_log_warn(LOG, "worker %u (pid %d) is still busy: terminating it", p->number, p->pid);
        p->terminated = true;
        send_signal(p, SIGTERM);
        clr_loop_timer_start_at(p->gw->loop, &p->timer, p->kill_at_ms);
        return;
    }
    send_signal(p, SIGKILL);
    if (p->worker && p->exited)
        clr_worker_detach(p->worker);
}

void clr_process_expect_exit(clr_process_t *p, uint64_t ms)
{
    clr_loop_t *loop = p->gw->loop;
    if (p->state == CLR_PROCESS_GONE || p->state == CLR_PROCESS_STOPPING)
        return;
    set_state(p, CLR_PROCESS_STOPPING);
    p->terminated = true;
    p->kill_at_ms = clr_loop_now(loop) + ms;
    clr_loop_timer_start_at(loop, &p->timer, p->kill_at_ms);
}

void clr_process_kill(clr_process_t *p)
{
    if (p->state == CLR_PROCESS_GONE)
        return;
    clr_process_expect_exit(p, LOADING_KILL_MS);
    p->terminated = true;
    escalate(p);
}

/* ---- draining ---- */

static void check_drained(clr_process_t *p)
{
    clr_loop_t *loop = p->gw->loop;
    uint32_t sessions = clr_worker_sessions(p->worker);
    uint32_t requests = clr_worker_requests(p->worker);
    if (clr_loop_now(loop) < p->drain_until_ms) {
        if (sessions + requests == 0)
            clr_worker_clear(p->worker);
        if (sessions + requests > 0 || !clr_worker_is_clear(p->worker)) {
            clr_loop_timer_start(loop, &p->timer, DRAIN_CHECK_MS);
            return;
        }
    }
    if (sessions + requests > 0)
        clr_log_info(LOG,
                     "worker %u (pid %d) is still busy: %u clients move now, %u requests go on",
                     p->number, p->pid, (unsigned)sessions, (unsigned)requests);
    clr_worker_move_all(p->worker);
    clr_process_stop(p, p->grace_ms);
}

void clr_process_drain(clr_process_t *p, uint64_t drain_ms, uint64_t grace_ms)
{
    if (p->state != CLR_PROCESS_READY || !p->worker) {
        clr_process_stop(p, grace_ms);
        return;
    }
    set_state(p, CLR_PROCESS_DRAINING);
    p->drain_until_ms = clr_loop_now(p->gw->loop) + drain_ms;
    p->grace_ms = grace_ms;
    clr_worker_retire(p->worker);
    clr_loop_timer_start(p->gw->loop, &p->timer, 0);
}

/* ---- the end ---- */

void clr_process_describe_end(const clr_process_t *p, char *out, size_t size)
{
    if (p->spawn_error)
        snprintf(out, size, "could not be started: %s", clr_strerror(p->spawn_error));
    else if (p->exit_signal)
        snprintf(out, size, "died: signal %d (%s)", p->exit_signal, strsignal(p->exit_signal));
    else
        snprintf(out, size, "ended with exit status %d", (int)p->exit_status);
}

static void check_gone(clr_process_t *p)
{
    clr_loop_t *loop = p->gw->loop;
    if (!p->process_up && !p->worker) {
        clr_timer_stop(&p->timer);
        set_state(p, CLR_PROCESS_GONE);
        p->ops->on_gone(p, p->ctx);
        return;
    }
    /* Half of it is left. The other half ends by itself: an end of file makes the worker exit, and
     * the frames that a dead process sent (why it failed, say) are still to be read. */
    if (!p->process_up)
        clr_loop_timer_start(loop, &p->timer, LINK_LINGER_MS);
    else if (p->state != CLR_PROCESS_STOPPING)
        clr_loop_timer_start(loop, &p->timer, PROCESS_LINGER_MS);
}

static void on_handle_closed(uv_handle_t *handle)
{
    clr_process_t *p = clr_container_of(handle, clr_process_t, handle);
    p->process_up = false;
    check_gone(p);
}

static void on_exit_of_process(uv_process_t *handle, int64_t status, int sig)
{
    clr_process_t *p = clr_container_of(handle, clr_process_t, handle);
    p->exited = true;
    p->exit_status = status;
    p->exit_signal = sig;
    uv_close((uv_handle_t *)handle, on_handle_closed);
}

/* ---- what the worker says ---- */

static void on_hello(clr_worker_t *w, uint32_t pid, clr_str_t python, void *ctx)
{
    clr_process_t *p = ctx;
    (void)w;
    clr_log_debug(LOG, "worker %u (pid %u) runs Python %.*s", p->number, (unsigned)pid,
                  CLR_STR_ARG(python));
    if (p->state != CLR_PROCESS_STARTING)
        return;
    set_state(p, CLR_PROCESS_LOADING);
    clr_loop_timer_start(p->gw->loop, &p->timer, LOADING_WARN_MS);
}

static void on_ready(clr_worker_t *w, void *ctx)
{
    clr_process_t *p = ctx;
    (void)w;
    if (p->state != CLR_PROCESS_LOADING)
        return;
    clr_timer_stop(&p->timer);
    set_state(p, CLR_PROCESS_READY);
    p->ready_at_ms = clr_loop_now(p->gw->loop);
    p->ops->on_ready(p, p->ctx);
}

static void on_failed(clr_worker_t *w, uint8_t kind, clr_str_t text, void *ctx)
{
    clr_process_t *p = ctx;
    (void)w;
    p->ops->on_failed(p, kind, text, p->ctx);
}

/* Its sockets go to another worker when its link ends. */
static void on_given_up(clr_worker_t *w, void *ctx)
{
    (void)w;
    send_signal(ctx, SIGKILL);
}

static void on_link_gone(clr_worker_t *w, int reason, void *ctx)
{
    clr_process_t *p = ctx;
    (void)w;
    (void)reason;
    p->worker = NULL;
    check_gone(p);
}

static const clr_worker_ops_t worker_ops = {
    .on_hello = on_hello,
    .on_ready = on_ready,
    .on_failed = on_failed,
    .on_given_up = on_given_up,
    .on_gone = on_link_gone,
};

/* ---- starting ---- */

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
static int attach(clr_process_t *p, wires_t *wires)
{
    clr_buf_t config = {0};
    clr_spawn_config(&config, p->options, p->number);
    int rc = clr_worker_attach(&p->worker, p->gw, wires->link[0], p->number, clr_buf_str(&config),
                               &worker_ops, p);
    clr_buf_deinit(&config);
    if (rc < 0) {
        p->worker = NULL;
        return rc;
    }
    wires->link[0] = -1;
    if (p->standby)
        clr_worker_stand_by(p->worker);
    rc = clr_worker_watch(p->worker, wires->watch[0], p->pid);
    if (rc == 0)
        wires->watch[0] = -1;
    else
        clr_log_warn(LOG, "worker %u is not watched: %s", p->number, clr_strerror(rc));
    return 0;
}

static int spawn_process(clr_process_t *p)
{
    wires_t wires;
    int rc = make_wires(&wires);
    if (rc < 0)
        return rc;
    rc = clr_spawn_process(&p->gw->loop->uv, &p->handle, p->options, wires.link[1], wires.watch[1],
                           on_exit_of_process);
    p->process_up = true;
    if (rc < 0) {
        p->exited = true;
        uv_close((uv_handle_t *)&p->handle, on_handle_closed);
    } else {
        p->pid = p->handle.pid;
        rc = attach(p, &wires);
        if (rc < 0)
            send_signal(p, SIGKILL);
    }
    close_pair(wires.link);
    close_pair(wires.watch);
    return rc;
}

static void on_child_forked(clr_zygote_child_t *c)
{
    clr_process_t *p = clr_container_of(c, clr_process_t, child);
    p->pid = c->pid;
    if (attach(p, &p->wires) < 0)
        send_signal(p, SIGKILL);
    close_pair(p->wires.link);
    close_pair(p->wires.watch);
}

static void on_child_failed(clr_zygote_child_t *c, uint8_t kind, clr_str_t text)
{
    clr_process_t *p = clr_container_of(c, clr_process_t, child);
    p->ops->on_failed(p, kind, text, p->ctx);
}

static void on_child_exit(clr_zygote_child_t *c, int64_t status, int sig)
{
    clr_process_t *p = clr_container_of(c, clr_process_t, child);
    close_pair(p->wires.link);
    close_pair(p->wires.watch);
    p->exited = true;
    p->exit_status = status;
    p->exit_signal = sig;
    p->process_up = false;
    check_gone(p);
}

/* The gateway's ends are used when there is a pid to speak of. */
static int fork_process(clr_process_t *p)
{
    int rc = make_wires(&p->wires);
    if (rc < 0)
        return rc;
    p->child = (clr_zygote_child_t){
        .on_forked = on_child_forked, .on_failed = on_child_failed, .on_exit = on_child_exit};
    rc = clr_zygote_fork(p->zygote, &p->child, p->wires.link[1], p->wires.watch[1]);
    close(p->wires.link[1]);
    close(p->wires.watch[1]);
    p->wires.link[1] = p->wires.watch[1] = -1;
    if (rc < 0) {
        close_pair(p->wires.link);
        close_pair(p->wires.watch);
        return rc;
    }
    p->process_up = true;
    return 0;
}

static void warn_of_loading(clr_process_t *p)
{
    uint64_t took = clr_loop_now(p->gw->loop) - p->started_at_ms;
    clr_log_warn(LOG, "worker %u (pid %d) has been loading the app for %u s", p->number, p->pid,
                 (unsigned)(took / 1000));
    clr_loop_timer_start(p->gw->loop, &p->timer, LOADING_WARN_MS);
}

static void on_timer(clr_timer_t *t)
{
    clr_process_t *p = clr_container_of(t, clr_process_t, timer);
    if (p->state == CLR_PROCESS_STOPPING && (p->process_up || p->worker)) {
        escalate(p);
    } else if (!p->process_up && !p->worker) {
        check_gone(p); /* there was no process to begin with */
    } else if (!p->process_up) {
        clr_worker_detach(p->worker);
    } else if (p->zygote && p->pid == 0) {
        warn_of_loading(p);
    } else if (!p->worker) {
        send_signal(p, SIGKILL);
    } else if (p->state == CLR_PROCESS_STARTING) {
        clr_log_error(LOG, "worker %u (pid %d) does not answer", p->number, p->pid);
        send_signal(p, SIGKILL);
    } else if (p->state == CLR_PROCESS_LOADING) {
        warn_of_loading(p);
    } else if (p->state == CLR_PROCESS_DRAINING) {
        check_drained(p);
    }
}

clr_process_t *clr_process_start(clr_gateway_t *gw, const clr_pool_options_t *options,
                                 const clr_process_role_t *role, const clr_process_ops_t *ops,
                                 void *ctx)
{
    clr_process_t *p = clr_xcalloc(1, sizeof(*p));
    p->gw = gw;
    p->options = options;
    p->number = role->number;
    p->generation = role->generation;
    p->standby = role->standby;
    p->ops = ops;
    p->ctx = ctx;
    p->started_at_ms = clr_loop_now(gw->loop);
    set_state(p, CLR_PROCESS_STARTING);
    clr_timer_init(&p->timer, on_timer);
    if (role->zygote) {
        p->zygote = clr_zygote_ref(role->zygote);
        p->spawn_error = fork_process(p);
    } else {
        p->spawn_error = options->preload ? -EMFILE : spawn_process(p);
    }
    clr_loop_timer_start(gw->loop, &p->timer, p->spawn_error ? 0 : HELLO_MS);
    return p;
}

void clr_process_free(clr_process_t *p)
{
    CLR_ASSERT(p->state == CLR_PROCESS_GONE && !p->process_up && !p->worker);
    clr_timer_stop(&p->timer);
    if (p->zygote)
        clr_zygote_unref(p->zygote);
    free(p);
}

void clr_process_hand_over(clr_process_t *p, const clr_process_ops_t *ops, void *ctx)
{
    p->ops = ops;
    p->ctx = ctx;
}

void clr_process_enlist(clr_process_t *p)
{
    CLR_ASSERT(p->standby);
    p->standby = false;
    if (p->worker)
        clr_worker_enlist(p->worker);
}

/* ---- what there is to know ---- */

clr_process_state_t clr_process_state(const clr_process_t *p)
{
    return p->state;
}

int clr_process_pid(const clr_process_t *p)
{
    return p->process_up && !p->exited ? p->pid : 0;
}

int clr_process_last_pid(const clr_process_t *p)
{
    return p->pid;
}

clr_worker_t *clr_process_worker(const clr_process_t *p)
{
    return p->worker;
}

uint64_t clr_process_ready_since(const clr_process_t *p)
{
    return p->ready_at_ms;
}

clr_loop_t *clr_process_loop(const clr_process_t *p)
{
    return p->gw->loop;
}

/* Half of a worker that is ready may be gone already. */
static clr_process_state_t shown_state(const clr_process_t *p)
{
    bool linked = p->worker && clr_worker_state(p->worker) != CLR_WORKER_GONE;
    bool half = p->state == CLR_PROCESS_READY && (!linked || !clr_process_pid(p));
    return half ? CLR_PROCESS_GONE : p->state;
}

void clr_process_get_status(const clr_process_t *p, clr_worker_status_t *out)
{
    *out = (clr_worker_status_t){
        .number = p->number,
        .generation = p->generation,
        .state = clr_process_state_name(shown_state(p)),
        .pid = clr_process_pid(p),
        .age_ms = clr_loop_now(p->gw->loop) - p->started_at_ms,
        .worker = p->worker,
    };
}

int clr_process_spawn_error(const clr_process_t *p)
{
    return p->spawn_error;
}
