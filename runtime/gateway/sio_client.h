/* sio_client.h: the Socket.IO side of one Engine.IO session: its packets in, the sockets it has in
 * namespaces, attachments that are still to come.
 *
 * A packet that breaks the rules closes the session at once.
 *
 * Threads:  the loop's.
 * Lifetime: embedded in the session; zeroed is empty.
 */
#pragma once

#include <stdbool.h>

#include "base/str.h"

struct clr_eio_session;
struct clr_sio_socket;

/* Namespaces that one client may be in, and their names' length: more is refused. */
#define CLR_SIO_MAX_SOCKETS  128
#define CLR_SIO_MAX_NSP_NAME 512

typedef struct clr_sio_client {
    struct clr_sio_socket *sockets;  /* linked by next_ */
    struct clr_sio_pending *pending; /* a packet whose attachments are not all here, or NULL */
    bool kicked;                     /* packets for a socket that was kicked may still arrive */
} clr_sio_client_t;

void clr_sio_client_message(struct clr_eio_session *s, bool binary, clr_str_t data);

/* The session is over: its sockets are, too. */
void clr_sio_client_closed(struct clr_eio_session *s, uint8_t reason);

/* The session has a worker: what waits to be connected is sent there. */
void clr_sio_client_placed(struct clr_eio_session *s);

/* The worker is about to be taken from it: another will be asked to go on. */
void clr_sio_client_displaced(struct clr_eio_session *s);

/* A worker was asked about one of its sockets, and has not answered. */
bool clr_sio_client_is_connecting(const struct clr_eio_session *s);

/* The handle of one of its sockets that its worker knows, or 0. */
uint64_t clr_sio_client_any_handle(const struct clr_eio_session *s);
