/* eio_response.h: answers of Engine.IO servers: their headers (CORS among them), bodies and errors.
 *
 * The session is the one that the request names, or NULL; it decides about CORS headers only.
 *
 * Threads: the loop's.
 */
#pragma once

#include "gateway/eio_session.h"

/* A whole answer. It may not be cached. */
void clr_eio_respond(const clr_eio_server_t *server, const clr_eio_session_t *s, clr_exchange_t *x,
                     int status, const char *type, clr_str_t body);

/* 200 and packets, compressed when client and server like it. */
void clr_eio_respond_payload(const clr_eio_server_t *server, const clr_eio_session_t *s,
                             clr_exchange_t *x, clr_str_t body);

/* The OPEN packet of a polling handshake, with the cookie. */
void clr_eio_respond_open(const clr_eio_server_t *server, const clr_eio_session_t *s,
                          clr_exchange_t *x, clr_str_t body);

void clr_eio_respond_empty(const clr_eio_server_t *server, const clr_eio_session_t *s,
                           clr_exchange_t *x, int status);

/* {"code":…,"message":…} with the status that belongs to the code (enum clr_eio_error). */
void clr_eio_respond_error(const clr_eio_server_t *server, const clr_eio_session_t *s,
                           clr_exchange_t *x, int code);

/* 400 for an origin that is not allowed: without CORS headers. */
void clr_eio_respond_bad_origin(clr_eio_server_t *server, clr_exchange_t *x);
