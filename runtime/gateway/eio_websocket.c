/* eio_websocket.c: WebSocket messages of a session, and the upgrade from polling. */
#include "gateway/eio_websocket.h"

#include <stdlib.h>

#include "base/mem.h"
#include "gateway/eio_origin.h"
#include "gateway/eio_polling.h"

#define PROBE_TIMEOUT_MS 10000

struct clr_eio_probe {
    clr_ws_conn_t *ws;
    clr_eio_session_t *session;
    clr_timer_t timer;
    bool probed; /* "2probe" came */
};

static void free_probe(struct clr_eio_probe *probe)
{
    clr_timer_stop(&probe->timer);
    probe->session->probe = NULL;
    free(probe);
}

/* ---- the probe's messages ---- */

/* The WebSocket is the transport from here on: first what is queued, then all that follows. */
static void switch_over(clr_eio_session_t *s)
{
    s->ws = s->probe->ws;
    free_probe(s->probe);
    clr_eio_polling_switch(s);
    if (s->paused)
        clr_ws_pause(s->ws, true);
    clr_eio_session_upgraded(s);
}

static void on_probe_message(clr_eio_session_t *s, uint8_t opcode, clr_str_t payload)
{
    if (opcode == CLR_WS_TEXT && clr_str_eq(payload, CLR_STR("2probe"))) {
        s->probe->probed = true;
        clr_ws_send(s->probe->ws, CLR_WS_TEXT, CLR_STR("3probe"));
        clr_eio_polling_hurry(s, true);
    } else if (opcode == CLR_WS_TEXT && s->probe->probed && clr_str_eq(payload, CLR_STR("5"))) {
        switch_over(s);
    } else {
        clr_eio_probe_cancel(s);
    }
}

/* ---- both ---- */

static void on_text(clr_eio_session_t *s, clr_str_t text)
{
    clr_eio_packet_t packet;
    if (clr_eio_packet_parse(text, clr_eio_scratch(&s->server->eio->packet), &packet) != 0)
        clr_eio_session_close(s, CLR_REASON_TRANSPORT_ERROR, "a packet that is none");
    else
        clr_eio_session_input(s, &packet);
}

static void on_message(clr_ws_conn_t *ws, uint8_t opcode, clr_str_t payload)
{
    clr_eio_session_t *s = clr_ws_ctx(ws);
    if (!s) /* we closed it; this was on its way */
        return;
    if (s->ws != ws) {
        on_probe_message(s, opcode, payload);
    } else if (opcode == CLR_WS_TEXT) {
        on_text(s, payload);
    } else {
        clr_eio_packet_t packet = {.type = CLR_EIO_MESSAGE, .binary = true, .data = payload};
        clr_eio_session_input(s, &packet);
    }
}

static void on_closed(clr_ws_conn_t *ws, uint16_t code, bool clean, const char *why)
{
    clr_eio_session_t *s = clr_ws_ctx(ws);
    if (!s)
        return;
    if (s->ws != ws) {
        free_probe(s->probe);
        clr_eio_polling_hurry(s, false);
        return;
    }
    s->ws = NULL;
    /* What was neither closed nor lost was cut: it broke the rules, or did not read. */
    bool went = clean || code == CLR_WS_ABNORMAL;
    clr_eio_session_close(s, went ? CLR_REASON_TRANSPORT_CLOSE : CLR_REASON_TRANSPORT_ERROR, why);
}

/* The context of every WebSocket here is its session, or NULL once we have closed it. */
static const clr_ws_ops_t ws_ops = {.on_message = on_message, .on_closed = on_closed};

/* ---- the transport ---- */

static clr_ws_conn_t *upgrade(clr_eio_session_t *s, clr_exchange_t *x)
{
    clr_eio_server_t *server = s->server;
    clr_buf_t *headers = clr_eio_scratch(&server->eio->headers);
    clr_eio_origin_headers(server, x, headers); /* refused origins do not come this far */
    return clr_ws_upgrade(x, clr_buf_str(headers), server->config.max_payload, &ws_ops, s);
}

bool clr_eio_websocket_accept(clr_eio_session_t *s, clr_exchange_t *x)
{
    s->ws = upgrade(s, x);
    if (!s->ws)
        return false;
    clr_buf_t *packet = clr_eio_scratch(&s->server->eio->packet);
    clr_eio_session_append_open(s, packet);
    clr_ws_send(s->ws, CLR_WS_TEXT, clr_buf_str(packet));
    clr_eio_polling_switch(s);
    if (s->paused)
        clr_ws_pause(s->ws, true);
    return true;
}

void clr_eio_websocket_close(clr_eio_session_t *s, uint16_t code)
{
    if (!s->ws)
        return;
    clr_ws_set_ctx(s->ws, NULL);
    clr_ws_close(s->ws, code, CLR_STR_EMPTY);
    s->ws = NULL;
}

static void send_packet_text(clr_ws_conn_t *ws, clr_str_t text, clr_eio_t *eio)
{
    clr_eio_packet_t packet;
    if (text.n > 0 && text.p[0] == 'b' &&
        clr_eio_packet_parse(text, clr_eio_scratch(&eio->packet), &packet) == 0)
        clr_ws_send(ws, CLR_WS_BINARY, packet.data);
    else
        clr_ws_send(ws, CLR_WS_TEXT, text);
}

void clr_eio_websocket_send_item(clr_ws_conn_t *ws, clr_eio_item_t item, clr_eio_t *eio)
{
    clr_str_t rest = clr_shared_str(item.text), text;
    if (item.whole) {
        send_packet_text(ws, rest, eio);
        return;
    }
    while (clr_eio_payload_next(&rest, &text))
        send_packet_text(ws, text, eio);
}

/* ---- the probe's life ---- */

void clr_eio_probe_cancel(clr_eio_session_t *s)
{
    if (!s->probe)
        return;
    clr_ws_set_ctx(s->probe->ws, NULL);
    clr_ws_close(s->probe->ws, 0, CLR_STR_EMPTY);
    free_probe(s->probe);
    if (s->polling)
        clr_eio_polling_hurry(s, false);
}

void clr_eio_probe_abandon(clr_eio_session_t *s)
{
    if (s->probe)
        free_probe(s->probe);
}

static void on_probe_timeout(clr_timer_t *t)
{
    clr_eio_probe_cancel(clr_container_of(t, struct clr_eio_probe, timer)->session);
}

void clr_eio_websocket_probe(clr_eio_session_t *s, clr_exchange_t *x)
{
    clr_ws_conn_t *ws = upgrade(s, x);
    if (!ws)
        return;
    if (s->ws || s->probe || s->state != CLR_EIO_STATE_OPEN) {
        /* Clients take an HTTP error here for a broken server: open, then close. */
        clr_ws_set_ctx(ws, NULL);
        clr_ws_close(ws, 0, CLR_STR_EMPTY);
        return;
    }
    s->probe = clr_xcalloc(1, sizeof(*s->probe));
    s->probe->ws = ws;
    s->probe->session = s;
    clr_timer_init(&s->probe->timer, on_probe_timeout);
    clr_loop_timer_start(s->server->gw->loop, &s->probe->timer, PROBE_TIMEOUT_MS);
}
