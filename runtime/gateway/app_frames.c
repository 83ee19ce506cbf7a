/* app_frames.c: what a worker says about requests, decoded, checked and done. */
#include "base/log.h"
#include "gateway/app_internal.h"

#define LOG "app"

/* The payload of any of them; what a type does not have stays zero. */
typedef struct app_frame {
    uint16_t number; /* status or code */
    uint32_t bytes;
    uint64_t offset;
    uint64_t count;
    clr_str_t text; /* body, path, message, subprotocol, reason or why */
    clr_strs_t headers;
} app_frame_t;

static int decode(const clr_frame_t *frame, app_frame_t *f)
{
    clr_reader_t r = clr_reader(frame->payload);
    *f = (app_frame_t){0};
    switch (frame->type) {
    case CLR_FRAME_HTTP_START:
        f->number = clr_read_u16(&r);
        f->headers = clr_read_strs(&r);
        f->text = clr_read_str(&r);
        break;
    case CLR_FRAME_HTTP_DATA:
    case CLR_FRAME_HTTP_ABORT:
    case CLR_FRAME_WS_SEND:
        f->text = clr_read_str(&r);
        break;
    case CLR_FRAME_HTTP_TRAILERS:
    case CLR_FRAME_HTTP_HINT:
        f->headers = clr_read_strs(&r);
        break;
    case CLR_FRAME_HTTP_FILE:
        f->text = clr_read_str(&r);
        f->offset = clr_read_u64(&r);
        f->count = clr_read_u64(&r);
        break;
    case CLR_FRAME_HTTP_TAKE:
        f->bytes = clr_read_u32(&r);
        break;
    case CLR_FRAME_WS_ACCEPT:
        f->text = clr_read_str(&r);
        f->headers = clr_read_strs(&r);
        break;
    case CLR_FRAME_WS_CLOSE:
        f->number = clr_read_u16(&r);
        f->text = clr_read_str(&r);
        break;
    default: /* HTTP_REJECT: nothing */
        break;
    }
    return clr_reader_done(&r);
}

/* Whether a sound worker sends it now. */
static bool fits(const clr_app_request_t *r, uint8_t type)
{
    switch (type) {
    case CLR_FRAME_HTTP_START:
    case CLR_FRAME_HTTP_REJECT:
        return r->state == CLR_APP_ASKED;
    case CLR_FRAME_HTTP_HINT:
        return !r->is_websocket;
    case CLR_FRAME_HTTP_DATA:
    case CLR_FRAME_HTTP_TRAILERS:
    case CLR_FRAME_HTTP_FILE:
        return r->state == CLR_APP_RESPONDING && !r->sends_file;
    case CLR_FRAME_WS_ACCEPT:
        return r->is_websocket && r->state == CLR_APP_ASKED;
    case CLR_FRAME_WS_SEND:
        return r->state >= CLR_APP_OPEN;
    case CLR_FRAME_WS_CLOSE:
        return r->state >= CLR_APP_OPEN || (r->is_websocket && r->state == CLR_APP_ASKED);
    default: /* HTTP_TAKE, HTTP_ABORT */
        return true;
    }
}

static void on_abort(clr_app_request_t *r, clr_str_t why)
{
    clr_log_warn(LOG, "%s: the connection is cut: %.*s", clr_app_name(r).text,
                 (int)(why.n < 300 ? why.n : 300), why.p);
    if (r->ws)
        clr_ws_kill(r->ws, "the application failed"); /* on_closed frees it */
    else if (r->state == CLR_APP_CLOSED)
        clr_app_free(r);
    else
        clr_app_cut(r);
}

int clr_app_frame(clr_gateway_t *gw, clr_worker_t *w, const clr_frame_t *frame)
{
    app_frame_t f;
    if (decode(frame, &f) != 0)
        return CLR_EPROTO;
    clr_app_request_t *r = clr_dispatch_find(gw, frame->stream, CLR_OBJECT_REQUEST);
    if (!r) /* it went while the frame was on its way */
        return 0;
    if (r->worker != w || !fits(r, frame->type))
        return CLR_EPROTO;
    bool end = frame->flags & CLR_FRAME_END;
    switch (frame->type) {
    case CLR_FRAME_HTTP_START:
        return clr_app_start(r, frame->flags, f.number, f.headers, f.text);
    case CLR_FRAME_HTTP_DATA:
        return clr_app_data(r, end, f.text);
    case CLR_FRAME_HTTP_TRAILERS:
        return clr_app_trailers(r, f.headers);
    case CLR_FRAME_HTTP_HINT:
        return clr_app_hint(r, f.headers);
    case CLR_FRAME_HTTP_FILE:
        clr_app_send_file(r, end, f.text, f.offset, f.count);
        return 0;
    case CLR_FRAME_HTTP_TAKE:
        return clr_app_take(r, f.bytes);
    case CLR_FRAME_HTTP_ABORT:
        on_abort(r, f.text);
        return 0;
    case CLR_FRAME_HTTP_REJECT:
        clr_app_rejected(r);
        return 0;
    case CLR_FRAME_WS_ACCEPT:
        return clr_app_accept(r, f.text, f.headers);
    case CLR_FRAME_WS_SEND:
        return clr_app_send(r, frame->flags & CLR_FRAME_BINARY, f.text);
    case CLR_FRAME_WS_CLOSE:
        return clr_app_close(r, f.number, f.text);
    default:
        return CLR_EPROTO;
    }
}
