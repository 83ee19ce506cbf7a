/* carrier_park.c: the future an idle carrier's Task waits for. It is never done; whoever needs the
 * Task calls the wake-up callback that asyncio left here.
 */
#include "carrier_internal.h"

PyObject *clr_park_of(clr_carrier_t *c)
{
    if (!c->park) {
        c->park = (clr_park_t *)PyType_GenericAlloc((PyTypeObject *)c->link->st->park_type, 0);
        if (!c->park)
            return NULL;
        c->park->carrier = c;
        c->park->loop = Py_NewRef(c->link->loop);
    }
    c->park->blocking = true;
    return Py_NewRef((PyObject *)c->park);
}

static PyObject *get_blocking(PyObject *self, void *unused)
{
    (void)unused;
    return PyBool_FromLong(((clr_park_t *)self)->blocking);
}

static int set_blocking(PyObject *self, PyObject *value, void *unused)
{
    (void)unused;
    ((clr_park_t *)self)->blocking = value == Py_True;
    return 0;
}

static PyObject *park_get_loop(PyObject *self, PyObject *unused)
{
    (void)unused;
    return Py_NewRef(((clr_park_t *)self)->loop);
}

/* add_done_callback(wakeup, *, context): the Task is parked. */
static PyObject *park_add_done_callback(PyObject *self, PyObject *args, PyObject *kwargs)
{
    (void)kwargs;
    clr_park_t *park = (clr_park_t *)self;
    PyObject *wakeup;
    if (!PyArg_UnpackTuple(args, "add_done_callback", 1, 1, &wakeup))
        return NULL;
    PyObject *old = park->wakeup;
    park->wakeup = Py_NewRef(wakeup);
    Py_XDECREF(old);
    Py_RETURN_NONE;
}

/* The Task is being cancelled. During a first step it is not really parked: False makes it cancel
 * itself at its next step. Otherwise it takes no more events, and its next step is now. */
static PyObject *park_cancel(PyObject *self, PyObject *args, PyObject *kwargs)
{
    (void)args;
    (void)kwargs;
    clr_park_t *park = (clr_park_t *)self;
    clr_carrier_t *c = park->carrier;
    if (!c || c->is_first || !park->wakeup)
        Py_RETURN_FALSE;
    PyObject *wakeup = park->wakeup;
    park->wakeup = NULL;
    PyObject *handle = PyObject_CallFunctionObjArgs(c->link->call_soon, wakeup, self, NULL);
    Py_DECREF(wakeup);
    clr_carrier_disown(c);
    if (!handle)
        return NULL;
    Py_DECREF(handle);
    Py_RETURN_FALSE;
}

static PyObject *park_result(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    Py_RETURN_NONE;
}

static PyObject *park_done(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    Py_RETURN_FALSE;
}

static int park_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((clr_park_t *)self)->loop);
    Py_VISIT(((clr_park_t *)self)->wakeup);
    return 0;
}

static int park_clear(PyObject *self)
{
    Py_CLEAR(((clr_park_t *)self)->loop);
    Py_CLEAR(((clr_park_t *)self)->wakeup);
    return 0;
}

static void park_dealloc(PyObject *self)
{
    PyObject_GC_UnTrack(self);
    park_clear(self);
    clr_type_free(self);
}

static PyGetSetDef park_getset[] = {
    {"_asyncio_future_blocking", get_blocking, set_blocking, NULL, NULL},
    {0},
};

static PyMethodDef park_methods[] = {
    {"get_loop", park_get_loop, METH_NOARGS, NULL},
    {"add_done_callback", CLR_METHOD(park_add_done_callback), METH_VARARGS | METH_KEYWORDS, NULL},
    {"cancel", CLR_METHOD(park_cancel), METH_VARARGS | METH_KEYWORDS, NULL},
    {"result", park_result, METH_NOARGS, NULL},
    {"done", park_done, METH_NOARGS, NULL},
    {0},
};

static PyType_Slot park_slots[] = {
    {Py_tp_doc, "What the task waits for between two events."},
    CLR_SLOT(Py_tp_dealloc, park_dealloc),
    CLR_SLOT(Py_tp_traverse, park_traverse),
    CLR_SLOT(Py_tp_clear, park_clear),
    {Py_tp_methods, park_methods},
    {Py_tp_getset, park_getset},
    {0, NULL},
};

static PyType_Spec park_spec = {
    .name = "_clrun.Idle",
    .basicsize = sizeof(clr_park_t),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION |
             Py_TPFLAGS_IMMUTABLETYPE,
    .slots = park_slots,
};

int clr_park_init_type(PyObject *module, clr_state_t *st)
{
    st->park_type = PyType_FromModuleAndSpec(module, &park_spec, NULL);
    return st->park_type ? 0 : -1;
}
