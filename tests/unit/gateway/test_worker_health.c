#include "gateway/worker_health.h"

#include "eio_fixture.h"

static fake_t worker, other;
static clr_buf_t said; /* by the watchdog */
static int watchdog;
static int attach_watchdog(fake_t *f)
{
    int fds[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    EXPECT_EQ(clr_worker_watch(f->w, fds[1], 4711), 0);
    return fds[0];
}

static void setup(uint64_t handler_timeout_ms)
{
    fixture_defaults();
    options.handler_timeout_ms = handler_timeout_ms;
    fixture_open(false);
    fake_open(&worker, 1, SOCKETIO_SERVER, 10);
    watchdog = attach_watchdog(&worker);
}

static void teardown(void)
{
    if (watchdog >= 0)
        close(watchdog);
    clr_buf_deinit(&said);
    fake_close(&worker);
    fixture_close();
    fixture_defaults();
}

static void say(void)
{
    loopback_send(&loop, watchdog, clr_buf_str(&said));
    clr_buf_clear(&said);
    for (int i = 0; i < 5; i++)
        loopback_turn(&loop);
}

static void write_blocked(uint8_t blocked, uint32_t ms, clr_str_t stack)
{
    size_t at = clr_frame_begin(&said, CLR_FRAME_BLOCKED, 0, 0);
    clr_buf_append_le(&said, blocked, 1);
    clr_buf_append_le(&said, ms, 4);
    clr_write_str(&said, CLR_STR("the handler of 'slow'"));
    clr_write_str(&said, CLR_STR("/srv/app.py:7"));
    clr_write_str(&said, stack);
    clr_frame_end(&said, at);
}

static void write_stats(uint32_t lag, uint32_t handlers)
{
    size_t at = clr_frame_begin(&said, CLR_FRAME_STATS, 0, 0);
    clr_buf_append_le(&said, lag, 4);
    clr_buf_append_le(&said, handlers, 4);
    clr_frame_end(&said, at);
}

static clr_health_figures_t figures(void)
{
    return clr_health_figures(clr_worker_health(worker.w));
}

TEST(health_of_a_worker_without_a_watchdog)
{
    clr_health_figures_t none = clr_health_figures(NULL);
    EXPECT(!none.blocked && none.lag_us == 0 && none.handlers == 0);
    clr_health_close(NULL);
}

TEST(health_keeps_the_figures)
{
    setup(0);
    write_stats(1500, 3);
    say();
    EXPECT_EQ(figures().lag_us, 1500);
    EXPECT_EQ(figures().handlers, 3);
    EXPECT(!figures().blocked);
    teardown();
}

TEST(health_of_a_blocked_worker)
{
    setup(0);
    write_blocked(1, 1200, CLR_STR("  File \"/srv/app.py\", line 7, in slow"));
    say();
    EXPECT(figures().blocked);
    EXPECT_EQ(worker.given_up, 0);
    write_blocked(0, 5000, CLR_STR_EMPTY);
    say();
    EXPECT(!figures().blocked);
    write_blocked(0, 1100, CLR_STR_EMPTY); /* too short for its beginning to have been told */
    say();
    EXPECT(!figures().blocked);
    teardown();
}

TEST(health_decides_who_gets_new_clients)
{
    setup(0);
    fake_open(&other, 2, SOCKETIO_SERVER, 10);
    EXPECT(clr_dispatch_choose(&gw) == worker.w); /* the first among equals */
    write_stats(900, 0);
    say();
    EXPECT(clr_dispatch_choose(&gw) == other.w);
    write_stats(0, 0);
    say();
    EXPECT(clr_dispatch_choose(&gw) == worker.w);
    write_blocked(1, 1000, CLR_STR_EMPTY);
    say();
    EXPECT(clr_dispatch_choose(&gw) == other.w);
    fake_close(&other);
    EXPECT(clr_dispatch_choose(&gw) == worker.w); /* better than none */
    teardown();
}

TEST(health_gives_up_after_the_handler_timeout)
{
    setup(30);
    write_blocked(1, 10, CLR_STR_EMPTY);
    say();
    LOOPBACK_UNTIL(&loop, -1, worker.given_up > 0);
    write_blocked(0, 60, CLR_STR_EMPTY); /* too late */
    say();
    EXPECT(figures().blocked);
    EXPECT_EQ(worker.given_up, 1);
    teardown();
}

TEST(health_gives_up_at_once_what_is_too_long_already)
{
    setup(1000);
    write_blocked(1, UINT32_MAX, CLR_STR_EMPTY);
    say();
    LOOPBACK_UNTIL(&loop, -1, worker.given_up == 1);
    teardown();
}

TEST(health_does_not_count_the_time_in_which_the_app_is_loaded_anew)
{
    setup(30);
    clr_page_set_loading(worker.page, true);
    write_blocked(1, 1000, CLR_STR_EMPTY);
    say();
    EXPECT(figures().blocked);
    for (uint64_t until = clr_clock_now_ms() + 100; clr_clock_now_ms() < until;)
        loopback_turn(&loop);
    EXPECT_EQ(worker.given_up, 0);
    clr_page_set_loading(worker.page, false);
    LOOPBACK_UNTIL(&loop, -1, worker.given_up == 1); /* then a handler keeps it */
    teardown();
}

TEST(health_spares_a_worker_that_goes_on_in_time)
{
    setup(60000);
    write_blocked(1, 59900, CLR_STR_EMPTY);
    write_blocked(0, 59950, CLR_STR_EMPTY);
    say();
    uint64_t then = clr_loop_now(&loop) + 150;
    LOOPBACK_UNTIL(&loop, -1, clr_loop_now(&loop) >= then);
    EXPECT_EQ(worker.given_up, 0);
    teardown();
}

TEST(health_leaves_a_worker_that_stops_to_its_supervisor)
{
    setup(30);
    write_blocked(1, 10, CLR_STR_EMPTY);
    clr_worker_stop(worker.w, 1000);
    say();
    uint64_t then = clr_loop_now(&loop) + 80;
    LOOPBACK_UNTIL(&loop, -1, clr_loop_now(&loop) >= then);
    EXPECT_EQ(worker.given_up, 0);
    teardown();
}

TEST(health_survives_the_watchdogs_end)
{
    setup(60000);
    write_stats(7, 0);
    write_blocked(1, 10, CLR_STR_EMPTY);
    say();
    close(watchdog);
    watchdog = -1;
    LOOPBACK_UNTIL(&loop, -1, !figures().blocked);
    EXPECT(!worker.gone);
    teardown();
}

/* ---- what no watchdog of ours sends ends the worker, and nobody else ---- */

static void expect_end(void)
{
    say();
    fake_wait_gone(&worker);
    teardown();
}

TEST(health_refuses_frames_of_the_link)
{
    setup(0);
    clr_frame_end(&said, clr_frame_begin(&said, CLR_FRAME_READY, 0, 0));
    expect_end();
}

TEST(health_refuses_bytes_that_are_no_frame)
{
    setup(0);
    clr_buf_append(&said, "0123456789abcdef", 16);
    expect_end();
}

TEST(health_refuses_to_be_blocked_twice)
{
    setup(0);
    write_blocked(1, 1000, CLR_STR_EMPTY);
    write_blocked(1, 2000, CLR_STR_EMPTY);
    expect_end();
}

TEST(health_refuses_a_half_blocked_worker)
{
    setup(0);
    write_blocked(2, 1000, CLR_STR_EMPTY);
    expect_end();
}

TEST(health_refuses_bytes_behind_the_fields)
{
    setup(0);
    size_t at = clr_frame_begin(&said, CLR_FRAME_STATS, 0, 0);
    clr_buf_append_le(&said, 0, 8);
    clr_buf_append_le(&said, 0, 1);
    clr_frame_end(&said, at);
    expect_end();
}

TEST(health_takes_a_stack_of_the_largest_size_and_no_more)
{
    static char text[CLR_HEALTH_TEXT_MAX + 1];
    memset(text, 'x', sizeof(text));
    setup(0);
    write_blocked(1, 1000, clr_str(text, CLR_HEALTH_TEXT_MAX));
    say();
    EXPECT(figures().blocked && !worker.gone);
    write_blocked(0, 1000, CLR_STR_EMPTY);
    write_blocked(1, 1000, clr_str(text, CLR_HEALTH_TEXT_MAX + 1));
    expect_end();
}

TEST(the_link_refuses_what_belongs_to_the_watchdog)
{
    setup(0);
    size_t at = clr_frame_begin(&worker.out, CLR_FRAME_STATS, 0, 0);
    clr_buf_append_le(&worker.out, 0, 8);
    clr_frame_end(&worker.out, at);
    fake_flush(&worker);
    fake_wait_gone(&worker);
    EXPECT_EQ(worker.gone_reason, CLR_EPROTO);
    teardown();
}

TEST_MAIN(T(health_of_a_worker_without_a_watchdog), T(health_keeps_the_figures),
          T(health_of_a_blocked_worker), T(health_decides_who_gets_new_clients),
          T(health_gives_up_after_the_handler_timeout),
          T(health_gives_up_at_once_what_is_too_long_already),
          T(health_does_not_count_the_time_in_which_the_app_is_loaded_anew),
          T(health_spares_a_worker_that_goes_on_in_time),
          T(health_leaves_a_worker_that_stops_to_its_supervisor),
          T(health_survives_the_watchdogs_end), T(health_refuses_frames_of_the_link),
          T(health_refuses_bytes_that_are_no_frame), T(health_refuses_to_be_blocked_twice),
          T(health_refuses_a_half_blocked_worker), T(health_refuses_bytes_behind_the_fields),
          T(health_takes_a_stack_of_the_largest_size_and_no_more),
          T(the_link_refuses_what_belongs_to_the_watchdog))
