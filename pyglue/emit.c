/* emit.c: emit() and send(), and the awaitable they return. */
#include "coroutine.h"
#include "server.h"

typedef enum clr_emit_state {
    EMIT_NEW,
    EMIT_WAITING, /* sent; the link is above its high mark */
    EMIT_DONE,
} clr_emit_state_t;

typedef struct clr_emit {
    PyObject_HEAD clr_app_t *app;  /* owned */
    PyObject *args[CLR_EMIT_ARGS]; /* owned, NULL: not given */
    PyObject *waiter;              /* iterator of the future, while WAITING */
    uint8_t state;
    uint8_t kind;
} clr_emit_t;

/* EMIT and SEND are those of Server. ENGINE is that of EngineServerBase, with the sid as EVENT. */
enum { EMIT_EMIT, EMIT_SEND, EMIT_ENGINE };

/* ---- rooms ---- */

PyObject *clr_room_key(PyObject *room)
{
    if (PyUnicode_Check(room))
        return Py_NewRef(room);
    if (PyLong_Check(room) && !PyBool_Check(room)) {
        PyObject *digits = PyNumber_ToBase(room, 10);
        PyObject *key = digits ? PyUnicode_FromFormat("%ci%U", 0, digits) : NULL;
        Py_XDECREF(digits);
        return key;
    }
    PyErr_Format(PyExc_TypeError, "a room is named by a str or an int, not by %R", room);
    return NULL;
}

PyObject *clr_room_of_key(clr_str_t key)
{
    PyObject *text = PyUnicode_DecodeUTF8(key.p, (Py_ssize_t)key.n, NULL);
    if (!text || key.n < 3 || key.p[0] != '\0' || key.p[1] != 'i')
        return text;
    const char *digits = PyUnicode_AsUTF8AndSize(text, NULL);
    PyObject *number = digits ? PyLong_FromString(digits + 2, NULL, 10) : NULL;
    if (!number) {
        PyErr_Clear();
        return text;
    }
    Py_DECREF(text);
    return number;
}

/* Names of rooms or sids as the frame wants them: a list of str. `given` is one name or several.
 * Returns a new list, or NULL with an exception. */
static PyObject *room_list(PyObject *given)
{
    PyObject *list = PyList_New(0);
    if (!list || !given || given == Py_None)
        return list;
    bool several = PyList_Check(given) || PyTuple_Check(given) || PyAnySet_Check(given);
    PyObject *names = several ? PySequence_List(given) : PyTuple_Pack(1, given);
    Py_ssize_t n = names ? PySequence_Size(names) : -1;
    if (n > UINT16_MAX) {
        PyErr_SetString(PyExc_ValueError, "more than 65535 rooms in one emit");
        n = -1;
    }
    int status = n < 0 ? -1 : 0;
    for (Py_ssize_t i = 0; status == 0 && i < n; i++) {
        PyObject *name = PySequence_GetItem(names, i);
        PyObject *key = name ? clr_room_key(name) : NULL;
        /* Checked here: nothing may fail while the frame is being written. */
        status = key && PyUnicode_AsUTF8AndSize(key, NULL) ? PyList_Append(list, key) : -1;
        Py_XDECREF(name);
        Py_XDECREF(key);
    }
    Py_XDECREF(names);
    if (status < 0)
        Py_CLEAR(list);
    return list;
}

static clr_str_t view(PyObject *s)
{
    Py_ssize_t n = 0;
    const char *p = PyUnicode_AsUTF8AndSize(s, &n);
    CLR_ASSERT(p); /* was checked when it came */
    return clr_str(p, (size_t)n);
}

static void write_rooms(clr_buf_t *out, PyObject *list)
{
    Py_ssize_t n = PyList_Size(list);
    clr_buf_append_le(out, (uint64_t)n, 2);
    for (Py_ssize_t i = 0; i < n; i++)
        clr_write_str(out, view(PyList_GetItem(list, i)));
}

/* ---- sending ---- */

/* One packet on its way: to whom, and what. */
typedef struct clr_sending {
    clr_server_t *server;
    PyObject *namespace; /* str */
    PyObject *to;        /* what the app gave; NULL: everyone */
    PyObject *skip;
    PyObject *target; /* who wants the answers, or NULL */
    bool is_callback;
    bool is_volatile;
} clr_sending_t;

/* The one local client that is meant, if it is just one that is not skipped and whose sid no room
 * has. */
static clr_socket_t *sole_receiver(const clr_sending_t *s)
{
    if (!s->to || !PyUnicode_Check(s->to) || (s->skip && s->skip != Py_None))
        return NULL;
    clr_space_t *space = clr_space_find(s->server->app.host, s->namespace);
    clr_socket_t *socket = space ? clr_socket_find(space, s->to) : NULL;
    return socket && !socket->is_alias ? socket : NULL;
}

static uint8_t begin_answers(const clr_sending_t *s, clr_socket_t *socket, uint64_t *token)
{
    *token = 0;
    if (s->target)
        *token = clr_acks_add(s->server->app.host, s->target, s->is_callback, socket);
    return (uint8_t)((s->target ? CLR_FRAME_ACK : 0) | (s->is_volatile ? CLR_FRAME_VOLATILE : 0));
}

static uint64_t send_one(const clr_sending_t *s, clr_socket_t *socket, const clr_packet_t *packet)
{
    uint64_t token;
    if (socket->stream == 0)
        return 0; /* gone: nobody gets it */
    clr_wlink_t *link = s->server->app.link;
    uint8_t flags = begin_answers(s, socket, &token);
    clr_buf_t *out = clr_wlink_out(link);
    size_t begun = clr_frame_begin(out, CLR_FRAME_SIO_SEND, flags, socket->stream);
    clr_buf_append_le(out, token, 8);
    clr_packet_write(packet, out);
    clr_frame_end(out, begun);
    clr_wlink_sent(link);
    return token;
}

static uint64_t send_many(const clr_sending_t *s, PyObject *rooms, PyObject *except,
                          const clr_packet_t *packet)
{
    uint64_t token;
    clr_wlink_t *link = s->server->app.link;
    uint8_t flags = begin_answers(s, NULL, &token);
    clr_buf_t *out = clr_wlink_out(link);
    size_t begun = clr_frame_begin(out, CLR_FRAME_SIO_EMIT, flags, 0);
    clr_buf_append_le(out, s->server->app.host->number, 2);
    clr_write_str(out, view(s->namespace));
    write_rooms(out, rooms);
    write_rooms(out, except);
    clr_buf_append_le(out, token, 8);
    clr_packet_write(packet, out);
    clr_frame_end(out, begun);
    clr_wlink_sent(link);
    return token;
}

/* Encodes and queues. Returns 0 or -1 with an exception; *token is 0 when no answer will come. */
static int send_packet(const clr_sending_t *s, PyObject *event, PyObject *data, uint64_t *token)
{
    *token = 0;
    if (clr_app_check(&s->server->app) < 0)
        return -1;
    if (!PyUnicode_Check(s->namespace) || !PyUnicode_AsUTF8AndSize(s->namespace, NULL)) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_TypeError, "namespace must be a str");
        return -1;
    }
    clr_packet_t packet;
    int status = clr_packet_init(&packet, s->server, event, data);
    clr_socket_t *socket = status == 0 ? sole_receiver(s) : NULL;
    if (status == 0 && socket) {
        *token = send_one(s, socket, &packet);
    } else if (status == 0) {
        PyObject *rooms = room_list(s->to);
        PyObject *except = rooms ? room_list(s->skip) : NULL;
        if (except)
            *token = send_many(s, rooms, except, &packet);
        else
            status = -1;
        Py_XDECREF(rooms);
        Py_XDECREF(except);
    }
    clr_packet_clear(&packet, s->server);
    return status;
}

/* `to or room`, as python-socketio reads it: empty means everyone. NULL for that; borrowed. */
static PyObject *receiver(PyObject *const *args)
{
    PyObject *to = args[CLR_EMIT_TO];
    if (to && to != Py_None && PyObject_IsTrue(to) == 1)
        return to;
    PyObject *room = args[CLR_EMIT_ROOM];
    return room && room != Py_None && PyObject_IsTrue(room) == 1 ? room : NULL;
}

static PyObject *namespace_or_root(clr_state_t *st, PyObject *given)
{
    return given && given != Py_None && PyObject_IsTrue(given) == 1 ? given : st->slash;
}

static int emit_now(clr_emit_t *e)
{
    PyObject *const *args = e->args;
    PyObject *callback = args[CLR_EMIT_CALLBACK];
    PyObject *is_volatile = args[CLR_EMIT_VOLATILE];
    clr_sending_t s = {
        .server = (clr_server_t *)e->app,
        .namespace = namespace_or_root(e->app->st, args[CLR_EMIT_NAMESPACE]),
        .to = receiver(args),
        .skip = args[CLR_EMIT_SKIP_SID],
        .target = callback && callback != Py_None ? callback : NULL,
        .is_callback = true,
        .is_volatile = is_volatile && PyObject_IsTrue(is_volatile) == 1,
    };
    uint64_t token;
    return PyErr_Occurred() ? -1
                            : send_packet(&s, args[CLR_EMIT_EVENT], args[CLR_EMIT_DATA], &token);
}

PyObject *clr_server_call(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 5) {
        PyErr_SetString(PyExc_TypeError, "_call(event, data, to, namespace, future)");
        return NULL;
    }
    clr_server_t *server = (clr_server_t *)self;
    clr_sending_t s = {.server = server,
                       .namespace = namespace_or_root(server->app.st, args[3]),
                       .to = args[2],
                       .target = args[4]};
    uint64_t token;
    if (send_packet(&s, args[0], args[1], &token) < 0)
        return NULL;
    return PyLong_FromUnsignedLongLong(token);
}

/* ---- the awaitable ---- */

static const char *name_of(const clr_emit_t *e)
{
    return e->kind == EMIT_EMIT ? "emit" : "send";
}

static const char *class_of(const clr_emit_t *e)
{
    return e->kind == EMIT_ENGINE ? "EngineServer" : "AsyncServer";
}

static void drop_args(clr_emit_t *e)
{
    for (size_t i = 0; i < CLR_EMIT_ARGS; i++)
        Py_CLEAR(e->args[i]);
}

static PySendResult wait_more(clr_emit_t *e, PyObject **result)
{
    PySendResult status = PyIter_Send(e->waiter, Py_None, result);
    if (status != PYGEN_NEXT) {
        e->state = EMIT_DONE;
        Py_CLEAR(e->waiter);
    }
    return status;
}

/* Above the high mark: waits until the gateway has taken enough. */
static PySendResult wait_first(clr_emit_t *e, PyObject **result)
{
    PyObject *future = clr_wlink_wait(e->app->link);
    e->waiter = future ? PyObject_CallMethodObjArgs(future, e->app->st->n.__await__, NULL) : NULL;
    Py_XDECREF(future);
    if (!e->waiter)
        return PYGEN_ERROR;
    e->state = EMIT_WAITING;
    return wait_more(e, result);
}

static PySendResult emit_am_send(PyObject *self, PyObject *value, PyObject **result)
{
    (void)value;
    clr_emit_t *e = (clr_emit_t *)self;
    *result = NULL;
    if (e->state == EMIT_WAITING)
        return wait_more(e, result);
    if (e->state == EMIT_DONE) {
        PyErr_SetString(PyExc_RuntimeError, "cannot reuse already awaited coroutine");
        return PYGEN_ERROR;
    }
    e->state = EMIT_DONE;
    int status = e->kind == EMIT_ENGINE
                     ? clr_engine_send(e->app, e->args[CLR_EMIT_EVENT], e->args[CLR_EMIT_DATA])
                     : emit_now(e);
    drop_args(e);
    if (status < 0)
        return PYGEN_ERROR;
    if (e->app->link->is_congested && e->app->link->loop)
        return wait_first(e, result);
    *result = Py_NewRef(Py_None);
    return PYGEN_RETURN;
}

static PyObject *emit_throw(PyObject *self, PyObject *args)
{
    clr_emit_t *e = (clr_emit_t *)self;
    PyObject *waiter = e->waiter;
    e->waiter = NULL;
    if (e->state == EMIT_WAITING && waiter) {
        e->state = EMIT_DONE;
        PyObject *throw = PyObject_GetAttr(waiter, e->app->st->n.throw);
        PyObject *result = throw ? PyObject_Call(throw, args, NULL) : NULL;
        Py_XDECREF(throw);
        Py_DECREF(waiter);
        return result;
    }
    e->state = EMIT_DONE;
    drop_args(e);
    clr_coroutine_raise(args);
    return NULL;
}

static PyObject *emit_close(PyObject *self, PyObject *unused)
{
    (void)unused;
    clr_emit_t *e = (clr_emit_t *)self;
    e->state = EMIT_DONE;
    drop_args(e);
    Py_CLEAR(e->waiter);
    Py_RETURN_NONE;
}

static int emit_traverse(PyObject *self, visitproc visit, void *arg)
{
    clr_emit_t *e = (clr_emit_t *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT((PyObject *)e->app);
    Py_VISIT(e->waiter);
    for (size_t i = 0; i < CLR_EMIT_ARGS; i++)
        Py_VISIT(e->args[i]);
    return 0;
}

static int emit_clear(PyObject *self)
{
    clr_emit_t *e = (clr_emit_t *)self;
    drop_args(e);
    Py_CLEAR(e->waiter);
    return 0;
}

static CLR_COLD void warn_never_awaited(clr_emit_t *e)
{
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    if (PyErr_WarnFormat(PyExc_RuntimeWarning, 1, "coroutine '%s.%s' was never awaited",
                         class_of(e), name_of(e)) < 0)
        PyErr_WriteUnraisable((PyObject *)e->app);
    PyErr_Restore(type, value, trace);
}

static void emit_dealloc(PyObject *self)
{
    clr_emit_t *e = (clr_emit_t *)self;
    PyObject_GC_UnTrack(self);
    if (e->state == EMIT_NEW && e->app)
        warn_never_awaited(e);
    emit_clear(self);
    Py_CLEAR(e->app);
    clr_type_free(self);
}

static PyObject *get_name(PyObject *self, void *unused)
{
    (void)unused;
    return PyUnicode_FromString(name_of((clr_emit_t *)self));
}

static PyObject *get_qualname(PyObject *self, void *unused)
{
    (void)unused;
    clr_emit_t *e = (clr_emit_t *)self;
    return PyUnicode_FromFormat("%s.%s", class_of(e), name_of(e));
}

static PyObject *get_suspended(PyObject *self, void *unused)
{
    (void)unused;
    return PyBool_FromLong(((clr_emit_t *)self)->state == EMIT_WAITING);
}

static PyGetSetDef emit_getset[] = {
    {"__name__", get_name, NULL, NULL, NULL},
    {"__qualname__", get_qualname, NULL, NULL, NULL},
    {"cr_suspended", get_suspended, NULL, NULL, NULL},
    CLR_COROUTINE_GETTERS,
    {0},
};

static PyMethodDef emit_methods[] = {
    CLR_COROUTINE_METHODS(emit_throw, emit_close),
    {0},
};

static PyType_Slot emit_slots[] = {
    {Py_tp_doc, "The coroutine of emit() or send()."},
    CLR_SLOT(Py_tp_dealloc, emit_dealloc),
    CLR_SLOT(Py_tp_traverse, emit_traverse),
    CLR_SLOT(Py_tp_clear, emit_clear),
    CLR_COROUTINE_SLOTS(emit_am_send),
    {Py_tp_methods, emit_methods},
    {Py_tp_getset, emit_getset},
    {0, NULL},
};

static PyType_Spec emit_spec = {
    .name = "_clrun.Emit",
    .basicsize = sizeof(clr_emit_t),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION |
             Py_TPFLAGS_IMMUTABLETYPE,
    .slots = emit_slots,
};

int clr_emit_init_type(PyObject *module, clr_state_t *st)
{
    st->emit_type = PyType_FromModuleAndSpec(module, &emit_spec, NULL);
    return st->emit_type ? 0 : -1;
}

/* ---- the methods ---- */

/* Which argument a keyword names; CLR_EMIT_ARGS for none. */
static size_t keyword(clr_state_t *st, PyObject *name)
{
    PyObject *const names[CLR_EMIT_ARGS] = {
        st->n.event,     st->n.data,     st->n.to,           st->n.room,        st->n.skip_sid,
        st->n.namespace, st->n.callback, st->n.ignore_queue, st->volatile_name,
    };
    for (size_t i = 0; i < CLR_EMIT_ARGS; i++) {
        if (name == names[i])
            return i;
    }
    for (size_t i = 0; i < CLR_EMIT_ARGS; i++) {
        if (PyUnicode_Compare(name, names[i]) == 0)
            return i;
    }
    return CLR_EMIT_ARGS;
}

static int take_keywords(clr_emit_t *e, PyObject *const *values, PyObject *kwnames, size_t first)
{
    clr_state_t *st = e->app->st;
    for (Py_ssize_t i = 0; i < PyTuple_Size(kwnames); i++) {
        PyObject *name = PyTuple_GetItem(kwnames, i);
        size_t at = keyword(st, name);
        if (at == CLR_EMIT_ARGS || at < first) {
            PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument '%U'",
                         name_of(e), name);
            return -1;
        }
        if (e->args[at]) {
            PyErr_Format(PyExc_TypeError, "%s() got multiple values for argument '%U'", name_of(e),
                         name);
            return -1;
        }
        e->args[at] = Py_NewRef(values[i]);
    }
    return 0;
}

/* An awaitable that does not warn yet. Returns a new reference, or NULL with MemoryError. */
static clr_emit_t *emit_alloc(PyObject *self, uint8_t kind)
{
    clr_app_t *app = (clr_app_t *)self;
    clr_emit_t *e = (clr_emit_t *)PyType_GenericAlloc((PyTypeObject *)app->st->emit_type, 0);
    if (!e)
        return NULL;
    e->state = EMIT_DONE;
    e->kind = kind;
    e->app = (clr_app_t *)Py_NewRef(self);
    return e;
}

static int take_args(clr_emit_t *e, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    size_t first = e->kind == EMIT_SEND ? CLR_EMIT_DATA : CLR_EMIT_EVENT;
    size_t most = CLR_EMIT_VOLATILE - first; /* by position: python-socketio has no `volatile` */
    if (e->kind == EMIT_SEND)
        e->args[CLR_EMIT_EVENT] = Py_NewRef(e->app->st->n.message);
    if ((size_t)nargs > most) {
        PyErr_Format(PyExc_TypeError, "%s() takes at most %d positional arguments (%zd given)",
                     name_of(e), (int)most, nargs);
        return -1;
    }
    for (Py_ssize_t i = 0; i < nargs; i++)
        e->args[first + (size_t)i] = Py_NewRef(args[i]);
    if (kwnames && take_keywords(e, args + nargs, kwnames, first) < 0)
        return -1;
    if (e->args[first])
        return 0;
    PyErr_Format(PyExc_TypeError, "%s() missing its first argument, %s", name_of(e),
                 e->kind == EMIT_SEND ? "'data'" : "'event'");
    return -1;
}

static PyObject *emit_new(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                          PyObject *kwnames, uint8_t kind)
{
    clr_emit_t *e = emit_alloc(self, kind);
    if (e && take_args(e, args, nargs, kwnames) < 0)
        Py_CLEAR(e);
    if (e)
        e->state = EMIT_NEW;
    return (PyObject *)e;
}

PyObject *clr_server_emit(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                          PyObject *kwnames)
{
    return emit_new(self, args, nargs, kwnames, EMIT_EMIT);
}

PyObject *clr_server_send(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                          PyObject *kwnames)
{
    return emit_new(self, args, nargs, kwnames, EMIT_SEND);
}

PyObject *clr_engine_emit(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"sid", "data", NULL};
    PyObject *sid, *data;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO:send", keywords, &sid, &data))
        return NULL;
    clr_emit_t *e = emit_alloc(self, EMIT_ENGINE);
    if (!e)
        return NULL;
    e->args[CLR_EMIT_EVENT] = Py_NewRef(sid);
    e->args[CLR_EMIT_DATA] = Py_NewRef(data);
    e->state = EMIT_NEW;
    return (PyObject *)e;
}
