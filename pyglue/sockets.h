/* sockets.h: what the worker knows of the clients that the gateway gave it.
 *
 * A host is a server number of the link with the app's object that serves it now. A space is a
 * namespace of a Socket.IO server, or the whole of an EngineServer. A session is one Engine.IO
 * client with the request it came with; a socket is one client in one space. An idle client has one
 * session and one small record a socket.
 *
 * Threads:  the interpreter lock must be held.
 * Lifetime: hosts live as long as the link. A socket is counted: one reference while it is
 *           registered (clr_socket_open … clr_socket_drop) and one for each handler at work for it.
 *           Sessions and spaces die with their last socket. What Python objects these records
 *           hold the garbage collector takes for held from outside, which is right: not
 * reachability but the client's leaving frees them.
 */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "link/message.h"
#include "state.h"

struct clr_wlink;
struct clr_app;
typedef struct clr_socket clr_socket_t;

typedef struct clr_host clr_host_t;

struct clr_host {
    struct clr_wlink *link; /* borrowed: the link owns the host */
    struct clr_app *app;    /* owned */
    clr_map_t spaces;
    uint16_t number;
    bool is_engine;
};

typedef struct clr_space {
    clr_host_t *host;
    PyObject *name; /* owned str; the key in host->spaces is inside */
    clr_map_t sids; /* sid → clr_socket_t *; keys inside socket->sid */
    uint32_t refs;  /* sockets that have not been freed */
} clr_space_t;

typedef struct clr_session {
    struct clr_wlink *link;
    PyObject *environ; /* owned; NULL unless the app changed it */
    clr_buf_t backlog; /* whole frames that wait for the handler at work (clr_session_is_busy) */
    uint32_t refs;
    uint32_t busy;    /* handlers at work that hold up what comes behind */
    uint32_t drained; /* bytes of the backlog that are done with */
    uint32_t head_n;
    uint16_t sid_n;
    uint8_t transport; /* enum clr_transport */
    bool draining;
    bool wants_move;    /* the gateway waits until it is idle */
    clr_list_t sockets; /* clr_socket_t.node */
    char bytes_[];      /* sid, then the request as the frame had it */
} clr_session_t;

typedef enum clr_socket_state {
    CLR_SOCKET_CONNECTING, /* its connect handler is at work */
    CLR_SOCKET_CONNECTED,
    CLR_SOCKET_LEAVING, /* the client is gone; its disconnect handler is at work */
    CLR_SOCKET_GONE,
} clr_socket_state_t;

struct clr_socket {
    uint64_t stream;
    PyObject *sid;   /* owned str */
    PyObject *data;  /* owned dict of get_session(), or NULL */
    PyObject *rooms; /* owned set of the rooms joined, or NULL */
    clr_space_t *space;
    clr_session_t *session;
    clr_list_t node; /* of its session, while it is registered */
    clr_list_t acks; /* clr_ack_t.node: answers this client owes */
    uint32_t refs;
    uint8_t state;
    uint8_t reason; /* left while connecting: tell the disconnect handler afterwards */
    bool accepted;  /* the gateway was told so */
    bool is_alias;  /* another client joined a room named like this sid */
};

/* NULL when there is none, or when name is not a str (then with no exception). */
clr_space_t *clr_space_find(const clr_host_t *host, PyObject *name);

/* NULL when the sid is not here, or is not a str. Finds leaving sockets too. Borrowed. */
clr_socket_t *clr_socket_find(const clr_space_t *space, PyObject *sid);

static inline bool clr_socket_is_connected(const clr_socket_t *s)
{
    return s && s->state <= CLR_SOCKET_CONNECTED;
}

/* The sids that are connected or connecting; space may be NULL. Returns a new list, or NULL with
 * MemoryError. */
PyObject *clr_space_sids(const clr_space_t *space);

/* Registers a socket: in the link by its stream, in its space by its sid. Session and space are
 * made when they are new. `nsp` is empty for an engine session. Returns borrowed; NULL with an
 * exception (out of memory, text that is not UTF-8), or without one when stream or sid are taken.
 */
clr_socket_t *clr_socket_open(clr_host_t *host, uint64_t stream, clr_str_t eio_sid, clr_str_t sid,
                              clr_str_t nsp, clr_str_t request);

/* The stream means nothing any more; the records stay for the disconnect handler. */
void clr_socket_detach(clr_socket_t *s);

/* Detaches it, takes it out of its space and releases the reference of registration. */
void clr_socket_drop(clr_socket_t *s);

static inline clr_socket_t *clr_socket_ref(clr_socket_t *s)
{
    s->refs++;
    return s;
}

void clr_socket_unref(clr_socket_t *s);

static inline clr_str_t clr_session_sid(const clr_session_t *s)
{
    return clr_str(s->bytes_, s->sid_n);
}

static inline clr_str_t clr_session_request(const clr_session_t *s)
{
    return clr_str(s->bytes_ + s->sid_n, s->head_n);
}

/* Remembers that the socket is in the room. 0, or -1 with an exception. */
CLR_NODISCARD int clr_socket_join(clr_socket_t *s, PyObject *room);

void clr_session_unref(clr_session_t *session);

/* Drops every socket, whatever its state. */
void clr_host_drop_all(clr_host_t *host);

/* All its sockets are gone. */
void clr_host_free(clr_host_t *host);
