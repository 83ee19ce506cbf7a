#include "fixture.h"
#include "gateway/ws_conn_internal.h"

#define HANDSHAKE                                                                                  \
    "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"                 \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

#define BEFORE "[\"stream_token\",{\"id\":\"1\",\"token\":\""
#define AFTER  "\",\"isInput\":false}]"

static clr_ws_conn_t *conn;
static int closed;

static void on_message(clr_ws_conn_t *ws, uint8_t opcode, clr_str_t payload)
{
    (void)ws;
    (void)opcode;
    (void)payload;
}

static void on_closed(clr_ws_conn_t *ws, uint16_t code, bool clean, const char *why)
{
    (void)ws;
    (void)code;
    (void)clean;
    (void)why;
    closed++;
}

static const clr_ws_ops_t ops = {.on_message = on_message, .on_closed = on_closed};

static void on_head(clr_exchange_t *x)
{
    conn = clr_ws_upgrade(x, CLR_STR_EMPTY, 1000, &ops, &gw);
}

static const clr_handler_t handler = {.on_head = on_head};

static int setup(void)
{
    fixture_open(true);
    clr_router_add(&gw, CLR_STR("/ws"), &handler, &gw);
    int fd = fixture_connect();
    clr_buf_t got = {0};
    loopback_send(&loop, fd, CLR_STR(HANDSHAKE));
    EXPECT(loopback_read_text(&loop, fd, &got, "\r\n\r\n"));
    clr_buf_deinit(&got);
    return fd;
}

static void teardown(int fd)
{
    close(fd);
    fixture_close();
    EXPECT_EQ(closed, 1);
}

static void send_around(const char *before, const char *text, const char *after)
{
    clr_buf_t body = {0};
    clr_buf_printf(&body, "%s%s%s", before, text, after);
    clr_ws_send_piece(conn, CLR_STR("42"), clr_buf_str(&body), strlen(before),
                      strlen(before) + strlen(text));
    clr_buf_deinit(&body);
}

static void send_piece(const char *text)
{
    send_around(BEFORE, text, AFTER);
}

/* Until the socket takes no more. Returns how many blocks were sent. */
static int fill(void)
{
    static char block[50000];
    int count = 0;
    do {
        clr_ws_send(conn, CLR_WS_BINARY, clr_str(block, sizeof(block)));
        EXPECT(++count < 1000);
        loopback_turn(&loop);
    } while (clr_ws_pending(conn) == 0);
    return count;
}

/* The next frame that is no block, from *at on: its payload. */
static clr_str_t next_frame(const clr_buf_t *got, size_t *at)
{
    for (;;) {
        EXPECT(*at + 10 < got->n);
        const uint8_t *p = (const uint8_t *)got->p + *at;
        size_t n = p[1], head = 2;
        if (n == 126) {
            n = (size_t)p[2] << 8 | p[3];
            head = 4;
        } else if (n == 127) {
            TEST_FAIL_("%s", "a frame that large");
        }
        EXPECT(*at + head + n <= got->n);
        *at += head + n;
        if (p[0] == 0x81)
            return clr_str((const char *)p + head, n);
        EXPECT_EQ(p[0], 0x82);
    }
}

static void read_all(int fd, clr_buf_t *got)
{
    clr_ws_send(conn, CLR_WS_TEXT, CLR_STR("the end of it"));
    EXPECT(loopback_read_text(&loop, fd, got, "the end of it"));
}

static void expect_frame(const clr_buf_t *got, size_t *at, const char *text)
{
    EXPECT_STR_C(next_frame(got, at), text);
}

TEST(pieces_stay_apart_while_the_client_keeps_up)
{
    int fd = setup();
    clr_buf_t got = {0};
    for (int i = 0; i < 3; i++)
        send_piece("x");
    loopback_turn(&loop);
    send_piece("y");
    read_all(fd, &got);
    size_t at = 0;
    for (int i = 0; i < 3; i++)
        expect_frame(&got, &at, "42" BEFORE "x" AFTER);
    expect_frame(&got, &at, "42" BEFORE "y" AFTER);
    clr_buf_deinit(&got);
    teardown(fd);
}

TEST(pieces_are_appended_while_the_client_does_not_read)
{
    int fd = setup();
    clr_buf_t got = {0}, expected = {0};
    fill();
    size_t pending = clr_ws_pending(conn);
    for (int i = 0; i < 20000; i++) {
        char text[16];
        snprintf(text, sizeof(text), "%d ", i);
        clr_buf_printf(&expected, "%s", text);
        send_piece(text);
        if (i % 100 == 0)
            loopback_turn(&loop);
    }
    EXPECT(clr_ws_pending(conn) - pending < expected.n + 2000);
    read_all(fd, &got);
    clr_buf_t text = {0};
    size_t at = 0;
    int frames = 0;
    for (clr_str_t frame; clr_str_starts(frame = next_frame(&got, &at), CLR_STR("42"));) {
        EXPECT(clr_str_starts(frame, CLR_STR("42" BEFORE)));
        EXPECT_STR(clr_str_from(frame, frame.n - strlen(AFTER)), CLR_STR(AFTER));
        size_t around = strlen("42" BEFORE AFTER);
        clr_buf_append(&text, frame.p + strlen("42" BEFORE), frame.n - around);
        frames++;
    }
    EXPECT(frames < 20);
    EXPECT_STR(clr_buf_str(&text), clr_buf_str(&expected));
    clr_buf_deinit(&text);
    clr_buf_deinit(&got);
    clr_buf_deinit(&expected);
    teardown(fd);
}

TEST(pieces_are_appended_to_their_like_only)
{
    int fd = setup();
    clr_buf_t got = {0};
    fill();
    send_piece("a");
    send_piece("b");
    send_around(BEFORE, "other end", "\",\"isInput\":true}]");
    send_around("[\"stream_token\",{\"id\":\"2\",\"token\":\"", "other id", AFTER);
    send_piece("c");
    clr_ws_send(conn, CLR_WS_TEXT, CLR_STR("between"));
    send_piece("d");
    send_piece("");
    send_piece("e");
    clr_shared_t *shared = clr_shared_copy(CLR_STR("\x81\x06shared"));
    clr_ws_send_frames(conn, shared);
    clr_shared_unref(shared);
    send_piece("f");
    send_around("", "all of it", "");
    send_around("", ", and more", "");
    read_all(fd, &got);
    size_t at = 0;
    expect_frame(&got, &at, "42" BEFORE "ab" AFTER);
    expect_frame(&got, &at, "42" BEFORE "other end\",\"isInput\":true}]");
    expect_frame(&got, &at, "42[\"stream_token\",{\"id\":\"2\",\"token\":\"other id" AFTER);
    expect_frame(&got, &at, "42" BEFORE "c" AFTER);
    expect_frame(&got, &at, "between");
    expect_frame(&got, &at, "42" BEFORE "de" AFTER);
    expect_frame(&got, &at, "shared");
    expect_frame(&got, &at, "42" BEFORE "f" AFTER "all of it, and more");
    clr_buf_deinit(&got);
    teardown(fd);
}

TEST(pieces_follow_no_close)
{
    int fd = setup();
    clr_buf_t got = {0};
    fill();
    send_piece("before");
    clr_ws_close(conn, 1000, CLR_STR_EMPTY);
    send_piece("after");
    send_piece("after that");
    EXPECT(loopback_read_text(&loop, fd, &got, "\x88\x02\x03\xe8"));
    EXPECT(buf_has(&got, "before"));
    EXPECT(!buf_has(&got, "after"));
    clr_buf_deinit(&got);
    teardown(fd);
}

TEST(large_pieces_are_sent_as_they_are)
{
    int fd = setup();
    clr_buf_t got = {0};
    static char large[70001];
    memset(large, 'x', sizeof(large) - 1);
    int blocks = fill();
    send_piece(large);
    send_piece("y");
    send_piece("z");
    read_all(fd, &got);
    size_t head = sizeof("\x7f") - 1 + 9, around = strlen("42" BEFORE AFTER);
    size_t at = (size_t)blocks * 50004;
    EXPECT(got.n > at + 70000 && (uint8_t)got.p[at + 1] == 127);
    at += head + around + strlen(large);
    expect_frame(&got, &at, "42" BEFORE "yz" AFTER);
    clr_buf_deinit(&got);
    teardown(fd);
}

TEST_MAIN(T(pieces_stay_apart_while_the_client_keeps_up),
          T(pieces_are_appended_while_the_client_does_not_read),
          T(pieces_are_appended_to_their_like_only), T(pieces_follow_no_close),
          T(large_pieces_are_sent_as_they_are))
