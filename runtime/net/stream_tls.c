/* stream_tls.c: a stream that speaks TLS (stream_internal.h).
 *
 * Its queue holds plaintext. A flush encrypts from the front of it into the context's scratch
 * buffer, small pieces together, and writes that at once; only what the kernel does not take is
 * copied, and nothing more is encrypted before that is gone.
 */
#include <stdlib.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/stream_internal.h"
#include "net/tls_internal.h"

/* Records are made until a write has this much. */
#define WRITE_SIZE (64u << 10)

/* Answers to a peer that asks (for keys, for a renegotiation that it will not get) and does not
 * read them: the connection is then cut. A server's part of a handshake is far smaller. */
#define HELD_MAX (256u << 10)

typedef struct clr_stream_tls {
    clr_tls_t tls;
    clr_timer_t timer; /* of the handshake */
    clr_stream_t *stream;
} clr_stream_tls_t;

/* --- life --- */

static void on_handshake_timeout(clr_timer_t *timer)
{
    clr_stream_tls_t *st = clr_container_of(timer, clr_stream_tls_t, timer);
    clr_log_debug("tls", "handshake: it took too long");
    st->tls.state = CLR_TLS_FAILED;
    clr_stream_fail(st->stream, UV_ETIMEDOUT);
}

void clr_stream_tls_new(clr_stream_t *s, clr_tls_context_t *context)
{
    clr_stream_tls_t *st = clr_xmalloc(sizeof(*st));
    clr_tls_init(&st->tls, context);
    clr_timer_init(&st->timer, on_handshake_timeout);
    st->stream = s;
    s->tls_ = st;
}

void clr_stream_tls_stop(clr_stream_t *s)
{
    if (s->tls_)
        clr_timer_stop(&s->tls_->timer);
}

void clr_stream_tls_free(clr_stream_t *s)
{
    if (!s->tls_)
        return;
    clr_tls_deinit(&s->tls_->tls);
    free(s->tls_);
    s->tls_ = NULL;
}

/* --- output --- */

/* What goes into the next record: the first piece, or several small ones gathered. Empty when
 * nothing is queued, or the stream broke. */
static clr_str_t next_plain(clr_stream_t *s, char gathered[CLR_TLS_RECORD])
{
    if (clr_outq_file(&s->out_) && !clr_stream_read_file(s, CLR_STREAM_FILE_READ))
        return CLR_STR_EMPTY;
    if (clr_outq_is_empty(&s->out_))
        return CLR_STR_EMPTY;
    uv_buf_t iov[CLR_OUTQ_GATHER];
    size_t total, n = 0;
    unsigned count = clr_outq_gather(&s->out_, iov, &total);
    if (count == 1 || iov[0].len >= CLR_TLS_RECORD)
        return clr_str(iov[0].base, iov[0].len < CLR_TLS_RECORD ? iov[0].len : CLR_TLS_RECORD);
    for (unsigned i = 0; i < count && n < CLR_TLS_RECORD; i++) {
        size_t take = CLR_TLS_RECORD - n < iov[i].len ? CLR_TLS_RECORD - n : iov[i].len;
        memcpy(gathered + n, iov[i].base, take);
        n += take;
    }
    return clr_str(gathered, n);
}

/* Encrypts the front of the queue until there is enough for a write. */
static void make_records(clr_stream_t *s, clr_buf_t *records)
{
    clr_tls_t *tls = &s->tls_->tls;
    while (tls->state == CLR_TLS_OPEN && records->n < WRITE_SIZE) {
        clr_str_t plain = next_plain(s, tls->context->plain);
        if (plain.n == 0)
            break;
        int err = clr_tls_encrypt(tls, plain, records);
        if (err) {
            clr_stream_fail(s, err);
            return;
        }
        clr_outq_consume(&s->out_, plain.n);
        s->pending_ -= plain.n;
    }
    if (tls->state == CLR_TLS_OPEN && s->linger_ && clr_outq_is_empty(&s->out_))
        clr_tls_close(tls, records);
}

/* False when the socket is full or broken. */
static bool write_now(clr_stream_t *s, clr_str_t records)
{
    uv_buf_t iov = uv_buf_init((char *)records.p, (unsigned)records.n);
    int n = uv_try_write(&s->uv_.stream, &iov, 1);
    if (n < 0 && n != UV_EAGAIN) {
        clr_stream_fail(s, n);
        return false;
    }
    size_t taken = n > 0 ? (size_t)n : 0;
    clr_stream_count_sent(s, taken);
    if (taken == records.n)
        return true;
    clr_stream_write_later(s, clr_str_from(records, taken));
    return false;
}

void clr_stream_tls_write_out(clr_stream_t *s)
{
    clr_tls_t *tls = &s->tls_->tls;
    clr_buf_t *records = &tls->context->records;
    for (int i = 0; i < CLR_STREAM_WRITES_PER_TURN; i++) {
        clr_buf_clear(records);
        clr_buf_append_str(records, clr_buf_str(&tls->held));
        clr_buf_deinit(&tls->held);
        make_records(s, records);
        if (records->n == 0)
            return;
        if (s->broken_ || !write_now(s, clr_buf_str(records)))
            return;
    }
    if (!clr_outq_is_empty(&s->out_))
        clr_loop_mark(s->loop, &s->flush_);
}

/* --- input --- */

static void watch_handshake(clr_stream_tls_t *st, clr_tls_state_t before)
{
    uint64_t limit = st->tls.context->options.handshake_timeout_ms;
    if (st->tls.state != CLR_TLS_HANDSHAKE)
        clr_timer_stop(&st->timer);
    else if (before == CLR_TLS_NEW && limit > 0)
        clr_loop_timer_start(st->stream->loop, &st->timer, limit);
}

/* Nothing more will be understood. */
static void tell_end(clr_stream_t *s, clr_tls_state_t before, int status)
{
    bool refused = before == CLR_TLS_NEW || before == CLR_TLS_HANDSHAKE;
    bool has_alert = s->tls_->tls.held.n > 0 && status != CLR_ETOOBIG;
    s->ended_ = 1;
    /* A refused client, or one whose record was bad, is to see why: an end of file lets the owner
     * close flushed. Reading goes on meanwhile, into nothing, so that what was written is not lost
     * to a reset. */
    if (refused || has_alert || status == CLR_ECLOSED)
        status = 0;
    if (s->tls_->tls.state == CLR_TLS_FAILED && !s->writing_) {
        clr_outq_discard(&s->out_); /* nothing can be encrypted any more */
        s->pending_ = 0;
    }
    s->ops->on_end(s, status);
}

void clr_stream_tls_read(clr_stream_t *s, clr_str_t input)
{
    clr_stream_tls_t *st = s->tls_;
    clr_tls_state_t before = st->tls.state;
    char *plain = s->loop->read_buf;
    size_t n;
    if (s->ended_)
        return;
    int rc = clr_tls_decrypt(&st->tls, input, plain, (size_t)(input.p + input.n - plain), &n);
    watch_handshake(st, before);
    if (st->tls.held.n > HELD_MAX) {
        st->tls.state = CLR_TLS_FAILED;
        rc = CLR_ETOOBIG;
    }
    if (st->tls.held.n > 0 || (before != CLR_TLS_OPEN && st->tls.state == CLR_TLS_OPEN))
        clr_loop_mark(s->loop, &s->flush_);
    if (n > 0)
        s->ops->on_read(s, plain, n);
    if (rc < 0 && !s->closing_ && !s->broken_)
        tell_end(s, before, rc);
}
