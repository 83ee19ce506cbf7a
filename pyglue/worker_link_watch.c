/* worker_link_watch.c: the link's watchdog, and what it asks: whose handler is at work. */
#include "worker_link.h"

/* ---- the watchdog's life ---- */

PyObject *clr_wlink_method_watch(PyObject *self, PyObject *args)
{
    clr_wlink_t *link = (clr_wlink_t *)self;
    int fd;
    unsigned int warn_ms;
    PyObject *describe;
    if (!PyArg_ParseTuple(args, "iIO:watch", &fd, &warn_ms, &describe))
        return NULL;
    if (!link->loop || link->closed || link->watchdog) {
        PyErr_SetString(PyExc_RuntimeError, "the link is not started, or is watched already");
        return NULL;
    }
    PyObject *on_ping = PyObject_GetAttrString(self, "_on_ping");
    clr_watchdog_t *w = on_ping ? clr_watchdog_start(link, fd, warn_ms, describe) : NULL;
    PyObject *added = NULL;
    if (w) {
        link->watchdog = w;
        added =
            PyObject_CallMethod(link->loop, "add_reader", "iO", clr_watchdog_ping_fd(w), on_ping);
    }
    Py_XDECREF(on_ping);
    Py_XDECREF(added);
    return added ? Py_NewRef(Py_None) : NULL;
}

PyObject *clr_wlink_method_on_ping(PyObject *self, PyObject *unused)
{
    (void)unused;
    clr_wlink_t *link = (clr_wlink_t *)self;
    if (link->watchdog)
        clr_watchdog_on_ping(link->watchdog);
    Py_RETURN_NONE;
}

void clr_wlink_unwatch(clr_wlink_t *link)
{
    clr_watchdog_t *w = link->watchdog;
    link->watchdog = NULL;
    if (!w || !clr_watchdog_is_ours(w))
        return;
    PyObject *done = PyObject_CallMethod(link->loop, "remove_reader", "i", clr_watchdog_ping_fd(w));
    if (!done)
        clr_report(link, "The event loop refused remove_reader");
    Py_XDECREF(done);
    clr_watchdog_stop(w);
}

/* ---- whose handler ---- */

static PyObject *describe_handler(const clr_event_t *event)
{
    const clr_socket_t *s = event->socket;
    if (!event->name)
        return PyUnicode_FromFormat("a handler of client %U", s->sid);
    if (s->space->host->is_engine)
        return PyUnicode_FromFormat("the handler of %R, client %U", event->name, s->sid);
    return PyUnicode_FromFormat("the handler of %R, client %U in namespace %U", event->name, s->sid,
                                s->space->name);
}

static PyObject *describe_event(const clr_event_t *event)
{
    if (event->kind == CLR_EVENT_ASGI && event->call)
        return clr_asgi_describe(event->call);
    if (event->kind == CLR_EVENT_ORIGIN)
        return PyUnicode_FromString("a function that checks origins");
    if (event->kind != CLR_EVENT_CALLBACK && event->socket)
        return describe_handler(event);
    return PyUnicode_FromString("the callback of an emit");
}

PyObject *clr_wlink_method_current(PyObject *self, PyObject *unused)
{
    (void)unused;
    const clr_carrier_t *c = ((clr_wlink_t *)self)->carriers.current;
    return c ? describe_event(clr_carrier_event(c)) : Py_NewRef(Py_None);
}
