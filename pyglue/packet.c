/* packet.c: the JSON array and the attachments of a Socket.IO packet. */
#include "server.h"

static bool has_own_json(const clr_server_t *server)
{
    return server->json && server->json != Py_None;
}

/* ---- encoding ---- */

static int put_args(clr_server_t *server, clr_packet_t *p, PyObject *data, bool first)
{
    clr_state_t *st = server->app.st;
    if (data == Py_None || !data)
        return 0;
    if (!PyTuple_Check(data)) {
        if (!first)
            clr_buf_putc(p->json, ',');
        return clr_values_encode(st, p->json, data, &p->attachments);
    }
    for (Py_ssize_t i = 0; i < PyTuple_Size(data); i++, first = false) {
        if (!first)
            clr_buf_putc(p->json, ',');
        if (clr_values_encode(st, p->json, PyTuple_GetItem(data, i), &p->attachments) < 0)
            return -1;
    }
    return 0;
}

static int encode(clr_server_t *server, clr_packet_t *p, PyObject *event, PyObject *data)
{
    clr_buf_putc(p->json, '[');
    if (event && clr_values_encode(server->app.st, p->json, event, &p->attachments) < 0)
        return -1;
    if (put_args(server, p, data, event == NULL) < 0)
        return -1;
    clr_buf_putc(p->json, ']');
    return 0;
}

/* [event, *args] as a list for the app's json module. */
static PyObject *as_list(PyObject *event, PyObject *data)
{
    PyObject *list = data && PyTuple_Check(data) ? PySequence_List(data) : PyList_New(0);
    int status = list ? 0 : -1;
    if (status == 0 && data && data != Py_None && !PyTuple_Check(data))
        status = PyList_Append(list, data);
    if (status == 0 && event)
        status = PyList_Insert(list, 0, event);
    if (status < 0)
        Py_CLEAR(list);
    return list;
}

static int encode_by_app(clr_server_t *server, clr_packet_t *p, PyObject *event, PyObject *data)
{
    clr_state_t *st = server->app.st;
    PyObject *list = as_list(event, data);
    PyObject *plain = list ? clr_values_deconstruct(st, list, &p->attachments) : NULL;
    PyObject *dumps = plain ? PyObject_GetAttr(server->json, st->n.dumps) : NULL;
    PyObject *args = dumps ? PyTuple_Pack(1, plain) : NULL;
    PyObject *text = args ? PyObject_Call(dumps, args, st->separators) : NULL;
    PyObject *bytes = NULL;
    if (text && PyUnicode_Check(text))
        bytes = PyUnicode_AsEncodedString(text, "utf-8", NULL);
    else if (text && PyBytes_Check(text))
        bytes = Py_NewRef(text);
    else if (text)
        PyErr_SetString(PyExc_TypeError,
                        "dumps() of the json module returned neither str nor bytes");
    int status = -1;
    char *at;
    Py_ssize_t n;
    if (bytes && PyBytes_AsStringAndSize(bytes, &at, &n) == 0) {
        clr_buf_append(p->json, at, (size_t)n);
        status = 0;
    }
    Py_XDECREF(list);
    Py_XDECREF(plain);
    Py_XDECREF(dumps);
    Py_XDECREF(args);
    Py_XDECREF(text);
    Py_XDECREF(bytes);
    return status;
}

int clr_packet_init(clr_packet_t *p, clr_server_t *server, PyObject *event, PyObject *data)
{
    p->attachments = NULL;
    p->json = clr_wlink_scratch(server->app.link, &p->own_);
    int status = has_own_json(server) ? encode_by_app(server, p, event, data)
                                      : encode(server, p, event, data);
    return status == 0 ? clr_packet_check(p) : status;
}

int clr_packet_check(const clr_packet_t *p)
{
    /* The head, the rooms and so on take little beside 1 MiB. */
    if (clr_packet_size(p) <= CLR_FRAME_MAX - (1u << 20))
        return 0;
    PyErr_Format(PyExc_ValueError, "a message of %zu bytes is too large", clr_packet_size(p));
    return -1;
}

void clr_packet_clear(clr_packet_t *p, clr_server_t *server)
{
    clr_wlink_scratch_done(server->app.link, p->json);
    Py_CLEAR(p->attachments);
}

static clr_str_t attachment(const clr_packet_t *p, Py_ssize_t i)
{
    char *at = NULL;
    Py_ssize_t n = 0;
    int status = PyBytes_AsStringAndSize(PyList_GetItem(p->attachments, i), &at, &n);
    CLR_ASSERT(status == 0); /* the encoder puts only bytes there */
    return clr_str(at, (size_t)n);
}

size_t clr_packet_size(const clr_packet_t *p)
{
    size_t size = p->json->n + 8;
    for (Py_ssize_t i = 0; p->attachments && i < PyList_Size(p->attachments); i++)
        size += attachment(p, i).n + 4;
    return size;
}

void clr_packet_write(const clr_packet_t *p, clr_buf_t *out)
{
    Py_ssize_t count = p->attachments ? PyList_Size(p->attachments) : 0;
    clr_write_str(out, clr_buf_str(p->json));
    clr_buf_append_le(out, (uint64_t)count, 2);
    for (Py_ssize_t i = 0; i < count; i++)
        clr_write_str(out, attachment(p, i));
}

/* ---- decoding ---- */

/* A list of bytes, or NULL: none, or with an exception. */
static PyObject *attachment_list(clr_strs_t strs)
{
    if (strs.count == 0)
        return NULL;
    PyObject *list = PyList_New(0);
    clr_str_t s;
    while (list && clr_strs_next(&strs, &s)) {
        PyObject *bytes = PyBytes_FromStringAndSize(s.p, (Py_ssize_t)s.n);
        if (!bytes || PyList_Append(list, bytes) < 0)
            Py_CLEAR(list);
        Py_XDECREF(bytes);
    }
    return list;
}

static int decode_by_app(clr_server_t *server, clr_str_t json, PyObject *attachments,
                         clr_items_t *out)
{
    clr_state_t *st = server->app.st;
    PyObject *text = PyUnicode_DecodeUTF8(json.p, (Py_ssize_t)json.n, NULL);
    PyObject *obj = text ? PyObject_CallMethodObjArgs(server->json, st->n.loads, text, NULL) : NULL;
    Py_XDECREF(text);
    if (obj && attachments) {
        PyObject *whole = clr_values_reconstruct(st, obj, attachments);
        Py_DECREF(obj);
        obj = whole;
    }
    int status = obj ? clr_items_from_sequence(obj, out) : -1;
    Py_XDECREF(obj);
    return status;
}

int clr_packet_decode(clr_server_t *server, const clr_data_t *data, clr_items_t *out)
{
    PyObject *attachments = attachment_list(data->attachments);
    if (!attachments && PyErr_Occurred())
        return -1;
    int status = has_own_json(server)
                     ? decode_by_app(server, data->json, attachments, out)
                     : clr_values_decode_array(server->app.st, data->json, attachments, out);
    Py_XDECREF(attachments);
    return status;
}
