/* trim.c: see trim.h. */
#include "gateway/trim.h"

#include <malloc.h>

#include "base/clock.h"
#include "base/log.h"

static bool half_have_left(const clr_trim_t *trim)
{
    return trim->most_ >= CLR_TRIM_CLIENTS && trim->clients->open <= trim->most_ / 2;
}

static void arm(clr_trim_t *trim, uint64_t at_ms)
{
    if (clr_timer_is_active(&trim->timer_))
        return;
    trim->at_ms_ = at_ms;
    clr_loop_timer_start_at(trim->loop, &trim->timer_, at_ms);
}

static void on_timer(clr_timer_t *t)
{
    clr_trim_t *trim = clr_container_of(t, clr_trim_t, timer_);
    if (trim->due_ms_ == 0 && !half_have_left(trim))
        return;
    uint64_t begin = clr_clock_now_ns();
#ifdef __GLIBC__
    malloc_trim(0);
#endif
    trim->count++;
    trim->most_ = trim->clients->open;
    if (trim->due_ms_ > trim->at_ms_) /* another one, since the timer was started */
        arm(trim, trim->due_ms_);
    else
        trim->due_ms_ = 0;
    clr_log_debug("gateway", "free memory went back to the system, which took %llu us",
                  (unsigned long long)(clr_clock_now_ns() - begin) / 1000);
}

void clr_trim_init(clr_trim_t *trim, clr_loop_t *loop, const clr_capacity_t *clients)
{
    *trim = (clr_trim_t){.loop = loop, .clients = clients};
    clr_timer_init(&trim->timer_, on_timer);
}

void clr_trim_deinit(clr_trim_t *trim)
{
    clr_timer_stop(&trim->timer_);
}

void clr_trim_client_left(clr_trim_t *trim)
{
    if (trim->clients->open >= trim->most_)
        trim->most_ = trim->clients->open + 1;
    else if (half_have_left(trim))
        arm(trim, clr_loop_now(trim->loop) + CLR_TRIM_DELAY_MS);
}

void clr_trim_backlog_left(clr_trim_t *trim)
{
    trim->due_ms_ = clr_loop_now(trim->loop) + CLR_TRIM_DELAY_MS;
    arm(trim, trim->due_ms_);
}
