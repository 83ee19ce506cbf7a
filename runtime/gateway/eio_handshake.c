/* eio_handshake.c: from a request to a session. */
#include "gateway/eio_handshake.h"

#include "gateway/eio_origin.h"
#include "gateway/eio_polling.h"
#include "gateway/eio_response.h"
#include "gateway/eio_websocket.h"
#include "proto/url.h"

typedef struct query {
    clr_str_t sid; /* p is NULL: absent */
    bool websocket;
    bool upgrade; /* the request wants to become a WebSocket */
} query_t;

static bool is_method(const clr_exchange_t *x, clr_str_t method)
{
    return clr_str_eq(x->head->method, method);
}

/* The error code, or -1. Own names only: nothing is looked up in a table that a client may reach.
 */
static int parse_query(const clr_eio_server_t *server, const clr_exchange_t *x, query_t *q)
{
    clr_str_t transport = clr_query_get(x->head->query, CLR_STR("transport"));
    q->sid = clr_query_get(x->head->query, CLR_STR("sid"));
    q->websocket = clr_str_eq(transport, CLR_STR("websocket"));
    q->upgrade =
        x->head->upgrade &&
        clr_str_has_token(clr_http_head_get(x->head, CLR_STR("upgrade")), CLR_STR("websocket"));
    if (q->websocket ? !server->config.websocket
                     : !server->config.polling || !clr_str_eq(transport, CLR_STR("polling")))
        return CLR_EIO_ERROR_UNKNOWN_TRANSPORT;
    clr_str_t origin = clr_http_head_get(x->head, CLR_STR("origin"));
    if (origin.p && !clr_http_is_field_value(origin))
        return CLR_EIO_ERROR_BAD_REQUEST;
    return -1;
}

/* ---- requests of a session ---- */

static void serve_session(clr_eio_server_t *server, clr_exchange_t *x, const query_t *q)
{
    clr_eio_session_t *s = clr_eio_session_find(server, q->sid);
    if (!s || s->state == CLR_EIO_STATE_OPENING || !clr_eio_session_is_alive(s)) {
        clr_eio_respond_error(server, NULL, x, CLR_EIO_ERROR_UNKNOWN_SID);
    } else if (clr_eio_origin_check(server, s, x) != CLR_EIO_ORIGIN_ALLOWED) {
        clr_eio_respond_bad_origin(server, x);
    } else if (q->upgrade && q->websocket) {
        clr_eio_websocket_probe(s, x);
    } else if (q->upgrade || q->websocket || s->ws) {
        clr_eio_respond_error(server, s, x, CLR_EIO_ERROR_BAD_REQUEST);
    } else if (is_method(x, CLR_STR("GET"))) {
        clr_eio_polling_get(s, x);
    } else if (is_method(x, CLR_STR("POST"))) {
        clr_eio_polling_post(s, x);
    } else {
        clr_eio_respond_error(server, s, x, CLR_EIO_ERROR_BAD_HANDSHAKE_METHOD);
    }
}

/* ---- handshakes ---- */

static void accept_polling(clr_eio_session_t *s, clr_exchange_t *x)
{
    clr_eio_session_open(s);
    clr_buf_t *body = clr_eio_scratch(&s->server->eio->payload);
    clr_eio_session_append_open(s, body); /* alone: clients read all of the body as one packet */
    clr_eio_respond_open(s->server, s, x, clr_buf_str(body));
}

static void accept_handshake(clr_eio_session_t *s, clr_exchange_t *x)
{
    if (s->request->data[0] != CLR_TRANSPORT_WEBSOCKET)
        accept_polling(s, x);
    else if (clr_eio_websocket_accept(s, x))
        clr_eio_session_open(s);
    else
        clr_eio_session_close(s, CLR_REASON_TRANSPORT_ERROR, "no WebSocket handshake");
}

void clr_eio_handshake_accept(clr_eio_session_t *s)
{
    clr_exchange_t *x = clr_eio_polling_take_handshake(s);
    if (x)
        accept_handshake(s, x);
}

void clr_eio_handshake_refuse(clr_eio_session_t *s, clr_str_t json)
{
    clr_exchange_t *x = clr_eio_polling_take_handshake(s);
    if (x)
        clr_eio_respond(s->server, s, x, 401, "application/json", json);
    clr_eio_session_close(s, CLR_REASON_SERVER_DISCONNECT, "the app refused it");
}

static void begin_session(clr_eio_server_t *server, clr_exchange_t *x, bool allowed)
{
    if (!allowed) {
        clr_eio_respond_bad_origin(server, x);
        return;
    }
    clr_str_t transport = clr_query_get(x->head->query, CLR_STR("transport"));
    bool websocket = clr_str_eq(transport, CLR_STR("websocket"));
    clr_buf_t *request = clr_eio_scratch(&server->eio->packet);
    clr_exchange_encode_request(x, websocket ? CLR_TRANSPORT_WEBSOCKET : CLR_TRANSPORT_POLLING,
                                request);
    clr_eio_session_t *s = clr_eio_session_new(server, clr_shared_copy(clr_buf_str(request)));
    if (server->config.is_socketio) {
        accept_handshake(s, x);
        return;
    }
    clr_eio_polling_park_handshake(s, x);
    clr_eio_session_set_connect_timeout(s, server->config.connect_timeout_ms);
    clr_eio_session_place(s);
}

/* The error code of a handshake, or -1. */
static int check_handshake(const clr_exchange_t *x, const query_t *q)
{
    if (!is_method(x, CLR_STR("GET")))
        return CLR_EIO_ERROR_BAD_HANDSHAKE_METHOD;
    if (q->websocket != q->upgrade)
        return CLR_EIO_ERROR_BAD_REQUEST;
    if (!clr_str_eq(clr_query_get(x->head->query, CLR_STR("EIO")), CLR_STR("4")))
        return CLR_EIO_ERROR_UNSUPPORTED_PROTOCOL; /* before the 101, when one was asked for */
    return -1;
}

static void serve_handshake(clr_eio_server_t *server, clr_exchange_t *x, const query_t *q)
{
    int code = check_handshake(x, q);
    if (code >= 0) {
        clr_eio_respond_error(server, NULL, x, code);
        return;
    }
    if (server->gw->draining) {
        clr_exchange_close_after(x);
        clr_exchange_error(x, 503, "shutting down");
        return;
    }
    clr_eio_verdict_t verdict = clr_eio_origin_check(server, NULL, x);
    if (verdict == CLR_EIO_ORIGIN_ASK)
        clr_eio_origin_ask(server, x, begin_session);
    else
        begin_session(server, x, verdict == CLR_EIO_ORIGIN_ALLOWED);
}

/* ---- entry ---- */

static void serve_preflight(clr_eio_server_t *server, clr_exchange_t *x)
{
    clr_eio_verdict_t verdict = clr_eio_origin_check(server, NULL, x);
    if (verdict == CLR_EIO_ORIGIN_ASK)
        clr_eio_origin_ask(server, x, clr_eio_origin_preflight);
    else
        clr_eio_origin_preflight(server, x, verdict == CLR_EIO_ORIGIN_ALLOWED);
}

/* What follows a request that was answered from its head alone. */
static const clr_handler_t nothing = {0};

static void on_head(clr_exchange_t *x)
{
    clr_eio_server_t *server = x->ctx;
    query_t q;
    x->handler = &nothing;
    int code = parse_query(server, x, &q);
    if (clr_eio_origin_is_preflight(server, x))
        serve_preflight(server, x);
    else if (code >= 0)
        clr_eio_respond_error(server, NULL, x, code);
    else if (q.sid.p)
        serve_session(server, x, &q);
    else
        serve_handshake(server, x, &q);
}

const clr_handler_t clr_eio_handshake_handler = {.on_head = on_head, .kind = CLR_HANDLER_SOCKETIO};
