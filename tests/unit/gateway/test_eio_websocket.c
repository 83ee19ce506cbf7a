#include "gateway/eio_websocket.h"

#include "eio_fixture.h"

#define PATH "/engine.io"

static fake_t worker;

static void setup(void)
{
    fixture_open(false);
    fake_open(&worker, 1, ENGINEIO_SERVER, 100);
}

static void teardown(void)
{
    fake_close(&worker);
    fixture_close();
}

static uint64_t accept_session(void)
{
    uint64_t stream = fake_expect(&worker, CLR_FRAME_EIO_OPEN).stream;
    fake_simple(&worker, CLR_FRAME_EIO_ACCEPT, stream);
    return stream;
}

static uint64_t open_ws(ws_t *ws)
{
    *ws = (ws_t){0};
    ws->fd = request("GET", PATH WS_URL,
                     "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
                     NULL);
    uint64_t stream = accept_session();
    EXPECT(loopback_read_text(&loop, ws->fd, &ws->in, "0{"));
    const char *end = memmem(ws->in.p, ws->in.n, "\r\n\r\n", 4);
    clr_buf_consume(&ws->in, (size_t)(end - ws->in.p) + 4);
    uint8_t first;
    copy_sid(ws_receive(ws, &first), ws->sid);
    return stream;
}

static uint64_t open_polling(char sid[CLR_ID_LEN + 1])
{
    int fd = request("GET", PATH POLL_URL, "", NULL);
    uint64_t stream = accept_session();
    response_t r = response(fd);
    copy_sid(r.body, sid);
    response_free(&r);
    return stream;
}

static void expect_message(uint64_t stream, uint8_t flags, const char *text)
{
    clr_frame_t frame = fake_expect(&worker, CLR_FRAME_EIO_MESSAGE);
    clr_reader_t r = clr_reader(frame.payload);
    EXPECT_EQ(frame.stream, stream);
    EXPECT_EQ(frame.flags, flags);
    EXPECT_STR_C(clr_read_str(&r), text);
}

static void expect_gone(uint64_t stream, uint8_t reason)
{
    clr_frame_t frame = fake_expect(&worker, CLR_FRAME_EIO_GONE);
    EXPECT_EQ(frame.stream, stream);
    EXPECT_EQ(frame.payload.p[0], reason);
}

TEST(websocket_carries_text_and_binary_both_ways)
{
    setup();
    ws_t ws;
    uint64_t stream = open_ws(&ws);
    ws_text(&ws, "4hello");
    expect_message(stream, 0, "hello");
    ws_binary(&ws, "\x01\x02");
    expect_message(stream, CLR_FRAME_BINARY, "\x01\x02");
    ws_text(&ws, "bAQI=");
    expect_message(stream, CLR_FRAME_BINARY, "\x01\x02");
    fake_text(&worker, CLR_FRAME_EIO_SEND, 0, stream, "back");
    ws_expect(&ws, "4back");
    fake_text(&worker, CLR_FRAME_EIO_SEND, CLR_FRAME_BINARY, stream, "raw");
    ws_expect_binary(&ws, "raw");
    ws_close(&ws);
    expect_gone(stream, CLR_REASON_TRANSPORT_CLOSE);
    teardown();
}

TEST(websocket_closes_at_once_on_bad_packets)
{
    static const char *const packets[] = {"abc", "", "2", "7", "b!"};
    for (size_t i = 0; i < clr_array_len(packets); i++) {
        setup();
        ws_t ws;
        uint64_t stream = open_ws(&ws);
        ws_text(&ws, packets[i]);
        ws_expect_close(&ws);
        expect_gone(stream, CLR_REASON_TRANSPORT_ERROR);
        ws_close(&ws);
        teardown();
    }
}

TEST(websocket_close_frame_of_any_code_is_no_error)
{
    setup();
    ws_t ws;
    uint64_t stream = open_ws(&ws);
    ws_send(&ws, 0x88, CLR_STR("\x03\xea")); /* 1002: our fault, it says */
    ws_expect_close(&ws);
    expect_gone(stream, CLR_REASON_TRANSPORT_CLOSE);
    ws_close(&ws);
    teardown();
}

TEST(websocket_close_packet_closes_at_once)
{
    setup();
    ws_t ws;
    uint64_t stream = open_ws(&ws);
    ws_text(&ws, "1");
    ws_expect_close(&ws);
    expect_gone(stream, CLR_REASON_CLIENT_DISCONNECT);
    ws_close(&ws);
    teardown();
}

TEST(websocket_ignores_packets_that_mean_nothing)
{
    setup();
    ws_t ws;
    uint64_t stream = open_ws(&ws);
    ws_text(&ws, "0");
    ws_text(&ws, "5");
    ws_text(&ws, "6");
    ws_text(&ws, "3");
    ws_text(&ws, "4on");
    expect_message(stream, 0, "on");
    ws_close(&ws);
    teardown();
}

TEST(websocket_message_over_the_limit_is_a_transport_error)
{
    setup();
    ws_t ws;
    uint64_t stream = open_ws(&ws);
    char *big = malloc(100002);
    memset(big, '4', 100001);
    ws_send(&ws, 0x81, clr_str(big, 100001));
    ws_expect_close(&ws);
    expect_gone(stream, CLR_REASON_TRANSPORT_ERROR);
    free(big);
    ws_close(&ws);
    teardown();
}

TEST(websocket_closed_by_the_app_sends_what_is_queued)
{
    setup();
    ws_t ws;
    uint64_t stream = open_ws(&ws);
    size_t at = clr_frame_begin(&worker.out, CLR_FRAME_EIO_SEND, 0, stream);
    clr_write_str(&worker.out, CLR_STR("last"));
    clr_frame_end(&worker.out, at);
    fake_simple(&worker, CLR_FRAME_EIO_CLOSE, stream);
    ws_expect(&ws, "4last");
    ws_expect_close(&ws);
    expect_gone(stream, CLR_REASON_SERVER_DISCONNECT);
    ws_close(&ws);
    teardown();
}

/* ---- upgrade ---- */

static void open_probe(ws_t *ws, const char *sid)
{
    char target[200];
    snprintf(target, sizeof(target), PATH WS_URL "&sid=%s", sid);
    ws_connect(ws, target);
}

TEST(upgrade_takes_the_session_over)
{
    setup();
    char sid[CLR_ID_LEN + 1];
    uint64_t stream = open_polling(sid);
    ws_t ws;
    open_probe(&ws, sid);
    ws_text(&ws, "2probe");
    ws_expect(&ws, "3probe");
    expect_answer(poll_get(PATH, sid), 200, "6"); /* one that comes after the probe */
    fake_text(&worker, CLR_FRAME_EIO_SEND, 0, stream, "queued");
    fake_text(&worker, CLR_FRAME_EIO_SEND, CLR_FRAME_BINARY, stream, "bytes");
    fake_text(&worker, CLR_FRAME_EIO_SEND, 0, stream,
              "b\x1e"
              "c");
    ws_text(&ws, "5");
    ws_expect(&ws, "4queued");
    ws_expect_binary(&ws, "bytes");
    ws_expect(&ws, "4b\x1e"
                   "c");
    clr_frame_t frame = fake_expect(&worker, CLR_FRAME_TRANSPORT);
    EXPECT_EQ(frame.stream, stream);
    EXPECT_EQ(frame.payload.p[0], CLR_TRANSPORT_WEBSOCKET);
    ws_text(&ws, "4hello");
    expect_message(stream, 0, "hello");
    expect_answer(poll_get(PATH, sid), 400, "{\"code\":3,\"message\":\"Bad request\"}");
    expect_answer(poll_post(PATH, sid, "4x"), 400, "{\"code\":3,\"message\":\"Bad request\"}");
    ws_close(&ws);
    expect_gone(stream, CLR_REASON_TRANSPORT_CLOSE);
    teardown();
}

TEST(upgrade_releases_a_parked_get)
{
    setup();
    char sid[CLR_ID_LEN + 1];
    open_polling(sid);
    int get = poll_get(PATH, sid);
    ws_t ws;
    open_probe(&ws, sid);
    ws_text(&ws, "2probe");
    ws_expect(&ws, "3probe");
    expect_answer(get, 200, "6");
    get = poll_get(PATH, sid);
    expect_answer(get, 200, "6");
    ws_close(&ws);
    teardown();
}

TEST(upgrade_answers_queued_messages_by_polling_meanwhile)
{
    setup();
    char sid[CLR_ID_LEN + 1];
    uint64_t stream = open_polling(sid);
    ws_t ws;
    open_probe(&ws, sid);
    ws_text(&ws, "2probe");
    ws_expect(&ws, "3probe");
    fake_text(&worker, CLR_FRAME_EIO_SEND, 0, stream, "m");
    expect_answer(poll_get(PATH, sid), 200, "4m");
    ws_text(&ws, "5");
    fake_expect(&worker, CLR_FRAME_TRANSPORT);
    ws_expect_nothing(&ws); /* not twice */
    ws_close(&ws);
    teardown();
}

TEST(upgrade_abandoned_leaves_polling)
{
    static const char *const packets[] = {"5", "4hello", "2", "1", "2probe|4x"};
    setup();
    char sid[CLR_ID_LEN + 1];
    uint64_t stream = open_polling(sid);
    for (size_t i = 0; i < clr_array_len(packets); i++) {
        ws_t ws;
        open_probe(&ws, sid);
        clr_str_t rest = clr_str_c(packets[i]);
        for (clr_str_t part; clr_str_split(&rest, '|', &part);)
            ws_send(&ws, 0x81, part);
        uint8_t first;
        do
            ws_receive(&ws, &first);
        while (first == 0x81);
        EXPECT_EQ(first, 0x88);
        ws_close(&ws);
    }
    int get = poll_get(PATH, sid); /* parked: nobody hurries it any more */
    fake_text(&worker, CLR_FRAME_EIO_SEND, 0, stream, "still");
    expect_answer(get, 200, "4still");
    teardown();
}

TEST(upgrade_lost_connection_leaves_polling)
{
    setup();
    char sid[CLR_ID_LEN + 1];
    uint64_t stream = open_polling(sid);
    ws_t ws;
    open_probe(&ws, sid);
    ws_text(&ws, "2probe");
    ws_expect(&ws, "3probe");
    ws_close(&ws);
    for (int i = 0; i < 10; i++)
        loopback_turn(&loop);
    int get = poll_get(PATH, sid);
    fake_text(&worker, CLR_FRAME_EIO_SEND, 0, stream, "still");
    expect_answer(get, 200, "4still");
    teardown();
}

TEST(upgrade_second_websocket_opens_and_closes)
{
    setup();
    char sid[CLR_ID_LEN + 1];
    uint64_t stream = open_polling(sid);
    ws_t ws, second;
    open_probe(&ws, sid);
    open_probe(&second, sid); /* while the first probes */
    ws_expect_close(&second);
    ws_close(&second);
    ws_text(&ws, "2probe");
    ws_expect(&ws, "3probe");
    ws_text(&ws, "5");
    fake_expect(&worker, CLR_FRAME_TRANSPORT);
    open_probe(&second, sid); /* after the upgrade */
    ws_expect_close(&second);
    ws_close(&second);
    ws_text(&ws, "4hello");
    expect_message(stream, 0, "hello");
    ws_close(&ws);
    teardown();
}

TEST(upgrade_ends_with_its_session)
{
    setup();
    char sid[CLR_ID_LEN + 1];
    uint64_t stream = open_polling(sid);
    ws_t ws;
    open_probe(&ws, sid);
    expect_answer(poll_post(PATH, sid, "1"), 200, "ok");
    expect_gone(stream, CLR_REASON_CLIENT_DISCONNECT);
    ws_expect_close(&ws);
    ws_close(&ws);
    teardown();
}

TEST_MAIN(T(websocket_carries_text_and_binary_both_ways),
          T(websocket_closes_at_once_on_bad_packets),
          T(websocket_close_frame_of_any_code_is_no_error),
          T(websocket_close_packet_closes_at_once), T(websocket_ignores_packets_that_mean_nothing),
          T(websocket_message_over_the_limit_is_a_transport_error),
          T(websocket_closed_by_the_app_sends_what_is_queued), T(upgrade_takes_the_session_over),
          T(upgrade_releases_a_parked_get), T(upgrade_answers_queued_messages_by_polling_meanwhile),
          T(upgrade_abandoned_leaves_polling), T(upgrade_lost_connection_leaves_polling),
          T(upgrade_second_websocket_opens_and_closes), T(upgrade_ends_with_its_session))
