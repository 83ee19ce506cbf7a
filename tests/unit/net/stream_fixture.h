/* stream_fixture.h: one accepted stream of a loop, and what came of it.
 */
#pragma once

#include "loopback.h"
#include "net/listener.h"
#include "net/stream.h"

static clr_loop_t loop;
static clr_stream_t stream;
static clr_listener_t *listener;
static clr_buf_t received;
static int accepted, ended, end_status, drains, stalls, closed;

static void on_read(clr_stream_t *s, char *data, size_t n)
{
    EXPECT(s == &stream && n > 0);
    clr_buf_append(&received, data, n);
}

static void on_end(clr_stream_t *s, int status)
{
    (void)s;
    ended++;
    end_status = status;
}

static void on_drain(clr_stream_t *s)
{
    EXPECT_EQ(clr_stream_pending(s), 0);
    drains++;
}

static void on_stalled(clr_stream_t *s)
{
    EXPECT(clr_stream_pending(s) > 0);
    stalls++;
}

static void on_closed(clr_stream_t *s)
{
    (void)s;
    closed++;
}

static const clr_stream_ops_t ops = {on_read, on_end, on_drain, on_stalled, on_closed};
