/* http_conn_internal.h: the connection as its parts see it: http_conn.c (life, input, time limits),
 * exchange.c (responses), ws_conn.c (takes the stream over).
 */
#pragma once

#include "gateway/http_conn.h"
#include "net/stream.h"

/* Body bytes of a request already answered that are read and dropped to keep the connection; more
 * than this, and it is closed instead. */
#define CLR_HTTP_DROP_MAX (64u << 10)

typedef enum clr_http_state {
    CLR_HTTP_CONN_WAITING, /* the gateway is not ready: not read yet */
    CLR_HTTP_CONN_IDLE,    /* between requests; holds no parser */
    CLR_HTTP_CONN_HEAD,    /* some of a head is there */
    CLR_HTTP_CONN_BODY,    /* the handler has the head */
    CLR_HTTP_CONN_PARKED,  /* the request is complete, the response is not */
    CLR_HTTP_CONN_CLOSING,
    CLR_HTTP_CONN_UPGRADED, /* the stream belongs to a WebSocket */
} clr_http_state_t;

struct clr_http_conn {
    clr_stream_t *stream; /* owned; its owner pointer leads back here */
    clr_gateway_t *gw;
    clr_list_t node; /* gw->waiting or gw->conns */
    clr_timer_t timer;
    clr_flush_t resume;        /* goes on with held bytes after a response */
    clr_http_parser_t *parser; /* leased while a request is in progress */
    clr_buf_t held;            /* pipelined bytes whose turn has not come */
    clr_exchange_t x;
    void (*drained)(clr_exchange_t *x);
    size_t stall_mark;                    /* bytes unsent when the write timer started */
    struct clr_http_addresses *addresses; /* both ends', once a request head was encoded */
    uint8_t state;                        /* clr_http_state_t */
    unsigned parsing : 1, timed : 1, throttled : 1, paused : 1, head_told : 1, unread : 1;
};

/* The response is complete: what follows happens from the loop. */
void clr_http_conn_response_done(clr_http_conn_t *conn);

/* Closes the connection with what is queued (flushed), or without. */
void clr_http_conn_close(clr_http_conn_t *conn, bool flushed);

/* From the loop: the response cannot be completed. The handler's on_abort is called, what is queued
 * is dropped. */
void clr_http_conn_abort(clr_http_conn_t *conn);

/* What the time limit of the state depends on has changed. */
void clr_http_conn_rearm(clr_http_conn_t *conn);

/* A response waits for the client to take it: limits how long. */
void clr_http_conn_await_drain(clr_http_conn_t *conn);

/* Gives the stream away; the exchange is over. What was received beyond the request and not yet
 * parsed is moved to *early (empty buffer otherwise). conn is freed by itself. */
clr_stream_t *clr_http_conn_detach(clr_http_conn_t *conn, clr_buf_t *early);

/* How a response's body ends: clr_exchange_t.body_. */
enum {
    CLR_HTTP_BODY_NONE,
    CLR_HTTP_BODY_LENGTH,
    CLR_HTTP_BODY_CHUNKED,
    CLR_HTTP_BODY_UNTIL_CLOSE,
};

/* Counts bytes of the body that are about to be written: how many of them the declared length
 * leaves room for. */
uint64_t clr_exchange_take_length(clr_exchange_t *x, uint64_t count);

/* The line before a chunk; CRLF follows the chunk. */
void clr_exchange_write_chunk_size(clr_exchange_t *x, uint64_t size);

/* One line, when the option is set. */
void clr_exchange_log(const clr_exchange_t *x);
