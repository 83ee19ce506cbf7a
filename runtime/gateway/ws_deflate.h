/* ws_deflate.h: permessage-deflate of WebSocket connections: what was negotiated, and messages on
 * their way out. A connection keeps its window size and nothing else (proto/deflate.h).
 *
 * Threads:  the loop's.
 * Lifetime: that of the connection.
 */
#pragma once

#include "gateway/ws_conn.h"

/* Looks at the offers of a handshake. Returns the agreed window in bits and appends the answer to
 * *headers; 0 when nothing was agreed on, or the option is off. */
uint8_t clr_ws_deflate_negotiate(const clr_exchange_t *x, clr_buf_t *headers);

/* Whether a message of n bytes is compressed where that was agreed on. */
bool clr_ws_deflate_applies(uint8_t opcode, size_t n);

/* Queues a message to which that applies; as it is if it would not become smaller. */
void clr_ws_deflate_send(clr_ws_conn_t *ws, uint8_t opcode, clr_str_t payload);

/* The same for one that the caller writes: room for n bytes, then clr_ws_deflate_commit(). */
char *clr_ws_deflate_reserve(clr_ws_conn_t *ws, uint8_t opcode, size_t n);
void clr_ws_deflate_commit(clr_ws_conn_t *ws);

/* The same of whole frames, for all connections that agreed on so many bits. Borrows frames;
 * returns owned, which may be `frames` itself. */
clr_shared_t *clr_ws_deflate_frames(clr_gateway_t *gw, uint8_t bits, clr_shared_t *frames);
