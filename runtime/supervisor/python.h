/* python.h: finds the interpreter that runs the app, and asks it once what it is.
 *
 * The order: --python, VIRTUAL_ENV, a virtual environment beside the app or in the workers'
 * directory, CONDA_PREFIX, the first python3 on PATH. A virtual environment's interpreter keeps its
 * own path, no link resolved: CPython finds the environment by it.
 *
 * Threads:  blocks until the interpreter answered; before the loop runs.
 * Lifetime: after clr_python_find(), whatever it returned, clr_python_deinit().
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* CPython as its own program, or as the shared library that a worker loads. */
typedef enum clr_python_mode {
    CLR_PYTHON_AUTO,    /* the library where the program itself uses it */
    CLR_PYTHON_LIBRARY, /* the library, or fail */
    CLR_PYTHON_PROGRAM,
} clr_python_mode_t;

typedef struct clr_python_query {
    const char *option;   /* --python or NULL: a path, a directory, or a name on PATH */
    const char *app_dir;  /* where the app is; not NULL, as the next */
    const char *work_dir; /* of the workers */
    clr_python_mode_t mode;
} clr_python_query_t;

typedef struct clr_python {
    char *executable; /* absolute, links unresolved */
    char *library;    /* libpython to load, absolute; NULL: start the executable */
    char *version;    /* "3.11.2" */
    char *origin;     /* for people: ".venv", "/usr/bin/python3" */
    const char *why;  /* what led to it: "--python", "VIRTUAL_ENV", ".venv", "PATH" …; static */
} clr_python_t;

/* Fails with one line that says which interpreter was tried, why, and what is wrong with it. */
CLR_NODISCARD int clr_python_find(clr_python_t *out, const clr_python_query_t *query,
                                  clr_error_t *err);
void clr_python_deinit(clr_python_t *python);

/* The second half of it: runs `path`, which must be absolute, and fills all but origin. */
CLR_NODISCARD int clr_python_ask(clr_python_t *out, const char *path, clr_python_mode_t mode,
                                 clr_error_t *err);
