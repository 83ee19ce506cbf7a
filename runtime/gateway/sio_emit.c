/* sio_emit.c: fan-out. A socket's mark says that this broadcast has reached it, or shall not. */
#include "gateway/sio_emit.h"

static void emit_to(const clr_sio_emit_t *emit, clr_sio_packet_out_t *packet,
                    clr_sio_socket_t *socket, uint64_t epoch)
{
    if (socket->mark == epoch)
        return;
    socket->mark = epoch;
    if (emit->asker || emit->is_volatile || socket->starting)
        clr_sio_socket_send(socket, packet, emit->is_volatile, emit->asker, emit->token);
    else
        clr_sio_packet_out_share(packet, socket->session);
}

static void mark_room(const clr_sio_nsp_t *nsp, clr_str_t name, uint64_t epoch)
{
    clr_sio_socket_t *socket = clr_sio_nsp_socket(nsp, name);
    if (socket)
        socket->mark = epoch;
    clr_sio_room_t *room = clr_sio_nsp_room(nsp, name);
    for (uint32_t i = 0; room && i < room->count; i++)
        room->members[i].socket->mark = epoch;
}

/* Sending never closes a session at once (clr_eio_session_doom), so that the arrays hold still. */
static void emit_to_room(const clr_sio_emit_t *emit, clr_sio_packet_out_t *packet, clr_str_t name,
                         uint64_t epoch)
{
    clr_sio_socket_t *socket = clr_sio_nsp_socket(emit->nsp, name);
    if (socket)
        emit_to(emit, packet, socket, epoch);
    clr_sio_room_t *room = clr_sio_nsp_room(emit->nsp, name);
    for (uint32_t i = 0; room && i < room->count; i++)
        emit_to(emit, packet, room->members[i].socket, epoch);
}

/* To one socket by its id, and to nobody else: needs no sharing. */
static bool emit_to_one(const clr_sio_emit_t *emit, clr_sio_packet_out_t *packet)
{
    clr_strs_t rooms = emit->rooms;
    clr_str_t name;
    if (emit->rooms.count != 1 || emit->except.count > 0 || !clr_strs_next(&rooms, &name))
        return false;
    clr_sio_socket_t *socket = clr_sio_nsp_socket(emit->nsp, name);
    if (!socket || clr_sio_nsp_room(emit->nsp, name))
        return false;
    clr_sio_socket_send(socket, packet, emit->is_volatile, emit->asker, emit->token);
    return true;
}

void clr_sio_emit(const clr_sio_emit_t *emit, clr_sio_packet_out_t *packet)
{
    clr_sio_nsp_t *nsp = emit->nsp;
    if (emit_to_one(emit, packet))
        return;
    uint64_t epoch = ++nsp->server->eio->epoch;
    clr_strs_t except = emit->except, rooms = emit->rooms;
    for (clr_str_t name; clr_strs_next(&except, &name);)
        mark_room(nsp, name, epoch);
    if (rooms.count == 0) {
        for (uint32_t i = 0; i < nsp->count; i++)
            emit_to(emit, packet, nsp->members[i], epoch);
        return;
    }
    for (clr_str_t name; clr_strs_next(&rooms, &name);)
        emit_to_room(emit, packet, name, epoch);
}
