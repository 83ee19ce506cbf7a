/* eio_polling.h: the long-polling transport: at most one parked GET, at most one POST, and the
 * queue of packets for a session that has no WebSocket (yet).
 *
 * A GET is answered in the loop's flush pass, so that a burst of packets makes one response.
 *
 * Threads:  the loop's.
 * Lifetime: the session's `polling` is made when first needed and goes with the transport.
 */
#pragma once

#include "gateway/eio_session.h"

/* A request of an open session whose transport is polling. */
void clr_eio_polling_get(clr_eio_session_t *s, clr_exchange_t *x);
void clr_eio_polling_post(clr_eio_session_t *s, clr_exchange_t *x);

/* Parks the handshake of a session that the app has not accepted. Its abort closes the session. */
void clr_eio_polling_park_handshake(clr_eio_session_t *s, clr_exchange_t *x);

/* Gives it back, or NULL. */
clr_exchange_t *clr_eio_polling_take_handshake(clr_eio_session_t *s);

/* Queues; borrows the item. Over max_buffered the session is doomed. */
void clr_eio_polling_push(clr_eio_session_t *s, clr_eio_item_t item);

/* A GET is parked and nothing is queued for it. */
bool clr_eio_polling_is_writable(const clr_eio_session_t *s);

/* Stops and resumes reading the POST. */
void clr_eio_polling_pause(clr_eio_session_t *s, bool paused);

/* While a WebSocket probes, GETs are answered at once, so that the client may switch. */
void clr_eio_polling_hurry(clr_eio_session_t *s, bool hurry);

/* The WebSocket took over: moves the queue to s->ws, answers the GET with a noop packet. */
void clr_eio_polling_switch(clr_eio_session_t *s);

/* The session is closing: answers what is queued and a close packet to this GET or the next. */
void clr_eio_polling_finish(clr_eio_session_t *s);

/* The session is closed: answers the parked requests, the GET with that packet, and frees it all.
 */
void clr_eio_polling_close(clr_eio_session_t *s, char get_answer);

/* The same without touching the requests, which are gone. */
void clr_eio_polling_abandon(clr_eio_session_t *s);
