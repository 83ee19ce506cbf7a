/* asgi_incoming.c: frames of the gateway for the ASGI application: each is checked, and then done
 * to its call. */
#include "asgi_internal.h"

/* ---- a call begins ---- */

/* For another worker, or for this one later. True then. */
static bool is_rejected(clr_wlink_t *link, uint64_t stream)
{
    if (link->asgi.app && !link->asgi.is_draining)
        return false;
    clr_wlink_send_empty(link, CLR_FRAME_HTTP_REJECT, stream);
    return true;
}

static int on_request(clr_wlink_t *link, const clr_frame_t *frame)
{
    clr_reader_t r = clr_reader(frame->payload);
    uint32_t window = clr_read_u32(&r);
    clr_str_t body = clr_read_str(&r);
    clr_request_head_t head = clr_read_request(&r);
    if (clr_reader_done(&r) != 0 || frame->stream == 0 || head.transport != 0)
        return CLR_EPROTO;
    if (is_rejected(link, frame->stream))
        return 0;
    clr_asgi_call_t *call = clr_asgi_call_new(link, frame->stream, false);
    if (!call) {
        PyErr_Clear();
        return CLR_EPROTO;
    }
    call->window = window;
    call->http_minor = head.http_minor;
    call->is_head = clr_str_eq(head.method, CLR_STR("HEAD"));
    call->in_continue = frame->flags & CLR_FRAME_CONTINUE;
    Py_INCREF((PyObject *)call);
    int status = clr_asgi_http_body(call, body, frame->flags & CLR_FRAME_END);
    if (status == 0)
        clr_asgi_run(call, &head);
    Py_DECREF((PyObject *)call);
    return status;
}

static int on_ws_open(clr_wlink_t *link, const clr_frame_t *frame)
{
    clr_reader_t r = clr_reader(frame->payload);
    uint32_t window = clr_read_u32(&r);
    clr_request_head_t head = clr_read_request(&r);
    if (clr_reader_done(&r) != 0 || frame->stream == 0 || head.transport == CLR_TRANSPORT_POLLING)
        return CLR_EPROTO;
    if (is_rejected(link, frame->stream))
        return 0;
    clr_asgi_call_t *call = clr_asgi_call_new(link, frame->stream, true);
    if (!call) {
        PyErr_Clear();
        return CLR_EPROTO;
    }
    call->window = window;
    call->http_minor = head.http_minor;
    Py_INCREF((PyObject *)call);
    clr_asgi_run(call, &head);
    Py_DECREF((PyObject *)call);
    return 0;
}

/* ---- frames of a call ---- */

static int take_body(clr_asgi_call_t *call, const clr_frame_t *frame, clr_str_t body)
{
    if (!call)
        return 0;
    return call->is_websocket ? CLR_EPROTO
                              : clr_asgi_http_body(call, body, frame->flags & CLR_FRAME_END);
}

static int on_body(clr_asgi_call_t *call, const clr_frame_t *frame, clr_reader_t *r)
{
    clr_str_t body = clr_read_str(r);
    return clr_reader_done(r) == 0 ? take_body(call, frame, body) : CLR_EPROTO;
}

/* Whoever it was for, it is counted, since the gateway waits for that. */
static int on_piece(clr_wlink_t *link, clr_asgi_call_t *call, const clr_frame_t *frame,
                    clr_reader_t *r)
{
    uint32_t at = clr_read_u32(r), length = clr_read_u32(r);
    clr_str_t body = clr_arena_piece(link->arena, at, length);
    if (clr_reader_done(r) != 0 || body.n == 0)
        return CLR_EPROTO;
    int status = take_body(call, frame, body);
    clr_page_count_copy(link->page);
    link->copied += body.n;
    return status;
}

static int on_window(clr_asgi_call_t *call, clr_reader_t *r)
{
    uint32_t bytes = clr_read_u32(r);
    if (clr_reader_done(r) != 0)
        return CLR_EPROTO;
    if (!call)
        return 0;
    call->window += bytes;
    clr_asgi_response_continue(call);
    if (call->is_websocket && call->window > 0)
        clr_asgi_wake(call, WAIT_SEND);
    return 0;
}

static int on_gone(clr_asgi_call_t *call, clr_reader_t *r)
{
    if (clr_reader_done(r) != 0)
        return CLR_EPROTO;
    if (call && call->is_websocket)
        clr_asgi_ws_gone(call, 0, CLR_STR_EMPTY);
    else if (call)
        clr_asgi_gone(call);
    return 0;
}

static int on_file_done(clr_asgi_call_t *call, clr_reader_t *r)
{
    uint32_t error = clr_read_u32(r);
    if (clr_reader_done(r) != 0)
        return CLR_EPROTO;
    return call ? clr_asgi_file_done(call, error) : 0;
}

static int on_ws_message(clr_asgi_call_t *call, const clr_frame_t *frame, clr_reader_t *r)
{
    clr_str_t data = clr_read_str(r);
    if (clr_reader_done(r) != 0 || (call && !call->is_websocket))
        return CLR_EPROTO;
    return call ? clr_asgi_ws_message(call, data, frame->flags & CLR_FRAME_BINARY) : 0;
}

static int on_ws_gone(clr_asgi_call_t *call, clr_reader_t *r)
{
    uint16_t code = clr_read_u16(r);
    clr_str_t reason = clr_read_str(r);
    if (clr_reader_done(r) != 0 || (call && !call->is_websocket))
        return CLR_EPROTO;
    if (call)
        clr_asgi_ws_gone(call, code, reason);
    return 0;
}

static int on_call_frame(clr_wlink_t *link, clr_asgi_call_t *call, const clr_frame_t *frame)
{
    clr_reader_t r = clr_reader(frame->payload);
    switch (frame->type) {
    case CLR_FRAME_HTTP_BODY:
        return on_body(call, frame, &r);
    case CLR_FRAME_HTTP_PIECE:
        return on_piece(link, call, frame, &r);
    case CLR_FRAME_HTTP_WINDOW:
        return on_window(call, &r);
    case CLR_FRAME_HTTP_GONE:
        return on_gone(call, &r);
    case CLR_FRAME_HTTP_FILE_DONE:
        return on_file_done(call, &r);
    case CLR_FRAME_WS_MESSAGE:
        return on_ws_message(call, frame, &r);
    default:
        return on_ws_gone(call, &r);
    }
}

int clr_asgi_frame(clr_wlink_t *link, const clr_frame_t *frame)
{
    if (frame->type == CLR_FRAME_HTTP_REQUEST)
        return on_request(link, frame);
    if (frame->type == CLR_FRAME_WS_OPEN)
        return on_ws_open(link, frame);
    clr_asgi_call_t *call = clr_idmap_get(&link->asgi.calls, frame->stream);
    Py_XINCREF((PyObject *)call);
    int status = on_call_frame(link, call, frame);
    Py_XDECREF((PyObject *)call);
    return status;
}
