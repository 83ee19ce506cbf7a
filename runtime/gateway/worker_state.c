/* worker_state.c: see worker_state.h. */
#include "gateway/worker_state.h"

#include "gateway/sio_socket.h"

/* A client of an EngineServer, or one in a namespace of a Socket.IO server. */
typedef struct client {
    clr_eio_session_t *session;
    clr_shared_t **saved;
    uint64_t stream; /* 0: no worker knows it */
} client_t;

static client_t of_socket(clr_sio_socket_t *socket)
{
    return (client_t){socket->session, &socket->saved, socket->asked ? socket->handle : 0};
}

static client_t of_session(clr_eio_session_t *s)
{
    return (client_t){s, &s->saved, s->told ? s->handle : 0};
}

static void keep(const client_t *client, clr_str_t saved)
{
    if (*client->saved)
        clr_shared_unref(*client->saved);
    *client->saved = clr_shared_copy(saved);
}

static int on_save(clr_gateway_t *gw, clr_worker_t *w, const clr_frame_t *frame)
{
    clr_reader_t r = clr_reader(frame->payload);
    clr_str_t saved = clr_read_str(&r);
    if (clr_reader_done(&r) != 0 || saved.n > CLR_SAVED_MAX)
        return CLR_EPROTO;
    clr_sio_socket_t *socket = clr_dispatch_find(gw, frame->stream, CLR_OBJECT_SOCKET);
    clr_eio_session_t *s = clr_dispatch_find(gw, frame->stream, CLR_OBJECT_SESSION);
    if (!socket && !s) /* it went while the frame was on its way */
        return 0;
    client_t client = socket ? of_socket(socket) : of_session(s);
    if (client.session->worker == w)
        keep(&client, saved);
    else if (clr_worker_serial(w) != client.session->former)
        return CLR_EPROTO;
    return 0;
}

/* False when there is none; CLR_EPROTO when there is no such server. */
static int find(clr_worker_t *w, uint16_t number, clr_str_t nsp, clr_str_t sid, client_t *out)
{
    clr_eio_server_t *server;
    int rc = clr_worker_find_server(w, number, &server);
    if (rc != 0 || !server)
        return rc;
    if (!server->config.is_socketio) {
        clr_eio_session_t *s = clr_eio_session_find(server, sid);
        if (s && s->state <= CLR_EIO_STATE_OPEN)
            *out = of_session(s);
        return 0;
    }
    clr_sio_nsp_t *found = clr_sio_nsp_find(server, nsp);
    clr_sio_socket_t *socket = found ? clr_sio_nsp_socket(found, sid) : NULL;
    if (socket)
        *out = of_socket(socket);
    return 0;
}

static int on_ask(clr_worker_t *w, const clr_frame_t *frame)
{
    clr_reader_t r = clr_reader(frame->payload);
    uint16_t number = clr_read_u16(&r);
    clr_str_t nsp = clr_read_str(&r);
    clr_str_t sid = clr_read_str(&r);
    uint64_t token = clr_read_u64(&r);
    client_t client = {0};
    if (clr_reader_done(&r) != 0 || find(w, number, nsp, sid, &client) != 0)
        return CLR_EPROTO;
    bool found = client.session != NULL;
    clr_buf_t *out = clr_worker_begin(w, CLR_FRAME_STATE, 0, token);
    clr_buf_append_le(out, found, 1);
    clr_write_str(out, found && *client.saved ? clr_shared_str(*client.saved) : CLR_STR_EMPTY);
    clr_write_str(out, found ? clr_shared_str(client.session->request) : CLR_STR_EMPTY);
    clr_worker_end(w);
    return 0;
}

/* The worker that serves the client hears of it. */
static void tell_owner(const clr_worker_t *asker, const client_t *client, clr_str_t saved)
{
    clr_worker_t *owner = client->session->worker;
    if (!owner || owner == asker || !client->stream)
        return;
    clr_write_str(clr_worker_begin(owner, CLR_FRAME_SAVED, 0, client->stream), saved);
    clr_worker_end(owner);
}

static int on_save_remote(clr_worker_t *w, const clr_frame_t *frame)
{
    clr_reader_t r = clr_reader(frame->payload);
    uint16_t number = clr_read_u16(&r);
    clr_str_t nsp = clr_read_str(&r);
    clr_str_t sid = clr_read_str(&r);
    clr_str_t saved = clr_read_str(&r);
    uint64_t token = clr_read_u64(&r);
    client_t client = {0};
    if (clr_reader_done(&r) != 0 || saved.n > CLR_SAVED_MAX ||
        find(w, number, nsp, sid, &client) != 0)
        return CLR_EPROTO;
    if (client.session) {
        keep(&client, saved);
        tell_owner(w, &client, saved);
    }
    clr_buf_append_le(clr_worker_begin(w, CLR_FRAME_REPLY, 0, token), client.session != NULL, 1);
    clr_worker_end(w);
    return 0;
}

int clr_worker_state_frame(clr_gateway_t *gw, clr_worker_t *w, const clr_frame_t *frame)
{
    switch (frame->type) {
    case CLR_FRAME_SAVE:
        return on_save(gw, w, frame);
    case CLR_FRAME_STATE_ASK:
        return on_ask(w, frame);
    case CLR_FRAME_STATE_SAVE:
        return on_save_remote(w, frame);
    default:
        return CLR_EPROTO;
    }
}
