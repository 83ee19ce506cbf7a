/* watchdog_stack.c: see watchdog_stack.h. */
#include "watchdog_stack.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#define DUMP_MAX   (4u << 20) /* bytes of faulthandler's text that are looked at */
#define FRAMES_MAX 128

void clr_blocked_at_clear(clr_blocked_at_t *at)
{
    clr_buf_deinit(&at->handler);
    clr_buf_deinit(&at->place);
    clr_buf_deinit(&at->stack);
}

/* ---- the text ---- */

typedef struct frame {
    clr_str_t file;
    clr_str_t line;
    clr_str_t function;
    clr_str_t source; /* what stands in that line, or empty */
} frame_t;

static bool has(clr_str_t text, const char *part)
{
    return text.n > 0 && memmem(text.p, text.n, part, strlen(part)) != NULL;
}

static bool ends(clr_str_t text, const char *end)
{
    size_t n = strlen(end);
    return text.n >= n && memcmp(text.p + text.n - n, end, n) == 0;
}

/* What stands around every handler: the loop and us. */
static bool is_machinery(clr_str_t file)
{
    return (file.n > 0 && file.p[0] == '<') || has(file, "/asyncio/") || has(file, "/uvloop/") ||
           ends(file, "/clrun/_worker.py") || ends(file, "/clrun/_selector.py") ||
           has(file, "/python/clrun/chat/");
}

static bool is_library(clr_str_t file)
{
    return (file.n > 0 && file.p[0] == '<') || has(file, "/site-packages/") ||
           has(file, "/dist-packages/") || has(file, "/lib/python3");
}

/* `  File "PATH", line N in FUNCTION` */
static bool parse_frame(clr_str_t line, frame_t *out)
{
    static const char head[] = "  File \"", middle[] = "\", line ", in[] = " in ";
    if (line.n < sizeof(head) - 1 || memcmp(line.p, head, sizeof(head) - 1) != 0)
        return false;
    line = clr_str_from(line, sizeof(head) - 1);
    const char *end = memmem(line.p, line.n, middle, sizeof(middle) - 1);
    if (!end)
        return false;
    out->file = clr_str(line.p, (size_t)(end - line.p));
    line = clr_str_from(line, out->file.n + sizeof(middle) - 1);
    const char *name = memmem(line.p, line.n, in, sizeof(in) - 1);
    if (!name)
        return false;
    out->line = clr_str(line.p, (size_t)(name - line.p));
    out->function = clr_str_from(line, out->line.n + sizeof(in) - 1);
    out->source = CLR_STR_EMPTY;
    return true;
}

/* The frames up to an empty line or what is none, the innermost first. */
static size_t parse_frames(clr_str_t text, frame_t frames[FRAMES_MAX])
{
    size_t count = 0;
    clr_str_t line;
    while (text.n > 0 && clr_str_split(&text, '\n', &line)) {
        bool is_source = count > 0 && line.n > 4 && memcmp(line.p, "    ", 4) == 0;
        if (is_source)
            frames[count - 1].source = clr_str_from(line, 4);
        else if (count == FRAMES_MAX || !parse_frame(line, &frames[count]))
            break;
        else
            count++;
    }
    return count;
}

static void append_cut(clr_buf_t *out, clr_str_t text, size_t max)
{
    size_t room = out->n < max ? max - out->n : 0;
    clr_buf_append(out, text.p, text.n < room ? text.n : room);
}

static void append_frame(clr_buf_t *out, const frame_t *f)
{
    clr_buf_printf(out, "%s  File \"%.*s\", line %.*s, in %.*s", out->n ? "\n" : "",
                   CLR_STR_ARG(f->file), CLR_STR_ARG(f->line), CLR_STR_ARG(f->function));
    if (f->source.n)
        clr_buf_printf(out, "\n    %.*s", CLR_STR_ARG(f->source));
}

static void name_place(clr_buf_t *out, const frame_t *frames, size_t count)
{
    size_t at = 0;
    while (at < count && is_library(frames[at].file))
        at++;
    const frame_t *f = &frames[at < count ? at : 0];
    append_cut(out, f->file, CLR_STACK_NAME_MAX - 16);
    clr_buf_printf(out, ":%.*s", CLR_STR_ARG(f->line));
}

void clr_stack_parse(clr_str_t text, clr_blocked_at_t *at)
{
    frame_t frames[FRAMES_MAX];
    size_t count = parse_frames(text, frames);
    size_t outer = count;
    while (outer > 0 && is_machinery(frames[outer - 1].file))
        outer--;
    if (outer == 0)
        outer = count; /* the machinery itself, then */
    if (outer == 0)
        return;
    name_place(&at->place, frames, outer);
    if (at->handler.n == 0) {
        append_cut(&at->handler, frames[outer - 1].function, CLR_STACK_NAME_MAX - 2);
        clr_buf_append_str(&at->handler, CLR_STR("()"));
    }
    for (size_t i = outer; i > 0 && at->stack.n < CLR_STACK_TEXT_MAX; i--)
        append_frame(&at->stack, &frames[i - 1]);
    if (at->stack.n > CLR_STACK_TEXT_MAX)
        at->stack.n = CLR_STACK_TEXT_MAX;
}

/* ---- with the interpreter lock ---- */

/* Of two: the watchdog and the thread that asks. Whoever lets go last frees it. */
struct clr_stack_job {
    atomic_int refs;
    atomic_bool begun;     /* it had the lock, and has switched the second way off */
    atomic_bool done;      /* `at` is complete */
    atomic_bool abandoned; /* `stack` may be gone; set with the lock, or before it is */
    clr_stack_t *stack;
    clr_blocked_at_t at;
};

static void job_unref(clr_stack_job_t *job)
{
    if (atomic_fetch_sub(&job->refs, 1) != 1)
        return;
    clr_blocked_at_clear(&job->at);
    free(job);
}

static void copy_answer(clr_blocked_at_t *at, PyObject *answer)
{
    PyObject *handler, *stack;
    Py_ssize_t n;
    if (!PyArg_ParseTuple(answer, "SS", &handler, &stack))
        return;
    n = PyBytes_Size(handler);
    append_cut(&at->handler, clr_str(PyBytes_AsString(handler), (size_t)n), CLR_STACK_NAME_MAX);
    n = PyBytes_Size(stack);
    clr_stack_parse(clr_str(PyBytes_AsString(stack), (size_t)n), at);
}

/* The lock is ours, and with it the word that the stack is still there. */
static void ask(clr_stack_job_t *job)
{
    PyObject *describe = Py_NewRef(job->stack->describe);
    PyObject *disarm = Py_XNewRef(job->stack->disarm);
    atomic_store(&job->begun, true);
    PyObject *done = disarm ? PyObject_CallNoArgs(disarm) : Py_NewRef(Py_None);
    PyObject *answer = done ? PyObject_CallNoArgs(describe) : NULL;
    if (answer)
        copy_answer(&job->at, answer);
    PyErr_Clear();
    Py_XDECREF(answer);
    Py_XDECREF(done);
    Py_XDECREF(disarm);
    Py_DECREF(describe);
}

static void *run_job(void *ctx)
{
    clr_stack_job_t *job = ctx;
    PyGILState_STATE state = PyGILState_Ensure(); /* does not return when Python is ending */
    if (!atomic_load(&job->abandoned))
        ask(job);
    PyGILState_Release(state);
    atomic_store(&job->done, true);
    job_unref(job);
    return NULL;
}

void clr_stack_ask(clr_stack_t *s)
{
    pthread_t thread;
    clr_stack_job_t *job = clr_xcalloc(1, sizeof(*job));
    atomic_init(&job->refs, 2);
    job->stack = s;
    if (pthread_create(&thread, NULL, run_job, job) != 0) {
        free(job);
        return;
    }
    pthread_detach(thread);
    s->job = job;
}

bool clr_stack_is_begun(const clr_stack_t *s)
{
    return s->job && atomic_load(&s->job->begun);
}

bool clr_stack_take(clr_stack_t *s, clr_blocked_at_t *at)
{
    if (!s->job || !atomic_load(&s->job->done))
        return false;
    *at = s->job->at;
    s->job->at = (clr_blocked_at_t){0};
    clr_stack_abandon(s);
    return true;
}

void clr_stack_abandon(clr_stack_t *s)
{
    if (!s->job)
        return;
    atomic_store(&s->job->abandoned, true);
    job_unref(s->job);
    s->job = NULL;
}

/* ---- without the lock ---- */

void clr_stack_read_dump(clr_stack_t *s, clr_blocked_at_t *at)
{
    struct stat info;
    if (s->dump_fd < 0 || fstat(s->dump_fd, &info) != 0 || info.st_size <= 0)
        return;
    size_t size = info.st_size < DUMP_MAX ? (size_t)info.st_size : DUMP_MAX;
    clr_buf_t text = {0};
    clr_buf_reserve(&text, size);
    ssize_t n = pread(s->dump_fd, text.p, size, 0);
    char head[40];
    int head_n = snprintf(head, sizeof(head), "hread 0x%0*lx", (int)sizeof(long) * 2, s->thread);
    const char *start = n > 0 ? memmem(text.p, (size_t)n, head, (size_t)head_n) : NULL;
    if (start) {
        clr_str_t rest = clr_str(start, (size_t)(text.p + n - start));
        clr_str_t title;
        (void)clr_str_split(&rest, '\n', &title);
        clr_stack_parse(rest, at);
    }
    clr_buf_deinit(&text);
}

void clr_stack_arm(clr_stack_t *s)
{
    if (!s->arm)
        return;
    if (lseek(s->dump_fd, 0, SEEK_CUR) > 0 &&
        (ftruncate(s->dump_fd, 0) != 0 || lseek(s->dump_fd, 0, SEEK_SET) != 0))
        return;
    PyObject *armed = PyObject_Call(s->arm, s->arm_args, s->arm_kwargs);
    if (!armed)
        PyErr_Clear();
    Py_XDECREF(armed);
}

/* ---- life ---- */

/* A fork would leave the child with the lock of a thread that it does not have, on which it would
 * wait when it ends. The next answer arms again. */
static int disarm_before_fork(PyObject *disarm)
{
    PyObject *os = PyImport_ImportModule("os");
    PyObject *at_fork = os ? PyObject_GetAttrString(os, "register_at_fork") : NULL;
    PyObject *args = PyTuple_New(0);
    PyObject *kwargs = Py_BuildValue("{sO}", "before", disarm);
    PyObject *done = at_fork && args && kwargs ? PyObject_Call(at_fork, args, kwargs) : NULL;
    Py_XDECREF(os);
    Py_XDECREF(at_fork);
    Py_XDECREF(args);
    Py_XDECREF(kwargs);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

/* The second way. */
static int init_dump(clr_stack_t *s, uint32_t after_ms)
{
    s->dump_fd = memfd_create("clrun-watchdog", MFD_CLOEXEC);
    if (s->dump_fd < 0)
        return 0;
    PyObject *module = PyImport_ImportModule("faulthandler");
    s->arm = module ? PyObject_GetAttrString(module, "dump_traceback_later") : NULL;
    s->disarm = module ? PyObject_GetAttrString(module, "cancel_dump_traceback_later") : NULL;
    s->arm_args = Py_BuildValue("(d)", after_ms / 1e3);
    s->arm_kwargs = Py_BuildValue("{si}", "file", s->dump_fd);
    Py_XDECREF(module);
    if (!s->arm || !s->disarm || !s->arm_args || !s->arm_kwargs)
        return -1;
    return disarm_before_fork(s->disarm);
}

int clr_stack_init(clr_stack_t *s, PyObject *describe, uint32_t after_ms)
{
    *s = (clr_stack_t){.dump_fd = -1, .thread = PyThread_get_thread_ident()};
    s->describe = Py_NewRef(describe);
    if (after_ms == 0 || init_dump(s, after_ms) == 0)
        return 0;
    clr_stack_deinit(s);
    return -1;
}

void clr_stack_deinit(clr_stack_t *s)
{
    clr_stack_abandon(s);
    PyObject *done = s->disarm ? PyObject_CallNoArgs(s->disarm) : NULL;
    if (s->disarm && !done)
        PyErr_Clear();
    Py_XDECREF(done);
    Py_CLEAR(s->describe);
    Py_CLEAR(s->arm);
    Py_CLEAR(s->disarm);
    Py_CLEAR(s->arm_args);
    Py_CLEAR(s->arm_kwargs);
    if (s->dump_fd >= 0)
        close(s->dump_fd);
    s->dump_fd = -1;
}
