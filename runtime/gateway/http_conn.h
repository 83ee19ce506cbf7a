/* http_conn.h: one client connection while it speaks HTTP/1.1.
 *
 * Owns the stream and the parser, enforces the time limits, and answers pipelined requests in order
 * by parsing the next one only when the last was answered. A request is an exchange, handed to the
 * handler that the router chose. A WebSocket takes the connection over (ws_conn.h).
 *
 * Threads:  the loop's.
 * Lifetime: an exchange ends after exactly one of: its response is complete, on_abort was called,
 * or it became a WebSocket. Nothing may use it after that.
 */
#pragma once

#include "gateway/gateway.h"
#include "gateway/proxy.h"
#include "link/message.h"
#include "proto/http.h"

typedef struct clr_http_conn clr_http_conn_t;
typedef struct clr_exchange clr_exchange_t;

/* What a handler does with a request. Every callback gets the exchange; its `ctx` is the handler's.
 * None runs inside a call that the handler makes. */
typedef struct clr_handler {
    /* The head is complete. May respond at once, or later; may upgrade. */
    void (*on_head)(clr_exchange_t *x);
    /* A piece of the body, borrowed for the call. May be NULL: bodies are then read and dropped. */
    void (*on_body)(clr_exchange_t *x, clr_str_t piece);
    /* The request is complete. May be NULL. */
    void (*on_end)(clr_exchange_t *x);
    /* The client went away, or broke the rules, before the response was complete. May be NULL. */
    void (*on_abort)(clr_exchange_t *x);
    uint8_t kind; /* enum clr_handler_kind, of the handler that the router chose */
} clr_handler_t;

struct clr_exchange {
    clr_gateway_t *gw;
    clr_http_conn_t *conn;
    const clr_http_head_t *head; /* valid until the exchange ends */
    const clr_handler_t *handler;
    void *ctx; /* the handler's; in on_head the owner that the router found (router.h) */
    uint64_t
        body_limit;     /* the handler may lower or raise it in on_head; beyond it: 413, on_abort */
    uint64_t received_; /* body bytes */
    uint64_t length_;   /* of the response's body, as declared */
    uint64_t sent_;     /* body bytes */
    uint64_t began_ms_;
    uint16_t status_; /* for the access log */
    uint8_t kind_;    /* enum clr_handler_kind, for the metrics */
    unsigned responded_ : 1, ended_ : 1, close_after_ : 1, continued_ : 1, body_ : 2;
    unsigned late_continue : 1; /* set in on_head: the handler asks for the body when it wants it,
                                   with clr_exchange_continue() */
    unsigned has_date : 1;      /* set before the response begins: its headers have a Date */
    unsigned compressible : 1;  /* set before the response begins: it may be compressed (--gzip) */
    struct clr_compress *compress_; /* while it is (compress.h) */
};

/* Accepts a connection and starts reading it; owns itself from here on. False, and nothing was
 * accepted, when there are too many (capacity.h). */
bool clr_http_conn_accept(clr_gateway_t *gw, uv_stream_t *listener);

/* Answers with a whole body. `headers` is zero or more complete "Name: value\r\n" lines
 * (Content-Type among them; Content-Length, Date, Connection are added here). HEAD and 204/304 send
 * no body. */
void clr_exchange_respond(clr_exchange_t *x, int status, clr_str_t headers, clr_str_t body);

/* The same by parts: head (content_length UINT64_MAX: chunked, or close on HTTP/1.0), body pieces,
 * end. The drained callback comes when the queue went empty after want_drain. */
void clr_exchange_begin(clr_exchange_t *x, int status, clr_str_t headers, uint64_t content_length);
void clr_exchange_write(clr_exchange_t *x, clr_str_t piece);
void clr_exchange_finish(clr_exchange_t *x);
void clr_exchange_want_drain(clr_exchange_t *x, void (*drained)(clr_exchange_t *x));

/* The next `count` bytes of the body come from a regular file. Takes the descriptor. Nothing may be
 * written until `sent` was called, from the loop, when the kernel has taken all of it. A file that
 * turns out to be shorter cuts the connection (on_abort). */
void clr_exchange_send_file(clr_exchange_t *x, int fd, uint64_t offset, uint64_t count,
                            void (*sent)(clr_exchange_t *x));

/* A whole response from a file. Takes the descriptor; the exchange ends by itself. */
void clr_exchange_respond_file(clr_exchange_t *x, int status, clr_str_t headers, int fd,
                               uint64_t offset, uint64_t count);

/* The same as finish, with trailers (complete lines) where a chunked body allows them. */
void clr_exchange_finish_trailers(clr_exchange_t *x, clr_str_t trailers);

/* Ends a response that began and that will not be complete: the client can tell. What was written
 * still goes out, unless only the connection's end would mark the body's. on_abort is not called.
 */
void clr_exchange_cut(clr_exchange_t *x);

/* An interim response, such as 103; nothing for a client of HTTP/1.0. Before the response begins.
 */
void clr_exchange_interim(clr_exchange_t *x, int status, clr_str_t headers);

/* Sends the 100 that a client with `Expect: 100-continue` may be waiting for. Harmless otherwise.
 */
void clr_exchange_continue(clr_exchange_t *x);

/* Response bytes that the kernel has not taken. */
size_t clr_exchange_pending(const clr_exchange_t *x);

/* Closes the connection after this response, whatever the client asked for. */
void clr_exchange_close_after(clr_exchange_t *x);

/* Drops the connection now, without (the rest of) a response. on_abort is not called. */
void clr_exchange_kill(clr_exchange_t *x);

/* Stops and resumes reading the client (backpressure); a parked request keeps reading so that an
 * abort is seen. */
void clr_exchange_pause(clr_exchange_t *x, bool paused);

/* A plain-text answer: "404 Not Found" and the detail, if any. */
void clr_exchange_error(clr_exchange_t *x, int status, const char *detail);

/* Appends the request head as the link carries it (message.h), headers included. */
void clr_exchange_encode_request(const clr_exchange_t *x, uint8_t transport, clr_buf_t *out);

/* Who asks: the peer, or who a trusted proxy says it is. Views valid as long as the head. */
clr_client_t clr_exchange_client(const clr_exchange_t *x);

/* Starts reading the connections that were accepted before the gateway was ready. */
void clr_http_conns_start(clr_gateway_t *gw);

/* Closes idle connections and lets busy ones finish with Connection: close (shutdown). */
void clr_http_conns_drain(clr_gateway_t *gw);

/* Drops all of them; on_abort is called for requests without a response. */
void clr_http_conns_kill(clr_gateway_t *gw);
