/* loader.h: load_module, which brings the app's module into the interpreter and, on a refresh, puts
 * new code in the place of the old as one transaction.
 *
 * From Python:
 *   load_module(target, *, refresh=False, venv=None) -> module
 *     target   a path to a .py file or a dotted module name, which is looked up from the working
 *              directory. No ":attribute": the caller splits that off.
 *     refresh  throw out the app's own modules first, so that they load anew from their source.
 *     venv     a virtual environment that may lie inside the app's directory; nothing in it is the
 *              app's own. Environments are recognised without it by their pyvenv.cfg.
 *   Raises clrun.exceptions.AppNotFoundError when there is no such target, else whatever the module
 *   raised. On any exception, SystemExit included, sys.modules, sys.path, the attributes of
 *   packages and the registered servers are as they were.
 *
 * Threads:  any thread that holds the interpreter lock; one load at a time (the worker's main
 * thread). Lifetime: keeps nothing in C between calls; what it remembers is in clrun._source and
 * sys.path.
 */
#pragma once

#ifndef PY_SSIZE_T_CLEAN
#define PY_SSIZE_T_CLEAN
#endif
#include <Python.h>

PyObject *clr_loader_load_module(PyObject *self, PyObject *args, PyObject *kwargs);

/* _owns_path(path: str, roots: list[str], venv: str | None) -> bool: is this file the app's own?
 * For the import hook in clrun._source. */
PyObject *clr_loader_owns_path(PyObject *self, PyObject *args);

/* The rows for the method table of _clrun. */
#define CLR_LOADER_METHODS                                                                         \
    {"load_module", (PyCFunction)(void (*)(void))clr_loader_load_module,                           \
     METH_VARARGS | METH_KEYWORDS,                                                                 \
     "load_module(target, *, refresh=False, venv=None)\n--\n\nLoad the app's module."},            \
    {                                                                                              \
        "_owns_path", clr_loader_owns_path, METH_VARARGS,                                          \
            "_owns_path(path, roots, venv, /)\n--\n\nIs this file the app's own?"                  \
    }
