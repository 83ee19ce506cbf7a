/* eio_session.c: life, heartbeat and output of an Engine.IO session. */
#include "gateway/eio_session.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/base64.h"
#include "base/log.h"
#include "base/mem.h"
#include "gateway/affinity.h"
#include "gateway/eio_app.h"
#include "gateway/eio_held.h"
#include "gateway/eio_polling.h"
#include "gateway/eio_websocket.h"
#include "gateway/migrate.h"

#define LOG "eio"

/* A volatile packet still goes to a WebSocket with this much queued: less than one turn's output.
 */
#define VOLATILE_PENDING 4096

/* A loop that was late by more than this gives the client its full time from now on. */
#define LATE_MS 50

static clr_loop_t *loop_of(const clr_eio_session_t *s)
{
    return s->server->gw->loop;
}

static void bury(clr_eio_session_t *s)
{
    clr_list_remove(&s->end_);
    clr_list_push_back(&s->server->eio->dead, &s->end_);
    clr_loop_mark(loop_of(s), &s->server->eio->flush);
}

/* ---- timer ---- */

static void reschedule(clr_eio_session_t *s)
{
    uint64_t at = s->beat_at;
    if (s->connect_by && (!at || s->connect_by < at))
        at = s->connect_by;
    if (at)
        clr_loop_timer_start_at(loop_of(s), &s->timer, at);
    else
        clr_timer_stop(&s->timer);
}

static void send_ping(clr_eio_session_t *s, uint64_t now)
{
    uint64_t due = s->beat_at;
    if (now - due > LATE_MS)
        due = now;
    s->beat_at = due + s->server->config.ping_timeout_ms;
    s->awaits_pong = true;
    s->extended = false;
    clr_eio_session_send_text(s, CLR_STR("2"), CLR_STR_EMPTY);
}

static void on_pong(clr_eio_session_t *s)
{
    if (!s->awaits_pong)
        return;
    s->awaits_pong = false;
    s->beat_at = clr_loop_now(loop_of(s)) + s->server->config.ping_interval_ms;
    reschedule(s);
}

/* Another packet than the pong that is due shows that the client lives: once a ping. */
static void extend(clr_eio_session_t *s)
{
    if (!s->awaits_pong || s->extended)
        return;
    s->extended = true;
    s->beat_at = clr_loop_now(loop_of(s)) + s->server->config.ping_timeout_ms;
}

static void on_connect_timeout(clr_eio_session_t *s)
{
    if (s->state == CLR_EIO_STATE_OPENING)
        clr_eio_session_close(s, CLR_REASON_SERVER_DISCONNECT, "the app did not answer");
    else if (s->state == CLR_EIO_STATE_CLOSING)
        clr_eio_session_close(s, CLR_REASON_SERVER_DISCONNECT, "closed");
    else
        clr_eio_session_close(s, CLR_REASON_SERVER_DISCONNECT, "no CONNECT in time");
}

static void on_timer(clr_timer_t *t)
{
    clr_eio_session_t *s = clr_container_of(t, clr_eio_session_t, timer);
    uint64_t now = clr_loop_now(loop_of(s));
    if (s->connect_by && now >= s->connect_by) {
        on_connect_timeout(s);
        return;
    }
    if (s->beat_at && now >= s->beat_at) {
        if (s->awaits_pong && !s->paused) {
            clr_eio_session_close(s, CLR_REASON_PING_TIMEOUT, "ping timeout");
            return;
        }
        if (s->awaits_pong) /* its pong may be among what we do not read */
            s->beat_at = now + s->server->config.ping_timeout_ms;
        else
            send_ping(s, now);
    }
    reschedule(s);
}

bool clr_eio_session_is_alive(clr_eio_session_t *s)
{
    if (!s->awaits_pong || s->paused || s->state != CLR_EIO_STATE_OPEN ||
        clr_loop_now(loop_of(s)) + CLR_EIO_GRACE_MS < s->beat_at)
        return true;
    clr_eio_session_close(s, CLR_REASON_PING_TIMEOUT, "ping timeout");
    return false;
}

void clr_eio_session_set_connect_timeout(clr_eio_session_t *s, uint64_t ms)
{
    s->connect_by = ms ? clr_loop_now(loop_of(s)) + ms : 0;
    reschedule(s);
}

/* ---- life ---- */

clr_eio_session_t *clr_eio_session_new(clr_eio_server_t *server, clr_shared_t *request)
{
    clr_eio_session_t *s = clr_xcalloc(1, sizeof(*s));
    s->object.kind = CLR_OBJECT_SESSION;
    s->state = CLR_EIO_STATE_OPENING;
    s->server = server;
    s->request = request;
    clr_list_init(&s->node_);
    clr_list_init(&s->end_);
    clr_timer_init(&s->timer, on_timer);
    clr_id_generate(s->sid, server->gw->options.node_tag);
    void *before = clr_map_put(&server->sessions, clr_eio_session_sid(s), s);
    CLR_ASSERT(!before); /* 128 random bits */
    server->gw->metrics.sessions_opened++;
    return s;
}

clr_eio_session_t *clr_eio_session_find(const clr_eio_server_t *server, clr_str_t sid)
{
    return sid.n == CLR_ID_LEN ? clr_map_get(&server->sessions, sid) : NULL;
}

void clr_eio_session_open(clr_eio_session_t *s)
{
    CLR_ASSERT(s->state == CLR_EIO_STATE_OPENING);
    s->state = CLR_EIO_STATE_OPEN;
    s->beat_at = clr_loop_now(loop_of(s)) + s->server->config.ping_interval_ms;
    s->connect_by = 0;
    if (s->server->config.is_socketio)
        s->connect_by = clr_loop_now(loop_of(s)) + s->server->config.connect_timeout_ms;
    reschedule(s);
}

void clr_eio_session_append_open(const clr_eio_session_t *s, clr_buf_t *out)
{
    const clr_eio_config_t *c = &s->server->config;
    clr_buf_putc(out, CLR_EIO_OPEN);
    clr_eio_open_json(out, clr_eio_session_sid(s), !s->ws && c->websocket && c->allow_upgrades,
                      c->ping_interval_ms, c->ping_timeout_ms, c->max_payload);
}

void clr_eio_session_free(clr_eio_session_t *s)
{
    CLR_ASSERT(s->state == CLR_EIO_STATE_CLOSED && !s->polling && !s->probe && !s->ws);
    clr_shared_unref(s->request);
    if (s->saved)
        clr_shared_unref(s->saved);
    free(s);
}

static void leave_worker(clr_eio_session_t *s)
{
    if (s->worker)
        clr_worker_remove_session(s->worker, &s->node_);
    else
        clr_list_remove(&s->node_); /* it may wait for one */
    s->worker = NULL;
}

/* What all ends have in common, but for the transports. */
static void detach(clr_eio_session_t *s, uint8_t reason, const char *why)
{
    clr_log_debug(LOG, "session %.4s… closed: %s", s->sid, why);
    s->server->gw->metrics.sessions_closed[reason]++;
    clr_eio_held_flush(s); /* what it sent before it went */
    clr_eio_app_closed(s, reason);
    clr_eio_held_free(s);
    clr_affinity_leave(s);
    clr_timer_stop(&s->timer);
    leave_worker(s);
}

static void close_now(clr_eio_session_t *s, uint8_t reason, const char *why, char get_answer,
                      uint16_t code)
{
    if (s->state == CLR_EIO_STATE_CLOSED)
        return;
    uint8_t before = s->state;
    s->state = CLR_EIO_STATE_CLOSED;
    clr_map_remove(&s->server->sessions, clr_eio_session_sid(s));
    if (before != CLR_EIO_STATE_CLOSING)
        detach(s, reason, why);
    clr_timer_stop(&s->timer);
    clr_eio_probe_cancel(s);
    clr_eio_websocket_close(s, code);
    clr_eio_polling_close(s, get_answer);
    bury(s);
}

void clr_eio_session_close(clr_eio_session_t *s, uint8_t reason, const char *why)
{
    close_now(s, reason, why, CLR_EIO_CLOSE, 0);
}

void clr_eio_session_close_by_client(clr_eio_session_t *s)
{
    close_now(s, CLR_REASON_CLIENT_DISCONNECT, "the client closed it", CLR_EIO_NOOP, 0);
}

void clr_eio_session_doom(clr_eio_session_t *s, uint8_t reason, const char *why)
{
    if (s->state == CLR_EIO_STATE_CLOSED || s->doom)
        return;
    s->doom = reason;
    s->doom_why = why;
    clr_list_push_back(&s->server->eio->doomed, &s->end_);
    clr_loop_mark(loop_of(s), &s->server->eio->flush);
}

void clr_eio_session_finish(clr_eio_session_t *s, uint16_t code, const char *why)
{
    if (s->state >= CLR_EIO_STATE_CLOSING)
        return;
    if (s->state == CLR_EIO_STATE_OPENING || s->ws) {
        close_now(s, CLR_REASON_SERVER_DISCONNECT, why, CLR_EIO_CLOSE, code);
        return;
    }
    s->state = CLR_EIO_STATE_CLOSING;
    detach(s, CLR_REASON_SERVER_DISCONNECT, why);
    clr_eio_probe_cancel(s);
    s->beat_at = 0;
    clr_eio_session_set_connect_timeout(s, CLR_EIO_LINGER_MS);
    clr_eio_polling_finish(s);
}

void clr_eio_session_abandon(clr_eio_session_t *s)
{
    clr_eio_probe_abandon(s);
    s->ws = NULL;
    clr_eio_polling_abandon(s);
    clr_eio_session_close(s, CLR_REASON_SERVER_DISCONNECT, "the gateway ends");
}

/* ---- input ---- */

void clr_eio_session_input(clr_eio_session_t *s, const clr_eio_packet_t *packet)
{
    if (s->state != CLR_EIO_STATE_OPEN)
        return;
    switch (packet->type) {
    case CLR_EIO_MESSAGE:
        extend(s);
        clr_eio_app_message(s, packet->binary, packet->data);
        break;
    case CLR_EIO_PONG:
        on_pong(s);
        break;
    case CLR_EIO_CLOSE:
        clr_eio_session_close_by_client(s);
        break;
    case CLR_EIO_PING: /* in this revision only the server pings */
        clr_eio_session_close(s, CLR_REASON_TRANSPORT_ERROR, "a ping from the client");
        break;
    default: /* OPEN, UPGRADE and NOOP mean nothing here */
        break;
    }
}

/* ---- worker ---- */

void clr_eio_session_place(clr_eio_session_t *s)
{
    if (s->worker)
        return;
    clr_worker_t *w = clr_affinity_choose(s);
    if (!w) {
        clr_dispatch_wait(s->server->gw, &s->node_);
        return;
    }
    clr_eio_session_assign(s, w);
    if (s->worker == w && clr_worker_state(w) == CLR_WORKER_RETIRING)
        clr_session_move(s, NULL);
}

void clr_eio_session_assign(clr_eio_session_t *s, clr_worker_t *w)
{
    CLR_ASSERT(!s->worker);
    s->worker = w;
    clr_worker_add_session(w, &s->node_, !s->moved);
    clr_affinity_bind(s);
    if (clr_worker_is_congested(w))
        clr_eio_session_pause(s, CLR_EIO_PAUSE_CONGESTED, true);
    clr_eio_app_placed(s);
    clr_eio_held_release(s);
}

void clr_eio_session_displace(clr_eio_session_t *s)
{
    CLR_ASSERT(s->worker);
    clr_eio_app_displaced(s);
    s->former = clr_worker_serial(s->worker);
    s->move = CLR_EIO_MOVE_NONE;
    s->moved = true;
    leave_worker(s);
    clr_eio_session_pause(s, CLR_EIO_PAUSE_CONGESTED, false);
}

void clr_eio_session_pause(clr_eio_session_t *s, enum clr_eio_pause why, bool paused)
{
    uint8_t before = s->paused;
    s->paused = paused ? before | (uint8_t)why : before & (uint8_t)~why;
    if (!before == !s->paused)
        return;
    if (s->ws)
        clr_ws_pause(s->ws, paused);
    clr_eio_polling_pause(s, paused);
    if (!paused && s->awaits_pong) {
        s->beat_at = clr_loop_now(loop_of(s)) + s->server->config.ping_timeout_ms;
        reschedule(s);
    }
}

void clr_eio_session_upgraded(clr_eio_session_t *s)
{
    CLR_ASSERT(s->request->len > 0);
    s->request->data[0] = CLR_TRANSPORT_WEBSOCKET; /* for the requests of later namespaces */
    if (s->awaits_pong) { /* the pong may have been lost on its way between the transports */
        s->beat_at = clr_loop_now(loop_of(s)) + s->server->config.ping_timeout_ms;
        reschedule(s);
    }
    clr_eio_app_upgraded(s);
}

/* ---- output ---- */

static bool takes_output(const clr_eio_session_t *s)
{
    return s->state <= CLR_EIO_STATE_OPEN && !s->doom;
}

void clr_eio_session_send_text(clr_eio_session_t *s, clr_str_t head, clr_str_t body)
{
    if (!takes_output(s))
        return;
    size_t n = head.n + body.n;
    if (s->ws) {
        char *p = clr_ws_reserve(s->ws, CLR_WS_TEXT, n);
        memcpy(p, head.p, head.n);
        memcpy(p + head.n, body.p, body.n);
        clr_ws_commit(s->ws);
        return;
    }
    clr_shared_t *text = clr_shared_new(n);
    memcpy(text->data, head.p, head.n);
    memcpy(text->data + head.n, body.p, body.n);
    text->len = (uint32_t)n;
    clr_eio_polling_push(s, (clr_eio_item_t){text, true});
    clr_shared_unref(text);
}

void clr_eio_session_send_piece(clr_eio_session_t *s, clr_str_t head, clr_str_t body, size_t from,
                                size_t to)
{
    if (s->ws && takes_output(s))
        clr_ws_send_piece(s->ws, head, body, from, to);
    else
        clr_eio_session_send_text(s, head, body);
}

void clr_eio_session_send_binary(clr_eio_session_t *s, clr_str_t bytes)
{
    if (!takes_output(s))
        return;
    if (s->ws) {
        clr_ws_send(s->ws, CLR_WS_BINARY, bytes);
        return;
    }
    clr_buf_t *base64 = clr_eio_scratch(&s->server->eio->payload);
    clr_buf_putc(base64, 'b');
    clr_base64_encode(base64, bytes.p, bytes.n);
    clr_shared_t *text = clr_shared_copy(clr_buf_str(base64));
    clr_eio_polling_push(s, (clr_eio_item_t){text, true});
    clr_shared_unref(text);
}

void clr_eio_session_send_frames(clr_eio_session_t *s, clr_shared_t *frames)
{
    CLR_ASSERT(s->ws);
    if (takes_output(s))
        clr_ws_send_frames(s->ws, frames);
}

void clr_eio_session_send_item(clr_eio_session_t *s, clr_eio_item_t item)
{
    if (!takes_output(s))
        return;
    if (s->ws)
        clr_eio_websocket_send_item(s->ws, item, s->server->eio);
    else
        clr_eio_polling_push(s, item);
}

bool clr_eio_session_is_writable(const clr_eio_session_t *s)
{
    if (!takes_output(s))
        return false;
    return s->ws ? clr_ws_pending(s->ws) <= VOLATILE_PENDING : clr_eio_polling_is_writable(s);
}
