/* sio_client.c: Socket.IO packets of a client, checked and handed to the worker of its session. */
#include "gateway/sio_client.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "gateway/affinity.h"
#include "gateway/eio_held.h"
#include "gateway/sio_socket.h"
#include "proto/msgpack.h"

/* A binary event or ack, as the payload of the frame that it becomes. */
typedef struct clr_sio_pending {
    clr_buf_t payload;
    uint64_t handle; /* of its socket; 0: nobody wants it */
    uint32_t serial; /* SIO_ACK: of the worker that gets it; an event goes where the client is */
    uint32_t left;   /* attachments to come */
    uint8_t frame;   /* SIO_EVENT or SIO_ACK */
} clr_sio_pending_t;

/* Leaves room in a frame for what precedes the attachments. */
#define MAX_PENDING_BYTES ((size_t)CLR_FRAME_MAX - (1u << 20))

static void violation(clr_eio_session_t *s, const char *why)
{
    clr_log_info("sio", "session %.4s… closed: %s", s->sid, why);
    clr_eio_session_close(s, CLR_REASON_SERVER_DISCONNECT, why);
}

/* ---- binary packets ---- */

static void free_pending(clr_eio_session_t *s)
{
    clr_sio_pending_t *p = s->sio.pending;
    if (!p)
        return;
    clr_buf_deinit(&p->payload);
    free(p);
    s->sio.pending = NULL;
}

/* Who gets an event or ack. */
typedef struct route {
    uint64_t handle;     /* of the socket; 0: nobody gets it */
    clr_worker_t *asker; /* of an ack; NULL: whoever serves the client */
} route_t;

static clr_buf_t *begin_frame(clr_eio_session_t *s, const route_t *to, uint8_t type)
{
    return to->asker ? clr_worker_begin(to->asker, type, 0, to->handle)
                     : clr_eio_deliver_begin(s, type, 0, to->handle);
}

static void end_frame(clr_eio_session_t *s, const route_t *to)
{
    if (to->asker)
        clr_worker_end(to->asker);
    else
        clr_eio_deliver_end(s);
}

/* All attachments are there: to the worker, if it and the socket still are. */
static void finish_pending(clr_eio_session_t *s)
{
    clr_sio_pending_t *p = s->sio.pending;
    clr_gateway_t *gw = s->server->gw;
    route_t to = {p->handle, p->serial ? clr_dispatch_worker(gw, p->serial) : NULL};
    if (clr_dispatch_find(gw, p->handle, CLR_OBJECT_SOCKET) && (!p->serial || to.asker)) {
        clr_buf_append_str(begin_frame(s, &to, p->frame), clr_buf_str(&p->payload));
        end_frame(s, &to);
    }
    free_pending(s);
}

static void on_attachment(clr_eio_session_t *s, clr_str_t bytes)
{
    clr_sio_pending_t *p = s->sio.pending;
    if (!p) {
        violation(s, "a binary message that no packet announced");
        return;
    }
    if (p->payload.n + bytes.n > MAX_PENDING_BYTES) {
        violation(s, "attachments too large");
        return;
    }
    if (p->handle)
        clr_write_str(&p->payload, bytes);
    if (--p->left == 0)
        finish_pending(s);
}

/* What came, and its attachments if they came with it; NULL when they follow as messages. */
typedef struct incoming {
    clr_sio_packet_t packet;
    const clr_str_t *attachments;
} incoming_t;

static void begin_pending(clr_eio_session_t *s, const clr_sio_packet_t *packet, uint8_t frame,
                          const route_t *to, uint64_t value)
{
    clr_sio_pending_t *p = clr_xcalloc(1, sizeof(*p));
    p->handle = to->handle;
    p->serial = to->asker ? clr_worker_serial(to->asker) : 0;
    p->left = packet->attachments;
    p->frame = frame;
    clr_buf_append_le(&p->payload, value, 8);
    clr_write_str(&p->payload, packet->json);
    clr_buf_append_le(&p->payload, packet->attachments, 2);
    s->sio.pending = p;
}

/* Sends the event or ack, or keeps it until its attachments are there. `value` is the ack id or the
 * token. */
static void deliver(clr_eio_session_t *s, const incoming_t *in, uint8_t frame, const route_t *to,
                    uint64_t value)
{
    const clr_sio_packet_t *packet = &in->packet;
    if (packet->attachments > 0 && !in->attachments) {
        begin_pending(s, packet, frame, to, value);
    } else if (to->handle) {
        clr_buf_t *out = begin_frame(s, to, frame);
        clr_buf_append_le(out, value, 8);
        clr_write_data(out, packet->json, in->attachments, (uint16_t)packet->attachments);
        end_frame(s, to);
    }
}

/* ---- packets ---- */

static void refuse_connect(clr_eio_session_t *s, clr_str_t nsp, clr_str_t error)
{
    clr_data_t data = {.json = error};
    clr_sio_packet_out_t packet;
    clr_sio_packet_out_init(&packet, s->server, CLR_SIO_CONNECT_ERROR, nsp, &data);
    clr_sio_packet_out_send(&packet, s, CLR_SIO_NO_ID);
    clr_sio_packet_out_deinit(&packet);
}

static uint32_t count_sockets(const clr_eio_session_t *s)
{
    uint32_t count = 0;
    for (clr_sio_socket_t *socket = s->sio.sockets; socket; socket = socket->next_)
        count++;
    return count;
}

static void on_connect(clr_eio_session_t *s, const clr_sio_packet_t *packet)
{
    if (clr_sio_socket_find(s, packet->nsp)) {
        violation(s, "a second CONNECT for a namespace");
        return;
    }
    if (packet->nsp.n > CLR_SIO_MAX_NSP_NAME) {
        violation(s, "a namespace of too long a name");
        return;
    }
    if (count_sockets(s) >= CLR_SIO_MAX_SOCKETS) {
        refuse_connect(s, packet->nsp, CLR_STR("{\"message\":\"Too many namespaces\"}"));
        return;
    }
    clr_eio_session_set_connect_timeout(s, 0);
    clr_sio_socket_t *socket = clr_sio_socket_new(s, packet->nsp, packet->json);
    if (s->worker) {
        clr_affinity_bind(s); /* its auth may bring another key */
        clr_sio_socket_ask(socket);
    } else {
        clr_eio_session_place(s);
    }
}

/* A packet for a namespace in which the client has no socket. After the app disconnected one, the
 * client could not know yet; otherwise it breaks the rules. */
static void on_stray(clr_eio_session_t *s, const incoming_t *in)
{
    if (!s->sio.kicked)
        violation(s, "a packet for a namespace that it is not in");
    else
        deliver(s, in, CLR_FRAME_SIO_EVENT, &(route_t){0}, 0);
}

static void on_ack(clr_eio_session_t *s, clr_sio_socket_t *socket, const incoming_t *in)
{
    uint32_t serial;
    uint64_t token = 0;
    route_t to = {0};
    if (clr_sio_socket_take_ack(socket, in->packet.id, &serial, &token))
        to.asker = clr_dispatch_worker(s->server->gw, serial);
    if (to.asker) /* else nobody waits any more */
        to.handle = socket->handle;
    deliver(s, in, CLR_FRAME_SIO_ACK, &to, token);
}

static void on_event(clr_eio_session_t *s, clr_sio_socket_t *socket, const incoming_t *in)
{
    uint64_t ack = in->packet.id == CLR_SIO_NO_ID ? CLR_NO_ACK : in->packet.id;
    deliver(s, in, CLR_FRAME_SIO_EVENT, &(route_t){.handle = socket->handle}, ack);
}

static void on_packet(clr_eio_session_t *s, const incoming_t *in)
{
    const clr_sio_packet_t *packet = &in->packet;
    if (packet->type == CLR_SIO_CONNECT) {
        on_connect(s, packet);
        return;
    }
    clr_sio_socket_t *socket = clr_sio_socket_find(s, packet->nsp);
    bool is_disconnect = packet->type == CLR_SIO_DISCONNECT;
    if (!socket || (socket->starting && !is_disconnect))
        on_stray(s, in);
    else if (is_disconnect)
        clr_sio_socket_end(socket, CLR_REASON_CLIENT_DISCONNECT);
    else if (packet->type == CLR_SIO_ACK || packet->type == CLR_SIO_BINARY_ACK)
        on_ack(s, socket, in);
    else
        on_event(s, socket, in);
}

static void on_text(clr_eio_session_t *s, clr_str_t text)
{
    incoming_t in = {.attachments = NULL};
    const char *why = "";
    if (s->sio.pending)
        violation(s, "a text packet instead of an attachment");
    else if (clr_sio_packet_parse(text, &in.packet, &why) != 0)
        violation(s, why);
    else
        on_packet(s, &in);
}

/* The whole packet in one message. */
static void on_msgpack(clr_eio_session_t *s, clr_str_t bytes)
{
    clr_str_t attachments[CLR_SIO_MAX_ATTACHMENTS];
    incoming_t in = {.attachments = attachments};
    const char *why = "";
    if (clr_msgpack_parse(bytes, clr_eio_scratch(&s->server->eio->json), &in.packet, attachments,
                          &why) != 0)
        violation(s, why);
    else
        on_packet(s, &in);
}

void clr_sio_client_message(clr_eio_session_t *s, bool binary, clr_str_t data)
{
    bool msgpack = s->server->config.msgpack;
    if (msgpack && binary)
        on_msgpack(s, data);
    else if (msgpack)
        violation(s, "text where msgpack is spoken");
    else if (binary)
        on_attachment(s, data);
    else
        on_text(s, data);
}

/* ---- the session ---- */

void clr_sio_client_closed(clr_eio_session_t *s, uint8_t reason)
{
    free_pending(s);
    while (s->sio.sockets)
        clr_sio_socket_end(s->sio.sockets, reason);
}

void clr_sio_client_placed(clr_eio_session_t *s)
{
    for (clr_sio_socket_t *socket = s->sio.sockets; socket; socket = socket->next_)
        clr_sio_socket_ask(socket);
}

void clr_sio_client_displaced(clr_eio_session_t *s)
{
    for (clr_sio_socket_t *socket = s->sio.sockets; socket; socket = socket->next_)
        clr_sio_socket_displaced(socket);
}

bool clr_sio_client_is_connecting(const clr_eio_session_t *s)
{
    for (const clr_sio_socket_t *socket = s->sio.sockets; socket; socket = socket->next_) {
        if (socket->asked && (socket->starting || socket->resuming))
            return true;
    }
    return false;
}

uint64_t clr_sio_client_any_handle(const clr_eio_session_t *s)
{
    for (clr_sio_socket_t *socket = s->sio.sockets; socket; socket = socket->next_) {
        if (socket->asked)
            return socket->handle;
    }
    return 0;
}
