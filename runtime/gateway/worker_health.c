/* worker_health.c: see worker_health.h. */
#include "gateway/worker_health.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"
#include "gateway/app_request.h"
#include "link/link.h"

#define LOG "worker"

typedef enum health_state {
    HEALTH_TURNING,
    HEALTH_BLOCKED,
    HEALTH_GIVEN_UP,
} health_state_t;

struct clr_health {
    clr_gateway_t *gw;
    clr_worker_t *worker; /* NULL: closed */
    clr_link_t *link;     /* NULL: the watchdog's end is closed, and so is ours */
    int pid;
    health_state_t state;
    clr_timer_t give_up;
    uint64_t loads;  /* clr_worker_loads() when that timer was started */
    clr_buf_t where; /* BLOCKED: handler and place, for the line of its end */
    uint32_t lag_us;
    uint32_t handlers;
};

/* "12:01:03" of the local day, so long ago. */
static void format_since(char out[16], uint32_t ms)
{
    time_t seconds = (time_t)((clr_clock_wall_ms() - ms) / 1000);
    struct tm tm;
    localtime_r(&seconds, &tm);
    strftime(out, 16, "%H:%M:%S", &tm);
}

static void log_blocked(clr_health_t *h, uint32_t ms, clr_str_t stack)
{
    char since[16];
    clr_buf_t text = {0};
    format_since(since, ms);
    clr_buf_printf(&text, "worker %u (pid %d) has been blocked for %.1f s, since %s: ",
                   clr_worker_number(h->worker), h->pid, ms / 1e3, since);
    clr_buf_append_str(&text, clr_buf_str(&h->where));
    if (stack.n) {
        clr_buf_putc(&text, '\n');
        clr_buf_append_str(&text, stack);
    }
    clr_log_text(CLR_LOG_WARN, LOG, clr_buf_str(&text));
    clr_buf_deinit(&text);
}

static void log_turning(const clr_health_t *h, uint32_t ms)
{
    clr_str_t where = clr_buf_str(&h->where);
    clr_log_warn(LOG, "worker %u (pid %d) goes on after it was blocked for %.1f s%s%.*s",
                 clr_worker_number(h->worker), h->pid, ms / 1e3, where.n ? ": " : "",
                 CLR_STR_ARG(where));
}

/* ---- the states ---- */

static void wait_longer(clr_health_t *h, uint64_t ms)
{
    h->loads = clr_worker_loads(h->worker);
    clr_loop_timer_start(h->gw->loop, &h->give_up, ms);
}

/* Some of the time went into loading the app anew, which may take as long as it likes. */
static bool has_loaded(const clr_health_t *h)
{
    uint64_t loads = clr_worker_loads(h->worker);
    return loads != h->loads || loads % 2 == 1;
}

static void on_give_up(clr_timer_t *t)
{
    clr_health_t *h = clr_container_of(t, clr_health_t, give_up);
    if (has_loaded(h)) {
        wait_longer(h, h->gw->options.handler_timeout_ms);
        return;
    }
    if (clr_worker_state(h->worker) != CLR_WORKER_READY)
        return; /* whoever stops it has a limit of its own */
    h->state = HEALTH_GIVEN_UP;
    clr_log_error(LOG, "worker %u (pid %d) is given up: it is blocked for longer than %.1f s",
                  clr_worker_number(h->worker), h->pid,
                  (double)h->gw->options.handler_timeout_ms / 1e3);
    clr_worker_give_up(h->worker);
}

static void begin_blocked(clr_health_t *h, uint32_t ms, clr_str_t handler, clr_str_t place)
{
    uint64_t limit = h->gw->options.handler_timeout_ms;
    h->state = HEALTH_BLOCKED;
    clr_buf_clear(&h->where);
    clr_buf_append_str(&h->where, handler.n ? handler : CLR_STR("something"));
    if (place.n) {
        clr_buf_append_str(&h->where, CLR_STR(", at "));
        clr_buf_append_str(&h->where, place);
    }
    if (limit > 0)
        wait_longer(h, limit > ms ? limit - ms : 0);
}

static void end_blocked(clr_health_t *h)
{
    clr_timer_stop(&h->give_up);
    if (h->state == HEALTH_BLOCKED)
        h->state = HEALTH_TURNING;
    clr_buf_deinit(&h->where);
}

/* It goes on: requests may have waited for it, and it may have nothing else to say. */
static void resume(clr_health_t *h)
{
    end_blocked(h);
    clr_trim_backlog_left(&h->gw->trim);
    if (h->worker)
        clr_app_pump(h->gw);
}

/* Of a watchdog that keeps the order; the end of a short block may come without its beginning. */
static int on_blocked(clr_health_t *h, const clr_frame_t *frame)
{
    clr_reader_t r = clr_reader(frame->payload);
    uint8_t blocked = clr_read_u8(&r);
    uint32_t ms = clr_read_u32(&r);
    clr_str_t handler = clr_read_str(&r);
    clr_str_t place = clr_read_str(&r);
    clr_str_t stack = clr_read_str(&r);
    if (clr_reader_done(&r) != 0 || blocked > 1 || handler.n > CLR_HEALTH_TEXT_MAX ||
        place.n > CLR_HEALTH_TEXT_MAX || stack.n > CLR_HEALTH_TEXT_MAX ||
        (blocked && h->state == HEALTH_BLOCKED))
        return CLR_EPROTO;
    if (h->state == HEALTH_GIVEN_UP)
        return 0;
    if (blocked) {
        begin_blocked(h, ms, handler, place);
        log_blocked(h, ms, stack);
    } else {
        log_turning(h, ms);
        resume(h);
    }
    return 0;
}

static int on_stats(clr_health_t *h, const clr_frame_t *frame)
{
    clr_reader_t r = clr_reader(frame->payload);
    uint32_t lag = clr_read_u32(&r);
    uint32_t handlers = clr_read_u32(&r);
    if (clr_reader_done(&r) != 0)
        return CLR_EPROTO;
    h->lag_us = lag;
    h->handlers = handlers;
    return 0;
}

/* ---- the stream ---- */

static int on_frame(const clr_frame_t *frame, void *ctx)
{
    clr_health_t *h = ctx;
    h->gw->metrics.frames_received[frame->type]++;
    switch (frame->type) {
    case CLR_FRAME_BLOCKED:
        return on_blocked(h, frame);
    case CLR_FRAME_STATS:
        return on_stats(h, frame);
    default:
        return CLR_EPROTO;
    }
}

/* At its end the watchdog has stopped, as in a worker that stops. One that breaks the rules is the
 * worker's fault. */
static void on_down(int reason, void *ctx)
{
    clr_health_t *h = ctx;
    clr_worker_t *w = h->worker;
    resume(h);
    clr_link_close(h->link);
    if (w && reason == CLR_EPROTO)
        clr_worker_detach(w);
}

static void on_closed(void *ctx)
{
    clr_health_t *h = ctx;
    h->link = NULL;
    if (!h->worker)
        free(h);
}

int clr_health_open(clr_health_t **out, clr_gateway_t *gw, clr_worker_t *w, int fd, int pid)
{
    static const clr_link_ops_t ops = {on_frame, on_down, on_closed};
    clr_health_t *h = clr_xcalloc(1, sizeof(*h));
    h->gw = gw;
    h->worker = w;
    h->pid = pid;
    clr_timer_init(&h->give_up, on_give_up);
    int rc = clr_link_open(&h->link, gw->loop, fd, &ops, h);
    if (rc != 0) {
        free(h);
        return rc;
    }
    *out = h;
    return 0;
}

void clr_health_close(clr_health_t *h)
{
    if (!h)
        return;
    end_blocked(h);
    h->worker = NULL;
    if (h->link)
        clr_link_close(h->link);
    else
        free(h);
}

clr_health_figures_t clr_health_figures(const clr_health_t *h)
{
    if (!h)
        return (clr_health_figures_t){0};
    return (clr_health_figures_t){h->state != HEALTH_TURNING, h->lag_us, h->handlers};
}
