/* worker_link_type.c: Link, the Python object around the worker's end of the link. */
#include <fcntl.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/random.h"
#include "clrun/version.h"
#include "refresh.h"
#include "server.h"

#define WRITE_SECONDS 5 /* for the few frames that are written before the call returns */

static clr_wlink_t *link_of(PyObject *self)
{
    return (clr_wlink_t *)self;
}

static PyObject *link_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    (void)kwargs;
    int fd;
    clr_state_t *st = clr_state_of_type(type);
    if (!st || !PyArg_ParseTuple(args, "i:Link", &fd))
        return NULL;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    clr_wlink_t *link = (clr_wlink_t *)PyType_GenericAlloc(type, 0);
    if (!link)
        return NULL;
    clr_list_init(&link->carriers.working);
    clr_acks_init(&link->acks);
    clr_asgi_init(&link->asgi);
    link->st = st;
    link->fd = fd;
    link->page = clr_page_private();
    clr_random_bytes(&link->seed, sizeof(link->seed));
    clr_map_init(&link->sessions, link->seed);
    link->on_stop = Py_NewRef(Py_None);
    link->on_down = Py_NewRef(Py_None);
    link->on_clear = Py_NewRef(Py_None);
    link->on_refresh = Py_NewRef(Py_None);
    link->config = Py_NewRef(Py_None);
    return (PyObject *)link;
}

static int link_traverse(PyObject *self, visitproc visit, void *arg)
{
    clr_wlink_t *link = link_of(self);
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(link->loop);
    Py_VISIT(link->call_soon);
    Py_VISIT(link->readable);
    Py_VISIT(link->more);
    Py_VISIT(link->writable);
    Py_VISIT(link->flush);
    Py_VISIT(link->config);
    Py_VISIT(link->on_stop);
    Py_VISIT(link->on_down);
    Py_VISIT(link->on_clear);
    Py_VISIT(link->on_refresh);
    Py_VISIT(link->waiters);
    for (size_t i = 0; i < link->host_count; i++)
        Py_VISIT((PyObject *)link->hosts[i]->app);
    int status = link->watchdog ? clr_watchdog_traverse(link->watchdog, visit, arg) : 0;
    if (status == 0)
        status = clr_asgi_traverse(&link->asgi, visit, arg);
    return status ? status : clr_carriers_traverse(&link->carriers, visit, arg);
}

static int link_clear(PyObject *self)
{
    clr_wlink_t *link = link_of(self);
    clr_wlink_close(link);
    clr_carriers_clear(&link->carriers);
    clr_asgi_clear(&link->asgi);
    Py_CLEAR(link->loop);
    Py_CLEAR(link->call_soon);
    Py_CLEAR(link->config);
    Py_CLEAR(link->on_stop);
    Py_CLEAR(link->on_down);
    Py_CLEAR(link->on_clear);
    Py_CLEAR(link->on_refresh);
    for (size_t i = 0; i < link->host_count; i++) {
        clr_app_t *app = link->hosts[i]->app;
        link->hosts[i]->app = NULL;
        if (app)
            app->host = NULL;
        Py_XDECREF((PyObject *)app);
    }
    return 0;
}

static void link_dealloc(PyObject *self)
{
    clr_wlink_t *link = link_of(self);
    PyObject_GC_UnTrack(self);
    link_clear(self);
    for (size_t i = 0; i < link->host_count; i++)
        clr_host_free(link->hosts[i]);
    free(link->hosts);
    clr_acks_deinit(&link->acks);
    clr_idmap_deinit(&link->streams);
    clr_map_deinit(&link->sessions);
    clr_buf_deinit(&link->in);
    clr_buf_deinit(&link->out);
    clr_buf_deinit(&link->scratch);
    clr_page_drop(link->page);
    clr_arena_unmap(link->arena);
    clr_type_free(self);
}

/* ---- starting ---- */

static PyObject *link_hello(PyObject *self, PyObject *args)
{
    clr_wlink_t *link = link_of(self);
    const char *python, *clrun;
    if (!PyArg_ParseTuple(args, "ss:hello", &python, &clrun))
        return NULL;
    size_t begun = clr_frame_begin(&link->out, CLR_FRAME_HELLO, 0, 0);
    clr_buf_append_le(&link->out, CLR_LINK_VERSION, 4);
    clr_buf_append_le(&link->out, (uint64_t)getpid(), 4);
    clr_write_str(&link->out, clr_str_c(python));
    clr_write_str(&link->out, clr_str_c(clrun));
    clr_frame_end(&link->out, begun);
    clr_wlink_write_all(link, WRITE_SECONDS);
    Py_RETURN_NONE;
}

static PyObject *link_read_config(PyObject *self, PyObject *unused)
{
    (void)unused;
    clr_wlink_t *link = link_of(self);
    clr_frame_t frame;
    if (clr_wlink_read_first(link, &frame) < 0)
        return NULL;
    clr_reader_t r = clr_reader(frame.payload);
    clr_str_t json = clr_read_str(&r);
    if (frame.type != CLR_FRAME_CONFIG || clr_reader_done(&r) != 0) {
        PyErr_SetString(PyExc_ValueError, "the gateway's first frame is not CONFIG");
        return NULL;
    }
    PyObject *config = clr_values_decode(link->st, json, NULL);
    if (!config)
        return NULL;
    Py_DECREF(link->config);
    link->config = Py_NewRef(config);
    return config;
}

/* Bodies and messages are blocks of up to CLR_REQUEST_WINDOW that live shortly. Left alone, glibc
 * returns each to the kernel, which then has to clear the same pages again: uploads of 1 MiB cost
 * the worker 490 us each instead of 250 (2026-11-23). */
static void keep_freed_memory(void)
{
#ifdef __GLIBC__
    if (getenv("MALLOC_TRIM_THRESHOLD_") || getenv("MALLOC_MMAP_THRESHOLD_"))
        return; /* somebody knows better */
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
    mallopt(M_TRIM_THRESHOLD, 8 << 20);
#endif
}

static PyObject *link_start(PyObject *self, PyObject *loop)
{
    clr_wlink_t *link = link_of(self);
    if (link->loop || link->closed) {
        PyErr_SetString(PyExc_RuntimeError, "the link was started or closed before");
        return NULL;
    }
    keep_freed_memory();
    link->loop = Py_NewRef(loop);
    link->call_soon = PyObject_GetAttr(loop, link->st->n.call_soon);
    link->readable = PyObject_GetAttrString(self, "_on_readable");
    link->more = PyObject_GetAttrString(self, "_on_more");
    link->writable = PyObject_GetAttrString(self, "_on_writable");
    link->flush = PyObject_GetAttrString(self, "_on_flush");
    if (!link->call_soon || !link->readable || !link->more || !link->writable || !link->flush ||
        clr_carriers_start(link) < 0)
        return NULL;
    PyObject *fd = PyLong_FromLong(link->fd);
    PyObject *added =
        fd ? PyObject_CallMethodObjArgs(loop, link->st->n.add_reader, fd, link->readable, NULL)
           : NULL;
    Py_XDECREF(fd);
    Py_XDECREF(added);
    if (!added)
        return NULL;
    /* What was read together with CONFIG wakes no reader. */
    PyObject *handle = PyObject_CallFunctionObjArgs(link->call_soon, link->readable, NULL);
    Py_XDECREF(handle);
    return handle ? Py_NewRef(Py_None) : NULL;
}

/* ---- servers ---- */

static clr_app_t *app_of(clr_wlink_t *link, PyObject *server, bool *is_engine)
{
    *is_engine = PyObject_TypeCheck(server, (PyTypeObject *)link->st->engine_type);
    if (*is_engine || PyObject_TypeCheck(server, (PyTypeObject *)link->st->server_type))
        return (clr_app_t *)server;
    PyErr_SetString(PyExc_TypeError, "neither a Server nor an EngineServerBase");
    return NULL;
}

static int send_declaration(clr_wlink_t *link, clr_app_t *app)
{
    PyObject *settings =
        PyObject_CallMethodObjArgs((PyObject *)app, link->st->n._declaration, NULL);
    clr_buf_t json = {0};
    PyObject *attachments = NULL;
    int status = settings ? clr_values_encode(link->st, &json, settings, &attachments) : -1;
    if (status == 0) {
        size_t begun = clr_frame_begin(&link->out, CLR_FRAME_SERVER, 0, 0);
        clr_buf_append_le(&link->out, app->host->number, 2);
        clr_write_str(&link->out, clr_buf_str(&json));
        clr_frame_end(&link->out, begun);
        clr_wlink_sent(link);
    }
    Py_XDECREF(settings);
    Py_XDECREF(attachments);
    clr_buf_deinit(&json);
    return status;
}

/* The server sends through that host. */
static void lend(clr_wlink_t *link, clr_host_t *host, clr_app_t *app)
{
    PyObject *old = (PyObject *)app->link;
    app->link = (clr_wlink_t *)Py_NewRef((PyObject *)link);
    Py_XDECREF(old);
    app->host = host;
}

static void bind(clr_wlink_t *link, clr_host_t *host, clr_app_t *app)
{
    lend(link, host, app);
    PyObject *old = (PyObject *)host->app;
    host->app = (clr_app_t *)Py_NewRef((PyObject *)app);
    Py_XDECREF(old);
}

static clr_host_t *host_new(clr_wlink_t *link, bool is_engine)
{
    if (link->host_count > UINT16_MAX) {
        PyErr_SetString(PyExc_ValueError, "too many servers");
        return NULL;
    }
    clr_host_t *host = clr_xcalloc(1, sizeof(*host));
    host->link = link;
    host->number = (uint16_t)link->host_count;
    host->is_engine = is_engine;
    clr_map_init(&host->spaces, link->seed);
    link->hosts = clr_xrealloc(link->hosts, (link->host_count + 1) * sizeof(clr_host_t *));
    link->hosts[link->host_count++] = host;
    return host;
}

static PyObject *link_declare(PyObject *self, PyObject *server)
{
    clr_wlink_t *link = link_of(self);
    bool is_engine;
    clr_app_t *app = app_of(link, server, &is_engine);
    if (!app)
        return NULL;
    if (app->link && app->link != link) {
        PyErr_SetString(PyExc_RuntimeError, "the server belongs to another link");
        return NULL;
    }
    clr_host_t *host = app->host ? app->host : host_new(link, is_engine);
    if (!host)
        return NULL;
    if (!app->host)
        bind(link, host, app);
    return send_declaration(link, app) < 0 ? NULL : PyLong_FromLong(host->number);
}

/* (number, server), the server one that may have that number. NULL with an exception. */
static clr_app_t *parse_successor(clr_wlink_t *link, PyObject *args, Py_ssize_t *out)
{
    Py_ssize_t number;
    PyObject *server;
    bool is_engine;
    if (!PyArg_ParseTuple(args, "nO", &number, &server))
        return NULL;
    clr_app_t *app = app_of(link, server, &is_engine);
    if (!app)
        return NULL;
    if (number < 0 || (size_t)number >= link->host_count ||
        link->hosts[number]->is_engine != is_engine ||
        (app->host && app->host != link->hosts[number])) {
        PyErr_SetString(PyExc_ValueError, "no server of this kind has that number");
        return NULL;
    }
    *out = number;
    return app;
}

/* lend_number(number, server): it may send, and hears nothing yet. */
static PyObject *link_lend_number(PyObject *self, PyObject *args)
{
    clr_wlink_t *link = link_of(self);
    Py_ssize_t number;
    clr_app_t *app = parse_successor(link, args, &number);
    if (!app)
        return NULL;
    lend(link, link->hosts[number], app);
    Py_RETURN_NONE;
}

/* The old object goes on sending through its host, and hears nothing more. */
static PyObject *link_replace_server(PyObject *self, PyObject *args)
{
    clr_wlink_t *link = link_of(self);
    Py_ssize_t number;
    clr_app_t *app = parse_successor(link, args, &number);
    if (!app)
        return NULL;
    bind(link, link->hosts[number], app);
    return send_declaration(link, app) < 0 ? NULL : Py_NewRef(Py_None);
}

/* application(app, state): the ASGI application, and the dict of its lifespan or None */
static PyObject *link_application(PyObject *self, PyObject *args)
{
    PyObject *app, *state, *about;
    if (!PyArg_ParseTuple(args, "OOU:application", &app, &state, &about))
        return NULL;
    if (!PyCallable_Check(app) || (state != Py_None && !PyDict_Check(state))) {
        PyErr_SetString(PyExc_TypeError,
                        "application(app, state, about): a callable, a dict or None, JSON");
        return NULL;
    }
    return clr_asgi_set_app(link_of(self), app, state, about) < 0 ? NULL : Py_NewRef(Py_None);
}

/* ---- telling the gateway ---- */

static PyObject *link_ready(PyObject *self, PyObject *unused)
{
    (void)unused;
    clr_wlink_t *link = link_of(self);
    clr_wlink_send_empty(link, CLR_FRAME_READY, 0);
    size_t begun = clr_frame_begin(&link->out, CLR_FRAME_CREDIT, 0, 0);
    clr_buf_append_le(&link->out, CLR_WLINK_CREDIT, 4);
    clr_frame_end(&link->out, begun);
    clr_wlink_sent(link);
    Py_RETURN_NONE;
}

/* A str as UTF-8 that never fails, cut to what the log takes. Returns new bytes, or NULL with an
 * exception. */
static PyObject *printable(PyObject *text, clr_str_t *out)
{
    PyObject *bytes = PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace");
    char *p;
    Py_ssize_t n;
    if (!bytes || PyBytes_AsStringAndSize(bytes, &p, &n) < 0) {
        Py_XDECREF(bytes);
        return NULL;
    }
    *out = clr_str(p, (size_t)n > CLR_WLINK_LOW ? CLR_WLINK_LOW : (size_t)n);
    return bytes;
}

static PyObject *link_failed(PyObject *self, PyObject *args)
{
    clr_wlink_t *link = link_of(self);
    int kind;
    PyObject *text;
    clr_str_t s;
    if (!PyArg_ParseTuple(args, "iU:failed", &kind, &text))
        return NULL;
    PyObject *bytes = printable(text, &s);
    if (!bytes)
        return NULL;
    size_t begun = clr_frame_begin(&link->out, CLR_FRAME_FAILED, 0, 0);
    clr_buf_append_le(&link->out, (uint64_t)kind, 1);
    clr_write_str(&link->out, s);
    clr_frame_end(&link->out, begun);
    clr_wlink_write_all(link, WRITE_SECONDS);
    Py_DECREF(bytes);
    Py_RETURN_NONE;
}

static PyObject *link_cleared(PyObject *self, PyObject *number)
{
    clr_wlink_t *link = link_of(self);
    unsigned long long stream = PyLong_AsUnsignedLongLong(number);
    if (stream == (unsigned long long)-1 && PyErr_Occurred())
        return NULL;
    if (!link->closed) {
        clr_frame_end(&link->out, clr_frame_begin(&link->out, CLR_FRAME_CLEARED, 0, stream));
        clr_wlink_sent(link);
    }
    Py_RETURN_NONE;
}

static PyObject *link_stopped(PyObject *self, PyObject *unused)
{
    (void)unused;
    clr_wlink_t *link = link_of(self);
    clr_frame_end(&link->out, clr_frame_begin(&link->out, CLR_FRAME_STOPPED, 0, 0));
    clr_wlink_write_all(link, WRITE_SECONDS);
    Py_RETURN_NONE;
}

/* A number, or a name as the logging module and the gateway have it. */
static int parse_level(PyObject *level)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    if (PyLong_Check(level)) {
        long n = PyLong_AsLong(level);
        if (n >= 0 && n <= 3)
            return (int)n;
    }
    for (int i = 0; PyUnicode_Check(level) && i < 4; i++) {
        if (PyUnicode_CompareWithASCIIString(level, names[i]) == 0)
            return i;
    }
    if (PyUnicode_Check(level) && PyUnicode_CompareWithASCIIString(level, "warning") == 0)
        return 2;
    PyErr_Clear();
    PyErr_Format(PyExc_ValueError, "no such log level: %R", level);
    return -1;
}

static PyObject *link_log(PyObject *self, PyObject *args)
{
    PyObject *level, *module, *text;
    clr_str_t module_s, text_s;
    if (!PyArg_ParseTuple(args, "OUU:log", &level, &module, &text))
        return NULL;
    int number = parse_level(level);
    PyObject *module_b = number >= 0 ? printable(module, &module_s) : NULL;
    PyObject *text_b = module_b ? printable(text, &text_s) : NULL;
    if (text_b)
        clr_wlink_log(link_of(self), (uint8_t)number, module_s, text_s);
    Py_XDECREF(module_b);
    Py_XDECREF(text_b);
    return text_b ? Py_NewRef(Py_None) : NULL;
}

/* ---- running and ending ---- */

static PyObject *link_on_readable(PyObject *self, PyObject *unused)
{
    (void)unused;
    clr_wlink_on_readable(link_of(self));
    Py_RETURN_NONE;
}

static PyObject *link_on_more(PyObject *self, PyObject *unused)
{
    (void)unused;
    clr_wlink_on_more(link_of(self));
    Py_RETURN_NONE;
}

static PyObject *link_on_writable(PyObject *self, PyObject *unused)
{
    (void)unused;
    clr_wlink_on_writable(link_of(self));
    Py_RETURN_NONE;
}

static PyObject *link_on_flush(PyObject *self, PyObject *unused)
{
    (void)unused;
    link_of(self)->flush_is_due = false;
    clr_wlink_on_writable(link_of(self));
    Py_RETURN_NONE;
}

static PyObject *link_flush(PyObject *self, PyObject *unused)
{
    (void)unused;
    clr_wlink_t *link = link_of(self);
    clr_wlink_flush(link);
    return PyLong_FromSize_t(link->out.n - link->out_from);
}

static PyObject *link_tasks(PyObject *self, PyObject *unused)
{
    (void)unused;
    return clr_carriers_tasks(link_of(self));
}

static PyObject *link_quiesce(PyObject *self, PyObject *unused)
{
    (void)unused;
    clr_carriers_quiesce(link_of(self));
    Py_RETURN_NONE;
}

static PyObject *link_drain(PyObject *self, PyObject *unused)
{
    (void)unused;
    clr_asgi_drain(link_of(self));
    Py_RETURN_NONE;
}

static PyObject *link_close(PyObject *self, PyObject *unused)
{
    (void)unused;
    clr_wlink_close(link_of(self));
    Py_RETURN_NONE;
}

/* _keep_environ(Engine.IO sid as bytes, environ): the app changed it, so it is the session's from
 * now on */
static PyObject *link_keep_environ(PyObject *self, PyObject *args)
{
    const char *p;
    Py_ssize_t n;
    PyObject *env;
    if (!PyArg_ParseTuple(args, "y#O", &p, &n, &env))
        return NULL;
    clr_session_t *session = clr_map_get(&link_of(self)->sessions, clr_str(p, (size_t)n));
    if (session) {
        PyObject *old = session->environ;
        session->environ = Py_NewRef(env);
        Py_XDECREF(old);
    }
    Py_RETURN_NONE;
}

static PyObject *get_running(PyObject *self, void *unused)
{
    (void)unused;
    return PyLong_FromSize_t(link_of(self)->carriers.working_count);
}

static PyMethodDef link_methods[] = {
    {"hello", link_hello, METH_VARARGS, "hello(python, clrun)"},
    {"read_config", link_read_config, METH_NOARGS, "Wait for the CONFIG frame."},
    {"start", link_start, METH_O, "start(loop)"},
    {"declare", link_declare, METH_O, "declare(server) -> number"},
    {"replace_server", link_replace_server, METH_VARARGS, "replace_server(number, server)"},
    {"lend_number", link_lend_number, METH_VARARGS, "lend_number(number, server)"},
    {"application", link_application, METH_VARARGS, "application(app, state, about)"},
    {"ready", link_ready, METH_NOARGS, "The app is loaded."},
    {"failed", link_failed, METH_VARARGS, "failed(kind, text)"},
    {"cleared", link_cleared, METH_O, "cleared(number): the answer to on_clear."},
    {"stopped", link_stopped, METH_NOARGS, "Everything is finished."},
    {"log", link_log, METH_VARARGS, "log(level, module, text)"},
    {"flush", link_flush, METH_NOARGS, "Write what the kernel takes; the bytes left."},
    {"tasks", link_tasks, METH_NOARGS, "The tasks of handlers at work."},
    {"drain", link_drain, METH_NOARGS, "Take no new requests, close WebSockets."},
    {"quiesce", link_quiesce, METH_NOARGS, "End the task kept for the next event."},
    {"watch", clr_wlink_method_watch, METH_VARARGS, "watch(fd, warn_ms, describe)"},
    {"current", clr_wlink_method_current, METH_NOARGS, "Whose handler is being stepped, or None."},
    CLR_REFRESH_METHODS,
    {"close", link_close, METH_NOARGS, "Leave the loop and close the descriptor."},
    {"wait", clr_wlink_method_wait, METH_VARARGS, "wait(epoll_fd, timeout) -> bool"},
    {"set_spin", clr_wlink_method_set_spin, METH_O, "set_spin(microseconds)"},
    {"_on_readable", link_on_readable, METH_NOARGS, NULL},
    {"_on_more", link_on_more, METH_NOARGS, NULL},
    {"_on_writable", link_on_writable, METH_NOARGS, NULL},
    {"_on_flush", link_on_flush, METH_NOARGS, NULL},
    {"_on_ping", clr_wlink_method_on_ping, METH_NOARGS, NULL},
    {"_keep_environ", link_keep_environ, METH_VARARGS, NULL},
    {0},
};

static PyMemberDef link_members[] = {
    {"config", T_OBJECT, offsetof(clr_wlink_t, config), READONLY, NULL},
    {"on_stop", T_OBJECT, offsetof(clr_wlink_t, on_stop), 0, NULL},
    {"on_down", T_OBJECT, offsetof(clr_wlink_t, on_down), 0, NULL},
    {"on_clear", T_OBJECT, offsetof(clr_wlink_t, on_clear), 0, NULL},
    {"on_refresh", T_OBJECT, offsetof(clr_wlink_t, on_refresh), 0, NULL},
    {"closed", T_BOOL, offsetof(clr_wlink_t, closed), READONLY, NULL},
    {0},
};

static PyGetSetDef link_getset[] = {
    {"running", get_running, NULL, "Number of handlers at work.", NULL},
    {0},
};

static PyType_Slot link_slots[] = {
    {Py_tp_doc, "Link(fd): the worker's end of the link to the gateway."},
    CLR_SLOT(Py_tp_new, link_new),
    CLR_SLOT(Py_tp_dealloc, link_dealloc),
    CLR_SLOT(Py_tp_traverse, link_traverse),
    CLR_SLOT(Py_tp_clear, link_clear),
    {Py_tp_methods, link_methods},
    {Py_tp_members, link_members},
    {Py_tp_getset, link_getset},
    {0, NULL},
};

static PyType_Spec link_spec = {
    .name = "_clrun.Link",
    .basicsize = sizeof(clr_wlink_t),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = link_slots,
};

int clr_wlink_init_type(PyObject *module, clr_state_t *st)
{
    st->link_type = PyType_FromModuleAndSpec(module, &link_spec, NULL);
    return st->link_type ? PyModule_AddObjectRef(module, "Link", st->link_type) : -1;
}
