/* python.c: which interpreter. What it is, python_ask.c finds out. */
#include "supervisor/python.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "supervisor/path.h"

static bool is_venv(const char *dir)
{
    char *cfg = clr_path_join(dir, "pyvenv.cfg");
    bool found = clr_path_is(cfg, S_IFREG);
    free(cfg);
    return found;
}

/* dir/bin/python, or NULL. Returns owned. */
static char *python_in(const char *dir)
{
    static const char *const names[] = {"bin/python", "bin/python3"};
    for (size_t i = 0; i < clr_array_len(names); i++) {
        char *path = clr_path_join(dir, names[i]);
        if (clr_path_is(path, S_IFREG))
            return path;
        free(path);
    }
    return NULL;
}

/* Why dir has none: for those who see one there. */
static const char *why_none_in(const char *dir)
{
    char *path = clr_path_join(dir, "bin/python");
    struct stat st;
    bool is_there = lstat(path, &st) == 0;
    free(path);
    return is_there ? ", or none that this user may run: look where its link leads" : "";
}

/* The first executable file of that name on PATH, or NULL. Returns owned. */
static char *on_path(const char *name)
{
    clr_str_t rest = clr_str_c(getenv("PATH")), part;
    while (clr_str_split(&rest, ':', &part)) {
        char *dir = clr_xstrdup(part.n ? part : CLR_STR("."));
        char *path = clr_path_join(dir, name);
        free(dir);
        if (clr_path_is(path, S_IFREG) && access(path, X_OK) == 0)
            return path;
        free(path);
    }
    return NULL;
}

/* What was found so far; all owned. */
typedef struct choice {
    char *path;      /* of the interpreter */
    char *origin;    /* for the start line */
    const char *why; /* for errors */
} choice_t;

static int choose_option(choice_t *c, const char *option, clr_error_t *err)
{
    c->why = "--python";
    if (clr_path_is(option, S_IFDIR)) {
        c->path = python_in(option);
        if (!c->path)
            return clr_error_set(err, CLR_ENOTFOUND, "--python: there is no bin/python in %s%s",
                                 option, why_none_in(option));
    } else if (strchr(option, '/')) {
        c->path = clr_xstrdup(clr_str_c(option));
    } else {
        c->path = on_path(option);
        if (!c->path)
            return clr_error_set(err, CLR_ENOTFOUND, "--python: there is no %s on PATH", option);
    }
    c->origin = clr_xstrdup(clr_str_c(option));
    return 0;
}

/* The interpreter of a virtual environment that is to be used: a broken one is an error, not passed
 * over. */
static int choose_venv(choice_t *c, const char *dir, const char *origin, const char *why,
                       clr_error_t *err)
{
    c->why = why;
    c->path = python_in(dir);
    if (!c->path)
        return clr_error_set(
            err, CLR_ENOTFOUND,
            "the virtual environment %s has no working bin/python%s: create it again", dir,
            why_none_in(dir));
    c->origin = clr_xstrdup(clr_str_c(origin));
    return 0;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

static int choose_from_environment(choice_t *c, clr_error_t *err)
{
    const char *venv = getenv("VIRTUAL_ENV");
    if (!venv || !*venv)
        return 0;
    if (is_venv(venv))
        return choose_venv(c, venv, base_name(venv), "VIRTUAL_ENV", err);
    clr_log_warn("python", "VIRTUAL_ENV names %s, which is no virtual environment: passed over",
                 venv);
    return 0;
}

static int choose_beside_app(choice_t *c, const clr_python_query_t *q, clr_error_t *err)
{
    static const char *const names[] = {".venv", "venv"};
    const char *const dirs[] = {q->app_dir, q->work_dir};
    for (size_t i = 0; i < clr_array_len(dirs); i++) {
        for (size_t j = 0; j < clr_array_len(names); j++) {
            char *dir = clr_path_join(dirs[i], names[j]);
            int rc = is_venv(dir) ? choose_venv(c, dir, names[j], names[j], err) : 0;
            free(dir);
            if (rc < 0 || c->path)
                return rc;
        }
    }
    return 0;
}

static int choose(choice_t *c, const clr_python_query_t *q, clr_error_t *err)
{
    int rc;
    if (q->option)
        return choose_option(c, q->option, err);
    if ((rc = choose_from_environment(c, err)) < 0 || c->path)
        return rc;
    if ((rc = choose_beside_app(c, q, err)) < 0 || c->path)
        return rc;
    const char *conda = getenv("CONDA_PREFIX");
    if (conda && *conda && (c->path = python_in(conda))) {
        c->origin = clr_xstrdup(clr_str_c(base_name(conda)));
        c->why = "CONDA_PREFIX";
        return 0;
    }
    c->why = "PATH";
    c->path = on_path("python3");
    if (c->path)
        return 0;
    return clr_error_set(err, CLR_ENOTFOUND,
                         "there is no python3 on PATH: install CPython 3.11 or newer, or name one "
                         "with --python");
}

int clr_python_find(clr_python_t *out, const clr_python_query_t *query, clr_error_t *err)
{
    *out = (clr_python_t){0};
    choice_t c = {0};
    int rc = choose(&c, query, err);
    if (rc == 0) {
        char *path = clr_path_absolute(c.path);
        rc = clr_python_ask(out, path, query->mode, err);
        free(path);
        if (rc < 0 && !query->option)
            clr_error_wrap(err, "found by %s", c.why);
    }
    if (rc == 0) {
        out->why = c.why;
        out->origin = c.origin ? c.origin : clr_xstrdup(clr_str_c(out->executable));
        c.origin = NULL;
    }
    free(c.path);
    free(c.origin);
    return rc;
}

void clr_python_deinit(clr_python_t *python)
{
    free(python->executable);
    free(python->library);
    free(python->version);
    free(python->origin);
    *python = (clr_python_t){0};
}
