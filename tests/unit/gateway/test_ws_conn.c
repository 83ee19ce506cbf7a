#include "gateway/ws_conn.h"

#include "fixture.h"
#include "gateway/ws_conn_internal.h"

#define HANDSHAKE                                                                                  \
    "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"     \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

#define MAX_MESSAGE 100000

static clr_ws_conn_t *conns[200];
static clr_exchange_t *held;
static int opened, messages, closed, drains, close_in_message;
static uint16_t close_code;
static bool close_clean, echo = true, async_upgrade, kill_in_message;
static const char *close_why;
static clr_buf_t last;
static uint8_t last_opcode;

static void on_message(clr_ws_conn_t *ws, uint8_t opcode, clr_str_t payload)
{
    EXPECT(clr_ws_ctx(ws) == &gw);
    messages++;
    last_opcode = opcode;
    clr_buf_clear(&last);
    clr_buf_append_str(&last, payload);
    if (close_in_message) {
        clr_ws_close(ws, (uint16_t)close_in_message, CLR_STR("enough"));
        EXPECT_EQ(closed, 0); /* never within the call */
    } else if (kill_in_message) {
        clr_ws_kill(ws, "test");
        EXPECT_EQ(closed, 0);
    } else if (echo) {
        clr_ws_send(ws, opcode, payload);
    }
}

static void on_closed(clr_ws_conn_t *ws, uint16_t code, bool clean, const char *why)
{
    EXPECT(clr_ws_ctx(ws) == &gw);
    closed++;
    close_code = code;
    close_clean = clean;
    close_why = why;
}

static void on_drain(clr_ws_conn_t *ws)
{
    (void)ws;
    drains++;
}

static const clr_ws_ops_t ops = {
    .on_message = on_message, .on_closed = on_closed, .on_drain = on_drain};

static void upgrade(clr_exchange_t *x)
{
    clr_ws_conn_t *ws = clr_ws_upgrade(x, CLR_STR("X-Extra: yes\r\n"), MAX_MESSAGE, &ops, &gw);
    if (ws)
        conns[opened++] = ws;
}

static void on_head(clr_exchange_t *x)
{
    if (async_upgrade)
        held = x;
    else
        upgrade(x);
}

static const clr_handler_t handler = {.on_head = on_head};

static void setup_gateway(void)
{
    fixture_open(true);
    clr_router_add(&gw, CLR_STR("/ws"), &handler, &gw);
}

static int open_client(void)
{
    int fd = fixture_connect();
    clr_buf_t got = {0};
    loopback_send(&loop, fd, CLR_STR(HANDSHAKE));
    EXPECT(loopback_read_text(&loop, fd, &got, "\r\n\r\n"));
    EXPECT(buf_has(&got, "HTTP/1.1 101 "));
    EXPECT(buf_has(&got, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    EXPECT(buf_has(&got, "X-Extra: yes\r\n"));
    clr_buf_deinit(&got);
    return fd;
}

static int setup(void)
{
    setup_gateway();
    return open_client();
}

static void teardown(int fd)
{
    close(fd);
    fixture_close();
    clr_buf_deinit(&last);
    EXPECT_EQ(closed, opened); /* exactly once each */
}

/* A masked frame; `first` is the first byte: 0x81 a whole text message. */
static void put_frame(clr_buf_t *out, uint8_t first, clr_str_t payload)
{
    static const char mask[4] = {0x12, 0x34, 0x56, 0x78};
    clr_buf_putc(out, (char)first);
    if (payload.n < 126) {
        clr_buf_putc(out, (char)(0x80 | payload.n));
    } else if (payload.n < 65536) {
        clr_buf_putc(out, (char)(0x80 | 126));
        clr_buf_putc(out, (char)(payload.n >> 8));
        clr_buf_putc(out, (char)payload.n);
    } else {
        clr_buf_putc(out, (char)(0x80 | 127));
        for (int i = 7; i >= 0; i--)
            clr_buf_putc(out, (char)((uint64_t)payload.n >> (8 * i)));
    }
    clr_buf_append(out, mask, 4);
    for (size_t i = 0; i < payload.n; i++)
        clr_buf_putc(out, (char)(payload.p[i] ^ mask[i % 4]));
}

static void send_frame(int fd, uint8_t first, clr_str_t payload)
{
    clr_buf_t out = {0};
    put_frame(&out, first, payload);
    loopback_send(&loop, fd, clr_buf_str(&out));
    clr_buf_deinit(&out);
}

static void expect_bytes(int fd, clr_str_t expected)
{
    clr_buf_t got = {0};
    loopback_read(&loop, fd, &got, expected.n);
    EXPECT_STR(clr_buf_str(&got), expected);
    clr_buf_deinit(&got);
}

/* --- the handshake --- */

static void expect_refused(const char *request, const char *status, const char *header)
{
    setup_gateway();
    int fd = fixture_connect();
    clr_buf_t got = {0};
    loopback_send(&loop, fd, clr_str_c(request));
    EXPECT(loopback_read_text(&loop, fd, &got, "\r\n\r\n"));
    EXPECT(buf_has(&got, status));
    EXPECT(buf_has(&got, header));
    EXPECT_EQ(opened, 0);
    clr_buf_deinit(&got);
    teardown(fd);
}

TEST(ws_conn_refuses_another_version_with_426)
{
    expect_refused("GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                   "Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                   "\r\n",
                   "HTTP/1.1 426 ", "Sec-WebSocket-Version: 13\r\n");
}

TEST(ws_conn_refuses_a_bad_key)
{
    expect_refused("GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                   "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n\r\n",
                   "HTTP/1.1 400 ", "Content-Type: text/plain");
}

TEST(ws_conn_refuses_plain_http)
{
    expect_refused("GET /ws HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 400 ", "text/plain");
}

TEST(ws_conn_refuses_post)
{
    expect_refused("POST /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                   "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                   "Content-Length: 0\r\n\r\n",
                   "HTTP/1.1 400 ", "text/plain");
}

TEST(ws_conn_takes_a_frame_that_came_with_the_handshake)
{
    setup_gateway();
    int fd = fixture_connect();
    clr_buf_t out = {0}, got = {0};
    clr_buf_append_str(&out, CLR_STR(HANDSHAKE));
    put_frame(&out, 0x81, CLR_STR("early"));
    loopback_send(&loop, fd, clr_buf_str(&out));
    EXPECT(loopback_read_text(&loop, fd, &got,
                              "\x81\x05"
                              "early"));
    clr_buf_deinit(&out);
    clr_buf_deinit(&got);
    teardown(fd);
}

TEST(ws_conn_takes_a_frame_that_came_before_a_late_upgrade)
{
    async_upgrade = true;
    setup_gateway();
    int fd = fixture_connect();
    clr_buf_t out = {0}, got = {0};
    clr_buf_append_str(&out, CLR_STR(HANDSHAKE));
    put_frame(&out, 0x81, CLR_STR("early"));
    loopback_send(&loop, fd, clr_buf_str(&out));
    LOOPBACK_UNTIL(&loop, fd, held);
    for (int i = 0; i < 5; i++)
        loopback_turn(&loop);
    upgrade(held);
    EXPECT_EQ(messages, 0); /* not within the call */
    send_frame(fd, 0x81, CLR_STR("later"));
    EXPECT(loopback_read_text(&loop, fd, &got, "later"));
    EXPECT(buf_has(&got, "\x81\x05"
                         "early\x81\x05later"));
    clr_buf_deinit(&out);
    clr_buf_deinit(&got);
    teardown(fd);
}

TEST(ws_conn_killed_right_after_a_late_upgrade_hands_nothing_over)
{
    async_upgrade = true;
    setup_gateway();
    int fd = fixture_connect();
    clr_buf_t out = {0}, got = {0};
    clr_buf_append_str(&out, CLR_STR(HANDSHAKE));
    put_frame(&out, 0x81, CLR_STR("early"));
    loopback_send(&loop, fd, clr_buf_str(&out));
    LOOPBACK_UNTIL(&loop, fd, held);
    for (int i = 0; i < 5; i++)
        loopback_turn(&loop);
    upgrade(held);
    clr_ws_kill(conns[0], "test");
    EXPECT_EQ(closed, 0);
    LOOPBACK_UNTIL(&loop, fd, closed);
    EXPECT_EQ(messages, 0);
    clr_buf_deinit(&out);
    clr_buf_deinit(&got);
    teardown(fd);
}

/* --- messages --- */

TEST(ws_conn_echoes_text_and_binary)
{
    int fd = setup();
    send_frame(fd, 0x81, CLR_STR("hi"));
    expect_bytes(fd, CLR_STR("\x81\x02hi"));
    send_frame(fd, 0x82, CLR_STR("\0\1"));
    expect_bytes(fd, CLR_STR("\x82\x02\0\1"));
    EXPECT_EQ(last_opcode, CLR_WS_BINARY);
    teardown(fd);
}

TEST(ws_conn_joins_fragments_with_pings_between)
{
    echo = false;
    int fd = setup();
    clr_buf_t out = {0};
    put_frame(&out, 0x01, CLR_STR("Hel"));
    put_frame(&out, 0x89, CLR_STR("ping"));
    put_frame(&out, 0x00, CLR_STR("lo \xc3"));
    put_frame(&out, 0x8a, CLR_STR("unasked pong"));
    put_frame(&out, 0x80, CLR_STR("\xa9"));
    for (size_t i = 0; i < out.n; i++) {
        loopback_send(&loop, fd, clr_str(out.p + i, 1));
        loopback_turn(&loop);
    }
    expect_bytes(fd, CLR_STR("\x8a\x04ping"));
    LOOPBACK_UNTIL(&loop, fd, messages == 1);
    EXPECT_STR_C(clr_buf_str(&last), "Hello \xc3\xa9");
    EXPECT(!conns[0]->parser); /* given back */
    clr_buf_deinit(&out);
    teardown(fd);
}

TEST(ws_conn_holds_a_parser_only_while_a_message_is_partial)
{
    int fd = setup();
    EXPECT(!conns[0]->parser);
    clr_buf_t out = {0};
    put_frame(&out, 0x81, CLR_STR("partial"));
    loopback_send(&loop, fd, clr_str(out.p, 5));
    LOOPBACK_UNTIL(&loop, fd, conns[0]->parser);
    loopback_send(&loop, fd, clr_str_from(clr_buf_str(&out), 5));
    expect_bytes(fd, CLR_STR("\x81\x07partial"));
    EXPECT(!conns[0]->parser);
    printf("sizeof(clr_ws_conn_t) = %zu, with the stream %zu\n", sizeof(clr_ws_conn_t),
           sizeof(clr_ws_conn_t) + sizeof(clr_stream_t));
    EXPECT(sizeof(clr_ws_conn_t) + sizeof(clr_stream_t) <= 500);
    EXPECT(!conns[0]->extra && clr_outq_is_empty(&conns[0]->stream->out_));
    clr_buf_deinit(&out);
    teardown(fd);
}

TEST(ws_conn_interleaves_partial_messages_of_many_clients)
{
    setup_gateway();
    int fds[50];
    clr_buf_t out = {0};
    put_frame(&out, 0x81, CLR_STR("many clients"));
    for (int i = 0; i < 50; i++)
        fds[i] = open_client();
    for (size_t b = 0; b < out.n; b++) {
        for (int i = 0; i < 50; i++)
            EXPECT_EQ(send(fds[i], out.p + b, 1, 0), 1);
        loopback_turn(&loop);
    }
    for (int i = 0; i < 50; i++)
        expect_bytes(fds[i], CLR_STR("\x81\x0cmany clients"));
    for (int i = 1; i < 50; i++)
        close(fds[i]);
    clr_buf_deinit(&out);
    teardown(fds[0]);
}

TEST(ws_conn_sends_reserved_and_large_messages)
{
    int fd = setup();
    memcpy(clr_ws_reserve(conns[0], CLR_WS_TEXT, 3), "abc", 3);
    clr_ws_commit(conns[0]);
    clr_ws_send(conns[0], CLR_WS_TEXT, clr_str(NULL, 0));
    expect_bytes(fd, CLR_STR("\x81\x03"
                             "abc\x81\x00"));
    static char big[70000];
    memset(big, 'b', sizeof(big));
    clr_ws_send(conns[0], CLR_WS_BINARY, clr_str(big, sizeof(big)));
    clr_buf_t got = {0};
    EXPECT(loopback_read(&loop, fd, &got, sizeof(big) + 10));
    EXPECT(memcmp(got.p, "\x82\x7f\0\0\0\0\0\1\x11\x70", 10) == 0);
    clr_ws_want_drain(conns[0]);
    LOOPBACK_UNTIL(&loop, fd, drains == 1);
    clr_buf_deinit(&got);
    teardown(fd);
}

TEST(ws_conn_broadcasts_one_buffer_to_many)
{
    enum { CLIENTS = 100, ROUNDS = 20 };
    setup_gateway();
    int fds[CLIENTS];
    for (int i = 0; i < CLIENTS; i++)
        fds[i] = open_client();
    clr_shared_t *frame = clr_shared_new(1000);
    frame->len = (uint32_t)clr_ws_frame_head(frame->data, CLR_WS_TEXT, 500);
    memset(frame->data + frame->len, 'f', 500);
    frame->len += 500;
    for (int r = 0; r < ROUNDS; r++) {
        for (int i = 0; i < CLIENTS; i++)
            clr_ws_send_frames(conns[i], frame);
    }
    for (int i = 0; i < CLIENTS; i++) {
        clr_buf_t got = {0};
        EXPECT(loopback_read(&loop, fds[i], &got, (size_t)ROUNDS * frame->len));
        EXPECT_EQ(got.n, (size_t)ROUNDS * frame->len);
        EXPECT(memcmp(got.p, frame->data, frame->len) == 0);
        clr_buf_deinit(&got);
    }
    EXPECT(clr_shared_is_sole(frame));
    clr_shared_unref(frame);
    for (int i = 1; i < CLIENTS; i++)
        close(fds[i]);
    teardown(fds[0]);
}

TEST(ws_conn_pause_stops_reading)
{
    int fd = setup();
    clr_ws_pause(conns[0], true);
    send_frame(fd, 0x81, CLR_STR("wait"));
    for (int i = 0; i < 20; i++)
        loopback_turn(&loop);
    EXPECT_EQ(messages, 0);
    clr_ws_pause(conns[0], false);
    expect_bytes(fd, CLR_STR("\x81\x04wait"));
    teardown(fd);
}

/* --- the end --- */

static void expect_closed(int fd, clr_str_t frame, uint16_t code, bool clean)
{
    clr_buf_t got = {0};
    loopback_read_all(&loop, fd, &got);
    EXPECT_STR(clr_buf_str(&got), frame);
    LOOPBACK_UNTIL(&loop, fd, closed == 1);
    EXPECT_EQ(close_code, code);
    EXPECT_EQ(close_clean, clean);
    clr_buf_deinit(&got);
    teardown(fd);
}

TEST(ws_conn_answers_the_clients_close)
{
    int fd = setup();
    send_frame(fd, 0x88,
               CLR_STR("\x0f\xa1"
                       "bye"));
    expect_closed(fd, CLR_STR("\x88\x02\x0f\xa1"), 4001, true);
}

TEST(ws_conn_answers_a_close_without_status)
{
    int fd = setup();
    send_frame(fd, 0x88, CLR_STR(""));
    expect_closed(fd, CLR_STR("\x88\x00"), CLR_WS_NO_STATUS, true);
}

TEST(ws_conn_ignores_what_follows_the_clients_close)
{
    int fd = setup();
    clr_buf_t out = {0};
    put_frame(&out, 0x88, CLR_STR("\x03\xe8"));
    put_frame(&out, 0x81, CLR_STR("late"));
    loopback_send(&loop, fd, clr_buf_str(&out));
    clr_buf_deinit(&out);
    expect_closed(fd, CLR_STR("\x88\x02\x03\xe8"), 1000, true);
    EXPECT_EQ(messages, 0);
}

TEST(ws_conn_close_waits_for_the_clients_answer)
{
    int fd = setup();
    clr_ws_send(conns[0], CLR_WS_TEXT, CLR_STR("last"));
    clr_ws_close(conns[0], 1001, CLR_STR("away"));
    clr_ws_close(conns[0], 1000, CLR_STR("again"));
    clr_ws_send(conns[0], CLR_WS_TEXT, CLR_STR("too late"));
    expect_bytes(fd, CLR_STR("\x81\x04last\x88\x06\x03\xe9"
                             "away"));
    EXPECT_EQ(closed, 0);
    send_frame(fd, 0x81, CLR_STR("not seen"));
    send_frame(fd, 0x88, CLR_STR("\x03\xe9"));
    expect_closed(fd, CLR_STR(""), 1001, true);
    EXPECT_EQ(messages, 0);
}

TEST(ws_conn_close_gives_up_waiting)
{
    int fd = setup();
    clr_ws_pause(conns[0], true);
    clr_ws_close(conns[0], 0, CLR_STR_EMPTY);
    expect_closed(fd, CLR_STR("\x88\x00"), CLR_WS_NO_STATUS, true);
}

TEST(ws_conn_may_be_closed_within_a_message)
{
    close_in_message = 1008;
    int fd = setup();
    send_frame(fd, 0x81, CLR_STR("a"));
    send_frame(fd, 0x81, CLR_STR("b"));
    send_frame(fd, 0x88, CLR_STR("\x03\xf0"));
    expect_closed(fd,
                  CLR_STR("\x88\x08\x03\xf0"
                          "enough"),
                  1008, true);
    EXPECT_EQ(messages, 1);
}

TEST(ws_conn_may_be_killed_within_a_message)
{
    kill_in_message = true;
    int fd = setup();
    clr_buf_t out = {0};
    put_frame(&out, 0x81, CLR_STR("a"));
    put_frame(&out, 0x81, CLR_STR("b"));
    loopback_send(&loop, fd, clr_buf_str(&out));
    clr_buf_deinit(&out);
    expect_closed(fd, CLR_STR(""), CLR_WS_ABNORMAL, false);
    EXPECT_EQ(messages, 1);
}

TEST(ws_conn_reports_a_lost_client)
{
    int fd = setup();
    shutdown(fd, SHUT_RDWR);
    LOOPBACK_UNTIL(&loop, -1, closed == 1);
    EXPECT_EQ(close_code, CLR_WS_ABNORMAL);
    EXPECT(!close_clean);
    teardown(fd);
}

static void expect_violation(uint8_t first, clr_str_t payload, const char *close_frame)
{
    int fd = setup();
    send_frame(fd, first, payload);
    clr_str_t expected = clr_str(close_frame, 4);
    expect_closed(fd, expected, (uint16_t)((uint8_t)close_frame[2] << 8 | (uint8_t)close_frame[3]),
                  false);
    EXPECT_EQ(messages, 0);
}

TEST(ws_conn_closes_1007_on_invalid_utf8)
{
    expect_violation(0x81, CLR_STR("\xff\xfe"), "\x88\x02\x03\xef");
}

TEST(ws_conn_closes_1002_on_reserved_bits)
{
    expect_violation(0xc1, CLR_STR("x"), "\x88\x02\x03\xea");
}

TEST(ws_conn_closes_1009_past_the_limit)
{
    static char big[MAX_MESSAGE + 1];
    memset(big, 'x', sizeof(big));
    expect_violation(0x81, clr_str(big, sizeof(big)), "\x88\x02\x03\xf1");
}

TEST(ws_conn_takes_a_message_at_the_limit)
{
    static char big[MAX_MESSAGE];
    memset(big, 'x', sizeof(big));
    echo = false;
    int fd = setup();
    send_frame(fd, 0x81, clr_str(big, sizeof(big)));
    LOOPBACK_UNTIL(&loop, fd, messages == 1);
    EXPECT_EQ(last.n, MAX_MESSAGE);
    teardown(fd);
}

TEST(ws_conn_drops_a_stalled_reader)
{
    fixture_defaults();
    options.max_buffered = 300000;
    int fd = setup();
    static char block[50000];
    uint64_t sent = 0;
    while (!closed) {
        clr_ws_send(conns[0], CLR_WS_BINARY, clr_str(block, sizeof(block)));
        sent += sizeof(block);
        EXPECT(clr_ws_pending(conns[0]) <= options.max_buffered + 2 * sizeof(block));
        EXPECT(sent < 100 << 20);
        loopback_turn(&loop);
    }
    EXPECT_EQ(close_code, CLR_WS_POLICY);
    EXPECT(strcmp(close_why, "stalled reader") == 0);
    teardown(fd);
}

TEST(ws_conn_drops_a_flood_of_pings_with_unread_pongs)
{
    fixture_defaults();
    options.max_buffered = 50000;
    int fd = setup();
    clr_buf_t out = {0};
    char payload[125] = {0};
    for (int i = 0; i < 200; i++)
        put_frame(&out, 0x89, clr_str(payload, sizeof(payload)));
    for (uint64_t until = clr_clock_now_ms() + LOOPBACK_DEADLINE_MS; !closed;) {
        EXPECT(clr_clock_now_ms() < until);
        loopback_send(&loop, fd, clr_buf_str(&out));
    }
    EXPECT(strcmp(close_why, "stalled reader") == 0);
    clr_buf_deinit(&out);
    teardown(fd);
}

TEST(ws_conn_shutdown_kills_all)
{
    setup_gateway();
    int a = open_client(), b = open_client();
    clr_ws_close(conns[0], 1001, CLR_STR(""));
    clr_gateway_kill_clients(&gw);
    EXPECT_EQ(closed, 0);
    LOOPBACK_UNTIL(&loop, -1, closed == 2);
    close(b);
    teardown(a);
}

TEST_MAIN(T(ws_conn_refuses_another_version_with_426), T(ws_conn_refuses_a_bad_key),
          T(ws_conn_refuses_plain_http), T(ws_conn_refuses_post),
          T(ws_conn_takes_a_frame_that_came_with_the_handshake),
          T(ws_conn_takes_a_frame_that_came_before_a_late_upgrade),
          T(ws_conn_killed_right_after_a_late_upgrade_hands_nothing_over),
          T(ws_conn_echoes_text_and_binary), T(ws_conn_joins_fragments_with_pings_between),
          T(ws_conn_holds_a_parser_only_while_a_message_is_partial),
          T(ws_conn_interleaves_partial_messages_of_many_clients),
          T(ws_conn_sends_reserved_and_large_messages), T(ws_conn_broadcasts_one_buffer_to_many),
          T(ws_conn_pause_stops_reading), T(ws_conn_answers_the_clients_close),
          T(ws_conn_answers_a_close_without_status),
          T(ws_conn_ignores_what_follows_the_clients_close),
          T(ws_conn_close_waits_for_the_clients_answer), T(ws_conn_close_gives_up_waiting),
          T(ws_conn_may_be_closed_within_a_message), T(ws_conn_may_be_killed_within_a_message),
          T(ws_conn_reports_a_lost_client), T(ws_conn_closes_1007_on_invalid_utf8),
          T(ws_conn_closes_1002_on_reserved_bits), T(ws_conn_closes_1009_past_the_limit),
          T(ws_conn_takes_a_message_at_the_limit), T(ws_conn_drops_a_stalled_reader),
          T(ws_conn_drops_a_flood_of_pings_with_unread_pongs), T(ws_conn_shutdown_kills_all))
