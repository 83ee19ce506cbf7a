/* asgi_response.c: a response on its way out. Its head is held until the first of the body is there
 * or the loop's turn ends, so that most responses are one frame; of a body only as much goes out as
 * the gateway's window allows, and the rest stays in the application's own object.
 */
#include "asgi_internal.h"

#define PIECE_MAX (256u << 10) /* of a body in one frame, so that others get their turn */
#define SPARE_MAX (8u << 10)   /* a buffer for heads that is kept */

static int refuse(clr_asgi_call_t *call, const char *what)
{
    (void)call;
    PyErr_SetString(PyExc_RuntimeError, what);
    return -1;
}

/* ---- the head ---- */

static clr_buf_t take_spare(clr_wlink_t *link)
{
    clr_buf_t buf = link->asgi.spare;
    clr_buf_init(&link->asgi.spare);
    clr_buf_clear(&buf);
    return buf;
}

static void give_spare(clr_wlink_t *link, clr_buf_t *buf)
{
    if (link && !link->asgi.spare.p && buf->cap <= SPARE_MAX)
        link->asgi.spare = *buf;
    else
        clr_buf_deinit(buf);
    clr_buf_init(buf);
}

static bool has_no_body(const clr_asgi_call_t *call, long status)
{
    return call->is_head || status < 200 || status == 204 || status == 304;
}

/* The status of the message, or -1 with an exception. */
static long status_of(const clr_asgi_consts_t *n, PyObject *message)
{
    bool failed;
    PyObject *value = clr_asgi_field(message, n->status, &failed);
    if (failed)
        return -1;
    if (!value || !PyLong_Check(value)) {
        PyErr_Format(value ? PyExc_TypeError : PyExc_ValueError,
                     "the start of a response needs an int as its 'status'");
        return -1;
    }
    long status = PyLong_AsLong(value);
    if (status >= 200 && status <= 999)
        return status;
    if (!PyErr_Occurred() || PyErr_ExceptionMatches(PyExc_OverflowError))
        PyErr_Format(PyExc_ValueError, "a final status is 200 to 999, not %S", value);
    return -1;
}

static void hold(clr_asgi_call_t *call)
{
    clr_wlink_t *link = call->link;
    call->response.state = RESPONSE_HELD;
    clr_list_push_back(&link->asgi.held, &call->response.node);
    if (!link->in_batch)
        clr_wlink_sent(link); /* so that it is sent in this turn of the loop */
}

int clr_asgi_response_start(clr_asgi_call_t *call, PyObject *message)
{
    const clr_asgi_consts_t *n = call->st->asgi;
    clr_asgi_response_t *r = &call->response;
    clr_asgi_fields_t fields = {.length = -1};
    long status = status_of(n, message);
    int trailers = status < 0 ? -1 : clr_asgi_flag(message, n->trailers);
    if (trailers < 0)
        return -1;
    clr_buf_t head = take_spare(call->link);
    clr_buf_append_le(&head, (uint64_t)status, 2);
    int failed = clr_asgi_write_headers(n, &head, SIZE_MAX, message, IN_RESPONSE, &fields);
    /* The application's code may have run meanwhile. */
    if (failed == 0 && (r->state != RESPONSE_START || !call->stream))
        failed = refuse(call, "the response has begun already");
    if (failed < 0) {
        give_spare(call->link, &head);
        return -1;
    }
    r->head = head;
    r->length = has_no_body(call, status) ? -1 : fields.length;
    r->wants_trailers = trailers;
    r->sends_trailers &= trailers;
    hold(call);
    return 0;
}

/* Forgets what is held. */
static void drop_head(clr_asgi_call_t *call)
{
    clr_list_remove(&call->response.node);
    give_spare(call->link, &call->response.head);
}

/* ---- the body ---- */

/* The frame with the next of the body; the first has the head in it. */
static void write_piece(clr_asgi_call_t *call, clr_str_t piece, bool end)
{
    clr_asgi_response_t *r = &call->response;
    clr_buf_t *out = clr_wlink_out(call->link);
    bool first = r->state == RESPONSE_HELD;
    uint8_t flags = end ? CLR_FRAME_END : 0;
    if (first && r->sends_trailers)
        flags |= CLR_FRAME_TRAILERS;
    uint8_t type = first ? CLR_FRAME_HTTP_START : CLR_FRAME_HTTP_DATA;
    size_t begun = clr_frame_begin(out, type, flags, call->stream);
    if (first)
        clr_buf_append_str(out, clr_buf_str(&r->head));
    clr_write_str(out, piece);
    clr_frame_end(out, begun);
    if (first) {
        r->state = RESPONSE_BODY;
        drop_head(call);
    }
    call->window -= (int64_t)piece.n;
    clr_wlink_sent(call->link);
}

/* As much as the window allows. Returns the bytes that are out; all of them: with the end. */
static size_t write_some(clr_asgi_call_t *call, clr_str_t data, bool more)
{
    clr_asgi_response_t *r = &call->response;
    bool ends = !more && !r->sends_trailers;
    size_t from = 0;
    while (call->stream) {
        size_t left = data.n - from;
        size_t n = left < PIECE_MAX ? left : PIECE_MAX;
        if ((int64_t)n > call->window)
            n = (size_t)call->window;
        bool is_last = n == left;
        if (n == 0 && r->state != RESPONSE_HELD && !(is_last && ends))
            break;
        write_piece(call, clr_str(data.p + from, n), is_last && ends);
        from += n;
        if (is_last)
            break;
    }
    return from;
}

void clr_asgi_response_advance(clr_asgi_call_t *call, bool more)
{
    clr_asgi_response_t *r = &call->response;
    r->is_sending = false;
    if (more)
        return;
    r->state = r->wants_trailers ? RESPONSE_TRAILERS : RESPONSE_DONE;
    if (!r->sends_trailers)
        clr_asgi_close(call);
}

int clr_asgi_response_check_body(clr_asgi_call_t *call)
{
    clr_asgi_response_t *r = &call->response;
    if (r->state == RESPONSE_START)
        return refuse(call, "a body before the start of the response");
    if (r->state > RESPONSE_BODY || !call->stream)
        return refuse(call, "a body after the end of the response's body");
    return r->is_sending ? refuse(call, "another part of the body is being sent") : 0;
}

static int check_length(clr_asgi_call_t *call, int64_t n, bool more)
{
    clr_asgi_response_t *r = &call->response;
    if (r->length < 0)
        return 0;
    if (n > r->length)
        return refuse(call, "the body is longer than its Content-Length");
    if (!more && n < r->length)
        return refuse(call, "the body is shorter than its Content-Length");
    r->length -= n;
    return 0;
}

static int send_view(clr_asgi_call_t *call, Py_buffer *view, bool more)
{
    clr_asgi_response_t *r = &call->response;
    if (clr_asgi_response_check_body(call) < 0 || check_length(call, view->len, more) < 0) {
        PyBuffer_Release(view);
        return -1;
    }
    size_t size = (size_t)view->len;
    size_t sent = write_some(call, clr_str(view->buf, size), more);
    r->has_body |= size > 0;
    if (sent == size || !call->stream) {
        clr_asgi_response_advance(call, more);
        PyBuffer_Release(view);
        return 0;
    }
    r->rest = *view;
    r->rest_from = sent;
    r->more = more;
    r->is_sending = true;
    return 0;
}

int clr_asgi_response_body(clr_asgi_call_t *call, PyObject *message)
{
    const clr_asgi_consts_t *n = call->st->asgi;
    bool failed;
    PyObject *body = clr_asgi_field(message, n->body, &failed);
    int more = failed ? -1 : clr_asgi_flag(message, n->more_body);
    Py_buffer view;
    if (more < 0 || clr_asgi_view(body ? body : n->no_bytes, "the body of a response", &view) < 0)
        return -1;
    return send_view(call, &view, more);
}

void clr_asgi_response_continue(clr_asgi_call_t *call)
{
    clr_asgi_response_t *r = &call->response;
    if (!r->rest.obj)
        return;
    clr_str_t data = clr_str(r->rest.buf, (size_t)r->rest.len);
    r->rest_from += write_some(call, clr_str_from(data, r->rest_from), r->more);
    if (r->rest_from < data.n && call->stream)
        return;
    Py_buffer view = r->rest;
    r->rest.obj = NULL;
    clr_asgi_response_advance(call, r->more);
    clr_asgi_wake(call, WAIT_SEND);
    PyBuffer_Release(&view);
}

/* ---- the rest ---- */

void clr_asgi_response_release(clr_asgi_call_t *call)
{
    CLR_ASSERT(call->response.state == RESPONSE_HELD && call->stream);
    write_piece(call, CLR_STR_EMPTY, false);
}

int clr_asgi_response_trailers(clr_asgi_call_t *call, PyObject *message)
{
    const clr_asgi_consts_t *n = call->st->asgi;
    clr_asgi_response_t *r = &call->response;
    clr_asgi_fields_t fields = {.length = -1};
    if (r->state != RESPONSE_TRAILERS)
        return refuse(call, "trailers that were not announced, or before the end of the body");
    int more = clr_asgi_flag(message, n->more_trailers);
    size_t at = r->head.n == 0 ? SIZE_MAX : 0;
    clr_buf_t head = r->head;
    clr_buf_init(&r->head);
    if (more < 0 || clr_asgi_write_headers(n, &head, at, message, IN_TRAILERS, &fields) < 0) {
        clr_buf_deinit(&head);
        return -1;
    }
    r->head = head;
    if (more)
        return 0;
    if (r->sends_trailers && call->stream) {
        clr_buf_t *out = clr_wlink_out(call->link);
        size_t begun = clr_frame_begin(out, CLR_FRAME_HTTP_TRAILERS, 0, call->stream);
        clr_buf_append_str(out, clr_buf_str(&r->head));
        clr_frame_end(out, begun);
        clr_wlink_sent(call->link);
    }
    clr_buf_deinit(&r->head);
    r->state = RESPONSE_DONE;
    clr_asgi_close(call);
    return 0;
}

/* The links of an early hint as list<str>. 0, or -1 with an exception. */
static int write_links(clr_buf_t *out, PyObject *links)
{
    size_t at = out->n;
    clr_buf_append_le(out, 0, 2);
    PyObject *items = PySequence_Tuple(links);
    int status = items ? 0 : -1;
    for (Py_ssize_t i = 0; status == 0 && i < PyTuple_Size(items); i++) {
        PyObject *link = PyTuple_GetItem(items, i);
        Py_buffer view;
        status = clr_asgi_view(link, "a link of an early hint", &view);
        if (status < 0)
            break;
        status =
            clr_asgi_write_field(out, at, CLR_STR("link"), clr_str(view.buf, (size_t)view.len));
        PyBuffer_Release(&view);
    }
    Py_XDECREF(items);
    return status;
}

int clr_asgi_response_hint(clr_asgi_call_t *call, PyObject *message)
{
    bool failed;
    PyObject *links = clr_asgi_field(message, call->st->asgi->links, &failed);
    if (!links) {
        if (!failed)
            PyErr_SetString(PyExc_ValueError, "an early hint has no 'links'");
        return -1;
    }
    clr_buf_t list = {0};
    int status = write_links(&list, links);
    /* It goes before the head, or nowhere. */
    if (status == 0 && call->stream && call->response.state <= RESPONSE_HELD && call->http_minor) {
        clr_buf_t *out = clr_wlink_out(call->link);
        size_t begun = clr_frame_begin(out, CLR_FRAME_HTTP_HINT, 0, call->stream);
        clr_buf_append_str(out, clr_buf_str(&list));
        clr_frame_end(out, begun);
        clr_wlink_sent(call->link);
    }
    clr_buf_deinit(&list);
    return status;
}

static void write_error(clr_asgi_call_t *call)
{
    static const clr_str_t headers[] = {CLR_STR_INIT("content-type"),
                                        CLR_STR_INIT("text/plain; charset=utf-8")};
    clr_buf_t *out = clr_wlink_out(call->link);
    size_t begun = clr_frame_begin(out, CLR_FRAME_HTTP_START, CLR_FRAME_END, call->stream);
    clr_buf_append_le(out, 500, 2);
    clr_write_strs(out, headers, clr_array_len(headers));
    clr_write_str(out, CLR_STR("Internal Server Error"));
    clr_frame_end(out, begun);
    clr_wlink_sent(call->link);
}

void clr_asgi_response_fail(clr_asgi_call_t *call, clr_str_t why)
{
    clr_asgi_response_t *r = &call->response;
    if (!call->stream)
        return;
    if (r->state > RESPONSE_HELD) {
        clr_asgi_abort(call, why);
        return;
    }
    if (r->state == RESPONSE_HELD)
        drop_head(call);
    write_error(call);
    r->state = RESPONSE_DONE;
    clr_asgi_close(call);
}

void clr_asgi_response_drop(clr_asgi_call_t *call)
{
    clr_asgi_response_t *r = &call->response;
    clr_list_remove(&r->node);
    give_spare(call->link, &r->head);
    clr_asgi_file_close(r);
    r->is_sending = false;
    if (r->rest.obj) {
        Py_buffer view = r->rest;
        r->rest.obj = NULL;
        PyBuffer_Release(&view);
    }
}
