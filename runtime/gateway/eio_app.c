/* eio_app.c: EngineServer sessions over the link, and the fork to Socket.IO. */
#include "gateway/eio_app.h"

#include "base/utf8.h"
#include "gateway/eio_handshake.h"
#include "gateway/eio_held.h"
#include "gateway/sio_client.h"
#include "proto/json.h"

void clr_eio_app_message(clr_eio_session_t *s, bool binary, clr_str_t data)
{
    if (s->server->config.is_socketio) {
        clr_sio_client_message(s, binary, data);
        return;
    }
    clr_write_str(
        clr_eio_deliver_begin(s, CLR_FRAME_EIO_MESSAGE, binary ? CLR_FRAME_BINARY : 0, s->handle),
        data);
    clr_eio_deliver_end(s);
}

void clr_eio_app_closed(clr_eio_session_t *s, uint8_t reason)
{
    if (s->server->config.is_socketio) {
        clr_sio_client_closed(s, reason);
        return;
    }
    if (s->worker) {
        clr_worker_count_socket(s->worker, -1);
        if (s->told && clr_worker_state(s->worker) != CLR_WORKER_GONE) {
            clr_buf_append_le(clr_worker_begin(s->worker, CLR_FRAME_EIO_GONE, 0, s->handle), reason,
                              1);
            clr_worker_end(s->worker);
        }
    }
    if (s->handle)
        clr_dispatch_remove(s->server->gw, s->handle);
    s->handle = 0;
}

void clr_eio_app_placed(clr_eio_session_t *s)
{
    if (s->server->config.is_socketio) {
        clr_sio_client_placed(s);
        return;
    }
    clr_worker_count_socket(s->worker, 1);
    if (!s->handle)
        s->handle = clr_dispatch_add(s->server->gw, &s->object);
    s->told = true;
    uint8_t type = s->moved ? CLR_FRAME_EIO_RESUME : CLR_FRAME_EIO_OPEN;
    clr_buf_t *out = clr_worker_begin(s->worker, type, 0, s->handle);
    clr_buf_append_le(out, s->server->number, 2);
    clr_write_str(out, clr_eio_session_sid(s));
    if (s->moved)
        clr_write_str(out, s->saved ? clr_shared_str(s->saved) : CLR_STR_EMPTY);
    clr_buf_append_str(out, clr_shared_str(s->request));
    clr_worker_end(s->worker);
}

void clr_eio_app_displaced(clr_eio_session_t *s)
{
    if (s->server->config.is_socketio) {
        clr_sio_client_displaced(s);
        return;
    }
    clr_worker_count_socket(s->worker, -1);
    s->told = false;
    s->resuming = s->state == CLR_EIO_STATE_OPEN;
}

bool clr_eio_app_is_connecting(const clr_eio_session_t *s)
{
    if (s->server->config.is_socketio)
        return clr_sio_client_is_connecting(s);
    return s->state == CLR_EIO_STATE_OPENING || s->resuming > 0;
}

void clr_eio_app_upgraded(clr_eio_session_t *s)
{
    uint64_t stream = s->server->config.is_socketio ? clr_sio_client_any_handle(s) : s->handle;
    if (!stream || !s->worker)
        return;
    clr_buf_append_le(clr_worker_begin(s->worker, CLR_FRAME_TRANSPORT, 0, stream),
                      CLR_TRANSPORT_WEBSOCKET, 1);
    clr_worker_end(s->worker);
}

/* ---- frames from the worker ---- */

static int on_accept(clr_eio_session_t *s)
{
    s->strikes = 0;
    if (s->state == CLR_EIO_STATE_OPENING)
        clr_eio_handshake_accept(s);
    s->resuming = 0;
    clr_eio_held_release(s);
    return 0;
}

static int on_refuse(clr_eio_session_t *s, clr_str_t json)
{
    s->told = false; /* it ended this session itself */
    if (s->state == CLR_EIO_STATE_OPENING)
        clr_eio_handshake_refuse(s, json);
    else if (s->resuming)
        clr_eio_session_finish(s, 0, "the app refused it after a move");
    return 0;
}

static int on_send(clr_eio_session_t *s, bool binary, clr_str_t data)
{
    if (!binary && !clr_utf8_is_valid(data))
        return CLR_EUTF8;
    if (binary)
        clr_eio_session_send_binary(s, data);
    else
        clr_eio_session_send_text(s, CLR_STR("4"), data);
    return 0;
}

/* The session was moved away from the worker: what it sends still counts, its decisions do not. */
static int from_former(clr_eio_session_t *s, const clr_worker_t *w, const clr_frame_t *frame,
                       clr_str_t data)
{
    if (clr_worker_serial(w) != s->former)
        return CLR_EPROTO;
    return frame->type == CLR_FRAME_EIO_SEND ? on_send(s, frame->flags & CLR_FRAME_BINARY, data)
                                             : 0;
}

/* Payload of the frame, checked whether or not its session still lives. */
static int decode(const clr_frame_t *frame, clr_str_t *data)
{
    clr_reader_t r = clr_reader(frame->payload);
    *data = CLR_STR_EMPTY;
    if (frame->type == CLR_FRAME_EIO_REFUSE || frame->type == CLR_FRAME_EIO_SEND)
        *data = clr_read_str(&r);
    if (clr_reader_done(&r) != 0)
        return CLR_EPROTO;
    if (frame->type == CLR_FRAME_EIO_REFUSE && !clr_json_is_valid(*data))
        return CLR_EPROTO;
    return 0;
}

int clr_eio_app_frame(clr_gateway_t *gw, clr_worker_t *w, const clr_frame_t *frame)
{
    clr_str_t data;
    int rc = decode(frame, &data);
    if (rc != 0)
        return rc;
    clr_eio_session_t *s = clr_dispatch_find(gw, frame->stream, CLR_OBJECT_SESSION);
    if (!s) /* it went while the frame was on its way */
        return 0;
    if (s->worker != w)
        return from_former(s, w, frame, data);
    switch (frame->type) {
    case CLR_FRAME_EIO_ACCEPT:
        return on_accept(s);
    case CLR_FRAME_EIO_REFUSE:
        return on_refuse(s, data);
    case CLR_FRAME_EIO_SEND:
        return on_send(s, frame->flags & CLR_FRAME_BINARY, data);
    case CLR_FRAME_EIO_CLOSE:
        clr_eio_session_finish(s, 0, "the app closed it");
        return 0;
    default:
        return CLR_EPROTO;
    }
}
