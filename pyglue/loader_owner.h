/* loader_owner.h: which files and modules are the app's own.
 *
 * A file is the app's own when it lies inside one of the app's directories (compared by path
 * component, as it is spelled and with symbolic links resolved) and not in site-packages, a virtual
 * environment below that directory, or the standard library. Extension modules are never the app's
 * own, since they cannot be loaded a second time; nor is clrun itself, wherever it lies.
 *
 * Threads:  the interpreter lock must be held.
 * Lifetime: clr_owner_init() … clr_owner_deinit(); deinit is safe after a failed init.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>

#ifndef PY_SSIZE_T_CLEAN
#define PY_SSIZE_T_CLEAN
#endif
#include <Python.h>

typedef struct clr_owner {
    PyObject *roots_;  /* list of bytes: the app's directories, links resolved */
    PyObject *venv_;   /* bytes or NULL */
    PyObject *prefix_; /* bytes or NULL: sys.prefix */
    PyObject *stdlib_; /* bytes or NULL */
    /* The last directory that was searched for a pyvenv.cfg, below which root, and what was found.
     */
    const char *last_root_;
    char last_dir_[PATH_MAX];
    bool last_found_;
} clr_owner_t;

/* roots: a sequence of str, borrowed; venv: str, None or NULL. Returns 0, or -1 with an exception.
 */
int clr_owner_init(clr_owner_t *owner, PyObject *roots, PyObject *venv);
void clr_owner_deinit(clr_owner_t *owner);

/* One more directory (str) of the app. Returns 0, or -1 with an exception. */
int clr_owner_add(clr_owner_t *owner, PyObject *root);

/* path: absolute, or relative to the working directory. */
bool clr_owner_owns_path(clr_owner_t *owner, const char *path);

typedef enum clr_owned {
    CLR_OWNED_NOT,
    CLR_OWNED_FILE,
    CLR_OWNED_NAMESPACE, /* a package without a file, all of whose directories are the app's */
} clr_owned_t;

/* The module registered in sys.modules as `name`. Never fails: what cannot be told is not owned. */
clr_owned_t clr_owner_owns_module(clr_owner_t *owner, const char *name, PyObject *module);
