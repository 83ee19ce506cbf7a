/* link.h: the gateway's end of the link to one worker.
 *
 * Frames go out gathered, once per loop turn; bytes that come in are split into frames and handed
 * over in batches. The link knows nothing of sockets: a stream id is opaque to it.
 *
 * Threads:  the loop's.
 * Lifetime: after clr_link_open() succeeded, clr_link_close() must be called; the link is freed
 * after its on_closed callback. If open fails nothing is to be closed and fd is still the caller's.
 */
#pragma once

#include "base/error.h"
#include "link/frame.h"
#include "net/loop.h"

typedef struct clr_link clr_link_t;

typedef struct clr_link_ops {
    /* One valid frame from the worker; its payload is borrowed for the call. Returns 0, or negative
     * to refuse it: the link then logs the frame's name and goes down with CLR_EPROTO. */
    int (*on_frame)(const clr_frame_t *frame, void *ctx);
    /* The worker is gone (reason < 0: -errno or CLR_E…; 0: end of file). Once; not from inside
     * another call on this link. The owner then calls clr_link_close(). */
    void (*on_down)(int reason, void *ctx);
    /* After clr_link_close(): the last callback. May be NULL. */
    void (*on_closed)(void *ctx);
} clr_link_ops_t;

/* Takes fd on success. Borrows loop, ops and ctx until on_closed. */
CLR_NODISCARD int clr_link_open(clr_link_t **out, clr_loop_t *loop, int fd,
                                const clr_link_ops_t *ops, void *ctx);

/* The buffer to append frames to (clr_frame_begin … clr_frame_end). It is written once per loop
 * turn. */
clr_buf_t *clr_link_out(clr_link_t *link);

/* Bytes appended or queued and not yet taken by the kernel. */
size_t clr_link_pending(const clr_link_t *link);

void clr_link_close(clr_link_t *link);
