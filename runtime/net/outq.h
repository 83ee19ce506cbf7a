/* outq.h: what a stream has to write: bytes by copy, bytes by reference and parts of files, in the
 * order in which they were queued. Knows no socket; stream.c empties it.
 *
 * Threads:  one at a time.
 * Lifetime: {0} is an empty queue, which holds nothing; clr_outq_discard() empties it.
 */
#pragma once

#include <uv.h>

#include "base/shared.h"

#define CLR_OUTQ_GATHER 64

typedef struct clr_outq {
    struct clr_piece *last_; /* a ring; NULL while nothing is queued */
} clr_outq_t;

/* A part of a file at the front of the queue. */
typedef struct clr_outq_file {
    int fd; /* owned */
    uint64_t at;
    uint64_t left; /* > 0 */
} clr_outq_file_t;

static inline bool clr_outq_is_empty(const clr_outq_t *q)
{
    return !q->last_;
}

/* Where the caller may write n bytes, followed by clr_outq_commit(used <= n). Small writes share a
 * chunk. */
char *clr_outq_reserve(clr_outq_t *q, size_t n);
void clr_outq_commit(clr_outq_t *q, size_t used);

/* The last n bytes that were queued, when they lie together and `more` fit behind them: may be
 * rewritten, and clr_outq_commit(used <= more) makes them longer. Else NULL. */
char *clr_outq_reopen(clr_outq_t *q, size_t n, size_t more);

/* [off, off+len) of a shared buffer, len > 0: takes a count of its own. */
void clr_outq_push_shared(clr_outq_t *q, clr_shared_t *buf, uint32_t off, uint32_t len);

/* Takes malloc'ed memory, of which [off, off+len) is to be written. */
void clr_outq_push_heap(clr_outq_t *q, char *memory, size_t off, uint32_t len);

/* Takes the descriptor. */
void clr_outq_push_file(clr_outq_t *q, const clr_outq_file_t *file);

/* The part of a file that comes next, or NULL when bytes do. Borrowed until the queue changes; may
 * be advanced, then clr_outq_file_sent(). */
clr_outq_file_t *clr_outq_file(clr_outq_t *q);

/* n bytes of it, at most what is left, were written. */
void clr_outq_file_sent(clr_outq_t *q, size_t n);

/* Reads up to `most` bytes of the file in front into memory, where they stand before what is left
 * of it. The number, 0 at the end of the file, or -errno. */
CLR_NODISCARD ssize_t clr_outq_read_file(clr_outq_t *q, size_t most);

/* The bytes at the front, up to the first file: at least one buffer, unless a file is in front. */
unsigned clr_outq_gather(const clr_outq_t *q, uv_buf_t iov[CLR_OUTQ_GATHER], size_t *total);

/* The first n bytes that were gathered are written. */
void clr_outq_consume(clr_outq_t *q, size_t n);

void clr_outq_discard(clr_outq_t *q);
