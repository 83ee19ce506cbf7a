/* WebSockets of the application: handshake, messages both ways, flow. */
#include "app_ws_fixture.h"

/* ---- the handshake ---- */

TEST(app_websocket_opens_when_the_application_accepts)
{
    fake_t f;
    ws_t ws;
    app_setup(&f);
    asked_t a = app_ws_ask(&f, &ws, "Sec-WebSocket-Protocol: chat, superchat\r\n");
    EXPECT_EQ(a.head.transport, CLR_TRANSPORT_WEBSOCKET);
    EXPECT_STR_C(a.head.target, "/chat?x=1");
    EXPECT_EQ(a.window, 256 << 10);
    clr_buf_t head = {0};
    app_settle();
    loopback_receive(ws.fd, &head);
    EXPECT_EQ(head.n, 0);
    app_accept(&f, a.stream, "superchat", "set-cookie: a=b|sec-websocket-accept: no");
    app_ws_read_accept(&ws, &head);
    EXPECT(buf_has(&head, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    EXPECT(buf_has(&head, "Sec-WebSocket-Protocol: superchat\r\n"));
    EXPECT(buf_has(&head, "set-cookie: a=b\r\n"));
    EXPECT_EQ(buf_count(&head, "ccept: "), 1);
    clr_buf_deinit(&head);
    app_ws_finish(&f, &ws);
}

TEST(app_websocket_bad_handshakes_reach_no_worker)
{
    fake_t f;
    app_setup(&f);
    expect_answer(request("GET", "/",
                          "Connection: Upgrade\r\nUpgrade: websocket\r\n"
                          "Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: "
                          "dGhlIHNhbXBsZSBub25jZQ==\r\n",
                          NULL),
                  426, NULL);
    expect_answer(request("GET", "/",
                          "Connection: Upgrade\r\nUpgrade: websocket\r\n"
                          "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n",
                          NULL),
                  400, NULL);
    expect_answer(request("POST", "/", APP_UPGRADE, "x"), 400, NULL);
    fake_expect_nothing(&f);
    EXPECT_EQ(app_count(), 0);
    app_teardown(&f);
}

TEST(app_websocket_other_upgrades_are_requests)
{
    fake_t f;
    app_setup(&f);
    int fd = request("GET", "/", "Connection: Upgrade\r\nUpgrade: h2c\r\n", NULL);
    asked_t a = app_asked(&f);
    EXPECT_EQ(a.head.transport, 0);
    app_start(&f, a.stream, CLR_FRAME_END, 200, NULL, "ok");
    expect_answer(fd, 200, "ok");
    app_teardown(&f);
}

TEST(app_websocket_closed_before_it_is_accepted_is_403)
{
    fake_t f;
    ws_t ws;
    app_setup(&f);
    uint64_t stream = app_ws_ask(&f, &ws, "").stream;
    app_ws_close(&f, stream, 1000, "");
    app_expect_gone(&f, stream, 1006, "");
    response_t r = response(ws.fd);
    EXPECT_EQ(r.status, 403);
    EXPECT(head_has(&r, "Connection: close\r\n"));
    response_free(&r);
    EXPECT_EQ(app_count(), 0);
    app_teardown(&f);
}

TEST(app_websocket_denied_with_a_response)
{
    fake_t f;
    ws_t ws;
    app_setup(&f);
    uint64_t stream = app_ws_ask(&f, &ws, "").stream;
    app_start(&f, stream, 0, 401, "www-authenticate: Basic|content-length: 4", "no");
    fake_text(&f, CLR_FRAME_HTTP_DATA, CLR_FRAME_END, stream, "pe");
    response_t r = response(ws.fd);
    EXPECT_EQ(r.status, 401);
    EXPECT_STR_C(r.body, "nope");
    EXPECT(head_has(&r, "www-authenticate: Basic\r\n"));
    EXPECT(head_has(&r, "Connection: close\r\n"));
    response_free(&r);
    fake_expect_nothing(&f);
    app_teardown(&f);
}

TEST(app_websocket_client_that_leaves_before_is_told)
{
    fake_t f;
    ws_t ws;
    app_setup(&f);
    uint64_t stream = app_ws_ask(&f, &ws, "").stream;
    close(ws.fd);
    app_expect_gone(&f, stream, 1006, "");
    app_accept(&f, stream, "", NULL); /* finds nothing */
    fake_expect_nothing(&f);
    EXPECT(!f.gone);
    app_teardown(&f);
}

TEST(app_websocket_frames_before_the_accept_wait)
{
    fake_t f;
    ws_t ws;
    app_setup(&f);
    uint64_t stream = app_ws_ask(&f, &ws, "").stream;
    ws_text(&ws, "early");
    fake_expect_nothing(&f);
    app_accept(&f, stream, "", NULL);
    EXPECT_STR_C(app_text(fake_expect(&f, CLR_FRAME_WS_MESSAGE)), "early");
    app_ws_finish(&f, &ws);
}

TEST(app_websocket_accept_violations)
{
    fixture_defaults();
    options.ws_max_size = 1000;
    fixture_open(false);
    for (int i = 0; i < 3; i++) {
        fake_t f;
        ws_t ws;
        app_open(&f, 1, 10);
        uint64_t stream = app_ws_ask(&f, &ws, "").stream;
        if (i == 2)
            app_accept(&f, stream, "", NULL);
        app_accept(&f, stream, i == 0 ? "a b" : "", i == 1 ? "x: a\nb" : NULL);
        fake_wait_gone(&f);
        EXPECT_EQ(f.gone_reason, CLR_EPROTO);
        fake_close(&f);
        ws_close(&ws);
        LOOPBACK_UNTIL(&loop, -1, app_count() == 0);
    }
    fixture_close();
}

/* ---- messages ---- */

TEST(app_websocket_messages_both_ways)
{
    fake_t f;
    ws_t ws;
    app_setup(&f);
    uint64_t stream = app_ws_open(&f, &ws);
    ws_text(&ws, "h\xc3\xa9llo");
    clr_frame_t frame = fake_expect(&f, CLR_FRAME_WS_MESSAGE);
    EXPECT_EQ(frame.flags, 0);
    EXPECT_EQ(frame.stream, stream);
    EXPECT_STR_C(app_text(frame), "h\xc3\xa9llo");
    ws_binary(&ws, "\xff\xfe");
    frame = fake_expect(&f, CLR_FRAME_WS_MESSAGE);
    EXPECT_EQ(frame.flags, CLR_FRAME_BINARY);
    EXPECT_STR_C(app_text(frame), "\xff\xfe");
    ws_text(&ws, "");
    EXPECT_EQ(app_text(fake_expect(&f, CLR_FRAME_WS_MESSAGE)).n, 0);
    fake_text(&f, CLR_FRAME_WS_SEND, 0, stream, "text");
    ws_expect(&ws, "text");
    fake_text(&f, CLR_FRAME_WS_SEND, CLR_FRAME_BINARY, stream, "\xff");
    ws_expect_binary(&ws, "\xff");
    fake_text(&f, CLR_FRAME_WS_SEND, 0, stream, "");
    ws_expect(&ws, "");
    app_ws_finish(&f, &ws);
}

TEST(app_websocket_text_that_is_no_utf8_is_a_violation)
{
    fake_t f;
    ws_t ws;
    app_setup(&f);
    uint64_t stream = app_ws_open(&f, &ws);
    fake_text(&f, CLR_FRAME_WS_SEND, 0, stream, "\xff");
    fake_wait_gone(&f);
    app_ws_expect_close(&ws, 1012, "the worker is gone");
    app_ws_finish(&f, &ws);
}

TEST(app_websocket_largest_message)
{
    fake_t f;
    ws_t ws;
    fixture_defaults();
    options.ws_max_size = 1000;
    app_setup(&f);
    uint64_t stream = app_ws_open(&f, &ws);
    char text[1002] = {0};
    memset(text, 'x', 1000);
    ws_text(&ws, text);
    EXPECT_EQ(app_text(fake_expect(&f, CLR_FRAME_WS_MESSAGE)).n, 1000);
    text[1000] = 'x';
    ws_text(&ws, text);
    app_ws_expect_close(&ws, 1009, "");
    app_expect_gone(&f, stream, 1009, "");
    app_ws_finish(&f, &ws);
}

/* Sends what the socket takes. */
static size_t flood(ws_t *ws, const clr_buf_t *frames)
{
    size_t sent = 0;
    for (int idle = 0; sent < frames->n && idle < 20;) {
        ssize_t n = send(ws->fd, frames->p + sent, frames->n - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        idle = n > 0 ? 0 : idle + 1;
        sent += n > 0 ? (size_t)n : 0;
        loopback_turn(&loop);
    }
    return sent;
}

TEST(app_websocket_messages_flow_under_the_window)
{
    enum { SIZE = 1000, COUNT = 24000 };
    fake_t f;
    ws_t ws;
    app_setup(&f);
    uint64_t stream = app_ws_open(&f, &ws);
    clr_buf_t frames = {0};
    for (uint32_t i = 0; i < COUNT; i++) {
        static const char head[] = {
            (char)0x82, (char)(0x80 | 126), SIZE >> 8, (char)(SIZE & 255), 0, 0, 0, 0};
        clr_buf_append(&frames, head, sizeof(head));
        char payload[SIZE] = {0};
        memcpy(payload, &i, sizeof(i));
        clr_buf_append(&frames, payload, SIZE);
    }
    size_t sent = flood(&ws, &frames);
    EXPECT(sent < frames.n);
    app_settle();
    loopback_receive(f.fd, &f.in);
    EXPECT(f.in.n < CLR_REQUEST_WINDOW + 64 * 1024);
    for (uint32_t i = 0; i < COUNT; i++) {
        clr_frame_t frame = fake_expect(&f, CLR_FRAME_WS_MESSAGE);
        clr_str_t payload = app_text(frame);
        EXPECT_EQ(payload.n, SIZE);
        EXPECT(memcmp(payload.p, &i, sizeof(i)) == 0);
        if (i % 100 == 99)
            app_take(&f, stream, 100 * SIZE);
        if (sent < frames.n && i % 100 == 99) {
            clr_buf_t rest = {.p = frames.p + sent, .n = frames.n - sent};
            sent += flood(&ws, &rest);
        }
    }
    EXPECT_EQ(sent, frames.n);
    clr_buf_deinit(&frames);
    app_ws_finish(&f, &ws);
}

TEST(app_websocket_what_waits_comes_before_the_close)
{
    fake_t f;
    ws_t ws;
    app_setup(&f);
    uint64_t stream = app_ws_open(&f, &ws);
    clr_buf_t big = {0};
    memset(clr_buf_reserve(&big, CLR_REQUEST_WINDOW), 'x', CLR_REQUEST_WINDOW);
    big.n = CLR_REQUEST_WINDOW;
    ws_send(&ws, 0x82, clr_buf_str(&big));
    EXPECT_EQ(app_text(fake_expect(&f, CLR_FRAME_WS_MESSAGE)).n, CLR_REQUEST_WINDOW);
    clr_app_request_t *r = clr_dispatch_find(&gw, stream, CLR_OBJECT_REQUEST);
    clr_ws_pause(r->ws, false); /* as if one read had brought what follows, too */
    ws_text(&ws, "last");
    LOOPBACK_UNTIL(&loop, -1, r->body.n > 0);
    clr_ws_pause(r->ws, false);
    app_ws_send_close(&ws, 4000, "bye");
    app_ws_expect_close(&ws, 4000, "");
    fake_expect_nothing(&f);
    EXPECT_EQ(app_count(), 1);
    fake_text(&f, CLR_FRAME_WS_SEND, 0, stream, "to nobody");
    app_take(&f, stream, CLR_REQUEST_WINDOW);
    EXPECT_EQ(fake_expect(&f, CLR_FRAME_HTTP_WINDOW).stream, stream);
    EXPECT_STR_C(app_text(fake_expect(&f, CLR_FRAME_WS_MESSAGE)), "last");
    app_expect_gone(&f, stream, 4000, "bye");
    EXPECT_EQ(app_count(), 0);
    clr_buf_deinit(&big);
    app_ws_finish(&f, &ws);
}

TEST(app_websocket_what_waits_is_dropped_when_the_application_is_done)
{
    fake_t f;
    ws_t ws;
    app_setup(&f);
    uint64_t stream = app_ws_open(&f, &ws);
    clr_app_request_t *r = clr_dispatch_find(&gw, stream, CLR_OBJECT_REQUEST);
    r->untaken = CLR_REQUEST_WINDOW;
    ws_text(&ws, "never taken");
    LOOPBACK_UNTIL(&loop, -1, r->body.n > 0);
    clr_ws_pause(r->ws, false);
    app_ws_send_close(&ws, 1000, "");
    LOOPBACK_UNTIL(&loop, -1, r->state == CLR_APP_CLOSED);
    app_ws_close(&f, stream, 1000, "");
    LOOPBACK_UNTIL(&loop, -1, app_count() == 0);
    fake_expect_nothing(&f);
    app_ws_finish(&f, &ws);
}

TEST(app_websocket_window_follows_the_client)
{
    fake_t f;
    ws_t ws;
    app_setup(&f);
    uint64_t stream = app_ws_open(&f, &ws);
    clr_buf_t big = {0};
    memset(clr_buf_reserve(&big, 200000), 'x', 200000);
    big.n = 200000;
    for (int i = 0; i < 5; i++) {
        app_bytes(&f, CLR_FRAME_WS_SEND, CLR_FRAME_BINARY, stream, clr_buf_str(&big));
        uint8_t first;
        EXPECT_EQ(ws_receive(&ws, &first).n, 200000);
        EXPECT_EQ(app_number(fake_expect(&f, CLR_FRAME_HTTP_WINDOW)), 200000);
    }
    clr_buf_deinit(&big);
    app_ws_finish(&f, &ws);
}

TEST(app_websocket_slow_reader_is_not_dropped)
{
    fake_t f;
    ws_t ws;
    fixture_defaults();
    options.max_buffered = 100000;
    app_setup(&f);
    uint64_t stream = app_ws_open(&f, &ws);
    clr_buf_t big = {0};
    memset(clr_buf_reserve(&big, 8 << 20), 'x', 8 << 20);
    big.n = 8 << 20;
    app_bytes(&f, CLR_FRAME_WS_SEND, CLR_FRAME_BINARY, stream, clr_buf_str(&big));
    app_settle();
    EXPECT_EQ(app_count(), 1);
    uint8_t first;
    EXPECT_EQ(ws_receive(&ws, &first).n, big.n);
    EXPECT_EQ(app_number(fake_expect(&f, CLR_FRAME_HTTP_WINDOW)), big.n);
    clr_buf_deinit(&big);
    app_ws_finish(&f, &ws);
}

TEST_MAIN(T(app_websocket_opens_when_the_application_accepts),
          T(app_websocket_bad_handshakes_reach_no_worker),
          T(app_websocket_other_upgrades_are_requests),
          T(app_websocket_closed_before_it_is_accepted_is_403),
          T(app_websocket_denied_with_a_response),
          T(app_websocket_client_that_leaves_before_is_told),
          T(app_websocket_frames_before_the_accept_wait), T(app_websocket_accept_violations),
          T(app_websocket_messages_both_ways), T(app_websocket_text_that_is_no_utf8_is_a_violation),
          T(app_websocket_largest_message), T(app_websocket_messages_flow_under_the_window),
          T(app_websocket_what_waits_comes_before_the_close),
          T(app_websocket_what_waits_is_dropped_when_the_application_is_done),
          T(app_websocket_window_follows_the_client), T(app_websocket_slow_reader_is_not_dropped))
