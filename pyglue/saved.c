/* saved.c: what the app saved with a client (save_session). The gateway keeps it as bytes that
 * clrun._saved makes and reads, so that it outlives this process and any worker may ask. */
#include "server.h"

/* ---- bytes to the app's dict ---- */

PyObject *clr_saved_load(clr_wlink_t *link, clr_str_t saved)
{
    if (saved.n == 0)
        return NULL;
    PyObject *module = PyImport_ImportModule("clrun._saved");
    PyObject *data =
        module ? PyObject_CallMethod(module, "loads", "y#", saved.p, (Py_ssize_t)saved.n) : NULL;
    Py_XDECREF(module);
    if (!data)
        clr_report(link, "A saved session cannot be read");
    return data;
}

int clr_saved_on_saved(clr_wlink_t *link, const clr_frame_t *frame)
{
    clr_reader_t r = clr_reader(frame->payload);
    clr_str_t saved = clr_read_str(&r);
    if (clr_reader_done(&r) != 0)
        return CLR_EPROTO;
    clr_socket_t *s = clr_idmap_get(&link->streams, frame->stream);
    PyObject *data = s ? clr_saved_load(link, saved) : NULL;
    /* Reading it ran code of the app's. */
    s = data ? clr_idmap_get(&link->streams, frame->stream) : NULL;
    if (s) {
        PyObject *old = s->data;
        s->data = Py_NewRef(data);
        Py_XDECREF(old);
    }
    Py_XDECREF(data);
    return 0;
}

/* ---- a client of this worker ---- */

int clr_saved_keep(clr_socket_t *s, PyObject *session, PyObject *bytes)
{
    char *p = NULL;
    Py_ssize_t n = 0;
    if (bytes != Py_None && PyBytes_AsStringAndSize(bytes, &p, &n) < 0)
        return -1;
    PyObject *old = s->data;
    s->data = Py_NewRef(session);
    if (s->stream)
        clr_wlink_send_str(s->space->host->link, CLR_FRAME_SAVE, 0, s->stream,
                           clr_str(p ? p : "", (size_t)n));
    Py_XDECREF(old);
    return 0;
}

/* ---- a client of another ---- */

static bool utf8(PyObject *s, clr_str_t *out)
{
    Py_ssize_t n = 0;
    const char *p = PyUnicode_Check(s) ? PyUnicode_AsUTF8AndSize(s, &n) : NULL;
    PyErr_Clear();
    *out = clr_str(p ? p : "", (size_t)n);
    return p != NULL;
}

PyObject *clr_saved_ask(clr_app_t *app, PyObject *nsp, PyObject *sid, PyObject *bytes)
{
    clr_wlink_t *link = app->link;
    clr_str_t nsp_s = CLR_STR_EMPTY, sid_s;
    char *p = NULL;
    Py_ssize_t n = 0;
    if (bytes && PyBytes_AsStringAndSize(bytes, &p, &n) < 0)
        return NULL;
    if (!app->host || link->closed || (nsp && !utf8(nsp, &nsp_s)) || !utf8(sid, &sid_s))
        Py_RETURN_NONE;
    PyObject *future = PyObject_CallMethodObjArgs(link->loop, link->st->n.create_future, NULL);
    if (!future)
        return NULL;
    uint64_t token = clr_acks_add(app->host, future, false, NULL);
    clr_buf_t *out = clr_wlink_out(link);
    size_t begun = clr_frame_begin(out, bytes ? CLR_FRAME_STATE_SAVE : CLR_FRAME_STATE_ASK, 0, 0);
    clr_buf_append_le(out, app->host->number, 2);
    clr_write_str(out, nsp_s);
    clr_write_str(out, sid_s);
    if (bytes)
        clr_write_str(out, clr_str(p, (size_t)n));
    clr_buf_append_le(out, token, 8);
    clr_frame_end(out, begun);
    clr_wlink_sent(link);
    return future;
}
