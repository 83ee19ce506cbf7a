/* compat.h: Python.h the way this module uses it, and everything that differs between the versions
 * of CPython. No other file has version conditionals.
 */
#pragma once

#ifndef PY_SSIZE_T_CLEAN
#define PY_SSIZE_T_CLEAN
#endif
#include <Python.h>
#include <structmember.h>

/* A C function as the method tables want it, whatever its signature. */
#define CLR_METHOD(f) ((PyCFunction)(void (*)(void))(f))

#define CLR_FAST   (METH_FASTCALL)
#define CLR_FASTKW (METH_FASTCALL | METH_KEYWORDS)

/* Functions in and out of slot tables, which hold object pointers. */
#define CLR_SLOT(slot, f)                                                                          \
    {                                                                                              \
        (slot), (void *)(uintptr_t)(f)                                                             \
    }
#define CLR_SLOT_OF(type, slot, as) ((as)(uintptr_t)PyType_GetSlot((type), (slot)))

/* Slots that only newer versions know are numbers here, so that the module built against old
 * headers still declares itself to new interpreters; older ones are spared them in module.c. */
#define CLR_SLOT_MULTIPLE_INTERPRETERS 3 /* from 3.12 */
#define CLR_SLOT_GIL                   4 /* from 3.13 */

/* The exception that is set, taken away from the thread and normalised; NULL when there is none.
 * Returns owned. (PyErr_GetRaisedException is not in the stable ABI of 3.11.) */
static inline PyObject *clr_err_take(void)
{
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    if (!type)
        return NULL;
    PyErr_NormalizeException(&type, &value, &trace);
    if (trace && value)
        PyException_SetTraceback(value, trace);
    Py_XDECREF(type);
    Py_XDECREF(trace);
    return value;
}

/* Sets an exception that clr_err_take() took; takes exc. */
static inline void clr_err_give(PyObject *exc)
{
    PyObject *type = (PyObject *)Py_TYPE(exc);
    Py_INCREF(type);
    PyErr_Restore(type, exc, PyException_GetTraceback(exc));
}

/* tp_free of a heap type's instance, and the reference that the instance held on its type. */
static inline void clr_type_free(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = CLR_SLOT_OF(type, Py_tp_free, freefunc);
    release(self);
    Py_DECREF(type);
}
