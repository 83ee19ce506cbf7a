/* Requests whose worker dies, stops or refuses them. */
#include "app_fixture.h"

#define END CLR_FRAME_END

TEST(app_request_waits_for_the_next_worker_and_is_repeated_once)
{
    fake_t a, b;
    app_setup(&a);
    int get = request("GET", "/get", "", NULL);
    (void)app_taken(&a);
    fake_close(&a);
    EXPECT_EQ(app_count(), 1);
    int late = request("POST", "/late", "", "x");
    LOOPBACK_UNTIL(&loop, -1, app_count() == 2);
    app_open(&b, 1, 10);
    asked_t asked = app_taken(&b);
    EXPECT_STR_C(asked.head.target, "/get");
    asked = app_taken(&b);
    EXPECT_STR_C(asked.head.target, "/late");
    EXPECT_STR_C(asked.body, "x");
    app_answer(&b, asked.stream, "late");
    expect_answer(late, 200, "late");
    fake_close(&b);
    expect_answer(get, 502, NULL); /* it may be what kills them */
    fixture_close();
}

TEST(app_request_that_may_have_had_an_effect_is_502)
{
    fake_t f;
    app_setup(&f);
    int post = request("POST", "/", "", "x");
    (void)app_asked(&f);
    fake_close(&f);
    expect_answer(post, 502, NULL);
    fixture_close();
}

TEST(app_request_that_nobody_began_goes_to_another)
{
    fake_t a, b;
    app_setup(&a);
    int begun = request("POST", "/begun", "", "1");
    (void)app_taken(&a);
    int fresh = request("POST", "/fresh", "", "2");
    (void)app_unbegun(&a);
    fake_close(&a);
    expect_answer(begun, 502, NULL);
    app_open(&b, 1, 10);
    asked_t asked = app_taken(&b);
    EXPECT_STR_C(asked.head.target, "/fresh");
    EXPECT_STR_C(asked.body, "2");
    EXPECT_EQ(asked.flags, END);
    app_answer(&b, asked.stream, "ok");
    expect_answer(fresh, 200, "ok");
    app_teardown(&b);
}

TEST(app_request_that_nobody_began_is_lost_with_a_part_of_its_body)
{
    fake_t f;
    app_setup(&f);
    int fd = request("POST", "/", "Content-Length: 5\r\nExpect: 100-continue\r\n", NULL);
    (void)app_unbegun(&f);
    loopback_send(&loop, fd, CLR_STR("ab"));
    fake_expect(&f, CLR_FRAME_HTTP_BODY);
    fake_close(&f);
    expect_answer(fd, 502, NULL);
    fixture_close();
}

TEST(app_request_response_is_cut_with_its_worker)
{
    fake_t f;
    app_setup(&f);
    int fd = request("GET", "/", "", NULL);
    app_start(&f, app_asked(&f).stream, 0, 200, NULL, "some");
    fake_close(&f);
    clr_buf_t got = app_read_all(fd);
    EXPECT(buf_has(&got, "Transfer-Encoding: chunked\r\n"));
    EXPECT(buf_has(&got, "4\r\nsome\r\n"));
    EXPECT(!buf_has(&got, "0\r\n\r\n"));
    clr_buf_deinit(&got);
    fixture_close();
}

TEST(app_request_is_refused_after_a_while_without_workers)
{
    fake_t f;
    app_setup(&f);
    fake_close(&f);
    int fd = request("GET", "/", "", NULL);
    LOOPBACK_UNTIL(&loop, -1, app_count() == 1);
    EXPECT(clr_timer_is_active(&gw.app->expiry));
    uint64_t left = gw.app->expiry.deadline - clr_loop_now(&loop);
    EXPECT(left > CLR_APP_WAIT_MS - 5000 && left <= CLR_APP_WAIT_MS);
    clr_app_request_t *r = clr_container_of(gw.app->waiting.next, clr_app_request_t, node_);
    r->since_ms -= CLR_APP_WAIT_MS;
    clr_loop_timer_start(&loop, &gw.app->expiry, 0);
    response_t got = response(fd);
    EXPECT_EQ(got.status, 503);
    EXPECT(head_has(&got, "Retry-After: 1\r\n"));
    response_free(&got);
    fixture_close();
}

TEST(app_request_rejected_goes_to_another)
{
    fake_t a, b;
    app_setup(&a);
    int fd = request("POST", "/", "", "body");
    asked_t asked = app_asked(&a);
    uint64_t first = asked.stream;
    clr_worker_stop(a.w, 1000);
    fake_expect(&a, CLR_FRAME_STOP);
    fake_simple(&a, CLR_FRAME_HTTP_REJECT, first);
    EXPECT_EQ(app_count(), 1);
    app_open(&b, 2, 10);
    asked = app_asked(&b);
    EXPECT(asked.stream != first);
    EXPECT_STR_C(asked.body, "body");
    EXPECT_EQ(asked.flags, END);
    app_answer(&a, first, "late"); /* finds nothing */
    app_answer(&b, asked.stream, "ok");
    expect_answer(fd, 200, "ok");
    EXPECT(!a.gone);
    fake_close(&b);
    app_teardown(&a);
}

TEST(app_request_rejected_by_all_is_503)
{
    fake_t f;
    app_setup(&f);
    int fd = request("GET", "/", "", NULL);
    for (int i = 0; i < 3; i++)
        fake_simple(&f, CLR_FRAME_HTTP_REJECT, app_taken(&f).stream);
    expect_answer(fd, 503, NULL);
    app_teardown(&f);
}

TEST(app_request_rejected_when_part_of_the_body_went_is_503)
{
    fake_t f;
    app_setup(&f);
    int fd = request("POST", "/", "Content-Length: 5\r\nExpect: 100-continue\r\n", NULL);
    uint64_t stream = app_asked(&f).stream;
    loopback_send(&loop, fd, CLR_STR("ab"));
    fake_expect(&f, CLR_FRAME_HTTP_BODY);
    fake_simple(&f, CLR_FRAME_HTTP_REJECT, stream);
    expect_answer(fd, 503, NULL);
    app_teardown(&f);
}

TEST(app_request_stopping_worker_finishes_and_gets_no_more)
{
    fake_t a, b;
    app_setup(&a);
    int fd = request("GET", "/old", "", NULL);
    uint64_t stream = app_taken(&a).stream;
    app_open(&b, 2, 10);
    clr_worker_stop(a.w, 1000);
    fake_expect(&a, CLR_FRAME_STOP);
    int fresh[2];
    for (int i = 0; i < 2; i++) {
        fresh[i] = request("GET", "/new", "", NULL);
        app_answer(&b, app_taken(&b).stream, "new");
        expect_answer(fresh[i], 200, "new");
    }
    app_answer(&a, stream, "old");
    expect_answer(fd, 200, "old");
    fake_close(&b);
    app_teardown(&a);
}

TEST(app_request_drain_refuses_what_nobody_will_take)
{
    fake_t f;
    fixture_open(false);
    app_open(&f, 1, 1);
    int asked = request("GET", "/asked", "", NULL);
    uint64_t stream = app_asked(&f).stream;
    int waiting = request("GET", "/waiting", "", NULL);
    LOOPBACK_UNTIL(&loop, -1, app_count() == 2);
    clr_gateway_drain(&gw);
    clr_worker_stop(f.w, 1000);
    expect_answer(waiting, 503, NULL);
    fake_expect(&f, CLR_FRAME_STOP);
    app_answer(&f, stream, "ok");
    response_t r = response(asked);
    EXPECT_EQ(r.status, 200);
    EXPECT(head_has(&r, "Connection: close\r\n"));
    response_free(&r);
    app_teardown(&f);
}

TEST_MAIN(T(app_request_waits_for_the_next_worker_and_is_repeated_once),
          T(app_request_that_may_have_had_an_effect_is_502),
          T(app_request_that_nobody_began_goes_to_another),
          T(app_request_that_nobody_began_is_lost_with_a_part_of_its_body),
          T(app_request_response_is_cut_with_its_worker),
          T(app_request_is_refused_after_a_while_without_workers),
          T(app_request_rejected_goes_to_another), T(app_request_rejected_by_all_is_503),
          T(app_request_rejected_when_part_of_the_body_went_is_503),
          T(app_request_stopping_worker_finishes_and_gets_no_more),
          T(app_request_drain_refuses_what_nobody_will_take))
