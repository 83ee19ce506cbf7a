/* app_fixture.h: workers with an ASGI application, played by the test, and what their frames hold.
 */
#pragma once

#include "eio_fixture.h"
#include "gateway/app_internal.h"

/* Attached, with an application, ready, with that much credit. */
CLR_UNUSED static void app_open(fake_t *f, unsigned number, uint32_t credit)
{
    fake_attach(f, number);
    fake_hello(f);
    fake_text(f, CLR_FRAME_APP, 0, 0, "{}");
    fake_simple(f, CLR_FRAME_READY, 0);
    if (credit > 0)
        fake_credit(f, credit);
    LOOPBACK_UNTIL(&loop, -1, f->is_ready);
    for (int i = 0; i < 3; i++)
        loopback_turn(&loop);
}

/* A gateway and one worker with plenty of credit. */
CLR_UNUSED static void app_setup(fake_t *f)
{
    if (options.max_buffered == 0)
        fixture_defaults();
    if (options.ws_max_size == 0)
        options.ws_max_size = 1 << 20;
    fixture_open(false);
    app_open(f, 1, 1000);
}

CLR_UNUSED static void app_teardown(fake_t *f)
{
    fake_close(f);
    fixture_close();
}

/* ---- what a request frame holds ---- */

typedef struct asked {
    uint64_t stream;
    uint8_t flags;
    uint32_t window;
    clr_str_t body;
    clr_request_head_t head;
} asked_t;

/* The next frame, which asks for a request or a WebSocket. Valid until the next frame is read. */
CLR_UNUSED static asked_t app_unbegun(fake_t *f)
{
    clr_frame_t frame = fake_frame(f);
    asked_t a = {.stream = frame.stream, .flags = frame.flags};
    clr_reader_t r = clr_reader(frame.payload);
    if (frame.type != CLR_FRAME_HTTP_REQUEST && frame.type != CLR_FRAME_WS_OPEN)
        TEST_FAIL_("frame %s, expected a request", clr_frame_name(frame.type));
    EXPECT_EQ(clr_message_check(&frame), 0);
    a.window = clr_read_u32(&r);
    if (frame.type == CLR_FRAME_HTTP_REQUEST)
        a.body = clr_read_str(&r);
    a.head = clr_read_request(&r);
    EXPECT_EQ(clr_reader_done(&r), 0);
    return a;
}

/* The same, and the worker begins it. */
CLR_UNUSED static asked_t app_asked(fake_t *f)
{
    asked_t a = app_unbegun(f);
    clr_page_begin(f->page);
    return a;
}

/* The same, and the worker has done with it: one that gives no credit back gets nothing more after
 * a while. */
CLR_UNUSED static asked_t app_taken(fake_t *f)
{
    asked_t a = app_asked(f);
    fake_credit(f, 1);
    return a;
}

/* The text of a frame that has just that. */
CLR_UNUSED static clr_str_t app_text(clr_frame_t frame)
{
    clr_reader_t r = clr_reader(frame.payload);
    clr_str_t text = clr_read_str(&r);
    EXPECT_EQ(clr_reader_done(&r), 0);
    return text;
}

CLR_UNUSED static uint32_t app_number(clr_frame_t frame)
{
    clr_reader_t r = clr_reader(frame.payload);
    uint32_t number = clr_read_u32(&r);
    EXPECT_EQ(clr_reader_done(&r), 0);
    return number;
}

/* "name: value" lines, separated by '|'; NULL for none. */
static void app_write_headers(clr_buf_t *out, const char *lines)
{
    clr_str_t rest = clr_str_c(lines), line, items[32] = {CLR_STR_EMPTY};
    uint16_t count = 0;
    while (lines && count < 32 && clr_str_split(&rest, '|', &line)) {
        ptrdiff_t colon = clr_str_chr(line, ':');
        EXPECT(colon > 0);
        items[count++] = clr_str(line.p, (size_t)colon);
        items[count++] = clr_str_from(line, (size_t)colon + 2);
    }
    clr_write_strs(out, items, count);
}

/* ---- what the worker says ---- */

CLR_UNUSED static void app_start_bytes(fake_t *f, uint64_t stream, uint8_t flags, uint16_t status,
                                       const char *headers, clr_str_t body)
{
    size_t at = clr_frame_begin(&f->out, CLR_FRAME_HTTP_START, flags, stream);
    clr_buf_append_le(&f->out, status, 2);
    app_write_headers(&f->out, headers);
    clr_write_str(&f->out, body);
    clr_frame_end(&f->out, at);
    fake_flush(f);
}

CLR_UNUSED static void app_start(fake_t *f, uint64_t stream, uint8_t flags, uint16_t status,
                                 const char *headers, const char *body)
{
    app_start_bytes(f, stream, flags, status, headers, clr_str_c(body));
}

CLR_UNUSED static void app_bytes(fake_t *f, uint8_t type, uint8_t flags, uint64_t stream,
                                 clr_str_t bytes)
{
    size_t at = clr_frame_begin(&f->out, type, flags, stream);
    clr_write_str(&f->out, bytes);
    clr_frame_end(&f->out, at);
    fake_flush(f);
}

CLR_UNUSED static void app_headers(fake_t *f, uint8_t type, uint64_t stream, const char *headers)
{
    size_t at = clr_frame_begin(&f->out, type, 0, stream);
    app_write_headers(&f->out, headers);
    clr_frame_end(&f->out, at);
    fake_flush(f);
}

CLR_UNUSED static void app_take(fake_t *f, uint64_t stream, uint32_t bytes)
{
    size_t at = clr_frame_begin(&f->out, CLR_FRAME_HTTP_TAKE, 0, stream);
    clr_buf_append_le(&f->out, bytes, 4);
    clr_frame_end(&f->out, at);
    fake_flush(f);
}

CLR_UNUSED static void app_file(fake_t *f, uint64_t stream, uint8_t flags, const char *path,
                                uint64_t offset, uint64_t count)
{
    size_t at = clr_frame_begin(&f->out, CLR_FRAME_HTTP_FILE, flags, stream);
    clr_write_str(&f->out, clr_str_c(path));
    clr_buf_append_le(&f->out, offset, 8);
    clr_buf_append_le(&f->out, count, 8);
    clr_frame_end(&f->out, at);
    fake_flush(f);
}

CLR_UNUSED static void app_accept(fake_t *f, uint64_t stream, const char *subprotocol,
                                  const char *headers)
{
    size_t at = clr_frame_begin(&f->out, CLR_FRAME_WS_ACCEPT, 0, stream);
    clr_write_str(&f->out, clr_str_c(subprotocol));
    app_write_headers(&f->out, headers);
    clr_frame_end(&f->out, at);
    fake_flush(f);
}

CLR_UNUSED static void app_ws_close(fake_t *f, uint64_t stream, uint16_t code, const char *reason)
{
    size_t at = clr_frame_begin(&f->out, CLR_FRAME_WS_CLOSE, 0, stream);
    clr_buf_append_le(&f->out, code, 2);
    clr_write_str(&f->out, clr_str_c(reason));
    clr_frame_end(&f->out, at);
    fake_flush(f);
}

/* ---- what the client sees ---- */

/* All that comes until the server closes; the connection is closed. Free it. */
CLR_UNUSED static clr_buf_t app_read_all(int fd)
{
    clr_buf_t got = {0};
    loopback_read_all(&loop, fd, &got);
    close(fd);
    return got;
}

/* A request whose connection ends with the response, so that all of it can be read. */
CLR_UNUSED static int app_ask(const char *method, const char *version, const char *headers)
{
    clr_buf_t out = {0};
    int fd = fixture_connect();
    clr_buf_printf(&out, "%s / HTTP/1.%s\r\nHost: h\r\n%s\r\n", method, version, headers);
    loopback_send(&loop, fd, clr_buf_str(&out));
    clr_buf_deinit(&out);
    return fd;
}

#define APP_CLOSING "Connection: close\r\n"

CLR_UNUSED static void app_expect_text(clr_buf_t got, const char *text)
{
    if (!buf_has(&got, text))
        TEST_FAIL_("\"%.*s\" has no \"%s\"", CLR_STR_ARG(clr_buf_str(&got)), text);
}

/* Turns the loop some times: what was to happen has happened. */
CLR_UNUSED static void app_settle(void)
{
    for (int i = 0; i < 20; i++)
        loopback_turn(&loop);
}

CLR_UNUSED static size_t app_count(void)
{
    return clr_app_request_count(&gw);
}

/* A response, whole. */
CLR_UNUSED static void app_answer(fake_t *f, uint64_t stream, const char *body)
{
    app_start(f, stream, CLR_FRAME_END, 200, "content-type: text/plain", body);
}
