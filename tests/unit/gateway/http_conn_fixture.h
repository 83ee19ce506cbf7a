/* http_conn_fixture.h: a connection, and a handler that does what the test's flags say. */
#pragma once

#include "fixture.h"
#include "gateway/http_conn_internal.h"

/* The scripted handler. */
static clr_exchange_t *parked;
static clr_buf_t body;
static int heads, bodies, ends, aborts;
static uint64_t body_limit;
static bool park, echo, quick, stream_answer;

static void respond_path(clr_exchange_t *x)
{
    char text[200];
    int n = snprintf(text, sizeof(text), "path=%.*s;", CLR_STR_ARG(x->head->path));
    clr_exchange_respond(x, 200, CLR_STR("Content-Type: text/plain\r\n"), clr_str(text, (size_t)n));
}

static void on_head(clr_exchange_t *x)
{
    EXPECT(x->ctx == &gw);
    heads++;
    if (body_limit)
        x->body_limit = body_limit;
    parked = x;
    if (quick)
        respond_path(x);
}

static void on_body(clr_exchange_t *x, clr_str_t piece)
{
    (void)x;
    bodies++;
    clr_buf_append_str(&body, piece);
}

static void on_end(clr_exchange_t *x)
{
    ends++;
    if (park)
        return;
    if (echo) {
        clr_exchange_respond(x, 200, CLR_STR_EMPTY, clr_buf_str(&body));
        clr_buf_clear(&body);
    } else if (stream_answer) {
        clr_exchange_begin(x, 200, CLR_STR_EMPTY, UINT64_MAX);
        clr_exchange_write(x, CLR_STR("one"));
        clr_exchange_write(x, CLR_STR("three"));
        clr_exchange_finish(x);
    } else {
        respond_path(x);
    }
}

static void on_abort(clr_exchange_t *x)
{
    (void)x;
    aborts++;
    parked = NULL;
}

static const clr_handler_t handler = {
    .on_head = on_head, .on_body = on_body, .on_end = on_end, .on_abort = on_abort};

static int setup(void)
{
    fixture_open(true);
    clr_router_add(&gw, CLR_STR("/app"), &handler, &gw);
    return fixture_connect();
}

static void teardown(int fd)
{
    close(fd);
    clr_buf_deinit(&body);
    fixture_close();
}

/* Sends and reads until the server closes. */
CLR_UNUSED static clr_buf_t talk(int fd, const char *request)
{
    clr_buf_t got = {0};
    loopback_send(&loop, fd, clr_str_c(request));
    loopback_read_all(&loop, fd, &got);
    return got;
}

CLR_UNUSED static void park_one(int fd)
{
    park = true;
    loopback_send(&loop, fd, CLR_STR("GET /app HTTP/1.1\r\nHost: h\r\n\r\n"));
    LOOPBACK_UNTIL(&loop, fd, ends == 1);
}
