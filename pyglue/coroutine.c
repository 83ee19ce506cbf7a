/* coroutine.c: see coroutine.h. */
#include "coroutine.h"

PyObject *clr_coroutine_self(PyObject *self)
{
    return Py_NewRef(self);
}

PyObject *clr_coroutine_result(PySendResult status, PyObject *result)
{
    if (status == PYGEN_NEXT)
        return result;
    if (status == PYGEN_RETURN) {
        PyErr_SetObject(PyExc_StopIteration, result == Py_None ? NULL : result);
        Py_DECREF(result);
    }
    return NULL;
}

PyObject *clr_coroutine_send(PyObject *self, PyObject *value)
{
    PyObject *result = NULL;
    PySendResult status = PyIter_Send(self, value, &result);
    return clr_coroutine_result(status, result);
}

PyObject *clr_coroutine_next(PyObject *self)
{
    return clr_coroutine_send(self, Py_None);
}

int clr_coroutine_raise(PyObject *args)
{
    PyObject *type, *value = NULL, *trace = NULL;
    if (!PyArg_UnpackTuple(args, "throw", 1, 3, &type, &value, &trace))
        return -1;
    if (PyExceptionInstance_Check(type))
        PyErr_SetObject((PyObject *)Py_TYPE(type), type);
    else
        PyErr_SetObject(type, value);
    return 0;
}

PyObject *clr_coroutine_get_none(PyObject *self, void *unused)
{
    (void)self;
    (void)unused;
    Py_RETURN_NONE;
}

PyObject *clr_coroutine_get_false(PyObject *self, void *unused)
{
    (void)self;
    (void)unused;
    Py_RETURN_FALSE;
}
