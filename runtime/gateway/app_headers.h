/* app_headers.h: headers that the application gives, as lines for the client.
 *
 * Names and values are checked once more: the worker lets nothing through that this refuses. What
 * belongs to the connection rather than to the response (RFC 9110 section 7.6.1) is left out, since
 * the gateway decides it.
 *
 * Threads: pure functions.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "link/message.h"

enum clr_app_headers_kind {
    CLR_APP_HEADERS_RESPONSE, /* Content-Length is taken out and reported */
    CLR_APP_HEADERS_ACCEPT,   /* of a WebSocket: what the handshake itself says is left out too */
    CLR_APP_HEADERS_OTHER,    /* hints and trailers */
};

/* What the headers say about the message. */
typedef struct clr_app_head {
    uint64_t length; /* UINT64_MAX: no Content-Length */
    bool bad_length; /* Content-Length is not a number, or several differ */
    bool close;      /* Connection: close */
    bool has_date;
} clr_app_head_t;

/* Appends a line each to out. CLR_EPROTO for a list that is none of names and values. */
CLR_NODISCARD int clr_app_headers_format(clr_strs_t list, enum clr_app_headers_kind kind,
                                         clr_app_head_t *head, clr_buf_t *out);
