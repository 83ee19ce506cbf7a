/* module.c: the module _clrun: its state, types and functions. */
#include "async_method.h"
#include "loader.h"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "values.h"

static clr_state_t *state_of(PyObject *module)
{
    return PyModule_GetState(module);
}

static struct PyModuleDef module_def;

clr_state_t *clr_state_of_type(PyTypeObject *type)
{
    for (PyTypeObject *t = type; t; t = PyType_GetSlot(t, Py_tp_base)) {
        PyObject *module = PyType_GetFlags(t) & Py_TPFLAGS_HEAPTYPE ? PyType_GetModule(t) : NULL;
        if (module && PyModule_GetDef(module) == &module_def)
            return state_of(module);
        PyErr_Clear();
    }
    PyErr_SetString(PyExc_TypeError, "not a type of _clrun");
    return NULL;
}

static PyObject *import_attr(const char *module_name, const char *name)
{
    PyObject *module = PyImport_ImportModule(module_name);
    PyObject *value = module ? PyObject_GetAttrString(module, name) : NULL;
    Py_XDECREF(module);
    return value;
}

int clr_state_use_asyncio(clr_state_t *st)
{
    if (st->cancelled_error)
        return 0;
    st->task_type = import_attr("asyncio", "Task");
    st->task_cancelling =
        st->task_type ? PyObject_GetAttrString(st->task_type, "cancelling") : NULL;
    st->task_get_name = st->task_type ? PyObject_GetAttrString(st->task_type, "get_name") : NULL;
    st->enter_task = import_attr("asyncio.tasks", "_enter_task");
    st->leave_task = import_attr("asyncio.tasks", "_leave_task");
    st->copy_context = import_attr("contextvars", "copy_context");
    st->weakref_count = import_attr("_weakref", "getweakrefcount");
    if (!st->task_cancelling || !st->task_get_name || !st->enter_task || !st->leave_task ||
        !st->copy_context || !st->weakref_count)
        return -1;
    st->cancelled_error = import_attr("asyncio", "CancelledError");
    return st->cancelled_error ? 0 : -1;
}

/* ---- functions, for tests ---- */

static PyObject *json_encode(PyObject *module, PyObject *obj)
{
    clr_buf_t out = {0};
    PyObject *attachments = NULL, *result = NULL;
    if (clr_values_encode(state_of(module), &out, obj, &attachments) == 0) {
        if (!attachments)
            attachments = PyList_New(0);
        if (attachments)
            result = Py_BuildValue("(y#O)", out.p, (Py_ssize_t)out.n, attachments);
    }
    Py_XDECREF(attachments);
    clr_buf_deinit(&out);
    return result;
}

static PyObject *json_decode(PyObject *module, PyObject *args)
{
    Py_buffer text;
    PyObject *attachments = NULL;
    if (!PyArg_ParseTuple(args, "s*|O!:json_decode", &text, &PyList_Type, &attachments))
        return NULL;
    PyObject *value =
        clr_values_decode(state_of(module), clr_str(text.buf, (size_t)text.len), attachments);
    PyBuffer_Release(&text);
    return value;
}

/* ---- the module ---- */

static int intern_names(clr_state_t *st)
{
#define CLR_INTERN(name)                                                                           \
    st->n.name = PyUnicode_InternFromString(#name);                                                \
    if (!st->n.name)                                                                               \
        return -1;
    CLR_NAMES(CLR_INTERN)
#undef CLR_INTERN
    st->star = PyUnicode_InternFromString("*");
    st->slash = PyUnicode_InternFromString("/");
    st->volatile_name = PyUnicode_InternFromString("volatile");
    st->task_name = PyUnicode_InternFromString("clrun-event");
    st->separators = Py_BuildValue("{s(ss)}", "separators", ",", ":");
    return st->star && st->slash && st->volatile_name && st->task_name && st->separators ? 0 : -1;
}

/* types.CoroutineType, without importing types. */
static PyObject *find_coroutine_type(void)
{
    PyObject *globals = PyDict_New(), *type = NULL;
    if (globals && PyDict_SetItemString(globals, "__builtins__", PyEval_GetBuiltins()) == 0) {
        PyObject *code = Py_CompileString("async def f(): pass\nc = f()\nt = type(c)\nc.close()\n",
                                          "<clrun>", Py_file_input);
        PyObject *done = code ? PyEval_EvalCode(code, globals, globals) : NULL;
        type = done ? PyDict_GetItemString(globals, "t") : NULL;
        Py_XINCREF(type);
        Py_XDECREF(done);
        Py_XDECREF(code);
    }
    Py_XDECREF(globals);
    return type;
}

static int module_exec(PyObject *module)
{
    clr_state_t *st = state_of(module);
    if (intern_names(st) < 0)
        return -1;
    st->coroutine_type = find_coroutine_type();
    if (!st->coroutine_type || clr_wlink_init_type(module, st) < 0 ||
        clr_carrier_init_type(module, st) < 0 || clr_emit_init_type(module, st) < 0 ||
        clr_stream_token_init_type(module, st) < 0 || clr_server_init_type(module, st) < 0 ||
        clr_engine_init_type(module, st) < 0 || clr_async_method_init_type(module, st) < 0 ||
        clr_asgi_init_types(module, st) < 0)
        return -1;
    return 0;
}

static int module_traverse(PyObject *module, visitproc visit, void *arg)
{
    clr_state_t *st = state_of(module);
    if (!st)
        return 0;
#define CLR_VISIT(name) Py_VISIT(st->name);
    CLR_STATE_OBJECTS(CLR_VISIT)
#undef CLR_VISIT
    return 0;
}

static int module_clear(PyObject *module)
{
    clr_state_t *st = state_of(module);
    if (!st)
        return 0;
#define CLR_DROP(name) Py_CLEAR(st->name);
    CLR_STATE_OBJECTS(CLR_DROP)
#undef CLR_DROP
#define CLR_DROP_NAME(name) Py_CLEAR(st->n.name);
    CLR_NAMES(CLR_DROP_NAME)
#undef CLR_DROP_NAME
    clr_values_deinit(st);
    clr_asgi_deinit_types(st);
    return 0;
}

static void module_free(void *module)
{
    module_clear(module);
}

/* A child does not outlive the process that forked it, even if that has died before this. */
static PyObject *tie_to_parent(PyObject *module, PyObject *arg)
{
    (void)module;
    long parent = PyLong_AsLong(arg);
    if (parent == -1 && PyErr_Occurred())
        return NULL;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        raise(SIGKILL);
    Py_RETURN_NONE;
}

static PyMethodDef module_methods[] = {
    CLR_LOADER_METHODS,
    {"tie_to_parent", tie_to_parent, METH_O, "tie_to_parent(pid): die with it"},
    {"json_encode", json_encode, METH_O, "json_encode(obj) -> (bytes, attachments)"},
    {"json_decode", json_decode, METH_VARARGS, "json_decode(text, attachments=None) -> obj"},
    {0},
};

/* Interpreters refuse slots they do not know: the array is put together for the one we are in. */
static PyModuleDef_Slot module_slots[] = {
    CLR_SLOT(Py_mod_exec, module_exec),
    {0, NULL},
    {0, NULL},
    {0, NULL},
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_clrun",
    .m_doc = "The C part of clrun's worker.",
    .m_size = sizeof(clr_state_t),
    .m_methods = module_methods,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC PyInit__clrun(void);

PyMODINIT_FUNC PyInit__clrun(void)
{
    int at = 1;
    if (Py_Version >= 0x030c0000)
        module_slots[at++] = (PyModuleDef_Slot){CLR_SLOT_MULTIPLE_INTERPRETERS, NULL};
    if (Py_Version >= 0x030d0000)
        module_slots[at++] = (PyModuleDef_Slot){CLR_SLOT_GIL, NULL};
    return PyModuleDef_Init(&module_def);
}
