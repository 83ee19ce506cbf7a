/* eio_app.h: what stands on an Engine.IO session: Socket.IO (sio_client.h), or an EngineServer of
 * the app, to which messages go as they are. The session calls here and does not know which it is.
 *
 * Threads: the loop's.
 */
#pragma once

#include "gateway/eio_session.h"

void clr_eio_app_message(clr_eio_session_t *s, bool binary, clr_str_t data);

/* The session is over; called once, before its worker is taken from it. */
void clr_eio_app_closed(clr_eio_session_t *s, uint8_t reason);

/* It has a worker now. */
void clr_eio_app_placed(clr_eio_session_t *s);

/* The worker is about to be taken from it; another will be asked to go on. */
void clr_eio_app_displaced(clr_eio_session_t *s);

/* A connect handler is at work for it, or waits for a worker. */
bool clr_eio_app_is_connecting(const clr_eio_session_t *s);

/* It is a WebSocket now. */
void clr_eio_app_upgraded(clr_eio_session_t *s);

/* Frames about EngineServer sessions (EIO_ACCEPT … EIO_CLOSE). Negative refuses the frame. */
CLR_NODISCARD int clr_eio_app_frame(clr_gateway_t *gw, clr_worker_t *w, const clr_frame_t *frame);
