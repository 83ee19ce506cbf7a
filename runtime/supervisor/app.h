/* app.h: what the APP of the command line names: a file or a module, maybe with an object's name,
 * and the directory beside which its public/ folder and its virtual environment are looked for.
 * Nothing is imported here.
 *
 * Threads:  any.
 * Lifetime: after clr_app_resolve(), whatever it returned, clr_app_deinit().
 */
#pragma once

#include "base/error.h"

typedef struct clr_app {
    char *target; /* as the worker gets it: "dir/app.py", "package.module" */
    char *attr;   /* the name after the colon, or NULL */
    char *file; /* the source file if it was found from here, else NULL: a module of the environment
                 */
    char *dir;  /* of the file; where a module was looked for otherwise */
    char *work_dir; /* of the workers; NULL: ours */
} clr_app_t;

/* Borrows spec and work_dir (NULL: the current directory). Fails with a line that says what is
 * wrong: no such file, a directory, unreadable, neither file nor module. A module that is not found
 * from work_dir is left to Python. */
CLR_NODISCARD int clr_app_resolve(clr_app_t *out, const char *spec, const char *work_dir,
                                  clr_error_t *err);
void clr_app_deinit(clr_app_t *app);

/* The app's public/ folder: returns owned, or NULL when there is none. */
char *clr_app_public_dir(const clr_app_t *app);
