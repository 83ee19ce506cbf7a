/* eio_held.c: see eio_held.h. */
#include "gateway/eio_held.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/mem.h"

typedef struct clr_eio_held {
    clr_buf_t frames; /* whole frames */
    size_t begun;     /* where the one being written starts */
    size_t taken;     /* those at the front that were taken back */
} clr_eio_held_t;

static bool is_holding(const clr_eio_session_t *s)
{
    return !s->worker || s->resuming > 0 || s->move == CLR_EIO_MOVE_ASKED;
}

static clr_eio_held_t *held_of(clr_eio_session_t *s)
{
    if (!s->held)
        s->held = clr_xcalloc(1, sizeof(*s->held));
    return s->held;
}

static void check_mark(clr_eio_session_t *s)
{
    if (s->held->frames.n > CLR_EIO_HELD_MARK)
        clr_eio_session_pause(s, CLR_EIO_PAUSE_HELD, true);
}

clr_buf_t *clr_eio_deliver_begin(clr_eio_session_t *s, uint8_t type, uint8_t flags, uint64_t stream)
{
    if (!is_holding(s))
        return clr_worker_begin(s->worker, type, flags, stream);
    clr_eio_held_t *held = held_of(s);
    held->begun = clr_frame_begin(&held->frames, type, flags, stream);
    return &held->frames;
}

void clr_eio_deliver_end(clr_eio_session_t *s)
{
    if (!is_holding(s)) {
        clr_worker_end(s->worker);
        return;
    }
    clr_frame_end(&s->held->frames, s->held->begun);
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

void clr_eio_held_free(clr_eio_session_t *s)
{
    if (!s->held)
        return;
    clr_buf_deinit(&s->held->frames);
    free(s->held);
    s->held = NULL;
}

void clr_eio_held_flush(clr_eio_session_t *s)
{
    clr_eio_held_t *held = s->held;
    if (!held || !s->worker || clr_worker_state(s->worker) == CLR_WORKER_GONE)
        return;
    s->held = NULL;
    clr_str_t rest = clr_buf_str(&held->frames);
    while (rest.n > 0) {
        clr_frame_t frame;
        int64_t size = clr_frame_decode(rest, 'G', &frame, NULL);
        CLR_ASSERT(size > 0); /* we wrote it */
        clr_buf_append_str(clr_worker_begin(s->worker, frame.type, frame.flags, frame.stream),
                           frame.payload);
        clr_worker_end(s->worker);
        rest = clr_str_from(rest, (size_t)size);
    }
    clr_buf_deinit(&held->frames);
    free(held);
    clr_eio_session_pause(s, CLR_EIO_PAUSE_HELD, false);
}

void clr_eio_held_release(clr_eio_session_t *s)
{
    if (!is_holding(s))
        clr_eio_held_flush(s);
}
