#include "loader.h"

#include <stdbool.h>
#include <string.h>

#include "base/assert.h"
#include "loader_owner.h"
#include "loader_target.h"

/* One load, from before the first change to its commit or rollback. */
typedef struct clr_load {
    clr_target_t target;
    clr_owner_t owner;
    bool refresh;
    PyObject *registry;  /* clrun._registry: where the app's servers register */
    PyObject *hook;      /* clrun._source.hook: how the app's source files are read */
    int begun;           /* how many of these two have begun their part of the transaction */
    PyObject *before;    /* dict: sys.modules as it was */
    PyObject *path;      /* sys.path itself … */
    PyObject *old_path;  /* … and what it held */
    PyObject *old_attrs; /* list of (package, name, module): attributes that the purge took away */
} clr_load_t;

/* Calls object.method(), ignoring what it returns. Returns 0, or -1 with an exception. */
static int call(PyObject *object, const char *method)
{
    PyObject *result = PyObject_CallMethod(object, method, NULL);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

static PyObject *modules(void)
{
    PyObject *dict = PyImport_GetModuleDict();
    CLR_ASSERT(dict != NULL && PyDict_Check(dict));
    return dict;
}

/* name: str. Returns owned ("" on one without UTF-8, which no module of ours has). */
static const char *utf8(PyObject *name)
{
    const char *text = PyUnicode_Check(name) ? PyUnicode_AsUTF8AndSize(name, NULL) : NULL;
    PyErr_Clear();
    return text ? text : "";
}

/* Splits "a.b.c" into "a.b" and "c". *parent is NULL for a name without a dot. */
static int split_name(PyObject *name, PyObject **parent, PyObject **tail)
{
    const char *text = utf8(name);
    const char *dot = strrchr(text, '.');
    *parent = dot ? PyUnicode_DecodeUTF8(text, dot - text, "strict") : NULL;
    *tail = PyUnicode_FromString(dot ? dot + 1 : text);
    return *tail == NULL || (dot != NULL && *parent == NULL) ? -1 : 0;
}

/* ---- the purge ---- */

static bool is_target(const clr_load_t *load, PyObject *name)
{
    return PyUnicode_Compare(name, load->target.name) == 0;
}

/* Does sys.modules hold, below this namespace package, a module that stays? */
static bool has_foreign_child(clr_load_t *load, PyObject *items, const char *package)
{
    size_t n = strlen(package);
    for (Py_ssize_t i = 0, count = PyList_Size(items); i < count; i++) {
        PyObject *item = PyList_GetItem(items, i);
        const char *name = utf8(PyTuple_GetItem(item, 0));
        if (strncmp(name, package, n) == 0 && name[n] == '.' &&
            clr_owner_owns_module(&load->owner, name, PyTuple_GetItem(item, 1)) == CLR_OWNED_NOT)
            return true;
    }
    return false;
}

/* Is this module to go? items: of sys.modules. A namespace package that something foreign lives in
 * stays: it has no code to renew, and a new one would have lost the attributes for its children. */
static bool is_own(clr_load_t *load, PyObject *items, PyObject *name, PyObject *module)
{
    if (!PyUnicode_Check(name))
        return false;
    if (is_target(load, name))
        return true;
    switch (clr_owner_owns_module(&load->owner, utf8(name), module)) {
    case CLR_OWNED_FILE:
        return true;
    case CLR_OWNED_NAMESPACE:
        return !has_foreign_child(load, items, utf8(name));
    case CLR_OWNED_NOT:
        break;
    }
    return false;
}

/* Takes a module off the package it is an attribute of; attrs (may be NULL) notes it. Only packages
 * that stay matter: `from package import module` would find the old one there. */
static int detach(PyObject *name, PyObject *module, PyObject *attrs)
{
    PyObject *parent_name = NULL, *tail = NULL;
    int rc = split_name(name, &parent_name, &tail);
    PyObject *parent = parent_name ? PyDict_GetItemWithError(modules(), parent_name) : NULL;
    if (rc == 0 && parent != NULL && PyModule_Check(parent)) {
        PyObject *dict = PyModule_GetDict(parent);
        if (PyDict_GetItemWithError(dict, tail) == module) {
            PyObject *note = attrs ? PyTuple_Pack(3, parent, tail, module) : NULL;
            if (attrs != NULL)
                rc = note ? PyList_Append(attrs, note) : -1;
            Py_XDECREF(note);
            if (rc == 0)
                rc = PyDict_DelItem(dict, tail);
        }
    }
    Py_XDECREF(parent_name);
    Py_XDECREF(tail);
    return PyErr_Occurred() ? -1 : rc;
}

/* Takes the app's own modules out of sys.modules, but for those that are as `spare` (a dict like
 * sys.modules, or NULL) has them. Who stays is settled before anything goes: the path of a
 * nested namespace package can be told only while its parent is there. */
static int purge(clr_load_t *load, PyObject *spare, PyObject *attrs)
{
    PyObject *items = PyDict_Items(modules());
    PyObject *gone = items ? PyList_New(0) : NULL;
    int rc = gone ? 0 : -1;
    for (Py_ssize_t i = 0; rc == 0 && i < PyList_Size(items); i++) {
        PyObject *item = PyList_GetItem(items, i);
        PyObject *name = PyTuple_GetItem(item, 0), *module = PyTuple_GetItem(item, 1);
        if (spare != NULL && PyDict_GetItemWithError(spare, name) == module)
            continue;
        if (is_own(load, items, name, module))
            rc = PyList_Append(gone, item);
    }
    for (Py_ssize_t i = 0; rc == 0 && i < PyList_Size(gone); i++)
        rc = PyDict_DelItem(modules(), PyTuple_GetItem(PyList_GetItem(gone, i), 0));
    for (Py_ssize_t i = 0; rc == 0 && i < PyList_Size(gone); i++) {
        PyObject *item = PyList_GetItem(gone, i);
        rc = detach(PyTuple_GetItem(item, 0), PyTuple_GetItem(item, 1), attrs);
    }
    Py_XDECREF(items);
    Py_XDECREF(gone);
    return rc;
}

/* ---- the transaction ---- */

/* What imports and tracebacks remember of files that have changed. */
static int drop_caches(bool refresh)
{
    PyObject *importlib = PyImport_ImportModule("importlib");
    int rc = importlib ? call(importlib, "invalidate_caches") : -1;
    Py_XDECREF(importlib);
    PyObject *linecache = PyDict_GetItemString(modules(), "linecache"); /* borrowed */
    if (rc == 0 && refresh && linecache != NULL)
        rc = call(linecache, "checkcache");
    return rc;
}

/* The app's directory goes first on sys.path, and on a refresh in the place of the one before. */
static int enter_path(clr_load_t *load)
{
    PyObject *old = PyObject_GetAttrString(load->hook, "old_root");
    if (old == NULL)
        return -1;
    int rc = load->refresh ? PySequence_Contains(load->path, old) : 0;
    if (rc > 0)
        rc = PySequence_DelItem(load->path, PySequence_Index(load->path, old));
    Py_DECREF(old);
    if (rc < 0)
        return -1;
    PyObject *first = PyList_Size(load->path) > 0 ? PyList_GetItem(load->path, 0) : NULL;
    if (first != NULL && PyUnicode_Check(first) && PyUnicode_Compare(first, load->target.root) == 0)
        return 0;
    return PyList_Insert(load->path, 0, load->target.root);
}

/* Tells the registry and the import hook; whom it told, rollback() tells as well. */
static int announce(clr_load_t *load, PyObject *venv)
{
    if (call(load->registry, "begin") < 0)
        return -1;
    load->begun++;
    PyObject *told = PyObject_CallMethod(load->hook, "begin", "OOO", load->target.root, venv,
                                         load->refresh ? Py_True : Py_False);
    Py_XDECREF(told);
    load->begun += told != NULL;
    return told ? 0 : -1;
}

static PyObject *import_attr(const char *module, const char *name)
{
    PyObject *m = PyImport_ImportModule(module);
    PyObject *attr = m ? PyObject_GetAttrString(m, name) : NULL;
    Py_XDECREF(m);
    return attr;
}

static int begin(clr_load_t *load, PyObject *venv)
{
    CLR_ASSERT(load->target.name != NULL && load->target.root != NULL);
    load->registry = PyImport_ImportModule("clrun._registry");
    load->hook = load->registry ? import_attr("clrun._source", "hook") : NULL;
    load->path = Py_XNewRef(PySys_GetObject("path"));
    if (load->hook == NULL)
        return -1;
    if (load->path == NULL || !PyList_Check(load->path)) {
        PyErr_SetString(PyExc_RuntimeError, "sys.path is not a list");
        return -1;
    }
    load->old_path = PyList_GetSlice(load->path, 0, PyList_Size(load->path));
    load->before = PyDict_Copy(modules());
    load->old_attrs = PyList_New(0);
    if (load->old_path == NULL || load->before == NULL || load->old_attrs == NULL ||
        announce(load, venv) < 0)
        return -1;
    PyObject *roots = PyObject_GetAttrString(load->hook, "roots");
    int rc = roots ? clr_owner_init(&load->owner, roots, venv) : -1;
    Py_XDECREF(roots);
    if (rc == 0 && load->refresh)
        rc = purge(load, NULL, load->old_attrs);
    if (rc == 0)
        rc = enter_path(load);
    return rc == 0 ? drop_caches(load->refresh) : -1;
}

static int commit(clr_load_t *load)
{
    CLR_ASSERT(load->begun == 2);
    if (call(load->registry, "commit") < 0)
        return -1;
    return call(load->hook, "commit");
}

static void restore_modules(clr_load_t *load)
{
    if (purge(load, load->before, NULL) < 0)
        PyErr_WriteUnraisable(NULL);
    PyObject *name, *module;
    Py_ssize_t at = 0;
    while (PyDict_Next(load->before, &at, &name, &module)) {
        if (PyDict_Contains(modules(), name) == 0 && PyDict_SetItem(modules(), name, module) < 0)
            PyErr_WriteUnraisable(name);
    }
    for (Py_ssize_t i = 0; i < PyList_Size(load->old_attrs); i++) {
        PyObject *note = PyList_GetItem(load->old_attrs, i);
        if (PyObject_SetAttr(PyTuple_GetItem(note, 0), PyTuple_GetItem(note, 1),
                             PyTuple_GetItem(note, 2)) < 0)
            PyErr_WriteUnraisable(note);
    }
}

static void restore_path(clr_load_t *load)
{
    if (PyList_SetSlice(load->path, 0, PyList_Size(load->path), load->old_path) < 0 ||
        PySys_SetObject("path", load->path) < 0)
        PyErr_WriteUnraisable(load->path);
}

/* Called with the exception that ended the load set, and leaves it set. */
static void rollback(clr_load_t *load)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    CLR_ASSERT(type != NULL);
    if (load->owner.roots_ != NULL)
        restore_modules(load);
    if (load->old_path != NULL)
        restore_path(load);
    if (load->begun > 1 && call(load->hook, "rollback") < 0)
        PyErr_WriteUnraisable(load->hook);
    if (load->begun > 0 && call(load->registry, "rollback") < 0)
        PyErr_WriteUnraisable(load->registry);
    PyErr_Restore(type, value, traceback);
}

/* ---- find and execute ---- */

/* A module of that name is there already and is not the app's: `queue.py` would take the place of
 * the standard library's queue for everybody. */
static int refuse_shadowing(clr_load_t *load)
{
    PyObject *other = PyDict_GetItemWithError(modules(), load->target.name);
    if (other == NULL || PyDict_GetItemWithError(load->before, load->target.name) != other)
        return PyErr_Occurred() ? -1 : 0;
    if (clr_owner_owns_module(&load->owner, utf8(load->target.name), other) != CLR_OWNED_NOT)
        return 0;
    PyErr_Format(PyExc_ImportError, "%U would hide the module %R; please give it another name",
                 load->target.text, other);
    return -1;
}

/* A file in a package needs its packages first, and they must be those around the file. */
static int import_parent(clr_load_t *load, PyObject *parent_name)
{
    PyObject *parent = PyImport_Import(parent_name);
    Py_XDECREF(parent); /* of a dotted name this is the outermost package */
    if (parent == NULL)
        return -1;
    parent = PyDict_GetItemWithError(modules(), parent_name); /* borrowed */
    if (parent == NULL)
        return PyErr_Occurred() ? -1 : 0;
    if (clr_owner_owns_module(&load->owner, utf8(parent_name), parent) != CLR_OWNED_NOT)
        return 0;
    PyErr_Format(PyExc_ImportError,
                 "%U lies in a package %R, but that name belongs to %R; please rename the package",
                 load->target.text, parent_name, parent);
    return -1;
}

/* Returns owned: the spec of a target given as a path. */
static PyObject *spec_of_file(clr_load_t *load)
{
    PyObject *parent = NULL, *tail = NULL;
    int rc = split_name(load->target.name, &parent, &tail);
    if (rc == 0 && parent != NULL)
        rc = import_parent(load, parent);
    else if (rc == 0)
        rc = refuse_shadowing(load);
    Py_XDECREF(parent);
    Py_XDECREF(tail);
    if (rc < 0)
        return NULL;
    return PyObject_CallMethod(load->hook, "spec", "OO", load->target.name, load->target.file);
}

/* Is the pending exception "no module named" for the target or a package it lies in? Then the app
 * is not there, and otherwise a module that the app imports. */
static bool target_is_missing(clr_load_t *load)
{
    if (!PyErr_ExceptionMatches(PyExc_ModuleNotFoundError))
        return false;
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    PyObject *name = PyObject_GetAttrString(value, "name");
    PyErr_Clear();
    const char *target = utf8(load->target.name), *missing = name ? utf8(name) : "";
    size_t n = strlen(missing);
    bool is = n > 0 && strncmp(target, missing, n) == 0 && (target[n] == '.' || target[n] == '\0');
    Py_XDECREF(name);
    PyErr_Restore(type, value, traceback);
    return is;
}

static PyObject *not_found(clr_load_t *load)
{
    PyErr_Clear();
    clr_target_not_found("cannot load %U: no module of that name in %U or the environment",
                         load->target.text, load->target.root);
    return NULL;
}

/* Returns owned: the spec of a dotted target, found as an import would. */
static PyObject *spec_of_name(clr_load_t *load)
{
    PyObject *find = import_attr("importlib.util", "find_spec");
    if (find == NULL)
        return NULL;
    PyObject *spec = PyObject_CallFunctionObjArgs(find, load->target.name, NULL);
    Py_DECREF(find);
    if (spec == NULL)
        return target_is_missing(load) ? not_found(load) : NULL;
    PyObject *located = PyObject_GetAttrString(spec, "has_location");
    int found = located ? PyObject_IsTrue(located) : 0;
    Py_XDECREF(located);
    PyErr_Clear(); /* None has no such attribute */
    if (found > 0)
        return spec;
    Py_DECREF(spec);
    return not_found(load);
}

/* A dotted target may have been found elsewhere than in the working directory (an editable
 * install): the directory it was found in is the app's as well. */
static int adopt_root(clr_load_t *load, PyObject *spec)
{
    PyObject *root = PyObject_CallMethod(load->hook, "adopt", "O", spec);
    int rc = root ? clr_owner_add(&load->owner, root) : -1;
    Py_XDECREF(root);
    return rc;
}

/* spec._initializing makes the import system say "partially initialized module" of a circular
 * import. */
static void set_initializing(PyObject *spec, PyObject *value)
{
    PyObject *type, *old, *traceback;
    PyErr_Fetch(&type, &old, &traceback);
    if (PyObject_SetAttrString(spec, "_initializing", value) < 0)
        PyErr_Clear();
    PyErr_Restore(type, old, traceback);
}

/* Returns owned: the executed module, which may have put something else in its place. */
static PyObject *execute(clr_load_t *load, PyObject *spec)
{
    PyObject *create = import_attr("importlib.util", "module_from_spec");
    PyObject *module = create ? PyObject_CallFunctionObjArgs(create, spec, NULL) : NULL;
    PyObject *loader = module ? PyObject_GetAttrString(spec, "loader") : NULL;
    PyObject *done = NULL;
    if (loader != NULL && PyDict_SetItem(modules(), load->target.name, module) == 0) {
        set_initializing(spec, Py_True);
        done = PyObject_CallMethod(loader, "exec_module", "O", module);
        set_initializing(spec, Py_False);
    }
    PyObject *result = NULL;
    if (done != NULL) {
        PyObject *now = PyDict_GetItemWithError(modules(), load->target.name);
        result = Py_NewRef(now ? now : module);
    }
    Py_XDECREF(create);
    Py_XDECREF(module);
    Py_XDECREF(loader);
    Py_XDECREF(done);
    return result;
}

/* As an import does: the module becomes an attribute of its package. */
static int attach(clr_load_t *load, PyObject *module)
{
    PyObject *parent_name = NULL, *tail = NULL;
    int rc = split_name(load->target.name, &parent_name, &tail);
    PyObject *parent = parent_name ? PyDict_GetItemWithError(modules(), parent_name) : NULL;
    if (rc == 0 && parent != NULL)
        rc = PyObject_SetAttr(parent, tail, module);
    Py_XDECREF(parent_name);
    Py_XDECREF(tail);
    return PyErr_Occurred() ? -1 : rc;
}

static PyObject *load_target(clr_load_t *load)
{
    PyObject *spec = load->target.file ? spec_of_file(load) : spec_of_name(load);
    int rc = spec ? adopt_root(load, spec) : -1;
    PyObject *module = rc == 0 ? execute(load, spec) : NULL;
    Py_XDECREF(spec);
    if (module != NULL && (attach(load, module) < 0 || commit(load) < 0))
        Py_CLEAR(module);
    return module;
}

static void deinit(clr_load_t *load)
{
    clr_target_deinit(&load->target);
    clr_owner_deinit(&load->owner);
    Py_CLEAR(load->registry);
    Py_CLEAR(load->hook);
    Py_CLEAR(load->before);
    Py_CLEAR(load->path);
    Py_CLEAR(load->old_path);
    Py_CLEAR(load->old_attrs);
}

PyObject *clr_loader_load_module(PyObject *self, PyObject *args, PyObject *kwargs)
{
    (void)self;
    static char *names[] = {"target", "refresh", "venv", NULL};
    PyObject *text = NULL, *venv = Py_None;
    int refresh = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O&|$pO:load_module", names, PyUnicode_FSDecoder,
                                     (void *)&text, &refresh, &venv))
        return NULL;
    clr_load_t load = {.refresh = refresh != 0};
    PyObject *module = NULL;
    if (clr_target_resolve(&load.target, text) == 0) {
        module = begin(&load, venv) == 0 ? load_target(&load) : NULL;
        if (module == NULL)
            rollback(&load);
    }
    deinit(&load);
    Py_DECREF(text);
    return module;
}

PyObject *clr_loader_owns_path(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *path = NULL, *roots, *venv;
    if (!PyArg_ParseTuple(args, "O&OO:_owns_path", PyUnicode_FSConverter, (void *)&path, &roots,
                          &venv))
        return NULL;
    clr_owner_t owner;
    PyObject *result = NULL;
    if (clr_owner_init(&owner, roots, venv) == 0)
        result = PyBool_FromLong(clr_owner_owns_path(&owner, PyBytes_AsString(path)));
    clr_owner_deinit(&owner);
    Py_DECREF(path);
    return result;
}
