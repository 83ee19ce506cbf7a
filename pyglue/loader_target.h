/* loader_target.h: what a target such as "chat/app.py" or "package.module" names.
 *
 * Threads:  the interpreter lock must be held.
 * Lifetime: clr_target_resolve() … clr_target_deinit(); deinit is safe after a failed resolve.
 */
#pragma once

#ifndef PY_SSIZE_T_CLEAN
#define PY_SSIZE_T_CLEAN
#endif
#include <Python.h>

typedef struct clr_target {
    PyObject *text; /* as it was given: for messages */
    PyObject *name; /* the module's name, dotted inside packages */
    PyObject *file; /* absolute path with links resolved; NULL for a dotted target */
    PyObject *root; /* the directory that belongs first on sys.path */
} clr_target_t;

/* A path ends in ".py" or has a slash; all else is a dotted name. Borrows text (str). For a path
 * the file must exist; a dotted name is left to the import system. Returns 0, or -1 with an
 * exception, which is AppNotFoundError when there is nothing to load. */
int clr_target_resolve(clr_target_t *target, PyObject *text);
void clr_target_deinit(clr_target_t *target);

/* Raises AppNotFoundError. Returns -1. The format is PyUnicode_FromFormat()'s. */
int clr_target_not_found(const char *format, ...);
