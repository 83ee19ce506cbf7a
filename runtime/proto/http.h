/* http.h: HTTP/1.1 requests, bytes in and events out (over llhttp), and response heads.
 *
 * A parser holds what one request needs while it is being received. It stops at the end of each
 * message, so that pipelined requests are answered one at a time and in order. Refused, with the
 * status to answer: both lengths, obs-fold, bare CR, bad chunks, spaces before the colon, a missing
 * or repeated Host, bytes that RFC 9110 does not allow in names and values, anything over the
 * limits.
 *
 * Threads:  one at a time.
 * Lifetime: clr_http_parser_new() … free(). The head's views are valid until the next reset.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"

typedef struct clr_http_header {
    clr_str_t name; /* lower-cased */
    clr_str_t value;
} clr_http_header_t;

typedef struct clr_http_limits {
    size_t head_bytes;   /* request line and headers: 431 (414 when the target alone is over) */
    size_t headers;      /* their number: 431 */
    uint64_t body_bytes; /* 413; UINT64_MAX: no limit */
} clr_http_limits_t;

typedef struct clr_http_head {
    clr_str_t method; /* as sent; one that llhttp knows, but CONNECT: else 501 */
    clr_str_t target; /* raw */
    clr_str_t path;   /* of target, still percent-encoded, without query; "*" for OPTIONS * */
    clr_str_t query;  /* after the first '?', "" if none */
    uint8_t minor;    /* HTTP/1.minor */
    bool keep_alive;
    bool chunked;
    bool expect_continue;
    bool upgrade;                     /* Connection has "upgrade" and there is an Upgrade header */
    bool has_body;                    /* a body may follow: chunked, or content_length > 0 */
    uint64_t content_length;          /* 0 when absent or chunked */
    const clr_http_header_t *headers; /* a target with a host has put it in "host" */
    size_t header_count;
} clr_http_head_t;

typedef struct clr_http_parser clr_http_parser_t;

typedef enum clr_http_event {
    CLR_HTTP_NEED_MORE, /* all input consumed, nothing to report */
    CLR_HTTP_HEAD,      /* the head is complete: clr_http_parser_head() */
    CLR_HTTP_BODY,      /* a piece of the body: in *piece (a view into the input) */
    CLR_HTTP_END,       /* the message is complete; reset before the next one */
    CLR_HTTP_ERROR, /* clr_http_parser_status() and clr_http_parser_reason() tell; feed no more */
} clr_http_event_t;

/* Returns owned. Borrows limits until free. */
clr_http_parser_t *clr_http_parser_new(const clr_http_limits_t *limits);
void clr_http_parser_free(clr_http_parser_t *p);

/* Ready for the next message of any connection. */
void clr_http_parser_reset(clr_http_parser_t *p);

/* Consumes from the front of *in up to the next event. Call again while it returns HEAD or BODY. */
clr_http_event_t clr_http_parser_next(clr_http_parser_t *p, clr_str_t *in, clr_str_t *piece);

const clr_http_head_t *clr_http_parser_head(const clr_http_parser_t *p);
int clr_http_parser_status(const clr_http_parser_t *p); /* 400, 408, 413, 414, 431, 501, 505 */
const char *clr_http_parser_reason(const clr_http_parser_t *p); /* for the log and the body */

/* True before the first byte of a message. */
bool clr_http_parser_is_idle(const clr_http_parser_t *p);

/* The value of the first header of that (lower-case) name; p is NULL when absent. */
clr_str_t clr_http_head_get(const clr_http_head_t *h, clr_str_t name);

/* "Not Found"; "Unknown" for what is not registered. */
const char *clr_http_status_text(int status);

/* Whether the bytes are an RFC 9110 token, or a legal field value. For headers that others give us.
 */
bool clr_http_is_token(clr_str_t s);
bool clr_http_is_field_value(clr_str_t s);
