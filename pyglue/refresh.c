/* refresh.c: the frames of a refresh. */
#include "refresh.h"

#define PATH_BYTES 4096        /* what the gateway takes for a path … */
#define TEXT_BYTES (64u << 10) /* … and for a traceback */

int clr_refresh_frame(clr_wlink_t *link, const clr_frame_t *frame)
{
    clr_reader_t r = clr_reader(frame->payload);
    uint32_t number = clr_read_u32(&r);
    if (clr_reader_done(&r) != 0 || link->on_refresh == Py_None)
        return CLR_EPROTO;
    PyObject *done = PyObject_CallFunction(link->on_refresh, "k", (unsigned long)number);
    if (!done)
        clr_report(link, "on_refresh failed");
    Py_XDECREF(done);
    return 0;
}

/* A path as the file system has it. Returns new bytes, or NULL with an exception. */
static PyObject *path_bytes(PyObject *path, clr_str_t *out)
{
    PyObject *bytes = NULL;
    char *p;
    Py_ssize_t n;
    if (!PyUnicode_FSConverter(path, (void *)&bytes))
        return NULL;
    if (PyBytes_AsStringAndSize(bytes, &p, &n) < 0 || n >= PATH_BYTES) {
        Py_DECREF(bytes);
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "the path is too long");
        return NULL;
    }
    *out = clr_str(p, (size_t)n);
    return bytes;
}

PyObject *clr_refresh_method_sources(PyObject *self, PyObject *args)
{
    clr_wlink_t *link = (clr_wlink_t *)self;
    unsigned long long since;
    PyObject *directory;
    clr_str_t path;
    if (!PyArg_ParseTuple(args, "KU:sources", &since, &directory))
        return NULL;
    PyObject *bytes = path_bytes(directory, &path);
    if (!bytes)
        return NULL;
    clr_buf_t *out = clr_wlink_out(link);
    size_t begun = clr_frame_begin(out, CLR_FRAME_SOURCES, 0, 0);
    clr_buf_append_le(out, since, 8);
    clr_write_str(out, path);
    clr_frame_end(out, begun);
    clr_wlink_sent(link);
    Py_DECREF(bytes);
    Py_RETURN_NONE;
}

PyObject *clr_refresh_method_loading(PyObject *self, PyObject *loading)
{
    clr_page_set_loading(((clr_wlink_t *)self)->page, loading == Py_True);
    Py_RETURN_NONE;
}

PyObject *clr_refresh_method_refreshed(PyObject *self, PyObject *args)
{
    clr_wlink_t *link = (clr_wlink_t *)self;
    unsigned int number, line;
    int ok;
    PyObject *file, *text;
    clr_str_t path;
    if (!PyArg_ParseTuple(args, "IpUIU:refreshed", &number, &ok, &file, &line, &text))
        return NULL;
    PyObject *file_bytes = path_bytes(file, &path);
    PyObject *text_bytes =
        file_bytes ? PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace") : NULL;
    char *p;
    Py_ssize_t n;
    if (text_bytes && PyBytes_AsStringAndSize(text_bytes, &p, &n) == 0) {
        clr_buf_t *out = clr_wlink_out(link);
        size_t begun = clr_frame_begin(out, CLR_FRAME_REFRESHED, 0, 0);
        clr_buf_append_le(out, number, 4);
        clr_buf_append_le(out, (uint64_t)ok, 1);
        clr_write_str(out, path);
        clr_buf_append_le(out, line, 4);
        clr_write_str(out, clr_str(p, (size_t)n > TEXT_BYTES ? TEXT_BYTES : (size_t)n));
        clr_frame_end(out, begun);
        clr_wlink_sent(link);
    }
    Py_XDECREF(file_bytes);
    Py_XDECREF(text_bytes);
    return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
}
