/* ws_conn.c: see ws_conn.h.
 *
 * The owner hears of the end once, as soon as it is known: when the peer's close frame is there,
 * the stream broke, the rules were broken or the wait for the peer ended. The struct lives on,
 * without owner, until the stream is closed.
 */
#include "gateway/ws_conn.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "gateway/http_conn_internal.h"
#include "gateway/pools.h"
#include "gateway/ws_conn_internal.h"
#include "gateway/ws_deflate.h"

/* How long the peer may take to answer a close frame, and then to close the connection. */
#define CLOSE_WAIT_MS   3000
#define CLOSE_LINGER_MS 2000

/* Needed by few connections, for a short while. */
typedef struct clr_ws_extra {
    clr_ws_conn_t *ws;
    clr_timer_t close_timer; /* waits for the peer's close frame */
    clr_flush_t feed;        /* hands over what came with the handshake */
    clr_buf_t early;
} ws_extra_t;

static void on_close_timeout(clr_timer_t *timer);
static void on_feed(clr_flush_t *f);

static ws_extra_t *extra(clr_ws_conn_t *ws)
{
    if (!ws->extra) {
        ws->extra = clr_xcalloc(1, sizeof(*ws->extra));
        ws->extra->ws = ws;
        clr_timer_init(&ws->extra->close_timer, on_close_timeout);
        clr_flush_init(&ws->extra->feed, on_feed);
    }
    return ws->extra;
}

static void drop_extra(clr_ws_conn_t *ws)
{
    if (!ws->extra)
        return;
    clr_timer_stop(&ws->extra->close_timer);
    clr_flush_cancel(&ws->extra->feed);
    clr_buf_deinit(&ws->extra->early);
    free(ws->extra);
    ws->extra = NULL;
}

/* --- the end --- */

/* Notes how it ended; the first word counts. */
static void note_end(clr_ws_conn_t *ws, uint16_t code, bool clean, const char *why)
{
    if (ws->ended)
        return;
    ws->ended = 1;
    ws->clean = clean;
    ws->code = code;
    ws->why = why;
}

/* From the loop only. */
static void tell_end(clr_ws_conn_t *ws)
{
    const clr_ws_ops_t *ops = ws->ops;
    if (!ops)
        return;
    CLR_ASSERT(ws->ended);
    ws->ops = NULL;
    ops->on_closed(ws, ws->code, ws->clean, ws->why);
}

static void write_close(clr_ws_conn_t *ws, uint16_t code, clr_str_t reason)
{
    char payload[125];
    size_t n = 0;
    if (code != 0 && clr_ws_code_is_sendable(code)) {
        payload[n++] = (char)(code >> 8);
        payload[n++] = (char)(code & 0xff);
        size_t room = sizeof(payload) - n, len = reason.n < room ? reason.n : room;
        while (len < reason.n && len > 0 && ((uint8_t)reason.p[len] & 0xc0) == 0x80)
            len--; /* not within a character */
        memcpy(payload + n, reason.p, len);
        n += len;
    }
    ws->close_sent = 1;
    ws->piece = 0;
    char head[CLR_WS_HEAD_MAX];
    clr_stream_write(ws->stream, clr_str(head, clr_ws_frame_head(head, CLR_WS_CLOSE, n)));
    clr_stream_write(ws->stream, clr_str(payload, n));
}

/* Ends it from the loop: the owner is told now, what is queued still goes out. */
static void finish(clr_ws_conn_t *ws)
{
    if (ws->extra)
        clr_timer_stop(&ws->extra->close_timer);
    clr_stream_close_flushed(ws->stream, CLOSE_LINGER_MS);
    tell_end(ws);
}

void clr_ws_close(clr_ws_conn_t *ws, uint16_t code, clr_str_t reason)
{
    if (ws->ended || ws->close_sent)
        return;
    write_close(ws, code, reason);
    ws->code = code ? code : CLR_WS_NO_STATUS;
    clr_loop_timer_start(ws->gw->loop, &extra(ws)->close_timer, CLOSE_WAIT_MS);
    clr_stream_read_start(ws->stream); /* the peer's answer is wanted, pause or not */
}

void clr_ws_kill(clr_ws_conn_t *ws, const char *why)
{
    note_end(ws, CLR_WS_ABNORMAL, false, why);
    clr_stream_close(ws->stream);
}

static void on_close_timeout(clr_timer_t *timer)
{
    clr_ws_conn_t *ws = clr_container_of(timer, ws_extra_t, close_timer)->ws;
    note_end(ws, ws->code, true, "the client did not answer the close");
    clr_stream_close(ws->stream);
}

/* --- messages in --- */

/* What the parser's callbacks return: non-zero stops it. */
static int is_over(const clr_ws_conn_t *ws)
{
    return ws->ended || clr_stream_is_closing(ws->stream);
}

static int on_message(uint8_t opcode, clr_str_t payload, void *ctx)
{
    clr_ws_conn_t *ws = ctx;
    if (!ws->close_sent)
        ws->ops->on_message(ws, opcode, payload);
    return is_over(ws);
}

/* A flood of pings whose pongs are not read is cut off by the limit of queued output. */
static int on_ping(clr_str_t payload, void *ctx)
{
    clr_ws_conn_t *ws = ctx;
    bool unread = ws->paced && clr_stream_pending(ws->stream) > ws->gw->options.max_buffered;
    if (!ws->close_sent && !unread)
        clr_ws_send(ws, CLR_WS_PONG, payload);
    return is_over(ws);
}

static int on_pong(clr_str_t payload, void *ctx)
{
    clr_ws_conn_t *ws = ctx;
    (void)payload;
    if (ws->ops->on_pong)
        ws->ops->on_pong(ws);
    return is_over(ws);
}

static int on_close(uint16_t code, clr_str_t reason, void *ctx)
{
    clr_ws_conn_t *ws = ctx;
    if (ws->close_sent) {
        note_end(ws, ws->code, true, "closed");
    } else {
        if (ws->ops->on_peer_close)
            ws->ops->on_peer_close(ws, code, reason);
        note_end(ws, code, true, "the client closed");
        write_close(ws, code == CLR_WS_NO_STATUS ? 0 : code, CLR_STR_EMPTY);
    }
    return 1;
}

static const clr_ws_parser_ops_t parser_ops = {on_message, on_ping, on_pong, on_close};

static const char *error_text(int rc)
{
    switch (rc) {
    case CLR_ETOOBIG:
        return "a message larger than the limit";
    case CLR_EUTF8:
        return "invalid UTF-8 in a text message";
    case CLR_EINVAL:
        return "a compressed message that is corrupt";
    default:
        return "WebSocket protocol error";
    }
}

static void feed(clr_ws_conn_t *ws, clr_str_t bytes)
{
    clr_ws_parser_t *parser = ws->parser;
    if (!parser)
        parser = clr_pools_take_ws(ws->gw->pools, ws->deflate_bits != 0);
    ws->parser = parser;
    uint16_t code = 0;
    int rc = clr_ws_parser_feed(parser, bytes, ws->max_message, &parser_ops, ws, &code);
    if (rc != 0 || clr_ws_parser_is_idle(parser)) {
        clr_pools_give_ws(ws->gw->pools, parser);
        ws->parser = NULL;
    }
    if (rc == 0 || clr_stream_is_closing(ws->stream))
        return;
    if (rc != CLR_ECLOSED) {
        note_end(ws, code, false, error_text(rc));
        if (!ws->close_sent)
            write_close(ws, code, CLR_STR_EMPTY);
    }
    finish(ws);
}

static void on_read(clr_stream_t *s, char *data, size_t n)
{
    clr_ws_conn_t *ws = clr_stream_owner(s);
    if (ws->extra && ws->extra->early.n > 0)
        clr_buf_append(&ws->extra->early, data, n);
    else
        feed(ws, clr_str(data, n));
}

static void on_feed(clr_flush_t *f)
{
    ws_extra_t *e = clr_container_of(f, ws_extra_t, feed);
    clr_buf_t early = e->early;
    clr_buf_init(&e->early);
    if (!is_over(e->ws))
        feed(e->ws, clr_buf_str(&early));
    clr_buf_deinit(&early);
}

/* --- the stream --- */

static void on_end(clr_stream_t *s, int status)
{
    clr_ws_conn_t *ws = clr_stream_owner(s);
    if (ws->close_sent)
        note_end(ws, ws->code, true, "closed");
    else
        note_end(ws, CLR_WS_ABNORMAL, false, status == 0 ? "connection closed" : "connection lost");
    clr_stream_close(s);
    tell_end(ws);
}

static void on_drain(clr_stream_t *s)
{
    clr_ws_conn_t *ws = clr_stream_owner(s);
    if (ws->ops && ws->ops->on_drain && !ws->ended)
        ws->ops->on_drain(ws);
}

static void on_stalled(clr_stream_t *s)
{
    clr_ws_conn_t *ws = clr_stream_owner(s);
    size_t pending = clr_stream_pending(s);
    if (pending <= ws->gw->options.max_buffered || ws->ended || ws->paced)
        return;
    char host[46];
    uint16_t port;
    clr_stream_peer(s, host, &port);
    clr_log_warn("gateway", "client %s:%u dropped: stalled reader: %zu bytes queued",
                 host[0] ? host : "unix", port, pending);
    note_end(ws, CLR_WS_POLICY, false, "stalled reader");
    clr_stream_close(s);
    tell_end(ws);
}

static void on_closed(clr_stream_t *s)
{
    clr_ws_conn_t *ws = clr_stream_owner(s);
    note_end(ws, CLR_WS_ABNORMAL, false, "closed");
    tell_end(ws);
    clr_list_remove(&ws->node);
    ws->gw->metrics.websockets_closed++;
    ws->gw->metrics.connections_closed++;
    drop_extra(ws);
    clr_pools_give_ws(ws->gw->pools, ws->parser);
    free(s);
    clr_gateway_t *gw = ws->gw;
    free(ws);
    clr_capacity_give(&gw->capacity);
    clr_trim_client_left(&gw->trim);
}

static const clr_stream_ops_t stream_ops = {
    .on_read = on_read,
    .on_end = on_end,
    .on_drain = on_drain,
    .on_stalled = on_stalled,
    .on_closed = on_closed,
};

/* --- the handshake --- */

static clr_str_t header(const clr_exchange_t *x, clr_str_t name)
{
    return clr_http_head_get(x->head, name);
}

bool clr_ws_check(clr_exchange_t *x)
{
    const clr_http_head_t *h = x->head;
    if (!clr_str_eq(h->method, CLR_STR("GET")) || h->minor < 1 || h->has_body || !h->upgrade ||
        !clr_str_has_token(header(x, CLR_STR("upgrade")), CLR_STR("websocket"))) {
        clr_exchange_error(x, 400, "not a WebSocket handshake");
        return false;
    }
    if (!clr_str_eq(header(x, CLR_STR("sec-websocket-version")), CLR_STR("13"))) {
        clr_exchange_respond(x, 426,
                             CLR_STR("Upgrade: websocket\r\nConnection: Upgrade\r\n"
                                     "Sec-WebSocket-Version: 13\r\n"),
                             CLR_STR_EMPTY);
        return false;
    }
    if (!clr_ws_key_is_valid(header(x, CLR_STR("sec-websocket-key")))) {
        clr_exchange_error(x, 400, "bad Sec-WebSocket-Key");
        return false;
    }
    return true;
}

static void write_accept(clr_exchange_t *x, clr_str_t headers, clr_str_t extensions)
{
    clr_stream_t *s = x->conn->stream;
    char accept[CLR_WS_ACCEPT_LEN];
    clr_ws_accept(header(x, CLR_STR("sec-websocket-key")), accept);
    clr_stream_write(s, CLR_STR("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                                "Connection: Upgrade\r\nSec-WebSocket-Accept: "));
    clr_stream_write(s, clr_str(accept, sizeof(accept)));
    clr_stream_write(s, CLR_STR("\r\n"));
    clr_stream_write(s, headers);
    clr_stream_write(s, extensions);
    clr_stream_write(s, CLR_STR("\r\n"));
    x->status_ = 101;
    clr_metrics_count_request(&x->gw->metrics, x->kind_, 101);
    clr_exchange_log(x);
}

clr_ws_conn_t *clr_ws_upgrade(clr_exchange_t *x, clr_str_t headers, size_t max_message,
                              const clr_ws_ops_t *ops, void *ctx)
{
    CLR_ASSERT(!x->responded_ && !x->ended_);
    if (!clr_ws_check(x))
        return NULL;
    clr_gateway_t *gw = x->gw;
    clr_buf_t extensions = {0};
    uint8_t deflate_bits = clr_ws_deflate_negotiate(x, &extensions);
    write_accept(x, headers, clr_buf_str(&extensions));
    clr_buf_deinit(&extensions);
    clr_buf_t early;
    clr_stream_t *stream = clr_http_conn_detach(x->conn, &early); /* x is gone */
    clr_ws_conn_t *ws = clr_xcalloc(1, sizeof(*ws));
    ws->stream = stream;
    ws->gw = gw;
    ws->ops = ops;
    ws->ctx = ctx;
    ws->max_message = max_message;
    ws->deflate_bits = deflate_bits;
    clr_stream_set_owner(stream, ws);
    clr_stream_set_ops(stream, &stream_ops);
    clr_list_push_back(&gw->ws_conns, &ws->node);
    gw->metrics.websockets_opened++;
    clr_stream_read_start(stream);
    if (early.n > 0) {
        extra(ws)->early = early;
        clr_loop_mark(gw->loop, &ws->extra->feed);
    } else {
        clr_buf_deinit(&early);
    }
    return ws;
}

/* --- messages out --- */

void *clr_ws_ctx(const clr_ws_conn_t *ws)
{
    return ws->ctx;
}

void clr_ws_set_ctx(clr_ws_conn_t *ws, void *ctx)
{
    ws->ctx = ctx;
}

char *clr_ws_reserve(clr_ws_conn_t *ws, uint8_t opcode, size_t n)
{
    if (ws->deflate_bits && clr_ws_deflate_applies(opcode, n))
        return clr_ws_deflate_reserve(ws, opcode, n);
    char head[CLR_WS_HEAD_MAX];
    size_t head_len = clr_ws_frame_head(head, opcode, n);
    char *at = clr_stream_reserve(ws->stream, head_len + n);
    memcpy(at, head, head_len);
    ws->reserved = (uint32_t)(head_len + n); /* the queue takes no more than 2^30 */
    ws->piece = 0;
    return at + head_len;
}

void clr_ws_commit(clr_ws_conn_t *ws)
{
    if (ws->deflating) {
        clr_ws_deflate_commit(ws);
        return;
    }
    /* Nothing may follow a close frame. */
    clr_stream_commit(ws->stream, ws->close_sent ? 0 : ws->reserved);
    ws->reserved = 0;
}

void clr_ws_send(clr_ws_conn_t *ws, uint8_t opcode, clr_str_t payload)
{
    if (ws->deflate_bits && clr_ws_deflate_applies(opcode, payload.n)) {
        clr_ws_deflate_send(ws, opcode, payload);
        return;
    }
    char *at = clr_ws_reserve(ws, opcode, payload.n);
    if (payload.n > 0)
        memcpy(at, payload.p, payload.n);
    clr_ws_commit(ws);
}

uint8_t clr_ws_deflate_bits(const clr_ws_conn_t *ws)
{
    return ws->deflate_bits;
}

void clr_ws_send_frames(clr_ws_conn_t *ws, clr_shared_t *frames)
{
    ws->piece = 0;
    if (!ws->close_sent)
        clr_stream_write_shared(ws->stream, frames, 0, frames->len);
}

size_t clr_ws_pending(const clr_ws_conn_t *ws)
{
    return clr_stream_pending(ws->stream);
}

size_t clr_ws_unsent(const clr_ws_conn_t *ws)
{
    return clr_stream_unsent(ws->stream);
}

void clr_ws_want_drain(clr_ws_conn_t *ws)
{
    clr_stream_want_drain(ws->stream);
}

void clr_ws_set_paced(clr_ws_conn_t *ws)
{
    ws->paced = 1;
}

bool clr_ws_is_reading(const clr_ws_conn_t *ws)
{
    return clr_stream_is_reading(ws->stream);
}

void clr_ws_pause(clr_ws_conn_t *ws, bool paused)
{
    if (paused && !ws->close_sent)
        clr_stream_read_stop(ws->stream);
    else
        clr_stream_read_start(ws->stream);
}

void clr_ws_conns_kill(clr_gateway_t *gw, const char *why)
{
    clr_list_each(node, &gw->ws_conns)
        clr_ws_kill(clr_container_of(node, clr_ws_conn_t, node), why);
}
