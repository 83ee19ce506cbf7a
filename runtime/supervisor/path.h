/* path.h: paths as strings, and where clrun's own files are.
 *
 * Threads:  any.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

/* base/name, or name when it is absolute or base is ".". Returns owned. */
char *clr_path_join(const char *base, const char *name);

/* Whether there is something of that type (S_IFREG, S_IFDIR; links followed). */
bool clr_path_is(const char *path, mode_t type);

/* The absolute form, with no link resolved: a virtual environment is found by its own path. Returns
 * owned. */
char *clr_path_absolute(const char *path);

/* Where the program finds the rest of itself: lib/clrun beside it (build tree) or beside its bin/
 * (installed). */
typedef struct clr_home {
    char *worker;  /* the worker program */
    char *package; /* the directory to put on sys.path */
} clr_home_t;

CLR_NODISCARD int clr_home_find(clr_home_t *out, clr_error_t *err);
void clr_home_deinit(clr_home_t *home);
