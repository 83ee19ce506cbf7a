/* sio_namespace.h: the sockets of one namespace of one server, and its rooms.
 *
 * The gateway knows only namespaces that have a socket, be it one that the app has not accepted
 * yet. A room exists while it has members. A socket's id is a room with that socket in it, for
 * which nothing is stored.
 *
 * Threads:  the loop's.
 * Lifetime: a namespace comes with its first socket and goes with its last, a room likewise.
 */
#pragma once

#include "gateway/eio_server.h"

struct clr_sio_socket;
typedef struct clr_sio_nsp clr_sio_nsp_t;
typedef struct clr_sio_room clr_sio_room_t;

/* One member of a room: the room it is in and the place the socket keeps for that room. */
typedef struct clr_sio_member {
    struct clr_sio_socket *socket;
    uint32_t slot; /* index into socket->rooms */
} clr_sio_member_t;

/* One room of a socket: the room and the socket's place in it. */
typedef struct clr_sio_membership {
    clr_sio_room_t *room;
    uint32_t index; /* index into room->members */
} clr_sio_membership_t;

struct clr_sio_room {
    clr_sio_nsp_t *nsp;
    clr_sio_member_t *members;
    uint32_t count;
    uint32_t cap;
    uint32_t name_len;
    char name[];
};

struct clr_sio_nsp {
    clr_eio_server_t *server;
    clr_map_t sids;  /* id → clr_sio_socket_t */
    clr_map_t rooms; /* name → clr_sio_room_t */
    struct clr_sio_socket **members;
    uint32_t count;
    uint32_t cap;
    uint32_t name_len;
    char name[];
};

static inline clr_str_t clr_sio_nsp_name(const clr_sio_nsp_t *nsp)
{
    return clr_str(nsp->name, nsp->name_len);
}

/* NULL when nobody is in it. */
clr_sio_nsp_t *clr_sio_nsp_find(const clr_eio_server_t *server, clr_str_t name);

/* Adds a socket, whose nsp is NULL; the namespace is made if it is the first. */
void clr_sio_nsp_add(clr_eio_server_t *server, clr_str_t name, struct clr_sio_socket *socket);

/* Takes it out of its namespace and of all rooms. */
void clr_sio_nsp_remove(struct clr_sio_socket *socket);

struct clr_sio_socket *clr_sio_nsp_socket(const clr_sio_nsp_t *nsp, clr_str_t sid);
clr_sio_room_t *clr_sio_nsp_room(const clr_sio_nsp_t *nsp, clr_str_t name);

/* Harmless when it is in the room already, or is not. The room named by its own id is no room. */
void clr_sio_room_join(struct clr_sio_socket *socket, clr_str_t name);
void clr_sio_room_leave(struct clr_sio_socket *socket, clr_str_t name);
