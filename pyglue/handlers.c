/* handlers.c: the handler of an event among functions and class-based namespaces. */
#include "handlers.h"

/* dict[key], borrowed; NULL when absent, not a dict or not hashable. */
static PyObject *lookup(PyObject *dict, PyObject *key)
{
    PyObject *value = dict && PyDict_Check(dict) ? PyDict_GetItemWithError(dict, key) : NULL;
    if (!value)
        PyErr_Clear();
    return value == Py_None ? NULL : value;
}

bool clr_handlers_exist(clr_server_t *server, PyObject *namespace, PyObject *event)
{
    PyObject *star = server->app.st->star;
    return lookup(lookup(server->app.handlers, namespace), event) ||
           lookup(lookup(server->app.handlers, star), event) ||
           lookup(server->namespace_handlers, namespace) ||
           lookup(server->namespace_handlers, star);
}

bool clr_handlers_accept(clr_server_t *server, PyObject *namespace)
{
    if (lookup(server->app.handlers, namespace) || lookup(server->namespace_handlers, namespace))
        return true;
    PyObject *more = server->namespaces;
    if (!more || more == Py_None)
        return false;
    if (PyUnicode_Check(more))
        return PyUnicode_Compare(more, server->app.st->star) == 0 ||
               PyUnicode_Compare(more, namespace) == 0;
    int found = PySequence_Contains(more, namespace);
    if (found == 0)
        found = PySequence_Contains(more, server->app.st->star);
    PyErr_Clear();
    return found > 0;
}

static bool found(clr_handler_t *f, PyObject *handler, size_t count)
{
    if (handler) {
        f->handler = Py_NewRef(handler);
        f->count = count;
    }
    return handler != NULL;
}

bool clr_handlers_find(clr_server_t *server, clr_socket_t *s, PyObject *event, clr_handler_t *f)
{
    clr_state_t *st = server->app.st;
    PyObject *namespace = s->space->name, *sid = s->sid;
    PyObject *here = lookup(server->app.handlers, namespace);
    *f = (clr_handler_t){.prefix = {sid}};
    if (found(f, lookup(here, event), 1))
        return true;
    f->prefix[0] = event, f->prefix[1] = sid;
    if (found(f, lookup(here, st->star), 2))
        return true;
    PyObject *anywhere = lookup(server->app.handlers, st->star);
    f->prefix[0] = namespace;
    if (found(f, lookup(anywhere, event), 2))
        return true;
    f->prefix[0] = event, f->prefix[1] = namespace, f->prefix[2] = sid;
    if (found(f, lookup(anywhere, st->star), 3))
        return true;
    PyObject *object = lookup(server->namespace_handlers, namespace);
    f->count = 3;
    if (object) {
        f->prefix[1] = sid;
        f->count = 2;
    } else {
        object = lookup(server->namespace_handlers, st->star);
    }
    f->handler = object ? PyObject_GetAttr(object, st->n.trigger_event) : NULL;
    return f->handler != NULL;
}
