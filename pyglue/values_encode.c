/* values_encode.c: Python objects to JSON text. */
#include <math.h>

#include "values.h"
#include "values_internal.h"

typedef struct clr_encoder {
    clr_state_t *st;
    clr_buf_t *out;
    PyObject **attachments;
} clr_encoder_t;

static int encode(clr_encoder_t *e, PyObject *obj, unsigned depth);

static void put(clr_encoder_t *e, const char *text)
{
    clr_buf_append(e->out, text, strlen(text));
}

/* ---- strings ---- */

static void put_escape(clr_buf_t *out, char c)
{
    static const char from[] = "\"\\\b\f\n\r\t";
    static const char to[] = "\"\\bfnrt";
    static const char hex[] = "0123456789abcdef";
    const char *at = c ? strchr(from, c) : NULL;
    if (at) {
        clr_buf_append(out, (char[]){'\\', to[at - from]}, 2);
        return;
    }
    clr_buf_append(out, (char[]){'\\', 'u', '0', '0', hex[c >> 4 & 15], hex[c & 15]}, 6);
}

static void put_escaped(clr_buf_t *out, const char *p, size_t n)
{
    while (n > 0) {
        size_t run = clr_values_plain_run(p, n);
        clr_buf_append(out, p, run);
        if (run < n)
            put_escape(out, p[run++]);
        p += run;
        n -= run;
    }
}

/* UTF-8 with lone surrogates in it: those become escapes, since they are not UTF-8. */
static int put_with_surrogates(clr_buf_t *out, PyObject *s)
{
    PyObject *bytes = PyUnicode_AsEncodedString(s, "utf-8", "surrogatepass");
    if (!bytes)
        return -1;
    char *p;
    Py_ssize_t n;
    if (PyBytes_AsStringAndSize(bytes, &p, &n) < 0) {
        Py_DECREF(bytes);
        return -1;
    }
    const char *end = p + n;
    for (char *from = p; from < end; from = p) {
        while (p < end && !((unsigned char)p[0] == 0xed && (unsigned char)p[1] >= 0xa0))
            p++;
        put_escaped(out, from, (size_t)(p - from));
        if (p < end) {
            unsigned c = 0xd000 | (unsigned)(p[1] & 0x3f) << 6 | (unsigned)(p[2] & 0x3f);
            clr_buf_printf(out, "\\u%04x", c);
            p += 3;
        }
    }
    Py_DECREF(bytes);
    return 0;
}

static int put_string(clr_encoder_t *e, PyObject *s)
{
    Py_ssize_t n;
    const char *p = PyUnicode_AsUTF8AndSize(s, &n);
    int status = 0;
    clr_buf_putc(e->out, '"');
    if (p) {
        clr_buf_reserve(e->out, (size_t)n + 1);
        put_escaped(e->out, p, (size_t)n);
    } else if (PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
        PyErr_Clear();
        status = put_with_surrogates(e->out, s);
    } else {
        return -1;
    }
    clr_buf_putc(e->out, '"');
    return status;
}

/* ---- numbers ---- */

static void put_int64(clr_buf_t *out, long long v)
{
    if (v < 0)
        clr_buf_putc(out, '-');
    clr_buf_append_u64(out, v < 0 ? -(unsigned long long)v : (unsigned long long)v);
}

/* As int.__repr__, whatever a subclass (an IntEnum) makes of it. */
static int put_int(clr_encoder_t *e, PyObject *obj)
{
    int overflow;
    long long v = PyLong_AsLongLongAndOverflow(obj, &overflow);
    if (!overflow) {
        if (v == -1 && PyErr_Occurred())
            return -1;
        put_int64(e->out, v);
        return 0;
    }
    PyObject *text = PyNumber_ToBase(obj, 10);
    Py_ssize_t n = 0;
    const char *p = text ? PyUnicode_AsUTF8AndSize(text, &n) : NULL;
    if (p)
        clr_buf_append(e->out, p, (size_t)n);
    Py_XDECREF(text);
    return p ? 0 : -1;
}

/* As float.__repr__. */
static int put_float(clr_encoder_t *e, PyObject *obj)
{
    double v = PyFloat_AsDouble(obj);
    if (v == -1.0 && PyErr_Occurred())
        return -1;
    if (!isfinite(v)) {
        PyErr_Format(PyExc_ValueError, "Out of range float values are not JSON compliant: %s",
                     isnan(v) ? "nan"
                     : v > 0  ? "inf"
                              : "-inf");
        return -1;
    }
    char *text = PyOS_double_to_string(v, 'r', 0, Py_DTSF_ADD_DOT_0, NULL);
    if (!text)
        return -1;
    put(e, text);
    PyMem_Free(text);
    return 0;
}

/* ---- bytes ---- */

static bool is_binary(PyObject *obj)
{
    return PyBytes_Check(obj) || PyByteArray_Check(obj) ||
           (PyObject *)Py_TYPE(obj) == (PyObject *)&PyMemoryView_Type;
}

/* Appends the bytes (a copy if they could change) to the list. Returns their number, or -1. */
static Py_ssize_t add_attachment(PyObject **attachments, PyObject *obj)
{
    if (!*attachments && !(*attachments = PyList_New(0)))
        return -1;
    Py_ssize_t number = PyList_Size(*attachments);
    if (number == UINT16_MAX) {
        PyErr_SetString(PyExc_ValueError, "more than 65535 binary values in one message");
        return -1;
    }
    PyObject *bytes = PyBytes_CheckExact(obj) ? Py_NewRef(obj) : PyBytes_FromObject(obj);
    int status = bytes ? PyList_Append(*attachments, bytes) : -1;
    Py_XDECREF(bytes);
    return status < 0 ? -1 : number;
}

static int put_binary(clr_encoder_t *e, PyObject *obj)
{
    Py_ssize_t number = add_attachment(e->attachments, obj);
    if (number < 0)
        return -1;
    put(e, "{\"_placeholder\":true,\"num\":");
    put_int64(e->out, number);
    clr_buf_putc(e->out, '}');
    return 0;
}

/* ---- containers ---- */

static int put_key(clr_encoder_t *e, PyObject *key)
{
    if (PyUnicode_Check(key))
        return put_string(e, key);
    clr_buf_putc(e->out, '"');
    int status = 0;
    if (PyFloat_Check(key)) {
        status = put_float(e, key);
    } else if (key == Py_True || key == Py_False || key == Py_None) {
        put(e, key == Py_True ? "true" : key == Py_False ? "false" : "null");
    } else if (PyLong_Check(key)) {
        status = put_int(e, key);
    } else {
        PyObject *name = PyType_GetName(Py_TYPE(key));
        if (name)
            PyErr_Format(PyExc_TypeError, "keys must be str, int, float, bool or None, not %U",
                         name);
        Py_XDECREF(name);
        return -1;
    }
    clr_buf_putc(e->out, '"');
    return status;
}

static int put_member(clr_encoder_t *e, PyObject *key, PyObject *value, bool first, unsigned depth)
{
    if (!first)
        clr_buf_putc(e->out, ',');
    if (put_key(e, key) < 0)
        return -1;
    clr_buf_putc(e->out, ':');
    return encode(e, value, depth);
}

/* A subclass of dict decides itself what its items are. */
static int put_items(clr_encoder_t *e, PyObject *obj, unsigned depth)
{
    PyObject *items = PyObject_CallMethodObjArgs(obj, e->st->n.items, NULL);
    PyObject *list = items ? PySequence_List(items) : NULL;
    Py_XDECREF(items);
    int status = list ? 0 : -1;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_Size(list); i++) {
        PyObject *pair = PyList_GetItem(list, i);
        if (!PyTuple_Check(pair) || PyTuple_Size(pair) != 2) {
            PyErr_SetString(PyExc_ValueError, "items must return 2-tuples");
            status = -1;
        } else {
            status =
                put_member(e, PyTuple_GetItem(pair, 0), PyTuple_GetItem(pair, 1), i == 0, depth);
        }
    }
    Py_XDECREF(list);
    return status;
}

static int put_dict(clr_encoder_t *e, PyObject *obj, unsigned depth)
{
    clr_buf_putc(e->out, '{');
    int status = 0;
    if (!PyDict_CheckExact(obj)) {
        status = put_items(e, obj, depth);
    } else {
        PyObject *key, *value;
        Py_ssize_t at = 0;
        for (bool first = true; status == 0 && PyDict_Next(obj, &at, &key, &value); first = false) {
            /* A subclass of dict among the values may run code that changes this one. */
            Py_INCREF(key);
            Py_INCREF(value);
            status = put_member(e, key, value, first, depth);
            Py_DECREF(key);
            Py_DECREF(value);
        }
    }
    clr_buf_putc(e->out, '}');
    return status;
}

static int put_list(clr_encoder_t *e, PyObject *obj, unsigned depth)
{
    int status = 0;
    clr_buf_putc(e->out, '[');
    for (Py_ssize_t i = 0; status == 0 && i < PyList_Size(obj); i++) {
        if (i > 0)
            clr_buf_putc(e->out, ',');
        PyObject *item = Py_NewRef(PyList_GetItem(obj, i));
        status = encode(e, item, depth);
        Py_DECREF(item);
    }
    clr_buf_putc(e->out, ']');
    return status;
}

static int put_tuple(clr_encoder_t *e, PyObject *obj, unsigned depth)
{
    int status = 0;
    clr_buf_putc(e->out, '[');
    for (Py_ssize_t i = 0, n = PyTuple_Size(obj); status == 0 && i < n; i++) {
        if (i > 0)
            clr_buf_putc(e->out, ',');
        status = encode(e, PyTuple_GetItem(obj, i), depth);
    }
    clr_buf_putc(e->out, ']');
    return status;
}

static CLR_COLD int unknown(PyObject *obj)
{
    PyObject *name = PyType_GetName(Py_TYPE(obj));
    if (name)
        PyErr_Format(PyExc_TypeError, "Object of type %U is not JSON serializable", name);
    Py_XDECREF(name);
    return -1;
}

static int put_container(clr_encoder_t *e, PyObject *obj, unsigned depth)
{
    if (depth == CLR_VALUES_DEPTH) {
        PyErr_Format(PyExc_RecursionError, "nested more than %d deep, or in itself",
                     CLR_VALUES_DEPTH);
        return -1;
    }
    if (PyDict_Check(obj))
        return put_dict(e, obj, depth + 1);
    return PyList_Check(obj) ? put_list(e, obj, depth + 1) : put_tuple(e, obj, depth + 1);
}

static int encode(clr_encoder_t *e, PyObject *obj, unsigned depth)
{
    if (PyUnicode_Check(obj))
        return put_string(e, obj);
    if (obj == Py_None || obj == Py_True || obj == Py_False) {
        put(e, obj == Py_None ? "null" : obj == Py_True ? "true" : "false");
        return 0;
    }
    if (PyLong_Check(obj))
        return put_int(e, obj);
    if (PyDict_Check(obj) || PyList_Check(obj) || PyTuple_Check(obj))
        return put_container(e, obj, depth);
    if (PyFloat_Check(obj))
        return put_float(e, obj);
    return is_binary(obj) ? put_binary(e, obj) : unknown(obj);
}

int clr_values_encode(clr_state_t *st, clr_buf_t *out, PyObject *obj, PyObject **attachments)
{
    clr_encoder_t e = {st, out, attachments};
    return encode(&e, obj, 0);
}

/* ---- an app's own json module ---- */

static PyObject *deconstruct(clr_state_t *st, PyObject *obj, PyObject **attachments,
                             unsigned depth);

static PyObject *placeholder(clr_state_t *st, PyObject *obj, PyObject **attachments)
{
    Py_ssize_t number = add_attachment(attachments, obj);
    if (number < 0)
        return NULL;
    return Py_BuildValue("{OOOn}", st->n._placeholder, Py_True, st->n.num, number);
}

static PyObject *deconstruct_list(clr_state_t *st, PyObject *obj, PyObject **attachments,
                                  unsigned depth)
{
    PyObject *copy = NULL;
    for (Py_ssize_t i = 0; i < PyList_Size(obj); i++) {
        PyObject *item = PyList_GetItem(obj, i);
        PyObject *value = deconstruct(st, item, attachments, depth);
        if (value && value != item && !copy)
            copy = PySequence_List(obj);
        if (!value || (value != item && !copy)) {
            Py_XDECREF(value);
            Py_XDECREF(copy);
            return NULL;
        }
        if (copy)
            PyList_SetItem(copy, i, value);
        else
            Py_DECREF(value);
    }
    return copy ? copy : Py_NewRef(obj);
}

static PyObject *deconstruct_dict(clr_state_t *st, PyObject *obj, PyObject **attachments,
                                  unsigned depth)
{
    PyObject *copy = NULL, *key, *item;
    Py_ssize_t at = 0;
    while (PyDict_Next(obj, &at, &key, &item)) {
        PyObject *value = deconstruct(st, item, attachments, depth);
        if (value && value != item && !copy)
            copy = PyDict_Copy(obj);
        int status = !value || (value != item && !copy) ? -1 : 0;
        if (status == 0 && value != item)
            status = PyDict_SetItem(copy, key, value);
        Py_XDECREF(value);
        if (status < 0) {
            Py_XDECREF(copy);
            return NULL;
        }
    }
    return copy ? copy : Py_NewRef(obj);
}

static PyObject *deconstruct(clr_state_t *st, PyObject *obj, PyObject **attachments, unsigned depth)
{
    if (depth > CLR_VALUES_DEPTH) {
        PyErr_Format(PyExc_RecursionError, "nested more than %d deep, or in itself",
                     CLR_VALUES_DEPTH);
        return NULL;
    }
    if (PyList_Check(obj))
        return deconstruct_list(st, obj, attachments, depth + 1);
    if (PyDict_Check(obj))
        return deconstruct_dict(st, obj, attachments, depth + 1);
    return is_binary(obj) ? placeholder(st, obj, attachments) : Py_NewRef(obj);
}

PyObject *clr_values_deconstruct(clr_state_t *st, PyObject *obj, PyObject **attachments)
{
    return deconstruct(st, obj, attachments, 0);
}
