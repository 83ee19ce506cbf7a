#include "net/loop.h"

#include "loopback.h"
#include "net/stream.h"

static clr_loop_t loop;

typedef struct tick {
    clr_timer_t timer;
    uint64_t wanted;
    uint64_t seen;
} tick_t;

static int left;

static void on_tick(clr_timer_t *t)
{
    tick_t *tick = clr_container_of(t, tick_t, timer);
    tick->seen = clr_clock_now_ms();
    left--;
}

TEST(loop_timers_are_never_early_and_in_order)
{
    static const unsigned delays[] = {0, 1, 5, 30, 63, 64, 65, 130, 200, 300};
    tick_t ticks[clr_array_len(delays)];
    EXPECT_EQ(clr_loop_init(&loop), 0);
    loopback_turn(&loop);
    uint64_t start = clr_clock_now_ms();
    left = (int)clr_array_len(delays);
    for (size_t i = 0; i < clr_array_len(delays); i++) {
        clr_timer_init(&ticks[i].timer, on_tick);
        ticks[i].wanted = start + delays[i];
        clr_loop_timer_start_at(&loop, &ticks[i].timer, clr_loop_now(&loop) + delays[i]);
    }
    clr_loop_run(&loop); /* returns when the last has fired */
    EXPECT_EQ(left, 0);
    for (size_t i = 0; i < clr_array_len(delays); i++) {
        int64_t late = (int64_t)ticks[i].seen - (int64_t)ticks[i].wanted;
        EXPECT(late >= -2); /* the loop's clock and ours are read at different moments */
        EXPECT(i == 0 || ticks[i].seen >= ticks[i - 1].seen);
    }
    clr_loop_deinit(&loop);
}

TEST(loop_moves_and_stops_timers)
{
    tick_t moved = {0}, stopped = {0};
    EXPECT_EQ(clr_loop_init(&loop), 0);
    clr_timer_init(&moved.timer, on_tick);
    clr_timer_init(&stopped.timer, on_tick);
    clr_loop_timer_start(&loop, &stopped.timer, 1);
    clr_timer_stop(&stopped.timer);
    clr_loop_timer_start(&loop, &moved.timer, UINT64_MAX);
    clr_loop_timer_start(&loop, &moved.timer, 2);
    left = 1;
    clr_loop_run(&loop);
    EXPECT_EQ(left, 0);
    EXPECT(moved.seen != 0);
    EXPECT_EQ(stopped.seen, 0);
    clr_loop_deinit(&loop);
}

static int runs;
static clr_flush_t first, second;

static void on_first(clr_flush_t *f)
{
    (void)f;
    runs++;
    clr_loop_mark(&loop, &second);
    clr_loop_mark(&loop, &second);
}

static void on_second(clr_flush_t *f)
{
    runs += 10;
    if (runs < 200)
        clr_loop_mark(&loop, f); /* for ever dirty: must not keep the loop from polling */
}

TEST(loop_flushes_once_per_mark_and_in_bounded_rounds)
{
    EXPECT_EQ(clr_loop_init(&loop), 0);
    clr_timer_t never; /* keeps the loop alive */
    clr_timer_init(&never, on_tick);
    clr_loop_timer_start(&loop, &never, 3600000);
    clr_flush_init(&first, on_first);
    clr_flush_init(&second, on_second);
    clr_loop_mark(&loop, &first);
    clr_loop_mark(&loop, &first);
    uv_stop(&loop.uv);
    clr_loop_run(&loop); /* one pass */
    EXPECT_EQ(runs % 10, 1);
    EXPECT(runs < 100);
    LOOPBACK_UNTIL(&loop, -1, runs >= 200);
    clr_flush_cancel(&second);
    clr_flush_cancel(&second);
    clr_loop_deinit(&loop);
}

TEST(loop_http_date_is_a_date)
{
    EXPECT_EQ(clr_loop_init(&loop), 0);
    const char *date = clr_loop_http_date(&loop);
    EXPECT_EQ(strlen(date), 29);
    EXPECT(strcmp(date + 26, "GMT") == 0);
    clr_loop_deinit(&loop);
}

static void on_busy(clr_timer_t *t)
{
    (void)t;
    uint64_t until = clr_clock_now_ms() + 31;
    while (clr_clock_now_ms() < until)
        continue;
}

/* Lower bounds only: a busy machine makes turns longer. */
TEST(loop_measures_how_long_it_is_busy)
{
    clr_timer_t timer;
    EXPECT_EQ(clr_loop_init(&loop), 0);
    loopback_turn(&loop);
    clr_timer_init(&timer, on_busy);
    clr_loop_timer_start(&loop, &timer, 1);
    clr_loop_run(&loop);
    uint64_t long_turns = 0;
    for (size_t i = 1; i < CLR_LOOP_TURN_CLASSES; i++)
        long_turns += clr_loop_turn_bounds[i - 1] >= 25 ? loop.stats.turns[i] : 0;
    EXPECT(long_turns >= 1);
    EXPECT(loop.stats.turn_ns >= 30000000);
    clr_loop_deinit(&loop);
}

static void on_read(clr_stream_t *s, char *data, size_t n)
{
    (void)s;
    (void)data;
    runs += (int)n;
}

static void on_closed(clr_stream_t *s)
{
    (void)s;
}

TEST(loop_polls_while_that_pays)
{
    static const clr_stream_ops_t ops = {.on_read = on_read, .on_closed = on_closed};
    clr_stream_t s;
    int fds[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    EXPECT_EQ(clr_loop_init(&loop), 0);
    EXPECT_EQ(clr_stream_open_fd(&s, &loop, fds[0], &ops), 0);
    clr_stream_read_start(&s);
    loopback_turn(&loop);
    EXPECT(uv_backend_timeout(&loop.uv) != 0); /* not before it was told to */

    clr_loop_set_spin(&loop, 60000000);
    loop.spin_.shorts = loop.spin_.needed; /* as after short waits */
    loopback_turn(&loop);
    loopback_turn(&loop);
    EXPECT_EQ(uv_backend_timeout(&loop.uv), 0);

    EXPECT_EQ(send(fds[1], "x", 1, 0), 1);
    LOOPBACK_UNTIL(&loop, -1, runs == 1);
    EXPECT_EQ(loop.spin_.hits, 1);
    loopback_turn(&loop);
    EXPECT_EQ(uv_backend_timeout(&loop.uv), 0);

    loop.spin_.limit_ns = 1; /* it has passed */
    loopback_turn(&loop);
    EXPECT(uv_backend_timeout(&loop.uv) != 0);
    clr_stream_close(&s);
    close(fds[1]);
    clr_loop_deinit(&loop);
}

TEST_MAIN(T(loop_timers_are_never_early_and_in_order), T(loop_moves_and_stops_timers),
          T(loop_flushes_once_per_mark_and_in_bounded_rounds), T(loop_http_date_is_a_date),
          T(loop_measures_how_long_it_is_busy), T(loop_polls_while_that_pays))
