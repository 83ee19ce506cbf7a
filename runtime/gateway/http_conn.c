/* http_conn.c: a connection's life, its input and its time limits. Responses: exchange.c.
 *
 * Two halves move independently: the request being read (state) and the exchange being answered
 * (x.ended_). settle() brings them together; it runs only from the loop, so that a handler that
 * answers is never called back from inside its own call.
 */
#include "gateway/http_conn.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "gateway/compress.h"
#include "gateway/http_conn_internal.h"
#include "gateway/pools.h"
#include "gateway/router.h"

/* Bytes of further requests that are held while one is answered; the client is not read beyond. One
 * read may exceed it. */
#define PIPELINE_MAX (64u << 10)

/* Response bytes that the client may leave unread before its next request is looked at. */
#define UNREAD_MAX (128u << 10)

/* How long a client may take to read the last response and to close. */
#define CLOSE_TIMEOUT_MS 5000

static void settle(clr_http_conn_t *conn);

/* --- closing --- */

static bool is_over(const clr_http_conn_t *conn)
{
    return conn->state == CLR_HTTP_CONN_CLOSING || conn->state == CLR_HTTP_CONN_UPGRADED;
}

/* The exchange is in a handler's hands and not yet answered in full. */
static bool is_active(const clr_http_conn_t *conn)
{
    return conn->head_told && !conn->x.ended_;
}

static void release(clr_http_conn_t *conn)
{
    clr_pools_give_http(conn->gw->pools, conn->parser);
    conn->parser = NULL;
    conn->x.head = NULL;
    clr_compress_end(&conn->x);
}

static void close_conn(clr_http_conn_t *conn, bool flushed)
{
    if (is_over(conn))
        return;
    conn->state = CLR_HTTP_CONN_CLOSING;
    clr_timer_stop(&conn->timer);
    clr_flush_cancel(&conn->resume);
    clr_buf_deinit(&conn->held);
    if (flushed)
        clr_stream_close_flushed(conn->stream, CLOSE_TIMEOUT_MS);
    else
        clr_stream_close(conn->stream);
}

/* Tells the handler that there will be no (more) response to send. */
static void abort_exchange(clr_http_conn_t *conn)
{
    if (!is_active(conn))
        return;
    CLR_ASSERT(conn->x.handler);
    conn->head_told = 0;
    conn->drained = NULL;
    if (conn->x.handler->on_abort)
        conn->x.handler->on_abort(&conn->x);
}

void clr_http_conn_abort(clr_http_conn_t *conn)
{
    abort_exchange(conn);
    close_conn(conn, false);
}

/* The client broke a rule or a limit. */
static void fail(clr_http_conn_t *conn, int status, const char *reason)
{
    clr_log_debug("http", "refused: %d %s", status, reason);
    bool can_answer = !conn->x.responded_, answered = conn->x.ended_;
    abort_exchange(conn);
    if (is_over(conn))
        return;
    if (can_answer) {
        conn->x.close_after_ = 1;
        clr_exchange_error(&conn->x, status, reason);
    }
    conn->x.ended_ = 1;
    /* A response that was cut must not look complete: no flush. */
    close_conn(conn, can_answer || answered);
}

void clr_http_conn_close(clr_http_conn_t *conn, bool flushed)
{
    close_conn(conn, flushed);
}

void clr_exchange_kill(clr_exchange_t *x)
{
    x->ended_ = 1;
    close_conn(x->conn, false);
}

/* --- time limits --- */

/* The client holds its body back until the handler asks for it. */
static bool awaits_continue(const clr_exchange_t *x)
{
    return x->late_continue && !x->continued_ && !x->ended_ && x->received_ == 0;
}

static uint64_t time_limit(const clr_http_conn_t *conn)
{
    const clr_gateway_options_t *o = &conn->gw->options;
    switch (conn->state) {
    case CLR_HTTP_CONN_IDLE:
        return o->idle_timeout_ms;
    case CLR_HTTP_CONN_HEAD:
        return o->header_timeout_ms;
    case CLR_HTTP_CONN_BODY: /* the client's time, unless it waits for us */
        return conn->paused || awaits_continue(&conn->x) ? 0 : o->body_timeout_ms;
    case CLR_HTTP_CONN_PARKED: /* the handler's time, unless the client lets a response wait */
        return conn->drained ? o->body_timeout_ms : 0;
    default:
        return 0;
    }
}

/* Starts the timer of the state, once per state; conn->timed is cleared where a state begins. */
static void arm(clr_http_conn_t *conn)
{
    if (conn->timed)
        return;
    conn->timed = 1;
    uint64_t limit = time_limit(conn);
    if (limit > 0)
        clr_loop_timer_start(conn->gw->loop, &conn->timer, limit);
    else
        clr_timer_stop(&conn->timer);
}

void clr_http_conn_rearm(clr_http_conn_t *conn)
{
    conn->timed = 0;
    if (!conn->parsing)
        arm(conn);
}

static void enter(clr_http_conn_t *conn, clr_http_state_t state)
{
    conn->state = state;
    conn->timed = 0;
}

void clr_http_conn_await_drain(clr_http_conn_t *conn)
{
    conn->stall_mark = clr_stream_unsent(conn->stream);
    conn->timed = 0;
    arm(conn);
}

static void on_timeout(clr_timer_t *timer)
{
    clr_http_conn_t *conn = clr_container_of(timer, clr_http_conn_t, timer);
    switch (conn->state) {
    case CLR_HTTP_CONN_HEAD:
        fail(conn, 408, "the request head took too long");
        return;
    case CLR_HTTP_CONN_BODY:
        fail(conn, 408, "the request body took too long");
        return;
    case CLR_HTTP_CONN_PARKED:
        if (clr_stream_unsent(conn->stream) < conn->stall_mark) {
            clr_http_conn_await_drain(conn);
            return;
        }
        abort_exchange(conn);
        close_conn(conn, false);
        return;
    default:
        close_conn(conn, false);
    }
}

/* --- requests --- */

static void begin_request(clr_http_conn_t *conn)
{
    conn->parser = clr_pools_take_http(conn->gw->pools);
    conn->x = (clr_exchange_t){
        .gw = conn->gw,
        .conn = conn,
        .body_limit = conn->gw->options.http.body_bytes,
        .began_ms_ = clr_loop_now(conn->gw->loop),
    };
    enter(conn, CLR_HTTP_CONN_HEAD);
}

static bool wants_continue(const clr_http_head_t *head)
{
    return head->expect_continue && head->has_body && head->minor >= 1;
}

void clr_exchange_continue(clr_exchange_t *x)
{
    if (x->conn->state != CLR_HTTP_CONN_BODY || x->responded_ || x->continued_ ||
        !wants_continue(x->head))
        return;
    x->continued_ = 1;
    if (x->received_ > 0) /* it did not wait */
        return;
    clr_stream_write(x->conn->stream, CLR_STR("HTTP/1.1 100 Continue\r\n\r\n"));
    clr_http_conn_rearm(x->conn);
}

static bool is_too_large(const clr_http_conn_t *conn)
{
    const clr_exchange_t *x = &conn->x;
    return !x->ended_ && (x->received_ > x->body_limit || x->head->content_length > x->body_limit);
}

static void take_head(clr_http_conn_t *conn, bool body_is_here)
{
    clr_exchange_t *x = &conn->x;
    x->head = clr_http_parser_head(conn->parser);
    enter(conn, CLR_HTTP_CONN_BODY);
    clr_router_route(x);
    conn->head_told = 1;
    x->handler->on_head(x);
    if (is_over(conn))
        return;
    if (is_too_large(conn))
        fail(conn, 413, "the request body is larger than the limit");
    else if (!x->late_continue && !body_is_here)
        clr_exchange_continue(x);
}

static void take_body(clr_http_conn_t *conn, clr_str_t piece)
{
    clr_exchange_t *x = &conn->x;
    CLR_ASSERT(x->head && x->handler); /* take_head() came before */
    x->received_ += piece.n;
    conn->timed = 0; /* the limit is between two pieces */
    if (is_too_large(conn))
        fail(conn, 413, "the request body is larger than the limit");
    else if (is_active(conn) && x->handler->on_body)
        x->handler->on_body(x, piece);
    else if (x->ended_ && x->received_ > CLR_HTTP_DROP_MAX)
        x->close_after_ = 1;
}

static void take_end(clr_http_conn_t *conn)
{
    CLR_ASSERT(conn->x.handler);
    enter(conn, CLR_HTTP_CONN_PARKED);
    if (is_active(conn) && conn->x.handler->on_end)
        conn->x.handler->on_end(&conn->x);
}

/* One step of the parser. False when there is nothing more to do with the input. */
static bool parse_step(clr_http_conn_t *conn, clr_str_t *in)
{
    clr_str_t piece;
    switch (clr_http_parser_next(conn->parser, in, &piece)) {
    case CLR_HTTP_HEAD:
        take_head(conn, in->n > 0);
        return true;
    case CLR_HTTP_BODY:
        take_body(conn, piece);
        return true;
    case CLR_HTTP_END:
        take_end(conn);
        return true;
    case CLR_HTTP_ERROR:
        fail(conn, clr_http_parser_status(conn->parser), clr_http_parser_reason(conn->parser));
        return false;
    default:
        return false;
    }
}

static bool is_receiving(const clr_http_conn_t *conn)
{
    return conn->state == CLR_HTTP_CONN_HEAD || conn->state == CLR_HTTP_CONN_BODY;
}

/* A client that pipelines requests must read the responses: what it leaves is bounded. */
static bool may_begin(clr_http_conn_t *conn)
{
    if (clr_stream_pending(conn->stream) <= UNREAD_MAX)
        return true;
    conn->unread = 1;
    clr_stream_want_drain(conn->stream);
    return false;
}

/* Goes as far with the input as the pending response allows. */
static void parse(clr_http_conn_t *conn, clr_str_t *in)
{
    CLR_ASSERT(!conn->parsing);
    conn->parsing = 1;
    bool more = true;
    while (more) {
        settle(conn);
        if (conn->state == CLR_HTTP_CONN_IDLE && in->n > 0 && may_begin(conn))
            begin_request(conn);
        more = is_receiving(conn) && parse_step(conn, in);
    }
    conn->parsing = 0;
    if (!is_over(conn))
        arm(conn);
}

/* --- bytes that wait --- */

static void update_reading(clr_http_conn_t *conn)
{
    if (conn->held.n >= PIPELINE_MAX)
        conn->throttled = 1;
    else if (conn->held.n == 0)
        conn->throttled = 0;
    if (conn->throttled || conn->paused)
        clr_stream_read_stop(conn->stream);
    else
        clr_stream_read_start(conn->stream);
}

/* What the parse did not take: for the next request, or for whom the connection was handed to. */
static void put_rest(clr_http_conn_t *conn, clr_stream_t *stream, clr_str_t rest)
{
    if (conn->state == CLR_HTTP_CONN_CLOSING) {
        return;
    }
    if (conn->state == CLR_HTTP_CONN_UPGRADED) {
        if (rest.n > 0 && !clr_stream_is_closing(stream))
            stream->ops->on_read(stream, (char *)rest.p, rest.n);
        free(conn);
        return;
    }
    clr_buf_append_str(&conn->held, rest);
    update_reading(conn);
}

static void on_read(clr_stream_t *stream, char *data, size_t n)
{
    clr_http_conn_t *conn = clr_stream_owner(stream);
    clr_str_t in = clr_str(data, n);
    if (conn->held.n == 0)
        parse(conn, &in);
    put_rest(conn, stream, in);
}

/* From the flush pass: a response was completed outside of the parse. */
static void on_resume(clr_flush_t *f)
{
    clr_http_conn_t *conn = clr_container_of(f, clr_http_conn_t, resume);
    clr_stream_t *stream = conn->stream;
    clr_buf_t held = conn->held;
    clr_buf_init(&conn->held);
    clr_str_t in = clr_buf_str(&held);
    parse(conn, &in);
    put_rest(conn, stream, in);
    clr_buf_deinit(&held);
}

/* --- the two halves --- */

void clr_http_conn_response_done(clr_http_conn_t *conn)
{
    conn->drained = NULL;
    if (!conn->parsing && !is_over(conn))
        clr_loop_mark(conn->gw->loop, &conn->resume);
}

static void settle(clr_http_conn_t *conn)
{
    clr_exchange_t *x = &conn->x;
    if (!x->ended_ || is_over(conn))
        return;
    if (x->close_after_ && (is_receiving(conn) || conn->state == CLR_HTTP_CONN_PARKED)) {
        close_conn(conn, true);
    } else if (conn->state == CLR_HTTP_CONN_PARKED) {
        release(conn);
        conn->head_told = 0;
        enter(conn, CLR_HTTP_CONN_IDLE);
        if (conn->gw->draining && conn->held.n == 0)
            close_conn(conn, true);
    }
    if (conn->paused && !is_over(conn)) {
        conn->paused = 0;
        update_reading(conn);
    }
}

void clr_exchange_pause(clr_exchange_t *x, bool paused)
{
    clr_http_conn_t *conn = x->conn;
    if (is_over(conn))
        return;
    if (conn->paused == paused)
        return;
    conn->paused = paused;
    update_reading(conn);
    if (conn->state == CLR_HTTP_CONN_BODY)
        clr_http_conn_rearm(conn);
}

/* --- the stream --- */

static void on_end(clr_stream_t *stream, int status)
{
    clr_http_conn_t *conn = clr_stream_owner(stream);
    /* A client that closed its half still gets the responses that are complete. */
    bool cut = is_active(conn) && conn->x.responded_;
    abort_exchange(conn);
    close_conn(conn, status == 0 && !cut);
}

static void on_drain(clr_stream_t *stream)
{
    clr_http_conn_t *conn = clr_stream_owner(stream);
    void (*drained)(clr_exchange_t *) = conn->drained;
    if (conn->unread && !is_over(conn))
        clr_loop_mark(conn->gw->loop, &conn->resume);
    conn->unread = 0;
    if (!drained || !is_active(conn))
        return;
    conn->drained = NULL;
    conn->timed = 0;
    drained(&conn->x);
    if (!is_over(conn))
        arm(conn);
}

static void on_closed(clr_stream_t *stream)
{
    clr_http_conn_t *conn = clr_stream_owner(stream);
    CLR_ASSERT(conn->state == CLR_HTTP_CONN_CLOSING);
    conn->gw->metrics.connections_closed++;
    release(conn);
    clr_list_remove(&conn->node);
    free(conn->addresses);
    free(stream);
    clr_gateway_t *gw = conn->gw;
    free(conn);
    clr_capacity_give(&gw->capacity);
    clr_trim_client_left(&gw->trim);
}

static const clr_stream_ops_t stream_ops = {
    .on_read = on_read,
    .on_end = on_end,
    .on_drain = on_drain,
    .on_closed = on_closed,
};

static void start(clr_http_conn_t *conn)
{
    clr_list_remove(&conn->node);
    clr_list_push_back(&conn->gw->conns, &conn->node);
    enter(conn, CLR_HTTP_CONN_IDLE);
    arm(conn);
    clr_stream_read_start(conn->stream);
}

bool clr_http_conn_accept(clr_gateway_t *gw, uv_stream_t *listener)
{
    if (!clr_capacity_take(&gw->capacity))
        return false;
    clr_stream_t *stream = clr_xmalloc(sizeof(*stream));
    int err = clr_stream_accept(stream, gw->loop, listener, &stream_ops);
    if (err) {
        gw->metrics.connections_rejected++;
        clr_log_warn("http", "cannot accept a connection: %s", clr_strerror(err));
        free(stream);
        clr_capacity_give(&gw->capacity);
        return false;
    }
    gw->metrics.connections_accepted++;
    clr_http_conn_t *conn = clr_xcalloc(1, sizeof(*conn));
    conn->stream = stream;
    conn->gw = gw;
    conn->state = CLR_HTTP_CONN_WAITING;
    clr_stream_set_owner(stream, conn);
    clr_timer_init(&conn->timer, on_timeout);
    clr_flush_init(&conn->resume, on_resume);
    clr_list_push_back(&gw->waiting, &conn->node);
    if (gw->ready)
        start(conn);
    return true;
}

clr_stream_t *clr_http_conn_detach(clr_http_conn_t *conn, clr_buf_t *early)
{
    CLR_ASSERT(conn->state == CLR_HTTP_CONN_BODY || conn->state == CLR_HTTP_CONN_PARKED);
    clr_stream_t *stream = conn->stream;
    conn->x.ended_ = 1;
    conn->state = CLR_HTTP_CONN_UPGRADED;
    clr_timer_stop(&conn->timer);
    clr_flush_cancel(&conn->resume);
    clr_list_remove(&conn->node);
    release(conn);
    free(conn->addresses);
    conn->addresses = NULL;
    *early = conn->held;
    clr_buf_init(&conn->held);
    if (!conn->parsing)
        free(conn); /* else the parse is still to see that it is over */
    return stream;
}

/* --- all of them --- */

void clr_http_conns_start(clr_gateway_t *gw)
{
    clr_list_each(node, &gw->waiting) start(clr_container_of(node, clr_http_conn_t, node));
}

void clr_http_conns_drain(clr_gateway_t *gw)
{
    clr_list_each(waiting, &gw->waiting)
        close_conn(clr_container_of(waiting, clr_http_conn_t, node), false);
    clr_list_each(node, &gw->conns)
    {
        clr_http_conn_t *conn = clr_container_of(node, clr_http_conn_t, node);
        if (conn->state == CLR_HTTP_CONN_IDLE)
            close_conn(conn, true);
        else
            conn->x.close_after_ = 1;
    }
}

void clr_http_conns_kill(clr_gateway_t *gw)
{
    clr_list_each(waiting, &gw->waiting)
        close_conn(clr_container_of(waiting, clr_http_conn_t, node), false);
    clr_list_each(node, &gw->conns)
    {
        clr_http_conn_t *conn = clr_container_of(node, clr_http_conn_t, node);
        abort_exchange(conn);
        close_conn(conn, false);
        clr_stream_close(conn->stream);
    }
}
