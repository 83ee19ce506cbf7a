/* eio_handshake.h: the requests that reach an Engine.IO server: validation in the order of the
 * reference server, handshakes, and the way to the session for all others.
 *
 * Threads: the loop's.
 */
#pragma once

#include "gateway/eio_session.h"

/* For the router; x->ctx is the clr_eio_server_t. */
extern const clr_handler_t clr_eio_handshake_handler;

/* The app accepted the session of an EngineServer: answers its handshake. */
void clr_eio_handshake_accept(clr_eio_session_t *s);

/* The app refused it: 401 with the app's JSON, and the session is over. */
void clr_eio_handshake_refuse(clr_eio_session_t *s, clr_str_t json);
