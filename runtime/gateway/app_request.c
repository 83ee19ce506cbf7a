/* app_request.c: a request's life: gathered, waiting, a worker's, gone. */
#include "gateway/app_request.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "gateway/affinity.h"
#include "gateway/app_internal.h"
#include "gateway/loans.h"

#define LOG "app"

/* Requests kept for the next clients, each with so much memory for a body. */
#define SPARE_MAX      256
#define SPARE_BODY_MAX (8u << 10)

/* Workers that may have a request before it is refused. */
#define TRIES_MAX 3

/* ---- the shared state ---- */

static void on_expiry(clr_timer_t *t);

clr_app_requests_t *clr_app_requests_new(clr_gateway_t *gw)
{
    clr_app_requests_t *app = clr_xcalloc(1, sizeof(*app));
    app->gw = gw;
    clr_list_init(&app->all);
    clr_list_init(&app->waiting);
    clr_list_init(&app->spare);
    clr_timer_init(&app->expiry, on_expiry);
    return app;
}

void clr_app_requests_free(clr_app_requests_t *app)
{
    CLR_ASSERT(app->count == 0);
    for (clr_list_t *node; (node = clr_list_pop_front(&app->spare));) {
        clr_app_request_t *r = clr_container_of(node, clr_app_request_t, all_);
        clr_buf_deinit(&r->body);
        free(r);
    }
    clr_timer_stop(&app->expiry);
    clr_buf_deinit(&app->headers);
    free(app);
}

bool clr_app_is_known(const clr_gateway_t *gw)
{
    return gw->app->known;
}

uint32_t clr_app_request_count(const clr_gateway_t *gw)
{
    return gw->app->count;
}

uint32_t clr_app_window(const clr_gateway_t *gw)
{
    size_t most = gw->options.max_buffered;
    return most > 0 && most < CLR_APP_WINDOW ? (uint32_t)most : CLR_APP_WINDOW;
}

int clr_app_declare(clr_gateway_t *gw, clr_worker_t *w, const clr_frame_t *frame)
{
    clr_reader_t r = clr_reader(frame->payload);
    clr_str_t json = clr_read_str(&r);
    if (clr_reader_done(&r) != 0)
        return CLR_EPROTO;
    clr_error_t err = {0};
    clr_list_t folders;
    clr_list_init(&folders);
    int rc = clr_folders_parse(&folders, json, &err);
    if (rc != 0) {
        clr_log_error(LOG, "worker %u: %s", clr_worker_number(w), err.text);
        return rc;
    }
    clr_worker_set_app(w, &folders);
    if (clr_worker_takes_requests(w))
        gw->app->known = true;
    return 0;
}

void clr_app_set_known(clr_gateway_t *gw, bool known)
{
    gw->app->known = known;
}

/* ---- life ---- */

static clr_app_request_t *new_request(clr_exchange_t *x)
{
    clr_app_requests_t *app = x->gw->app;
    clr_list_t *node = clr_list_pop_front(&app->spare);
    clr_app_request_t *r;
    if (node) {
        r = clr_container_of(node, clr_app_request_t, all_);
        app->spare_count--;
    } else {
        r = clr_xcalloc(1, sizeof(*r));
        clr_list_init(&r->node_);
    }
    clr_buf_t body = r->body; /* empty; its memory is used again */
    *r = (clr_app_request_t){.object.kind = CLR_OBJECT_REQUEST, .gw = x->gw, .x = x, .body = body};
    clr_list_init(&r->node_);
    clr_timer_init(&r->timer, NULL);
    clr_list_push_back(&app->all, &r->all_);
    app->count++;
    x->ctx = r;
    return r;
}

static void leave_queue(clr_app_request_t *r)
{
    CLR_ASSERT(r->state == CLR_APP_WAITING);
    clr_list_remove(&r->node_);
    r->gw->app->waiting_count--;
}

void clr_app_leave_worker(clr_app_request_t *r)
{
    if (!r->worker)
        return;
    clr_worker_remove_request(r->worker, &r->node_);
    clr_dispatch_remove(r->gw, r->handle);
    r->worker = NULL;
    r->handle = 0;
}

void clr_app_free(clr_app_request_t *r)
{
    clr_app_requests_t *app = r->gw->app;
    if (r->state == CLR_APP_WAITING && clr_list_is_linked(&r->node_))
        leave_queue(r);
    clr_app_leave_worker(r);
    clr_timer_stop(&r->timer);
    clr_list_remove(&r->all_);
    app->count--;
    clr_buf_clear(&r->body);
    if (r->body.cap > SPARE_BODY_MAX)
        clr_buf_deinit(&r->body);
    if (app->spare_count < SPARE_MAX) {
        clr_list_push_back(app->spare.next, &r->all_); /* to the front: it is in the cache */
        app->spare_count++;
        return;
    }
    clr_buf_deinit(&r->body);
    free(r);
}

clr_app_name_t clr_app_name(const clr_app_request_t *r)
{
    clr_app_name_t name;
    const clr_http_head_t *h = r->x ? r->x->head : NULL;
    if (h)
        snprintf(name.text, sizeof(name.text), "%.*s %.*s", CLR_STR_ARG(h->method),
                 (int)(h->path.n < 90 ? h->path.n : 90), h->path.p);
    else
        snprintf(name.text, sizeof(name.text), "a WebSocket");
    return name;
}

void clr_app_tell_gone(clr_app_request_t *r, uint16_t code, clr_str_t reason)
{
    if (!r->worker || r->told)
        return;
    r->told = 1;
    clr_app_send_gone(r, code, reason);
}

void clr_app_send_gone(clr_app_request_t *r, uint16_t code, clr_str_t reason)
{
    clr_buf_t *out = clr_worker_begin(
        r->worker, r->is_websocket ? CLR_FRAME_WS_GONE : CLR_FRAME_HTTP_GONE, 0, r->handle);
    if (r->is_websocket) {
        clr_buf_append_le(out, code, 2);
        clr_write_str(out, reason);
    }
    clr_worker_end(r->worker);
}

static void respond_busy(clr_exchange_t *x, const char *why)
{
    char body[120];
    int n = snprintf(body, sizeof(body), "503 Service Unavailable: %s\n", why);
    clr_exchange_respond(x, 503,
                         CLR_STR("Retry-After: 1\r\nContent-Type: text/plain; charset=utf-8\r\n"),
                         clr_str(body, (size_t)n));
}

void clr_app_refuse(clr_app_request_t *r, const char *why)
{
    clr_exchange_t *x = r->x;
    clr_app_free(r);
    respond_busy(x, why);
}

/* ---- placement ---- */

/* The body, without a copy in between of what came last. */
static void write_body(clr_app_request_t *r, clr_buf_t *out, clr_str_t more)
{
    clr_buf_append_le(out, r->body.n + more.n, 4);
    clr_buf_append_str(out, clr_buf_str(&r->body));
    clr_buf_append_str(out, more);
}

/* What came last is worth a frame of its own, for it need not be copied (loans.h). */
static bool goes_apart(const clr_app_request_t *r, clr_str_t last)
{
    return last.n >= CLR_LOANS_MIN && r->gw->loans && !r->parked;
}

static void send_request(clr_app_request_t *r, clr_worker_t *w, clr_str_t last)
{
    r->parked = !r->is_websocket && !r->complete && !clr_worker_is_open(w);
    bool is_apart = goes_apart(r, last);
    clr_str_t more = is_apart ? CLR_STR_EMPTY : last;
    uint8_t type = r->is_websocket ? CLR_FRAME_WS_OPEN : CLR_FRAME_HTTP_REQUEST, flags = 0;
    if (!r->is_websocket)
        flags = (uint8_t)((r->complete ? CLR_FRAME_END : 0) |
                          (r->continue_due ? CLR_FRAME_CONTINUE : 0));
    r->state = CLR_APP_ASKED;
    r->tries++;
    r->worker = w;
    r->handle = clr_dispatch_add(r->gw, &r->object);
    r->untaken = (uint32_t)(r->body.n + more.n);
    r->kept = r->body.n > 0;
    r->end_sent = r->complete;
    clr_worker_add_request(w, &r->node_);
    clr_buf_t *out = clr_worker_begin(w, type, flags, r->handle);
    clr_buf_append_le(out, clr_app_window(r->gw), 4);
    if (!r->is_websocket)
        write_body(r, out, more);
    clr_exchange_encode_request(r->x, r->is_websocket ? CLR_TRANSPORT_WEBSOCKET : 0, out);
    clr_worker_end(w);
    if (is_apart)
        clr_app_send_more(r, last);
    if (last.n > 0) {
        r->split = 1;
        clr_app_drop_kept(r);
    }
    clr_app_update_reading(r);
}

static void arm_expiry(clr_app_requests_t *app)
{
    if (clr_list_is_empty(&app->waiting) || clr_timer_is_active(&app->expiry))
        return;
    const clr_app_request_t *first = clr_container_of(app->waiting.next, clr_app_request_t, node_);
    uint64_t from = first->since_ms > app->unready_ms ? first->since_ms : app->unready_ms;
    clr_loop_timer_start_at(app->gw->loop, &app->expiry, from + CLR_APP_WAIT_MS);
}

/* None is ready: who waits must not do so for ever. */
static void check_unready(clr_app_requests_t *app)
{
    if (clr_dispatch_has_app_worker(app->gw)) {
        app->unready_ms = 0;
        clr_timer_stop(&app->expiry);
        return;
    }
    if (app->unready_ms == 0)
        app->unready_ms = clr_loop_now(app->gw->loop);
    while (app->gw->draining && !clr_list_is_empty(&app->waiting))
        clr_app_refuse(clr_container_of(app->waiting.next, clr_app_request_t, node_),
                       "shutting down");
    arm_expiry(app);
}

static void on_expiry(clr_timer_t *t)
{
    clr_app_requests_t *app = clr_container_of(t, clr_app_requests_t, expiry);
    uint64_t now = clr_loop_now(app->gw->loop);
    while (!clr_list_is_empty(&app->waiting)) {
        clr_app_request_t *r = clr_container_of(app->waiting.next, clr_app_request_t, node_);
        if (r->since_ms + CLR_APP_WAIT_MS > now)
            break;
        clr_app_refuse(r, "no worker is ready");
    }
    check_unready(app);
}

static void enqueue(clr_app_request_t *r, bool first)
{
    clr_app_requests_t *app = r->gw->app;
    clr_list_push_back(first ? app->waiting.next : &app->waiting, &r->node_);
    app->waiting_count++;
    clr_app_update_reading(r);
    check_unready(app);
}

/* The one that has what the request belongs to, however busy it is. */
static clr_worker_t *known_worker(const clr_app_request_t *r)
{
    clr_worker_t *w = clr_affinity_find(r->gw, r->x);
    return w && clr_worker_takes_requests(w) ? w : NULL;
}

void clr_app_place(clr_app_request_t *r, clr_str_t more)
{
    clr_app_requests_t *app = r->gw->app;
    clr_worker_t *w = known_worker(r);
    if (!w && app->waiting_count == 0)
        w = clr_dispatch_choose_app(r->gw);
    r->since_ms = clr_loop_now(r->gw->loop);
    if (w) {
        send_request(r, w, more);
        return;
    }
    clr_buf_append_str(&r->body, more);
    r->state = CLR_APP_WAITING;
    if (app->waiting_count >= CLR_APP_WAITING_MAX)
        clr_app_refuse(r, "too many requests wait");
    else
        enqueue(r, false);
}

void clr_app_pump(clr_gateway_t *gw)
{
    clr_app_requests_t *app = gw->app;
    while (app->waiting_count > 0) {
        clr_app_request_t *r = clr_container_of(app->waiting.next, clr_app_request_t, node_);
        clr_worker_t *w = known_worker(r);
        if (!w)
            w = clr_dispatch_choose_app(gw);
        if (!w)
            break;
        leave_queue(r);
        send_request(r, w, CLR_STR_EMPTY);
    }
    if (app->unready_ms > 0)
        check_unready(app);
}

/* ---- a worker that will not answer ---- */

/* Back to the front of the queue: it has waited before. */
static void place_again(clr_app_request_t *r)
{
    clr_app_leave_worker(r);
    r->state = CLR_APP_WAITING;
    r->kept = r->end_sent = r->unbegun = 0;
    r->untaken = r->used = 0;
    r->since_ms = clr_loop_now(r->gw->loop);
    enqueue(r, true);
}

void clr_app_rejected(clr_app_request_t *r)
{
    if (r->split || r->tries >= TRIES_MAX) {
        clr_app_leave_worker(r);
        clr_app_refuse(r, "the worker is stopping");
        return;
    }
    clr_gateway_t *gw = r->gw;
    place_again(r);
    clr_app_pump(gw);
}

void clr_app_never_begun(clr_gateway_t *gw, uint64_t stream)
{
    clr_app_request_t *r = clr_dispatch_find(gw, stream, CLR_OBJECT_REQUEST);
    if (!r || r->state != CLR_APP_ASKED)
        return;
    r->unbegun = 1;
    r->tries--;
}

/* What is done twice has the effect of once, and nothing of it was sent twice; or nobody began it.
 */
static bool may_repeat(const clr_app_request_t *r)
{
    clr_str_t method = r->x->head->method;
    if (r->unbegun)
        return !r->split;
    return r->tries < 2 && !r->x->head->has_body &&
           (clr_str_eq(method, CLR_STR("GET")) || clr_str_eq(method, CLR_STR("HEAD")) ||
            clr_str_eq(method, CLR_STR("OPTIONS")));
}

static void lost_worker(clr_app_request_t *r)
{
    if (r->state == CLR_APP_OPEN) {
        clr_app_leave_worker(r);
        clr_app_end_websocket(r, CLR_WS_RESTART, CLR_STR("the worker is gone"));
    } else if (r->state == CLR_APP_CLOSED) {
        clr_app_free(r);
    } else if (r->state == CLR_APP_RESPONDING) {
        clr_log_warn(LOG, "%s: the response is cut: its worker is gone", clr_app_name(r).text);
        clr_app_cut(r);
    } else if (may_repeat(r)) {
        place_again(r);
    } else {
        clr_exchange_t *x = r->x;
        clr_log_warn(LOG, "%s: 502: its worker is gone", clr_app_name(r).text);
        clr_app_free(r);
        clr_exchange_error(x, 502, "the worker is gone");
    }
}

void clr_app_worker_gone(clr_gateway_t *gw, clr_list_t *requests)
{
    while (!clr_list_is_empty(requests)) /* each leaves it */
        lost_worker(clr_container_of(requests->next, clr_app_request_t, node_));
    check_unready(gw->app);
    clr_app_pump(gw);
}

void clr_app_end_websockets(clr_list_t *requests)
{
    clr_list_each(node, requests)
    {
        clr_app_request_t *r = clr_container_of(node, clr_app_request_t, node_);
        if (r->state == CLR_APP_OPEN)
            clr_app_end_websocket(r, CLR_WS_RESTART, CLR_STR("the worker is replaced"));
    }
}

void clr_app_worker_unready(clr_gateway_t *gw)
{
    check_unready(gw->app);
}

void clr_app_worker_congested(clr_list_t *requests)
{
    clr_list_each(node, requests)
        clr_app_update_reading(clr_container_of(node, clr_app_request_t, node_));
}

void clr_app_shutdown(clr_gateway_t *gw)
{
    clr_list_each(node, &gw->app->all)
    {
        clr_app_request_t *r = clr_container_of(node, clr_app_request_t, all_);
        if (r->state == CLR_APP_OPEN)
            clr_app_end_websocket(r, CLR_WS_RESTART, CLR_STR("shutting down"));
    }
    check_unready(gw->app);
}

/* ---- the exchange ---- */

static bool wants_websocket(const clr_http_head_t *h)
{
    return h->upgrade &&
           clr_str_has_token(clr_http_head_get(h, CLR_STR("upgrade")), CLR_STR("websocket"));
}

static void on_head(clr_exchange_t *x)
{
    const clr_http_head_t *h = x->head;
    uint64_t most = x->gw->options.limit_concurrency;
    if (most > 0 && x->gw->app->count >= most) {
        respond_busy(x, "too many requests");
        return;
    }
    bool is_websocket = wants_websocket(h);
    if (is_websocket && !clr_ws_check(x))
        return;
    clr_app_request_t *r = new_request(x);
    r->is_websocket = is_websocket;
    r->complete = !h->has_body;
    r->continue_due = x->late_continue = h->expect_continue;
    if (r->complete || r->continue_due)
        clr_app_place(r, CLR_STR_EMPTY);
}

static void on_abort(clr_exchange_t *x)
{
    clr_app_request_t *r = clr_app_of(x);
    clr_app_tell_gone(r, CLR_WS_ABNORMAL, CLR_STR_EMPTY);
    clr_app_free(r);
}

const clr_handler_t clr_app_handler = {
    .on_head = on_head,
    .on_body = clr_app_on_body,
    .on_end = clr_app_on_end,
    .on_abort = on_abort,
    .kind = CLR_HANDLER_APP,
};
