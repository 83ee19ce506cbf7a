/* worker_frames.c: the Socket.IO frames of a worker. */
#include "gateway/worker_frames.h"

#include "base/log.h"
#include "base/utf8.h"
#include "gateway/app_request.h"
#include "gateway/eio_app.h"
#include "gateway/eio_origin.h"
#include "gateway/migrate.h"
#include "gateway/refresh.h"
#include "gateway/sio_emit.h"
#include "gateway/worker_state.h"
#include "proto/json.h"

/* The payload of any frame about one socket; what its type does not have stays zero. */
typedef struct socket_frame {
    uint64_t number; /* token or ack id */
    clr_str_t text;  /* json, room or why */
    clr_data_t data;
    uint32_t from, to; /* of data.json */
} socket_frame_t;

static bool is_valid_payload(uint8_t type, const socket_frame_t *f)
{
    switch (type) {
    case CLR_FRAME_SIO_SEND:
        return clr_sio_packet_out_is_valid(&f->data);
    case CLR_FRAME_SIO_TOKEN:
        return clr_sio_packet_out_is_valid(&f->data) && f->from <= f->to && f->to <= f->data.json.n;
    case CLR_FRAME_SIO_ACK_REPLY:
        return clr_sio_packet_out_is_valid(&f->data) && f->number <= CLR_SIO_MAX_ID;
    case CLR_FRAME_SIO_REFUSE:
        return clr_json_is_valid(f->text) && clr_utf8_is_valid(f->text);
    default:
        return true;
    }
}

static int decode(const clr_frame_t *frame, socket_frame_t *f)
{
    clr_reader_t r = clr_reader(frame->payload);
    *f = (socket_frame_t){0};
    switch (frame->type) {
    case CLR_FRAME_SIO_SEND:
    case CLR_FRAME_SIO_ACK_REPLY:
        f->number = clr_read_u64(&r);
        f->data = clr_read_data(&r);
        break;
    case CLR_FRAME_SIO_TOKEN:
        f->from = clr_read_u32(&r);
        f->to = clr_read_u32(&r);
        f->data.json = clr_read_str(&r);
        break;
    case CLR_FRAME_SIO_REFUSE:
    case CLR_FRAME_SIO_JOIN:
    case CLR_FRAME_SIO_LEAVE:
    case CLR_FRAME_SIO_ABORT:
        f->text = clr_read_str(&r);
        break;
    default: /* SIO_ACCEPT, SIO_KICK, SIO_NEXT: nothing */
        break;
    }
    if (clr_reader_done(&r) != 0 || !is_valid_payload(frame->type, f))
        return CLR_EPROTO;
    return 0;
}

/* ---- rooms ---- */

/* The owner of a socket hears of what another worker did to it. */
static void tell_owner(const clr_worker_t *asker, const clr_sio_socket_t *socket, uint8_t op,
                       clr_str_t room)
{
    clr_worker_t *owner = socket->session->worker;
    if (!owner || owner == asker || !socket->asked)
        return;
    clr_buf_t *out = clr_worker_begin(owner, CLR_FRAME_SIO_ROOM, 0, socket->handle);
    clr_buf_append_le(out, op, 1);
    clr_write_str(out, room);
    clr_worker_end(owner);
}

static void apply_remote(clr_worker_t *w, clr_sio_socket_t *socket, uint8_t op, clr_str_t room)
{
    if (op == CLR_ROOM_KICK) {
        clr_sio_socket_kick(socket);
        return;
    }
    if (op == CLR_ROOM_JOIN)
        clr_sio_room_join(socket, room);
    else
        clr_sio_room_leave(socket, room);
    tell_owner(w, socket, op, room);
}

/* ---- one socket ---- */

static void on_send(clr_worker_t *w, clr_sio_socket_t *socket, uint8_t flags,
                    const socket_frame_t *f)
{
    clr_sio_packet_out_t packet;
    clr_sio_packet_out_init(&packet, socket->session->server, CLR_SIO_EVENT,
                            clr_sio_nsp_name(socket->nsp), &f->data);
    packet.from = f->from;
    packet.to = f->to;
    clr_sio_socket_send(socket, &packet, flags & CLR_FRAME_VOLATILE,
                        flags & CLR_FRAME_ACK ? w : NULL, f->number);
    clr_sio_packet_out_deinit(&packet);
}

static void on_ack_reply(clr_sio_socket_t *socket, const socket_frame_t *f)
{
    clr_sio_packet_out_t packet;
    clr_sio_packet_out_init(&packet, socket->session->server, CLR_SIO_ACK,
                            clr_sio_nsp_name(socket->nsp), &f->data);
    clr_sio_packet_out_send(&packet, socket->session, f->number);
    clr_sio_packet_out_deinit(&packet);
}

static void on_abort(clr_sio_socket_t *socket, clr_str_t why)
{
    clr_log_info("sio", "session %.4s… closed: %.*s", socket->session->sid,
                 (int)(why.n < 200 ? why.n : 200), why.p);
    clr_eio_session_close(socket->session, CLR_REASON_SERVER_DISCONNECT,
                          "what the app cannot decode");
}

/* The client was moved away from the worker: what it sends still counts, its decisions do not. */
static int from_former(clr_worker_t *w, clr_sio_socket_t *socket, const clr_frame_t *frame,
                       const socket_frame_t *f)
{
    if (clr_worker_serial(w) != socket->session->former)
        return CLR_EPROTO;
    if (frame->type == CLR_FRAME_SIO_SEND || frame->type == CLR_FRAME_SIO_TOKEN)
        on_send(w, socket, frame->flags, f);
    else if (frame->type == CLR_FRAME_SIO_ACK_REPLY)
        on_ack_reply(socket, f);
    else if (frame->type == CLR_FRAME_SIO_JOIN)
        apply_remote(w, socket, CLR_ROOM_JOIN, f->text);
    else if (frame->type == CLR_FRAME_SIO_LEAVE)
        apply_remote(w, socket, CLR_ROOM_LEAVE, f->text);
    else if (frame->type == CLR_FRAME_SIO_KICK)
        clr_sio_socket_kick(socket);
    return 0;
}

static int on_socket_frame(clr_gateway_t *gw, clr_worker_t *w, const clr_frame_t *frame)
{
    socket_frame_t f;
    int rc = decode(frame, &f);
    if (rc != 0)
        return rc;
    clr_sio_socket_t *socket = clr_dispatch_find(gw, frame->stream, CLR_OBJECT_SOCKET);
    if (!socket) /* it went while the frame was on its way */
        return 0;
    if (socket->session->worker != w || !socket->asked)
        return from_former(w, socket, frame, &f);
    switch (frame->type) {
    case CLR_FRAME_SIO_SEND:
    case CLR_FRAME_SIO_TOKEN:
        on_send(w, socket, frame->flags, &f);
        break;
    case CLR_FRAME_SIO_ACK_REPLY:
        on_ack_reply(socket, &f);
        break;
    case CLR_FRAME_SIO_ACCEPT:
        clr_sio_socket_accept(socket);
        break;
    case CLR_FRAME_SIO_REFUSE:
        clr_sio_socket_refuse(socket, f.text);
        break;
    case CLR_FRAME_SIO_JOIN:
        clr_sio_room_join(socket, f.text);
        break;
    case CLR_FRAME_SIO_LEAVE:
        clr_sio_room_leave(socket, f.text);
        break;
    case CLR_FRAME_SIO_KICK:
        clr_sio_socket_kick(socket);
        break;
    case CLR_FRAME_SIO_NEXT:
        clr_sio_socket_end_turn(socket);
        break;
    default:
        on_abort(socket, f.text);
        break;
    }
    return 0;
}

/* ---- namespaces ---- */

/* NULL in *nsp when nobody is there; CLR_EPROTO when there is no such server. */
static int find_nsp(clr_worker_t *w, uint16_t number, clr_str_t name, clr_sio_nsp_t **nsp)
{
    clr_eio_server_t *server;
    int rc = clr_worker_find_server(w, number, &server);
    if (rc == 0 && server && !server->config.is_socketio)
        rc = CLR_EPROTO;
    *nsp = rc == 0 && server ? clr_sio_nsp_find(server, name) : NULL;
    return rc;
}

static int on_emit(clr_worker_t *w, const clr_frame_t *frame)
{
    clr_sio_emit_t emit = {.is_volatile = frame->flags & CLR_FRAME_VOLATILE,
                           .asker = frame->flags & CLR_FRAME_ACK ? w : NULL};
    clr_reader_t r = clr_reader(frame->payload);
    uint16_t number = clr_read_u16(&r);
    clr_str_t name = clr_read_str(&r);
    emit.rooms = clr_read_strs(&r);
    emit.except = clr_read_strs(&r);
    emit.token = clr_read_u64(&r);
    clr_data_t data = clr_read_data(&r);
    if (clr_reader_done(&r) != 0 || !clr_sio_packet_out_is_valid(&data))
        return CLR_EPROTO;
    int rc = find_nsp(w, number, name, &emit.nsp);
    if (rc != 0 || !emit.nsp)
        return rc;
    clr_sio_packet_out_t packet;
    clr_sio_packet_out_init(&packet, emit.nsp->server, CLR_SIO_EVENT, name, &data);
    clr_sio_emit(&emit, &packet);
    clr_sio_packet_out_deinit(&packet);
    return 0;
}

static int on_close_room(clr_worker_t *w, const clr_frame_t *frame)
{
    clr_reader_t r = clr_reader(frame->payload);
    uint16_t number = clr_read_u16(&r);
    clr_str_t name = clr_read_str(&r);
    clr_str_t room_name = clr_read_str(&r);
    if (clr_reader_done(&r) != 0)
        return CLR_EPROTO;
    clr_sio_nsp_t *nsp;
    int rc = find_nsp(w, number, name, &nsp);
    if (rc != 0 || !nsp)
        return rc;
    for (clr_sio_room_t *room; (room = clr_sio_nsp_room(nsp, room_name));) {
        clr_sio_socket_t *socket = room->members[room->count - 1].socket;
        clr_sio_room_leave(socket, room_name);
        tell_owner(w, socket, CLR_ROOM_LEAVE, room_name);
    }
    return 0;
}

static int on_remote(clr_worker_t *w, const clr_frame_t *frame)
{
    clr_reader_t r = clr_reader(frame->payload);
    uint16_t number = clr_read_u16(&r);
    clr_str_t name = clr_read_str(&r);
    clr_str_t sid = clr_read_str(&r);
    uint8_t op = clr_read_u8(&r);
    clr_str_t room = clr_read_str(&r);
    uint64_t token = clr_read_u64(&r);
    if (clr_reader_done(&r) != 0 || op < CLR_ROOM_JOIN || op > CLR_ROOM_KICK)
        return CLR_EPROTO;
    clr_sio_nsp_t *nsp;
    int rc = find_nsp(w, number, name, &nsp);
    if (rc != 0)
        return rc;
    clr_sio_socket_t *socket = nsp ? clr_sio_nsp_socket(nsp, sid) : NULL;
    if (socket)
        apply_remote(w, socket, op, room);
    if (token != 0) {
        clr_buf_append_le(clr_worker_begin(w, CLR_FRAME_REPLY, 0, token), socket != NULL, 1);
        clr_worker_end(w);
    }
    return 0;
}

/* ---- moves ---- */

static int on_idle(clr_gateway_t *gw, clr_worker_t *w, const clr_frame_t *frame)
{
    clr_reader_t r = clr_reader(frame->payload);
    uint8_t idle = clr_read_u8(&r);
    if (clr_reader_done(&r) != 0 || idle > 1)
        return CLR_EPROTO;
    clr_sio_socket_t *socket = clr_dispatch_find(gw, frame->stream, CLR_OBJECT_SOCKET);
    clr_eio_session_t *s =
        socket ? socket->session : clr_dispatch_find(gw, frame->stream, CLR_OBJECT_SESSION);
    if (s && s->worker == w)
        clr_migrate_on_idle(s, idle);
    return 0;
}

/* ---- entry ---- */

int clr_worker_frame(clr_gateway_t *gw, clr_worker_t *w, const clr_frame_t *frame)
{
    switch (frame->type) {
    case CLR_FRAME_SIO_ACCEPT:
    case CLR_FRAME_SIO_REFUSE:
    case CLR_FRAME_SIO_SEND:
    case CLR_FRAME_SIO_TOKEN:
    case CLR_FRAME_SIO_ACK_REPLY:
    case CLR_FRAME_SIO_KICK:
    case CLR_FRAME_SIO_JOIN:
    case CLR_FRAME_SIO_LEAVE:
    case CLR_FRAME_SIO_ABORT:
    case CLR_FRAME_SIO_NEXT:
        return on_socket_frame(gw, w, frame);
    case CLR_FRAME_SIO_EMIT:
        return on_emit(w, frame);
    case CLR_FRAME_SIO_CLOSE_ROOM:
        return on_close_room(w, frame);
    case CLR_FRAME_SIO_REMOTE:
        return on_remote(w, frame);
    case CLR_FRAME_EIO_ACCEPT:
    case CLR_FRAME_EIO_REFUSE:
    case CLR_FRAME_EIO_SEND:
    case CLR_FRAME_EIO_CLOSE:
        return clr_eio_app_frame(gw, w, frame);
    case CLR_FRAME_ORIGIN_RESULT:
        return clr_eio_origin_result(gw, w, frame);
    case CLR_FRAME_SAVE:
    case CLR_FRAME_STATE_ASK:
    case CLR_FRAME_STATE_SAVE:
        return clr_worker_state_frame(gw, w, frame);
    case CLR_FRAME_SOURCES:
    case CLR_FRAME_REFRESHED:
        return clr_refresh_frame(gw, w, frame);
    case CLR_FRAME_IDLE:
        return on_idle(gw, w, frame);
    case CLR_FRAME_HTTP_START:
    case CLR_FRAME_HTTP_DATA:
    case CLR_FRAME_HTTP_TRAILERS:
    case CLR_FRAME_HTTP_HINT:
    case CLR_FRAME_HTTP_FILE:
    case CLR_FRAME_HTTP_TAKE:
    case CLR_FRAME_HTTP_ABORT:
    case CLR_FRAME_HTTP_REJECT:
    case CLR_FRAME_WS_ACCEPT:
    case CLR_FRAME_WS_SEND:
    case CLR_FRAME_WS_CLOSE:
        return clr_app_frame(gw, w, frame);
    default:
        return CLR_EPROTO;
    }
}
