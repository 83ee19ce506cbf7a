#include "proto/ws.h"

#include "base/error.h"
#include "golden.h"

#define MAX_MESSAGE 1000

static const uint8_t mask_key[4] = {0x37, 0xfa, 0x21, 0x3d};

typedef struct wire_frame {
    bool fin, masked, wide16, wide64;
    uint8_t rsv, opcode;
} wire_frame_t;

static void append_length(clr_buf_t *out, const wire_frame_t *f, size_t n)
{
    size_t bytes = f->wide64 || n > 65535 ? 8 : f->wide16 || n > 125 ? 2 : 0;
    size_t first = bytes == 8 ? 127 : bytes == 2 ? 126 : n;
    clr_buf_putc(out, (char)((f->masked ? 0x80 : 0) | first));
    for (size_t i = 0; i < bytes; i++)
        clr_buf_putc(out, (char)((uint64_t)n >> (8 * (bytes - 1 - i))));
}

static void append_frame(clr_buf_t *out, const wire_frame_t *f, clr_str_t payload)
{
    clr_buf_putc(out, (char)((f->fin ? 0x80 : 0) | f->rsv << 4 | f->opcode));
    append_length(out, f, payload.n);
    if (f->masked)
        clr_buf_append(out, mask_key, sizeof mask_key);
    for (size_t i = 0; i < payload.n; i++)
        clr_buf_putc(out, (char)(payload.p[i] ^ (f->masked ? mask_key[i % 4] : 0)));
}

/* "FM 1 Hello" */
static void append_frame_line(clr_buf_t *out, clr_str_t line)
{
    clr_str_t flags, opcode;
    EXPECT(clr_str_split(&line, ' ', &flags) && clr_str_split(&line, ' ', &opcode) && line.p);
    uint64_t number = 0;
    EXPECT(clr_str_to_u64(opcode, 15, &number));
    wire_frame_t f = {.fin = clr_str_chr(flags, 'F') >= 0,
                      .masked = clr_str_chr(flags, 'M') >= 0,
                      .wide16 = clr_str_chr(flags, 'w') >= 0,
                      .wide64 = clr_str_chr(flags, 'W') >= 0,
                      .rsv = (uint8_t)((clr_str_chr(flags, '1') >= 0) << 2 |
                                       (clr_str_chr(flags, '2') >= 0) << 1 |
                                       (clr_str_chr(flags, '3') >= 0)),
                      .opcode = (uint8_t)number};
    clr_buf_t payload = {0};
    uint64_t times = 0;
    if (line.n > 0 && line.p[0] == '*' && clr_str_to_u64(clr_str_from(line, 1), 100000, &times))
        while (times-- > 0)
            clr_buf_putc(&payload, 'x');
    else
        golden_unescape(&payload, line);
    append_frame(out, &f, clr_buf_str(&payload));
    clr_buf_deinit(&payload);
}

static void print_payload(clr_buf_t *events, const char *kind, clr_str_t payload)
{
    clr_buf_printf(events, "%s ", kind);
    size_t x = 0;
    while (x < payload.n && payload.p[x] == 'x')
        x++;
    if (x == payload.n && x > 20)
        clr_buf_printf(events, "*%zu", x);
    else
        golden_escape(events, payload);
    clr_buf_putc(events, '\n');
}

static int on_message(uint8_t opcode, clr_str_t payload, void *ctx)
{
    print_payload(ctx, opcode == CLR_WS_TEXT ? "text" : "binary", payload);
    return 0;
}

static int on_ping(clr_str_t payload, void *ctx)
{
    print_payload(ctx, "ping", payload);
    return 0;
}

static int on_pong(clr_str_t payload, void *ctx)
{
    print_payload(ctx, "pong", payload);
    return 0;
}

static int on_close(uint16_t code, clr_str_t reason, void *ctx)
{
    clr_buf_t *events = ctx;
    clr_buf_printf(events, "close %u", code);
    if (reason.n > 0)
        clr_buf_putc(events, ' ');
    golden_escape(events, reason);
    clr_buf_putc(events, '\n');
    return 0;
}

static const clr_ws_parser_ops_t ops = {on_message, on_ping, on_pong, on_close};

static const char *error_name(int r)
{
    return r == CLR_EPROTO    ? "protocol"
           : r == CLR_EUTF8   ? "utf-8"
           : r == CLR_EINVAL  ? "corrupt"
           : r == CLR_ETOOBIG ? "too big"
                              : "?";
}

static void run(clr_str_t input, size_t step, clr_deflate_t *deflate, clr_buf_t *events)
{
    clr_buf_t bytes = {0};
    clr_str_t line;
    while (clr_str_split(&input, '\n', &line)) {
        if (clr_str_starts(line, CLR_STR("frame ")))
            append_frame_line(&bytes, clr_str_from(line, 6));
        else if (clr_str_starts(line, CLR_STR("raw ")))
            golden_unescape(&bytes, clr_str_from(line, 4));
    }
    clr_ws_parser_t *p = clr_ws_parser_new();
    clr_ws_parser_set_deflate(p, deflate);
    int r = 0;
    for (size_t at = 0; at < bytes.n && r == 0;) {
        size_t n = step < bytes.n - at ? step : bytes.n - at;
        char *copy = malloc(n);
        memcpy(copy, bytes.p + at, n);
        uint16_t code = 0;
        r = clr_ws_parser_feed(p, clr_str(copy, n), MAX_MESSAGE, &ops, events, &code);
        if (r != 0)
            clr_buf_printf(events, "error %s %u\n", error_name(r), code);
        free(copy);
        at += n;
    }
    bool closed = events->n > 6 && memmem(events->p, events->n, "close ", 6);
    if (r == 0 && !closed && !clr_ws_parser_is_idle(p))
        clr_buf_printf(events, "held\n");
    clr_ws_parser_free(p);
    clr_buf_deinit(&bytes);
}

static void run_plain(clr_str_t input, size_t step, clr_buf_t *events)
{
    run(input, step, NULL, events);
}

static void run_deflate(clr_str_t input, size_t step, clr_buf_t *events)
{
    clr_deflate_t *deflate = clr_deflate_new();
    run(input, step, deflate, events);
    clr_deflate_free(deflate);
}

TEST(ws_golden)
{
    golden_run_feeds("websocket", run_plain);
}

TEST(ws_golden_deflate)
{
    golden_run_feeds("websocket-deflate", run_deflate);
}

static int stop_message(uint8_t opcode, clr_str_t payload, void *ctx)
{
    (void)opcode;
    (void)payload;
    ++*(int *)ctx;
    return 1;
}

TEST(ws_callback_stops_the_feed)
{
    clr_ws_parser_ops_t stop = ops;
    stop.on_message = stop_message;
    clr_ws_parser_t *p = clr_ws_parser_new();
    clr_buf_t in = {0};
    wire_frame_t f = {.fin = true, .masked = true, .opcode = CLR_WS_TEXT};
    append_frame(&in, &f, CLR_STR("a"));
    append_frame(&in, &f, CLR_STR("b"));
    int count = 0;
    uint16_t code = 0;
    EXPECT_EQ(clr_ws_parser_feed(p, clr_buf_str(&in), 10, &stop, &count, &code), CLR_ECLOSED);
    EXPECT_EQ(count, 1);
    EXPECT(!clr_ws_parser_is_idle(p));
    EXPECT_EQ(clr_ws_parser_feed(p, clr_buf_str(&in), 10, &stop, &count, &code), 0);
    EXPECT_EQ(count, 1); /* what comes after is dropped */
    clr_ws_parser_free(p);
    clr_buf_deinit(&in);
}

TEST(ws_reset_in_the_middle_of_a_frame)
{
    clr_ws_parser_t *p = clr_ws_parser_new();
    clr_buf_t in = {0}, events = {0};
    wire_frame_t f = {.masked = true, .opcode = CLR_WS_TEXT};
    append_frame(&in, &f, CLR_STR("fragment"));
    f.opcode = CLR_WS_PING;
    f.fin = true;
    append_frame(&in, &f, CLR_STR("ping"));
    uint16_t code = 0;
    clr_str_t cut = clr_str(in.p, in.n - 1);
    EXPECT_EQ(clr_ws_parser_feed(p, cut, 100, &ops, &events, &code), 0);
    EXPECT(!clr_ws_parser_is_idle(p));
    clr_ws_parser_reset(p);
    EXPECT(clr_ws_parser_is_idle(p));

    clr_buf_clear(&in);
    f.opcode = CLR_WS_BINARY;
    append_frame(&in, &f, CLR_STR("new"));
    for (size_t i = 0; i < in.n; i++)
        EXPECT_EQ(clr_ws_parser_feed(p, clr_str(in.p + i, 1), 100, &ops, &events, &code), 0);
    EXPECT_STR_C(clr_buf_str(&events), "binary new\n");
    clr_ws_parser_free(p);
    clr_buf_deinit(&in);
    clr_buf_deinit(&events);
}

static int count_bytes(uint8_t opcode, clr_str_t payload, void *ctx)
{
    EXPECT_EQ(opcode, CLR_WS_BINARY);
    for (size_t i = 0; i < payload.n; i++)
        EXPECT_EQ((uint8_t)payload.p[i], (uint8_t)(i * 7));
    *(size_t *)ctx += payload.n;
    return 0;
}

/* Past 64 KiB the length has 64 bits, and past wslay's buffer a payload comes in pieces. */
TEST(ws_large_message_in_all_ways)
{
    clr_buf_t payload = {0}, in = {0};
    for (size_t i = 0; i < 300000; i++)
        clr_buf_putc(&payload, (char)(i * 7));
    wire_frame_t f = {.fin = true, .masked = true, .opcode = CLR_WS_BINARY};
    append_frame(&in, &f, clr_buf_str(&payload));
    clr_ws_parser_ops_t counting = ops;
    counting.on_message = count_bytes;
    static const size_t steps[] = {SIZE_MAX, 1000, 65536, 299999, 13};
    for (size_t i = 0; i < clr_array_len(steps); i++) {
        clr_ws_parser_t *p = clr_ws_parser_new();
        size_t total = 0;
        uint16_t code = 0;
        for (size_t at = 0; at < in.n;) {
            size_t n = steps[i] < in.n - at ? steps[i] : in.n - at;
            clr_str_t piece = clr_str(in.p + at, n);
            EXPECT_EQ(clr_ws_parser_feed(p, piece, 300000, &counting, &total, &code), 0);
            at += n;
        }
        EXPECT_EQ(total, 300000);
        EXPECT(clr_ws_parser_is_idle(p));
        clr_ws_parser_free(p);
    }
    clr_buf_deinit(&payload);
    clr_buf_deinit(&in);
}

TEST(ws_frame_head)
{
    char head[CLR_WS_HEAD_MAX];
    EXPECT_STR(clr_str(head, clr_ws_frame_head(head, CLR_WS_TEXT, 5)), CLR_STR("\x81\x05"));
    EXPECT_STR(clr_str(head, clr_ws_frame_head(head, CLR_WS_BINARY, 125)), CLR_STR("\x82\x7d"));
    EXPECT_STR(clr_str(head, clr_ws_frame_head(head, CLR_WS_BINARY, 126)),
               CLR_STR("\x82\x7e\x00\x7e"));
    EXPECT_STR(clr_str(head, clr_ws_frame_head(head, CLR_WS_BINARY, 65535)),
               CLR_STR("\x82\x7e\xff\xff"));
    EXPECT_STR(clr_str(head, clr_ws_frame_head(head, CLR_WS_CLOSE, 65536)),
               CLR_STR("\x88\x7f\0\0\0\0\0\x01\0\0"));
}

TEST(ws_accept_key)
{
    char accept[CLR_WS_ACCEPT_LEN];
    clr_ws_accept(CLR_STR("dGhlIHNhbXBsZSBub25jZQ=="), accept); /* RFC 6455 section 1.3 */
    EXPECT_STR_C(clr_str(accept, sizeof accept), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    EXPECT(clr_ws_key_is_valid(CLR_STR("dGhlIHNhbXBsZSBub25jZQ==")));
    EXPECT(!clr_ws_key_is_valid(CLR_STR("dGhlIHNhbXBsZSBub25jZQ=")));
    EXPECT(!clr_ws_key_is_valid(CLR_STR("dGhlIHNhbXBsZSBub25jZQaa")));
    EXPECT(!clr_ws_key_is_valid(CLR_STR("dGhlIHNhbXBsZSBub25j-Q==")));
    EXPECT(!clr_ws_key_is_valid(CLR_STR("")));
}

TEST(ws_codes)
{
    EXPECT(clr_ws_code_is_sendable(1000) && clr_ws_code_is_sendable(1003));
    EXPECT(clr_ws_code_is_sendable(1014) && clr_ws_code_is_sendable(3000));
    EXPECT(clr_ws_code_is_sendable(4999));
    EXPECT(!clr_ws_code_is_sendable(0) && !clr_ws_code_is_sendable(1004));
    EXPECT(!clr_ws_code_is_sendable(1005) && !clr_ws_code_is_sendable(1006));
    EXPECT(!clr_ws_code_is_sendable(1015) && !clr_ws_code_is_sendable(2999));
    EXPECT(!clr_ws_code_is_sendable(5000));
}

TEST_MAIN(T(ws_golden), T(ws_golden_deflate), T(ws_callback_stops_the_feed),
          T(ws_reset_in_the_middle_of_a_frame), T(ws_large_message_in_all_ways), T(ws_frame_head),
          T(ws_accept_key), T(ws_codes))
