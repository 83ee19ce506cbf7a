/* migrate.c: see migrate.h. */
#include "gateway/migrate.h"

#include "base/log.h"
#include "gateway/affinity.h"
#include "gateway/app_request.h"
#include "gateway/eio_app.h"
#include "gateway/eio_held.h"
#include "gateway/sio_socket.h"

#define LOG "migrate"

/* ---- what a dead worker never began ---- */

static clr_eio_session_t *session_of(clr_gateway_t *gw, const clr_frame_t *frame)
{
    clr_sio_socket_t *socket = clr_dispatch_find(gw, frame->stream, CLR_OBJECT_SOCKET);
    return socket ? socket->session : clr_dispatch_find(gw, frame->stream, CLR_OBJECT_SESSION);
}

/* One that has moved on meanwhile gets it where it is now. */
static void take_back(clr_eio_session_t *s, const clr_frame_t *frame, const clr_worker_t *dead)
{
    if (!s->worker || s->worker == dead) {
        clr_eio_take_back(s, frame);
        return;
    }
    clr_buf_append_str(clr_eio_deliver_begin(s, frame->type, frame->flags, frame->stream),
                       frame->payload);
    clr_eio_deliver_end(s);
}

static void take_all_back(clr_gateway_t *gw, clr_outbox_t *outbox, const clr_worker_t *dead)
{
    clr_frame_t frame;
    clr_outbox_drop_begun(outbox);
    while (clr_outbox_pop(outbox, &frame)) {
        frame.flags &= (uint8_t)~CLR_FRAME_TURN; /* it takes another */
        if (frame.type == CLR_FRAME_HTTP_REQUEST || frame.type == CLR_FRAME_WS_OPEN) {
            clr_app_never_begun(gw, frame.stream);
            continue;
        }
        clr_eio_session_t *s = session_of(gw, &frame);
        if (!s)
            continue;
        switch (frame.type) {
        case CLR_FRAME_SIO_EVENT:
        case CLR_FRAME_EIO_MESSAGE:
            take_back(s, &frame, dead);
            break;
        case CLR_FRAME_SIO_CONNECT:
        case CLR_FRAME_SIO_RESUME:
        case CLR_FRAME_EIO_OPEN:
        case CLR_FRAME_EIO_RESUME:
            s->innocent = s->worker == dead; /* its connect handler has not run */
            break;
        default: /* an answer that only this worker awaited */
            break;
        }
    }
}

/* ---- clients without a worker ---- */

/* A client whose connect handler brings down one worker after the other must not go on. */
static bool is_out(clr_eio_session_t *s)
{
    bool innocent = s->innocent || !clr_eio_app_is_connecting(s);
    s->innocent = false;
    return !innocent && ++s->strikes >= CLR_MIGRATE_STRIKES;
}

void clr_migrate_lost(clr_gateway_t *gw, clr_worker_t *dead, clr_outbox_t *outbox,
                      clr_list_t *sessions)
{
    size_t moved = 0;
    take_all_back(gw, outbox, dead);
    for (clr_list_t *node; (node = clr_list_pop_front(sessions));) {
        clr_eio_session_t *s = clr_container_of(node, clr_eio_session_t, node_);
        if (gw->draining || s->server->config.closes_on_loss) {
            clr_eio_session_close(s, CLR_REASON_TRANSPORT_ERROR, "its worker is gone");
        } else if (is_out(s)) {
            clr_log_error(LOG, "session %.4s… closed: its connect handler has ended %d workers",
                          s->sid, CLR_MIGRATE_STRIKES);
            clr_eio_session_close(s, CLR_REASON_TRANSPORT_ERROR, "it ended its workers");
        } else {
            clr_eio_session_displace(s);
            clr_eio_session_place(s);
            moved++;
        }
    }
    if (moved > 0)
        clr_log_info(LOG, "worker %u is gone: %zu of its clients go on with others",
                     clr_worker_number(dead), moved);
}

/* ---- moves of a worker that lives ---- */

static uint64_t stream_of(const clr_eio_session_t *s)
{
    return s->server->config.is_socketio ? clr_sio_client_any_handle(s) : s->handle;
}

static void send_empty(clr_eio_session_t *s, uint8_t type)
{
    clr_worker_begin(s->worker, type, 0, stream_of(s));
    clr_worker_end(s->worker);
}

static clr_worker_t *target(const clr_eio_session_t *s)
{
    clr_worker_t *to = s->move_to ? clr_dispatch_worker(s->server->gw, s->move_to) : NULL;
    return to && clr_worker_state(to) == CLR_WORKER_READY ? to : clr_affinity_choose(s);
}

static bool can_move(const clr_eio_session_t *s)
{
    return s->worker && stream_of(s) && s->state <= CLR_EIO_STATE_OPEN && !s->doom;
}

static void move_to(clr_eio_session_t *s, clr_worker_t *to)
{
    send_empty(s, CLR_FRAME_DROP);
    clr_eio_session_displace(s);
    if (to)
        clr_eio_session_assign(s, to);
    else
        clr_eio_session_place(s);
}

/* It left all its namespaces: its worker knows nothing of it. */
static bool is_unknown_to_worker(const clr_eio_session_t *s)
{
    return s->worker && s->state == CLR_EIO_STATE_OPEN && !s->doom && !s->sio.sockets &&
           s->server->config.is_socketio;
}

void clr_session_move(clr_eio_session_t *s, clr_worker_t *to)
{
    s->move_to = to ? clr_worker_serial(to) : 0;
    if (is_unknown_to_worker(s) && s->worker != to)
        clr_eio_session_displace(s);
    if (!can_move(s) || s->worker == to || s->move != CLR_EIO_MOVE_NONE)
        return;
    s->move = CLR_EIO_MOVE_ASKED;
    send_empty(s, CLR_FRAME_MOVE);
}

void clr_session_move_now(clr_eio_session_t *s, clr_worker_t *to)
{
    if (can_move(s) && s->worker != to)
        move_to(s, to);
}

/* The new worker may be gone by now, or the old one the only one that is ready: it stays then. */
static void finish_move(clr_eio_session_t *s)
{
    clr_worker_t *to = target(s);
    if (can_move(s) && to && to != s->worker) {
        move_to(s, to);
        return;
    }
    s->move = CLR_EIO_MOVE_NONE;
    clr_eio_held_release(s);
}

void clr_migrate_ask_again(clr_eio_session_t *s)
{
    if (s->move == CLR_EIO_MOVE_NONE)
        return;
    s->move = CLR_EIO_MOVE_NONE;
    clr_session_move(s, target(s));
    clr_eio_held_release(s);
}

void clr_migrate_on_idle(clr_eio_session_t *s, bool idle)
{
    if (s->move == CLR_EIO_MOVE_ASKED && idle) {
        finish_move(s);
    } else if (s->move == CLR_EIO_MOVE_ASKED) {
        s->move = CLR_EIO_MOVE_BUSY;
        clr_eio_held_release(s);
    } else if (s->move == CLR_EIO_MOVE_BUSY && idle) {
        /* Events may be under way: once more, holding them back. */
        s->move = CLR_EIO_MOVE_ASKED;
        send_empty(s, CLR_FRAME_MOVE);
    }
}
