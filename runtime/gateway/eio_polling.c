/* eio_polling.c: GETs, POSTs and the queue of a polling session. */
#include "gateway/eio_polling.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "gateway/eio_response.h"
#include "gateway/eio_websocket.h"

/* Packets in one POST. Clients batch what they have; nobody batches this much. */
#define MAX_PACKETS 1000

typedef struct clr_eio_polling {
    clr_flush_t flush;
    clr_eio_session_t *session;
    clr_exchange_t *get;
    clr_exchange_t *post;
    clr_exchange_t *handshake;
    clr_buf_t body; /* of the POST */
    clr_eio_item_t *items;
    uint32_t count;
    uint32_t cap;
    size_t bytes; /* of all items */
    bool hurry;   /* an empty queue is answered with a noop packet */
} clr_eio_polling_t;

static void on_flush(clr_flush_t *flush);

static clr_eio_polling_t *open_polling(clr_eio_session_t *s)
{
    if (!s->polling) {
        s->polling = clr_xcalloc(1, sizeof(*s->polling));
        s->polling->session = s;
        clr_flush_init(&s->polling->flush, on_flush);
    }
    return s->polling;
}

static void mark(clr_eio_polling_t *p)
{
    clr_loop_mark(p->session->server->gw->loop, &p->flush);
}

/* ---- queue ---- */

void clr_eio_polling_push(clr_eio_session_t *s, clr_eio_item_t item)
{
    clr_eio_polling_t *p = open_polling(s);
    if (p->bytes + item.text->len > s->server->gw->options.max_buffered && p->count > 0) {
        clr_log_warn("eio", "session %.4s… disconnected: stalled reader: %zu bytes queued", s->sid,
                     p->bytes);
        clr_eio_session_doom(s, CLR_REASON_TRANSPORT_ERROR, "stalled reader");
        return;
    }
    if (p->count == p->cap) {
        p->cap = p->cap ? p->cap * 2 : 4;
        p->items = clr_xrealloc(p->items, p->cap * sizeof(*p->items));
    }
    p->items[p->count++] = (clr_eio_item_t){clr_shared_ref(item.text), item.whole};
    p->bytes += item.text->len;
    if (p->get)
        mark(p);
}

static void drop_items(clr_eio_polling_t *p, uint32_t count)
{
    if (count == 0)
        return;
    for (uint32_t i = 0; i < count; i++) {
        p->bytes -= p->items[i].text->len;
        clr_shared_unref(p->items[i].text);
    }
    p->count -= count;
    memmove(p->items, p->items + count, p->count * sizeof(*p->items));
    if (p->count == 0) {
        free(p->items);
        p->items = NULL;
        p->cap = 0;
    }
}

/* Moves packets from the queue to *out, as many as make one response: at least one. */
static void take_payload(clr_eio_polling_t *p, clr_buf_t *out)
{
    uint64_t max = p->session->server->config.max_payload;
    uint32_t i = 0;
    for (; i < p->count; i++) {
        clr_str_t text = clr_shared_str(p->items[i].text);
        if (i > 0 && out->n + 1 + text.n > max)
            break;
        if (out->n > 0)
            clr_buf_putc(out, CLR_EIO_SEPARATOR);
        clr_buf_append_str(out, text);
    }
    drop_items(p, i);
}

/* ---- answering the GET ---- */

static void answer_get(clr_eio_polling_t *p, clr_str_t body)
{
    clr_exchange_t *x = p->get;
    p->get = NULL;
    clr_eio_respond_payload(p->session->server, p->session, x, body);
}

static void answer_get_char(clr_eio_polling_t *p, char packet)
{
    if (p->get)
        answer_get(p, clr_str(&packet, 1));
}

static void on_flush(clr_flush_t *flush)
{
    clr_eio_polling_t *p = clr_container_of(flush, clr_eio_polling_t, flush);
    clr_eio_session_t *s = p->session;
    if (!p->get)
        return;
    bool last = s->state == CLR_EIO_STATE_CLOSING;
    if (p->count == 0) {
        if (last)
            answer_get_char(p, CLR_EIO_CLOSE);
        else if (p->hurry)
            answer_get_char(p, CLR_EIO_NOOP);
    } else {
        clr_buf_t *body = clr_eio_scratch(&s->server->eio->payload);
        take_payload(p, body);
        last = last && p->count == 0;
        if (last) {
            clr_buf_putc(body, CLR_EIO_SEPARATOR);
            clr_buf_putc(body, CLR_EIO_CLOSE);
        }
        answer_get(p, clr_buf_str(body));
    }
    if (last)
        clr_eio_session_close(s, CLR_REASON_SERVER_DISCONNECT, "closed");
}

static void on_get_abort(clr_exchange_t *x)
{
    clr_eio_polling_t *p = x->ctx;
    CLR_ASSERT(p->get == x);
    p->get = NULL;
    clr_eio_session_close(p->session, CLR_REASON_TRANSPORT_ERROR, "a GET was aborted");
}

void clr_eio_polling_get(clr_eio_session_t *s, clr_exchange_t *x)
{
    static const clr_handler_t parked = {.on_abort = on_get_abort};
    clr_eio_polling_t *p = open_polling(s);
    if (p->get) {
        clr_eio_respond_empty(s->server, s, x, 400);
        clr_eio_session_close(s, CLR_REASON_TRANSPORT_ERROR, "a second GET");
        return;
    }
    p->get = x;
    x->handler = &parked;
    x->ctx = p;
    if (p->count > 0 || p->hurry || s->state == CLR_EIO_STATE_CLOSING)
        mark(p);
}

/* ---- POST ---- */

static void on_post_body(clr_exchange_t *x, clr_str_t piece)
{
    clr_eio_polling_t *p = x->ctx;
    CLR_ASSERT(p->post == x);
    clr_buf_append_str(&p->body, piece); /* the exchange enforces body_limit */
}

/* Bad packets end the session with a negative result; its own end in good order does not. */
static int dispatch_packets(clr_eio_session_t *s, clr_str_t payload)
{
    clr_str_t text;
    for (int count = 0; clr_eio_payload_next(&payload, &text); count++) {
        clr_eio_packet_t packet;
        clr_buf_t *scratch = clr_eio_scratch(&s->server->eio->packet);
        if (count == MAX_PACKETS || clr_eio_packet_parse(text, scratch, &packet) != 0) {
            clr_eio_session_close(s, CLR_REASON_TRANSPORT_ERROR, "a payload that is none");
            return CLR_EPROTO;
        }
        clr_eio_session_input(s, &packet);
        if (s->state == CLR_EIO_STATE_CLOSED) /* by a packet: ours to answer is only the POST */
            return packet.type == CLR_EIO_MESSAGE ? CLR_EPROTO : 0;
    }
    return 0;
}

static void on_post_end(clr_exchange_t *x)
{
    clr_eio_polling_t *p = x->ctx;
    clr_eio_session_t *s = p->session;
    CLR_ASSERT(p->post == x);
    clr_buf_t body = p->body;
    clr_buf_init(&p->body);
    p->post = NULL;
    int rc = CLR_EUTF8;
    if (clr_utf8_is_valid(clr_buf_str(&body)))
        rc = dispatch_packets(s, clr_buf_str(&body));
    else
        clr_eio_session_close(s, CLR_REASON_TRANSPORT_ERROR, "a payload that is not UTF-8");
    clr_buf_deinit(&body);
    if (rc == 0)
        clr_eio_respond(s->server, s, x, 200, "text/html", CLR_STR("ok"));
    else
        clr_eio_respond_error(s->server, s, x, CLR_EIO_ERROR_BAD_REQUEST);
}

/* The client went away, or its body is over the limit and 413 was answered. */
static void on_post_abort(clr_exchange_t *x)
{
    clr_eio_polling_t *p = x->ctx;
    CLR_ASSERT(p->post == x);
    p->post = NULL;
    clr_eio_session_close(p->session, CLR_REASON_TRANSPORT_ERROR,
                          "a POST was aborted or too large");
}

static bool is_octet_stream(const clr_exchange_t *x)
{
    clr_str_t type = clr_http_head_get(x->head, CLR_STR("content-type")), first;
    return type.p && clr_str_split(&type, ';', &first) &&
           clr_str_ieq(clr_str_trim(first), CLR_STR("application/octet-stream"));
}

void clr_eio_polling_post(clr_eio_session_t *s, clr_exchange_t *x)
{
    static const clr_handler_t receiving = {
        .on_body = on_post_body, .on_end = on_post_end, .on_abort = on_post_abort};
    clr_eio_polling_t *p = open_polling(s);
    if (p->post || is_octet_stream(x)) {
        clr_eio_respond_empty(s->server, s, x, 400);
        clr_eio_session_close(s, CLR_REASON_TRANSPORT_ERROR,
                              p->post ? "a second POST" : "a POST of an unknown type");
        return;
    }
    p->post = x;
    x->handler = &receiving;
    x->ctx = p;
    x->body_limit = s->server->config.max_payload;
    if (s->paused)
        clr_exchange_pause(x, true);
}

void clr_eio_polling_pause(clr_eio_session_t *s, bool paused)
{
    if (s->polling && s->polling->post)
        clr_exchange_pause(s->polling->post, paused);
}

/* ---- handshake that waits for the app ---- */

static void on_handshake_abort(clr_exchange_t *x)
{
    clr_eio_polling_t *p = x->ctx;
    CLR_ASSERT(p->handshake == x);
    p->handshake = NULL;
    clr_eio_session_close(p->session, CLR_REASON_TRANSPORT_CLOSE, "the handshake was aborted");
}

void clr_eio_polling_park_handshake(clr_eio_session_t *s, clr_exchange_t *x)
{
    static const clr_handler_t parked = {.on_abort = on_handshake_abort};
    clr_eio_polling_t *p = open_polling(s);
    p->handshake = x;
    x->handler = &parked;
    x->ctx = p;
}

clr_exchange_t *clr_eio_polling_take_handshake(clr_eio_session_t *s)
{
    clr_exchange_t *x = s->polling ? s->polling->handshake : NULL;
    if (x)
        s->polling->handshake = NULL;
    return x;
}

/* ---- state ---- */

bool clr_eio_polling_is_writable(const clr_eio_session_t *s)
{
    return s->polling && s->polling->get && s->polling->count == 0;
}

void clr_eio_polling_hurry(clr_eio_session_t *s, bool hurry)
{
    clr_eio_polling_t *p = open_polling(s);
    p->hurry = hurry;
    if (hurry && p->get)
        mark(p);
}

static void free_polling(clr_eio_session_t *s)
{
    clr_eio_polling_t *p = s->polling;
    clr_flush_cancel(&p->flush);
    drop_items(p, p->count);
    clr_buf_deinit(&p->body);
    free(p);
    s->polling = NULL;
}

void clr_eio_polling_switch(clr_eio_session_t *s)
{
    clr_eio_polling_t *p = s->polling;
    CLR_ASSERT(s->ws);
    if (!p)
        return;
    answer_get_char(p, CLR_EIO_NOOP);
    if (p->post)
        clr_eio_respond_error(s->server, s, p->post, CLR_EIO_ERROR_BAD_REQUEST);
    for (uint32_t i = 0; i < p->count; i++)
        clr_eio_websocket_send_item(s->ws, p->items[i], s->server->eio);
    free_polling(s);
}

void clr_eio_polling_finish(clr_eio_session_t *s)
{
    clr_eio_polling_t *p = open_polling(s);
    if (p->get)
        mark(p);
}

void clr_eio_polling_close(clr_eio_session_t *s, char get_answer)
{
    clr_eio_polling_t *p = s->polling;
    if (!p)
        return;
    answer_get_char(p, get_answer);
    if (p->post)
        clr_eio_respond_error(s->server, s, p->post, CLR_EIO_ERROR_BAD_REQUEST);
    if (p->handshake)
        clr_eio_respond_empty(s->server, s, p->handshake, 503);
    free_polling(s);
}

void clr_eio_polling_abandon(clr_eio_session_t *s)
{
    if (s->polling)
        free_polling(s);
}
