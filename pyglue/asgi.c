/* asgi.c: the calls of the ASGI application: how one begins, receives and sends, and ends. What
 * frames of the gateway do to them: asgi_incoming.c. */
#include "asgi_internal.h"

#include <stdlib.h>

#include "base/mem.h"

#define TELL_TAKEN (CLR_REQUEST_WINDOW / 4) /* taken bytes worth a frame */

/* ---- of the link ---- */

void clr_asgi_init(clr_asgi_t *asgi)
{
    clr_list_init(&asgi->held);
}

int clr_asgi_traverse(clr_asgi_t *asgi, visitproc visit, void *arg)
{
    Py_VISIT(asgi->app);
    Py_VISIT(asgi->state);
    Py_VISIT(asgi->http);
    Py_VISIT(asgi->websocket);
    size_t cursor = 0;
    for (PyObject *call; (call = clr_idmap_next(&asgi->calls, &cursor)) != NULL;)
        Py_VISIT(call);
    return 0;
}

void clr_asgi_clear(clr_asgi_t *asgi)
{
    Py_CLEAR(asgi->app);
    Py_CLEAR(asgi->about);
    Py_CLEAR(asgi->state);
    Py_CLEAR(asgi->root_path);
    Py_CLEAR(asgi->http);
    Py_CLEAR(asgi->websocket);
    Py_CLEAR(asgi->versions);
    Py_CLEAR(asgi->server);
    for (size_t i = 0; i < CLR_ASGI_NAMES_COUNT; i++)
        Py_CLEAR(asgi->names[i].bytes);
    /* Those that the garbage collector cleared before it came to the link. */
    size_t cursor = 0;
    for (PyObject *call; (call = clr_idmap_next(&asgi->calls, &cursor)) != NULL;)
        Py_DECREF(call);
    clr_idmap_deinit(&asgi->calls);
    clr_buf_deinit(&asgi->spare);
}

/* The --root-path of the command line, without a slash at its end. */
static PyObject *root_path_of(clr_wlink_t *link)
{
    const clr_asgi_consts_t *n = link->st->asgi;
    PyObject *value =
        PyDict_Check(link->config) ? PyDict_GetItemWithError(link->config, n->root_path) : NULL;
    Py_ssize_t size = 0;
    const char *p = value && PyUnicode_Check(value) ? PyUnicode_AsUTF8AndSize(value, &size) : "";
    while (p && size > 0 && p[size - 1] == '/')
        size--;
    return p && !PyErr_Occurred() ? PyUnicode_FromStringAndSize(p, size) : NULL;
}

/* Sends APP, unless it would say what it said before. 0, or -1 with an exception. */
static int declare(clr_wlink_t *link, PyObject *about)
{
    PyObject *old = link->asgi.about;
    Py_ssize_t n;
    const char *p = PyUnicode_AsUTF8AndSize(about, &n);
    if (!p || (old && PyUnicode_Compare(old, about) == 0))
        return p ? 0 : -1;
    link->asgi.about = Py_NewRef(about);
    Py_XDECREF(old);
    clr_wlink_send_str(link, CLR_FRAME_APP, 0, 0, clr_str(p, (size_t)n));
    return 0;
}

int clr_asgi_set_app(clr_wlink_t *link, PyObject *app, PyObject *state, PyObject *about)
{
    clr_asgi_t *asgi = &link->asgi;
    PyObject *root_path = root_path_of(link);
    if (!root_path)
        return -1;
    PyObject *olds[] = {asgi->app, asgi->state, asgi->root_path};
    asgi->app = Py_NewRef(app);
    asgi->state = state == Py_None ? NULL : Py_NewRef(state);
    asgi->root_path = root_path;
    for (size_t i = 0; i < clr_array_len(olds); i++)
        Py_XDECREF(olds[i]);
    return clr_asgi_make_templates(link) < 0 ? -1 : declare(link, about);
}

void clr_asgi_release(clr_wlink_t *link)
{
    clr_list_t *held = &link->asgi.held;
    while (!clr_list_is_empty(held))
        clr_asgi_response_release(clr_container_of(held->next, clr_asgi_call_t, response.node));
}

/* ---- the end of a stream ---- */

static void let_go(clr_asgi_call_t *call)
{
    if (!call->is_over || call->stream || !call->link)
        return;
    PyObject *link = (PyObject *)call->link;
    call->link = NULL;
    Py_DECREF(link);
}

void clr_asgi_close(clr_asgi_call_t *call)
{
    if (!call->stream)
        return;
    PyObject *held = clr_idmap_remove(&call->link->asgi.calls, call->stream);
    call->stream = 0;
    clr_asgi_wake(call, WAIT_RECEIVE);
    clr_asgi_wake(call, WAIT_SEND);
    let_go(call);
    Py_XDECREF(held);
}

void clr_asgi_gone(clr_asgi_call_t *call)
{
    Py_INCREF((PyObject *)call);
    call->is_gone = true;
    clr_asgi_response_drop(call);
    clr_asgi_close(call);
    clr_asgi_wake(call, WAIT_RECEIVE); /* of a stream that was closed before */
    clr_asgi_wake(call, WAIT_SEND);
    Py_DECREF((PyObject *)call);
}

void clr_asgi_take(clr_asgi_call_t *call, size_t n)
{
    call->taken += (uint32_t)n;
    if (call->taken < TELL_TAKEN || !call->stream)
        return;
    clr_buf_t *out = clr_wlink_out(call->link);
    size_t begun = clr_frame_begin(out, CLR_FRAME_HTTP_TAKE, 0, call->stream);
    clr_buf_append_le(out, call->taken, 4);
    clr_frame_end(out, begun);
    call->taken = 0;
    clr_wlink_sent(call->link);
}

void clr_asgi_abort(clr_asgi_call_t *call, clr_str_t why)
{
    if (!call->stream)
        return;
    clr_wlink_send_str(call->link, CLR_FRAME_HTTP_ABORT, 0, call->stream, why);
    call->response.state = RESPONSE_DONE;
    clr_asgi_gone(call);
}

/* ---- receive and send ---- */

int clr_asgi_receive(clr_asgi_call_t *call, PyObject **result)
{
    return call->is_websocket ? clr_asgi_ws_receive(call, result)
                              : clr_asgi_http_receive(call, result);
}

bool clr_asgi_is_busy(const clr_asgi_call_t *call)
{
    return call->stream && (call->response.is_sending || (call->is_websocket && call->window <= 0));
}

static bool is_congested(const clr_asgi_call_t *call)
{
    return call->stream && call->link->is_congested;
}

static int raise_gone(clr_state_t *st)
{
    if (!st->client_disconnected) {
        PyObject *module = PyImport_ImportModule("clrun.exceptions");
        st->client_disconnected =
            module ? PyObject_GetAttrString(module, "ClientDisconnected") : NULL;
        Py_XDECREF(module);
    }
    if (st->client_disconnected)
        PyErr_SetString(st->client_disconnected, "the client is gone");
    return -1;
}

/* Raises what became of a file that somebody waits for. */
static int raise_file_error(clr_asgi_call_t *call)
{
    PyObject *args = Py_BuildValue("(is)", (int)call->response.file_error,
                                   strerror((int)call->response.file_error));
    call->response.file_error = 0;
    if (args)
        PyErr_SetObject(PyExc_OSError, args);
    Py_XDECREF(args);
    return -1;
}

/* Sends a message now. 0, or -1 with an exception. */
static int send_now(clr_asgi_call_t *call, PyObject *message)
{
    const clr_asgi_consts_t *n = call->st->asgi;
    if (call->is_gone)
        return raise_gone(call->st);
    clr_asgi_message_t type = clr_asgi_message_type(n, message);
    if (type == CLR_ASGI_UNKNOWN) {
        if (!PyErr_Occurred())
            PyErr_Format(PyExc_ValueError, "no ASGI message that is sent has the type %R",
                         clr_asgi_type_text(n, message));
        return -1;
    }
    if (call->is_over) {
        PyErr_Format(PyExc_RuntimeError, "%R after the application's call has ended",
                     clr_asgi_type_text(n, message));
        return -1;
    }
    return call->is_websocket ? clr_asgi_ws_send(call, type, message)
                              : clr_asgi_http_send(call, type, message);
}

int clr_asgi_go_on(clr_asgi_call_t *call, PyObject **message, PyObject **result)
{
    if (call->response.file_error)
        return raise_file_error(call);
    if (call->is_gone)
        return raise_gone(call->st);
    if (clr_asgi_is_busy(call))
        return 0;
    if (*message) {
        int status = send_now(call, *message);
        Py_CLEAR(*message);
        if (status < 0)
            return -1;
    }
    if (clr_asgi_is_busy(call) || is_congested(call))
        return 0;
    *result = Py_NewRef(Py_None);
    return 1;
}

static PyObject *app_send(PyObject *self, PyObject *message)
{
    clr_asgi_call_t *call = (clr_asgi_call_t *)self;
    if (!clr_asgi_is_busy(call)) {
        if (send_now(call, message) < 0)
            return NULL;
        if (CLR_LIKELY(!clr_asgi_is_busy(call) && !is_congested(call)))
            return Py_NewRef(call->st->asgi_sent);
        message = NULL;
    }
    return clr_asgi_wait_new(call, WAIT_SEND, message);
}

static PyObject *app_receive(PyObject *self, PyObject *unused)
{
    (void)unused;
    return clr_asgi_wait_new((clr_asgi_call_t *)self, WAIT_RECEIVE, NULL);
}

static PyMethodDef receive_def = {"receive", app_receive, METH_NOARGS,
                                  "receive() -> awaitable of the next event's dict"};
static PyMethodDef send_def = {"send", app_send, METH_O, "send(message, /) -> awaitable of None"};

/* ---- a call begins ---- */

clr_asgi_call_t *clr_asgi_call_new(clr_wlink_t *link, uint64_t stream, bool is_websocket)
{
    PyTypeObject *type = (PyTypeObject *)link->st->asgi_call_type;
    clr_asgi_call_t *call = (clr_asgi_call_t *)PyType_GenericAlloc(type, 0);
    if (!call)
        return NULL;
    call->st = link->st;
    call->link = (clr_wlink_t *)Py_NewRef((PyObject *)link);
    call->is_websocket = is_websocket;
    clr_list_init(&call->waits);
    clr_list_init(&call->response.node);
    call->response.length = -1;
    call->response.file = -1;
    if (clr_idmap_add(&link->asgi.calls, stream, call)) {
        call->stream = stream;
        return call;
    }
    Py_DECREF((PyObject *)call);
    return NULL;
}

void clr_asgi_run(clr_asgi_call_t *call, const clr_request_head_t *head)
{
    clr_wlink_t *link = call->link;
    PyObject *app = Py_NewRef(link->asgi.app);
    clr_event_t event = {
        .kind = CLR_EVENT_ASGI, .call = Py_NewRef((PyObject *)call), .handler = Py_NewRef(app)};
    PyObject *args = NULL;
    PyObject *scope = clr_asgi_scope(call, head);
    PyObject *receive = scope ? PyCFunction_NewEx(&receive_def, (PyObject *)call, NULL) : NULL;
    PyObject *send = receive ? PyCFunction_NewEx(&send_def, (PyObject *)call, NULL) : NULL;
    if (send)
        args = PyTuple_Pack(3, scope, receive, send);
    Py_XDECREF(scope);
    Py_XDECREF(receive);
    Py_XDECREF(send);
    if (args)
        clr_carriers_run(link, &event, app, args);
    else
        clr_incoming_done(link, &event, NULL);
    Py_XDECREF(args);
    Py_DECREF(app);
}

/* ---- a call ends ---- */

void clr_asgi_done(clr_wlink_t *link, clr_event_t *event, PyObject *result)
{
    (void)link;
    clr_asgi_call_t *call = (clr_asgi_call_t *)event->call;
    PyObject *error = result ? NULL : clr_err_take();
    if (error)
        clr_asgi_report(call, error);
    if (call->is_websocket)
        clr_asgi_ws_end(call, error);
    else
        clr_asgi_http_end(call, error);
    Py_XDECREF(error);
    call->is_over = true;
    clr_asgi_http_drop(call);
    clr_buf_deinit(&call->in);
    call->in_from = call->in_count = call->unread = 0;
    clr_asgi_wake(call, WAIT_RECEIVE);
    let_go(call);
}

/* The calls at this moment, each a reference; free() it. */
static clr_asgi_call_t **all_calls(clr_wlink_t *link, size_t *count)
{
    clr_idmap_t *calls = &link->asgi.calls;
    clr_asgi_call_t **all = clr_xmalloc((calls->count + 1) * sizeof(*all));
    size_t cursor = 0;
    *count = 0;
    for (clr_asgi_call_t *call; (call = clr_idmap_next(calls, &cursor)) != NULL;)
        all[(*count)++] = (clr_asgi_call_t *)Py_NewRef((PyObject *)call);
    return all;
}

static void for_each_call(clr_wlink_t *link, void (*act)(clr_asgi_call_t *call))
{
    size_t count;
    clr_asgi_call_t **all = all_calls(link, &count);
    for (size_t i = 0; i < count; i++) {
        act(all[i]);
        Py_DECREF((PyObject *)all[i]);
    }
    free(all);
}

static void close_restarting(clr_asgi_call_t *call)
{
    clr_asgi_ws_close(call, CLR_ASGI_CODE_RESTART);
}

void clr_asgi_drain(clr_wlink_t *link)
{
    if (link->asgi.is_draining)
        return;
    link->asgi.is_draining = true;
    for_each_call(link, close_restarting);
}

void clr_asgi_drop_all(clr_wlink_t *link)
{
    for_each_call(link, clr_asgi_gone);
}

/* ---- the type ---- */

static int call_traverse(PyObject *self, visitproc visit, void *arg)
{
    clr_asgi_call_t *call = (clr_asgi_call_t *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT((PyObject *)call->link);
    Py_VISIT(call->response.rest.obj);
    return 0;
}

static int call_clear(PyObject *self)
{
    clr_asgi_call_t *call = (clr_asgi_call_t *)self;
    clr_asgi_response_drop(call);
    PyObject *link = (PyObject *)call->link;
    call->link = NULL;
    call->stream = 0;
    Py_XDECREF(link);
    return 0;
}

static void call_dealloc(PyObject *self)
{
    clr_asgi_call_t *call = (clr_asgi_call_t *)self;
    PyObject_GC_UnTrack(self);
    call_clear(self);
    Py_CLEAR(call->method);
    Py_CLEAR(call->path);
    clr_asgi_http_drop(call);
    Py_CLEAR(call->reason);
    clr_buf_deinit(&call->in);
    clr_type_free(self);
}

static PyType_Slot call_slots[] = {
    {Py_tp_doc, "One call of the ASGI application, behind its receive and send."},
    CLR_SLOT(Py_tp_dealloc, call_dealloc),
    CLR_SLOT(Py_tp_traverse, call_traverse),
    CLR_SLOT(Py_tp_clear, call_clear),
    {0, NULL},
};

static PyType_Spec call_spec = {
    .name = "_clrun.AsgiCall",
    .basicsize = sizeof(clr_asgi_call_t),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION |
             Py_TPFLAGS_IMMUTABLETYPE,
    .slots = call_slots,
};

static int make_consts(clr_state_t *st)
{
    clr_asgi_consts_t *n = clr_xcalloc(1, sizeof(*n));
    st->asgi = n;
#define INTERN(name, text)                                                                         \
    n->name = PyUnicode_InternFromString(text);                                                    \
    if (!n->name)                                                                                  \
        return -1;
    CLR_ASGI_NAMES(INTERN)
#undef INTERN
    n->no_bytes = PyBytes_FromStringAndSize("", 0);
    return n->no_bytes ? 0 : -1;
}

int clr_asgi_init_types(PyObject *module, clr_state_t *st)
{
    st->asgi_call_type = PyType_FromModuleAndSpec(module, &call_spec, NULL);
    return st->asgi_call_type && make_consts(st) == 0 ? clr_asgi_init_waits(module, st) : -1;
}

void clr_asgi_deinit_types(clr_state_t *st)
{
    clr_asgi_consts_t *n = st->asgi;
    st->asgi = NULL;
    if (!n)
        return;
#define DROP(name, text) Py_CLEAR(n->name);
    CLR_ASGI_NAMES(DROP)
#undef DROP
    Py_CLEAR(n->no_bytes);
    free(n);
}
