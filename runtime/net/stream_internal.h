/* stream_internal.h: the stream as its parts see it: stream.c (queue, writes, life), stream_tls.c
 * (what is different when it speaks TLS).
 */
#pragma once

#include "net/stream.h"
#include "net/tls.h"

/* Gathered writes per stream and turn; the rest waits for the next, so that others get theirs. */
#define CLR_STREAM_WRITES_PER_TURN 8

/* Of a file, how much is read at once where the kernel cannot send it. */
#define CLR_STREAM_FILE_READ (64u << 10)

/* Bytes were given to the kernel, or to libuv for it. */
static inline void clr_stream_count_sent(clr_stream_t *s, size_t n)
{
    s->loop->stats.sent[s->accepted_] += n;
}

/* The stream is broken: its owner is told in the flush pass. */
void clr_stream_fail(clr_stream_t *s, int status);

/* Has libuv write a copy of bytes that are in no queue, when the socket takes them. */
void clr_stream_write_later(clr_stream_t *s, clr_str_t bytes);

/* Puts up to `most` bytes of the file in front into memory. False when that is not possible, as it
 * has become shorter: the stream is then broken. */
CLR_NODISCARD bool clr_stream_read_file(clr_stream_t *s, size_t most);

void clr_stream_tls_new(clr_stream_t *s, clr_tls_context_t *context);
void clr_stream_tls_stop(clr_stream_t *s); /* no timer any more; harmless without TLS */
void clr_stream_tls_free(clr_stream_t *s); /* harmless without TLS */

/* The flush pass's writes. */
void clr_stream_tls_write_out(clr_stream_t *s);

/* Input, in the loop's read buffer CLR_TLS_HEADROOM after its start. */
void clr_stream_tls_read(clr_stream_t *s, clr_str_t input);
