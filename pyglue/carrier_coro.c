/* carrier_coro.c: the coroutine that asyncio sees in a carrier: the later steps of an event. */
#include "carrier_internal.h"
#include "coroutine.h"

/* The handler of a Task of its own has ended. CancelledError goes on to the Task. */
static PySendResult end_late(clr_carrier_t *c, bool ok, PyObject **result)
{
    clr_wlink_t *link = c->link;
    PyObject *cancelled = NULL;
    if (!ok && PyErr_ExceptionMatches(link->st->cancelled_error)) {
        cancelled = clr_err_take();
        clr_err_give(Py_NewRef(cancelled));
    }
    clr_event_t event = c->event;
    c->event = (clr_event_t){0};
    c->state = STATE_ENDED;
    bool was_working = clr_list_is_linked(&c->node);
    clr_list_remove(&c->node);
    link->carriers.working_count -= was_working;
    PyObject *value = c->value;
    c->value = NULL;
    PyObject *outer = link->carriers.inside;
    link->carriers.inside = c->task;
    clr_incoming_done(link, &event, ok ? value : NULL);
    link->carriers.inside = outer;
    Py_XDECREF(value);
    clr_carrier_forget(c);
    Py_CLEAR(c->task);
    if (was_working)
        Py_DECREF((PyObject *)c); /* the list's; the caller has one */
    if (cancelled) {
        clr_err_give(cancelled);
        return PYGEN_ERROR;
    }
    *result = Py_NewRef(Py_None);
    return PYGEN_RETURN;
}

static PySendResult drive(clr_carrier_t *c, PyObject *thrown, PyObject **result)
{
    Py_INCREF((PyObject *)c);
    c->state = STATE_DRIVING;
    c->thrown = thrown;
    bool ok = clr_carrier_step(c);
    c->thrown = NULL;
    PySendResult status = PYGEN_NEXT;
    if (ok && c->status == PYGEN_NEXT) {
        *result = c->value;
        c->value = NULL;
    } else {
        status = end_late(c, ok, result);
    }
    Py_DECREF((PyObject *)c);
    return status;
}

/* Yields what the first step yielded. */
static PySendResult give_pending(clr_carrier_t *c, PyObject **result)
{
    *result = c->pending;
    c->pending = NULL;
    c->state = STATE_DRIVING;
    if (c->pending_blocking)
        clr_carrier_set_blocking(c, *result, true);
    return PYGEN_NEXT;
}

static PySendResult carrier_am_send(PyObject *self, PyObject *value, PyObject **result)
{
    (void)value;
    clr_carrier_t *c = (clr_carrier_t *)self;
    switch (c->state) {
    case STATE_FRESH:
    case STATE_PARKED:
        *result = clr_park_of(c);
        if (*result)
            c->state = STATE_PARKED;
        return *result ? PYGEN_NEXT : PYGEN_ERROR;
    case STATE_HANDED:
        return give_pending(c, result);
    case STATE_DRIVING:
        return drive(c, NULL, result);
    default:
        *result = Py_NewRef(Py_None);
        return PYGEN_RETURN;
    }
}

/* Cancelled between the first step and its handing over: the cancellation belongs to what is
 * awaited, as in any Task. True: that took it, and *result is it. */
static bool cancel_pending(clr_carrier_t *c, PyObject *exc, PyObject **result)
{
    clr_state_t *st = c->link->st;
    if (!c->pending_blocking || !PyErr_GivenExceptionMatches(exc, st->cancelled_error))
        return false;
    PyObject *cancel = PyObject_GetAttr(c->pending, st->n.cancel);
    PyObject *args = cancel ? PyObject_GetAttr(exc, st->n.args) : NULL;
    PyObject *taken = args ? PyObject_Call(cancel, args, NULL) : NULL;
    bool is_taken = taken && PyObject_IsTrue(taken) == 1;
    PyErr_Clear();
    Py_XDECREF(cancel);
    Py_XDECREF(args);
    Py_XDECREF(taken);
    if (is_taken)
        give_pending(c, result);
    return is_taken;
}

void clr_carrier_disown(clr_carrier_t *c)
{
    c->state = STATE_ENDED;
    if (c->link->carriers.idle == c) {
        c->link->carriers.idle = NULL;
        Py_CLEAR(c->task);
        Py_DECREF((PyObject *)c);
    }
}

static PySendResult carrier_throw_exc(clr_carrier_t *c, PyObject *exc, PyObject **result)
{
    if (c->state == STATE_HANDED && cancel_pending(c, exc, result))
        return PYGEN_NEXT;
    if (c->state == STATE_HANDED || c->state == STATE_DRIVING) {
        Py_CLEAR(c->pending);
        return drive(c, exc, result);
    }
    clr_carrier_disown(c);
    clr_err_give(Py_NewRef(exc));
    return PYGEN_ERROR;
}

/* throw(exc) or throw(type[, value[, traceback]]) */
static PyObject *carrier_throw(PyObject *self, PyObject *args)
{
    if (clr_coroutine_raise(args) < 0)
        return NULL;
    PyObject *exc = clr_err_take();
    PyObject *result = NULL;
    Py_INCREF(self);
    PySendResult status = carrier_throw_exc((clr_carrier_t *)self, exc, &result);
    Py_DECREF(self);
    Py_DECREF(exc);
    return clr_coroutine_result(status, result);
}

static PyObject *carrier_close(PyObject *self, PyObject *unused)
{
    (void)unused;
    clr_carrier_t *c = (clr_carrier_t *)self;
    if (c->coro) {
        PyObject *closed = PyObject_CallMethodObjArgs(c->coro, c->link->st->n.close, NULL);
        if (!closed)
            return NULL;
        Py_DECREF(closed);
    }
    if (c->state <= STATE_PARKED)
        clr_carrier_disown(c);
    Py_RETURN_NONE;
}

/* ---- the type ---- */

static int carrier_traverse(PyObject *self, visitproc visit, void *arg)
{
    clr_carrier_t *c = (clr_carrier_t *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT((PyObject *)c->link);
    Py_VISIT(c->task);
    Py_VISIT((PyObject *)c->park);
    Py_VISIT(c->event.handler);
    Py_VISIT(c->event.call);
    Py_VISIT(c->context);
    Py_VISIT(c->coro);
    Py_VISIT(c->pending);
    Py_VISIT(c->value);
    return 0;
}

static int carrier_clear(PyObject *self)
{
    clr_carrier_t *c = (clr_carrier_t *)self;
    Py_CLEAR(c->task);
    clr_carrier_forget(c);
    Py_CLEAR(c->event.handler);
    Py_CLEAR(c->event.name);
    Py_CLEAR(c->event.call);
    if (c->event.socket)
        clr_socket_unref(c->event.socket);
    c->event.socket = NULL;
    if (c->park)
        c->park->carrier = NULL;
    Py_CLEAR(c->park);
    return 0;
}

static void carrier_dealloc(PyObject *self)
{
    PyObject_GC_UnTrack(self);
    carrier_clear(self);
    clr_list_remove(&((clr_carrier_t *)self)->node);
    Py_XDECREF((PyObject *)((clr_carrier_t *)self)->link);
    clr_type_free(self);
}

/* What debuggers and inspect.getcoroutinestate() ask of a coroutine. */
static PyObject *get_running(PyObject *self, void *unused)
{
    (void)unused;
    clr_carrier_t *c = (clr_carrier_t *)self;
    return PyBool_FromLong(c->is_first || c->link->carriers.current == c);
}

static PyObject *get_suspended(PyObject *self, void *unused)
{
    (void)unused;
    clr_carrier_t *c = (clr_carrier_t *)self;
    return PyBool_FromLong(c->state != STATE_FRESH && c->state != STATE_ENDED &&
                           c->link->carriers.current != c);
}

static PyObject *get_inner(PyObject *self, void *name)
{
    clr_carrier_t *c = (clr_carrier_t *)self;
    PyObject *value = c->coro ? PyObject_GetAttrString(c->coro, name) : NULL;
    if (value)
        return value;
    PyErr_Clear();
    Py_RETURN_NONE;
}

static PyObject *get_name(PyObject *self, void *name)
{
    clr_carrier_t *c = (clr_carrier_t *)self;
    PyObject *value = c->event.handler ? PyObject_GetAttrString(c->event.handler, name) : NULL;
    if (value && PyUnicode_Check(value))
        return value;
    PyErr_Clear();
    Py_XDECREF(value);
    return PyUnicode_FromString("clrun event handler");
}

static PyGetSetDef carrier_getset[] = {
    {"cr_running", get_running, NULL, NULL, NULL},
    {"cr_suspended", get_suspended, NULL, NULL, NULL},
    {"cr_frame", get_inner, NULL, NULL, "cr_frame"},
    {"cr_code", get_inner, NULL, NULL, "cr_code"},
    {"cr_await", get_inner, NULL, NULL, "cr_await"},
    {"__name__", get_name, NULL, NULL, "__name__"},
    {"__qualname__", get_name, NULL, NULL, "__qualname__"},
    {0},
};

static PyMethodDef carrier_methods[] = {
    {"send", clr_coroutine_send, METH_O, NULL},
    {"throw", carrier_throw, METH_VARARGS, NULL},
    {"close", carrier_close, METH_NOARGS, NULL},
    {0},
};

static PyType_Slot carrier_slots[] = {
    {Py_tp_doc, "The coroutine of an event handler's task."},
    CLR_SLOT(Py_tp_dealloc, carrier_dealloc),
    CLR_SLOT(Py_tp_traverse, carrier_traverse),
    CLR_SLOT(Py_tp_clear, carrier_clear),
    CLR_SLOT(Py_tp_iter, clr_coroutine_self),
    CLR_SLOT(Py_tp_iternext, clr_coroutine_next),
    CLR_SLOT(Py_am_await, clr_coroutine_self),
    CLR_SLOT(Py_am_send, carrier_am_send),
    {Py_tp_methods, carrier_methods},
    {Py_tp_getset, carrier_getset},
    {0, NULL},
};

static PyType_Spec carrier_spec = {
    .name = "_clrun.EventHandler",
    .basicsize = sizeof(clr_carrier_t),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION |
             Py_TPFLAGS_IMMUTABLETYPE,
    .slots = carrier_slots,
};

int clr_carrier_init_type(PyObject *module, clr_state_t *st)
{
    st->carrier_type = PyType_FromModuleAndSpec(module, &carrier_spec, NULL);
    return st->carrier_type ? clr_park_init_type(module, st) : -1;
}
