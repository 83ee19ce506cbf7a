/* http_internal.h: what http.c, http_body.c and http_field.c share. For no one else. */
#pragma once

#include "proto/http.h"

/* Classes of bytes, as bits of clr_http_class[]. */
enum clr_http_class {
    CLR_HTTP_TOKEN = 1,  /* RFC 9110 tchar */
    CLR_HTTP_VALUE = 2,  /* what a field value may hold: visible, space, tab, obs-text */
    CLR_HTTP_TARGET = 4, /* what a request target may hold: visible ASCII without '#' */
    CLR_HTTP_HOST = 8,   /* what an authority may hold, without userinfo and lists */
};
extern const uint8_t clr_http_class[256];

/* Whether every byte is of the class. True for the empty text. */
bool clr_http_all(clr_str_t s, enum clr_http_class c);

/* Splits "name: value" (no line end). False when the name is no token, whitespace stands around it,
 * or the value holds a byte that is not allowed. */
bool clr_http_split_field(clr_str_t line, clr_str_t *name, clr_str_t *value);

typedef enum clr_http_body_state {
    CLR_HTTP_BODY_LENGTH,  /* `left` bytes of content */
    CLR_HTTP_BODY_SIZE,    /* in a chunk-size line */
    CLR_HTTP_BODY_DATA,    /* `left` bytes of a chunk */
    CLR_HTTP_BODY_DATA_CR, /* the line end after a chunk */
    CLR_HTTP_BODY_DATA_LF,
    CLR_HTTP_BODY_TRAILER, /* field lines up to an empty one */
    CLR_HTTP_BODY_DONE,
} clr_http_body_state_t;

/* Where the body being received ends. */
typedef struct clr_http_body {
    clr_http_body_state_t state;
    uint64_t left;
    uint64_t total;    /* bytes announced so far */
    size_t extensions; /* bytes of chunk extensions so far */
    size_t trailer;    /* bytes of trailer lines so far */
    clr_buf_t line;    /* a size or trailer line that came in parts */
    int status;        /* after CLR_HTTP_ERROR */
    const char *reason;
} clr_http_body_t;

void clr_http_body_init(clr_http_body_t *b);
void clr_http_body_deinit(clr_http_body_t *b);

/* Ready for the body of this head. */
void clr_http_body_start(clr_http_body_t *b, const clr_http_head_t *head);

/* As clr_http_parser_next(), for the body: NEED_MORE, BODY, END or ERROR. */
clr_http_event_t clr_http_body_next(clr_http_body_t *b, const clr_http_limits_t *limits,
                                    clr_str_t *in, clr_str_t *piece);
