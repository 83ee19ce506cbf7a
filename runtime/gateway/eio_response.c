/* eio_response.c: answers of Engine.IO servers. */
#include "gateway/eio_response.h"

#include "base/log.h"
#include "gateway/eio_origin.h"
#include "gateway/pools.h"
#include "proto/gzip.h"

static clr_buf_t *begin_headers(const clr_eio_server_t *server, const clr_eio_session_t *s,
                                const clr_exchange_t *x, const char *type)
{
    clr_buf_t *headers = clr_eio_scratch(&server->eio->headers);
    if (type)
        clr_buf_printf(headers, "Content-Type: %s\r\n", type);
    clr_buf_append_str(headers, CLR_STR("Cache-Control: no-store\r\n"));
    if (clr_eio_origin_check(server, s, x) == CLR_EIO_ORIGIN_ALLOWED)
        clr_eio_origin_headers(server, x, headers);
    return headers;
}

void clr_eio_respond(const clr_eio_server_t *server, const clr_eio_session_t *s, clr_exchange_t *x,
                     int status, const char *type, clr_str_t body)
{
    clr_buf_t *headers = begin_headers(server, s, x, type);
    clr_exchange_respond(x, status, clr_buf_str(headers), body);
}

/* What the client and the server's settings allow for a body of that size. */
static clr_coding_t choose_coding(const clr_eio_server_t *server, const clr_exchange_t *x, size_t n)
{
    if (!server->config.http_compression || n < server->config.compression_threshold || n == 0)
        return CLR_CODING_IDENTITY;
    clr_str_t accepted = clr_http_head_get(x->head, CLR_STR("accept-encoding"));
    return accepted.p ? clr_coding_negotiate(accepted) : CLR_CODING_IDENTITY;
}

/* False when zlib cannot (out of memory). */
static bool compress(const clr_eio_server_t *server, clr_coding_t coding, clr_str_t body,
                     clr_buf_t *out)
{
    clr_pools_t *pools = server->gw->pools;
    clr_gzip_t *gzip = coding == CLR_CODING_GZIP ? clr_pools_take_gzip(pools) : NULL;
    if (!gzip)
        return clr_gzip_append(out, coding, body) == 0;
    clr_gzip_write(gzip, body, CLR_GZIP_END, out);
    clr_pools_give_gzip(pools, gzip);
    return true;
}

void clr_eio_respond_payload(const clr_eio_server_t *server, const clr_eio_session_t *s,
                             clr_exchange_t *x, clr_str_t body)
{
    clr_buf_t *headers = begin_headers(server, s, x, "text/plain; charset=UTF-8");
    clr_coding_t coding = choose_coding(server, x, body.n);
    if (coding != CLR_CODING_IDENTITY) {
        clr_buf_t *compressed = clr_eio_scratch(&server->eio->packet);
        if (compress(server, coding, body, compressed)) {
            clr_buf_printf(headers, "Content-Encoding: %s\r\n", clr_coding_name(coding));
            body = clr_buf_str(compressed);
        }
    }
    clr_exchange_respond(x, 200, clr_buf_str(headers), body);
}

void clr_eio_respond_open(const clr_eio_server_t *server, const clr_eio_session_t *s,
                          clr_exchange_t *x, clr_str_t body)
{
    const clr_eio_config_t *c = &server->config;
    clr_buf_t *headers = begin_headers(server, s, x, "text/plain; charset=UTF-8");
    if (c->cookie_name)
        clr_buf_printf(headers, "Set-Cookie: %s=%.*s%s\r\n", c->cookie_name, CLR_ID_LEN, s->sid,
                       c->cookie_attributes);
    clr_exchange_respond(x, 200, clr_buf_str(headers), body);
}

void clr_eio_respond_empty(const clr_eio_server_t *server, const clr_eio_session_t *s,
                           clr_exchange_t *x, int status)
{
    clr_eio_respond(server, s, x, status, NULL, CLR_STR_EMPTY);
}

static void respond_json_error(clr_exchange_t *x, clr_buf_t *headers, int status, int code,
                               const char *message)
{
    char body[96];
    int n = snprintf(body, sizeof(body), "{\"code\":%d,\"message\":\"%s\"}", code, message);
    clr_exchange_respond(x, status, clr_buf_str(headers), clr_str(body, (size_t)n));
}

void clr_eio_respond_error(const clr_eio_server_t *server, const clr_eio_session_t *s,
                           clr_exchange_t *x, int code)
{
    clr_buf_t *headers = begin_headers(server, s, x, "application/json");
    respond_json_error(x, headers, clr_eio_error_status(code), code, clr_eio_error_message(code));
}

/* How much of a header the log shows. */
static int shown(clr_str_t value)
{
    return value.n < 200 ? (int)value.n : 200;
}

/* Once is enough: anybody can ask for more. */
static void tell_bad_origin(clr_eio_server_t *server, const clr_exchange_t *x)
{
    clr_str_t origin = clr_http_head_get(x->head, CLR_STR("origin"));
    clr_str_t host = clr_http_head_get(x->head, CLR_STR("host"));
    if (server->told_origin)
        return;
    server->told_origin = true;
    clr_log_warn(
        "eio",
        "%s: a page of %.*s is refused, as the request came to the host %.*s: proxies have "
        "to pass on the Host that they got, other origins have to be allowed "
        "(cors_allowed_origins; allow_origins of a chat)",
        server->config.path, shown(origin), origin.p, shown(host), host.p ? host.p : "");
}

void clr_eio_respond_bad_origin(clr_eio_server_t *server, clr_exchange_t *x)
{
    tell_bad_origin(server, x);
    clr_buf_t *headers = clr_eio_scratch(&server->eio->headers);
    clr_buf_append_str(headers, CLR_STR("Content-Type: application/json\r\n"
                                        "Cache-Control: no-store\r\n"));
    respond_json_error(x, headers, 400, CLR_EIO_ERROR_BAD_REQUEST, "Origin not allowed");
}
