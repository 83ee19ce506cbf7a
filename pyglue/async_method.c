/* async_method.c: see async_method.h. */
#include "async_method.h"

#include "server.h"

/* In the headers of the stable ABI from 3.12 on; 3.11 reads the type's flag and member alike. */
#ifndef Py_TPFLAGS_HAVE_VECTORCALL
#define Py_TPFLAGS_HAVE_VECTORCALL (1UL << 11)
#endif
#define ARGUMENTS_OFFSET ((size_t)1 << (8 * sizeof(size_t) - 1))

typedef PyObject *(*call_fn)(PyObject *callable, PyObject *const *args, size_t nargsf,
                             PyObject *kwnames);
typedef PyObject *(*method_fn)(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                               PyObject *kwnames);

typedef struct clr_async_method {
    PyObject_HEAD call_fn call;
    method_fn method;
    clr_state_t *st;
    PyObject *function; /* owned: what it is said to be */
} clr_async_method_t;

static PyObject *method_vectorcall(PyObject *callable, PyObject *const *args, size_t nargsf,
                                   PyObject *kwnames)
{
    clr_async_method_t *m = (clr_async_method_t *)callable;
    Py_ssize_t nargs = (Py_ssize_t)(nargsf & ~ARGUMENTS_OFFSET);
    if (nargs == 0 || !PyObject_TypeCheck(args[0], (PyTypeObject *)m->st->server_type)) {
        PyErr_SetString(PyExc_TypeError, "a method of a server was called without the server");
        return NULL;
    }
    return m->method(args[0], args + 1, nargs - 1, kwnames);
}

/* The road of those who know no vectorcall, such as functools.partial of 3.11. */
static PyObject *method_call(PyObject *callable, PyObject *args, PyObject *kwargs)
{
    Py_ssize_t nargs = PyTuple_Size(args), count = kwargs ? PyDict_Size(kwargs) : 0, i = 0;
    PyObject **all = PyMem_Calloc((size_t)(nargs + count) + 1, sizeof(*all));
    PyObject *names = all && count > 0 ? PyTuple_New(count) : NULL;
    if (!all || (count > 0 && !names)) {
        PyMem_Free(all);
        return PyErr_NoMemory();
    }
    for (; i < nargs; i++)
        all[i] = PyTuple_GetItem(args, i);
    PyObject *name, *value;
    for (Py_ssize_t at = 0; kwargs && PyDict_Next(kwargs, &at, &name, &value); i++) {
        all[i] = value;
        PyTuple_SetItem(names, i - nargs, Py_NewRef(name));
    }
    PyObject *result = method_vectorcall(callable, all, (size_t)nargs, names);
    Py_XDECREF(names);
    PyMem_Free(all);
    return result;
}

/* Bound as a function would be, which is how inspect finds the flags. */
static PyObject *method_get(PyObject *self, PyObject *instance, PyObject *owner)
{
    (void)owner;
    clr_async_method_t *m = (clr_async_method_t *)self;
    if (!instance || instance == Py_None)
        return Py_NewRef(self);
    return PyObject_CallFunctionObjArgs(m->st->method_type, self, instance, NULL);
}

/* What the type does not answer itself is the function's: __code__, __defaults__ and so on. */
static PyObject *method_getattro(PyObject *self, PyObject *name)
{
    static const char *const ours[] = {"__class__", "__get__", "__call__"};
    for (size_t i = 0; i < clr_array_len(ours); i++) {
        if (PyUnicode_CompareWithASCIIString(name, ours[i]) == 0)
            return PyObject_GenericGetAttr(self, name);
    }
    return PyObject_GetAttr(((clr_async_method_t *)self)->function, name);
}

static PyObject *method_repr(PyObject *self)
{
    return PyObject_Repr(((clr_async_method_t *)self)->function);
}

static method_fn find_method(PyObject *function)
{
    PyObject *name = PyObject_GetAttrString(function, "__name__");
    method_fn found = NULL;
    if (name && PyUnicode_Check(name)) {
        if (PyUnicode_CompareWithASCIIString(name, "emit") == 0)
            found = clr_server_emit;
        else if (PyUnicode_CompareWithASCIIString(name, "send") == 0)
            found = clr_server_send;
    }
    if (!found && !PyErr_Occurred())
        PyErr_Format(PyExc_TypeError, "Server has no such method in C: %R", function);
    Py_XDECREF(name);
    return found;
}

static PyObject *method_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *function;
    static char *keywords[] = {"function", NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:AsyncMethod", keywords, &function))
        return NULL;
    clr_state_t *st = clr_state_of_type(type);
    method_fn method = st ? find_method(function) : NULL;
    clr_async_method_t *m = method ? (clr_async_method_t *)PyType_GenericAlloc(type, 0) : NULL;
    if (!m)
        return NULL;
    m->call = method_vectorcall;
    m->method = method;
    m->st = st;
    m->function = Py_NewRef(function);
    return (PyObject *)m;
}

static int method_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((clr_async_method_t *)self)->function);
    return 0;
}

static int method_clear(PyObject *self)
{
    Py_CLEAR(((clr_async_method_t *)self)->function);
    return 0;
}

static void method_dealloc(PyObject *self)
{
    PyObject_GC_UnTrack(self);
    method_clear(self);
    clr_type_free(self);
}

static PyMemberDef method_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(clr_async_method_t, call), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot method_slots[] = {
    {Py_tp_doc, "A method in C that is an `async def` to those who ask."},
    CLR_SLOT(Py_tp_new, method_new),
    CLR_SLOT(Py_tp_call, method_call),
    CLR_SLOT(Py_tp_descr_get, method_get),
    CLR_SLOT(Py_tp_getattro, method_getattro),
    CLR_SLOT(Py_tp_repr, method_repr),
    CLR_SLOT(Py_tp_traverse, method_traverse),
    CLR_SLOT(Py_tp_clear, method_clear),
    CLR_SLOT(Py_tp_dealloc, method_dealloc),
    {Py_tp_members, method_members},
    {0, NULL},
};

static PyType_Spec method_spec = {
    .name = "_clrun.AsyncMethod",
    .basicsize = sizeof(clr_async_method_t),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL |
             Py_TPFLAGS_METHOD_DESCRIPTOR,
    .slots = method_slots,
};

int clr_async_method_init_type(PyObject *module, clr_state_t *st)
{
    PyObject *types = PyImport_ImportModule("types");
    st->method_type = types ? PyObject_GetAttrString(types, "MethodType") : NULL;
    Py_XDECREF(types);
    if (!st->method_type)
        return -1;
    PyObject *type = PyType_FromModuleAndSpec(module, &method_spec, NULL);
    if (!type)
        return -1;
    int status = PyModule_AddObjectRef(module, "AsyncMethod", type);
    Py_DECREF(type);
    return status;
}
