/* asgi_message.c: what an application sends, looked at with care: it may be anything. */
#include "asgi_internal.h"

#define MAX_HEADERS (1u << 20) /* bytes of all headers of a message */

typedef struct message_type {
    const char *text;
    size_t n;
} message_type_t;

static const message_type_t types[] = {
#define MESSAGE_TYPE(name, text) {text, sizeof(text) - 1},
    CLR_ASGI_MESSAGES(MESSAGE_TYPE)
#undef MESSAGE_TYPE
};

PyObject *clr_asgi_type_text(const clr_asgi_consts_t *n, PyObject *message)
{
    PyObject *type = PyDict_GetItemWithError(message, n->type);
    CLR_ASSERT(type); /* clr_asgi_message_type() has seen it */
    return type;
}

clr_asgi_message_t clr_asgi_message_type(const clr_asgi_consts_t *n, PyObject *message)
{
    if (!PyDict_Check(message)) {
        PyErr_Format(PyExc_TypeError, "an ASGI message is a dict, not %R",
                     (PyObject *)Py_TYPE(message));
        return CLR_ASGI_UNKNOWN;
    }
    PyObject *type = PyDict_GetItemWithError(message, n->type);
    if (!type) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "the ASGI message has no 'type'");
        return CLR_ASGI_UNKNOWN;
    }
    if (!PyUnicode_Check(type)) {
        PyErr_Format(PyExc_TypeError, "the 'type' of an ASGI message is a str, not %R",
                     (PyObject *)Py_TYPE(type));
        return CLR_ASGI_UNKNOWN;
    }
    Py_ssize_t size;
    const char *text = PyUnicode_AsUTF8AndSize(type, &size);
    if (!text)
        return CLR_ASGI_UNKNOWN;
    for (size_t i = 0; i < clr_array_len(types); i++) {
        if (types[i].n == (size_t)size && memcmp(types[i].text, text, types[i].n) == 0)
            return (clr_asgi_message_t)i;
    }
    return CLR_ASGI_UNKNOWN;
}

PyObject *clr_asgi_field(PyObject *message, PyObject *key, bool *failed)
{
    PyObject *value = PyDict_GetItemWithError(message, key);
    *failed = !value && PyErr_Occurred();
    return value == Py_None ? NULL : value;
}

int clr_asgi_flag(PyObject *message, PyObject *key)
{
    PyObject *value = PyDict_GetItemWithError(message, key);
    if (!value)
        return PyErr_Occurred() ? -1 : 0;
    if (value == Py_False || value == Py_True)
        return value == Py_True;
    PyErr_Format(PyExc_TypeError, "%R of an ASGI message is a bool, not %R", key,
                 (PyObject *)Py_TYPE(value));
    return -1;
}

int clr_asgi_view(PyObject *value, const char *what, Py_buffer *view)
{
    if (PyObject_CheckBuffer(value))
        return PyObject_GetBuffer(value, view, PyBUF_SIMPLE);
    PyErr_Format(PyExc_TypeError, "%s is bytes, not %R", what, (PyObject *)Py_TYPE(value));
    return -1;
}

/* ---- headers ---- */

/* Characters of a token (RFC 9110, 5.6.2). */
static bool is_token_char(unsigned char c)
{
    static const uint64_t set[2] = {
        0x03FF6CFA00000000, /* ! # $ % & ' * + - . 0-9 */
        0x57FFFFFFC7FFFFFE, /* A-Z ^ _ ` a-z | ~ */
    };
    return c < 128 && (set[c >> 6] >> (c & 63) & 1);
}

static bool is_token(clr_str_t s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!is_token_char((unsigned char)s.p[i]))
            return false;
    }
    return s.n > 0;
}

static bool is_field_value(clr_str_t s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

/* What is being written, and what it says. */
typedef struct headers {
    clr_buf_t *out;
    size_t at; /* where the count is */
    clr_asgi_where_t where;
    clr_asgi_fields_t *fields;
} headers_t;

static unsigned count_at(const clr_buf_t *out, size_t at)
{
    return (unsigned char)out->p[at] | (unsigned)(unsigned char)out->p[at + 1] << 8;
}

static int write_pair(clr_buf_t *out, size_t at, clr_str_t name, clr_str_t value)
{
    unsigned count = count_at(out, at) + 2;
    if (count > UINT16_MAX || out->n - at + name.n + value.n > MAX_HEADERS) {
        PyErr_SetString(PyExc_ValueError, "too many or too long headers");
        return -1;
    }
    out->p[at] = (char)(count & 0xff);
    out->p[at + 1] = (char)(count >> 8);
    clr_write_str(out, name);
    clr_write_str(out, value);
    return 0;
}

/* Framing is ours; the gateway chooses it by Content-Length alone. True: the header is to be left
 * out. -1 with an exception: it must not be there. */
static int look_at(headers_t *h, clr_str_t name, clr_str_t value)
{
    if (h->where == IN_RESPONSE && name.n == 14 && clr_str_ieq(name, CLR_STR("content-length"))) {
        uint64_t length;
        if (!clr_str_to_u64(clr_str_trim(value), INT64_MAX, &length) ||
            (h->fields->length >= 0 && h->fields->length != (int64_t)length)) {
            PyErr_SetString(PyExc_ValueError, "invalid Content-Length");
            return -1;
        }
        bool again = h->fields->length >= 0;
        h->fields->length = (int64_t)length;
        return again;
    }
    if (name.n == 17 && clr_str_ieq(name, CLR_STR("transfer-encoding")))
        return 1;
    if (h->where == IN_ACCEPT && name.n == 22 &&
        clr_str_ieq(name, CLR_STR("sec-websocket-protocol"))) {
        PyErr_SetString(PyExc_ValueError,
                        "the subprotocol is accepted by 'subprotocol', not by a header");
        return -1;
    }
    return 0;
}

static CLR_COLD int refuse(const char *part, clr_str_t s)
{
    PyObject *bytes = PyBytes_FromStringAndSize(s.p, (Py_ssize_t)(s.n < 200 ? s.n : 200));
    if (bytes)
        PyErr_Format(PyExc_ValueError, "invalid %s of a header: %R", part, bytes);
    Py_XDECREF(bytes);
    return -1;
}

static int write_field(headers_t *h, clr_str_t name, clr_str_t value)
{
    if (!is_token(name))
        return refuse("name", name);
    if (!is_field_value(value))
        return refuse("value", value);
    int skip = look_at(h, name, value);
    return skip ? (skip < 0 ? -1 : 0) : write_pair(h->out, h->at, name, value);
}

int clr_asgi_write_field(clr_buf_t *out, size_t at, clr_str_t name, clr_str_t value)
{
    headers_t h = {out, at, IN_TRAILERS, NULL};
    return write_field(&h, name, value);
}

/* bytes, or else anything that looks like bytes; both views are released. */
static int write_views(headers_t *h, PyObject *name, PyObject *value)
{
    Py_buffer name_view, value_view;
    if (clr_asgi_view(name, "the name of a header", &name_view) < 0)
        return -1;
    int status = clr_asgi_view(value, "the value of a header", &value_view);
    if (status == 0) {
        status = write_field(h, clr_str(name_view.buf, (size_t)name_view.len),
                             clr_str(value_view.buf, (size_t)value_view.len));
        PyBuffer_Release(&value_view);
    }
    PyBuffer_Release(&name_view);
    return status;
}

static int write_items(headers_t *h, PyObject *name, PyObject *value)
{
    char *p, *q;
    Py_ssize_t m, n;
    if (!PyBytes_Check(name) || !PyBytes_Check(value))
        return write_views(h, name, value);
    if (PyBytes_AsStringAndSize(name, &p, &m) < 0 || PyBytes_AsStringAndSize(value, &q, &n) < 0)
        return -1;
    return write_field(h, clr_str(p, (size_t)m), clr_str(q, (size_t)n));
}

static int write_header(headers_t *h, PyObject *pair)
{
    if (PyTuple_CheckExact(pair) && PyTuple_Size(pair) == 2)
        return write_items(h, PyTuple_GetItem(pair, 0), PyTuple_GetItem(pair, 1));
    PyObject *items = PyUnicode_Check(pair) || PyBytes_Check(pair) ? NULL : PySequence_Tuple(pair);
    if (!items || PyTuple_Size(items) != 2) {
        if (!PyErr_Occurred())
            PyErr_Format(PyExc_ValueError, "a header is a pair (name, value), not %.100R", pair);
        Py_XDECREF(items);
        return -1;
    }
    int status = write_items(h, PyTuple_GetItem(items, 0), PyTuple_GetItem(items, 1));
    Py_DECREF(items);
    return status;
}

static int write_list(headers_t *h, PyObject *list)
{
    for (Py_ssize_t i = 0; i < PyList_Size(list); i++) {
        PyObject *pair = Py_NewRef(PyList_GetItem(list, i));
        int status = write_header(h, pair);
        Py_DECREF(pair);
        if (status < 0)
            return -1;
    }
    return 0;
}

static int write_iterable(headers_t *h, PyObject *iterable)
{
    PyObject *pairs = PyObject_GetIter(iterable), *pair;
    if (!pairs)
        return -1;
    int status = 0;
    while (status == 0 && (pair = PyIter_Next(pairs)) != NULL) {
        status = write_header(h, pair);
        Py_DECREF(pair);
    }
    Py_DECREF(pairs);
    return status < 0 || PyErr_Occurred() ? -1 : 0;
}

int clr_asgi_write_headers(const clr_asgi_consts_t *n, clr_buf_t *out, size_t at, PyObject *message,
                           clr_asgi_where_t where, clr_asgi_fields_t *fields)
{
    bool failed;
    PyObject *value = Py_XNewRef(clr_asgi_field(message, n->headers, &failed));
    if (failed)
        return -1;
    if (at == SIZE_MAX) {
        at = out->n;
        clr_buf_append_le(out, 0, 2);
    }
    headers_t h = {out, at, where, fields};
    int status = 0;
    if (value)
        status = PyList_CheckExact(value) ? write_list(&h, value) : write_iterable(&h, value);
    Py_XDECREF(value);
    return status;
}
