/* ws_deflate.c: see ws_deflate.h. */
#include "gateway/ws_deflate.h"

#include "base/assert.h"
#include "gateway/pools.h"
#include "gateway/ws_conn_internal.h"

/* The scratch buffer is given back after a message above this. */
#define KEEP_BYTES (256 * 1024)

uint8_t clr_ws_deflate_negotiate(const clr_exchange_t *x, clr_buf_t *headers)
{
    if (!x->gw->options.ws_deflate)
        return 0;
    clr_str_t name = CLR_STR("sec-websocket-extensions");
    for (size_t i = 0; i < x->head->header_count; i++) {
        const clr_http_header_t *header = &x->head->headers[i];
        clr_deflate_params_t params;
        if (clr_str_eq(header->name, name) && clr_deflate_negotiate(header->value, &params)) {
            clr_deflate_append_answer(&params, headers);
            return params.server_bits;
        }
    }
    return 0;
}

bool clr_ws_deflate_applies(uint8_t opcode, size_t n)
{
    return clr_deflate_applies(n) && (opcode == CLR_WS_TEXT || opcode == CLR_WS_BINARY);
}

void clr_ws_deflate_send(clr_ws_conn_t *ws, uint8_t opcode, clr_str_t payload)
{
    clr_deflate_t *deflate = clr_pools_deflate(ws->gw->pools);
    if (ws->close_sent)
        return;
    if (clr_deflate_encode(deflate, ws->deflate_bits, payload, &payload))
        opcode |= CLR_WS_COMPRESSED;
    char head[CLR_WS_HEAD_MAX];
    clr_stream_write(ws->stream, clr_str(head, clr_ws_frame_head(head, opcode, payload.n)));
    clr_stream_write(ws->stream, payload);
}

/* Empty. */
static clr_buf_t *scratch(clr_gateway_t *gw)
{
    clr_buf_t *buf = clr_pools_scratch(gw->pools);
    if (buf->cap > KEEP_BYTES)
        clr_buf_deinit(buf);
    clr_buf_clear(buf);
    return buf;
}

char *clr_ws_deflate_reserve(clr_ws_conn_t *ws, uint8_t opcode, size_t n)
{
    clr_buf_t *message = scratch(ws->gw);
    char *at = clr_buf_reserve(message, n);
    message->n = n;
    ws->deflating = opcode;
    return at;
}

void clr_ws_deflate_commit(clr_ws_conn_t *ws)
{
    uint8_t opcode = ws->deflating;
    ws->deflating = 0;
    clr_ws_deflate_send(ws, opcode, clr_buf_str(clr_pools_scratch(ws->gw->pools)));
}

/* ---- frames for many ---- */

/* Takes the next frame off *rest; they are ours, so they are well-formed. */
static clr_str_t take_frame(clr_str_t *rest, uint8_t *opcode)
{
    const uint8_t *head = (const uint8_t *)rest->p;
    size_t bytes = head[1] < 126 ? 0 : head[1] == 126 ? 2 : 8, n = head[1];
    *opcode = head[0] & 0x0f;
    if (bytes > 0)
        n = 0;
    for (size_t i = 0; i < bytes; i++)
        n = n << 8 | head[2 + i];
    CLR_ASSERT(head[0] & 0x80 && n <= rest->n - 2 - bytes);
    clr_str_t payload = clr_str(rest->p + 2 + bytes, n);
    *rest = clr_str_from(*rest, 2 + bytes + n);
    return payload;
}

clr_shared_t *clr_ws_deflate_frames(clr_gateway_t *gw, uint8_t bits, clr_shared_t *frames)
{
    if (frames->len < CLR_DEFLATE_LEAST)
        return clr_shared_ref(frames);
    clr_deflate_t *deflate = clr_pools_deflate(gw->pools);
    clr_buf_t *out = scratch(gw);
    for (clr_str_t rest = clr_shared_str(frames); rest.n > 0;) {
        uint8_t opcode;
        clr_str_t payload = take_frame(&rest, &opcode);
        if (clr_deflate_applies(payload.n) && clr_deflate_encode(deflate, bits, payload, &payload))
            opcode |= CLR_WS_COMPRESSED;
        char head[CLR_WS_HEAD_MAX];
        clr_buf_append(out, head, clr_ws_frame_head(head, opcode, payload.n));
        clr_buf_append_str(out, payload);
    }
    bool smaller = out->n < frames->len;
    return smaller ? clr_shared_copy(clr_buf_str(out)) : clr_shared_ref(frames);
}
