/* asgi_wait.c: what `receive()` and `send()` return: awaitables that look like coroutines. One that
 * needs not wait ends in its first step, without a future or a frame.
 *
 *   NEW ── step ──► DONE                   it is there at once
 *    └───► WAITING ── step ──► DONE        else a future of the loop is awaited, and asked again
 */
#include "asgi_internal.h"
#include "coroutine.h"

enum { WAIT_NEW, WAIT_WAITING, WAIT_DONE };

typedef struct clr_asgi_wait {
    PyObject_HEAD clr_list_t node; /* WAITING, until woken: in call->waits */
    clr_asgi_call_t *call;
    PyObject *message; /* to be sent when its turn has come, or NULL */
    PyObject *future;  /* WAITING: ends it */
    PyObject *steps;   /* WAITING: the future's iterator */
    uint8_t kind;
    uint8_t state;
} clr_asgi_wait_t;

PyObject *clr_asgi_wait_new(clr_asgi_call_t *call, clr_asgi_wait_kind_t kind, PyObject *message)
{
    PyTypeObject *type = (PyTypeObject *)call->st->asgi_wait_type;
    clr_asgi_wait_t *w = (clr_asgi_wait_t *)PyType_GenericAlloc(type, 0);
    if (!w)
        return NULL;
    clr_list_init(&w->node);
    w->call = (clr_asgi_call_t *)Py_NewRef((PyObject *)call);
    w->message = Py_XNewRef(message);
    w->kind = (uint8_t)kind;
    return (PyObject *)w;
}

static void stop_waiting(clr_asgi_wait_t *w)
{
    clr_list_remove(&w->node);
    Py_CLEAR(w->future);
    Py_CLEAR(w->steps);
}

static void finish(clr_asgi_wait_t *w)
{
    w->state = WAIT_DONE;
    stop_waiting(w);
    Py_CLEAR(w->message);
}

/* A future that the call, or the link whose output is congested, ends. */
static PyObject *future_for(clr_asgi_wait_t *w)
{
    clr_wlink_t *link = w->call->link;
    CLR_ASSERT(link); /* who waits for a call that is over? */
    if (w->kind == WAIT_SEND && !clr_asgi_is_busy(w->call))
        return clr_wlink_wait(link);
    PyObject *future = PyObject_CallMethodObjArgs(link->loop, w->call->st->n.create_future, NULL);
    if (future)
        clr_list_push_back(&w->call->waits, &w->node);
    return future;
}

static PySendResult wait_for_it(clr_asgi_wait_t *w, PyObject **result)
{
    w->future = future_for(w);
    if (w->future)
        w->steps = PyObject_CallMethodObjArgs(w->future, w->call->st->n.__await__, NULL);
    if (!w->steps) {
        finish(w);
        return PYGEN_ERROR;
    }
    w->state = WAIT_WAITING;
    return PyIter_Send(w->steps, Py_None, result);
}

/* The future is done, or was cancelled. True: ask the call again. */
static bool was_woken(clr_asgi_wait_t *w, PySendResult *status, PyObject **result)
{
    *status = PyIter_Send(w->steps, Py_None, result);
    if (*status == PYGEN_NEXT)
        return false;
    if (*status == PYGEN_ERROR) {
        finish(w);
        return false;
    }
    stop_waiting(w);
    Py_CLEAR(*result);
    return true;
}

static PySendResult wait_am_send(PyObject *self, PyObject *value, PyObject **result)
{
    (void)value;
    clr_asgi_wait_t *w = (clr_asgi_wait_t *)self;
    PySendResult status;
    *result = NULL;
    if (w->state == WAIT_DONE) {
        PyErr_SetString(PyExc_RuntimeError, "cannot reuse already awaited coroutine");
        return PYGEN_ERROR;
    }
    if (w->state == WAIT_WAITING && !was_woken(w, &status, result))
        return status;
    int got = w->kind == WAIT_RECEIVE ? clr_asgi_receive(w->call, result)
                                      : clr_asgi_go_on(w->call, &w->message, result);
    if (got == 0)
        return wait_for_it(w, result);
    finish(w);
    return got > 0 ? PYGEN_RETURN : PYGEN_ERROR;
}

/* ---- waking ---- */

static void wake(clr_asgi_wait_t *w)
{
    clr_state_t *st = w->call->st;
    clr_list_remove(&w->node);
    PyObject *future = w->future;
    PyObject *done = future ? PyObject_CallMethodObjArgs(future, st->n.done, NULL) : NULL;
    PyObject *set = NULL;
    if (done == Py_False)
        set = PyObject_CallMethodObjArgs(future, st->n.set_result, Py_None, NULL);
    PyErr_Clear(); /* the loop is closed: nobody waits */
    Py_XDECREF(done);
    Py_XDECREF(set);
}

void clr_asgi_wake(clr_asgi_call_t *call, clr_asgi_wait_kind_t kind)
{
    if (clr_list_is_empty(&call->waits))
        return;
    /* To wake one may end another: each round takes the first that is left. */
    clr_list_t all;
    clr_list_take(&all, &call->waits);
    for (clr_list_t *node; (node = clr_list_pop_front(&all)) != NULL;) {
        clr_asgi_wait_t *w = clr_container_of(node, clr_asgi_wait_t, node);
        if (w->kind != kind) {
            clr_list_push_back(&call->waits, node);
            continue;
        }
        Py_INCREF((PyObject *)w);
        wake(w);
        Py_DECREF((PyObject *)w);
    }
}

/* ---- the type of awaitables ---- */

static PyObject *wait_throw(PyObject *self, PyObject *args)
{
    finish((clr_asgi_wait_t *)self);
    clr_coroutine_raise(args);
    return NULL;
}

static PyObject *wait_close(PyObject *self, PyObject *unused)
{
    (void)unused;
    finish((clr_asgi_wait_t *)self);
    Py_RETURN_NONE;
}

static int wait_traverse(PyObject *self, visitproc visit, void *arg)
{
    clr_asgi_wait_t *w = (clr_asgi_wait_t *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT((PyObject *)w->call);
    Py_VISIT(w->message);
    Py_VISIT(w->future);
    Py_VISIT(w->steps);
    return 0;
}

static int wait_clear(PyObject *self)
{
    finish((clr_asgi_wait_t *)self);
    return 0;
}

static void wait_dealloc(PyObject *self)
{
    PyObject_GC_UnTrack(self);
    finish((clr_asgi_wait_t *)self);
    Py_XDECREF((PyObject *)((clr_asgi_wait_t *)self)->call);
    clr_type_free(self);
}

static PyObject *get_suspended(PyObject *self, void *unused)
{
    (void)unused;
    return PyBool_FromLong(((clr_asgi_wait_t *)self)->state == WAIT_WAITING);
}

static PyObject *get_name(PyObject *self, void *unused)
{
    (void)unused;
    bool receives = ((clr_asgi_wait_t *)self)->kind == WAIT_RECEIVE;
    return PyUnicode_FromString(receives ? "receive" : "send");
}

static PyGetSetDef wait_getset[] = {
    {"__name__", get_name, NULL, NULL, NULL},
    {"__qualname__", get_name, NULL, NULL, NULL},
    {"cr_suspended", get_suspended, NULL, NULL, NULL},
    CLR_COROUTINE_GETTERS,
    {0},
};

static PyMethodDef wait_methods[] = {
    CLR_COROUTINE_METHODS(wait_throw, wait_close),
    {0},
};

static PyType_Slot wait_slots[] = {
    {Py_tp_doc, "The coroutine of an ASGI application's receive() or send()."},
    CLR_SLOT(Py_tp_dealloc, wait_dealloc),
    CLR_SLOT(Py_tp_traverse, wait_traverse),
    CLR_SLOT(Py_tp_clear, wait_clear),
    CLR_COROUTINE_SLOTS(wait_am_send),
    {Py_tp_methods, wait_methods},
    {Py_tp_getset, wait_getset},
    {0, NULL},
};

static PyType_Spec wait_spec = {
    .name = "_clrun.AsgiAwaitable",
    .basicsize = sizeof(clr_asgi_wait_t),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION |
             Py_TPFLAGS_IMMUTABLETYPE,
    .slots = wait_slots,
};

/* ---- what is done already: one object for all ---- */

static PySendResult sent_am_send(PyObject *self, PyObject *value, PyObject **result)
{
    (void)self;
    (void)value;
    *result = Py_NewRef(Py_None);
    return PYGEN_RETURN;
}

static PyObject *sent_next(PyObject *self)
{
    (void)self;
    return NULL;
}

static PyObject *sent_send(PyObject *self, PyObject *value)
{
    (void)self;
    (void)value;
    PyErr_SetNone(PyExc_StopIteration);
    return NULL;
}

static PyObject *sent_throw(PyObject *self, PyObject *args)
{
    (void)self;
    clr_coroutine_raise(args);
    return NULL;
}

static PyObject *sent_close(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    Py_RETURN_NONE;
}

static PyMethodDef sent_methods[] = {
    {"send", sent_send, METH_O, NULL},
    {"throw", sent_throw, METH_VARARGS, NULL},
    {"close", sent_close, METH_NOARGS, NULL},
    {0},
};

static PyType_Slot sent_slots[] = {
    {Py_tp_doc, "What send() of an ASGI application returns when nothing has to be awaited."},
    CLR_SLOT(Py_tp_iter, clr_coroutine_self),
    CLR_SLOT(Py_tp_iternext, sent_next),
    CLR_SLOT(Py_am_await, clr_coroutine_self),
    CLR_SLOT(Py_am_send, sent_am_send),
    {Py_tp_methods, sent_methods},
    {0, NULL},
};

static PyType_Spec sent_spec = {
    .name = "_clrun.AsgiSent",
    .basicsize = sizeof(PyObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = sent_slots,
};

int clr_asgi_init_waits(PyObject *module, clr_state_t *st)
{
    st->asgi_wait_type = PyType_FromModuleAndSpec(module, &wait_spec, NULL);
    PyObject *sent = PyType_FromModuleAndSpec(module, &sent_spec, NULL);
    st->asgi_sent = sent ? PyType_GenericAlloc((PyTypeObject *)sent, 0) : NULL;
    Py_XDECREF(sent);
    return st->asgi_wait_type && st->asgi_sent ? 0 : -1;
}
