/* eio_websocket.h: the WebSocket transport, and the WebSocket that wants to take a polling session
 * over (the probe).
 *
 * Threads:  the loop's.
 * Lifetime: a connection's context is its session until one of them ends; a probe lives from the
 *           upgrade request to the switch, to its failure, or to the session's end.
 */
#pragma once

#include "gateway/eio_session.h"

/* Upgrades the handshake of a session in state OPENING and makes it its transport. False when the
 * request was no proper WebSocket handshake; it is answered, the session is as it was. */
CLR_NODISCARD bool clr_eio_websocket_accept(clr_eio_session_t *s, clr_exchange_t *x);

/* A WebSocket request that names the session: probes, or opens and closes at once when it has a
 * WebSocket, or one that probes, already. */
void clr_eio_websocket_probe(clr_eio_session_t *s, clr_exchange_t *x);

/* Sends what was in payload form: text packets, and base64 ones as binary messages. */
void clr_eio_websocket_send_item(clr_ws_conn_t *ws, clr_eio_item_t item, clr_eio_t *eio);

/* Closes the session's WebSocket, if any, after what is queued was sent. code 0: no status. */
void clr_eio_websocket_close(clr_eio_session_t *s, uint16_t code);

/* Ends the probe, if any; the session goes on with polling. */
void clr_eio_probe_cancel(clr_eio_session_t *s);

/* The same without touching its connection, which is gone. */
void clr_eio_probe_abandon(clr_eio_session_t *s);
