/* sio_packet.c: encoding of Socket.IO packets for WebSocket and polling. */
#include "gateway/sio_packet.h"

#include <stdlib.h>

#include "base/base64.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "gateway/ws_deflate.h"
#include "proto/msgpack.h"

void clr_sio_packet_out_init(clr_sio_packet_out_t *p, clr_eio_server_t *server, uint8_t type,
                             clr_str_t nsp, const clr_data_t *data)
{
    *p = (clr_sio_packet_out_t){.server = server,
                                .type = type,
                                .nsp = nsp,
                                .json = data->json,
                                .attachments = data->attachments};
}

void clr_sio_packet_out_deinit(clr_sio_packet_out_t *p)
{
    if (p->frames)
        clr_shared_unref(p->frames);
    if (p->payload)
        clr_shared_unref(p->payload);
    p->frames = p->payload = NULL;
    for (size_t i = 0; i < clr_array_len(p->deflated); i++) {
        if (p->deflated[i])
            clr_shared_unref(p->deflated[i]);
        p->deflated[i] = NULL;
    }
}

bool clr_sio_packet_out_is_valid(const clr_data_t *data)
{
    /* A raw separator would cut a polling payload in two; JSON text has none. */
    return data->json.n > 0 && data->json.p[0] == '[' && clr_str_chr(data->json, '\x1e') < 0 &&
           clr_utf8_is_valid(data->json);
}

static uint8_t wire_type(const clr_sio_packet_out_t *p)
{
    if (p->attachments.count == 0)
        return p->type;
    return p->type == CLR_SIO_EVENT ? CLR_SIO_BINARY_EVENT : CLR_SIO_BINARY_ACK;
}

/* "4" and all that precedes the JSON. */
static clr_str_t encode_head(const clr_sio_packet_out_t *p, uint64_t id)
{
    clr_buf_t *head = clr_eio_scratch(&p->server->eio->head);
    clr_buf_putc(head, CLR_EIO_MESSAGE);
    clr_sio_packet_head(head, wire_type(p), p->attachments.count, p->nsp, id);
    return clr_buf_str(head);
}

/* The whole packet as one binary message, in eio->head; empty for JSON that is none. */
static clr_str_t encode_msgpack(const clr_sio_packet_out_t *p, uint64_t id)
{
    clr_eio_t *eio = p->server->eio;
    clr_buf_t *out = clr_eio_scratch(&eio->head);
    clr_sio_packet_t packet = {.type = wire_type(p),
                               .attachments = p->attachments.count,
                               .nsp = p->nsp,
                               .id = id,
                               .json = p->json};
    clr_strs_t list = p->attachments;
    clr_str_t *items = clr_xmalloc((list.count + 1u) * sizeof(*items));
    for (size_t i = 0; clr_strs_next(&list, &items[i]); i++)
        continue;
    if (clr_msgpack_append(out, clr_eio_scratch(&eio->payload), &packet, items) != 0)
        clr_log_error("sio", "a packet was dropped: its JSON cannot be written as msgpack");
    free(items);
    return clr_buf_str(out);
}

static size_t attachment_bytes(clr_strs_t list, size_t each)
{
    size_t n = 0;
    for (clr_str_t item; clr_strs_next(&list, &item);)
        n += item.n + each;
    return n;
}

static void append(clr_shared_t *out, clr_str_t s)
{
    memcpy(out->data + out->len, s.p, s.n);
    out->len += (uint32_t)s.n;
}

static void append_frame_head(clr_shared_t *out, uint8_t opcode, size_t n)
{
    char head[CLR_WS_HEAD_MAX];
    append(out, clr_str(head, clr_ws_frame_head(head, opcode, n)));
}

static clr_shared_t *encode_msgpack_frame(const clr_sio_packet_out_t *p)
{
    clr_str_t message = encode_msgpack(p, CLR_SIO_NO_ID);
    clr_shared_t *out = clr_shared_new(CLR_WS_HEAD_MAX + message.n);
    if (message.n > 0) {
        append_frame_head(out, CLR_WS_BINARY, message.n);
        append(out, message);
    }
    return out;
}

static clr_shared_t *encode_frames(const clr_sio_packet_out_t *p)
{
    if (p->server->config.msgpack)
        return encode_msgpack_frame(p);
    clr_str_t head = encode_head(p, CLR_SIO_NO_ID), item;
    clr_strs_t list = p->attachments;
    clr_shared_t *out = clr_shared_new(CLR_WS_HEAD_MAX + head.n + p->json.n +
                                       attachment_bytes(list, CLR_WS_HEAD_MAX));
    append_frame_head(out, CLR_WS_TEXT, head.n + p->json.n);
    append(out, head);
    append(out, p->json);
    while (clr_strs_next(&list, &item)) {
        append_frame_head(out, CLR_WS_BINARY, item.n);
        append(out, item);
    }
    return out;
}

static void append_base64(clr_buf_t *text, clr_str_t bytes)
{
    clr_buf_putc(text, 'b');
    clr_base64_encode(text, bytes.p, bytes.n);
}

clr_shared_t *clr_sio_packet_out_text(clr_sio_packet_out_t *p, uint64_t id)
{
    clr_str_t message = p->server->config.msgpack ? encode_msgpack(p, id) : CLR_STR_EMPTY;
    clr_buf_t *text = clr_eio_scratch(&p->server->eio->payload);
    if (p->server->config.msgpack) {
        append_base64(text, message);
        return clr_shared_copy(clr_buf_str(text));
    }
    clr_strs_t list = p->attachments;
    clr_buf_append_str(text, encode_head(p, id));
    clr_buf_append_str(text, p->json);
    for (clr_str_t item; clr_strs_next(&list, &item);) {
        clr_buf_putc(text, CLR_EIO_SEPARATOR);
        append_base64(text, item);
    }
    return clr_shared_copy(clr_buf_str(text));
}

static void send_text(clr_shared_t *text, clr_eio_session_t *s)
{
    clr_eio_session_send_item(s, (clr_eio_item_t){text, false});
}

void clr_sio_packet_out_send(clr_sio_packet_out_t *p, clr_eio_session_t *s, uint64_t id)
{
    p->server->gw->metrics.events_sent += p->type == CLR_SIO_EVENT;
    if (p->server->config.msgpack) {
        clr_str_t message = encode_msgpack(p, id);
        if (message.n > 0)
            clr_eio_session_send_binary(s, message);
        return;
    }
    if (p->to > p->from) {
        clr_eio_session_send_piece(s, encode_head(p, id), p->json, p->from, p->to);
        return;
    }
    if (s->ws || p->attachments.count == 0) {
        clr_strs_t list = p->attachments;
        clr_eio_session_send_text(s, encode_head(p, id), p->json);
        for (clr_str_t item; clr_strs_next(&list, &item);)
            clr_eio_session_send_binary(s, item);
        return;
    }
    clr_shared_t *text = clr_sio_packet_out_text(p, id);
    send_text(text, s);
    clr_shared_unref(text);
}

/* As the connection takes them: made once for all that negotiated the same. */
static clr_shared_t *frames_for(clr_sio_packet_out_t *p, const clr_ws_conn_t *ws)
{
    if (!p->frames)
        p->frames = encode_frames(p);
    uint8_t bits = clr_ws_deflate_bits(ws);
    if (!bits)
        return p->frames;
    clr_shared_t **deflated = &p->deflated[bits - CLR_DEFLATE_BITS_MIN];
    if (!*deflated)
        *deflated = clr_ws_deflate_frames(p->server->gw, bits, p->frames);
    return *deflated;
}

void clr_sio_packet_out_share(clr_sio_packet_out_t *p, clr_eio_session_t *s)
{
    p->server->gw->metrics.events_sent++;
    if (s->ws) {
        clr_eio_session_send_frames(s, frames_for(p, s->ws));
        return;
    }
    if (!p->payload)
        p->payload = clr_sio_packet_out_text(p, CLR_SIO_NO_ID);
    send_text(p->payload, s);
}
