/* ws_conn.h: one client connection after it became a WebSocket.
 *
 * Idle it holds no parser and no buffer. Pings are answered here, control floods and stalled
 * readers end here; the owner sees whole messages only.
 *
 * Threads:  the loop's.
 * Lifetime: clr_ws_upgrade() creates it; it is freed after on_closed, which comes exactly once,
 * whoever closed, and never inside a call of this module.
 */
#pragma once

#include "base/shared.h"
#include "gateway/http_conn.h"
#include "proto/ws.h"

typedef struct clr_ws_conn clr_ws_conn_t;

typedef struct clr_ws_ops {
    /* TEXT (valid UTF-8) or BINARY; payload borrowed for the call. */
    void (*on_message)(clr_ws_conn_t *ws, uint8_t opcode, clr_str_t payload);
    /* The connection is over. `clean`: a close frame was exchanged or we closed; code is the peer's
     * or the one we sent, CLR_WS_ABNORMAL for a lost connection, CLR_WS_POLICY (not clean, never
     * sent) for a stalled reader. why is a static text for the log. */
    void (*on_closed)(clr_ws_conn_t *ws, uint16_t code, bool clean, const char *why);
    /* The queue went empty after clr_ws_want_drain(). May be NULL. */
    void (*on_drain)(clr_ws_conn_t *ws);
    /* The peer's close frame came first: its code (CLR_WS_NO_STATUS: none) and reason, valid UTF-8
     * and borrowed. on_closed follows. May be NULL. */
    void (*on_peer_close)(clr_ws_conn_t *ws, uint16_t code, clr_str_t reason);
    /* May be NULL. */
    void (*on_pong)(clr_ws_conn_t *ws);
} clr_ws_ops_t;

/* Whether the request is a handshake (method, version 13, key); if not, answers 400 or 426. For
 * those who accept it later. */
CLR_NODISCARD bool clr_ws_check(clr_exchange_t *x);

/* Checks the handshake; on failure answers 400 or 426 itself and returns
 * NULL. On success the 101 is queued (with `headers`, complete lines) and the exchange is over. */
clr_ws_conn_t *clr_ws_upgrade(clr_exchange_t *x, clr_str_t headers, size_t max_message,
                              const clr_ws_ops_t *ops, void *ctx);

void *clr_ws_ctx(const clr_ws_conn_t *ws);
void clr_ws_set_ctx(clr_ws_conn_t *ws, void *ctx);

/* Queues a message: bytes copied. */
void clr_ws_send(clr_ws_conn_t *ws, uint8_t opcode, clr_str_t payload);

/* The same without a copy in between: the frame's head is queued, exactly n payload bytes are to be
 * written where it says, then clr_ws_commit() follows, with nothing else in between. */
char *clr_ws_reserve(clr_ws_conn_t *ws, uint8_t opcode, size_t n);
void clr_ws_commit(clr_ws_conn_t *ws);

/* Queues a text message: head, then body. While the client does not keep up, only body[from, to) is
 * appended to the message before, if that came this way and they differ in nothing else. */
void clr_ws_send_piece(clr_ws_conn_t *ws, clr_str_t head, clr_str_t body, size_t from, size_t to);

/* The window in bits if messages may be compressed (ws_deflate.h), else 0. */
uint8_t clr_ws_deflate_bits(const clr_ws_conn_t *ws);

/* Queues bytes that are whole frames already, by reference: one broadcast for many. Compressed ones
 * must be for its window. */
void clr_ws_send_frames(clr_ws_conn_t *ws, clr_shared_t *frames);

/* Queued bytes that the kernel has not taken. Over options.max_buffered the connection is closed
 * with a logged reason at the next flush. */
size_t clr_ws_pending(const clr_ws_conn_t *ws);
void clr_ws_want_drain(clr_ws_conn_t *ws);

/* Queued bytes, and those that the kernel has and the client does not (clr_stream_unsent). */
size_t clr_ws_unsent(const clr_ws_conn_t *ws);

/* Its owner sends no more than the client takes: what is queued closes it no more, and pings are
 * not answered while too much is. */
void clr_ws_set_paced(clr_ws_conn_t *ws);

/* Flushes the queue, sends a close frame (code 0: none with no status), waits for the peer's close,
 * bounded. */
void clr_ws_close(clr_ws_conn_t *ws, uint16_t code, clr_str_t reason);

/* Drops the connection now. on_closed still comes. */
void clr_ws_kill(clr_ws_conn_t *ws, const char *why);

/* Stops and resumes reading (backpressure). What one read brought is still handed over. */
void clr_ws_pause(clr_ws_conn_t *ws, bool paused);
bool clr_ws_is_reading(const clr_ws_conn_t *ws);

/* Drops all of them (shutdown); each on_closed still comes. */
void clr_ws_conns_kill(clr_gateway_t *gw, const char *why);
