/* loop.c: see loop.h. */
#include "net/loop.h"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

/* A flush may make others dirty (a drained stream is filled again). They are flushed in the same
 * pass, at most this often; then the sockets are polled, without sleeping, so that input is not
 * starved. */
#define FLUSH_ROUNDS 4

#define NOT_ARMED UINT64_MAX

const uint16_t clr_loop_turn_bounds[] = {2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500};

static void on_wheel_timer(uv_timer_t *timer)
{
    clr_loop_t *loop = clr_container_of(timer, clr_loop_t, wheel_timer_);
    loop->wheel_due_ = NOT_ARMED;
    clr_wheel_advance(&loop->wheel, uv_now(&loop->uv));
}

static void arm_wheel(clr_loop_t *loop, uint64_t delay)
{
    uint64_t due = uv_now(&loop->uv) + delay;
    if (due == loop->wheel_due_)
        return;
    int err = uv_timer_start(&loop->wheel_timer_, on_wheel_timer, delay, 0);
    CLR_ASSERT(err == 0);
    loop->wheel_due_ = due;
}

static void flush_round(clr_loop_t *loop)
{
    clr_list_t round;
    clr_list_take(&round, &loop->dirty_);
    for (clr_list_t *node; (node = clr_list_pop_front(&round));) {
        clr_flush_t *f = clr_container_of(node, clr_flush_t, node_);
        f->run(f);
    }
}

/* Runs just after the poll: uv_now() is when it returned. */
static void on_check(uv_check_t *handle)
{
    clr_loop_t *loop = clr_container_of(handle, clr_loop_t, wake_handle_);
    loop->awake_since_ = uv_now(&loop->uv);
}

static void count_turn(clr_loop_t *loop, uint64_t now)
{
    uint64_t began = loop->awake_since_ * 1000000;
    uint64_t took = now > began ? now - began : 0;
    size_t at = 0;
    while (at < clr_array_len(clr_loop_turn_bounds) &&
           took > clr_loop_turn_bounds[at] * UINT64_C(1000000))
        at++;
    loop->stats.turns[at]++;
    loop->stats.turn_ns += took;
}

static void on_idle(uv_idle_t *handle)
{
    (void)handle; /* while it is active the poll does not sleep */
}

/* Between two polls that found nothing the processor is offered to whoever wants it. */
static void poll_or_sleep(clr_loop_t *loop, uint64_t now)
{
    bool was_polling = loop->spin_.state == CLR_SPIN_POLLING;
    if (!clr_spin_wait(&loop->spin_, now))
        uv_idle_stop(&loop->poll_handle_);
    else if (was_polling)
        sched_yield();
    else
        uv_idle_start(&loop->poll_handle_, on_idle);
}

/* Runs just before the poll: writes everything, then sets how long the poll may sleep. */
static void on_prepare(uv_prepare_t *handle)
{
    clr_loop_t *loop = clr_container_of(handle, clr_loop_t, flush_handle_);
    for (int i = 0; i < FLUSH_ROUNDS && !clr_list_is_empty(&loop->dirty_); i++)
        flush_round(loop);

    int64_t delay = clr_wheel_next(&loop->wheel, uv_now(&loop->uv));
    if (!clr_list_is_empty(&loop->dirty_))
        delay = 0;
    if (delay >= 0) {
        arm_wheel(loop, (uint64_t)delay);
    } else if (loop->wheel_due_ != NOT_ARMED) {
        uv_timer_stop(&loop->wheel_timer_);
        loop->wheel_due_ = NOT_ARMED;
    }
    uint64_t now = uv_hrtime();
    if (loop->awake_since_ > 0 && loop->spin_.state != CLR_SPIN_POLLING)
        count_turn(loop, now);
    if (delay != 0)
        poll_or_sleep(loop, now);
}

int clr_loop_init(clr_loop_t *loop)
{
    memset(loop, 0, sizeof(*loop));
    int err = uv_loop_init(&loop->uv);
    if (err)
        return err;
    signal(SIGPIPE, SIG_IGN); /* a peer that is gone is an error of the write */
    clr_list_init(&loop->dirty_);
    clr_wheel_init(&loop->wheel, uv_now(&loop->uv));
    loop->wheel_due_ = NOT_ARMED;
    loop->read_buf_size = CLR_LOOP_READ_SIZE;
    loop->read_buf = loop->own_read_buf_ = clr_xmalloc(loop->read_buf_size);

    /* None of these can fail: they only link the handle into the loop. */
    err |= uv_prepare_init(&loop->uv, &loop->flush_handle_);
    err |= uv_timer_init(&loop->uv, &loop->wheel_timer_);
    err |= uv_prepare_start(&loop->flush_handle_, on_prepare);
    err |= uv_idle_init(&loop->uv, &loop->poll_handle_);
    err |= uv_check_init(&loop->uv, &loop->wake_handle_);
    err |= uv_check_start(&loop->wake_handle_, on_check);
    CLR_ASSERT(err == 0);
    uv_unref((uv_handle_t *)&loop->flush_handle_);
    uv_unref((uv_handle_t *)&loop->wake_handle_);
    uv_unref((uv_handle_t *)&loop->poll_handle_);
    return 0;
}

void clr_loop_deinit(clr_loop_t *loop)
{
    uv_close((uv_handle_t *)&loop->flush_handle_, NULL);
    uv_close((uv_handle_t *)&loop->wake_handle_, NULL);
    uv_close((uv_handle_t *)&loop->poll_handle_, NULL);
    uv_close((uv_handle_t *)&loop->wheel_timer_, NULL);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    int err = uv_loop_close(&loop->uv);
    CLR_ASSERT(err == 0); /* EBUSY: the owner of a handle did not close it */
    free(loop->own_read_buf_);
    loop->read_buf = loop->own_read_buf_ = NULL;
}

void clr_loop_run(clr_loop_t *loop)
{
    uv_update_time(&loop->uv);
    on_prepare(&loop->flush_handle_); /* arms the timers, which keep the loop alive */
    uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void clr_loop_set_spin(clr_loop_t *loop, unsigned limit_us)
{
    clr_spin_init(&loop->spin_, limit_us * UINT64_C(1000));
}

void clr_loop_read_into(clr_loop_t *loop, char *buf)
{
    loop->read_buf = buf ? buf : loop->own_read_buf_;
}

void clr_loop_saw_input(clr_loop_t *loop)
{
    if (loop->spin_.state != CLR_SPIN_IDLE)
        clr_spin_end(&loop->spin_, uv_hrtime());
}

void clr_loop_stop(clr_loop_t *loop)
{
    uv_stop(&loop->uv);
}

uint64_t clr_loop_now(const clr_loop_t *loop)
{
    return uv_now(&loop->uv);
}

const char *clr_loop_http_date(clr_loop_t *loop)
{
    uint64_t now = clr_clock_wall_ms();
    if (now / 1000 != loop->http_date_second_) {
        loop->http_date_second_ = now / 1000;
        clr_clock_http_date(now, loop->http_date_);
    }
    return loop->http_date_;
}

void clr_loop_mark(clr_loop_t *loop, clr_flush_t *f)
{
    if (!clr_list_is_linked(&f->node_))
        clr_list_push_back(&loop->dirty_, &f->node_);
}

void clr_loop_timer_start_at(clr_loop_t *loop, clr_timer_t *t, uint64_t deadline_ms)
{
    clr_wheel_start(&loop->wheel, t, deadline_ms);
}

void clr_loop_timer_start(clr_loop_t *loop, clr_timer_t *t, uint64_t delay_ms)
{
    uint64_t now = uv_now(&loop->uv);
    clr_wheel_start(&loop->wheel, t, delay_ms > UINT64_MAX - now ? UINT64_MAX : now + delay_ms);
}
