/* asgi_http.c: an HTTP request to and from the application. */
#include "asgi_internal.h"

/* ---- receive ---- */

static PyObject *disconnect_message(const clr_asgi_consts_t *n)
{
    PyObject *message = PyDict_New();
    if (message && PyDict_SetItem(message, n->type, n->disconnect) < 0)
        Py_CLEAR(message);
    return message;
}

/* Takes body. */
static PyObject *request_message(const clr_asgi_consts_t *n, PyObject *body, bool more)
{
    PyObject *message = body ? PyDict_New() : NULL;
    if (message && (PyDict_SetItem(message, n->type, n->request) < 0 ||
                    PyDict_SetItem(message, n->body, body) < 0 ||
                    PyDict_SetItem(message, n->more_body, more ? Py_True : Py_False) < 0))
        Py_CLEAR(message);
    Py_XDECREF(body);
    return message;
}

/* What is there of the body, as bytes. */
static PyObject *take_piece(clr_asgi_call_t *call)
{
    if (call->piece_count > 0) {
        PyObject *first = call->pieces[0];
        call->piece_count--;
        for (unsigned i = 0; i < call->piece_count; i++)
            call->pieces[i] = call->pieces[i + 1];
        return first;
    }
    if (call->in.n == 0)
        return Py_NewRef(call->st->asgi->no_bytes);
    PyObject *body = PyBytes_FromStringAndSize(call->in.p, (Py_ssize_t)call->in.n);
    clr_buf_deinit(&call->in);
    return body;
}

void clr_asgi_http_drop(clr_asgi_call_t *call)
{
    while (call->piece_count > 0)
        Py_DECREF(call->pieces[--call->piece_count]);
}

/* The body, or the rest of it, will come only if someone asks for it. */
static void ask_to_continue(clr_asgi_call_t *call)
{
    if (!call->in_continue || !call->stream || call->response.state > RESPONSE_HELD)
        return;
    call->in_continue = false;
    clr_buf_t *out = clr_wlink_out(call->link);
    size_t begun = clr_frame_begin(out, CLR_FRAME_HTTP_TAKE, 0, call->stream);
    clr_buf_append_le(out, 0, 4);
    clr_frame_end(out, begun);
    clr_wlink_sent(call->link);
}

int clr_asgi_http_receive(clr_asgi_call_t *call, PyObject **result)
{
    const clr_asgi_consts_t *n = call->st->asgi;
    /* A body that is complete is worth having, even from a client that did not wait. */
    bool is_closed = call->is_over || (!call->stream && !(call->is_gone && call->in_end));
    if (is_closed || (call->in_done && !call->stream)) {
        *result = disconnect_message(n);
        return *result ? 1 : -1;
    }
    bool is_there = call->piece_count > 0 || call->in.n > 0 || call->in_end;
    if (call->in_done || !is_there) {
        ask_to_continue(call);
        return 0;
    }
    PyObject *body = take_piece(call);
    size_t size = body ? (size_t)PyBytes_Size(body) : 0;
    bool more = !call->in_end || call->piece_count > 0 || call->in.n > 0;
    call->in_done = !more;
    call->unread -= size;
    if (!call->in_end)
        clr_asgi_take(call, size);
    *result = request_message(n, body, more);
    return *result ? 1 : -1;
}

/* Whether what came becomes a bytes of its own; else it is joined with its neighbours. */
static bool stands_alone(const clr_asgi_call_t *call, clr_str_t body)
{
    if (call->in.n > 0 || call->piece_count == CLR_ASGI_PIECES)
        return false;
    return call->piece_count == 0 || body.n >= CLR_ASGI_PIECE_MIN;
}

int clr_asgi_http_body(clr_asgi_call_t *call, clr_str_t body, bool end)
{
    if (call->in_end || call->unread > CLR_REQUEST_WINDOW)
        return CLR_EPROTO;
    call->in_end = end;
    call->in_continue &= !end;
    call->unread += body.n;
    if (body.n > 0 && stands_alone(call, body)) {
        PyObject *piece = PyBytes_FromStringAndSize(body.p, (Py_ssize_t)body.n);
        if (piece) {
            call->pieces[call->piece_count++] = piece;
        } else {
            clr_asgi_abort(call, CLR_STR("out of memory"));
            PyErr_Clear();
        }
    } else {
        clr_buf_append_str(&call->in, body);
    }
    if (end || body.n > 0)
        clr_asgi_wake(call, WAIT_RECEIVE);
    return 0;
}

/* ---- send ---- */

static int send_by_type(clr_asgi_call_t *call, clr_asgi_message_t type, PyObject *message)
{
    switch (type) {
    case CLR_ASGI_START:
        return clr_asgi_response_start(call, message);
    case CLR_ASGI_BODY:
        return clr_asgi_response_body(call, message);
    case CLR_ASGI_TRAILERS:
        return clr_asgi_response_trailers(call, message);
    case CLR_ASGI_HINT:
        return clr_asgi_response_hint(call, message);
    case CLR_ASGI_PATHSEND:
        return clr_asgi_file_pathsend(call, message);
    case CLR_ASGI_ZEROCOPYSEND:
        return clr_asgi_file_zerocopysend(call, message);
    default:
        PyErr_Format(PyExc_ValueError, "an HTTP request cannot be answered with %R",
                     clr_asgi_type_text(call->st->asgi, message));
        return -1;
    }
}

int clr_asgi_http_send(clr_asgi_call_t *call, clr_asgi_message_t type, PyObject *message)
{
    if (call->response.state == RESPONSE_DONE) {
        PyErr_Format(PyExc_RuntimeError, "%R after the end of the response",
                     clr_asgi_type_text(call->st->asgi, message));
        return -1;
    }
    return send_by_type(call, type, message);
}

void clr_asgi_http_end(clr_asgi_call_t *call, PyObject *error)
{
    clr_asgi_response_t *r = &call->response;
    if (!call->stream || (r->is_sending && !r->more && !error))
        return; /* complete, or will be without the application */
    bool has_begun = r->state > RESPONSE_HELD;
    if (!error && has_begun)
        clr_asgi_complain(call, "The ASGI application returned before its response was complete");
    else if (!error)
        clr_asgi_complain(call, r->state == RESPONSE_HELD
                                    ? "The ASGI application returned without a body"
                                    : "The ASGI application returned without a response");
    clr_asgi_response_fail(call, error ? CLR_STR("the application raised an exception")
                                       : CLR_STR("the application left its response incomplete"));
}
