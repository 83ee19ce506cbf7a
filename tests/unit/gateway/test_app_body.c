/* A request's body: gathered, dispatched, under the window, and 100 Continue. */
#include "app_fixture.h"
#include "gateway/affinity.h"

#define END CLR_FRAME_END

static clr_buf_t bytes_of(size_t n)
{
    clr_buf_t b = {0};
    char *to = clr_buf_reserve(&b, n);
    for (size_t i = 0; i < n; i++)
        to[i] = (char)('a' + i % 26);
    b.n = n;
    return b;
}

static void send_text(int fd, const char *text)
{
    loopback_send(&loop, fd, clr_str_c(text));
    app_settle();
}

static void answer(fake_t *f, uint64_t stream, int fd)
{
    app_start(f, stream, END, 200, NULL, "ok");
    expect_answer(fd, 200, "ok");
}

/* Reads HTTP_BODY frames until `n` bytes more came; true at the end of the body. */
static bool read_body(fake_t *f, clr_buf_t *out, size_t n)
{
    bool end = false;
    for (size_t had = out->n; out->n < had + n && !end;) {
        clr_frame_t frame = fake_expect(f, CLR_FRAME_HTTP_BODY);
        end = frame.flags & END;
        clr_buf_append_str(out, app_text(frame));
    }
    return end;
}

TEST(app_body_small_ones_come_with_the_request)
{
    fake_t f;
    app_setup(&f);
    int fd = request("POST", "/", "", "hello");
    asked_t a = app_asked(&f);
    EXPECT_EQ(a.flags, END);
    EXPECT_STR_C(a.body, "hello");
    answer(&f, a.stream, fd);
    app_teardown(&f);
}

TEST(app_body_of_a_slow_client_holds_no_worker)
{
    fake_t f;
    app_setup(&f);
    int fd = request("POST", "/", "Content-Length: 6\r\n", NULL);
    send_text(fd, "abc");
    fake_expect_nothing(&f);
    EXPECT_EQ(app_count(), 1);
    send_text(fd, "def");
    asked_t a = app_asked(&f);
    EXPECT_STR_C(a.body, "abcdef");
    EXPECT_EQ(a.flags, END);
    answer(&f, a.stream, fd);
    app_teardown(&f);
}

TEST(app_body_chunks_are_decoded_and_gathered)
{
    fake_t f;
    app_setup(&f);
    int fd = request("POST", "/", "Transfer-Encoding: chunked\r\n", NULL);
    send_text(fd, "3\r\nabc\r\n");
    fake_expect_nothing(&f);
    send_text(fd, "2;x=y\r\nde\r\n0\r\nTrailer: t\r\n\r\n");
    asked_t a = app_asked(&f);
    EXPECT_STR_C(a.body, "abcde");
    EXPECT_EQ(a.flags, END);
    answer(&f, a.stream, fd);
    app_teardown(&f);
}

TEST(app_body_chunked_and_empty)
{
    fake_t f;
    app_setup(&f);
    int fd = request("POST", "/", "Transfer-Encoding: chunked\r\n", NULL);
    send_text(fd, "0\r\n\r\n");
    asked_t a = app_asked(&f);
    EXPECT_EQ(a.body.n, 0);
    EXPECT_EQ(a.flags, END);
    answer(&f, a.stream, fd);
    app_teardown(&f);
}

TEST(app_body_gathers_to_the_bound_and_not_beyond)
{
    fake_t f;
    fixture_defaults();
    options.http.body_bytes = 10 << 20;
    app_setup(&f);
    clr_buf_t body = bytes_of(CLR_APP_GATHER_MAX + 10);
    char length[60];
    snprintf(length, sizeof(length), "Content-Length: %u\r\n", CLR_APP_GATHER_MAX + 10);
    int fd = request("POST", "/", length, NULL);
    loopback_send(&loop, fd, clr_str(body.p, CLR_APP_GATHER_MAX));
    fake_expect_nothing(&f);
    loopback_send(&loop, fd, clr_str(body.p + CLR_APP_GATHER_MAX, 1));
    asked_t a = app_asked(&f);
    EXPECT_EQ(a.flags, 0);
    EXPECT_EQ(a.body.n, CLR_APP_GATHER_MAX + 1);
    EXPECT(memcmp(a.body.p, body.p, a.body.n) == 0);
    uint64_t stream = a.stream;
    loopback_send(&loop, fd, clr_str(body.p + CLR_APP_GATHER_MAX + 1, 9));
    clr_buf_t rest = {0};
    EXPECT(read_body(&f, &rest, 9));
    EXPECT_STR(clr_buf_str(&rest), clr_str(body.p + CLR_APP_GATHER_MAX + 1, 9));
    answer(&f, stream, fd);
    clr_buf_deinit(&rest);
    clr_buf_deinit(&body);
    app_teardown(&f);
}

/* Sends what the socket takes, and no more: the gateway may not read. */
static size_t send_some(int fd, clr_str_t bytes)
{
    size_t sent = 0;
    for (int idle = 0; sent < bytes.n && idle < 20;) {
        ssize_t n = send(fd, bytes.p + sent, bytes.n - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        idle = n > 0 ? 0 : idle + 1;
        sent += n > 0 ? (size_t)n : 0;
        loopback_turn(&loop);
    }
    return sent;
}

TEST(app_body_flows_under_the_window)
{
    enum { TOTAL = 24 << 20 };
    fake_t f;
    fixture_defaults();
    options.http.body_bytes = TOTAL;
    app_setup(&f);
    clr_buf_t body = bytes_of(TOTAL), got = {0};
    char length[60];
    snprintf(length, sizeof(length), "Content-Length: %d\r\n", TOTAL);
    int fd = request("POST", "/", length, NULL);
    size_t sent = send_some(fd, clr_buf_str(&body));
    EXPECT(sent < TOTAL);
    asked_t a = app_asked(&f);
    uint64_t stream = a.stream;
    clr_buf_append_str(&got, a.body);
    /* What is under way is the window, and at most one read beyond. */
    app_settle();
    clr_buf_consume(&f.in, f.taken);
    f.taken = 0;
    loopback_receive(f.fd, &f.in);
    EXPECT(got.n + f.in.n <= CLR_REQUEST_WINDOW + CLR_LOOP_READ_SIZE + 4096);
    for (bool end = false; !end;) {
        uint32_t untaken = (uint32_t)got.n;
        static uint32_t told;
        app_take(&f, stream, untaken - told);
        told = untaken;
        sent += send_some(fd, clr_str_from(clr_buf_str(&body), sent));
        end = read_body(&f, &got, 1);
    }
    EXPECT_EQ(got.n, TOTAL);
    EXPECT(memcmp(got.p, body.p, TOTAL) == 0);
    answer(&f, stream, fd);
    clr_buf_deinit(&got);
    clr_buf_deinit(&body);
    app_teardown(&f);
}

/* A request whose first chunk is as long as the window; then comes `tail`. Returns its connection.
 */
static int post_window(fake_t *f, const char *tail)
{
    fixture_defaults();
    options.http.body_bytes = 10 << 20;
    app_setup(f);
    clr_buf_t big = bytes_of(CLR_REQUEST_WINDOW), out = {0};
    int fd = request("POST", "/", "Transfer-Encoding: chunked\r\n", NULL);
    clr_buf_printf(&out, "%x\r\n", CLR_REQUEST_WINDOW);
    clr_buf_append_str(&out, clr_buf_str(&big));
    clr_buf_append_str(&out, clr_str_c(tail));
    loopback_send(&loop, fd, clr_buf_str(&out));
    clr_buf_deinit(&out);
    clr_buf_deinit(&big);
    return fd;
}

TEST(app_body_tiny_chunks_beyond_the_window_wait_here)
{
    fake_t f;
    clr_buf_t got = {0};
    int fd = post_window(&f, "\r\n");
    asked_t a = app_asked(&f);
    uint64_t stream = a.stream;
    clr_buf_append_str(&got, a.body);
    while (got.n < CLR_REQUEST_WINDOW)
        read_body(&f, &got, 1);
    send_text(fd, "1\r\nx\r\n1\r\ny\r\n0\r\n\r\n"); /* read at the latest when some was taken */
    fake_expect_nothing(&f);
    app_take(&f, stream, CLR_REQUEST_WINDOW);
    clr_buf_clear(&got);
    EXPECT(read_body(&f, &got, 3));
    EXPECT_STR_C(clr_buf_str(&got), "xy");
    answer(&f, stream, fd);
    clr_buf_deinit(&got);
    app_teardown(&f);
}

TEST(app_body_end_waits_for_the_window_too)
{
    fake_t f;
    clr_buf_t got = {0};
    int fd = post_window(&f, "\r\n0\r\n\r\n");
    asked_t a = app_asked(&f);
    uint64_t stream = a.stream;
    clr_buf_append_str(&got, a.body);
    while (got.n < CLR_REQUEST_WINDOW)
        EXPECT(!read_body(&f, &got, 1));
    fake_expect_nothing(&f);
    app_take(&f, stream, 1);
    clr_frame_t end = fake_expect(&f, CLR_FRAME_HTTP_BODY);
    EXPECT_EQ(end.flags, END);
    EXPECT_EQ(app_text(end).n, 0);
    answer(&f, stream, fd);
    clr_buf_deinit(&got);
    app_teardown(&f);
}

TEST(app_body_take_beyond_what_was_sent_is_a_violation)
{
    fake_t f;
    app_setup(&f);
    int fd = request("POST", "/", "", "12345");
    app_take(&f, app_asked(&f).stream, 6);
    fake_wait_gone(&f);
    EXPECT_EQ(f.gone_reason, CLR_EPROTO);
    expect_answer(fd, 502, NULL);
    app_teardown(&f);
}

TEST(app_body_that_breaks_off_is_told)
{
    fake_t f;
    app_setup(&f);
    clr_buf_t body = bytes_of(80000);
    int fd = request("POST", "/", "Content-Length: 90000\r\n", NULL);
    loopback_send(&loop, fd, clr_buf_str(&body));
    uint64_t stream = app_asked(&f).stream;
    close(fd);
    for (;;) {
        clr_frame_t frame = fake_frame(&f);
        EXPECT_EQ(frame.stream, stream);
        if (frame.type == CLR_FRAME_HTTP_GONE)
            break;
        EXPECT_EQ(frame.type, CLR_FRAME_HTTP_BODY);
    }
    clr_buf_deinit(&body);
    app_teardown(&f);
}

TEST(app_body_over_the_limit_is_413)
{
    fake_t f;
    fixture_defaults();
    options.http.body_bytes = 70000;
    app_setup(&f);
    clr_buf_t body = bytes_of(70001);
    expect_answer(request("POST", "/", "Content-Length: 70001\r\n", NULL), 413, NULL);
    int fd = request("POST", "/", "Transfer-Encoding: chunked\r\n", NULL);
    clr_buf_t out = {0};
    clr_buf_printf(&out, "%x\r\n", 69000);
    clr_buf_append(&out, body.p, 69000);
    clr_buf_printf(&out, "\r\n");
    loopback_send(&loop, fd, clr_buf_str(&out));
    uint64_t stream = app_asked(&f).stream;
    send_text(fd, "400\r\n");
    loopback_send(&loop, fd, clr_str(body.p, 1024));
    expect_answer(fd, 413, NULL);
    for (clr_frame_t frame; (frame = fake_frame(&f)).type != CLR_FRAME_HTTP_GONE;)
        EXPECT_EQ(frame.stream, stream);
    clr_buf_deinit(&out);
    clr_buf_deinit(&body);
    app_teardown(&f);
}

TEST(app_body_waiting_for_a_worker_is_bounded)
{
    enum { TOTAL = 16 << 20 };
    fake_t f;
    fixture_defaults();
    options.http.body_bytes = TOTAL;
    fixture_open(false);
    app_open(&f, 1, 0);
    clr_buf_t body = bytes_of(TOTAL);
    char length[60];
    snprintf(length, sizeof(length), "Content-Length: %d\r\n", TOTAL);
    int fd = request("POST", "/", length, NULL);
    EXPECT(send_some(fd, clr_buf_str(&body)) < TOTAL);
    clr_app_request_t *r = clr_container_of(gw.app->waiting.next, clr_app_request_t, node_);
    EXPECT(r->body.n <= CLR_APP_GATHER_MAX + CLR_LOOP_READ_SIZE);
    close(fd);
    clr_buf_deinit(&body);
    app_teardown(&f);
}

TEST(app_body_does_not_overtake_its_request)
{
    static clr_affinity_keys_t keys;
    clr_error_t err = {0};
    fake_t f;
    EXPECT_EQ(clr_affinity_keys_parse(&keys, "header:x-key", &err), 0);
    fixture_defaults();
    options.http.body_bytes = 10 << 20;
    options.affinity = &keys;
    fixture_open(false);
    app_open(&f, 1, 1); /* credit for the request that teaches the key */
    int first = request("GET", "/", "", NULL);
    app_start(&f, app_asked(&f).stream, END, 200, "x-key: k", "ok");
    expect_answer(first, 200, "ok");
    clr_buf_t body = bytes_of(3 * CLR_APP_GATHER_MAX), got = {0};
    char head[80];
    snprintf(head, sizeof(head), "X-Key: k\r\nContent-Length: %zu\r\n", body.n);
    int fd = request("POST", "/", head, NULL);
    loopback_send(&loop, fd, clr_str(body.p, 2 * CLR_APP_GATHER_MAX));
    app_settle();
    loopback_send(&loop, fd, clr_str_from(clr_buf_str(&body), 2 * CLR_APP_GATHER_MAX));
    fake_expect_nothing(&f); /* it waits for credit, with its body */
    fake_credit(&f, 1);
    asked_t a = app_asked(&f);
    uint64_t stream = a.stream;
    clr_buf_append_str(&got, a.body);
    app_take(&f, stream, (uint32_t)a.body.n);
    while (!read_body(&f, &got, 1))
        continue;
    EXPECT_STR(clr_buf_str(&got), clr_buf_str(&body));
    answer(&f, stream, fd);
    clr_buf_deinit(&got);
    clr_buf_deinit(&body);
    app_teardown(&f);
}

/* ---- 100 Continue ---- */

#define EXPECTS "Content-Length: 4\r\nExpect: 100-continue\r\n"

TEST(app_body_continue_is_sent_when_the_application_asks)
{
    fake_t f;
    app_setup(&f);
    int fd = request("POST", "/", EXPECTS, NULL);
    asked_t a = app_asked(&f);
    EXPECT_EQ(a.flags, CLR_FRAME_CONTINUE);
    clr_buf_t got = {0};
    app_settle();
    loopback_receive(fd, &got);
    EXPECT_EQ(got.n, 0);
    uint64_t stream = a.stream;
    app_take(&f, stream, 0);
    EXPECT(loopback_read_text(&loop, fd, &got, "HTTP/1.1 100 Continue\r\n\r\n"));
    app_take(&f, stream, 0);
    send_text(fd, "body");
    clr_frame_t frame = fake_expect(&f, CLR_FRAME_HTTP_BODY);
    EXPECT_EQ(frame.flags, END);
    EXPECT_STR_C(app_text(frame), "body");
    answer(&f, stream, fd);
    clr_buf_deinit(&got);
    app_teardown(&f);
}

TEST(app_body_continue_is_not_sent_after_a_response)
{
    fake_t f;
    app_setup(&f);
    int fd = request("POST", "/", EXPECTS, NULL);
    uint64_t stream = app_asked(&f).stream;
    app_start(&f, stream, END, 403, NULL, "no");
    app_take(&f, stream, 0);
    clr_buf_t got = app_read_all(fd);
    EXPECT(!buf_has(&got, "100 Continue"));
    EXPECT(buf_has(&got, "HTTP/1.1 403 "));
    EXPECT(buf_has(&got, "Connection: close\r\n"));
    clr_buf_deinit(&got);
    app_teardown(&f);
}

TEST(app_body_continue_is_not_sent_to_who_does_not_wait)
{
    fake_t f;
    app_setup(&f);
    int fd = request("POST", "/", EXPECTS, NULL);
    uint64_t stream = app_asked(&f).stream;
    send_text(fd, "body");
    fake_expect(&f, CLR_FRAME_HTTP_BODY);
    app_take(&f, stream, 0);
    app_start(&f, stream, END, 200, NULL, "ok");
    response_t r = response(fd);
    EXPECT_EQ(r.status, 200);
    EXPECT(!head_has(&r, "Connection: close"));
    response_free(&r);
    app_teardown(&f);
}

TEST(app_body_client_that_waits_for_continue_is_not_timed)
{
    fake_t f;
    fixture_defaults();
    options.body_timeout_ms = 30;
    app_setup(&f);
    int fd = request("POST", "/", EXPECTS, NULL);
    uint64_t stream = app_asked(&f).stream;
    uint64_t until = clr_loop_now(&loop) + 100;
    LOOPBACK_UNTIL(&loop, -1, clr_loop_now(&loop) >= until);
    EXPECT_EQ(app_count(), 1);
    app_take(&f, stream, 0);
    fake_expect(&f, CLR_FRAME_HTTP_GONE); /* now its time runs */
    clr_buf_t got = app_read_all(fd);
    EXPECT(buf_has(&got, "HTTP/1.1 408 "));
    clr_buf_deinit(&got);
    app_teardown(&f);
}

TEST(app_body_client_that_we_do_not_read_is_not_timed)
{
    fake_t f;
    fixture_defaults();
    options.body_timeout_ms = 30;
    options.http.body_bytes = 10 << 20;
    app_setup(&f);
    clr_buf_t body = bytes_of(4 << 20);
    int fd = request("POST", "/", "Content-Length: 5000000\r\n", NULL);
    send_some(fd, clr_buf_str(&body));
    (void)app_asked(&f);
    uint64_t until = clr_loop_now(&loop) + 100;
    LOOPBACK_UNTIL(&loop, -1, clr_loop_now(&loop) >= until);
    EXPECT_EQ(app_count(), 1);
    close(fd);
    clr_buf_deinit(&body);
    app_teardown(&f);
}

TEST_MAIN(T(app_body_small_ones_come_with_the_request),
          T(app_body_of_a_slow_client_holds_no_worker), T(app_body_chunks_are_decoded_and_gathered),
          T(app_body_chunked_and_empty), T(app_body_gathers_to_the_bound_and_not_beyond),
          T(app_body_flows_under_the_window), T(app_body_tiny_chunks_beyond_the_window_wait_here),
          T(app_body_end_waits_for_the_window_too),
          T(app_body_take_beyond_what_was_sent_is_a_violation), T(app_body_that_breaks_off_is_told),
          T(app_body_over_the_limit_is_413), T(app_body_waiting_for_a_worker_is_bounded),
          T(app_body_does_not_overtake_its_request),
          T(app_body_continue_is_sent_when_the_application_asks),
          T(app_body_continue_is_not_sent_after_a_response),
          T(app_body_continue_is_not_sent_to_who_does_not_wait),
          T(app_body_client_that_waits_for_continue_is_not_timed),
          T(app_body_client_that_we_do_not_read_is_not_timed))
