/* eio_origin.c: allowed origins, CORS headers, requests that wait for the app's decision. */
#include "gateway/eio_origin.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"

#define ORIGIN_TIMEOUT_MS 10000

typedef struct clr_eio_origin {
    clr_object_t object;
    uint32_t serial; /* of the worker asked */
    uint64_t handle;
    clr_list_t node_; /* eio->origins */
    clr_timer_t timer;
    clr_eio_server_t *server;
    clr_exchange_t *x;
    void (*then)(clr_eio_server_t *server, clr_exchange_t *x, bool allowed);
} clr_eio_origin_t;

static clr_str_t origin_of(const clr_exchange_t *x)
{
    return clr_http_head_get(x->head, CLR_STR("origin"));
}

/* ---- verdict ---- */

static bool in_list(const clr_eio_config_t *config, clr_str_t origin)
{
    for (size_t i = 0; i < config->origin_count; i++) {
        if (clr_str_eq(clr_str_c(config->origins[i]), origin))
            return true;
    }
    return false;
}

/* "scheme://host", with an empty scheme for http as well as https. */
static bool is_at_host(clr_str_t origin, clr_str_t scheme, clr_str_t host)
{
    static const clr_str_t any[] = {CLR_STR_INIT("http"), CLR_STR_INIT("https")};
    for (size_t i = 0; i < clr_array_len(any); i++) {
        if (scheme.n > 0 && !clr_str_ieq(scheme, any[i]))
            continue;
        clr_str_t rest = clr_str_from(origin, any[i].n);
        if (clr_str_starts(origin, any[i]) && clr_str_starts(rest, CLR_STR("://")) &&
            clr_str_ieq(clr_str_from(rest, 3), host))
            return true;
    }
    return false;
}

/* The first element of a list header of a proxy. */
static clr_str_t forwarded(const clr_exchange_t *x, clr_str_t name)
{
    clr_str_t list = clr_http_head_get(x->head, name), first = CLR_STR_EMPTY;
    if (list.p && clr_str_split(&list, ',', &first))
        return clr_str_trim(first);
    return CLR_STR_EMPTY;
}

/* A page of the host that the request came to, or of the one that the proxy says it came to. Either
 * scheme counts: a proxy in front may end TLS without telling. */
static bool is_same_origin(const clr_exchange_t *x, clr_str_t origin)
{
    clr_str_t host = clr_http_head_get(x->head, CLR_STR("host"));
    clr_str_t proto = forwarded(x, CLR_STR("x-forwarded-proto"));
    clr_str_t outer = forwarded(x, CLR_STR("x-forwarded-host"));
    if (host.n > 0 && is_at_host(origin, CLR_STR_EMPTY, host))
        return true;
    return outer.n > 0 && is_at_host(origin, proto, outer);
}

static bool began_with(const clr_eio_session_t *s, clr_str_t origin)
{
    clr_reader_t r = clr_reader(clr_shared_str(s->request));
    clr_strs_t headers = clr_read_request(&r).headers;
    for (clr_str_t name, value; clr_strs_next(&headers, &name);) {
        if (!clr_strs_next(&headers, &value))
            break;
        if (clr_str_eq(name, CLR_STR("origin")))
            return clr_str_eq(value, origin);
    }
    return false;
}

clr_eio_verdict_t clr_eio_origin_check(const clr_eio_server_t *server, const clr_eio_session_t *s,
                                       const clr_exchange_t *x)
{
    const clr_eio_config_t *config = &server->config;
    clr_str_t origin = origin_of(x);
    bool allowed = true;
    if (!origin.p || config->cors == CLR_EIO_CORS_OFF || config->cors == CLR_EIO_CORS_ANY)
        return CLR_EIO_ORIGIN_ALLOWED;
    if (config->cors == CLR_EIO_CORS_ASK && !s)
        return CLR_EIO_ORIGIN_ASK;
    if (config->cors == CLR_EIO_CORS_ASK)
        allowed = began_with(s, origin);
    else if (config->cors == CLR_EIO_CORS_LIST)
        allowed = in_list(config, origin);
    else
        allowed = is_same_origin(x, origin);
    return allowed ? CLR_EIO_ORIGIN_ALLOWED : CLR_EIO_ORIGIN_REFUSED;
}

/* ---- headers ---- */

void clr_eio_origin_headers(const clr_eio_server_t *server, const clr_exchange_t *x, clr_buf_t *out)
{
    clr_str_t origin = origin_of(x);
    if (!origin.p || server->config.cors == CLR_EIO_CORS_OFF || !clr_http_is_field_value(origin))
        return;
    /* The origin itself, never "*": credentials may be allowed. */
    clr_buf_append_str(out, CLR_STR("Access-Control-Allow-Origin: "));
    clr_buf_append_str(out, origin);
    clr_buf_append_str(out, CLR_STR("\r\nVary: Origin\r\n"));
    if (server->config.cors_credentials)
        clr_buf_append_str(out, CLR_STR("Access-Control-Allow-Credentials: true\r\n"));
}

bool clr_eio_origin_is_preflight(const clr_eio_server_t *server, const clr_exchange_t *x)
{
    return server->config.cors != CLR_EIO_CORS_OFF && origin_of(x).p &&
           clr_str_eq(x->head->method, CLR_STR("OPTIONS"));
}

void clr_eio_origin_preflight(clr_eio_server_t *server, clr_exchange_t *x, bool allowed)
{
    if (!allowed) {
        clr_exchange_error(x, 400, "origin not allowed");
        return;
    }
    clr_buf_t *headers = clr_eio_scratch(&server->eio->headers);
    clr_eio_origin_headers(server, x, headers);
    clr_buf_append_str(headers, CLR_STR("Access-Control-Allow-Methods: OPTIONS, GET, POST\r\n"));
    clr_str_t wanted = clr_http_head_get(x->head, CLR_STR("access-control-request-headers"));
    if (wanted.p && clr_http_is_field_value(wanted)) {
        clr_buf_append_str(headers, CLR_STR("Access-Control-Allow-Headers: "));
        clr_buf_append_str(headers, wanted);
        clr_buf_append_str(headers, CLR_STR("\r\n"));
    }
    clr_exchange_respond(x, 204, clr_buf_str(headers), CLR_STR_EMPTY);
}

/* ---- asking the app ---- */

/* Frees it and gives its request back. */
static clr_exchange_t *take_request(clr_eio_origin_t *o)
{
    clr_exchange_t *x = o->x;
    clr_timer_stop(&o->timer);
    clr_list_remove(&o->node_);
    clr_dispatch_remove(o->server->gw, o->handle);
    free(o);
    return x;
}

static void settle(clr_eio_origin_t *o, bool allowed)
{
    clr_eio_server_t *server = o->server;
    void (*then)(clr_eio_server_t *, clr_exchange_t *, bool) = o->then;
    then(server, take_request(o), allowed);
}

static void on_timeout(clr_timer_t *t)
{
    clr_log_warn("eio", "the app did not say within %d s whether an origin is allowed",
                 ORIGIN_TIMEOUT_MS / 1000);
    settle(clr_container_of(t, clr_eio_origin_t, timer), false);
}

static void on_abort(clr_exchange_t *x)
{
    take_request(x->ctx);
}

static void send_check(clr_eio_origin_t *o, clr_worker_t *w)
{
    clr_eio_t *eio = o->server->eio;
    clr_buf_t *request = clr_eio_scratch(&eio->packet);
    clr_exchange_encode_request(o->x, CLR_TRANSPORT_POLLING, request);
    clr_buf_t *out = clr_worker_begin(w, CLR_FRAME_ORIGIN_CHECK, 0, o->handle);
    clr_buf_append_le(out, o->server->number, 2);
    clr_write_str(out, origin_of(o->x));
    clr_buf_append_str(out, clr_buf_str(request));
    clr_worker_end(w);
}

void clr_eio_origin_ask(clr_eio_server_t *server, clr_exchange_t *x,
                        void (*then)(clr_eio_server_t *server, clr_exchange_t *x, bool allowed))
{
    static const clr_handler_t waiting = {.on_abort = on_abort};
    clr_worker_t *w = clr_dispatch_choose(server->gw);
    if (!w) {
        clr_exchange_error(x, 503, "no worker is ready");
        return;
    }
    clr_eio_origin_t *o = clr_xcalloc(1, sizeof(*o));
    o->object.kind = CLR_OBJECT_ORIGIN;
    o->serial = clr_worker_serial(w);
    o->server = server;
    o->x = x;
    o->then = then;
    o->handle = clr_dispatch_add(server->gw, &o->object);
    clr_timer_init(&o->timer, on_timeout);
    clr_loop_timer_start(server->gw->loop, &o->timer, ORIGIN_TIMEOUT_MS);
    clr_list_push_back(&server->eio->origins, &o->node_);
    x->handler = &waiting;
    x->ctx = o;
    send_check(o, w);
}

int clr_eio_origin_result(clr_gateway_t *gw, clr_worker_t *w, const clr_frame_t *frame)
{
    clr_reader_t r = clr_reader(frame->payload);
    uint8_t allowed = clr_read_u8(&r);
    if (clr_reader_done(&r) != 0 || allowed > 1)
        return CLR_EPROTO;
    clr_eio_origin_t *o = clr_dispatch_find(gw, frame->stream, CLR_OBJECT_ORIGIN);
    if (!o)
        return 0;
    if (o->serial != clr_worker_serial(w))
        return CLR_EPROTO;
    settle(o, allowed == 1);
    return 0;
}

void clr_eio_origin_worker_gone(clr_eio_t *eio, uint32_t serial)
{
    clr_list_each(node, &eio->origins)
    {
        clr_eio_origin_t *o = clr_container_of(node, clr_eio_origin_t, node_);
        if (serial == 0 || o->serial == serial)
            clr_exchange_error(take_request(o), 503, "no worker is ready");
    }
}

void clr_eio_origin_drop_all(clr_eio_t *eio)
{
    clr_eio_origin_worker_gone(eio, 0);
}
