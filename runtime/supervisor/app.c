/* app.c: from the APP of the command line to a file or a module. */
#include "supervisor/app.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "supervisor/path.h"

static bool is_name_byte(unsigned char c, bool first)
{
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80;
    return letter || (!first && c >= '0' && c <= '9');
}

/* "a.b_1.c": Python identifiers between dots. */
static bool is_dotted_name(clr_str_t s)
{
    clr_str_t part;
    while (clr_str_split(&s, '.', &part)) {
        if (part.n == 0)
            return false;
        for (size_t i = 0; i < part.n; i++) {
            if (!is_name_byte((unsigned char)part.p[i], i == 0))
                return false;
        }
    }
    return true;
}

static bool ends_with(const char *s, const char *tail)
{
    size_t n = strlen(s), t = strlen(tail);
    return n >= t && memcmp(s + n - t, tail, t) == 0;
}

/* Cuts ":name" off, unless the whole is a file's name. */
static int split_attr(clr_app_t *out, const char *spec, const char *base, clr_error_t *err)
{
    char *whole = clr_path_join(base, spec);
    bool is_path = clr_path_is(whole, S_IFREG);
    free(whole);
    const char *colon = is_path ? NULL : strrchr(spec, ':');
    if (!colon) {
        out->target = clr_xstrdup(clr_str_c(spec));
        return 0;
    }
    if (!is_dotted_name(clr_str_c(colon + 1)))
        return clr_error_set(err, CLR_EINVAL, "%s: what follows the colon is not a name", spec);
    out->target = clr_xstrdup(clr_str(spec, (size_t)(colon - spec)));
    out->attr = clr_xstrdup(clr_str_c(colon + 1));
    return 0;
}

static char *dir_of(const char *file)
{
    const char *slash = strrchr(file, '/');
    if (!slash)
        return clr_xstrdup(CLR_STR("."));
    return clr_xstrdup(clr_str(file, slash == file ? 1 : (size_t)(slash - file)));
}

/* Appends a file's name to the error if it may be what was meant. */
static int suggest(clr_error_t *err, const char *base, const char *target, const char *tail)
{
    char name[512];
    snprintf(name, sizeof(name), "%s%s", target, tail);
    char *path = clr_path_join(base, name);
    size_t n = strlen(err->text);
    if (clr_path_is(path, S_IFREG))
        snprintf(err->text + n, sizeof(err->text) - n, "; did you mean %s?", name);
    free(path);
    return err->code;
}

static int resolve_file(clr_app_t *out, const char *base, clr_error_t *err)
{
    struct stat st;
    out->file = clr_path_join(base, out->target);
    out->dir = dir_of(out->file);
    if (stat(out->file, &st) != 0)
        return clr_error_set(err, -errno, "cannot read %s: %s", out->file, strerror(errno));
    if (S_ISDIR(st.st_mode)) {
        clr_error_set(err, CLR_EINVAL, "%s is a directory, not an app", out->file);
        return suggest(err, base, out->target, ends_with(out->target, "/") ? "app.py" : "/app.py");
    }
    if (!ends_with(out->target, ".py"))
        return clr_error_set(err, CLR_EINVAL, "%s is not a Python file (.py)", out->file);
    if (access(out->file, R_OK) != 0)
        return clr_error_set(err, -errno, "cannot read %s: %s", out->file, strerror(errno));
    return 0;
}

/* base/a/b.py or base/a/b/__init__.py, when there is one. */
static int resolve_module(clr_app_t *out, const char *base)
{
    static const char *const tails[] = {".py", "/__init__.py"};
    for (size_t i = 0; i < clr_array_len(tails); i++) {
        char name[512];
        if (snprintf(name, sizeof(name), "%s%s", out->target, tails[i]) >= (int)sizeof(name))
            break;
        size_t target_len = strlen(out->target);
        for (size_t j = 0; j < target_len; j++) {
            if (name[j] == '.')
                name[j] = '/';
        }
        char *path = clr_path_join(base, name);
        if (clr_path_is(path, S_IFREG)) {
            out->file = path;
            out->dir = dir_of(path);
            return 0;
        }
        free(path);
    }
    out->dir = clr_xstrdup(clr_str_c(base));
    return 0;
}

int clr_app_resolve(clr_app_t *out, const char *spec, const char *work_dir, clr_error_t *err)
{
    *out = (clr_app_t){0};
    const char *base = work_dir ? work_dir : ".";
    if (work_dir && !clr_path_is(work_dir, S_IFDIR))
        return clr_error_set(err, CLR_EINVAL, "--app-dir: %s is not a directory", work_dir);
    if (work_dir)
        out->work_dir = clr_xstrdup(clr_str_c(work_dir));
    int rc = split_attr(out, spec, base, err);
    if (rc < 0)
        return rc;
    if (ends_with(out->target, ".py") || strchr(out->target, '/'))
        return resolve_file(out, base, err);
    if (is_dotted_name(clr_str_c(out->target))) {
        char *path = clr_path_join(base, out->target);
        bool is_app_dir = clr_path_is(path, S_IFDIR);
        free(path);
        rc = resolve_module(out, base);
        if (out->file || !is_app_dir)
            return rc;
        clr_error_set(err, CLR_EINVAL, "%s is a directory, not an app", out->target);
        return suggest(err, base, out->target, "/app.py");
    }
    clr_error_set(err, CLR_EINVAL, "%s is neither a Python file (.py) nor a module", out->target);
    return suggest(err, base, out->target, ".py");
}

void clr_app_deinit(clr_app_t *app)
{
    free(app->target);
    free(app->attr);
    free(app->file);
    free(app->dir);
    free(app->work_dir);
    *app = (clr_app_t){0};
}

char *clr_app_public_dir(const clr_app_t *app)
{
    const char *const bases[] = {app->dir, app->work_dir ? app->work_dir : "."};
    for (size_t i = 0; i < clr_array_len(bases); i++) {
        /* The current directory is the app's only for a module, whose file may lie deeper. */
        if (i > 0 && ends_with(app->target, ".py"))
            break;
        char *path = clr_path_join(bases[i], "public");
        if (clr_path_is(path, S_IFDIR))
            return path;
        free(path);
    }
    return NULL;
}
