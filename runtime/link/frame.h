/* frame.h: frames of the link, bytes in and out. Shared by both ends; no I/O.
 *
 * Threads:  pure functions.
 * Lifetime: decoded payloads are views into the bytes that were fed.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "clrun/frames.h"

typedef struct clr_frame {
    uint8_t type;
    uint8_t flags;
    uint64_t stream;
    clr_str_t payload;
} clr_frame_t;

/* Decodes the frame at the start of `in`. Returns its whole size (head and payload), 0 when more
 * bytes are needed (*need, if not NULL, is then how many in all, head included, once the head is
 * there, else CLR_FRAME_HEAD_SIZE), or CLR_EPROTO: unknown type, wrong direction, non-zero reserved
 * bits, a payload over CLR_FRAME_MAX. `from` is who sent it: 'G' or 'W'. */
CLR_NODISCARD int64_t clr_frame_decode(clr_str_t in, char from, clr_frame_t *out, size_t *need);

/* Appends a head whose length is filled in by clr_frame_end(): begin, append the payload, end. */
size_t clr_frame_begin(clr_buf_t *out, uint8_t type, uint8_t flags, uint64_t stream);
void clr_frame_end(clr_buf_t *out, size_t begun);

/* Writes a head for a payload of known length. */
void clr_frame_head(char out[CLR_FRAME_HEAD_SIZE], uint8_t type, uint8_t flags, uint64_t stream,
                    uint32_t length);

/* Whether a frame of this type from the gateway costs the worker work, and so one credit. */
bool clr_frame_is_creditable(uint8_t type);

/* Whether a frame from the gateway may overtake those that wait for credit: answers to the worker,
 * and what belongs to a request that it has. Frames of other clients keep their order. */
bool clr_frame_passes(uint8_t type);

/* "SIO_EVENT", or "?" for an unknown type. */
const char *clr_frame_name(uint8_t type);

/* "ping timeout"; "" for an unknown number. */
const char *clr_reason_name(uint8_t reason);
