/* sio_namespace.c: members and rooms, each leaving in constant time. */
#include "gateway/sio_namespace.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/mem.h"
#include "gateway/sio_socket.h"

/* ---- namespaces ---- */

clr_sio_nsp_t *clr_sio_nsp_find(const clr_eio_server_t *server, clr_str_t name)
{
    return clr_map_get(&server->namespaces, name);
}

static clr_sio_nsp_t *open_nsp(clr_eio_server_t *server, clr_str_t name)
{
    clr_sio_nsp_t *nsp = clr_sio_nsp_find(server, name);
    if (nsp)
        return nsp;
    nsp = clr_xcalloc(1, sizeof(*nsp) + name.n);
    nsp->server = server;
    nsp->name_len = (uint32_t)name.n;
    memcpy(nsp->name, name.p, name.n);
    clr_map_init(&nsp->sids, server->eio->seed);
    clr_map_init(&nsp->rooms, server->eio->seed);
    clr_map_put(&server->namespaces, clr_sio_nsp_name(nsp), nsp);
    return nsp;
}

void clr_sio_nsp_add(clr_eio_server_t *server, clr_str_t name, clr_sio_socket_t *socket)
{
    CLR_ASSERT(!socket->nsp);
    clr_sio_nsp_t *nsp = open_nsp(server, name);
    if (nsp->count == nsp->cap) {
        nsp->cap = nsp->cap ? nsp->cap * 2 : 8;
        nsp->members = clr_xrealloc(nsp->members, nsp->cap * sizeof(clr_sio_socket_t *));
    }
    socket->nsp = nsp;
    socket->index = nsp->count;
    nsp->members[nsp->count++] = socket;
    clr_map_put(&nsp->sids, clr_sio_socket_sid(socket), socket);
}

static void free_nsp(clr_sio_nsp_t *nsp)
{
    CLR_ASSERT(nsp->rooms.count == 0 && nsp->sids.count == 0);
    clr_map_remove(&nsp->server->namespaces, clr_sio_nsp_name(nsp));
    clr_map_deinit(&nsp->sids);
    clr_map_deinit(&nsp->rooms);
    free(nsp->members);
    free(nsp);
}

static void leave_slot(clr_sio_socket_t *socket, uint32_t slot);

void clr_sio_nsp_remove(clr_sio_socket_t *socket)
{
    clr_sio_nsp_t *nsp = socket->nsp;
    while (socket->room_count > 0)
        leave_slot(socket, socket->room_count - 1);
    clr_map_remove(&nsp->sids, clr_sio_socket_sid(socket));
    clr_sio_socket_t *last = nsp->members[--nsp->count];
    last->index = socket->index;
    nsp->members[socket->index] = last;
    socket->nsp = NULL;
    if (nsp->count == 0)
        free_nsp(nsp);
}

clr_sio_socket_t *clr_sio_nsp_socket(const clr_sio_nsp_t *nsp, clr_str_t sid)
{
    return sid.n == CLR_ID_LEN ? clr_map_get(&nsp->sids, sid) : NULL;
}

/* ---- rooms ---- */

clr_sio_room_t *clr_sio_nsp_room(const clr_sio_nsp_t *nsp, clr_str_t name)
{
    return clr_map_get(&nsp->rooms, name);
}

static clr_str_t name_of(const clr_sio_room_t *room)
{
    return clr_str(room->name, room->name_len);
}

static clr_sio_room_t *open_room(clr_sio_nsp_t *nsp, clr_str_t name)
{
    clr_sio_room_t *room = clr_sio_nsp_room(nsp, name);
    if (room)
        return room;
    room = clr_xcalloc(1, sizeof(*room) + name.n);
    room->nsp = nsp;
    room->name_len = (uint32_t)name.n;
    memcpy(room->name, name.p, name.n);
    clr_map_put(&nsp->rooms, name_of(room), room);
    return room;
}

static void free_room(clr_sio_room_t *room)
{
    clr_map_remove(&room->nsp->rooms, name_of(room));
    free(room->members);
    free(room);
}

static bool find_slot(const clr_sio_socket_t *socket, const clr_sio_room_t *room, uint32_t *slot)
{
    for (*slot = 0; *slot < socket->room_count; (*slot)++) {
        if (socket->rooms[*slot].room == room)
            return true;
    }
    return false;
}

void clr_sio_room_join(clr_sio_socket_t *socket, clr_str_t name)
{
    uint32_t slot;
    if (clr_str_eq(name, clr_sio_socket_sid(socket)))
        return;
    clr_sio_room_t *room = open_room(socket->nsp, name);
    if (find_slot(socket, room, &slot))
        return;
    if (room->count == room->cap) {
        room->cap = room->cap ? room->cap * 2 : 4;
        room->members = clr_xrealloc(room->members, room->cap * sizeof(*room->members));
    }
    if (socket->room_count == socket->room_cap) {
        socket->room_cap = socket->room_cap ? socket->room_cap * 2 : 2;
        socket->rooms = clr_xrealloc(socket->rooms, socket->room_cap * sizeof(*socket->rooms));
    }
    room->members[room->count] = (clr_sio_member_t){socket, socket->room_count};
    socket->rooms[socket->room_count++] = (clr_sio_membership_t){room, room->count++};
}

/* The last of each array takes the free place. */
static void leave_slot(clr_sio_socket_t *socket, uint32_t slot)
{
    clr_sio_room_t *room = socket->rooms[slot].room;
    uint32_t index = socket->rooms[slot].index;
    CLR_DCHECK(room->members[index].socket == socket && room->members[index].slot == slot);

    clr_sio_member_t last = room->members[--room->count];
    room->members[index] = last;
    last.socket->rooms[last.slot].index = index;

    socket->rooms[slot] = socket->rooms[--socket->room_count];
    if (slot < socket->room_count) {
        clr_sio_membership_t moved = socket->rooms[slot];
        moved.room->members[moved.index].slot = slot;
    }
    if (socket->room_count == 0) {
        free(socket->rooms);
        socket->rooms = NULL;
        socket->room_cap = 0;
    }
    if (room->count == 0)
        free_room(room);
}

void clr_sio_room_leave(clr_sio_socket_t *socket, clr_str_t name)
{
    uint32_t slot;
    clr_sio_room_t *room = clr_sio_nsp_room(socket->nsp, name);
    if (room && find_slot(socket, room, &slot))
        leave_slot(socket, slot);
}
