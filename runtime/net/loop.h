/* loop.h: the event loop of the gateway: libuv's, one timer wheel, and the one place where output
 * is flushed.
 *
 * Everything that has something to write links itself into the loop's dirty list; the loop runs the
 * flush callbacks in one pass just before it sleeps. Nothing writes a socket anywhere else.
 *
 * Threads:  one loop, one thread.
 * Lifetime: clr_loop_init() … clr_loop_run() … clr_loop_deinit() once all handles are closed.
 */
#pragma once

#include <uv.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/spin.h"
#include "net/wheel.h"

/* Embed one in whatever needs flushing. */
typedef struct clr_flush {
    clr_list_t node_;
    void (*run)(struct clr_flush *self); /* writes what is pending; called once per mark */
} clr_flush_t;

/* Upper bounds of the classes of clr_loop_stats_t.turns, in ms; the last class has none. */
#define CLR_LOOP_TURN_CLASSES 11
extern const uint16_t clr_loop_turn_bounds[CLR_LOOP_TURN_CLASSES - 1];

/* What the loop has seen so far. */
typedef struct clr_loop_stats {
    /* How long the loop was busy before it looked at its sockets again: what came meanwhile had to
     * wait so long. Right within a millisecond, since it reads the clock once a turn. */
    uint64_t turns[CLR_LOOP_TURN_CLASSES];
    uint64_t turn_ns; /* all of them */
    /* Bytes of sockets: 0 those that were opened here (links), 1 those that were accepted. */
    uint64_t received[2];
    uint64_t sent[2];
} clr_loop_stats_t;

typedef struct clr_loop {
    uv_loop_t uv;
    uv_prepare_t flush_handle_;
    uv_check_t wake_handle_;
    uv_idle_t poll_handle_; /* active while the loop polls instead of sleeping */
    clr_spin_t spin_;
    uint64_t awake_since_; /* uv_now() when the sockets were last polled */
    clr_loop_stats_t stats;
    clr_list_t dirty_;
    clr_wheel_t wheel;
    uv_timer_t wheel_timer_;
    uint64_t wheel_due_; /* when wheel_timer_ fires; UINT64_MAX: not armed */
    uint64_t http_date_second_;
    char http_date_[CLR_HTTP_DATE_SIZE];
    char *read_buf; /* shared by all reads of this loop: consumed before the callback returns */
    size_t read_buf_size; /* CLR_LOOP_READ_SIZE */
    char *own_read_buf_;
} clr_loop_t;

#define CLR_LOOP_READ_SIZE (256u << 10)

/* Also has the process ignore SIGPIPE. */
CLR_NODISCARD int clr_loop_init(clr_loop_t *loop);
void clr_loop_deinit(clr_loop_t *loop);

/* Until clr_loop_stop() or until no handle is left. */
void clr_loop_run(clr_loop_t *loop);
void clr_loop_stop(clr_loop_t *loop);

/* How long the loop may poll before it sleeps, where that pays (base/spin.h); 0, as at first: not
 * at all. Not while it runs. */
void clr_loop_set_spin(clr_loop_t *loop, unsigned limit_us);

/* Has later reads go to this memory, of CLR_LOOP_READ_SIZE bytes; NULL: to the loop's own. For who
 * keeps what was read last. */
void clr_loop_read_into(clr_loop_t *loop, char *buf);

/* A socket had something to read; streams call it. */
void clr_loop_saw_input(clr_loop_t *loop);

/* The loop's cached monotonic time, in ms. */
uint64_t clr_loop_now(const clr_loop_t *loop);

/* Wall-clock HTTP date, formatted at most once a second. Borrowed until the next call. */
const char *clr_loop_http_date(clr_loop_t *loop);

static inline void clr_flush_init(clr_flush_t *f, void (*run)(clr_flush_t *self))
{
    clr_list_init(&f->node_);
    f->run = run;
}

/* Marks f dirty for this turn; harmless when it is already. */
void clr_loop_mark(clr_loop_t *loop, clr_flush_t *f);

/* Takes f off the list (before its owner is freed). */
static inline void clr_flush_cancel(clr_flush_t *f)
{
    clr_list_remove(&f->node_);
}

/* Timers: intrusive entries, no allocation. Starting a running timer moves it. cb runs from the
 * loop. */
void clr_loop_timer_start(clr_loop_t *loop, clr_timer_t *t, uint64_t delay_ms);
void clr_loop_timer_start_at(clr_loop_t *loop, clr_timer_t *t, uint64_t deadline_ms);
