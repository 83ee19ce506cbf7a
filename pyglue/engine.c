/* engine.c: EngineServerBase, the C part of EngineServer. A session is a socket of the host's one
 * space. */
#include "server.h"

/* ---- what arrives ---- */

static clr_socket_t *session_of(clr_wlink_t *link, uint64_t stream)
{
    clr_socket_t *s = clr_idmap_get(&link->streams, stream);
    return s && s->space->host->is_engine ? s : NULL;
}

/* Runs a method of the server, or one of its handlers. Takes what the event holds, and args. */
static void run(clr_wlink_t *link, clr_event_t *event, PyObject *handler, PyObject *args)
{
    if (handler && args) {
        event->handler = Py_NewRef(handler);
        clr_carriers_run(link, event, handler, args);
    } else {
        clr_incoming_done(link, event, NULL);
    }
    Py_XDECREF(handler);
    Py_XDECREF(args);
}

static PyObject *handler_of(clr_app_t *app, PyObject *name)
{
    PyObject *handler =
        PyDict_Check(app->handlers) ? PyDict_GetItemWithError(app->handlers, name) : NULL;
    return handler && handler != Py_None ? handler : NULL;
}

/* EIO_OPEN and EIO_RESUME. */
static int on_open(clr_wlink_t *link, const clr_frame_t *frame)
{
    clr_reader_t r = clr_reader(frame->payload);
    uint16_t number = clr_read_u16(&r);
    clr_str_t sid = clr_read_str(&r);
    clr_str_t saved = frame->type == CLR_FRAME_EIO_RESUME ? clr_read_str(&r) : CLR_STR_EMPTY;
    clr_str_t request = r.rest;
    (void)clr_read_request(&r);
    if (clr_reader_done(&r) != 0 || number >= link->host_count || !link->hosts[number]->is_engine ||
        frame->stream == 0 || sid.n == 0)
        return CLR_EPROTO;
    clr_host_t *host = link->hosts[number];
    clr_socket_t *s = clr_socket_open(host, frame->stream, sid, sid, CLR_STR_EMPTY, request);
    if (!s) {
        PyErr_Clear();
        return CLR_EPROTO;
    }
    s->data = clr_saved_load(link, saved);
    clr_names_t *n = &link->st->n;
    if (!handler_of(host->app, n->connect)) {
        s->state = CLR_SOCKET_CONNECTED;
        clr_wlink_send_empty(link, CLR_FRAME_EIO_ACCEPT, frame->stream);
        return 0;
    }
    clr_event_t event = {.kind = CLR_EVENT_ENGINE_CONNECT,
                         .socket = clr_socket_ref(s),
                         .name = Py_NewRef(n->connect)};
    PyObject *env = clr_environ_get(s->session);
    PyObject *args = env ? PyTuple_Pack(2, s->sid, env) : NULL;
    Py_XDECREF(env);
    run(link, &event, args ? PyObject_GetAttr((PyObject *)host->app, n->_run_connect) : NULL, args);
    return 0;
}

static int on_message(clr_wlink_t *link, const clr_frame_t *frame)
{
    clr_reader_t r = clr_reader(frame->payload);
    clr_str_t data = clr_read_str(&r);
    if (clr_reader_done(&r) != 0)
        return CLR_EPROTO;
    clr_socket_t *s = session_of(link, frame->stream);
    PyObject *handler = s ? handler_of(s->space->host->app, link->st->n.message) : NULL;
    if (!handler)
        return 0;
    PyObject *value = frame->flags & CLR_FRAME_BINARY
                          ? PyBytes_FromStringAndSize(data.p, (Py_ssize_t)data.n)
                          : PyUnicode_DecodeUTF8(data.p, (Py_ssize_t)data.n, NULL);
    if (!value) {
        clr_incoming_abort(link, frame->stream);
        return 0;
    }
    clr_event_t event = {.kind = CLR_EVENT_ENGINE_MESSAGE,
                         .socket = clr_socket_ref(s),
                         .name = Py_NewRef(link->st->n.message)};
    PyObject *args = PyTuple_Pack(2, s->sid, value);
    Py_DECREF(value);
    run(link, &event, Py_NewRef(handler), args);
    return 0;
}

/* The session is over for the app: its disconnect handler runs, then the records go. */
static void start_disconnect(clr_wlink_t *link, clr_socket_t *s, uint8_t reason)
{
    clr_app_t *app = s->space->host->app;
    clr_names_t *n = &link->st->n;
    s->state = CLR_SOCKET_LEAVING;
    clr_socket_detach(s);
    if (!handler_of(app, n->disconnect)) {
        clr_socket_drop(s);
        return;
    }
    clr_event_t event = {.kind = CLR_EVENT_ENGINE_DISCONNECT,
                         .socket = clr_socket_ref(s),
                         .name = Py_NewRef(n->disconnect)};
    PyObject *args = Py_BuildValue("(Os)", s->sid, clr_reason_name(reason));
    run(link, &event, args ? PyObject_GetAttr((PyObject *)app, n->_run_disconnect) : NULL, args);
}

static int on_gone(clr_wlink_t *link, const clr_frame_t *frame)
{
    clr_reader_t r = clr_reader(frame->payload);
    uint8_t reason = clr_read_u8(&r);
    if (clr_reader_done(&r) != 0 || !*clr_reason_name(reason))
        return CLR_EPROTO;
    clr_socket_t *s = session_of(link, frame->stream);
    if (s && s->state == CLR_SOCKET_CONNECTING) {
        s->reason = reason; /* its connect handler is still at work */
        clr_socket_detach(s);
    } else if (s) {
        start_disconnect(link, s, reason);
    }
    return 0;
}

int clr_engine_frame(clr_wlink_t *link, const clr_frame_t *frame)
{
    switch (frame->type) {
    case CLR_FRAME_EIO_OPEN:
    case CLR_FRAME_EIO_RESUME:
        return on_open(link, frame);
    case CLR_FRAME_EIO_MESSAGE:
        return on_message(link, frame);
    default:
        return on_gone(link, frame);
    }
}

/* The body of a 401: what the handler returned, as JSON. */
static void refuse(clr_wlink_t *link, clr_socket_t *s, PyObject *why)
{
    clr_buf_t json = {0};
    PyObject *attachments = NULL;
    if (!why || clr_values_encode(link->st, &json, why, &attachments) < 0 || attachments) {
        PyErr_Clear();
        json.n = 0;
        clr_buf_printf(&json, "\"Unauthorized\"");
    }
    if (s->stream)
        clr_wlink_send_str(link, CLR_FRAME_EIO_REFUSE, 0, s->stream, clr_buf_str(&json));
    clr_buf_deinit(&json);
    Py_XDECREF(attachments);
    clr_socket_drop(s);
}

static void connect_done(clr_wlink_t *link, clr_socket_t *s, PyObject *result)
{
    if (s->state != CLR_SOCKET_CONNECTING)
        return;
    if (result != Py_None && result != Py_True) {
        refuse(link, s, result);
        return;
    }
    s->state = CLR_SOCKET_CONNECTED;
    if (s->stream)
        clr_wlink_send_empty(link, CLR_FRAME_EIO_ACCEPT, s->stream);
    if (s->reason)
        start_disconnect(link, s, s->reason);
}

void clr_engine_done(clr_wlink_t *link, clr_event_t *event, PyObject *result)
{
    if (event->kind == CLR_EVENT_ENGINE_CONNECT)
        connect_done(link, event->socket, result);
    else if (event->kind == CLR_EVENT_ENGINE_DISCONNECT)
        clr_socket_drop(event->socket);
}

/* ---- the type ---- */

/* The session of a sid, also while its disconnect handler runs; NULL without an exception. */
static clr_socket_t *find(PyObject *self, PyObject *sid)
{
    clr_host_t *host = ((clr_app_t *)self)->host;
    clr_space_t *space = host ? clr_map_get(&host->spaces, CLR_STR_EMPTY) : NULL;
    return space ? clr_socket_find(space, sid) : NULL;
}

static clr_socket_t *find_or_raise(PyObject *self, PyObject *sid)
{
    clr_socket_t *s = find(self, sid);
    if (!s)
        PyErr_SetObject(PyExc_KeyError, sid);
    return s;
}

static int send_text(clr_app_t *app, uint64_t stream, PyObject *text)
{
    Py_ssize_t n;
    const char *p = PyUnicode_AsUTF8AndSize(text, &n);
    if (p)
        clr_wlink_send_str(app->link, CLR_FRAME_EIO_SEND, 0, stream, clr_str(p, (size_t)n));
    return p ? 0 : -1;
}

static int send_bytes(clr_app_t *app, uint64_t stream, PyObject *data)
{
    Py_buffer buffer;
    if (PyObject_GetBuffer(data, &buffer, PyBUF_SIMPLE) < 0)
        return -1;
    if (buffer.len > (Py_ssize_t)(CLR_FRAME_MAX - 1024)) {
        PyErr_Format(PyExc_ValueError, "a message of %zd bytes is too large", buffer.len);
    } else {
        clr_wlink_send_str(app->link, CLR_FRAME_EIO_SEND, CLR_FRAME_BINARY, stream,
                           clr_str(buffer.buf, (size_t)buffer.len));
    }
    PyBuffer_Release(&buffer);
    return PyErr_Occurred() ? -1 : 0;
}

/* Lists and dicts go as JSON text, by the app's own module if it gave one. */
static PyObject *as_json(clr_app_t *app, PyObject *data)
{
    PyObject *module = PyObject_GetAttrString((PyObject *)app, "json");
    PyErr_Clear();
    PyObject *text = NULL;
    if (module && module != Py_None) {
        PyObject *dumps = PyObject_GetAttr(module, app->st->n.dumps);
        PyObject *args = dumps ? PyTuple_Pack(1, data) : NULL;
        text = args ? PyObject_Call(dumps, args, app->st->separators) : NULL;
        Py_XDECREF(dumps);
        Py_XDECREF(args);
    } else {
        clr_buf_t json = {0};
        PyObject *attachments = NULL;
        if (clr_values_encode(app->st, &json, data, &attachments) == 0 && !attachments)
            text = PyUnicode_DecodeUTF8(json.p, (Py_ssize_t)json.n, NULL);
        else if (attachments)
            PyErr_SetString(PyExc_TypeError, "Object of type bytes is not JSON serializable");
        Py_XDECREF(attachments);
        clr_buf_deinit(&json);
    }
    Py_XDECREF(module);
    return text;
}

int clr_engine_send(clr_app_t *app, PyObject *sid, PyObject *data)
{
    if (clr_app_check(app) < 0)
        return -1;
    bool is_json = PyList_Check(data) || PyDict_Check(data);
    PyObject *value = is_json ? as_json(app, data) : Py_NewRef(data);
    if (!value)
        return -1;
    clr_socket_t *s = find((PyObject *)app, sid);
    uint64_t stream = s ? s->stream : 0;
    int status = 0;
    if (stream)
        status =
            PyUnicode_Check(value) ? send_text(app, stream, value) : send_bytes(app, stream, value);
    Py_DECREF(value);
    return status;
}

/* _close(sid) -> True: it was here; run its disconnect handler, then call _drop() */
static PyObject *engine_close(PyObject *self, PyObject *sid)
{
    clr_socket_t *s = find(self, sid);
    if (!clr_socket_is_connected(s))
        Py_RETURN_FALSE;
    clr_wlink_t *link = ((clr_app_t *)self)->link;
    if (s->stream && s->state == CLR_SOCKET_CONNECTING)
        clr_wlink_send_str(link, CLR_FRAME_EIO_REFUSE, 0, s->stream, CLR_STR("\"Unauthorized\""));
    else if (s->stream)
        clr_wlink_send_empty(link, CLR_FRAME_EIO_CLOSE, s->stream);
    s->state = CLR_SOCKET_LEAVING;
    clr_socket_detach(s);
    Py_RETURN_TRUE;
}

static PyObject *engine_drop(PyObject *self, PyObject *sid)
{
    clr_socket_t *s = find(self, sid);
    if (s && s->state == CLR_SOCKET_LEAVING)
        clr_socket_drop(s);
    Py_RETURN_NONE;
}

static PyObject *engine_session(PyObject *self, PyObject *sid)
{
    clr_socket_t *s = find_or_raise(self, sid);
    if (s && !s->data)
        s->data = PyDict_New();
    return s && s->data ? Py_NewRef(s->data) : NULL;
}

/* _save_session(sid, session, bytes or None) -> False: it is not here */
static PyObject *engine_save_session(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 3) {
        PyErr_SetString(PyExc_TypeError, "_save_session(sid, session, saved)");
        return NULL;
    }
    clr_socket_t *s = find(self, args[0]);
    if (!s)
        Py_RETURN_FALSE;
    if (clr_saved_keep(s, args[1], args[2]) < 0)
        return NULL;
    Py_RETURN_TRUE;
}

static PyObject *engine_ask(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 1 && nargs != 2) {
        PyErr_SetString(PyExc_TypeError, "_ask(sid[, saved])");
        return NULL;
    }
    return clr_saved_ask((clr_app_t *)self, NULL, args[0], nargs == 2 ? args[1] : NULL);
}

static PyObject *engine_transport(PyObject *self, PyObject *sid)
{
    clr_socket_t *s = find_or_raise(self, sid);
    if (!s)
        return NULL;
    bool websocket = s->session->transport == CLR_TRANSPORT_WEBSOCKET;
    return PyUnicode_FromString(websocket ? "websocket" : "polling");
}

static PyObject *engine_environ(PyObject *self, PyObject *sid)
{
    clr_socket_t *s = find(self, sid);
    return s ? clr_environ_get(s->session) : Py_NewRef(Py_None);
}

static PyObject *engine_sids(PyObject *self, PyObject *unused)
{
    (void)unused;
    clr_host_t *host = ((clr_app_t *)self)->host;
    return clr_space_sids(host ? clr_map_get(&host->spaces, CLR_STR_EMPTY) : NULL);
}

static void engine_dealloc(PyObject *self)
{
    PyObject_GC_UnTrack(self);
    clr_app_clear(self);
    clr_type_free(self);
}

static PyMethodDef engine_methods[] = {
    {"send", CLR_METHOD(clr_engine_emit), METH_VARARGS | METH_KEYWORDS,
     "send(sid, data)\n--\n\nSend a str, bytes, or a list or dict as JSON. To be awaited."},
    {"_close", engine_close, METH_O, NULL},
    {"_drop", engine_drop, METH_O, NULL},
    {"_session", engine_session, METH_O, NULL},
    {"_save_session", CLR_METHOD(engine_save_session), CLR_FAST, NULL},
    {"_ask", CLR_METHOD(engine_ask), CLR_FAST, NULL},
    {"_transport", engine_transport, METH_O, NULL},
    {"_environ", engine_environ, METH_O, NULL},
    {"_sids", engine_sids, METH_NOARGS, NULL},
    {0},
};

static PyMemberDef engine_members[] = {
    {"handlers", T_OBJECT_EX, offsetof(clr_app_t, handlers), 0, NULL},
    {0},
};

static PyType_Slot engine_slots[] = {
    {Py_tp_doc, "The C part of EngineServer."},
    CLR_SLOT(Py_tp_new, clr_app_new),
    CLR_SLOT(Py_tp_dealloc, engine_dealloc),
    CLR_SLOT(Py_tp_traverse, clr_app_traverse),
    CLR_SLOT(Py_tp_clear, clr_app_clear),
    {Py_tp_methods, engine_methods},
    {Py_tp_members, engine_members},
    {0, NULL},
};

static PyType_Spec engine_spec = {
    .name = "_clrun.EngineServerBase",
    .basicsize = sizeof(clr_app_t),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = engine_slots,
};

int clr_engine_init_type(PyObject *module, clr_state_t *st)
{
    st->engine_type = PyType_FromModuleAndSpec(module, &engine_spec, NULL);
    return st->engine_type ? PyModule_AddObjectRef(module, "EngineServerBase", st->engine_type)
                           : -1;
}
