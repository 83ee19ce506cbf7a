/* The application's response: how it is framed, flow to a slow client, and what is wrong. */
#include "app_fixture.h"

#define END CLR_FRAME_END

/* The whole answer to one START frame. */
static clr_buf_t answer_to(fake_t *f, const char *method, uint8_t flags, uint16_t status,
                           const char *headers, const char *body)
{
    int fd = app_ask(method, "1", APP_CLOSING);
    app_start(f, app_taken(f).stream, flags, status, headers, body);
    return app_read_all(fd);
}

/* ---- framing ---- */

TEST(app_response_length_is_exact_when_the_body_is_there)
{
    fake_t f;
    app_setup(&f);
    clr_buf_t got = answer_to(&f, "GET", END, 201, "a: b", "12345");
    app_expect_text(got, "HTTP/1.1 201 Created\r\n");
    app_expect_text(got, "a: b\r\nContent-Length: 5\r\n");
    app_expect_text(got, "\r\n\r\n12345");
    EXPECT(!buf_has(&got, "chunked"));
    clr_buf_deinit(&got);
    got = answer_to(&f, "GET", END, 200, NULL, "");
    app_expect_text(got, "Content-Length: 0\r\n");
    clr_buf_deinit(&got);
    app_teardown(&f);
}

TEST(app_response_keeps_the_applications_length)
{
    fake_t f;
    app_setup(&f);
    int fd = app_ask("GET", "1", "");
    uint64_t stream = app_asked(&f).stream;
    app_start(&f, stream, 0, 200, "content-length: 6", "abc");
    fake_text(&f, CLR_FRAME_HTTP_DATA, END, stream, "def");
    response_t r = response(fd);
    EXPECT_STR_C(r.body, "abcdef");
    EXPECT(!head_has(&r, "content-length")); /* ours, once */
    EXPECT(head_has(&r, "Content-Length: 6\r\n"));
    EXPECT(!head_has(&r, "Connection: close"));
    response_free(&r);
    app_teardown(&f);
}

TEST(app_response_streams_in_chunks_on_11_and_until_close_on_10)
{
    for (int minor = 0; minor <= 1; minor++) {
        fake_t f;
        app_setup(&f);
        int fd =
            app_ask("GET", minor ? "1" : "0", minor ? APP_CLOSING : "Connection: keep-alive\r\n");
        asked_t a = app_taken(&f);
        EXPECT_EQ(a.head.http_minor, minor);
        app_start(&f, a.stream, 0, 200, NULL, "");
        fake_text(&f, CLR_FRAME_HTTP_DATA, 0, a.stream, "one");
        fake_text(&f, CLR_FRAME_HTTP_DATA, 0, a.stream, "");
        fake_text(&f, CLR_FRAME_HTTP_DATA, END, a.stream, "three");
        clr_buf_t got = app_read_all(fd);
        EXPECT_EQ(buf_has(&got, "Transfer-Encoding: chunked\r\n"), minor);
        app_expect_text(got,
                        minor ? "\r\n\r\n3\r\none\r\n5\r\nthree\r\n0\r\n\r\n" : "\r\n\r\nonethree");
        clr_buf_deinit(&got);
        app_teardown(&f);
    }
}

TEST(app_response_head_and_statuses_without_body)
{
    fake_t f;
    app_setup(&f);
    clr_buf_t got = answer_to(&f, "HEAD", END, 200, "content-length: 12", "");
    app_expect_text(got, "Content-Length: 12\r\n");
    EXPECT(clr_str_eq(clr_str_from(clr_buf_str(&got), got.n - 4), CLR_STR("\r\n\r\n")));
    clr_buf_deinit(&got);
    got = answer_to(&f, "HEAD", END, 200, NULL, "");
    EXPECT(!buf_has(&got, "Content-Length"));
    clr_buf_deinit(&got);
    got = answer_to(&f, "HEAD", END, 200, NULL, "hello");
    app_expect_text(got, "Content-Length: 5\r\n");
    EXPECT(!buf_has(&got, "hello"));
    clr_buf_deinit(&got);
    got = answer_to(&f, "GET", END, 204, "content-length: 0", "hello");
    EXPECT(!buf_has(&got, "Content-Length") && !buf_has(&got, "hello"));
    clr_buf_deinit(&got);
    got = answer_to(&f, "GET", END, 304, "content-length: 77|etag: \"x\"", "");
    app_expect_text(got, "content-length: 77\r\n");
    app_expect_text(got, "etag: \"x\"\r\n");
    EXPECT(clr_str_eq(clr_str_from(clr_buf_str(&got), got.n - 4), CLR_STR("\r\n\r\n")));
    clr_buf_deinit(&got);
    app_teardown(&f);
}

TEST(app_response_head_may_stream)
{
    fake_t f;
    app_setup(&f);
    int fd = app_ask("HEAD", "1", APP_CLOSING);
    uint64_t stream = app_asked(&f).stream;
    app_start(&f, stream, 0, 200, NULL, "some");
    fake_text(&f, CLR_FRAME_HTTP_DATA, END, stream, "more");
    clr_buf_t got = app_read_all(fd);
    EXPECT(!buf_has(&got, "some") && !buf_has(&got, "more") && !buf_has(&got, "chunked"));
    clr_buf_deinit(&got);
    app_teardown(&f);
}

TEST(app_response_connection_headers_are_ours)
{
    fake_t f;
    app_setup(&f);
    int fd = app_ask("GET", "1", "");
    uint64_t stream = app_asked(&f).stream;
    app_start(&f, stream, END, 200,
              "transfer-encoding: chunked|connection: close|keep-alive: x|upgrade: y|"
              "date: Sun, 06 Nov 1994 08:49:37 GMT|server: mine",
              "hi");
    clr_buf_t got = app_read_all(fd);
    app_expect_text(got, "Content-Length: 2\r\nConnection: close\r\n\r\nhi");
    app_expect_text(got, "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
    app_expect_text(got, "server: mine\r\n");
    EXPECT(!buf_has(&got, "Date: ") && !buf_has(&got, "chunked"));
    EXPECT(!buf_has(&got, "keep-alive") && !buf_has(&got, "upgrade"));
    clr_buf_deinit(&got);
    app_teardown(&f);
}

TEST(app_response_longer_than_declared_is_cut_and_closed)
{
    fake_t f;
    app_setup(&f);
    int fd = app_ask("GET", "1", "");
    app_start(&f, app_asked(&f).stream, END, 200, "content-length: 3", "abcdef");
    clr_buf_t got = app_read_all(fd);
    app_expect_text(got, "Content-Length: 3\r\n");
    app_expect_text(got, "\r\n\r\nabc");
    EXPECT(!buf_has(&got, "abcd"));
    clr_buf_deinit(&got);
    app_teardown(&f);
}

TEST(app_response_shorter_than_declared_closes)
{
    fake_t f;
    app_setup(&f);
    int fd = app_ask("GET", "1", "");
    app_start(&f, app_asked(&f).stream, END, 200, "content-length: 9", "abc");
    clr_buf_t got = app_read_all(fd);
    app_expect_text(got, "\r\n\r\nabc");
    clr_buf_deinit(&got);
    app_teardown(&f);
}

TEST(app_response_with_a_bad_length_is_500)
{
    fake_t f;
    app_setup(&f);
    int fd = app_ask("GET", "1", "");
    uint64_t stream = app_asked(&f).stream;
    app_start(&f, stream, 0, 200, "content-length: 3|content-length: 4", "abc");
    expect_answer(fd, 500, NULL);
    EXPECT_EQ(fake_expect(&f, CLR_FRAME_HTTP_GONE).stream, stream);
    app_teardown(&f);
}

TEST(app_response_violations)
{
    static const struct {
        uint16_t status;
        uint8_t flags;
        const char *headers;
    } cases[] = {{100, END, NULL},
                 {199, END, NULL},
                 {1000, END, NULL},
                 {0, END, NULL},
                 {200, END | CLR_FRAME_TRAILERS, NULL},
                 {200, END, "a b: c"},
                 {200, END, "a: b\r\nc: d"}};
    fixture_defaults();
    fixture_open(false);
    for (size_t i = 0; i < clr_array_len(cases); i++) {
        fake_t f;
        app_open(&f, 1, 10);
        int fd = request("POST", "/", "", "x");
        app_start(&f, app_taken(&f).stream, cases[i].flags, cases[i].status, cases[i].headers, "");
        fake_wait_gone(&f);
        EXPECT_EQ(f.gone_reason, CLR_EPROTO);
        expect_answer(fd, 502, NULL);
        fake_close(&f);
    }
    fixture_close();
}

TEST(app_response_a_second_start_is_a_violation)
{
    fake_t f;
    app_setup(&f);
    int fd = app_ask("GET", "1", "");
    uint64_t stream = app_asked(&f).stream;
    app_start(&f, stream, 0, 200, NULL, "a");
    app_start(&f, stream, 0, 200, NULL, "b");
    fake_wait_gone(&f);
    clr_buf_t got = app_read_all(fd);
    EXPECT(!buf_has(&got, "0\r\n\r\n"));
    clr_buf_deinit(&got);
    app_teardown(&f);
}

TEST(app_response_may_come_before_the_body)
{
    fake_t f;
    app_setup(&f);
    int fd = app_ask("POST", "1", "Content-Length: 4\r\nExpect: 100-continue\r\n");
    app_start(&f, app_asked(&f).stream, END, 200, NULL, "early");
    clr_buf_t got = app_read_all(fd);
    app_expect_text(got, "early");
    app_expect_text(got, "Connection: close\r\n");
    clr_buf_deinit(&got);
    app_teardown(&f);
}

/* ---- hints and trailers ---- */

TEST(app_response_early_hints)
{
    fake_t f;
    app_setup(&f);
    int fd = app_ask("GET", "1", APP_CLOSING);
    uint64_t stream = app_taken(&f).stream;
    app_headers(&f, CLR_FRAME_HTTP_HINT, stream, "link: </a.css>; rel=preload|link: </b>");
    app_start(&f, stream, 0, 200, NULL, "x");
    app_headers(&f, CLR_FRAME_HTTP_HINT, stream, "link: </late>"); /* does no harm */
    fake_text(&f, CLR_FRAME_HTTP_DATA, END, stream, "");
    clr_buf_t got = app_read_all(fd);
    EXPECT(clr_str_starts(clr_buf_str(&got),
                          CLR_STR("HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n"
                                  "link: </b>\r\n\r\nHTTP/1.1 200 OK\r\n")));
    EXPECT(!buf_has(&got, "late"));
    clr_buf_deinit(&got);
    fd = app_ask("GET", "0", "");
    stream = app_taken(&f).stream;
    app_headers(&f, CLR_FRAME_HTTP_HINT, stream, "link: </a>");
    app_start(&f, stream, END, 200, NULL, "x");
    got = app_read_all(fd);
    EXPECT(!buf_has(&got, "103"));
    clr_buf_deinit(&got);
    app_teardown(&f);
}

TEST(app_response_trailers_for_those_who_take_them)
{
    static const struct {
        const char *version, *headers, *start, *end;
    } cases[] = {
        {"1", APP_CLOSING "TE: trailers\r\n", NULL, "4\r\nbody\r\n0\r\nx-sum: 7\r\n\r\n"},
        {"1", APP_CLOSING, NULL, "4\r\nbody\r\n0\r\n\r\n"},
        {"1", APP_CLOSING "TE: trailers\r\n", "content-length: 4", "\r\n\r\nbody"},
        {"0", "TE: trailers\r\n", NULL, "\r\n\r\nbody"},
    };
    fake_t f;
    app_setup(&f);
    for (size_t i = 0; i < clr_array_len(cases); i++) {
        int fd = app_ask("GET", cases[i].version, cases[i].headers);
        uint64_t stream = app_taken(&f).stream;
        app_start(&f, stream, CLR_FRAME_TRAILERS, 200, cases[i].start, "body");
        app_headers(&f, CLR_FRAME_HTTP_TRAILERS, stream, "x-sum: 7");
        clr_buf_t got = app_read_all(fd);
        size_t n = strlen(cases[i].end);
        EXPECT(got.n > n);
        EXPECT_STR_C(clr_str_from(clr_buf_str(&got), got.n - n), cases[i].end);
        clr_buf_deinit(&got);
    }
    EXPECT_EQ(app_count(), 0);
    app_teardown(&f);
}

/* ---- flow ---- */

/* The worker sends `n` bytes in one frame. */
static void send_data(fake_t *f, uint64_t stream, size_t n)
{
    clr_buf_t b = {0};
    memset(clr_buf_reserve(&b, n), 'x', n);
    b.n = n;
    app_bytes(f, CLR_FRAME_HTTP_DATA, 0, stream, clr_buf_str(&b));
    clr_buf_deinit(&b);
}

TEST(app_response_window_follows_the_client)
{
    fake_t f;
    app_setup(&f);
    int fd = app_ask("GET", "1", "");
    asked_t a = app_asked(&f);
    uint64_t stream = a.stream;
    app_start(&f, stream, 0, 200, NULL, "");
    send_data(&f, stream, a.window / 4);
    fake_expect_nothing(&f); /* too little to be worth a frame */
    size_t granted = a.window, sent = a.window / 4;
    bool stalled = false;
    clr_buf_t got = {0};
    /* Without reading until it stalls: what the kernel does not hold is bounded. */
    while (!stalled) {
        while (sent < granted) {
            send_data(&f, stream, 65536);
            sent += 65536;
        }
        app_settle();
        clr_buf_consume(&f.in, f.taken);
        f.taken = 0;
        loopback_receive(f.fd, &f.in);
        stalled = f.in.n == 0;
        if (!stalled)
            granted += app_number(fake_expect(&f, CLR_FRAME_HTTP_WINDOW));
    }
    EXPECT(sent >= granted);
    while (got.n < sent)
        EXPECT(loopback_read(&loop, fd, &got, got.n + 1));
    EXPECT(app_number(fake_expect(&f, CLR_FRAME_HTTP_WINDOW)) > 0);
    fake_text(&f, CLR_FRAME_HTTP_DATA, END, stream, "");
    EXPECT(loopback_read_text(&loop, fd, &got, "0\r\n\r\n"));
    clr_buf_deinit(&got);
    close(fd);
    app_teardown(&f);
}

TEST(app_response_window_is_at_most_what_a_client_may_have_queued)
{
    fake_t f;
    fixture_defaults();
    options.max_buffered = 5000;
    app_setup(&f);
    int fd = app_ask("GET", "1", "");
    EXPECT_EQ(app_asked(&f).window, 5000);
    close(fd);
    app_teardown(&f);
}

TEST(app_response_beyond_the_window_is_a_violation)
{
    fake_t f;
    app_setup(&f);
    int fd = app_ask("GET", "1", "");
    asked_t a = app_asked(&f);
    app_start(&f, a.stream, 0, 200, NULL, "");
    clr_app_request_t *r = clr_dispatch_find(&gw, a.stream, CLR_OBJECT_REQUEST);
    EXPECT(r != NULL);
    EXPECT_EQ(clr_app_count_sent(r, a.window - 1), 0);
    EXPECT_EQ(clr_app_count_sent(r, a.window), 0);
    EXPECT_EQ(clr_app_count_sent(r, 1), CLR_EPROTO);
    EXPECT_EQ(clr_app_count_sent(r, 0), 0);
    close(fd);
    app_teardown(&f);
}

TEST(app_response_of_a_client_that_reads_nothing_ends)
{
    fake_t f;
    fixture_defaults();
    options.body_timeout_ms = 50;
    app_setup(&f);
    int fd = app_ask("GET", "1", "");
    asked_t a = app_asked(&f);
    app_start(&f, a.stream, 0, 200, NULL, "");
    uint32_t left = a.window;
    for (bool gone = false; !gone;) {
        for (; left >= 65536; left -= 65536)
            send_data(&f, a.stream, 65536);
        clr_frame_t frame = fake_frame(&f);
        gone = frame.type == CLR_FRAME_HTTP_GONE;
        if (!gone)
            left += app_number(frame);
    }
    EXPECT_EQ(app_count(), 0);
    close(fd);
    app_teardown(&f);
}

/* ---- abort ---- */

TEST(app_response_abort_cuts_what_began)
{
    fake_t f;
    app_setup(&f);
    int fd = app_ask("GET", "1", "");
    uint64_t stream = app_taken(&f).stream;
    app_start(&f, stream, 0, 200, NULL, "some");
    fake_text(&f, CLR_FRAME_HTTP_ABORT, 0, stream, "the application raised");
    clr_buf_t got = app_read_all(fd);
    app_expect_text(got, "4\r\nsome\r\n");
    EXPECT(!buf_has(&got, "0\r\n\r\n"));
    clr_buf_deinit(&got);
    fd = app_ask("GET", "1", "");
    stream = app_taken(&f).stream;
    fake_text(&f, CLR_FRAME_HTTP_ABORT, 0, stream, "before anything");
    got = app_read_all(fd);
    EXPECT_EQ(got.n, 0);
    clr_buf_deinit(&got);
    EXPECT_EQ(app_count(), 0);
    app_teardown(&f);
}

TEST_MAIN(T(app_response_length_is_exact_when_the_body_is_there),
          T(app_response_keeps_the_applications_length),
          T(app_response_streams_in_chunks_on_11_and_until_close_on_10),
          T(app_response_head_and_statuses_without_body), T(app_response_head_may_stream),
          T(app_response_connection_headers_are_ours),
          T(app_response_longer_than_declared_is_cut_and_closed),
          T(app_response_shorter_than_declared_closes), T(app_response_with_a_bad_length_is_500),
          T(app_response_violations), T(app_response_a_second_start_is_a_violation),
          T(app_response_may_come_before_the_body), T(app_response_early_hints),
          T(app_response_trailers_for_those_who_take_them),
          T(app_response_window_follows_the_client),
          T(app_response_window_is_at_most_what_a_client_may_have_queued),
          T(app_response_beyond_the_window_is_a_violation),
          T(app_response_of_a_client_that_reads_nothing_ends),
          T(app_response_abort_cuts_what_began))
