/* sio_socket.h: one client in one namespace. The app accepts or refuses it; what is emitted to it
 * before that waits here, since a client may see nothing before the CONNECT reply.
 *
 * Threads:  the loop's.
 * Lifetime: clr_sio_socket_new() … end(); it belongs to its session's client.
 */
#pragma once

#include "gateway/eio_session.h"
#include "gateway/sio_namespace.h"
#include "gateway/sio_packet.h"

/* Emits with an ack that one client has not answered: beyond this it is disconnected. */
#define CLR_SIO_MAX_ACKS 10000

typedef struct clr_sio_socket {
    clr_object_t object;
    bool asked;     /* SIO_CONNECT or SIO_RESUME was sent: the worker knows it */
    bool moved;     /* another worker knew it before */
    bool resuming;  /* accepted before, and not yet by the worker it has now */
    bool has_turn;  /* counted in session->turns */
    uint32_t index; /* in nsp->members */
    uint64_t handle;
    clr_eio_session_t *session;
    clr_sio_nsp_t *nsp;
    struct clr_sio_socket *next_;      /* of the session's client */
    struct clr_sio_starting *starting; /* until the app accepted it; then NULL */
    struct clr_sio_acks *acks;         /* NULL while none is pending */
    clr_shared_t *auth;                /* JSON of the CONNECT packet, or NULL */
    clr_shared_t *saved;               /* what the app saved, or NULL */
    clr_sio_membership_t *rooms;
    uint32_t room_count;
    uint32_t room_cap;
    uint64_t mark;     /* epoch of the last broadcast that reached it (sio_emit.c) */
    uint32_t last_ack; /* wire id of the last emit with an ack */
    char sid[CLR_ID_LEN];
} clr_sio_socket_t;

/* A client asks for a namespace. `auth` is JSON or empty, and kept for all workers it may get. */
clr_sio_socket_t *clr_sio_socket_new(clr_eio_session_t *s, clr_str_t nsp, clr_str_t auth);

static inline clr_str_t clr_sio_socket_sid(const clr_sio_socket_t *socket)
{
    return clr_str(socket->sid, CLR_ID_LEN);
}

/* NULL when the session has none in that namespace. */
clr_sio_socket_t *clr_sio_socket_find(const clr_eio_session_t *s, clr_str_t nsp);

/* Sends SIO_CONNECT, or SIO_RESUME after a move; once for each worker. The session has one. */
void clr_sio_socket_ask(clr_sio_socket_t *socket);

/* Its worker is about to be taken from it. */
void clr_sio_socket_displaced(clr_sio_socket_t *socket);

/* The app's answer. A refused socket is gone after the call; so is one that was kicked. */
void clr_sio_socket_accept(clr_sio_socket_t *socket);
void clr_sio_socket_refuse(clr_sio_socket_t *socket, clr_str_t error);

/* The app disconnects it: the client is told, its session stays. */
void clr_sio_socket_kick(clr_sio_socket_t *socket);

/* It is gone and freed; a worker that knows it is told. */
void clr_sio_socket_end(clr_sio_socket_t *socket, uint8_t reason);

/* Sends an event, or keeps it until the socket is accepted. `asker` NULL wants no ack. */
void clr_sio_socket_send(clr_sio_socket_t *socket, clr_sio_packet_out_t *packet, bool is_volatile,
                         const clr_worker_t *asker, uint64_t token);

/* Its connect handler, or that of an event, is about to begin, and shall be the only one of its
 * client that is at work: what else the client sends waits here (eio_held.h) until the worker says
 * that it has ended, or the socket leaves the worker. So it is not lost if the worker is. Returns
 * the flag of the frame. */
uint8_t clr_sio_socket_take_turn(clr_sio_socket_t *socket);

/* SIO_NEXT. */
void clr_sio_socket_end_turn(clr_sio_socket_t *socket);

/* Who wants the client's answer to the emit with that wire id; the entry is gone then. False for an
 * id that is not pending. */
bool clr_sio_socket_take_ack(clr_sio_socket_t *socket, uint64_t id, uint32_t *serial,
                             uint64_t *token);
