/* deflate.h: permessage-deflate (RFC 7692): the negotiation, and the compression of WebSocket
 * messages one at a time.
 *
 * No context is taken over from one message to the next, in either direction: the answer to every
 * offer says so. A connection that negotiated the extension therefore keeps nothing but its window
 * size, one codec serves all connections of a loop, and a compressed broadcast can be shared by all
 * receivers of the same window size. The price is the compression of small messages that resemble
 * each other; those are below the least size anyway.
 *
 * Threads:  one at a time.
 * Lifetime: clr_deflate_new() … free(). What encode and decode return is borrowed until the next
 *           call of the same one.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"

/* Window sizes, in bits. zlib cannot do the 8 of the RFC. */
#define CLR_DEFLATE_BITS_MIN 9
#define CLR_DEFLATE_BITS_MAX 15

/* Messages outside of these sizes are sent as they are: small ones gain nothing, and a large one
 * would hold the loop up (1 MiB takes some 20 ms). */
#define CLR_DEFLATE_LEAST 1024
#define CLR_DEFLATE_MOST  (1024 * 1024)

/* What was agreed on. */
typedef struct clr_deflate_params {
    uint8_t server_bits; /* largest window that we may use; never 0 */
    uint8_t client_bits; /* that the client promised to keep to; 0: it did not say */
    bool name_server_bits;
} clr_deflate_params_t;

/* Takes the first acceptable offer of a Sec-WebSocket-Extensions header. An offer with a parameter
 * that is unknown, repeated or has a wrong value is declined; false when none is left. */
CLR_NODISCARD bool clr_deflate_negotiate(clr_str_t header, clr_deflate_params_t *out);

/* Appends the answer: a Sec-WebSocket-Extensions line. */
void clr_deflate_append_answer(const clr_deflate_params_t *params, clr_buf_t *out);

typedef struct clr_deflate clr_deflate_t;

/* Returns owned. zlib's memory is allocated when it is first needed: 40 KiB, and up to
 * 256 KiB for each window size in use. */
clr_deflate_t *clr_deflate_new(void);
void clr_deflate_free(clr_deflate_t *d);

/* Whether a message of n bytes is compressed at all. */
static inline bool clr_deflate_applies(size_t n)
{
    return n >= CLR_DEFLATE_LEAST && n <= CLR_DEFLATE_MOST;
}

/* Compresses a message, to which clr_deflate_applies(), with a window of so many bits. The same
 * message and window give the same bytes. False when it is to be sent as it is because it would
 * not become smaller. */
CLR_NODISCARD bool clr_deflate_encode(clr_deflate_t *d, uint8_t bits, clr_str_t in, clr_str_t *out);

/* The most compressed bytes that a message of `max` bytes may have on the wire: deflate makes
 * nothing larger by more than a fraction. */
static inline size_t clr_deflate_bound(size_t max)
{
    size_t more = max / 8 + 64;
    return max > SIZE_MAX - more ? SIZE_MAX : max + more;
}

/* Decompresses a message: 0, CLR_ETOOBIG when it has more than max bytes, CLR_EPROTO when it is
 * not the output of deflate, CLR_EFATAL without memory. */
CLR_NODISCARD int clr_deflate_decode(clr_deflate_t *d, clr_str_t in, size_t max, clr_str_t *out);
