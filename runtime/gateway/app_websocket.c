/* app_websocket.c: WebSockets of the application. */
#include "base/assert.h"
#include "base/log.h"
#include "base/utf8.h"
#include "gateway/app_headers.h"
#include "gateway/app_internal.h"
#include "proto/http.h"

/* ---- from the client ---- */

/* What waits in r->body: this and the message. A CLOSE, at the end, has code and reason. */
typedef struct held {
    uint8_t opcode;
    uint16_t code;
    uint32_t length;
} held_t;

static void send_message(clr_app_request_t *r, uint8_t opcode, clr_str_t payload)
{
    uint8_t flags = opcode == CLR_WS_BINARY ? CLR_FRAME_BINARY : 0;
    clr_write_str(clr_worker_begin(r->worker, CLR_FRAME_WS_MESSAGE, flags, r->handle), payload);
    clr_worker_end(r->worker);
    r->untaken += (uint32_t)payload.n;
}

static void hold(clr_app_request_t *r, uint8_t opcode, uint16_t code, clr_str_t payload)
{
    held_t held = {.opcode = opcode, .code = code, .length = (uint32_t)payload.n};
    clr_buf_append(&r->body, &held, sizeof(held));
    clr_buf_append_str(&r->body, payload);
}

/* Sends the one at the front; returns its size. */
static size_t send_held(clr_app_request_t *r, size_t at)
{
    held_t held;
    memcpy(&held, r->body.p + at, sizeof(held));
    clr_str_t payload = clr_str(r->body.p + at + sizeof(held), held.length);
    if (held.opcode == CLR_WS_CLOSE)
        clr_app_send_gone(r, held.code, payload);
    else
        send_message(r, held.opcode, payload);
    return sizeof(held) + held.length;
}

void clr_app_flush_messages(clr_app_request_t *r)
{
    size_t at = 0;
    while (at < r->body.n && r->untaken < CLR_REQUEST_WINDOW)
        at += send_held(r, at);
    if (at < r->body.n)
        clr_buf_consume(&r->body, at);
    else
        clr_buf_deinit(&r->body);
    if (r->body.n == 0 && r->state == CLR_APP_CLOSED)
        clr_app_free(r);
    else
        clr_app_update_reading(r);
}

static void on_message(clr_ws_conn_t *ws, uint8_t opcode, clr_str_t payload)
{
    clr_app_request_t *r = clr_ws_ctx(ws);
    r->pinged = 0;
    if (!r->worker || r->told)
        return;
    if (r->body.n == 0 && r->untaken < CLR_REQUEST_WINDOW)
        send_message(r, opcode, payload);
    else
        hold(r, opcode, 0, payload);
    clr_app_update_reading(r);
}

static void on_pong(clr_ws_conn_t *ws)
{
    clr_app_request_t *r = clr_ws_ctx(ws);
    r->pinged = 0;
}

/* ---- its end ---- */

/* After the messages that came before. */
static void tell_closed(clr_app_request_t *r, uint16_t code, clr_str_t reason)
{
    if (r->body.n > 0 && r->worker && !r->told) {
        r->told = 1;
        hold(r, CLR_WS_CLOSE, code, reason);
    } else {
        clr_app_tell_gone(r, code, reason);
    }
}

static void on_peer_close(clr_ws_conn_t *ws, uint16_t code, clr_str_t reason)
{
    tell_closed(clr_ws_ctx(ws), code, reason);
}

static void on_closed(clr_ws_conn_t *ws, uint16_t code, bool clean, const char *why)
{
    clr_app_request_t *r = clr_ws_ctx(ws);
    (void)why;
    /* A stalled reader was sent no code. */
    tell_closed(r, clean || code != CLR_WS_POLICY ? code : CLR_WS_ABNORMAL, CLR_STR_EMPTY);
    r->ws = NULL;
    clr_timer_stop(&r->timer);
    if (r->body.n == 0 || !r->worker || r->closing) {
        clr_app_free(r);
        return;
    }
    r->state = CLR_APP_CLOSED;
    clr_app_grant(r); /* what it sends goes nowhere; nothing waits for that */
}

void clr_app_end_websocket(clr_app_request_t *r, uint16_t code, clr_str_t reason)
{
    tell_closed(r, code, reason);
    clr_ws_close(r->ws, code, reason);
}

/* ---- pings ---- */

static void start_timer(clr_app_request_t *r)
{
    const clr_gateway_options_t *o = &r->gw->options;
    uint64_t delay = r->pinged ? o->ws_ping_timeout_ms : o->ws_ping_interval_ms;
    if (o->ws_ping_interval_ms > 0)
        clr_loop_timer_start(r->gw->loop, &r->timer, delay);
}

/* Whether the client had a chance to answer: we read it, and it takes what is sent before the ping.
 */
static bool had_its_time(clr_app_request_t *r)
{
    size_t unsent = clr_ws_unsent(r->ws), before = r->ping_mark;
    r->ping_mark = unsent;
    return clr_ws_is_reading(r->ws) && (unsent == 0 || unsent >= before);
}

static void on_timer(clr_timer_t *t)
{
    clr_app_request_t *r = clr_container_of(t, clr_app_request_t, timer);
    if (r->told || r->closing)
        return;
    if (r->pinged && had_its_time(r)) {
        tell_closed(r, CLR_WS_ABNORMAL, CLR_STR_EMPTY);
        clr_ws_close(r->ws, CLR_WS_INTERNAL, CLR_STR("keepalive ping timeout"));
        return;
    }
    if (!r->pinged && r->gw->options.ws_ping_timeout_ms > 0) {
        clr_ws_send(r->ws, CLR_WS_PING, CLR_STR_EMPTY);
        r->pinged = 1;
        r->ping_mark = clr_ws_unsent(r->ws);
    }
    start_timer(r);
}

/* ---- from the application ---- */

static void on_drain(clr_ws_conn_t *ws)
{
    clr_app_grant(clr_ws_ctx(ws));
}

static const clr_ws_ops_t ws_ops = {
    .on_message = on_message,
    .on_closed = on_closed,
    .on_drain = on_drain,
    .on_peer_close = on_peer_close,
    .on_pong = on_pong,
};

int clr_app_accept(clr_app_request_t *r, clr_str_t subprotocol, clr_strs_t headers)
{
    clr_buf_t lines = {0};
    clr_app_head_t head;
    if (subprotocol.n > 0 && !clr_http_is_token(subprotocol))
        return CLR_EPROTO;
    if (subprotocol.n > 0)
        clr_buf_printf(&lines, "Sec-WebSocket-Protocol: %.*s\r\n", CLR_STR_ARG(subprotocol));
    int rc = clr_app_headers_format(headers, CLR_APP_HEADERS_ACCEPT, &head, &lines);
    if (rc == 0) {
        r->ws = clr_ws_upgrade(r->x, clr_buf_str(&lines), r->gw->options.ws_max_size, &ws_ops, r);
        CLR_ASSERT(r->ws); /* checked when it came */
        clr_ws_set_paced(r->ws);
        r->x = NULL;
        r->state = CLR_APP_OPEN;
        clr_timer_init(&r->timer, on_timer);
        start_timer(r);
        clr_app_update_reading(r);
    }
    clr_buf_deinit(&lines);
    return rc;
}

int clr_app_send(clr_app_request_t *r, bool binary, clr_str_t message)
{
    if (!binary && !clr_utf8_is_valid(message))
        return CLR_EUTF8;
    int rc = clr_app_count_sent(r, message.n);
    if (rc != 0 || r->closing)
        return rc;
    if (!r->ws) {
        clr_app_grant(r);
        return 0;
    }
    clr_ws_send(r->ws, binary ? CLR_WS_BINARY : CLR_WS_TEXT, message);
    if (r->used >= clr_app_window(r->gw) / 2)
        clr_ws_want_drain(r->ws);
    return 0;
}

int clr_app_close(clr_app_request_t *r, uint16_t code, clr_str_t reason)
{
    if (!clr_utf8_is_valid(reason))
        return CLR_EUTF8;
    if (r->state == CLR_APP_ASKED) {
        clr_exchange_t *x = r->x;
        clr_app_tell_gone(r, CLR_WS_ABNORMAL, CLR_STR_EMPTY);
        clr_app_free(r);
        clr_exchange_close_after(x);
        clr_exchange_error(x, 403, NULL);
        return 0;
    }
    if (!r->ws) {
        clr_app_free(r);
        return 0;
    }
    r->closing = 1;
    clr_ws_close(r->ws, clr_ws_code_is_sendable(code) ? code : CLR_WS_INTERNAL, reason);
    return 0;
}
