/* refresh.h: REFRESH, SOURCES and REFRESHED: new code while the worker goes on. What a refresh does
 * is in clrun/_refresh.py.
 *
 * Threads: the loop's, with the interpreter lock.
 */
#pragma once

#include "worker_link.h"

/* REFRESH: calls link.on_refresh(number). 0 or CLR_EPROTO. */
CLR_NODISCARD int clr_refresh_frame(clr_wlink_t *link, const clr_frame_t *frame);

/* Methods of Link: sources(since, directory), loading(bool), refreshed(number, ok, file, line,
 * text). */
PyObject *clr_refresh_method_sources(PyObject *self, PyObject *args);
PyObject *clr_refresh_method_loading(PyObject *self, PyObject *loading);
PyObject *clr_refresh_method_refreshed(PyObject *self, PyObject *args);

/* The rows for the method table of Link. */
#define CLR_REFRESH_METHODS                                                                        \
    {"sources", clr_refresh_method_sources, METH_VARARGS, "sources(since_ns, directory)"},         \
        {"loading", clr_refresh_method_loading, METH_O, "loading(bool)"},                          \
    {                                                                                              \
        "refreshed", clr_refresh_method_refreshed, METH_VARARGS,                                   \
            "refreshed(number, ok, file, line, text)"                                              \
    }
