/* How WebSockets of the application end: closes of either side, lost ones, pings. */
#include "app_ws_fixture.h"

/* ---- closing ---- */

TEST(app_websocket_clients_close_has_code_and_reason)
{
    fake_t f;
    ws_t ws;
    app_setup(&f);
    uint64_t stream = app_ws_open(&f, &ws);
    ws_text(&ws, "last words");
    app_ws_send_close(&ws, 4321, "gr\xc3\xbc\xc3\x9f");
    EXPECT_STR_C(app_text(fake_expect(&f, CLR_FRAME_WS_MESSAGE)), "last words");
    app_expect_gone(&f, stream, 4321, "gr\xc3\xbc\xc3\x9f");
    app_ws_expect_close(&ws, 4321, "");
    fake_expect_nothing(&f);
    app_ws_finish(&f, &ws);
}

TEST(app_websocket_close_without_a_code_is_1005)
{
    fake_t f;
    ws_t ws;
    app_setup(&f);
    uint64_t stream = app_ws_open(&f, &ws);
    ws_send(&ws, 0x88, CLR_STR_EMPTY);
    app_expect_gone(&f, stream, 1005, "");
    fake_expect_nothing(&f);
    app_ws_finish(&f, &ws);
}

TEST(app_websocket_lost_client_is_1006)
{
    fake_t f;
    ws_t ws;
    app_setup(&f);
    uint64_t stream = app_ws_open(&f, &ws);
    ws_close(&ws);
    app_expect_gone(&f, stream, 1006, "");
    fake_expect_nothing(&f);
    app_teardown(&f);
}

TEST(app_websocket_application_closes_with_code_and_reason)
{
    fake_t f;
    ws_t ws;
    app_setup(&f);
    uint64_t stream = app_ws_open(&f, &ws);
    fake_text(&f, CLR_FRAME_WS_SEND, 0, stream, "last");
    app_ws_close(&f, stream, 4001, "enough");
    fake_text(&f, CLR_FRAME_WS_SEND, 0, stream, "after");
    ws_expect(&ws, "last");
    app_ws_expect_close(&ws, 4001, "enough");
    ws_text(&ws, "crossing");
    app_ws_send_close(&ws, 4001, "");
    app_expect_gone(&f, stream, 4001, "");
    fake_expect_nothing(&f);
    app_ws_finish(&f, &ws);
}

TEST(app_websocket_close_codes_that_may_not_be_sent)
{
    fake_t f;
    ws_t ws;
    app_setup(&f);
    uint64_t stream = app_ws_open(&f, &ws);
    app_ws_close(&f, stream, 1006, "");
    app_ws_expect_close(&ws, 1011, "");
    app_ws_finish(&f, &ws);
}

TEST(app_websocket_protocol_error_ends_it)
{
    fake_t f;
    ws_t ws;
    app_setup(&f);
    uint64_t stream = app_ws_open(&f, &ws);
    ws_send(&ws, 0x81, CLR_STR("\xff"));
    app_ws_expect_close(&ws, 1007, "");
    app_expect_gone(&f, stream, 1007, "");
    app_ws_finish(&f, &ws);
}

TEST(app_websocket_abort_cuts_it)
{
    fake_t f;
    ws_t ws;
    app_setup(&f);
    uint64_t stream = app_ws_open(&f, &ws);
    fake_text(&f, CLR_FRAME_HTTP_ABORT, 0, stream, "it failed");
    clr_buf_t got = app_read_all(ws.fd);
    EXPECT_EQ(got.n, 0);
    clr_buf_deinit(&got);
    clr_buf_deinit(&ws.in);
    app_teardown(&f);
}

TEST(app_websocket_ends_with_its_worker)
{
    fake_t f;
    ws_t open, asked;
    app_setup(&f);
    app_ws_open(&f, &open);
    (void)app_ws_ask(&f, &asked, "");
    fake_close(&f);
    app_ws_expect_close(&open, 1012, "the worker is gone");
    app_open(&f, 1, 10);
    uint64_t stream = app_asked(&f).stream; /* the handshake is repeated */
    app_accept(&f, stream, "", NULL);
    app_ws_read_accept(&asked, NULL);
    ws_close(&asked);
    app_ws_finish(&f, &open);
}

TEST(app_websocket_ends_at_shutdown)
{
    fake_t f;
    ws_t ws;
    app_setup(&f);
    uint64_t stream = app_ws_open(&f, &ws);
    clr_gateway_drain(&gw);
    app_expect_gone(&f, stream, 1012, "shutting down");
    app_ws_expect_close(&ws, 1012, "shutting down");
    app_ws_close(&f, stream, 1012, ""); /* as a worker that stops */
    fake_expect_nothing(&f);
    app_ws_finish(&f, &ws);
}

/* ---- pings ---- */

static void setup_pings(fake_t *f, uint64_t interval, uint64_t timeout)
{
    fixture_defaults();
    options.ws_ping_interval_ms = interval;
    options.ws_ping_timeout_ms = timeout;
    app_setup(f);
}

TEST(app_websocket_pings_and_takes_the_answer)
{
    fake_t f;
    ws_t ws;
    setup_pings(&f, 10, 10000);
    uint64_t stream = app_ws_open(&f, &ws);
    for (int i = 0; i < 3; i++) {
        uint8_t first;
        EXPECT_EQ(ws_receive(&ws, &first).n, 0);
        EXPECT_EQ(first, 0x89);
        clr_app_request_t *r = clr_dispatch_find(&gw, stream, CLR_OBJECT_REQUEST);
        EXPECT(r->pinged);
        ws_send(&ws, 0x8a, CLR_STR_EMPTY);
        LOOPBACK_UNTIL(&loop, -1, !r->pinged);
        clr_loop_timer_start(&loop, &r->timer, 1); /* not the whole time that a dead one gets */
    }
    app_ws_finish(&f, &ws);
}

TEST(app_websocket_client_that_answers_no_ping_is_closed)
{
    fake_t f;
    ws_t ws;
    setup_pings(&f, 10, 10);
    uint64_t stream = app_ws_open(&f, &ws);
    app_expect_gone(&f, stream, 1006, "");
    uint8_t first;
    ws_receive(&ws, &first);
    EXPECT_EQ(first, 0x89);
    app_ws_expect_close(&ws, 1011, "keepalive ping timeout");
    app_ws_finish(&f, &ws);
}

TEST(app_websocket_client_that_we_do_not_read_is_not_closed)
{
    fake_t f;
    ws_t ws;
    setup_pings(&f, 10, 10);
    uint64_t stream = app_ws_open(&f, &ws);
    clr_app_request_t *r = clr_dispatch_find(&gw, stream, CLR_OBJECT_REQUEST);
    r->untaken = CLR_REQUEST_WINDOW; /* the application is busy */
    clr_app_update_reading(r);
    uint64_t until = clr_loop_now(&loop) + 100;
    LOOPBACK_UNTIL(&loop, -1, clr_loop_now(&loop) >= until);
    EXPECT_EQ(app_count(), 1);
    fake_expect_nothing(&f);
    r->untaken = 0;
    clr_app_update_reading(r);
    app_ws_finish(&f, &ws);
}

TEST_MAIN(T(app_websocket_clients_close_has_code_and_reason),
          T(app_websocket_close_without_a_code_is_1005), T(app_websocket_lost_client_is_1006),
          T(app_websocket_application_closes_with_code_and_reason),
          T(app_websocket_close_codes_that_may_not_be_sent),
          T(app_websocket_protocol_error_ends_it), T(app_websocket_abort_cuts_it),
          T(app_websocket_ends_with_its_worker), T(app_websocket_ends_at_shutdown),
          T(app_websocket_pings_and_takes_the_answer),
          T(app_websocket_client_that_answers_no_ping_is_closed),
          T(app_websocket_client_that_we_do_not_read_is_not_closed))
