/* worker.c: one worker as the gateway sees it: frames to it and from it, its states (dispatch.h).
 */
#include <stdlib.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "clrun/version.h"
#include "gateway/dispatch_internal.h"
#include "gateway/eio_server.h"
#include "gateway/eio_session.h"
#include "gateway/loans.h"
#include "gateway/migrate.h"
#include "gateway/worker_frames.h"

#define LOG "dispatch"

/* How often a congested worker is looked at when no CREDIT frame does it. */
#define CONGESTED_CHECK_MS 100

/* ---- frames to a worker ---- */

static void set_congested(clr_worker_t *w, bool congested)
{
    w->congested = congested;
    clr_log_warn(LOG,
                 congested ? "worker %u is behind: its clients are not read for now"
                           : "worker %u has caught up",
                 w->number);
    clr_list_each(node, &w->sessions) clr_eio_session_pause(
        clr_container_of(node, clr_eio_session_t, node_), CLR_EIO_PAUSE_CONGESTED, congested);
    clr_app_worker_congested(&w->requests);
    /* When it has caught up, the timer comes once more, for the requests that wait for it: whoever
     * writes to a worker may be placing one of them. */
    if (congested)
        clr_loop_timer_start(w->gw->loop, &w->recheck, CONGESTED_CHECK_MS);
}

static void check_congestion(clr_worker_t *w)
{
    size_t bytes = clr_outbox_waiting(&w->outbox) + clr_link_pending(w->link);
    if (!w->congested && bytes > CLR_DISPATCH_HIGH)
        set_congested(w, true);
    else if (w->congested && bytes < CLR_DISPATCH_LOW)
        set_congested(w, false);
}

static void on_recheck(clr_timer_t *t)
{
    clr_worker_t *w = clr_container_of(t, clr_worker_t, recheck);
    check_congestion(w);
    if (w->congested)
        clr_loop_timer_start(w->gw->loop, t, CONGESTED_CHECK_MS);
    else
        clr_app_pump(w->gw);
}

clr_buf_t *clr_worker_begin(clr_worker_t *w, uint8_t type, uint8_t flags, uint64_t stream)
{
    if (!clr_outbox_is_owed(&w->outbox))
        w->asked_ms = clr_loop_now(w->gw->loop);
    CLR_ASSERT(w->state != CLR_WORKER_GONE);
    w->gw->metrics.frames_sent[type]++;
    return clr_outbox_begin(&w->outbox, type, flags, stream);
}

void clr_worker_end(clr_worker_t *w)
{
    clr_outbox_end(&w->outbox);
    if (w->state != CLR_WORKER_GONE)
        check_congestion(w);
}

/* ---- frames from a worker ---- */

static int on_hello(clr_worker_t *w, const clr_frame_t *frame)
{
    clr_reader_t r = clr_reader(frame->payload);
    uint32_t version = clr_read_u32(&r);
    uint32_t pid = clr_read_u32(&r);
    clr_str_t python = clr_read_str(&r);
    clr_read_str(&r); /* clrun's own version: for people who read the bytes */
    if (clr_reader_done(&r) != 0 || w->hello)
        return CLR_EPROTO;
    if (version != CLR_LINK_VERSION) {
        clr_log_error(LOG, "worker %u speaks version %u of the link, this gateway %u", w->number,
                      version, CLR_LINK_VERSION);
        return CLR_EPROTO;
    }
    w->hello = true;
    if (w->ops->on_hello)
        w->ops->on_hello(w, pid, python, w->ctx);
    return 0;
}

static void ask_to_move(const clr_worker_t *w)
{
    clr_list_each(node, &w->sessions)
        clr_session_move(clr_container_of(node, clr_eio_session_t, node_), NULL);
}

/* There is somebody now who can take over. */
static void relieve_retiring(const clr_gateway_t *gw)
{
    clr_list_each(node, &gw->dispatch->workers)
    {
        const clr_worker_t *w = clr_container_of(node, clr_worker_t, node_);
        if (w->state == CLR_WORKER_RETIRING)
            ask_to_move(w);
    }
}

/* What it said of its servers while it loaded counts now. */
static int apply_offers(clr_worker_t *w)
{
    clr_error_t err = {0};
    int rc = clr_eio_servers_apply(w->gw, &w->offers, true, &err);
    if (rc != 0)
        clr_log_error(LOG, "worker %u: %s", w->number, err.text);
    return rc;
}

static void begin_to_serve(clr_worker_t *w)
{
    w->state = CLR_WORKER_READY;
    clr_app_set_known(w->gw, w->has_app);
    clr_folders_add(&w->gw->folders, &w->folders);
    w->has_served = true;
    clr_app_pump(w->gw);
    clr_list_t waiting;
    clr_list_take(&waiting, &w->gw->dispatch->waiting);
    for (clr_list_t *node; (node = clr_list_pop_front(&waiting));)
        clr_eio_session_place(clr_container_of(node, clr_eio_session_t, node_));
    relieve_retiring(w->gw);
}

static int on_ready(clr_worker_t *w)
{
    if (w->state == CLR_WORKER_STOPPING)
        return 0;
    if (w->state != CLR_WORKER_LOADING)
        return CLR_EPROTO;
    bool stands_by = w->stands_by; /* clr_worker_enlist() does the rest */
    int rc = stands_by ? 0 : apply_offers(w);
    if (rc != 0)
        return rc;
    w->state = stands_by ? CLR_WORKER_STANDBY : CLR_WORKER_READY;
    if (w->ops->on_ready)
        w->ops->on_ready(w, w->ctx);
    if (!stands_by && w->state == CLR_WORKER_READY)
        begin_to_serve(w);
    return 0;
}

static int on_app(clr_worker_t *w, const clr_frame_t *frame)
{
    bool is_in_time = w->state == CLR_WORKER_LOADING || w->gw->refresh;
    return is_in_time ? clr_app_declare(w->gw, w, frame) : CLR_EPROTO;
}

static bool has_been_ready(const clr_worker_t *w)
{
    return w->state == CLR_WORKER_STANDBY || w->state == CLR_WORKER_READY ||
           w->state == CLR_WORKER_RETIRING;
}

static int on_failed(clr_worker_t *w, const clr_frame_t *frame)
{
    clr_reader_t r = clr_reader(frame->payload);
    uint8_t kind = clr_read_u8(&r);
    clr_str_t text = clr_read_str(&r);
    if (clr_reader_done(&r) != 0 || has_been_ready(w))
        return CLR_EPROTO;
    if (w->ops->on_failed)
        w->ops->on_failed(w, kind, text, w->ctx);
    return 0;
}

static int on_credit(clr_worker_t *w, const clr_frame_t *frame)
{
    clr_reader_t r = clr_reader(frame->payload);
    uint32_t count = clr_read_u32(&r);
    if (clr_reader_done(&r) != 0 || clr_outbox_credit(&w->outbox, count) != 0)
        return CLR_EPROTO;
    check_congestion(w);
    w->asked_ms = clr_loop_now(w->gw->loop);
    clr_app_pump(w->gw);
    return 0;
}

static int on_log(const clr_frame_t *frame)
{
    clr_reader_t r = clr_reader(frame->payload);
    uint8_t level = clr_read_u8(&r);
    clr_str_t module = clr_read_str(&r);
    clr_str_t text = clr_read_str(&r);
    if (clr_reader_done(&r) != 0 || level > CLR_LOG_ERROR)
        return CLR_EPROTO;
    char name[64];
    size_t n = module.n < sizeof(name) - 1 ? module.n : sizeof(name) - 1;
    for (size_t i = 0; i < n; i++)
        name[i] = module.p[i] > ' ' && module.p[i] < 0x7f ? module.p[i] : '?';
    name[n] = '\0';
    clr_log_text((clr_log_level_t)level, name, text);
    return 0;
}

static int on_cleared(clr_worker_t *w, const clr_frame_t *frame)
{
    if (frame->payload.n > 0 || frame->stream == 0 || frame->stream > w->clears)
        return CLR_EPROTO;
    w->is_clear = w->clear_asked && frame->stream == w->clears;
    return 0;
}

static int on_stopped(clr_worker_t *w)
{
    if (w->ops->on_stopped)
        w->ops->on_stopped(w, w->ctx);
    return 0;
}

static int on_server(clr_worker_t *w, const clr_frame_t *frame)
{
    clr_reader_t r = clr_reader(frame->payload);
    uint16_t number = clr_read_u16(&r);
    clr_str_t json = clr_read_str(&r);
    if (clr_reader_done(&r) != 0)
        return CLR_EPROTO;
    clr_error_t err = {0};
    bool serves = w->state != CLR_WORKER_LOADING && w->state != CLR_WORKER_STANDBY;
    clr_list_t at_once;
    clr_list_init(&at_once);
    int rc = clr_eio_server_offer(w->gw, serves ? &at_once : &w->offers, number, json, &err);
    if (rc == 0)
        rc = clr_eio_servers_apply(w->gw, &at_once, w->state == CLR_WORKER_READY, &err);
    if (rc != 0)
        clr_log_error(LOG, "worker %u: server %u: %s", w->number, number, err.text);
    return rc;
}

int clr_worker_find_server(clr_worker_t *w, uint16_t number, clr_eio_server_t **server)
{
    *server = clr_eio_server_find(w->gw, number);
    return *server || clr_eio_server_is_offered(&w->offers, number) ? 0 : CLR_EPROTO;
}

static int on_frame(const clr_frame_t *frame, void *ctx)
{
    clr_worker_t *w = ctx;
    w->gw->metrics.frames_received[frame->type]++;
    if (!w->hello && frame->type != CLR_FRAME_HELLO && frame->type != CLR_FRAME_LOG &&
        frame->type != CLR_FRAME_FAILED)
        return CLR_EPROTO;
    switch (frame->type) {
    case CLR_FRAME_HELLO:
        return on_hello(w, frame);
    case CLR_FRAME_SERVER:
        return on_server(w, frame);
    case CLR_FRAME_APP:
        return on_app(w, frame);
    case CLR_FRAME_READY:
        return frame->payload.n == 0 ? on_ready(w) : CLR_EPROTO;
    case CLR_FRAME_FAILED:
        return on_failed(w, frame);
    case CLR_FRAME_CREDIT:
        return on_credit(w, frame);
    case CLR_FRAME_LOG:
        return on_log(frame);
    case CLR_FRAME_CLEARED:
        return on_cleared(w, frame);
    case CLR_FRAME_STOPPED:
        return frame->payload.n == 0 ? on_stopped(w) : CLR_EPROTO;
    default:
        return clr_worker_frame(w->gw, w, frame);
    }
}

/* ---- life ---- */

static void drop_folders(clr_worker_t *w)
{
    if (w->has_served)
        clr_folders_remove(&w->gw->folders, &w->folders);
    w->has_served = false;
    clr_folders_drop(&w->folders);
}

static void on_down(int reason, void *ctx)
{
    clr_worker_t *w = ctx;
    w->state = CLR_WORKER_GONE;
    w->reason = reason;
    clr_loans_end(w);
    clr_timer_stop(&w->recheck);
    clr_list_t sessions;
    clr_list_take(&sessions, &w->sessions);
    clr_migrate_lost(w->gw, w, &w->outbox, &sessions);
    clr_eio_worker_gone(w->gw->dispatch->eio, w);
    clr_app_worker_gone(w->gw, &w->requests);
    clr_eio_servers_drop(&w->offers);
    drop_folders(w);
    clr_refresh_worker_gone(w->gw);
    clr_health_close(w->health);
    w->health = NULL;
    clr_link_close(w->link);
}

static void on_link_closed(void *ctx)
{
    clr_worker_t *w = ctx;
    clr_list_remove(&w->node_);
    if (w->ops->on_gone)
        w->ops->on_gone(w, w->reason, w->ctx);
    clr_outbox_deinit(&w->outbox);
    clr_trim_backlog_left(&w->gw->trim);
    free(w);
}

/* CONFIG, and the page and the arena along with it. */
static int send_config(clr_worker_t *w, int link_fd, clr_str_t config)
{
    int fd;
    clr_buf_t frame = {0};
    clr_outbox_init(&w->outbox, clr_page_make(&fd));
    size_t begun = clr_frame_begin(&frame, CLR_FRAME_CONFIG, 0, 0);
    clr_write_str(&frame, config);
    clr_frame_end(&frame, begun);
    int rc = clr_page_send(link_fd, clr_buf_str(&frame), fd, clr_loans_fd(w->gw));
    clr_buf_deinit(&frame);
    if (fd >= 0)
        close(fd);
    return rc;
}

int clr_worker_attach(clr_worker_t **out, clr_gateway_t *gw, int fd, unsigned number,
                      clr_str_t config, const clr_worker_ops_t *ops, void *ctx)
{
    static const clr_link_ops_t link_ops = {on_frame, on_down, on_link_closed};
    clr_worker_t *w = clr_xcalloc(1, sizeof(*w));
    w->gw = gw;
    w->ops = ops;
    w->ctx = ctx;
    w->number = number;
    w->state = CLR_WORKER_LOADING;
    clr_list_init(&w->sessions);
    clr_list_init(&w->requests);
    clr_list_init(&w->offers);
    clr_list_init(&w->folders);
    clr_timer_init(&w->recheck, on_recheck);
    int rc = send_config(w, fd, config);
    if (rc == 0)
        rc = clr_link_open(&w->link, gw->loop, fd, &link_ops, w);
    if (rc != 0) {
        clr_outbox_deinit(&w->outbox);
        free(w);
        return rc;
    }
    w->outbox.link = w->link;
    w->serial = gw->dispatch->next_serial++;
    clr_list_push_back(&gw->dispatch->workers, &w->node_);
    *out = w;
    return 0;
}

int clr_worker_watch(clr_worker_t *w, int fd, int pid)
{
    CLR_ASSERT(!w->health && w->state != CLR_WORKER_GONE);
    return clr_health_open(&w->health, w->gw, w, fd, pid);
}

const clr_health_t *clr_worker_health(const clr_worker_t *w)
{
    return w->health;
}

uint64_t clr_worker_loads(const clr_worker_t *w)
{
    return clr_page_loads(w->outbox.page);
}

void clr_worker_give_up(clr_worker_t *w)
{
    if (w->ops->on_given_up)
        w->ops->on_given_up(w, w->ctx);
}

void clr_worker_stand_by(clr_worker_t *w)
{
    CLR_ASSERT(w->state == CLR_WORKER_LOADING);
    w->stands_by = true;
}

void clr_worker_enlist(clr_worker_t *w)
{
    w->stands_by = false;
    if (w->state != CLR_WORKER_STANDBY)
        return;
    if (apply_offers(w) == 0)
        begin_to_serve(w);
    else
        clr_worker_detach(w);
}

void clr_worker_retire(clr_worker_t *w)
{
    if (w->state != CLR_WORKER_READY)
        return;
    w->state = CLR_WORKER_RETIRING;
    clr_app_worker_unready(w->gw);
    ask_to_move(w);
}

void clr_worker_move_all(clr_worker_t *w)
{
    clr_list_each(node, &w->sessions)
        clr_session_move_now(clr_container_of(node, clr_eio_session_t, node_), NULL);
    clr_app_end_websockets(&w->requests);
}

void clr_worker_clear(clr_worker_t *w)
{
    if (w->state != CLR_WORKER_RETIRING || w->session_count > 0 || w->clear_asked)
        return;
    w->clear_asked = true;
    clr_worker_begin(w, CLR_FRAME_CLEAR, 0, ++w->clears);
    clr_worker_end(w);
}

bool clr_worker_is_clear(const clr_worker_t *w)
{
    return w->state != CLR_WORKER_RETIRING || w->is_clear;
}

void clr_worker_stop(clr_worker_t *w, uint32_t grace_ms)
{
    if (w->state == CLR_WORKER_GONE || w->state == CLR_WORKER_STOPPING)
        return;
    w->state = CLR_WORKER_STOPPING;
    clr_buf_append_le(clr_worker_begin(w, CLR_FRAME_STOP, 0, 0), grace_ms, 4);
    clr_worker_end(w);
    clr_app_worker_unready(w->gw);
}

void clr_worker_detach(clr_worker_t *w)
{
    if (w->state != CLR_WORKER_GONE)
        on_down(CLR_ECLOSED, w);
}

clr_worker_state_t clr_worker_state(const clr_worker_t *w)
{
    return w->state;
}

unsigned clr_worker_number(const clr_worker_t *w)
{
    return w->number;
}

uint32_t clr_worker_sockets(const clr_worker_t *w)
{
    return w->sockets;
}

uint32_t clr_worker_sessions(const clr_worker_t *w)
{
    return w->session_count;
}

uint32_t clr_worker_requests(const clr_worker_t *w)
{
    return w->request_count;
}

uint32_t clr_worker_serial(const clr_worker_t *w)
{
    return w->serial;
}

void clr_worker_get_load(const clr_worker_t *w, clr_worker_load_t *out)
{
    out->credit = w->outbox.credit_;
    out->waiting = clr_outbox_waiting(&w->outbox);
    out->unsent = w->state != CLR_WORKER_GONE ? clr_link_pending(w->link) : 0;
}

bool clr_worker_is_open(const clr_worker_t *w)
{
    return clr_outbox_is_open(&w->outbox);
}

bool clr_worker_is_congested(const clr_worker_t *w)
{
    return w->congested;
}

uint64_t clr_worker_served(const clr_worker_t *w)
{
    return w->served;
}

void clr_worker_add_session(clr_worker_t *w, clr_list_t *session, bool is_new)
{
    clr_list_remove(session);
    clr_list_push_back(&w->sessions, session);
    w->session_count++;
    w->served += is_new;
    w->clear_asked = w->is_clear = false;
}

void clr_worker_remove_session(clr_worker_t *w, clr_list_t *session)
{
    CLR_ASSERT(w->session_count > 0);
    clr_list_remove(session);
    w->session_count--;
}

void clr_worker_count_socket(clr_worker_t *w, int delta)
{
    CLR_DCHECK(delta > 0 || w->sockets > 0);
    w->sockets += (uint32_t)delta;
}

clr_refresh_state_t *clr_worker_refresh(clr_worker_t *w)
{
    return &w->refresh;
}

/* ---- requests of the application ---- */

void clr_worker_set_app(clr_worker_t *w, clr_list_t *folders)
{
    clr_list_t old;
    clr_list_take(&old, &w->folders);
    clr_list_take(&w->folders, folders);
    if (w->has_served) { /* what both have stays */
        clr_folders_add(&w->gw->folders, &w->folders);
        clr_folders_remove(&w->gw->folders, &old);
    }
    clr_folders_drop(&old);
    w->has_app = true;
}

void clr_worker_add_request(clr_worker_t *w, clr_list_t *node)
{
    clr_list_push_back(&w->requests, node);
    w->request_count++;
}

void clr_worker_remove_request(clr_worker_t *w, clr_list_t *node)
{
    CLR_ASSERT(w->request_count > 0);
    clr_list_remove(node);
    w->request_count--;
}

bool clr_worker_takes_requests(const clr_worker_t *w)
{
    return (w->state == CLR_WORKER_READY || w->state == CLR_WORKER_RETIRING) && w->has_app;
}
