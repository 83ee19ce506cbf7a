/* report.c: exceptions to the gateway's log. */
#include <stdarg.h>

#include "worker_link.h"

/* The traceback as text, without the frames of clrun. Returns a new str, or NULL with an exception.
 */
static PyObject *describe(clr_state_t *st, PyObject *exc)
{
    if (!st->describe) {
        PyObject *module = PyImport_ImportModule("clrun._worker");
        st->describe = module ? PyObject_GetAttrString(module, "describe") : NULL;
        Py_XDECREF(module);
    }
    PyObject *s = st->describe ? PyObject_CallFunctionObjArgs(st->describe, exc, NULL) : NULL;
    if (s && !PyUnicode_Check(s))
        Py_CLEAR(s);
    return s;
}

static void send_line(clr_wlink_t *link, PyObject *line)
{
    PyObject *bytes = PyUnicode_AsEncodedString(line, "utf-8", "backslashreplace");
    char *p;
    Py_ssize_t n;
    if (bytes && PyBytes_AsStringAndSize(bytes, &p, &n) == 0)
        clr_wlink_log(link, 3, CLR_STR("app"), clr_str(p, (size_t)n));
    else
        PyErr_Clear();
    Py_XDECREF(bytes);
}

void clr_report(clr_wlink_t *link, const char *fmt, ...)
{
    PyObject *exc = clr_err_take();
    if (!exc)
        return;
    va_list args;
    va_start(args, fmt);
    PyObject *what = PyUnicode_FromFormatV(fmt, args);
    va_end(args);
    PyErr_Clear();
    PyObject *trace = link->closed ? NULL : describe(link->st, exc);
    PyErr_Clear();
    PyObject *line = what && trace ? PyUnicode_FromFormat("%U\n%U", what, trace) : NULL;
    if (line) {
        send_line(link, line);
    } else {
        /* The link is closed, or even the traceback cannot be made: what is left is stderr. */
        PyErr_Clear();
        clr_err_give(Py_NewRef(exc));
        PyErr_WriteUnraisable(what);
    }
    PyErr_Clear();
    Py_XDECREF(line);
    Py_XDECREF(what);
    Py_XDECREF(trace);
    Py_DECREF(exc);
}
