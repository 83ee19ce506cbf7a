/* sio_socket.c: life of a socket, what waits for its acceptance, its pending acks. */
#include "gateway/sio_socket.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "gateway/eio_held.h"
#include "gateway/migrate.h"

/* A socket that the app has not accepted. */
typedef struct clr_sio_starting {
    clr_eio_item_t *held;
    uint32_t count;
    uint32_t cap;
    size_t bytes; /* of all held */
} clr_sio_starting_t;

typedef struct clr_sio_ack {
    uint64_t token;
    uint32_t serial; /* of the worker */
    uint32_t id;
} clr_sio_ack_t;

/* In order of id: the oldest first. Clients mostly answer in order. */
typedef struct clr_sio_acks {
    uint32_t from;
    uint32_t to;
    uint32_t cap;
    clr_sio_ack_t list[];
} clr_sio_acks_t;

/* ---- life ---- */

clr_sio_socket_t *clr_sio_socket_new(clr_eio_session_t *s, clr_str_t nsp, clr_str_t auth)
{
    clr_sio_socket_t *socket = clr_xcalloc(1, sizeof(*socket));
    socket->object.kind = CLR_OBJECT_SOCKET;
    socket->session = s;
    socket->handle = clr_dispatch_add(s->server->gw, &socket->object);
    socket->starting = clr_xcalloc(1, sizeof(*socket->starting));
    socket->auth = auth.n ? clr_shared_copy(auth) : NULL;
    clr_id_generate(socket->sid, s->server->gw->options.node_tag);
    s->server->gw->metrics.sockets_opened++;
    clr_sio_nsp_add(s->server, nsp, socket);
    socket->next_ = s->sio.sockets;
    s->sio.sockets = socket;
    return socket;
}

clr_sio_socket_t *clr_sio_socket_find(const clr_eio_session_t *s, clr_str_t nsp)
{
    for (clr_sio_socket_t *socket = s->sio.sockets; socket; socket = socket->next_) {
        if (clr_str_eq(clr_sio_nsp_name(socket->nsp), nsp))
            return socket;
    }
    return NULL;
}

static clr_str_t str_or_empty(const clr_shared_t *s)
{
    return s ? clr_shared_str(s) : CLR_STR_EMPTY;
}

static void write_rooms(const clr_sio_socket_t *socket, clr_buf_t *out)
{
    uint16_t count = socket->room_count < UINT16_MAX ? (uint16_t)socket->room_count : UINT16_MAX;
    clr_buf_append_le(out, count, 2);
    for (uint16_t i = 0; i < count; i++) {
        const clr_sio_room_t *room = socket->rooms[i].room;
        clr_write_str(out, clr_str(room->name, room->name_len));
    }
}

/* ---- turns ---- */

uint8_t clr_sio_socket_take_turn(clr_sio_socket_t *socket)
{
    CLR_ASSERT(!socket->has_turn);
    socket->has_turn = true;
    socket->session->turns++;
    return CLR_FRAME_TURN;
}

static void forget_turn(clr_sio_socket_t *socket)
{
    socket->session->turns -= socket->has_turn;
    socket->has_turn = false;
}

void clr_sio_socket_end_turn(clr_sio_socket_t *socket)
{
    forget_turn(socket);
    clr_eio_held_release(socket->session);
}

/* ---- its worker ---- */

/* Whether events wait for the connect handler. */
static bool connects_in_turn(const clr_eio_session_t *s)
{
    return s->server->config.takes_turns || s->server->config.accepts_first;
}

void clr_sio_socket_ask(clr_sio_socket_t *socket)
{
    clr_eio_session_t *s = socket->session;
    if (socket->asked)
        return;
    CLR_ASSERT(s->worker && (socket->starting || socket->resuming));
    socket->asked = true;
    clr_worker_count_socket(s->worker, 1);
    uint8_t type = socket->moved ? CLR_FRAME_SIO_RESUME : CLR_FRAME_SIO_CONNECT;
    uint8_t flags = connects_in_turn(s) ? clr_sio_socket_take_turn(socket) : 0;
    clr_buf_t *out = clr_worker_begin(s->worker, type, flags, socket->handle);
    clr_buf_append_le(out, s->server->number, 2);
    clr_write_str(out, clr_eio_session_sid(s));
    clr_write_str(out, clr_sio_socket_sid(socket));
    clr_write_str(out, clr_sio_nsp_name(socket->nsp));
    clr_write_str(out, str_or_empty(socket->auth));
    if (socket->moved) {
        write_rooms(socket, out);
        clr_write_str(out, str_or_empty(socket->saved));
    }
    clr_buf_append_str(out, clr_shared_str(s->request));
    clr_worker_end(s->worker);
}

void clr_sio_socket_displaced(clr_sio_socket_t *socket)
{
    if (!socket->asked)
        return;
    clr_worker_count_socket(socket->session->worker, -1);
    forget_turn(socket);
    socket->asked = false;
    socket->moved = true;
    if (socket->starting || socket->resuming)
        return;
    socket->resuming = true;
    socket->session->resuming++;
}

static void end_resuming(clr_sio_socket_t *socket)
{
    if (socket->resuming)
        socket->session->resuming--;
    socket->resuming = false;
}

static void free_starting(clr_sio_socket_t *socket)
{
    clr_sio_starting_t *starting = socket->starting;
    if (!starting)
        return;
    for (uint32_t i = 0; i < starting->count; i++)
        clr_shared_unref(starting->held[i].text);
    free(starting->held);
    free(starting);
    socket->starting = NULL;
}

static void unlink_from_client(clr_sio_socket_t *socket)
{
    clr_sio_socket_t **at = &socket->session->sio.sockets;
    while (*at != socket)
        at = &(*at)->next_;
    *at = socket->next_;
}

static void free_socket(clr_sio_socket_t *socket)
{
    if (socket->asked)
        clr_worker_count_socket(socket->session->worker, -1);
    end_resuming(socket);
    forget_turn(socket);
    clr_dispatch_remove(socket->session->server->gw, socket->handle);
    clr_sio_nsp_remove(socket);
    unlink_from_client(socket);
    free_starting(socket);
    free(socket->acks);
    if (socket->auth)
        clr_shared_unref(socket->auth);
    if (socket->saved)
        clr_shared_unref(socket->saved);
    free(socket);
}

void clr_sio_socket_end(clr_sio_socket_t *socket, uint8_t reason)
{
    clr_eio_session_t *s = socket->session;
    clr_worker_t *w = s->worker;
    s->server->gw->metrics.sockets_closed[reason]++;
    if (socket->asked && clr_worker_state(w) != CLR_WORKER_GONE) {
        clr_eio_held_flush_socket(s, socket->handle);
        clr_buf_t *out = clr_worker_begin(w, CLR_FRAME_SIO_DISCONNECT, 0, socket->handle);
        clr_buf_append_le(out, reason, 1);
        clr_worker_end(w);
    }
    free_socket(socket);
    clr_eio_held_release(s); /* it may have been the one that held the others back */
    clr_migrate_ask_again(s);
}

/* ---- the app's answers ---- */

static void send_control(clr_sio_socket_t *socket, uint8_t type, clr_str_t json)
{
    clr_data_t data = {.json = json};
    clr_sio_packet_out_t packet;
    clr_eio_session_t *s = socket->session;
    clr_sio_packet_out_init(&packet, s->server, type, clr_sio_nsp_name(socket->nsp), &data);
    clr_sio_packet_out_send(&packet, s, CLR_SIO_NO_ID);
    clr_sio_packet_out_deinit(&packet);
}

/* The worker has answered for a socket, or there is one less to answer for. */
static void settle(clr_eio_session_t *s)
{
    if (!clr_sio_client_is_connecting(s))
        s->strikes = 0;
    clr_eio_held_release(s);
}

static void tell_accepted(clr_sio_socket_t *socket)
{
    clr_sio_starting_t *starting = socket->starting;
    char json[sizeof("{\"sid\":\"\"}") + CLR_ID_LEN];
    int n = snprintf(json, sizeof(json), "{\"sid\":\"%.*s\"}", CLR_ID_LEN, socket->sid);
    send_control(socket, CLR_SIO_CONNECT, clr_str(json, (size_t)n));
    for (uint32_t i = 0; i < starting->count; i++)
        clr_eio_session_send_item(socket->session, starting->held[i]);
    free_starting(socket);
}

void clr_sio_socket_accept(clr_sio_socket_t *socket)
{
    if (socket->starting)
        tell_accepted(socket);
    else if (!socket->resuming)
        return;
    end_resuming(socket); /* the client knows nothing of the move */
    settle(socket->session);
}

void clr_sio_socket_refuse(clr_sio_socket_t *socket, clr_str_t error)
{
    clr_eio_session_t *s = socket->session;
    if (socket->starting) {
        s->server->gw->metrics.sockets_refused++;
        send_control(socket, CLR_SIO_CONNECT_ERROR, error);
    } else if (socket->resuming) {
        s->server->gw->metrics.sockets_closed[CLR_REASON_SERVER_DISCONNECT]++;
        send_control(socket, CLR_SIO_DISCONNECT, CLR_STR_EMPTY);
        s->sio.kicked = true;
    } else {
        return;
    }
    free_socket(socket);
    settle(s);
    if (!s->sio.sockets) /* it joined nothing: the clock runs again */
        clr_eio_session_set_connect_timeout(s, s->server->config.connect_timeout_ms);
}

void clr_sio_socket_kick(clr_sio_socket_t *socket)
{
    clr_eio_session_t *s = socket->session;
    if (socket->starting)
        clr_sio_socket_accept(socket); /* a DISCONNECT means nothing before the CONNECT reply */
    send_control(socket, CLR_SIO_DISCONNECT, CLR_STR_EMPTY);
    s->sio.kicked = true;
    clr_sio_socket_end(socket, CLR_REASON_SERVER_DISCONNECT);
}

/* ---- events ---- */

static void hold(clr_sio_socket_t *socket, clr_shared_t *text)
{
    clr_sio_starting_t *starting = socket->starting;
    clr_eio_session_t *s = socket->session;
    if (starting->bytes + text->len > s->server->gw->options.max_buffered && starting->count > 0) {
        clr_log_warn("sio", "session %.4s… disconnected: %zu bytes emitted before it was accepted",
                     s->sid, starting->bytes);
        clr_eio_session_doom(s, CLR_REASON_TRANSPORT_ERROR, "too much before the CONNECT reply");
        return;
    }
    if (starting->count == starting->cap) {
        starting->cap = starting->cap ? starting->cap * 2 : 4;
        starting->held = clr_xrealloc(starting->held, starting->cap * sizeof(*starting->held));
    }
    starting->held[starting->count++] = (clr_eio_item_t){clr_shared_ref(text), false};
    starting->bytes += text->len;
}

static bool has_room(clr_sio_acks_t *acks)
{
    return acks && acks->to < acks->cap;
}

/* Grows, or moves the pending ones to the front. */
static clr_sio_acks_t *make_room(clr_sio_acks_t *acks)
{
    if (!acks) {
        acks = clr_xmalloc(sizeof(*acks) + 4 * sizeof(acks->list[0]));
        acks->from = acks->to = 0;
        acks->cap = 4;
    } else if (acks->from > acks->cap / 2) {
        uint32_t count = acks->to - acks->from;
        memmove(acks->list, acks->list + acks->from, count * sizeof(acks->list[0]));
        acks->from = 0;
        acks->to = count;
    } else {
        acks->cap *= 2;
        acks = clr_xrealloc(acks, sizeof(*acks) + acks->cap * sizeof(acks->list[0]));
    }
    return acks;
}

/* The wire id to send, or CLR_SIO_NO_ID when there are too many already. */
static uint64_t expect_ack(clr_sio_socket_t *socket, const clr_worker_t *asker, uint64_t token)
{
    clr_sio_acks_t *acks = socket->acks;
    if (acks && acks->to - acks->from >= CLR_SIO_MAX_ACKS) {
        clr_log_warn("sio", "session %.4s… disconnected: %d acks never came", socket->session->sid,
                     CLR_SIO_MAX_ACKS);
        clr_eio_session_doom(socket->session, CLR_REASON_TRANSPORT_ERROR, "acks never came");
        return CLR_SIO_NO_ID;
    }
    if (!has_room(acks))
        socket->acks = acks = make_room(acks);
    uint32_t id = ++socket->last_ack;
    acks->list[acks->to++] = (clr_sio_ack_t){token, clr_worker_serial(asker), id};
    return id;
}

static uint32_t find_ack(const clr_sio_acks_t *acks, uint64_t id)
{
    uint32_t lo = acks->from, hi = acks->to;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (acks->list[mid].id < id)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

bool clr_sio_socket_take_ack(clr_sio_socket_t *socket, uint64_t id, uint32_t *serial,
                             uint64_t *token)
{
    clr_sio_acks_t *acks = socket->acks;
    if (!acks)
        return false;
    uint32_t at = find_ack(acks, id);
    if (at == acks->to || acks->list[at].id != id)
        return false;
    *serial = acks->list[at].serial;
    *token = acks->list[at].token;
    memmove(acks->list + acks->from + 1, acks->list + acks->from,
            (at - acks->from) * sizeof(acks->list[0]));
    if (++acks->from == acks->to) {
        free(acks);
        socket->acks = NULL;
    }
    return true;
}

void clr_sio_socket_send(clr_sio_socket_t *socket, clr_sio_packet_out_t *packet, bool is_volatile,
                         const clr_worker_t *asker, uint64_t token)
{
    clr_eio_session_t *s = socket->session;
    if (is_volatile && (socket->starting || !clr_eio_session_is_writable(s)))
        return;
    uint64_t id = asker ? expect_ack(socket, asker, token) : CLR_SIO_NO_ID;
    if (asker && id == CLR_SIO_NO_ID)
        return;
    if (!socket->starting) {
        clr_sio_packet_out_send(packet, s, id);
        return;
    }
    clr_shared_t *text = clr_sio_packet_out_text(packet, id);
    hold(socket, text);
    clr_shared_unref(text);
}
