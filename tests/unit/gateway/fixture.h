/* fixture.h: a gateway on a loopback port, with a handler that each test scripts, and helpers for
 * the client's side (loopback.h).
 */
#pragma once

#include "gateway/gateway.h"
#include "gateway/http_conn.h"
#include "gateway/router.h"
#include "gateway/ws_conn.h"
#include "loopback.h"
#include "net/listener.h"

static clr_loop_t loop;
static clr_gateway_t gw;
static clr_gateway_options_t options;
static clr_listener_t *listener;

static bool fixture_on_connection(uv_stream_t *handle, void *ctx)
{
    return clr_http_conn_accept(ctx, handle);
}

/* Options may be changed before. */
static void fixture_defaults(void)
{
    options = (clr_gateway_options_t){
        .root_path = "",
        .max_buffered = 1 << 20,
        .http = {.head_bytes = 16384, .headers = 50, .body_bytes = 100000},
        .header_timeout_ms = 10000,
        .body_timeout_ms = 10000,
        .idle_timeout_ms = 10000,
    };
}

static void fixture_open(bool ready)
{
    if (options.max_buffered == 0)
        fixture_defaults();
    clr_error_t err = {0};
    EXPECT_EQ(clr_loop_init(&loop), 0);
    clr_gateway_init(&gw, &loop, &options);
    EXPECT_EQ(
        clr_listener_open_tcp(&listener, &loop, "127.0.0.1", 0, fixture_on_connection, &gw, &err),
        0);
    if (ready)
        clr_gateway_set_ready(&gw);
}

CLR_UNUSED static int fixture_connect(void)
{
    return loopback_connect(clr_listener_port(listener));
}

static void fixture_close(void)
{
    clr_listener_close(listener);
    clr_gateway_kill_clients(&gw);
    LOOPBACK_UNTIL(&loop, -1, clr_gateway_is_idle(&gw));
    clr_gateway_deinit(&gw);
    clr_loop_deinit(&loop);
}

CLR_UNUSED static bool buf_has(const clr_buf_t *b, const char *text)
{
    return b->n > 0 && memmem(b->p, b->n, text, strlen(text)) != NULL;
}

CLR_UNUSED static int buf_count(const clr_buf_t *b, const char *text)
{
    int count = 0;
    size_t n = strlen(text);
    for (size_t i = 0; i + n <= b->n; i++)
        count += memcmp(b->p + i, text, n) == 0;
    return count;
}
