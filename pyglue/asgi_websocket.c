/* asgi_websocket.c: a WebSocket to and from the application. */
#include "asgi_internal.h"

#define RECORD_HEAD 5 /* u8 binary, u32 length */

/* Messages that may wait for the application. The window bounds their bytes; empty ones have none.
 */
#define MESSAGES_MAX CLR_REQUEST_WINDOW

#define CODE_NORMAL    1000
#define CODE_ABNORMAL  1006 /* without a close frame; never on the wire */
#define CODE_TOO_MANY  1008
#define CODE_ERROR     1011
#define REASON_MAX     123
#define WS_MESSAGE_MAX (CLR_FRAME_MAX - 1024)

/* ---- receive ---- */

static PyObject *typed(const clr_asgi_consts_t *n, PyObject *type)
{
    PyObject *message = PyDict_New();
    if (message && PyDict_SetItem(message, n->type, type) < 0)
        Py_CLEAR(message);
    return message;
}

static PyObject *disconnect_message(clr_asgi_call_t *call)
{
    const clr_asgi_consts_t *n = call->st->asgi;
    PyObject *message = typed(n, n->websocket_disconnect);
    PyObject *code = PyLong_FromLong(call->code ? call->code : CODE_ABNORMAL);
    PyObject *reason = call->reason ? Py_NewRef(call->reason) : PyUnicode_FromString("");
    if (message && (!code || !reason || PyDict_SetItem(message, n->code, code) < 0 ||
                    PyDict_SetItem(message, n->reason, reason) < 0))
        Py_CLEAR(message);
    Py_XDECREF(code);
    Py_XDECREF(reason);
    return message;
}

/* The next message of those that wait. */
static PyObject *receive_message(clr_asgi_call_t *call)
{
    const clr_asgi_consts_t *n = call->st->asgi;
    clr_reader_t r = clr_reader(clr_str_from(clr_buf_str(&call->in), call->in_from));
    bool binary = clr_read_u8(&r);
    clr_str_t data = clr_read_str(&r);
    CLR_ASSERT(!r.bad); /* we wrote it */
    PyObject *message = typed(n, n->websocket_receive);
    PyObject *value = binary ? PyBytes_FromStringAndSize(data.p, (Py_ssize_t)data.n)
                             : PyUnicode_DecodeUTF8(data.p, (Py_ssize_t)data.n, "replace");
    if (message && (!value || PyDict_SetItem(message, binary ? n->bytes : n->text, value) < 0))
        Py_CLEAR(message);
    Py_XDECREF(value);
    if (!message)
        return NULL;
    call->in_from += RECORD_HEAD + data.n;
    call->in_count--;
    call->unread -= data.n;
    if (call->in_count == 0) {
        clr_buf_deinit(&call->in);
        call->in_from = 0;
    }
    if (data.n > 0)
        clr_asgi_take(call, data.n);
    return message;
}

int clr_asgi_ws_receive(clr_asgi_call_t *call, PyObject **result)
{
    const clr_asgi_consts_t *n = call->st->asgi;
    if (!call->has_connect && !call->is_over) {
        call->has_connect = true;
        *result = typed(n, n->websocket_connect);
    } else if (call->in_count > 0) {
        *result = receive_message(call);
    } else if (!call->stream) {
        *result = disconnect_message(call);
    } else {
        return 0;
    }
    return *result ? 1 : -1;
}

int clr_asgi_ws_message(clr_asgi_call_t *call, clr_str_t data, bool binary)
{
    if (call->ws != WS_OPEN || call->unread > CLR_REQUEST_WINDOW)
        return CLR_EPROTO;
    if (call->in_count >= MESSAGES_MAX) {
        clr_asgi_ws_close(call, CODE_TOO_MANY);
        return 0;
    }
    if (call->in_from > call->in.n / 2 && call->in_from > 4096) {
        clr_buf_consume(&call->in, call->in_from);
        call->in_from = 0;
    }
    clr_buf_append_le(&call->in, binary, 1);
    clr_write_str(&call->in, data);
    call->in_count++;
    call->unread += data.n;
    clr_asgi_wake(call, WAIT_RECEIVE);
    return 0;
}

/* ---- closing ---- */

/* For the application it is closed, with what it has not received yet. reason: taken, or NULL. */
static void closed(clr_asgi_call_t *call, uint16_t code, PyObject *reason)
{
    PyObject *old = call->reason;
    call->ws = WS_CLOSED;
    call->code = code;
    call->reason = reason;
    Py_XDECREF(old);
}

/* Messages that nobody will receive any more. */
static void drop_messages(clr_asgi_call_t *call)
{
    clr_buf_deinit(&call->in);
    call->in_from = call->in_count = call->unread = 0;
}

static void send_close(clr_asgi_call_t *call, uint16_t code, clr_str_t reason)
{
    clr_buf_t *out = clr_wlink_out(call->link);
    size_t begun = clr_frame_begin(out, CLR_FRAME_WS_CLOSE, 0, call->stream);
    clr_buf_append_le(out, code, 2);
    clr_write_str(out, reason);
    clr_frame_end(out, begun);
    clr_wlink_sent(call->link);
}

void clr_asgi_ws_close(clr_asgi_call_t *call, uint16_t code)
{
    if (call->ws != WS_OPEN || !call->stream)
        return;
    send_close(call, code, CLR_STR_EMPTY);
    closed(call, code, NULL);
    clr_asgi_gone(call); /* for an application that did not ask for it */
}

void clr_asgi_ws_gone(clr_asgi_call_t *call, uint16_t code, clr_str_t reason)
{
    PyObject *text = PyUnicode_DecodeUTF8(reason.p, (Py_ssize_t)reason.n, "replace");
    PyErr_Clear();
    if (call->ws != WS_CLOSED)
        closed(call, code, text);
    else
        Py_XDECREF(text);
    clr_asgi_gone(call);
}

/* ---- send ---- */

static int refuse(const char *what)
{
    PyErr_SetString(PyExc_RuntimeError, what);
    return -1;
}

/* A str of the message as UTF-8, "" when it is not there. 0, or -1 with an exception. */
static int text_field(PyObject *message, PyObject *key, clr_str_t *out)
{
    bool failed;
    PyObject *value = clr_asgi_field(message, key, &failed);
    *out = CLR_STR_EMPTY;
    if (!value)
        return failed ? -1 : 0;
    if (!PyUnicode_Check(value)) {
        PyErr_Format(PyExc_TypeError, "%R of an ASGI message is a str, not %R", key,
                     (PyObject *)Py_TYPE(value));
        return -1;
    }
    Py_ssize_t n;
    const char *p = PyUnicode_AsUTF8AndSize(value, &n);
    if (!p)
        return -1;
    *out = clr_str(p, (size_t)n);
    return 0;
}

static int do_accept(clr_asgi_call_t *call, PyObject *message)
{
    const clr_asgi_consts_t *n = call->st->asgi;
    clr_asgi_fields_t fields = {.length = -1};
    clr_str_t subprotocol;
    if (text_field(message, n->subprotocol, &subprotocol) < 0)
        return -1;
    for (size_t i = 0; i < subprotocol.n; i++) {
        unsigned char c = (unsigned char)subprotocol.p[i];
        if (c <= 0x20 || c >= 0x7f) {
            PyErr_SetString(PyExc_ValueError, "the subprotocol has characters no subprotocol has");
            return -1;
        }
    }
    clr_buf_t payload = {0};
    clr_write_str(&payload, subprotocol);
    int status = clr_asgi_write_headers(n, &payload, SIZE_MAX, message, IN_ACCEPT, &fields);
    if (status == 0 && call->ws != WS_CONNECTING)
        status = refuse("the WebSocket was accepted or closed before");
    if (status == 0 && call->stream) {
        call->ws = WS_OPEN;
        clr_buf_t *out = clr_wlink_out(call->link);
        size_t begun = clr_frame_begin(out, CLR_FRAME_WS_ACCEPT, 0, call->stream);
        clr_buf_append_str(out, clr_buf_str(&payload));
        clr_frame_end(out, begun);
        clr_wlink_sent(call->link);
    }
    clr_buf_deinit(&payload);
    if (status == 0 && call->link->asgi.is_draining)
        clr_asgi_ws_close(call, CLR_ASGI_CODE_RESTART);
    return status;
}

/* Messages go out whole; the window may become negative, and then the next one waits. */
static int send_message(clr_asgi_call_t *call, clr_str_t data, bool binary)
{
    if (call->ws != WS_OPEN)
        return refuse("websocket.send, but the WebSocket is not open");
    if (data.n > WS_MESSAGE_MAX) {
        PyErr_Format(PyExc_ValueError, "a message of %zu bytes is too large", data.n);
        return -1;
    }
    call->window -= (int64_t)data.n;
    clr_wlink_send_str(call->link, CLR_FRAME_WS_SEND, binary ? CLR_FRAME_BINARY : 0, call->stream,
                       data);
    return 0;
}

static int do_send(clr_asgi_call_t *call, PyObject *message)
{
    const clr_asgi_consts_t *n = call->st->asgi;
    bool failed;
    PyObject *bytes = clr_asgi_field(message, n->bytes, &failed);
    PyObject *text = failed ? NULL : clr_asgi_field(message, n->text, &failed);
    if (failed)
        return -1;
    if (!bytes == !text) {
        PyErr_SetString(PyExc_ValueError, "websocket.send takes one of 'bytes' and 'text'");
        return -1;
    }
    clr_str_t data;
    if (text)
        return text_field(message, n->text, &data) < 0 ? -1 : send_message(call, data, false);
    Py_buffer view;
    if (clr_asgi_view(bytes, "'bytes' of a websocket.send", &view) < 0)
        return -1;
    int status = send_message(call, clr_str(view.buf, (size_t)view.len), true);
    PyBuffer_Release(&view);
    return status;
}

static bool is_close_code(long code)
{
    return (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
           (code >= 3000 && code <= 4999);
}

/* The code of a close, or 0 with an exception. */
static uint16_t code_of(const clr_asgi_consts_t *n, PyObject *message)
{
    bool failed;
    PyObject *value = clr_asgi_field(message, n->code, &failed);
    if (!value)
        return failed ? 0 : CODE_NORMAL;
    if (!PyLong_Check(value)) {
        PyErr_Format(PyExc_TypeError, "the 'code' of a websocket.close is an int, not %R",
                     (PyObject *)Py_TYPE(value));
        return 0;
    }
    long code = PyLong_AsLong(value);
    if (is_close_code(code))
        return (uint16_t)code;
    PyErr_Clear();
    PyErr_Format(PyExc_ValueError, "%S is no code to close a WebSocket with", value);
    return 0;
}

static int do_close(clr_asgi_call_t *call, PyObject *message)
{
    const clr_asgi_consts_t *n = call->st->asgi;
    uint16_t code = code_of(n, message);
    clr_str_t reason;
    if (code == 0 || text_field(message, n->reason, &reason) < 0)
        return -1;
    if (reason.n > REASON_MAX) {
        PyErr_SetString(PyExc_ValueError, "the reason of a close is at most 123 bytes of UTF-8");
        return -1;
    }
    if (call->ws != WS_CONNECTING && call->ws != WS_OPEN)
        return refuse("the WebSocket was closed before");
    bool was_open = call->ws == WS_OPEN;
    send_close(call, code, reason);
    drop_messages(call);
    closed(call, was_open ? code : CODE_ABNORMAL,
           PyUnicode_DecodeUTF8(reason.p, (Py_ssize_t)reason.n, NULL));
    clr_asgi_close(call);
    return 0;
}

/* A response of the application instead of the handshake. */
static int deny(clr_asgi_call_t *call, clr_asgi_message_t type, PyObject *message)
{
    if (type == CLR_ASGI_WS_START) {
        if (call->ws != WS_CONNECTING)
            return refuse("websocket.http.response.start, but the WebSocket was answered before");
        if (clr_asgi_response_start(call, message) < 0)
            return -1;
        call->ws = WS_DENYING;
        return 0;
    }
    if (call->ws != WS_DENYING)
        return refuse("websocket.http.response.body before its start, or after its end");
    return clr_asgi_response_body(call, message);
}

int clr_asgi_ws_send(clr_asgi_call_t *call, clr_asgi_message_t type, PyObject *message)
{
    switch (type) {
    case CLR_ASGI_WS_ACCEPT:
        return do_accept(call, message);
    case CLR_ASGI_WS_SEND:
        return do_send(call, message);
    case CLR_ASGI_WS_CLOSE:
        return do_close(call, message);
    case CLR_ASGI_WS_START:
    case CLR_ASGI_WS_BODY:
        return deny(call, type, message);
    default:
        PyErr_Format(PyExc_ValueError, "a WebSocket takes no %R",
                     clr_asgi_type_text(call->st->asgi, message));
        return -1;
    }
}

void clr_asgi_ws_end(clr_asgi_call_t *call, PyObject *error)
{
    if (!call->stream)
        return;
    if (call->ws == WS_OPEN) {
        uint16_t code = error ? CODE_ERROR : CODE_NORMAL;
        send_close(call, code, CLR_STR_EMPTY);
        closed(call, code, NULL);
        clr_asgi_close(call);
    } else if (call->ws == WS_DENYING) {
        clr_asgi_http_end(call, error);
    } else if (error) {
        clr_asgi_response_fail(call, CLR_STR("the application raised an exception"));
        closed(call, CODE_ABNORMAL, NULL);
    } else {
        clr_asgi_complain(call, "The ASGI application returned without accepting or closing");
        send_close(call, CODE_NORMAL, CLR_STR_EMPTY);
        closed(call, CODE_ABNORMAL, NULL);
        clr_asgi_close(call);
    }
}
