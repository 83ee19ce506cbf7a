#include "loader_target.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"

/* A module's name never outgrows the path it comes from by more than a few underscores. */
#define NAME_SIZE (PATH_MAX + 16)

int clr_target_not_found(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    PyObject *text = PyUnicode_FromFormatV(format, args);
    va_end(args);
    PyObject *module = text ? PyImport_ImportModule("clrun.exceptions") : NULL;
    PyObject *type = module ? PyObject_GetAttrString(module, "AppNotFoundError") : NULL;
    if (type != NULL)
        PyErr_SetObject(type, text);
    Py_XDECREF(text);
    Py_XDECREF(module);
    Py_XDECREF(type);
    return -1;
}

static bool is_identifier(const char *text, size_t size)
{
    PyObject *str = PyUnicode_DecodeUTF8(text, (Py_ssize_t)size, "strict");
    bool yes = str != NULL && PyUnicode_IsIdentifier(str) == 1;
    Py_XDECREF(str);
    PyErr_Clear();
    return yes;
}

static bool exists(const char *dir, const char *name, const char *suffix)
{
    char path[PATH_MAX + NAME_SIZE + 16];
    int n = PyOS_snprintf(path, sizeof path, "%s/%s%s", dir, name, suffix);
    return n > 0 && (size_t)n < sizeof path && access(path, F_OK) == 0;
}

/* Makes an identifier of a file's name ("my-app" becomes "my_app") that hides no other module of
 * dir. */
static void sanitise(char name[NAME_SIZE], const char *base, const char *dir)
{
    size_t n = 0;
    if (base[0] >= '0' && base[0] <= '9')
        name[n++] = '_';
    for (const char *c = base; *c != '\0' && n < NAME_SIZE - 8; c++) {
        bool plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || *c == '_' ||
                     (*c >= '0' && *c <= '9') || (unsigned char)*c >= 0x80;
        name[n++] = plain ? *c : '_';
    }
    name[n] = '\0';
    if (!is_identifier(name, n))
        n = (size_t)PyOS_snprintf(name, NAME_SIZE, "app");
    if (strcmp(name, base) == 0 && strcmp(name, "__main__") != 0)
        return;
    /* Four tries are plenty; a fifth twin would only be hidden, as any module of that name is. */
    for (int i = 0; i < 4 && (exists(dir, name, "") || exists(dir, name, ".py") ||
                              strcmp(name, "__main__") == 0);
         i++)
        memcpy(name + n++, "_", 2);
}

/* Cuts the last component off dir and returns it, or NULL at the top. */
static char *pop_component(char *dir)
{
    char *slash = strrchr(dir, '/');
    if (slash == NULL || slash[1] == '\0')
        return NULL;
    *slash = '\0';
    return slash + 1;
}

/* Puts "package." before the name for each package that dir lies in, innermost first; dir ends up
 * as the directory that holds the outermost. */
static int climb(char dir[PATH_MAX], PyObject **name)
{
    while (exists(dir, "__init__", ".py")) {
        const char *slash = strrchr(dir, '/');
        if (slash == NULL || !is_identifier(slash + 1, strlen(slash + 1)))
            return 0;
        PyObject *longer = PyUnicode_FromFormat("%s.%U", slash + 1, *name);
        if (longer == NULL)
            return -1;
        Py_DECREF(*name);
        *name = longer;
        (void)pop_component(dir);
    }
    return 0;
}

/* file: absolute, links resolved. */
static int name_file(clr_target_t *target, char file[PATH_MAX])
{
    char dir[PATH_MAX];
    memcpy(dir, file, strlen(file) + 1);
    char *base = pop_component(dir);
    CLR_ASSERT(base != NULL);
    char stem[PATH_MAX];
    memcpy(stem, base, strlen(base) + 1);
    size_t n = strlen(stem);
    if (n > 3 && strcmp(stem + n - 3, ".py") == 0)
        stem[n - 3] = '\0';
    if (strcmp(stem, "__init__") == 0 && (base = pop_component(dir)) != NULL)
        memcpy(stem, base, strlen(base) + 1);
    char name[NAME_SIZE];
    sanitise(name, stem, dir[0] ? dir : "/");
    target->name = PyUnicode_FromString(name);
    if (target->name == NULL || climb(dir, &target->name) < 0)
        return -1;
    target->file = PyUnicode_DecodeFSDefault(file);
    target->root = PyUnicode_DecodeFSDefault(dir[0] ? dir : "/");
    return target->file && target->root ? 0 : -1;
}

static int resolve_path(clr_target_t *target, const char *path)
{
    char file[PATH_MAX];
    struct stat st;
    if (realpath(path, file) == NULL || stat(file, &st) < 0)
        return clr_target_not_found("cannot load %U: %s", target->text, strerror(errno));
    if (S_ISDIR(st.st_mode))
        return clr_target_not_found("cannot load %U: it is a directory; name the file in it, "
                                    "such as app.py",
                                    target->text);
    if (access(file, R_OK) < 0)
        return clr_target_not_found("cannot load %U: %s", target->text, strerror(errno));
    return name_file(target, file);
}

static bool is_dotted_name(PyObject *text)
{
    Py_ssize_t size = 0;
    const char *at = PyUnicode_AsUTF8AndSize(text, &size);
    PyErr_Clear();
    while (at != NULL && *at != '\0') {
        const char *dot = strchr(at, '.');
        size_t n = dot ? (size_t)(dot - at) : strlen(at);
        if (!is_identifier(at, n) || (dot != NULL && dot[1] == '\0'))
            return false;
        if (dot == NULL)
            return true;
        at = dot + 1;
    }
    return false;
}

static int resolve_name(clr_target_t *target)
{
    if (!is_dotted_name(target->text))
        return clr_target_not_found("cannot load %R: neither a .py file nor a module's name",
                                    target->text);
    char cwd[PATH_MAX];
    if (getcwd(cwd, sizeof cwd) == NULL)
        return clr_target_not_found("cannot load %U: %s", target->text, strerror(errno));
    target->name = Py_NewRef(target->text);
    target->root = PyUnicode_DecodeFSDefault(cwd);
    return target->root ? 0 : -1;
}

int clr_target_resolve(clr_target_t *target, PyObject *text)
{
    *target = (clr_target_t){.text = Py_NewRef(text)};
    PyObject *bytes = NULL;
    if (!PyUnicode_FSConverter(text, (void *)&bytes))
        return -1;
    const char *path = PyBytes_AsString(bytes);
    size_t n = strlen(path);
    bool is_path = strchr(path, '/') != NULL || (n >= 3 && strcmp(path + n - 3, ".py") == 0);
    int rc = is_path ? resolve_path(target, path) : resolve_name(target);
    Py_DECREF(bytes);
    return rc;
}

void clr_target_deinit(clr_target_t *target)
{
    Py_CLEAR(target->text);
    Py_CLEAR(target->name);
    Py_CLEAR(target->file);
    Py_CLEAR(target->root);
}
