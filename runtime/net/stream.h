/* stream.h: one connected byte stream (TCP or Unix socket) with an output queue.
 *
 * Writes are queued, by copy or by reference, and go out with one gathered write per loop turn
 * (loop.h). An idle stream holds no buffer: reads use the loop's shared one, the queue frees itself
 * when it is empty.
 *
 * Threads:  the loop's.
 * Lifetime: embedded in its owner or allocated by it. After an init or accept succeeded
 * clr_stream_close() must be called, and the memory may be reused only from on_closed on. Callbacks
 * never run inside a call of this module.
 */
#pragma once

#include "base/buf.h"
#include "base/shared.h"
#include "net/loop.h"
#include "net/outq.h"

typedef struct clr_stream clr_stream_t;

typedef struct clr_stream_ops {
    /* Bytes in the loop's read buffer: borrowed for the call, may be modified. */
    void (*on_read)(clr_stream_t *s, char *data, size_t n);
    /* End of file (status 0) or a read or write error (negative). Once. Close the stream then;
     * after an end of file the queue may still be flushed (clr_stream_close_flushed). */
    void (*on_end)(clr_stream_t *s, int status);
    /* The queue went empty after a write that fell short, or after clr_stream_want_drain(). May be
     * NULL. */
    void (*on_drain)(clr_stream_t *s);
    /* A flush left bytes behind: the place to look at clr_stream_pending() and give up on a stalled
     * reader. May be NULL. */
    void (*on_stalled)(clr_stream_t *s);
    /* The last callback. */
    void (*on_closed)(clr_stream_t *s);
} clr_stream_ops_t;

struct clr_stream {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } uv_; /* its `data` is the owner */
    clr_loop_t *loop;
    const clr_stream_ops_t *ops;
    clr_flush_t flush_;
    clr_outq_t out_;
    struct clr_linger *linger_;  /* while closing flushed */
    struct clr_stream_tls *tls_; /* NULL: what is written goes out as it is */
    size_t pending_;             /* queued and not handed to libuv */
    int ended_status_;           /* what broke it */
    unsigned reading_ : 1, writing_ : 1, closing_ : 1, ended_ : 1, broken_ : 1, want_drain_ : 1,
        shut_ : 1, accepted_ : 1;
};

/* Accepts from a listener's handle; only from its connection callback, with status 0. The stream
 * speaks TLS if the listener does: what is read and written here is then the plaintext, and a
 * handshake that fails, or a record that is none, is an end of file. */
CLR_NODISCARD int clr_stream_accept(clr_stream_t *s, clr_loop_t *loop, uv_stream_t *listener,
                                    const clr_stream_ops_t *ops);

/* Takes a connected socket descriptor (AF_UNIX), on success only. */
CLR_NODISCARD int clr_stream_open_fd(clr_stream_t *s, clr_loop_t *loop, int fd,
                                     const clr_stream_ops_t *ops);

/* What leaves is encrypted. */
static inline bool clr_stream_is_secure(const clr_stream_t *s)
{
    return s->tls_ != NULL;
}

/* A pointer for the owner's use, for a stream that is not embedded or that changes hands. */
static inline void *clr_stream_owner(const clr_stream_t *s)
{
    return s->uv_.handle.data;
}

static inline void clr_stream_set_owner(clr_stream_t *s, void *owner)
{
    s->uv_.handle.data = owner;
}

/* Another module takes the stream over: its callbacks are called from now on. Not while closing. */
static inline void clr_stream_set_ops(clr_stream_t *s, const clr_stream_ops_t *ops)
{
    s->ops = ops;
}

void clr_stream_read_start(clr_stream_t *s);
void clr_stream_read_stop(clr_stream_t *s);

static inline bool clr_stream_is_reading(const clr_stream_t *s)
{
    return s->reading_;
}

/* Queues a copy. Small writes share a chunk. Ignored once closing. */
void clr_stream_write(clr_stream_t *s, clr_str_t bytes);

/* Queues [off, off+len) of a shared buffer by reference (takes a count of its own). */
void clr_stream_write_shared(clr_stream_t *s, clr_shared_t *buf, uint32_t off, uint32_t len);

/* Queues a part of a file, of which nothing is held in memory while the socket takes it. Takes the
 * descriptor, of a regular file. A file that turns out to be shorter breaks the stream. */
void clr_stream_write_file(clr_stream_t *s, int fd, uint64_t offset, uint64_t count);

/* Takes the bytes of buf, which is empty afterwards. For owners that gather by themselves: to be
 * called from their flush callback, where it writes at once if nothing is queued, and leaves buf
 * its memory if the kernel took all. */
void clr_stream_write_buf(clr_stream_t *s, clr_buf_t *buf);

/* Where the caller may write up to n bytes itself, followed by clr_stream_commit(used <= n). */
char *clr_stream_reserve(clr_stream_t *s, size_t n);
void clr_stream_commit(clr_stream_t *s, size_t used);

/* The last n bytes that were queued, to be rewritten, with room for `more` behind them that
 * clr_stream_commit() adds: while the peer does not keep up, and they wait for their turn. Else
 * NULL. */
char *clr_stream_reopen(clr_stream_t *s, size_t n, size_t more);

/* Queued bytes that the kernel has not taken, encrypted or not. */
static inline size_t clr_stream_pending(const clr_stream_t *s)
{
    return s->pending_ + s->uv_.stream.write_queue_size;
}

/* The same, and what the kernel has and the peer does not: less than before means that the peer
 * takes something, however slowly. A system call. */
size_t clr_stream_unsent(const clr_stream_t *s);

/* on_drain at the next time the queue is empty (at the end of the flush pass at the earliest). */
void clr_stream_want_drain(clr_stream_t *s);

/* Discards the queue and closes. on_closed follows from the loop. Harmless when closing already. */
void clr_stream_close(clr_stream_t *s);

/* Writes the queue out first, shuts the sending side, drops what still comes in until the peer
 * closes too (so that what was written is not lost to a reset), then closes. Closes anyway after
 * timeout_ms in which the peer took nothing, or timeout_ms after all was written. */
void clr_stream_close_flushed(clr_stream_t *s, uint64_t timeout_ms);

/* No callback but on_closed comes any more. */
static inline bool clr_stream_is_closing(const clr_stream_t *s)
{
    return s->closing_;
}

/* Numeric address and port of the peer ("" and 0 for Unix sockets). */
void clr_stream_peer(const clr_stream_t *s, char host[46], uint16_t *port);
void clr_stream_local(const clr_stream_t *s, char host[46], uint16_t *port);
