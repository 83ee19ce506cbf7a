/* asgi_report.c: what the log says of a call, and what it does not: that a client left is nobody's
 * fault.
 */
#include "asgi_internal.h"

PyObject *clr_asgi_describe(PyObject *self)
{
    clr_asgi_call_t *call = (clr_asgi_call_t *)self;
    const char *none = call->is_websocket ? "WebSocket" : "?";
    const char *path = call->path ? PyBytes_AsString(call->path) : "?";
    PyObject *text = path ? PyUnicode_DecodeLatin1(path, (Py_ssize_t)strlen(path), NULL) : NULL;
    PyObject *line = text ? PyUnicode_FromFormat("%V %U", call->method, none, text) : NULL;
    Py_XDECREF(text);
    return line;
}

/* "what: GET /path". Returns a new str, or NULL without an exception. */
static PyObject *headline(clr_asgi_call_t *call, const char *what)
{
    PyObject *text = clr_asgi_describe((PyObject *)call);
    PyObject *line = text ? PyUnicode_FromFormat("%s: %U", what, text) : NULL;
    Py_XDECREF(text);
    if (!line)
        PyErr_Clear();
    return line;
}

void clr_asgi_complain(clr_asgi_call_t *call, const char *text)
{
    PyObject *line = headline(call, text);
    Py_ssize_t n;
    const char *p = line ? PyUnicode_AsUTF8AndSize(line, &n) : NULL;
    if (p)
        clr_wlink_log(call->link, 3, CLR_STR("app"), clr_str(p, (size_t)n));
    PyErr_Clear();
    Py_XDECREF(line);
}

/* What Starlette raises when it caught ours. */
static bool is_wrapped(PyObject *error, PyObject *ours)
{
    PyObject *context = PyException_GetContext(error);
    PyObject *name = NULL;
    if (context && PyErr_GivenExceptionMatches(context, ours))
        name = PyType_GetName(Py_TYPE(error));
    bool same = name && PyUnicode_CompareWithASCIIString(name, "ClientDisconnect") == 0;
    PyErr_Clear();
    Py_XDECREF(context);
    Py_XDECREF(name);
    return same;
}

/* An exception group of nothing but ours. */
static bool is_group_of(PyObject *error, PyObject *ours)
{
    if (!PyObject_HasAttrString(error, "exceptions"))
        return false;
    PyObject *parts = PyObject_CallMethod(error, "split", "O", ours);
    bool only = parts && PyTuple_Check(parts) && PyTuple_Size(parts) == 2 &&
                PyTuple_GetItem(parts, 1) == Py_None;
    PyErr_Clear();
    Py_XDECREF(parts);
    return only;
}

/* Whether this is our own ClientDisconnected on its way out. */
static bool is_disconnect(clr_asgi_call_t *call, PyObject *error)
{
    PyObject *ours = call->st->client_disconnected;
    if (!ours || !call->is_gone)
        return false;
    if (PyErr_GivenExceptionMatches(error, ours))
        return true;
    return is_wrapped(error, ours) || is_group_of(error, ours);
}

void clr_asgi_report(clr_asgi_call_t *call, PyObject *error)
{
    if (is_disconnect(call, error))
        return;
    if (PyErr_GivenExceptionMatches(error, call->st->cancelled_error)) {
        if (call->stream && !call->link->asgi.is_draining)
            clr_asgi_complain(call, "The ASGI application's task was cancelled");
        return;
    }
    PyObject *line = headline(call, "Exception in the ASGI application");
    clr_err_give(Py_NewRef(error));
    clr_report(call->link, "%V", line, "Exception in the ASGI application");
    Py_XDECREF(line);
}
