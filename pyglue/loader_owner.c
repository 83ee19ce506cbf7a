#include "loader_owner.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"

/* Both names a distribution installs third-party packages under. */
static const char *const site_names[] = {"site-packages", "dist-packages"};

static bool is_inside(const char *path, const char *dir)
{
    size_t n = strlen(dir);
    CLR_ASSERT(n > 0);
    if (n == 1)
        return path[0] == '/';
    return strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

static bool has_component(const char *path, const char *name)
{
    size_t n = strlen(name);
    for (const char *at = strstr(path, name); at != NULL; at = strstr(at + 1, name)) {
        if ((at == path || at[-1] == '/') && (at[n] == '/' || at[n] == '\0'))
            return true;
    }
    return false;
}

/* Returns owned: the path as bytes with links resolved (as it is when it does not exist). */
static PyObject *real_bytes(PyObject *path)
{
    PyObject *bytes = NULL;
    if (!PyUnicode_FSConverter(path, (void *)&bytes))
        return NULL;
    char real[PATH_MAX];
    if (realpath(PyBytes_AsString(bytes), real) == NULL)
        return bytes;
    Py_DECREF(bytes);
    return PyBytes_FromString(real);
}

/* The directory of `os`, which is the standard library's. NULL without an exception if unknown. */
static PyObject *standard_library(void)
{
    PyObject *os = PyImport_ImportModule("os");
    PyObject *file = os ? PyObject_GetAttrString(os, "__file__") : NULL;
    PyObject *bytes = file ? real_bytes(file) : NULL;
    Py_XDECREF(os);
    Py_XDECREF(file);
    PyObject *dir = NULL;
    if (bytes != NULL) {
        const char *path = PyBytes_AsString(bytes);
        const char *slash = strrchr(path, '/');
        if (slash != NULL && slash != path)
            dir = PyBytes_FromStringAndSize(path, slash - path);
        Py_DECREF(bytes);
    }
    PyErr_Clear();
    return dir;
}

int clr_owner_init(clr_owner_t *owner, PyObject *roots, PyObject *venv)
{
    *owner = (clr_owner_t){0};
    owner->roots_ = PyList_New(0);
    if (owner->roots_ == NULL)
        return -1;
    Py_ssize_t count = PySequence_Size(roots);
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *root = PySequence_GetItem(roots, i);
        int rc = root ? clr_owner_add(owner, root) : -1;
        Py_XDECREF(root);
        if (rc < 0)
            return -1;
    }
    if (count < 0)
        return -1;
    if (venv != NULL && venv != Py_None && (owner->venv_ = real_bytes(venv)) == NULL)
        return -1;
    PyObject *prefix = PySys_GetObject("prefix"); /* borrowed */
    if (prefix != NULL && PyUnicode_Check(prefix) && (owner->prefix_ = real_bytes(prefix)) == NULL)
        return -1;
    owner->stdlib_ = standard_library();
    return 0;
}

void clr_owner_deinit(clr_owner_t *owner)
{
    Py_CLEAR(owner->roots_);
    Py_CLEAR(owner->venv_);
    Py_CLEAR(owner->prefix_);
    Py_CLEAR(owner->stdlib_);
}

int clr_owner_add(clr_owner_t *owner, PyObject *root)
{
    PyObject *bytes = real_bytes(root);
    if (bytes == NULL)
        return -1;
    int rc = PySequence_Contains(owner->roots_, bytes);
    if (rc == 0)
        rc = PyList_Append(owner->roots_, bytes);
    Py_DECREF(bytes);
    owner->last_root_ = NULL;
    return rc < 0 ? -1 : 0;
}

/* Is there a virtual environment between root (not included) and the file? */
static bool in_environment(clr_owner_t *owner, const char *path, const char *root)
{
    char dir[PATH_MAX + sizeof "/pyvenv.cfg"];
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 0;
    if (n >= PATH_MAX)
        return false;
    memcpy(dir, path, n);
    dir[n] = '\0';
    if (root == owner->last_root_ && strcmp(dir, owner->last_dir_) == 0)
        return owner->last_found_;
    memcpy(owner->last_dir_, dir, n + 1);
    owner->last_root_ = root;
    owner->last_found_ = false;
    while (n > strlen(root) && !owner->last_found_) {
        memcpy(dir + n, "/pyvenv.cfg", sizeof "/pyvenv.cfg");
        owner->last_found_ = access(dir, F_OK) == 0;
        while (n > 0 && dir[n - 1] != '/')
            n--;
        n -= n > 0; /* drop the slash as well */
    }
    return owner->last_found_;
}

/* An environment counts only when the app is not itself inside it: /usr is a prefix of
 * /usr/src/app. */
static bool in_prefix(PyObject *prefix, const char *path, const char *root)
{
    if (prefix == NULL)
        return false;
    const char *dir = PyBytes_AsString(prefix);
    return dir[0] != '\0' && is_inside(path, dir) && !is_inside(root, dir);
}

static bool in_stdlib(const clr_owner_t *owner, const char *path)
{
    return owner->stdlib_ != NULL && is_inside(path, PyBytes_AsString(owner->stdlib_));
}

typedef enum { OUTSIDE, FOREIGN, OWN } place_t;

/* Where one spelling of a path lies: outside of the app's directories, inside but not the app's, or
 * its own. */
static place_t place_of(clr_owner_t *owner, const char *path)
{
    for (size_t i = 0; i < sizeof site_names / sizeof site_names[0]; i++) {
        if (has_component(path, site_names[i]))
            return FOREIGN;
    }
    if (in_stdlib(owner, path))
        return FOREIGN;
    place_t place = OUTSIDE;
    for (Py_ssize_t i = 0, n = PyList_Size(owner->roots_); i < n; i++) {
        const char *root = PyBytes_AsString(PyList_GetItem(owner->roots_, i));
        if (root[0] != '/' || !is_inside(path, root))
            continue;
        if (!in_prefix(owner->venv_, path, root) && !in_prefix(owner->prefix_, path, root) &&
            !in_environment(owner, path, root))
            return OWN;
        place = FOREIGN;
    }
    return place;
}

bool clr_owner_owns_path(clr_owner_t *owner, const char *path)
{
    if (in_stdlib(owner, path)) /* most modules: spare them the system calls */
        return false;
    char real[PATH_MAX];
    if (realpath(path, real) == NULL)
        return path[0] == '/' && place_of(owner, path) == OWN;
    /* The file itself decides. A link that leads out of the app's directory is the app's as well.
     */
    place_t place = place_of(owner, real);
    if (place == OUTSIDE && path[0] == '/')
        place = place_of(owner, path);
    return place == OWN;
}

/* As clr_owner_owns_path() for a str. */
static bool owns_object(clr_owner_t *owner, PyObject *path)
{
    PyObject *bytes = PyUnicode_Check(path) ? PyUnicode_EncodeFSDefault(path) : NULL;
    bool owns = bytes != NULL && clr_owner_owns_path(owner, PyBytes_AsString(bytes));
    Py_XDECREF(bytes);
    PyErr_Clear();
    return owns;
}

/* Returns owned, or NULL without an exception. Reads a module's dict, so that a lazy module stays
 * so. */
static PyObject *module_attribute(PyObject *module, const char *name)
{
    PyObject *value;
    if (PyModule_Check(module)) {
        PyObject *dict = PyModule_GetDict(module);
        value = Py_XNewRef(dict ? PyDict_GetItemString(dict, name) : NULL);
    } else {
        value = PyObject_GetAttrString(module, name);
    }
    PyErr_Clear();
    return value;
}

static bool owns_namespace(clr_owner_t *owner, PyObject *module)
{
    PyObject *path = module_attribute(module, "__path__");
    PyObject *list = path ? PySequence_List(path) : NULL;
    PyErr_Clear();
    Py_ssize_t count = list ? PyList_Size(list) : 0;
    bool owns = count > 0;
    for (Py_ssize_t i = 0; i < count && owns; i++)
        owns = owns_object(owner, PyList_GetItem(list, i));
    Py_XDECREF(path);
    Py_XDECREF(list);
    return owns;
}

static bool is_extension(PyObject *file)
{
    Py_ssize_t n = 0;
    const char *text = PyUnicode_Check(file) ? PyUnicode_AsUTF8AndSize(file, &n) : NULL;
    PyErr_Clear();
    return text != NULL && n > 3 && strcmp(text + n - 3, ".so") == 0;
}

clr_owned_t clr_owner_owns_module(clr_owner_t *owner, const char *name, PyObject *module)
{
    if (strcmp(name, "__main__") == 0 || strcmp(name, "_clrun") == 0 ||
        strcmp(name, "clrun") == 0 || strncmp(name, "clrun.", 6) == 0)
        return CLR_OWNED_NOT;
    PyObject *file = module_attribute(module, "__file__");
    if (file == NULL || file == Py_None) {
        Py_XDECREF(file);
        return owns_namespace(owner, module) ? CLR_OWNED_NAMESPACE : CLR_OWNED_NOT;
    }
    bool owns = !is_extension(file) && owns_object(owner, file);
    Py_DECREF(file);
    return owns ? CLR_OWNED_FILE : CLR_OWNED_NOT;
}
