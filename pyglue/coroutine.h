/* coroutine.h: what the types share that are coroutines themselves: an emit, an ASGI receive or
 * send, the carrier of an event. Such a type has the slot am_send; the rest of what asyncio,
 * inspect and anyio ask of a coroutine follows from it.
 *
 * Threads:  those that hold the GIL.
 */
#pragma once

#include "compat.h"

/* tp_iter and am_await. */
PyObject *clr_coroutine_self(PyObject *self);

/* tp_iternext, and the method send(value), by way of am_send. */
PyObject *clr_coroutine_next(PyObject *self);
PyObject *clr_coroutine_send(PyObject *self, PyObject *value);

/* What a generator's method returns for the result of a step. Takes result. */
PyObject *clr_coroutine_result(PySendResult status, PyObject *result);

/* Sets the exception that the arguments of the method throw(exc), throw(type[, value[, traceback]])
 * name. -1 if they are of another number, which is then the exception. */
int clr_coroutine_raise(PyObject *args);

/* Attributes of what has no frame. */
PyObject *clr_coroutine_get_none(PyObject *self, void *unused);
PyObject *clr_coroutine_get_false(PyObject *self, void *unused);

/* What is the same in the tables of such a type. */
#define CLR_COROUTINE_GETTERS                                                                      \
    {"cr_running", clr_coroutine_get_false, NULL, NULL, NULL},                                     \
        {"cr_frame", clr_coroutine_get_none, NULL, NULL, NULL},                                    \
        {"cr_code", clr_coroutine_get_none, NULL, NULL, NULL},                                     \
    {                                                                                              \
        "cr_await", clr_coroutine_get_none, NULL, NULL, NULL                                       \
    }

#define CLR_COROUTINE_METHODS(throw_, close_)                                                      \
    {"send", clr_coroutine_send, METH_O, NULL}, {"throw", throw_, METH_VARARGS, NULL},             \
    {                                                                                              \
        "close", close_, METH_NOARGS, NULL                                                         \
    }

#define CLR_COROUTINE_SLOTS(am_send_)                                                              \
    CLR_SLOT(Py_tp_iter, clr_coroutine_self), CLR_SLOT(Py_tp_iternext, clr_coroutine_next),        \
        CLR_SLOT(Py_am_await, clr_coroutine_self), CLR_SLOT(Py_am_send, am_send_)
