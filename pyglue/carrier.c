/* carrier.c: Tasks made in advance, and the first step of each event under one. */
#include "carrier_internal.h"

/* ---- one step, inside the event's Context ---- */

static PyObject *step_send(clr_carrier_t *c)
{
    c->status = PyIter_Send(c->coro, Py_None, &c->value);
    return c->status == PYGEN_ERROR ? NULL : Py_NewRef(Py_None);
}

static PyObject *step_throw(clr_carrier_t *c)
{
    c->value = PyObject_CallMethodObjArgs(c->coro, c->link->st->n.throw, c->thrown, NULL);
    c->status = PYGEN_NEXT;
    if (c->value)
        Py_RETURN_NONE;
    if (!PyErr_ExceptionMatches(PyExc_StopIteration))
        return NULL;
    PyObject *stop = clr_err_take();
    c->value = PyObject_GetAttrString(stop, "value");
    c->status = PYGEN_RETURN;
    Py_DECREF(stop);
    return c->value ? Py_NewRef(Py_None) : NULL;
}

static PyObject *step_first(clr_carrier_t *c)
{
    PyObject *result = PyObject_Call(c->handler, c->args, NULL);
    if (!result)
        return NULL;
    if ((PyObject *)Py_TYPE(result) == c->link->st->coroutine_type) {
        c->coro = result;
        return step_send(c);
    }
    unaryfunc await = CLR_SLOT_OF(Py_TYPE(result), Py_am_await, unaryfunc);
    if (await) {
        c->coro = await(result);
        Py_DECREF(result);
        return c->coro ? step_send(c) : NULL;
    }
    c->status = PYGEN_RETURN;
    c->value = result;
    Py_RETURN_NONE;
}

static PyObject *on_step(PyObject *self, PyObject *unused)
{
    (void)unused;
    clr_carrier_t *c = ((clr_wlink_t *)self)->carriers.current;
    CLR_ASSERT(c);
    if (c->is_first)
        return step_first(c);
    return c->thrown ? step_throw(c) : step_send(c);
}

static PyMethodDef step_def = {"_step", on_step, METH_NOARGS, NULL};

bool clr_carrier_step(clr_carrier_t *c)
{
    clr_carriers_t *cs = &c->link->carriers;
    clr_carrier_t *outer = cs->current;
    cs->current = c;
    PyObject *done = PyObject_CallMethodObjArgs(c->context, c->link->st->n.run, cs->step, NULL);
    cs->current = outer;
    if (!done) {
        Py_CLEAR(c->value);
        return false;
    }
    Py_DECREF(done);
    return true;
}

/* ---- the life of a carrier ---- */

void clr_carrier_set_blocking(clr_carrier_t *c, PyObject *future, bool blocking)
{
    PyObject *value = blocking ? Py_True : Py_False;
    if (PyObject_SetAttr(future, c->link->st->n._asyncio_future_blocking, value) < 0)
        PyErr_Clear();
}

static bool is_blocking(clr_carrier_t *c, PyObject *future)
{
    PyObject *value = PyObject_GetAttr(future, c->link->st->n._asyncio_future_blocking);
    bool blocking = value == Py_True;
    if (!value)
        PyErr_Clear();
    Py_XDECREF(value);
    return blocking;
}

/* Steps a parked Task: now, or in the next turn of the loop when some Task's step may be going on.
 */
static void wake(clr_carrier_t *c, bool now)
{
    PyObject *wakeup = c->park->wakeup;
    PyObject *park = (PyObject *)c->park;
    c->park->wakeup = NULL;
    PyObject *done = now ? PyObject_CallFunctionObjArgs(wakeup, park, NULL)
                         : PyObject_CallFunctionObjArgs(c->link->call_soon, wakeup, park, NULL);
    Py_DECREF(wakeup);
    if (!done)
        clr_report(c->link, "A task could not be woken");
    Py_XDECREF(done);
}

/* No more events for this carrier; its Task ends in its next step. Takes the caller's reference. */
static void retire(clr_carrier_t *c, bool now)
{
    bool parked = c->state == STATE_PARKED;
    c->state = STATE_ENDED;
    Py_CLEAR(c->task);
    if (parked && c->park->wakeup)
        wake(c, now);
    Py_DECREF(c);
}

static clr_carrier_t *carrier_new(clr_wlink_t *link)
{
    clr_state_t *st = link->st;
    clr_carrier_t *c = (clr_carrier_t *)PyType_GenericAlloc((PyTypeObject *)st->carrier_type, 0);
    if (!c)
        return NULL;
    clr_list_init(&c->node);
    Py_INCREF((PyObject *)link);
    c->link = link;
    PyObject *args = PyTuple_Pack(1, (PyObject *)c);
    c->task = args ? PyObject_Call(st->task_type, args, link->carriers.kwargs) : NULL;
    Py_XDECREF(args);
    PyObject *weak = NULL;
    /* An idle task that is thrown away with its loop is nothing to complain about. */
    if (c->task && PyObject_SetAttr(c->task, st->n._log_destroy_pending, Py_False) == 0)
        weak = PyObject_CallFunctionObjArgs(st->weakref_count, c->task, NULL);
    if (!weak) {
        c->state = STATE_ENDED;
        Py_CLEAR(c->task);
        Py_DECREF((PyObject *)c);
        return NULL;
    }
    c->weakrefs = PyLong_AsSsize_t(weak);
    Py_DECREF(weak);
    return c;
}

static bool is_cancelling(clr_carrier_t *c)
{
    PyObject *n = PyObject_CallFunctionObjArgs(c->link->st->task_cancelling, c->task, NULL);
    bool cancelling = !n || PyLong_AsLong(n) != 0;
    PyErr_Clear();
    Py_XDECREF(n);
    return cancelling;
}

/* Takes the idle carrier, or makes one. Returns owned, or NULL with an exception. */
static clr_carrier_t *take(clr_wlink_t *link)
{
    clr_carrier_t *c = link->carriers.idle;
    link->carriers.idle = NULL;
    /* A Task that was cancelled before its first step does not tell us until then. */
    if (c && c->state == STATE_FRESH && is_cancelling(c)) {
        retire(c, false);
        c = NULL;
    }
    return c ? c : carrier_new(link);
}

static bool is_same(PyObject *got, PyObject *want)
{
    bool same = got == want;
    if (!got)
        PyErr_Clear();
    Py_XDECREF(got);
    return same;
}

/* Whether the handler that has just ended left the Task as it found it. */
static bool is_untouched(clr_carrier_t *c, Py_ssize_t refs)
{
    clr_state_t *st = c->link->st;
    if (Py_REFCNT(c->task) != refs || is_cancelling(c))
        return false;
    PyObject *weak = PyObject_CallFunctionObjArgs(st->weakref_count, c->task, NULL);
    bool same = weak && PyLong_AsSsize_t(weak) == c->weakrefs;
    Py_XDECREF(weak);
    return same && is_same(PyObject_GetAttr(c->task, st->n._callbacks), Py_None) &&
           is_same(PyObject_CallFunctionObjArgs(st->task_get_name, c->task, NULL), st->task_name);
}

void clr_carrier_forget(clr_carrier_t *c)
{
    Py_CLEAR(c->coro);
    Py_CLEAR(c->context);
    Py_CLEAR(c->pending);
    Py_CLEAR(c->value);
}

/* The handler ended without suspending. ok: c->value is its result; else its exception is set. */
static void end_at_once(clr_carrier_t *c, bool ok, Py_ssize_t refs)
{
    clr_wlink_t *link = c->link;
    clr_event_t event = c->event;
    PyObject *result = c->value;
    c->value = NULL;
    c->event = (clr_event_t){0};
    clr_incoming_done(link, &event, ok ? result : NULL);
    Py_XDECREF(result);
    clr_carrier_forget(c);
    if (c->state <= STATE_PARKED && !link->closed && !link->carriers.idle && is_untouched(c, refs))
        link->carriers.idle = c;
    else
        retire(c, !link->carriers.inside);
}

/* The handler suspended: from now on this Task is its own. */
static void hand_over(clr_carrier_t *c)
{
    clr_carriers_t *cs = &c->link->carriers;
    bool parked = c->state == STATE_PARKED;
    bool now = parked && !cs->inside;
    c->pending = c->value;
    c->value = NULL;
    c->pending_blocking = is_blocking(c, c->pending);
    c->state = STATE_HANDED;
    clr_list_push_back(&cs->working, &c->node);
    cs->working_count++;
    /* Another task may come to await the same future before our next step. */
    if (!now && c->pending_blocking)
        clr_carrier_set_blocking(c, c->pending, false);
    if (parked)
        wake(c, now);
}

/* asyncio's current task is set, or cleared, and nobody else's touched. */
static bool declare(clr_wlink_t *link, PyObject *function, PyObject *task)
{
    PyObject *done = PyObject_CallFunctionObjArgs(function, link->loop, task, NULL);
    Py_XDECREF(done);
    return done != NULL;
}

/* The end of one event may start another (an event that had to wait): we are in a Task's step then,
 * which has to make way. */
static bool enter(clr_carrier_t *c)
{
    clr_wlink_t *link = c->link;
    clr_state_t *st = link->st;
    PyObject *inside = link->carriers.inside;
    return (!inside || declare(link, st->leave_task, inside)) &&
           declare(link, st->enter_task, c->task);
}

static void leave(clr_carrier_t *c)
{
    clr_wlink_t *link = c->link;
    clr_state_t *st = link->st;
    PyObject *inside = link->carriers.inside;
    if (!declare(link, st->leave_task, c->task) ||
        (inside && !declare(link, st->enter_task, inside)))
        clr_report(link, "The current task changed under a handler");
}

/* The first step of an event, with the carrier declared the current task. */
static bool first_step(clr_carrier_t *c, PyObject *handler, PyObject *args)
{
    if (!enter(c))
        return false;
    PyObject *inside = c->link->carriers.inside;
    c->link->carriers.inside = NULL;
    c->handler = handler;
    c->args = args;
    c->is_first = true;
    bool ok = clr_carrier_step(c);
    c->is_first = false;
    c->handler = c->args = NULL;
    c->link->carriers.inside = inside;
    PyObject *error = ok ? NULL : clr_err_take();
    leave(c);
    if (error)
        clr_err_give(error);
    return ok;
}

void clr_carriers_run(clr_wlink_t *link, clr_event_t *event, PyObject *handler, PyObject *args)
{
    CLR_DCHECK(!PyErr_Occurred());
    clr_carrier_t *c = take(link);
    PyObject *context = PyObject_CallMethodObjArgs(link->carriers.context, link->st->n.copy, NULL);
    if (!c || !context) {
        Py_XDECREF((PyObject *)c);
        Py_XDECREF(context);
        clr_incoming_done(link, event, NULL);
        return;
    }
    c->event = *event;
    c->context = context;
    Py_ssize_t refs = Py_REFCNT(c->task);
    bool ok = first_step(c, handler, args);
    if (ok && c->status == PYGEN_NEXT)
        hand_over(c);
    else
        end_at_once(c, ok, refs);
}

const clr_event_t *clr_carrier_event(const clr_carrier_t *c)
{
    return &c->event;
}

/* ---- of the link ---- */

static PyObject *task_kwargs(clr_wlink_t *link)
{
    return Py_BuildValue("{sOsO}", "loop", link->loop, "name", link->st->task_name);
}

int clr_carriers_start(clr_wlink_t *link)
{
    clr_carriers_t *cs = &link->carriers;
    if (clr_state_use_asyncio(link->st) < 0)
        return -1;
    cs->context = PyObject_CallNoArgs(link->st->copy_context);
    cs->step = PyCFunction_NewEx(&step_def, (PyObject *)link, NULL);
    cs->kwargs = task_kwargs(link);
    return cs->context && cs->step && cs->kwargs ? 0 : -1;
}

void clr_carriers_quiesce(clr_wlink_t *link)
{
    clr_carrier_t *c = link->carriers.idle;
    link->carriers.idle = NULL;
    if (c)
        retire(c, false); /* the app may be calling, from a Task */
}

PyObject *clr_carriers_tasks(clr_wlink_t *link)
{
    PyObject *list = PyList_New(0);
    if (!list || !link->carriers.working.next)
        return list;
    clr_list_each(node, &link->carriers.working)
    {
        clr_carrier_t *c = clr_container_of(node, clr_carrier_t, node);
        if (PyList_Append(list, c->task) < 0) {
            Py_DECREF(list);
            return NULL;
        }
    }
    return list;
}

int clr_carriers_traverse(clr_carriers_t *cs, visitproc visit, void *arg)
{
    Py_VISIT((PyObject *)cs->idle);
    Py_VISIT(cs->context);
    Py_VISIT(cs->step);
    Py_VISIT(cs->kwargs);
    clr_list_each(node, &cs->working)
    {
        Py_VISIT((PyObject *)clr_container_of(node, clr_carrier_t, node));
    }
    return 0;
}

void clr_carriers_clear(clr_carriers_t *cs)
{
    Py_CLEAR(cs->idle);
    clr_list_t *node;
    while ((node = clr_list_pop_front(&cs->working)) != NULL)
        Py_DECREF((PyObject *)clr_container_of(node, clr_carrier_t, node));
    cs->working_count = 0;
    Py_CLEAR(cs->context);
    Py_CLEAR(cs->step);
    Py_CLEAR(cs->kwargs);
}
