/* A request's life and placement: which worker gets it, and when it waits. */
#include "app_fixture.h"

#define END CLR_FRAME_END

/* ---- one worker ---- */

TEST(app_request_is_404_without_an_application)
{
    fake_t f;
    fixture_open(false);
    fake_open(&f, 1, SOCKETIO_SERVER, 10);
    expect_answer(request("GET", "/", "", NULL), 404, NULL);
    app_teardown(&f);
}

TEST(app_request_get_is_one_frame_each_way)
{
    fake_t f;
    app_setup(&f);
    int fd = request("GET", "/a%20b?q=1", "X-Y: z\r\n", NULL);
    asked_t a = app_asked(&f);
    EXPECT_EQ(a.flags, END);
    EXPECT_EQ(a.window, 256 << 10);
    EXPECT_EQ(a.body.n, 0);
    EXPECT_EQ(a.head.transport, 0);
    EXPECT_EQ(a.head.secure, 0);
    EXPECT_EQ(a.head.http_minor, 1);
    EXPECT_STR_C(a.head.method, "GET");
    EXPECT_STR_C(a.head.target, "/a%20b?q=1");
    EXPECT_STR_C(a.head.peer_host, "127.0.0.1");
    EXPECT_STR_C(a.head.local_host, "127.0.0.1");
    EXPECT_EQ(a.head.local_port, clr_listener_port(listener));
    EXPECT_EQ(a.head.headers.count, 4);
    app_answer(&f, a.stream, "hello");
    response_t r = response(fd);
    EXPECT_EQ(r.status, 200);
    EXPECT(head_has(&r, "content-type: text/plain\r\n"));
    EXPECT(head_has(&r, "Content-Length: 5\r\n"));
    EXPECT(head_has(&r, "Date: "));
    EXPECT_STR_C(r.body, "hello");
    response_free(&r);
    EXPECT_EQ(app_count(), 0);
    app_teardown(&f);
}

TEST(app_request_keeps_the_connection_and_its_order)
{
    fake_t f;
    app_setup(&f);
    int fd = fixture_connect();
    loopback_send(&loop, fd,
                  CLR_STR("GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n"));
    for (int i = 1; i <= 2; i++) {
        char want[8];
        clr_buf_t got = {0};
        asked_t a = app_taken(&f);
        snprintf(want, sizeof(want), "/%d", i);
        EXPECT_STR_C(a.head.target, want);
        fake_expect_nothing(&f);
        app_answer(&f, a.stream, want);
        EXPECT(loopback_read_text(&loop, fd, &got, want));
        clr_buf_deinit(&got);
    }
    close(fd);
    app_teardown(&f);
}

TEST(app_request_registered_paths_come_first)
{
    fake_t f;
    fixture_open(false);
    fake_attach(&f, 1);
    fake_hello(&f);
    fake_server(&f, 0, SOCKETIO_SERVER);
    fake_text(&f, CLR_FRAME_APP, 0, 0, "{}");
    fake_simple(&f, CLR_FRAME_READY, 0);
    fake_credit(&f, 10);
    LOOPBACK_UNTIL(&loop, -1, f.is_ready);
    char sid[CLR_ID_LEN + 1];
    poll_open("/socket.io", sid);
    int fd = request("GET", "/other", "", NULL);
    asked_t a = app_asked(&f);
    EXPECT_STR_C(a.head.target, "/other");
    app_answer(&f, a.stream, "");
    expect_answer(fd, 200, "");
    app_teardown(&f);
}

TEST(app_request_targets_of_all_forms)
{
    static const struct {
        const char *line;
        int status; /* 200: the application has it */
    } cases[] = {
        {"GET http://h/abs?x HTTP/1.1", 200},
        {"OPTIONS * HTTP/1.1", 200},
        {"GET * HTTP/1.1", 400},
        {"CONNECT h:1 HTTP/1.1", 501},
        {"GET h:1 HTTP/1.1", 400},
        {"GET /%ff%fe HTTP/1.1", 200},
        {"GET /\xff HTTP/1.1", 400},
        {"GET /a#b HTTP/1.1", 400},
        {"GET //double HTTP/1.1", 200},
        {"GET /../up HTTP/1.1", 200},
        {"GET /%00 HTTP/1.1", 200},
        {"GET ftp://h/ HTTP/1.1", 400},
    };
    fake_t f;
    app_setup(&f);
    for (size_t i = 0; i < clr_array_len(cases); i++) {
        clr_buf_t out = {0};
        int fd = fixture_connect();
        clr_buf_printf(&out, "%s\r\nHost: h\r\n\r\n", cases[i].line);
        loopback_send(&loop, fd, clr_buf_str(&out));
        clr_buf_deinit(&out);
        if (cases[i].status == 200) {
            asked_t a = app_taken(&f);
            EXPECT(strstr(cases[i].line, " ") != NULL);
            EXPECT(memmem(cases[i].line, strlen(cases[i].line), a.head.target.p, a.head.target.n));
            app_answer(&f, a.stream, "ok");
        }
        response_t r = response(fd);
        if (r.status != cases[i].status)
            TEST_FAIL_("%s: status %d", cases[i].line, r.status);
        response_free(&r);
    }
    app_teardown(&f);
}

TEST(app_request_tells_the_worker_that_the_client_is_gone)
{
    fake_t f;
    app_setup(&f);
    int fd = request("GET", "/", "", NULL);
    uint64_t stream = app_asked(&f).stream;
    close(fd);
    EXPECT_EQ(fake_expect(&f, CLR_FRAME_HTTP_GONE).stream, stream);
    EXPECT_EQ(app_count(), 0);
    app_answer(&f, stream, "late"); /* finds nothing, and harms nothing */
    fake_expect_nothing(&f);
    EXPECT(!f.gone);
    app_teardown(&f);
}

TEST(app_request_of_another_worker_is_a_violation)
{
    fake_t a, b;
    app_setup(&a);
    app_open(&b, 2, 10);
    int fd = request("GET", "/", "", NULL);
    uint64_t stream = app_asked(&a).stream;
    app_answer(&b, stream, "mine");
    fake_wait_gone(&b);
    EXPECT_EQ(b.gone_reason, CLR_EPROTO);
    app_answer(&a, stream, "ok");
    expect_answer(fd, 200, "ok");
    fake_close(&b);
    app_teardown(&a);
}

TEST(app_request_frames_out_of_turn_are_violations)
{
    static const uint8_t types[] = {CLR_FRAME_HTTP_DATA, CLR_FRAME_HTTP_TRAILERS,
                                    CLR_FRAME_HTTP_FILE, CLR_FRAME_WS_ACCEPT,
                                    CLR_FRAME_WS_SEND,   CLR_FRAME_WS_CLOSE};
    fixture_defaults();
    fixture_open(false);
    for (size_t i = 0; i < clr_array_len(types); i++) {
        fake_t f;
        app_open(&f, 1, 10);
        int fd = request("POST", "/", "", "body");
        uint64_t stream = app_asked(&f).stream;
        switch (types[i]) {
        case CLR_FRAME_HTTP_TRAILERS:
            app_headers(&f, types[i], stream, NULL);
            break;
        case CLR_FRAME_HTTP_FILE:
            app_file(&f, stream, 0, "/dev/null", 0, 1);
            break;
        case CLR_FRAME_WS_ACCEPT:
            app_accept(&f, stream, "", NULL);
            break;
        case CLR_FRAME_WS_CLOSE:
            app_ws_close(&f, stream, 1000, "");
            break;
        default:
            fake_text(&f, types[i], 0, stream, "x");
            break;
        }
        fake_wait_gone(&f);
        EXPECT_EQ(f.gone_reason, CLR_EPROTO);
        expect_answer(fd, 502, NULL);
        fake_close(&f);
    }
    fixture_close();
}

TEST(app_request_over_the_limit_is_503)
{
    fake_t f;
    fixture_defaults();
    options.limit_concurrency = 1;
    app_setup(&f);
    int first = request("GET", "/", "", NULL);
    uint64_t stream = app_taken(&f).stream;
    response_t r = response(request("GET", "/", "", NULL));
    EXPECT_EQ(r.status, 503);
    EXPECT(head_has(&r, "Retry-After: 1\r\n"));
    response_free(&r);
    app_answer(&f, stream, "ok");
    expect_answer(first, 200, "ok");
    int again = request("GET", "/", "", NULL);
    app_answer(&f, app_taken(&f).stream, "ok");
    expect_answer(again, 200, "ok");
    app_teardown(&f);
}

/* ---- placement ---- */

TEST(app_request_goes_where_fewest_are_in_progress)
{
    fake_t a, b;
    app_setup(&a);
    app_open(&b, 2, 10);
    int fds[4];
    uint64_t of_a[2], of_b[2];
    for (int i = 0; i < 2; i++) {
        fds[2 * i] = request("GET", "/a", "", NULL);
        of_a[i] = app_taken(&a).stream;
        fds[2 * i + 1] = request("GET", "/b", "", NULL);
        of_b[i] = app_taken(&b).stream;
    }
    app_answer(&b, of_b[0], "b");
    expect_answer(fds[1], 200, "b");
    fds[1] = request("GET", "/b", "", NULL);
    app_answer(&b, app_taken(&b).stream, "b");
    expect_answer(fds[1], 200, "b");
    app_answer(&b, of_b[1], "b");
    expect_answer(fds[3], 200, "b");
    for (int i = 0; i < 2; i++) {
        app_answer(&a, of_a[i], "a");
        expect_answer(fds[2 * i], 200, "a");
    }
    fake_close(&b);
    app_teardown(&a);
}

TEST(app_request_waits_for_credit_in_the_gateway)
{
    fake_t a, b;
    fixture_open(false);
    app_open(&a, 1, 0);
    int first = request("GET", "/1", "", NULL);
    int second = request("GET", "/2", "", NULL);
    app_settle();
    fake_expect_nothing(&a);
    EXPECT_EQ(app_count(), 2);
    app_open(&b, 2, 1); /* which takes what the other never had */
    asked_t asked = app_asked(&b);
    EXPECT_STR_C(asked.head.target, "/1");
    fake_expect_nothing(&b);
    app_answer(&b, asked.stream, "one");
    expect_answer(first, 200, "one");
    fake_expect_nothing(&b);
    fake_credit(&b, 1);
    asked = app_asked(&b);
    EXPECT_STR_C(asked.head.target, "/2");
    app_answer(&b, asked.stream, "two");
    expect_answer(second, 200, "two");
    fake_close(&b);
    app_teardown(&a);
}

/* The next request for this path; frames before it are dropped. */
static asked_t asked_for(fake_t *f, const char *target)
{
    for (;;) {
        clr_frame_t frame = fake_frame(f);
        if (frame.type != CLR_FRAME_HTTP_REQUEST)
            continue;
        clr_reader_t r = clr_reader(frame.payload);
        clr_read_u32(&r);
        clr_read_str(&r);
        clr_request_head_t head = clr_read_request(&r);
        if (clr_str_eq(head.target, clr_str_c(target)))
            return (asked_t){.stream = frame.stream, .flags = frame.flags, .head = head};
    }
}

TEST(app_request_waits_for_a_worker_that_is_behind)
{
    fake_t f;
    fixture_defaults();
    options.http.body_bytes = 1 << 20;
    app_setup(&f);
    int fds[100];
    size_t n = 0;
    clr_buf_t upload = {0};
    clr_buf_append_str(&upload,
                       CLR_STR("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 300000\r\n\r\n"));
    for (size_t i = 0; i < CLR_REQUEST_WINDOW; i++)
        clr_buf_putc(&upload, 'x');
    while (!clr_worker_is_congested(f.w)) {
        EXPECT(n < 100);
        fds[n] = fixture_connect();
        loopback_send(&loop, fds[n++], clr_buf_str(&upload));
        app_settle();
        fake_credit(&f, 1); /* it is not silent, only slow to read */
    }
    int fd = request("GET", "/late", "", NULL);
    LOOPBACK_UNTIL(&loop, -1, gw.app->waiting_count == 1);
    /* It reads, and says nothing that would wake the queue. */
    app_answer(&f, asked_for(&f, "/late").stream, "here");
    expect_answer(fd, 200, "here");
    EXPECT(!clr_worker_is_congested(f.w));
    while (n > 0)
        close(fds[--n]);
    clr_buf_deinit(&upload);
    app_teardown(&f);
}

static void say_blocked(int watchdog, uint8_t blocked)
{
    clr_buf_t said = {0};
    size_t at = clr_frame_begin(&said, CLR_FRAME_BLOCKED, 0, 0);
    clr_buf_append_le(&said, blocked, 1);
    clr_buf_append_le(&said, 1000, 4);
    for (int i = 0; i < 3; i++)
        clr_write_str(&said, CLR_STR_EMPTY);
    clr_frame_end(&said, at);
    loopback_send(&loop, watchdog, clr_buf_str(&said));
    clr_buf_deinit(&said);
    app_settle();
}

TEST(app_request_waits_for_a_worker_that_is_blocked)
{
    fake_t f;
    int fds[2];
    app_setup(&f);
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    EXPECT_EQ(clr_worker_watch(f.w, fds[1], 4711), 0);
    say_blocked(fds[0], 1);
    int fd = request("GET", "/late", "", NULL);
    app_settle();
    fake_expect_nothing(&f);
    say_blocked(fds[0], 0); /* and nothing that would wake the queue */
    app_answer(&f, app_asked(&f).stream, "here");
    expect_answer(fd, 200, "here");
    close(fds[0]);
    app_teardown(&f);
}

TEST(app_request_avoids_a_worker_that_is_silent)
{
    fake_t a, b;
    app_setup(&a);
    int stuck = request("GET", "/stuck", "", NULL);
    uint64_t stream = app_asked(&a).stream;
    LOOPBACK_UNTIL(&loop, -1, !clr_dispatch_choose_app(&gw));
    int fd = request("GET", "/waits", "", NULL);
    app_settle();
    fake_expect_nothing(&a);
    app_open(&b, 2, 10);
    asked_t asked = app_asked(&b);
    EXPECT_STR_C(asked.head.target, "/waits");
    app_answer(&b, asked.stream, "b");
    expect_answer(fd, 200, "b");
    fake_credit(&a, 1); /* it answers again */
    EXPECT(clr_dispatch_choose_app(&gw) == b.w || clr_dispatch_choose_app(&gw) == a.w);
    app_answer(&a, stream, "a");
    expect_answer(stuck, 200, "a");
    fake_close(&b);
    app_teardown(&a);
}

TEST(app_request_that_left_the_queue_is_not_sent)
{
    fake_t f;
    fixture_open(false);
    app_open(&f, 1, 0);
    int gone = request("GET", "/gone", "", NULL);
    LOOPBACK_UNTIL(&loop, -1, app_count() == 1);
    int fd = request("GET", "/here", "", NULL);
    LOOPBACK_UNTIL(&loop, -1, app_count() == 2);
    close(gone);
    LOOPBACK_UNTIL(&loop, -1, app_count() == 1);
    fake_credit(&f, 5);
    asked_t a = app_asked(&f);
    EXPECT_STR_C(a.head.target, "/here");
    app_answer(&f, a.stream, "ok");
    expect_answer(fd, 200, "ok");
    app_teardown(&f);
}

TEST(app_request_queue_is_bounded)
{
    fake_t f;
    fixture_open(false);
    app_open(&f, 1, 0);
    int fd = request("GET", "/", "", NULL);
    LOOPBACK_UNTIL(&loop, -1, app_count() == 1);
    gw.app->waiting_count += CLR_APP_WAITING_MAX - 1; /* as if they were there */
    expect_answer(request("GET", "/", "", NULL), 503, NULL);
    gw.app->waiting_count -= CLR_APP_WAITING_MAX - 1;
    close(fd);
    LOOPBACK_UNTIL(&loop, -1, app_count() == 0);
    app_teardown(&f);
}

TEST(app_request_app_frame_must_be_sound_and_in_time)
{
    fixture_open(false);
    fake_t f;
    fake_attach(&f, 1);
    fake_hello(&f);
    fake_text(&f, CLR_FRAME_APP, 0, 0, "no json");
    fake_wait_gone(&f);
    fake_close(&f);
    app_open(&f, 1, 1);
    fake_text(&f, CLR_FRAME_APP, 0, 0, "{}");
    fake_wait_gone(&f);
    EXPECT_EQ(f.gone_reason, CLR_EPROTO);
    fake_close(&f);
    fixture_close();
}

TEST(app_request_objects_are_used_again)
{
    fake_t f;
    app_setup(&f);
    for (int i = 0; i < 20; i++) {
        int fd = request("POST", "/", "", "some body");
        app_answer(&f, app_asked(&f).stream, "ok");
        fake_credit(&f, 1);
        expect_answer(fd, 200, "ok");
    }
    EXPECT_EQ(gw.app->spare_count, 1);
    EXPECT(sizeof(clr_app_request_t) <= 256);
    app_teardown(&f);
}

TEST_MAIN(T(app_request_is_404_without_an_application), T(app_request_get_is_one_frame_each_way),
          T(app_request_keeps_the_connection_and_its_order),
          T(app_request_registered_paths_come_first), T(app_request_targets_of_all_forms),
          T(app_request_tells_the_worker_that_the_client_is_gone),
          T(app_request_of_another_worker_is_a_violation),
          T(app_request_frames_out_of_turn_are_violations), T(app_request_over_the_limit_is_503),
          T(app_request_goes_where_fewest_are_in_progress),
          T(app_request_waits_for_credit_in_the_gateway),
          T(app_request_waits_for_a_worker_that_is_behind),
          T(app_request_waits_for_a_worker_that_is_blocked),
          T(app_request_avoids_a_worker_that_is_silent),
          T(app_request_that_left_the_queue_is_not_sent), T(app_request_queue_is_bounded),
          T(app_request_app_frame_must_be_sound_and_in_time), T(app_request_objects_are_used_again))
