/* watchdog.c: see watchdog.h. */
#include "watchdog.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "watchdog_stack.h"
#include "worker_link.h"

#define MS_NS UINT64_C(1000000)

#define PERIOD_NS     (600 * MS_NS)   /* from ping to ping: an idle worker wakes so often */
#define LOOK_NS       (20 * MS_NS)    /* how often to see whether there is a stack */
#define LOOK_GRACE_NS (100 * MS_NS)   /* for the second way to write what it found */
#define LOOK_MAX_NS   (10000 * MS_NS) /* for the first, on a machine that is busy */
#define BLOCKED_NS    (250 * MS_NS)   /* how often to see whether it is over */
#define ACTIVE_LAG_US 10000           /* of a loop that is idle but late: worth telling */
#define OUT_MAX       (128u << 10)    /* bytes that wait for a gateway that does not read */

typedef enum watch_state {
    WATCH_QUIET,   /* nothing is asked */
    WATCH_ASKED,   /* a ping is under way */
    WATCH_LOOKING, /* for too long: where does it stand? */
    WATCH_BLOCKED, /* the gateway knows */
} watch_state_t;

struct clr_watchdog {
    clr_wlink_t *link; /* borrowed: it owns this */
    int fd;
    int ping_fd; /* eventfds: what the loop watches, … */
    int wake_fd; /* … and what ends the thread's sleep */
    pid_t pid;
    pthread_t thread;
    uint64_t warn_ns;
    clr_stack_t stack;

    atomic_bool stopping;
    _Atomic uint64_t asked_number; /* of the last ping */
    _Atomic uint64_t answered_number;
    _Atomic uint64_t answered_ns;
    _Atomic uint32_t handlers;

    /* the thread's own */
    watch_state_t state;
    uint64_t asked_ns;
    uint64_t since_ns;   /* when what blocks has begun, as far as known */
    uint64_t give_up_ns; /* LOOKING: no stack comes any more */
    uint64_t begun;      /* frames, at the last answer */
    bool is_active;      /* the last STATS was not that of an idle worker */
    clr_buf_t out;
};

/* ---- to the gateway ---- */

static void flush(clr_watchdog_t *w)
{
    if (w->out.n == 0)
        return;
    ssize_t n = send(w->fd, w->out.p, w->out.n, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0)
        clr_buf_consume(&w->out, (size_t)n);
    else if (n < 0 && errno != EAGAIN && errno != EINTR)
        clr_buf_clear(&w->out); /* the gateway is gone, which the link tells */
}

static void send_stats(clr_watchdog_t *w, uint32_t lag_us)
{
    if (w->out.n > OUT_MAX)
        return;
    size_t begun = clr_frame_begin(&w->out, CLR_FRAME_STATS, 0, 0);
    clr_buf_append_le(&w->out, lag_us, 4);
    clr_buf_append_le(&w->out, atomic_load(&w->handlers), 4);
    clr_frame_end(&w->out, begun);
}

static void send_blocked(clr_watchdog_t *w, bool blocked, uint64_t until_ns,
                         const clr_blocked_at_t *at)
{
    uint64_t ms = until_ns > w->since_ns ? (until_ns - w->since_ns) / MS_NS : 0;
    size_t begun = clr_frame_begin(&w->out, CLR_FRAME_BLOCKED, 0, 0);
    clr_buf_append_le(&w->out, blocked, 1);
    clr_buf_append_le(&w->out, ms < UINT32_MAX ? ms : UINT32_MAX, 4);
    clr_write_str(&w->out, at ? clr_buf_str(&at->handler) : CLR_STR_EMPTY);
    clr_write_str(&w->out, at ? clr_buf_str(&at->place) : CLR_STR_EMPTY);
    clr_write_str(&w->out, at ? clr_buf_str(&at->stack) : CLR_STR_EMPTY);
    clr_frame_end(&w->out, begun);
}

/* ---- the states ---- */

static void ping(clr_watchdog_t *w, uint64_t now)
{
    uint64_t one = 1;
    w->state = WATCH_ASKED;
    w->asked_ns = now;
    atomic_fetch_add(&w->asked_number, 1);
    ssize_t n = write(w->ping_fd, &one, sizeof(one));
    CLR_ASSERT(n == sizeof(one)); /* a counter that is read before it is full */
}

static bool is_answered(const clr_watchdog_t *w)
{
    return atomic_load(&w->answered_number) == atomic_load(&w->asked_number);
}

/* An idle worker says so once, and then nothing. */
static void note_answer(clr_watchdog_t *w)
{
    uint64_t answered = atomic_load(&w->answered_ns);
    uint64_t lag = answered > w->asked_ns ? (answered - w->asked_ns) / 1000 : 0;
    uint64_t begun = clr_page_begun(w->link->page);
    bool was_active = w->is_active;
    w->is_active = begun != w->begun || atomic_load(&w->handlers) > 0 || lag > ACTIVE_LAG_US;
    w->begun = begun;
    w->state = WATCH_QUIET;
    if (w->is_active || was_active)
        send_stats(w, lag < UINT32_MAX ? (uint32_t)lag : UINT32_MAX);
}

static void look(clr_watchdog_t *w, uint64_t now)
{
    uint64_t batch = atomic_load(&w->link->batch_began);
    uint64_t fires = atomic_load(&w->answered_ns) + w->warn_ns + PERIOD_NS;
    w->state = WATCH_LOOKING;
    w->since_ns = batch && batch < w->asked_ns ? batch : w->asked_ns;
    w->give_up_ns = (fires > now ? fires : now) + LOOK_GRACE_NS;
    clr_stack_ask(&w->stack);
}

static void tell(clr_watchdog_t *w, uint64_t now, clr_blocked_at_t *at)
{
    w->state = WATCH_BLOCKED;
    send_blocked(w, true, now, at);
    clr_blocked_at_clear(at);
}

static void end(clr_watchdog_t *w)
{
    clr_stack_abandon(&w->stack);
    send_blocked(w, false, atomic_load(&w->answered_ns), NULL);
    note_answer(w);
}

/* One step. Returns when the next is due. */
static uint64_t step(clr_watchdog_t *w, uint64_t now)
{
    clr_blocked_at_t at = {0};
    uint64_t next = w->asked_ns + PERIOD_NS;
    uint64_t late = w->asked_ns + w->warn_ns;
    bool answered = is_answered(w);
    switch (w->state) {
    case WATCH_QUIET:
        if (now < next)
            return next;
        ping(w, now);
        return now + (w->warn_ns && w->warn_ns < PERIOD_NS ? w->warn_ns : PERIOD_NS);
    case WATCH_ASKED:
        if (answered)
            note_answer(w);
        else if (w->warn_ns && now >= late)
            look(w, now);
        else
            return w->warn_ns && late < now + PERIOD_NS ? late : now + PERIOD_NS;
        return now;
    case WATCH_LOOKING:
        if (answered)
            end(w);
        else if (clr_stack_take(&w->stack, &at))
            tell(w, now, &at);
        else if (now < w->give_up_ns + (clr_stack_is_begun(&w->stack) ? LOOK_MAX_NS : 0))
            return now + LOOK_NS;
        else {
            clr_stack_abandon(&w->stack);
            clr_stack_read_dump(&w->stack, &at);
            tell(w, now, &at);
        }
        return now;
    default:
        if (!answered)
            return now + BLOCKED_NS;
        end(w);
        return now;
    }
}

static void *run(void *ctx)
{
    clr_watchdog_t *w = ctx;
    while (!atomic_load(&w->stopping)) {
        uint64_t next = step(w, clr_clock_now_ns());
        flush(w);
        uint64_t now = clr_clock_now_ns();
        struct pollfd wake = {.fd = w->wake_fd, .events = POLLIN};
        if (next > now)
            poll(&wake, 1, (int)((next - now + MS_NS - 1) / MS_NS));
    }
    flush(w);
    return NULL;
}

/* ---- the loop's side ---- */

void clr_watchdog_on_ping(clr_watchdog_t *w)
{
    uint64_t count;
    if (read(w->ping_fd, &count, sizeof(count)) != sizeof(count))
        return; /* answered already */
    atomic_store(&w->handlers, (uint32_t)w->link->carriers.working_count);
    clr_stack_arm(&w->stack);
    atomic_store(&w->answered_ns, clr_clock_now_ns());
    atomic_store(&w->answered_number, atomic_load(&w->asked_number));
}

int clr_watchdog_ping_fd(const clr_watchdog_t *w)
{
    return w->ping_fd;
}

bool clr_watchdog_is_ours(const clr_watchdog_t *w)
{
    return w->pid == getpid();
}

/* ---- life ---- */

/* Signals are for the loop's thread. */
static int start_thread(clr_watchdog_t *w)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&w->thread, NULL, run, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

static void watchdog_free(clr_watchdog_t *w)
{
    clr_stack_deinit(&w->stack);
    if (w->ping_fd >= 0)
        close(w->ping_fd);
    if (w->wake_fd >= 0)
        close(w->wake_fd);
    clr_buf_deinit(&w->out);
    free(w);
}

clr_watchdog_t *clr_watchdog_start(clr_wlink_t *link, int fd, uint32_t warn_ms, PyObject *describe)
{
    clr_watchdog_t *w = clr_xcalloc(1, sizeof(*w));
    w->link = link;
    w->fd = fd;
    w->pid = getpid();
    w->warn_ns = warn_ms * MS_NS;
    w->ping_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    w->begun = clr_page_begun(link->page);
    atomic_init(&w->answered_ns, clr_clock_now_ns());
    uint64_t after_ms = warn_ms ? warn_ms + PERIOD_NS / MS_NS : 0;
    int status = clr_stack_init(&w->stack, describe, (uint32_t)after_ms);
    if (status == 0 && (w->ping_fd < 0 || w->wake_fd < 0 || (errno = start_thread(w)) != 0)) {
        PyErr_SetFromErrno(PyExc_OSError);
        status = -1;
    }
    if (status < 0) {
        watchdog_free(w);
        return NULL;
    }
    clr_stack_arm(&w->stack);
    return w;
}

void clr_watchdog_stop(clr_watchdog_t *w)
{
    if (!clr_watchdog_is_ours(w))
        return; /* a forked child: the locks in there may be held by threads that it has not */
    uint64_t one = 1;
    atomic_store(&w->stopping, true);
    while (write(w->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
        continue;
    pthread_join(w->thread, NULL);
    close(w->fd);
    watchdog_free(w);
}

int clr_watchdog_traverse(clr_watchdog_t *w, visitproc visit, void *arg)
{
    Py_VISIT(w->stack.describe);
    return 0;
}
