/* gzip.h: compressed bodies of HTTP responses (RFC 9110 section 8.4). Pure functions.
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
