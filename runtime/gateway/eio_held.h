/* eio_held.h: from a client to its worker, or into a queue of the client's own while no worker can
 * have it: there is none, the new one's connect handlers have not ended, the client is about to
 * move (migrate.h), or a handler is at work that lets no other begin (clr_sio_socket_take_turn).
 *
 * A client with more than CLR_EIO_HELD_MARK waiting is not read until they are gone.
 *
 * Threads:  the loop's.
 * Lifetime: the queue comes with the first frame held and goes when it is sent, or with the
 * session.
 */
#pragma once

#include "gateway/eio_session.h"

#define CLR_EIO_HELD_MARK (16u << 10)

/* Starts a frame for whoever serves the client: append its payload, then end it. Nothing may be
 * called between the two. */
clr_buf_t *clr_eio_deliver_begin(clr_eio_session_t *s, uint8_t type, uint8_t flags,
                                 uint64_t stream);
void clr_eio_deliver_end(clr_eio_session_t *s);

/* A whole frame that a worker never began: before all that was held, behind those taken back
 * earlier. */
void clr_eio_take_back(clr_eio_session_t *s, const clr_frame_t *frame);

/* Sends what was held, if nothing holds it back any more. */
void clr_eio_held_release(clr_eio_session_t *s);

/* Sends it whatever holds it back: something follows that must not overtake it. All, or what one
 * socket sent. The worker sees to the order of handlers then. */
void clr_eio_held_flush(clr_eio_session_t *s);
void clr_eio_held_flush_socket(clr_eio_session_t *s, uint64_t handle);

/* Throws it away. */
void clr_eio_held_free(clr_eio_session_t *s);
