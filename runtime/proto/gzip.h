/* gzip.h: compressed bodies of HTTP responses (RFC 9110 section 8.4), whole or in pieces.
 *
 * Threads:  one at a time.
 * Lifetime: clr_gzip_new() … free(); the other functions are pure.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"

typedef enum clr_coding {
    CLR_CODING_IDENTITY,
    CLR_CODING_GZIP,
    CLR_CODING_DEFLATE, /* the zlib format, as the RFC has it */
} clr_coding_t;

/* The best coding of ours that an Accept-Encoding header allows: the higher q, gzip among equals.
 * The empty header allows none. */
clr_coding_t clr_coding_negotiate(clr_str_t accept_encoding);

/* How much the header wants a coding, such as "br": 1 to 1000; 0: not at all. */
unsigned clr_coding_quality(clr_str_t accept_encoding, clr_str_t coding);

/* "gzip", "deflate"; "identity". */
const char *clr_coding_name(clr_coding_t coding);

/* Appends `in`, compressed. CLR_EFATAL, and out as before, when zlib cannot (out of memory). */
CLR_NODISCARD int clr_gzip_append(clr_buf_t *out, clr_coding_t coding, clr_str_t in);

/* A body in pieces: the gzip format. */
typedef struct clr_gzip clr_gzip_t;

typedef enum clr_gzip_flush {
    CLR_GZIP_MORE,  /* more follows soon: keep back what compresses better with it */
    CLR_GZIP_FLUSH, /* the reader can have all of it now */
    CLR_GZIP_END,   /* it was the last piece */
} clr_gzip_flush_t;

/* Returns owned, some 260 KiB; NULL without memory. */
clr_gzip_t *clr_gzip_new(void);
void clr_gzip_free(clr_gzip_t *g);

/* Ready for another body. */
void clr_gzip_reset(clr_gzip_t *g);

/* Appends what there is to say about the next piece. Not after the end. */
void clr_gzip_write(clr_gzip_t *g, clr_str_t in, clr_gzip_flush_t flush, clr_buf_t *out);
