/* server.c: Server, the C base of AsyncServer: everything about sockets, rooms and sessions. */
#include "server.h"

#include <stdlib.h>

#include "base/mem.h"

/* ---- what both kinds of server share ---- */

int clr_app_check(clr_app_t *app)
{
    if (app->host)
        return 0;
    PyErr_SetString(PyExc_RuntimeError,
                    "clrun: not running under clrun (start the app with `clrun app.py`)");
    return -1;
}

PyObject *clr_app_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    (void)args;
    (void)kwargs;
    clr_state_t *st = clr_state_of_type(type);
    if (!st)
        return NULL;
    clr_app_t *app = (clr_app_t *)PyType_GenericAlloc(type, 0);
    if (!app)
        return NULL;
    app->st = st;
    app->handlers = PyDict_New();
    if (!app->handlers)
        Py_CLEAR(app);
    return (PyObject *)app;
}

int clr_app_traverse(PyObject *self, visitproc visit, void *arg)
{
    clr_app_t *app = (clr_app_t *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT((PyObject *)app->link);
    Py_VISIT(app->handlers);
    return 0;
}

int clr_app_clear(PyObject *self)
{
    clr_app_t *app = (clr_app_t *)self;
    app->host = NULL;
    Py_CLEAR(app->link);
    Py_CLEAR(app->handlers);
    return 0;
}

/* ---- finding ---- */

static clr_space_t *space_of(clr_server_t *server, PyObject *nsp)
{
    if (!nsp || nsp == Py_None)
        nsp = server->app.st->slash;
    return server->app.host ? clr_space_find(server->app.host, nsp) : NULL;
}

/* Also one whose disconnect handler runs; NULL without an exception. */
static clr_socket_t *socket_of(PyObject *self, PyObject *sid, PyObject *nsp)
{
    clr_space_t *space = space_of((clr_server_t *)self, nsp);
    return space ? clr_socket_find(space, sid) : NULL;
}

static int check_args(Py_ssize_t nargs, Py_ssize_t want, const char *usage)
{
    if (nargs == want)
        return 0;
    PyErr_SetString(PyExc_TypeError, usage);
    return -1;
}

/* ---- rooms ---- */

static bool utf8(PyObject *s, clr_str_t *out)
{
    Py_ssize_t n;
    const char *p = PyUnicode_Check(s) ? PyUnicode_AsUTF8AndSize(s, &n) : NULL;
    if (!p && !PyErr_Occurred())
        PyErr_Format(PyExc_TypeError, "expected a str, not %R", s);
    *out = p ? clr_str(p, (size_t)n) : CLR_STR_EMPTY;
    return p != NULL;
}

/* SIO_REMOTE for a sid that is not one of this worker's. Returns a future of the REPLY, None when
 * no reply is wanted, or NULL with an exception. */
static PyObject *send_remote(clr_server_t *server, PyObject *sid, PyObject *nsp, uint8_t op,
                             PyObject *key, bool wants_reply)
{
    clr_wlink_t *link = server->app.link;
    clr_str_t sid_s, nsp_s, room_s = CLR_STR_EMPTY;
    if (nsp == Py_None)
        nsp = server->app.st->slash;
    if (!utf8(sid, &sid_s) || !utf8(nsp, &nsp_s) || (key && !utf8(key, &room_s)))
        return NULL;
    PyObject *future = Py_NewRef(Py_None);
    uint64_t token = 0;
    if (wants_reply) {
        Py_DECREF(future);
        future = PyObject_CallMethodObjArgs(link->loop, link->st->n.create_future, NULL);
        if (!future)
            return NULL;
        token = clr_acks_add(server->app.host, future, false, NULL);
    }
    clr_buf_t *out = clr_wlink_out(link);
    size_t begun = clr_frame_begin(out, CLR_FRAME_SIO_REMOTE, 0, 0);
    clr_buf_append_le(out, server->app.host->number, 2);
    clr_write_str(out, nsp_s);
    clr_write_str(out, sid_s);
    clr_buf_append_le(out, op, 1);
    clr_write_str(out, room_s);
    clr_buf_append_le(out, token, 8);
    clr_frame_end(out, begun);
    clr_wlink_sent(link);
    return future;
}

static int send_room(clr_socket_t *s, uint8_t type, PyObject *key)
{
    clr_str_t name;
    if (!utf8(key, &name))
        return -1;
    if (s->stream)
        clr_wlink_send_str(s->space->host->link, type, 0, s->stream, name);
    return 0;
}

/* _join(sid, room, namespace) -> True, False when it is leaving, or a future of whether another
 * worker has it */
static PyObject *server_join(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    clr_server_t *server = (clr_server_t *)self;
    if (check_args(nargs, 3, "_join(sid, room, namespace)") < 0 || clr_app_check(&server->app) < 0)
        return NULL;
    PyObject *key = clr_room_key(args[1]);
    if (!key)
        return NULL;
    clr_socket_t *s = socket_of(self, args[0], args[2]);
    PyObject *result = NULL;
    if (!s)
        result = send_remote(server, args[0], args[2], CLR_ROOM_JOIN, key, true);
    else if (!clr_socket_is_connected(s))
        result = Py_NewRef(Py_False);
    else if (send_room(s, CLR_FRAME_SIO_JOIN, key) == 0 && clr_socket_join(s, args[1]) == 0)
        result = Py_NewRef(Py_True);
    Py_DECREF(key);
    return result;
}

static PyObject *server_leave(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    clr_server_t *server = (clr_server_t *)self;
    if (check_args(nargs, 3, "_leave(sid, room, namespace)") < 0 || clr_app_check(&server->app) < 0)
        return NULL;
    PyObject *key = clr_room_key(args[1]);
    if (!key)
        return NULL;
    clr_socket_t *s = socket_of(self, args[0], args[2]);
    PyObject *result = NULL;
    if (!s)
        result = send_remote(server, args[0], args[2], CLR_ROOM_LEAVE, key, false);
    else if (send_room(s, CLR_FRAME_SIO_LEAVE, key) == 0 &&
             (!s->rooms || PySet_Discard(s->rooms, args[1]) >= 0))
        result = Py_NewRef(Py_None);
    Py_DECREF(key);
    return result;
}

static int forget_room(clr_space_t *space, PyObject *room)
{
    clr_map_entry_t entry;
    size_t at = 0;
    while (space && clr_map_next(&space->sids, &at, &entry)) {
        clr_socket_t *s = entry.value;
        if (s->rooms && PySet_Discard(s->rooms, room) < 0)
            return -1;
    }
    return 0;
}

static PyObject *server_close_room(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    clr_server_t *server = (clr_server_t *)self;
    if (check_args(nargs, 2, "_close_room(room, namespace)") < 0 || clr_app_check(&server->app) < 0)
        return NULL;
    PyObject *namespace = args[1] == Py_None ? server->app.st->slash : args[1];
    clr_str_t name, nsp;
    PyObject *key = clr_room_key(args[0]);
    if (!key || !utf8(key, &name) || !utf8(namespace, &nsp) ||
        forget_room(space_of(server, namespace), args[0]) < 0) {
        Py_XDECREF(key);
        return NULL;
    }
    clr_buf_t *out = clr_wlink_out(server->app.link);
    size_t begun = clr_frame_begin(out, CLR_FRAME_SIO_CLOSE_ROOM, 0, 0);
    clr_buf_append_le(out, server->app.host->number, 2);
    clr_write_str(out, nsp);
    clr_write_str(out, name);
    clr_frame_end(out, begun);
    clr_wlink_sent(server->app.link);
    Py_DECREF(key);
    Py_RETURN_NONE;
}

static PyObject *server_rooms(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (check_args(nargs, 2, "_rooms(sid, namespace)") < 0)
        return NULL;
    clr_socket_t *s = socket_of(self, args[0], args[1]);
    PyObject *list = s && s->rooms ? PySequence_List(s->rooms) : PyList_New(0);
    if (list && s && PyList_Insert(list, 0, s->sid) < 0)
        Py_CLEAR(list);
    return list;
}

/* ---- sessions ---- */

static clr_socket_t *socket_or_raise(PyObject *self, PyObject *sid, PyObject *nsp)
{
    clr_socket_t *s = socket_of(self, sid, nsp);
    if (!s)
        PyErr_SetString(PyExc_KeyError, "Session not found");
    return s;
}

static PyObject *server_session(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (check_args(nargs, 2, "_session(sid, namespace)") < 0)
        return NULL;
    clr_socket_t *s = socket_or_raise(self, args[0], args[1]);
    if (s && !s->data)
        s->data = PyDict_New();
    return s && s->data ? Py_NewRef(s->data) : NULL;
}

/* _save_session(sid, session, namespace, bytes or None) -> False: it is not here */
static PyObject *server_save_session(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (check_args(nargs, 4, "_save_session(sid, session, namespace, saved)") < 0)
        return NULL;
    clr_socket_t *s = socket_of(self, args[0], args[2]);
    if (!s)
        Py_RETURN_FALSE;
    if (clr_saved_keep(s, args[1], args[3]) < 0)
        return NULL;
    Py_RETURN_TRUE;
}

/* _check_move(sid, namespace): what made _leaves(sid) return False has changed. */
static PyObject *server_check_move(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (check_args(nargs, 2, "_check_move(sid, namespace)") < 0)
        return NULL;
    clr_socket_t *s = socket_of(self, args[0], args[1]);
    if (s)
        clr_moves_check(s->session);
    Py_RETURN_NONE;
}

/* _ask(sid, namespace[, saved]): see clr_saved_ask() */
static PyObject *server_ask(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 3 && check_args(nargs, 2, "_ask(sid, namespace[, saved])") < 0)
        return NULL;
    return clr_saved_ask((clr_app_t *)self, args[1], args[0], nargs == 3 ? args[2] : NULL);
}

static PyObject *server_environ(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (check_args(nargs, 2, "_environ(sid, namespace)") < 0)
        return NULL;
    clr_socket_t *s = socket_of(self, args[0], args[1]);
    return s ? clr_environ_get(s->session) : Py_NewRef(Py_None);
}

static PyObject *server_transport(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (check_args(nargs, 2, "_transport(sid, namespace)") < 0)
        return NULL;
    clr_socket_t *s = socket_of(self, args[0], args[1]);
    if (!s) {
        PyErr_SetObject(PyExc_KeyError, args[0]);
        return NULL;
    }
    bool websocket = s->session->transport == CLR_TRANSPORT_WEBSOCKET;
    return PyUnicode_FromString(websocket ? "websocket" : "polling");
}

/* ---- leaving ---- */

/* The client is told to go and counts as not connected. A client still connecting is refused
 * instead. */
static void kick(clr_socket_t *s)
{
    clr_wlink_t *link = s->space->host->link;
    if (s->stream && s->state == CLR_SOCKET_CONNECTING && !s->accepted)
        clr_wlink_send_str(link, CLR_FRAME_SIO_REFUSE, 0, s->stream,
                           CLR_STR("{\"message\":\"Connection rejected by server\"}"));
    else if (s->stream)
        clr_wlink_send_empty(link, CLR_FRAME_SIO_KICK, s->stream);
    s->state = CLR_SOCKET_LEAVING;
    clr_socket_detach(s);
}

/* _kick(sid, namespace) -> True: it was here; run its disconnect handler, then call _drop() */
static PyObject *server_kick(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    clr_server_t *server = (clr_server_t *)self;
    if (check_args(nargs, 2, "_kick(sid, namespace)") < 0 || clr_app_check(&server->app) < 0)
        return NULL;
    clr_socket_t *s = socket_of(self, args[0], args[1]);
    if (s && s->state <= CLR_SOCKET_CONNECTED) {
        kick(s);
        Py_RETURN_TRUE;
    }
    if (s)
        Py_RETURN_FALSE; /* leaving already */
    PyObject *sent = send_remote(server, args[0], args[1], CLR_ROOM_KICK, NULL, false);
    if (!sent)
        return NULL;
    Py_DECREF(sent);
    Py_RETURN_FALSE;
}

static PyObject *server_drop(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (check_args(nargs, 2, "_drop(sid, namespace)") < 0)
        return NULL;
    clr_socket_t *s = socket_of(self, args[0], args[1]);
    if (s && s->state == CLR_SOCKET_LEAVING)
        clr_socket_drop(s);
    Py_RETURN_NONE;
}

static PyObject *server_forget(PyObject *self, PyObject *token)
{
    clr_app_t *app = (clr_app_t *)self;
    unsigned long long n = PyLong_AsUnsignedLongLong(token);
    if (PyErr_Occurred())
        return NULL;
    if (app->link)
        clr_acks_forget(app->link, n);
    Py_RETURN_NONE;
}

/* ---- looking in from outside: `manager` and `environ` ---- */

static PyObject *server_is_connected(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (check_args(nargs, 2, "_is_connected(sid, namespace)") < 0)
        return NULL;
    return PyBool_FromLong(clr_socket_is_connected(socket_of(self, args[0], args[1])));
}

static PyObject *server_eio_sid(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (check_args(nargs, 2, "_eio_sid(sid, namespace)") < 0)
        return NULL;
    clr_socket_t *s = socket_of(self, args[0], args[1]);
    if (!s)
        Py_RETURN_NONE;
    clr_str_t sid = clr_session_sid(s->session);
    return PyUnicode_DecodeUTF8(sid.p, (Py_ssize_t)sid.n, NULL);
}

static PyObject *server_namespaces(PyObject *self, PyObject *unused)
{
    (void)unused;
    clr_host_t *host = ((clr_app_t *)self)->host;
    PyObject *list = PyList_New(0);
    clr_map_entry_t entry;
    size_t at = 0;
    while (list && host && clr_map_next(&host->spaces, &at, &entry)) {
        clr_space_t *space = entry.value;
        if (space->sids.count > 0 && PyList_Append(list, space->name) < 0)
            Py_CLEAR(list);
    }
    return list;
}

static PyObject *server_sids(PyObject *self, PyObject *nsp)
{
    return clr_space_sids(space_of((clr_server_t *)self, nsp));
}

/* ---- the type ---- */

static PyObject *server_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    clr_server_t *server = (clr_server_t *)clr_app_new(type, args, kwargs);
    if (!server)
        return NULL;
    server->async_handlers = 1;
    server->namespace_handlers = PyDict_New();
    server->namespaces = PyList_New(0);
    server->json = Py_NewRef(Py_None);
    if (!server->namespace_handlers || !server->namespaces)
        Py_CLEAR(server);
    return (PyObject *)server;
}

static int server_traverse(PyObject *self, visitproc visit, void *arg)
{
    clr_server_t *server = (clr_server_t *)self;
    Py_VISIT(server->namespace_handlers);
    Py_VISIT(server->namespaces);
    Py_VISIT(server->json);
    return clr_app_traverse(self, visit, arg);
}

static int server_clear(PyObject *self)
{
    clr_server_t *server = (clr_server_t *)self;
    Py_CLEAR(server->namespace_handlers);
    Py_CLEAR(server->namespaces);
    Py_CLEAR(server->json);
    return clr_app_clear(self);
}

static void server_dealloc(PyObject *self)
{
    PyObject_GC_UnTrack(self);
    server_clear(self);
    clr_type_free(self);
}

static PyMethodDef server_methods[] = {
    {"emit", CLR_METHOD(clr_server_emit), CLR_FASTKW,
     "emit(event, data=None, to=None, room=None, skip_sid=None, namespace=None, callback=None,\n"
     "     ignore_queue=False, *, volatile=False)\n\nSend an event. See AsyncServer.emit."},
    {"send", CLR_METHOD(clr_server_send), CLR_FASTKW,
     "send(data, to=None, room=None, skip_sid=None, namespace=None, callback=None,\n"
     "     ignore_queue=False, *, volatile=False)\n\nSend the event message."},
    {"_stream_token", CLR_METHOD(clr_server_stream_token), CLR_FAST, NULL},
    {"_call", CLR_METHOD(clr_server_call), CLR_FAST, NULL},
    {"_forget", server_forget, METH_O, NULL},
    {"_join", CLR_METHOD(server_join), CLR_FAST, NULL},
    {"_leave", CLR_METHOD(server_leave), CLR_FAST, NULL},
    {"_close_room", CLR_METHOD(server_close_room), CLR_FAST, NULL},
    {"_kick", CLR_METHOD(server_kick), CLR_FAST, NULL},
    {"_drop", CLR_METHOD(server_drop), CLR_FAST, NULL},
    {"_rooms", CLR_METHOD(server_rooms), CLR_FAST, NULL},
    {"_session", CLR_METHOD(server_session), CLR_FAST, NULL},
    {"_save_session", CLR_METHOD(server_save_session), CLR_FAST, NULL},
    {"_check_move", CLR_METHOD(server_check_move), CLR_FAST, NULL},
    {"_ask", CLR_METHOD(server_ask), CLR_FAST, NULL},
    {"_environ", CLR_METHOD(server_environ), CLR_FAST, NULL},
    {"_transport", CLR_METHOD(server_transport), CLR_FAST, NULL},
    {"_sids", server_sids, METH_O, NULL},
    {"_namespaces", server_namespaces, METH_NOARGS, NULL},
    {"_is_connected", CLR_METHOD(server_is_connected), CLR_FAST, NULL},
    {"_eio_sid", CLR_METHOD(server_eio_sid), CLR_FAST, NULL},
    {0},
};

static PyMemberDef server_fields[] = {
    {"handlers", T_OBJECT_EX, offsetof(clr_app_t, handlers), 0, NULL},
    {"namespace_handlers", T_OBJECT_EX, offsetof(clr_server_t, namespace_handlers), 0, NULL},
    {"namespaces", T_OBJECT, offsetof(clr_server_t, namespaces), 0, NULL},
    {"json", T_OBJECT, offsetof(clr_server_t, json), 0, NULL},
    {"async_handlers", T_BOOL, offsetof(clr_server_t, async_handlers), 0, NULL},
    {"always_connect", T_BOOL, offsetof(clr_server_t, always_connect), 0, NULL},
    {0},
};

static PyType_Slot server_slots[] = {
    {Py_tp_doc, "The C part of AsyncServer."},
    CLR_SLOT(Py_tp_new, server_new),
    CLR_SLOT(Py_tp_dealloc, server_dealloc),
    CLR_SLOT(Py_tp_traverse, server_traverse),
    CLR_SLOT(Py_tp_clear, server_clear),
    {Py_tp_methods, server_methods},
    {Py_tp_members, server_fields},
    {0, NULL},
};

static PyType_Spec server_spec = {
    .name = "_clrun.Server",
    .basicsize = sizeof(clr_server_t),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = server_slots,
};

int clr_server_init_type(PyObject *module, clr_state_t *st)
{
    st->server_type = PyType_FromModuleAndSpec(module, &server_spec, NULL);
    return st->server_type ? PyModule_AddObjectRef(module, "Server", st->server_type) : -1;
}
