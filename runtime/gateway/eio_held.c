/* eio_held.c: see eio_held.h. */
#include "gateway/eio_held.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/mem.h"
#include "gateway/sio_socket.h"

/* Whole frames: [from … taken) were taken back from a worker, [taken … end) never sent. */
typedef struct clr_eio_held {
    clr_buf_t frames;
    size_t from;
    size_t taken;
    size_t begun; /* where the one being written starts */
    bool is_writing;
} clr_eio_held_t;

static bool is_holding(const clr_eio_session_t *s)
{
    return !s->worker || s->resuming > 0 || s->turns > 0 || s->move == CLR_EIO_MOVE_ASKED;
}

static clr_eio_held_t *held_of(clr_eio_session_t *s)
{
    if (!s->held)
        s->held = clr_xcalloc(1, sizeof(*s->held));
    return s->held;
}

static void check_mark(clr_eio_session_t *s)
{
    if (s->held->frames.n - s->held->from > CLR_EIO_HELD_MARK)
        clr_eio_session_pause(s, CLR_EIO_PAUSE_HELD, true);
}

/* ---- in ---- */

static clr_sio_socket_t *socket_of(const clr_eio_session_t *s, uint64_t stream)
{
    return clr_dispatch_find(s->server->gw, stream, CLR_OBJECT_SOCKET);
}

static clr_buf_t *begin_sending(clr_eio_session_t *s, uint8_t type, uint8_t flags, uint64_t stream)
{
    if (type == CLR_FRAME_SIO_EVENT && s->server->config.takes_turns)
        flags |= clr_sio_socket_take_turn(socket_of(s, stream));
    return clr_worker_begin(s->worker, type, flags, stream);
}

clr_buf_t *clr_eio_deliver_begin(clr_eio_session_t *s, uint8_t type, uint8_t flags, uint64_t stream)
{
    if (!is_holding(s))
        return begin_sending(s, type, flags, stream);
    clr_eio_held_t *held = held_of(s);
    held->is_writing = true;
    held->begun = clr_frame_begin(&held->frames, type, flags, stream);
    return &held->frames;
}

void clr_eio_deliver_end(clr_eio_session_t *s)
{
    clr_eio_held_t *held = s->held;
    if (!held || !held->is_writing) {
        clr_worker_end(s->worker);
        return;
    }
    held->is_writing = false;
    clr_frame_end(&held->frames, held->begun);
    check_mark(s);
}

void clr_eio_take_back(clr_eio_session_t *s, const clr_frame_t *frame)
{
    clr_eio_held_t *held = held_of(s);
    clr_buf_t *b = &held->frames;
    size_t n = CLR_FRAME_HEAD_SIZE + frame->payload.n;
    clr_buf_reserve(b, n);
    char *at = b->p + held->taken;
    memmove(at + n, at, b->n - held->taken);
    clr_frame_head(at, frame->type, frame->flags, frame->stream, (uint32_t)frame->payload.n);
    if (frame->payload.n)
        memcpy(at + CLR_FRAME_HEAD_SIZE, frame->payload.p, frame->payload.n);
    b->n += n;
    held->taken += n;
    check_mark(s);
}

/* ---- out ---- */

static bool has_reader(const clr_eio_session_t *s)
{
    return s->worker && clr_worker_state(s->worker) != CLR_WORKER_GONE;
}

/* The frame at that place; returns its size. */
static size_t frame_at(const clr_eio_held_t *held, size_t at, clr_frame_t *frame)
{
    clr_str_t rest = clr_str_from(clr_buf_str(&held->frames), at);
    int64_t size = clr_frame_decode(rest, 'G', frame, NULL);
    CLR_ASSERT(size > 0); /* we wrote it */
    return (size_t)size;
}

static void send_as_is(clr_eio_session_t *s, const clr_frame_t *frame)
{
    clr_buf_append_str(clr_worker_begin(s->worker, frame->type, frame->flags, frame->stream),
                       frame->payload);
    clr_worker_end(s->worker);
}

/* Some were sent. What is taken back from now on was sent, too, and comes before what waits. */
static void advance(clr_eio_session_t *s, size_t from)
{
    clr_eio_held_t *held = s->held;
    if (from == held->frames.n) {
        clr_eio_held_free(s);
        clr_eio_session_pause(s, CLR_EIO_PAUSE_HELD, false);
        return;
    }
    if (from > held->frames.n / 2) { /* each byte moves a few times at most */
        clr_buf_consume(&held->frames, from);
        from = 0;
    }
    held->from = held->taken = from;
}

void clr_eio_held_free(clr_eio_session_t *s)
{
    if (!s->held)
        return;
    clr_buf_deinit(&s->held->frames);
    free(s->held);
    s->held = NULL;
}

void clr_eio_held_release(clr_eio_session_t *s)
{
    while (s->held && !is_holding(s) && has_reader(s)) {
        clr_frame_t frame;
        size_t size = frame_at(s->held, s->held->from, &frame);
        /* One of a socket that left meanwhile has no reader. */
        if (frame.type != CLR_FRAME_SIO_EVENT || socket_of(s, frame.stream)) {
            clr_buf_append_str(begin_sending(s, frame.type, frame.flags, frame.stream),
                               frame.payload);
            clr_worker_end(s->worker);
        }
        advance(s, s->held->from + size);
    }
}

void clr_eio_held_flush(clr_eio_session_t *s)
{
    if (!s->held || !has_reader(s))
        return;
    size_t at = s->held->from;
    while (at < s->held->frames.n) {
        clr_frame_t frame;
        at += frame_at(s->held, at, &frame);
        send_as_is(s, &frame);
    }
    advance(s, at);
}

void clr_eio_held_flush_socket(clr_eio_session_t *s, uint64_t handle)
{
    if (!s->held || !has_reader(s))
        return;
    clr_buf_t *frames = &s->held->frames;
    size_t kept = s->held->from;
    for (size_t at = kept; at < frames->n;) {
        clr_frame_t frame;
        size_t size = frame_at(s->held, at, &frame);
        if (frame.stream == handle) {
            send_as_is(s, &frame);
        } else {
            memmove(frames->p + kept, frames->p + at, size);
            kept += size;
        }
        at += size;
    }
    frames->n = kept;
    advance(s, s->held->from);
}
