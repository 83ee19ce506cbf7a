#include "gateway/app_headers.h"

#include "test.h"

static clr_buf_t list, out;
static clr_app_head_t head;

/* Names and values in turn, ended by NULL. */
static int format(enum clr_app_headers_kind kind, const char *const *items)
{
    clr_str_t views[40];
    uint16_t count = 0;
    while (items[count]) {
        views[count] = clr_str_c(items[count]);
        count++;
    }
    clr_buf_clear(&list);
    clr_buf_clear(&out);
    clr_write_strs(&list, views, count);
    clr_reader_t r = clr_reader(clr_buf_str(&list));
    return clr_app_headers_format(clr_read_strs(&r), kind, &head, &out);
}

#define FORMAT(kind, ...) format((kind), (const char *const[]){__VA_ARGS__, NULL})

static void done(void)
{
    clr_buf_deinit(&list);
    clr_buf_deinit(&out);
}

TEST(app_headers_keep_names_order_and_duplicates)
{
    EXPECT_EQ(FORMAT(CLR_APP_HEADERS_RESPONSE, "X-A", "1", "set-cookie", "a", "set-cookie", "b",
                     "x-empty", ""),
              0);
    EXPECT_STR_C(clr_buf_str(&out), "X-A: 1\r\nset-cookie: a\r\nset-cookie: b\r\nx-empty: \r\n");
    EXPECT(head.length == UINT64_MAX);
    EXPECT(!head.close && !head.has_date && !head.bad_length);
    done();
}

TEST(app_headers_none_is_fine)
{
    EXPECT_EQ(format(CLR_APP_HEADERS_RESPONSE, (const char *const[]){NULL}), 0);
    EXPECT_EQ(out.n, 0);
    done();
}

TEST(app_headers_leave_out_what_belongs_to_the_connection)
{
    EXPECT_EQ(FORMAT(CLR_APP_HEADERS_RESPONSE, "Connection", "keep-alive", "Keep-Alive", "x",
                     "Transfer-Encoding", "chunked", "upgrade", "h2c", "Proxy-Connection", "x",
                     "te", "kept"),
              0);
    EXPECT_STR_C(clr_buf_str(&out), "te: kept\r\n");
    EXPECT(!head.close);
    EXPECT_EQ(FORMAT(CLR_APP_HEADERS_RESPONSE, "connection", "x, Close"), 0);
    EXPECT(head.close);
    EXPECT_EQ(out.n, 0);
    done();
}

TEST(app_headers_report_length_and_date)
{
    EXPECT_EQ(FORMAT(CLR_APP_HEADERS_RESPONSE, "Content-Length", "12", "Date", "now"), 0);
    EXPECT_EQ(head.length, 12);
    EXPECT(head.has_date);
    EXPECT_STR_C(clr_buf_str(&out), "Date: now\r\n");
    EXPECT_EQ(FORMAT(CLR_APP_HEADERS_RESPONSE, "content-length", "7", "content-length", "7"), 0);
    EXPECT_EQ(head.length, 7);
    EXPECT(!head.bad_length);
    done();
}

TEST(app_headers_notice_a_bad_length)
{
    static const char *const bad[] = {"", "-1", "+1", "1x", "0x10", "1 2", "99999999999999999999"};
    for (size_t i = 0; i < clr_array_len(bad); i++) {
        EXPECT_EQ(FORMAT(CLR_APP_HEADERS_RESPONSE, "content-length", bad[i]), 0);
        EXPECT(head.bad_length);
    }
    EXPECT_EQ(FORMAT(CLR_APP_HEADERS_RESPONSE, "content-length", "1", "content-length", "2"), 0);
    EXPECT(head.bad_length);
    done();
}

TEST(app_headers_of_an_accept_say_nothing_of_the_handshake)
{
    EXPECT_EQ(FORMAT(CLR_APP_HEADERS_ACCEPT, "sec-websocket-accept", "x",
                     "Sec-WebSocket-Extensions", "x", "sec-websocket-protocol", "x",
                     "content-length", "0", "set-cookie", "a"),
              0);
    EXPECT_STR_C(clr_buf_str(&out), "set-cookie: a\r\n");
    EXPECT_EQ(FORMAT(CLR_APP_HEADERS_RESPONSE, "sec-websocket-protocol", "x"), 0);
    EXPECT_STR_C(clr_buf_str(&out), "sec-websocket-protocol: x\r\n");
    done();
}

TEST(app_headers_trim_values)
{
    EXPECT_EQ(FORMAT(CLR_APP_HEADERS_RESPONSE, "a", " \t x y \t"), 0);
    EXPECT_STR_C(clr_buf_str(&out), "a: x y\r\n");
    done();
}

TEST(app_headers_refuse_what_is_no_header)
{
    static const char *const bad_names[] = {"", "a b", "a:", "a\r", "a\n", "\xc3\xa9", "a\x7f"};
    static const char *const bad_values[] = {"a\r\nb: c", "a\nb", "a\rb", "a\x01", "\x7f"};
    for (size_t i = 0; i < clr_array_len(bad_names); i++)
        EXPECT_EQ(FORMAT(CLR_APP_HEADERS_RESPONSE, bad_names[i], "x"), CLR_EPROTO);
    for (size_t i = 0; i < clr_array_len(bad_values); i++)
        EXPECT_EQ(FORMAT(CLR_APP_HEADERS_RESPONSE, "a", bad_values[i]), CLR_EPROTO);
    EXPECT_EQ(FORMAT(CLR_APP_HEADERS_RESPONSE, "a", "\xc3\xa9"), 0); /* obs-text */
    EXPECT_EQ(FORMAT(CLR_APP_HEADERS_RESPONSE, "a", "b", "c"), CLR_EPROTO);
    done();
}

TEST(app_headers_every_byte_of_a_name_and_value)
{
    for (int c = 1; c < 256; c++) {
        char text[] = {'a', (char)c, 'b', 0};
        bool control = (c < 0x20 && c != '\t') || c == 0x7f;
        EXPECT_EQ(FORMAT(CLR_APP_HEADERS_RESPONSE, "n", text), control ? CLR_EPROTO : 0);
        bool token = strchr("!#$%&'*+-.^_`|~", c) || (c >= '0' && c <= '9') ||
                     (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        EXPECT_EQ(FORMAT(CLR_APP_HEADERS_RESPONSE, text, "v"), token ? 0 : CLR_EPROTO);
    }
    done();
}

TEST_MAIN(T(app_headers_keep_names_order_and_duplicates), T(app_headers_none_is_fine),
          T(app_headers_leave_out_what_belongs_to_the_connection),
          T(app_headers_report_length_and_date), T(app_headers_notice_a_bad_length),
          T(app_headers_of_an_accept_say_nothing_of_the_handshake), T(app_headers_trim_values),
          T(app_headers_refuse_what_is_no_header), T(app_headers_every_byte_of_a_name_and_value))
