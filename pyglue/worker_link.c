/* worker_link.c: bytes in, batches of frames, bytes out. */
#include "worker_link.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

static size_t pending(const clr_wlink_t *link)
{
    return link->out.n - link->out_from;
}

/* Calls and reports; for what the loop does for us. */
static void call_loop(clr_wlink_t *link, PyObject *name, PyObject *arg)
{
    PyObject *fd = PyLong_FromLong(link->fd);
    PyObject *done = fd ? PyObject_CallMethodObjArgs(link->loop, name, fd, arg, NULL) : NULL;
    if (!done)
        clr_report(link, "The event loop refused %S", name);
    Py_XDECREF(fd);
    Py_XDECREF(done);
}

static void call_soon(clr_wlink_t *link, PyObject *callback)
{
    PyObject *handle = PyObject_CallFunctionObjArgs(link->call_soon, callback, NULL);
    if (!handle)
        clr_report(link, "The event loop refused call_soon");
    Py_XDECREF(handle);
}

/* ---- the end of the link ---- */

void clr_wlink_close(clr_wlink_t *link)
{
    if (link->closed)
        return;
    clr_wlink_unwatch(link);
    if (link->loop) {
        call_loop(link, link->st->n.remove_reader, NULL);
        if (link->writer_is_on)
            call_loop(link, link->st->n.remove_writer, NULL);
        clr_carriers_quiesce(link);
    }
    link->closed = true;
    close(link->fd);
    link->fd = -1;
    link->out.n = link->out_from = 0;
    link->is_congested = false;
    clr_incoming_drop_all(link);
    clr_wlink_release_waiters(link);
    Py_CLEAR(link->readable);
    Py_CLEAR(link->more);
    Py_CLEAR(link->writable);
    Py_CLEAR(link->flush);
}

/* The gateway is gone; why is NULL at a plain end of file. */
static void go_down(clr_wlink_t *link, const char *why)
{
    if (link->closed)
        return;
    clr_wlink_close(link);
    PyObject *done;
    if (link->on_down && link->on_down != Py_None)
        done = why ? PyObject_CallFunction(link->on_down, "s", why)
                   : PyObject_CallFunction(link->on_down, "O", Py_None);
    else if (link->loop)
        done = PyObject_CallMethodObjArgs(link->loop, link->st->n.stop, NULL);
    else
        done = Py_NewRef(Py_None);
    if (!done)
        clr_report(link, "on_down failed");
    Py_XDECREF(done);
}

/* ---- writing ---- */

/* One write. Returns the bytes taken, 0 when the kernel is full, -errno when the link is broken. */
static ssize_t write_some(clr_wlink_t *link)
{
    ssize_t n;
    do
        n = send(link->fd, link->out.p + link->out_from, pending(link),
                 MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n >= 0) {
        link->out_from += (size_t)n;
        return n;
    }
    return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
}

/* Keeps the buffer small when it is empty, and its front from growing when it is not. */
static void tidy_out(clr_wlink_t *link)
{
    if (link->out_from == link->out.n) {
        link->out.n = link->out_from = 0;
        if (link->out.cap > CLR_WLINK_LOW)
            clr_buf_deinit(&link->out);
    } else if (link->out_from > link->out.n / 2) {
        clr_buf_consume(&link->out, link->out_from);
        link->out_from = 0;
    }
}

void clr_wlink_release_waiters(clr_wlink_t *link)
{
    clr_state_t *st = link->st;
    PyObject *waiters = link->waiters;
    link->waiters = NULL;
    for (Py_ssize_t i = 0; waiters && i < PyList_Size(waiters); i++) {
        PyObject *future = PyList_GetItem(waiters, i);
        PyObject *done = PyObject_CallMethodObjArgs(future, st->n.done, NULL);
        PyObject *set = done == Py_False
                            ? PyObject_CallMethodObjArgs(future, st->n.set_result, Py_None, NULL)
                            : Py_NewRef(Py_None);
        if (!done || !set)
            PyErr_Clear(); /* the loop is closed: nobody waits */
        Py_XDECREF(done);
        Py_XDECREF(set);
    }
    Py_XDECREF(waiters);
}

static void set_writer(clr_wlink_t *link, bool on)
{
    if (!link->loop || link->writer_is_on == on)
        return;
    link->writer_is_on = on;
    call_loop(link, on ? link->st->n.add_writer : link->st->n.remove_writer,
              on ? link->writable : NULL);
}

void clr_wlink_flush(clr_wlink_t *link)
{
    ssize_t n = 1;
    clr_asgi_release(link);
    while (!link->closed && pending(link) > 0 && n > 0)
        n = write_some(link);
    if (link->closed)
        return;
    if (n < 0) {
        go_down(link, strerror((int)-n));
        return;
    }
    tidy_out(link);
    set_writer(link, pending(link) > 0);
    if (link->is_congested && pending(link) <= CLR_WLINK_LOW) {
        link->is_congested = false;
        clr_wlink_release_waiters(link);
    }
}

void clr_wlink_on_writable(clr_wlink_t *link)
{
    if (!link->closed && !link->in_batch)
        clr_wlink_flush(link);
}

void clr_wlink_sent(clr_wlink_t *link)
{
    if (link->closed) {
        link->out.n = link->out_from = 0;
        return;
    }
    size_t n = pending(link);
    if (n > CLR_WLINK_HIGH)
        link->is_congested = true;
    if (!link->writer_is_on && n > CLR_WLINK_NOW) {
        clr_wlink_flush(link);
        return;
    }
    if (!link->in_batch && !link->flush_is_due && !link->writer_is_on && link->call_soon) {
        link->flush_is_due = true;
        call_soon(link, link->flush);
    }
}

void clr_wlink_write_all(clr_wlink_t *link, int seconds)
{
    uint64_t deadline = clr_clock_now_ns() + (uint64_t)seconds * 1000000000u;
    while (!link->closed && pending(link) > 0) {
        ssize_t n = write_some(link);
        uint64_t now = clr_clock_now_ns();
        if (n < 0 || now >= deadline)
            break;
        struct pollfd p = {.fd = link->fd, .events = POLLOUT};
        if (n == 0) {
            Py_BEGIN_ALLOW_THREADS poll(&p, 1, (int)((deadline - now) / 1000000) + 1);
            Py_END_ALLOW_THREADS
        }
    }
    tidy_out(link);
}

PyObject *clr_wlink_wait(clr_wlink_t *link)
{
    PyObject *future = PyObject_CallMethodObjArgs(link->loop, link->st->n.create_future, NULL);
    if (!link->waiters)
        link->waiters = PyList_New(0);
    if (future && link->waiters && PyList_Append(link->waiters, future) == 0)
        return future;
    Py_XDECREF(future);
    return NULL;
}

void clr_wlink_send_empty(clr_wlink_t *link, uint8_t type, uint64_t stream)
{
    clr_frame_end(&link->out, clr_frame_begin(&link->out, type, 0, stream));
    clr_wlink_sent(link);
}

void clr_wlink_send_str(clr_wlink_t *link, uint8_t type, uint8_t flags, uint64_t stream,
                        clr_str_t payload)
{
    size_t begun = clr_frame_begin(&link->out, type, flags, stream);
    clr_write_str(&link->out, payload);
    clr_frame_end(&link->out, begun);
    clr_wlink_sent(link);
}

void clr_wlink_log(clr_wlink_t *link, uint8_t level, clr_str_t module, clr_str_t text)
{
    if (text.n > CLR_WLINK_LOW)
        text.n = CLR_WLINK_LOW;
    if (module.n > 200)
        module.n = 200;
    size_t begun = clr_frame_begin(&link->out, CLR_FRAME_LOG, 0, 0);
    clr_buf_append_le(&link->out, level, 1);
    clr_write_str(&link->out, module);
    clr_write_str(&link->out, text);
    clr_frame_end(&link->out, begun);
    clr_wlink_sent(link);
}

clr_buf_t *clr_wlink_scratch(clr_wlink_t *link, clr_buf_t *own)
{
    clr_buf_init(own);
    if (link->scratch_is_taken)
        return own;
    link->scratch_is_taken = true;
    clr_buf_clear(&link->scratch);
    return &link->scratch;
}

void clr_wlink_scratch_done(clr_wlink_t *link, clr_buf_t *scratch)
{
    if (scratch != &link->scratch || scratch->cap > CLR_WLINK_LOW)
        clr_buf_deinit(scratch);
    if (scratch == &link->scratch)
        link->scratch_is_taken = false;
}

/* ---- reading ---- */

/* Makes room for a read, and for the whole of a frame of which `need` bytes are to come. */
static void make_room(clr_wlink_t *link, size_t need)
{
    if (link->in_from > 0) {
        clr_buf_consume(&link->in, link->in_from);
        link->in_from = 0;
    }
    if (link->in.n == 0 && link->in.cap > 8 * CLR_WLINK_READ)
        clr_buf_deinit(&link->in);
    size_t room = need > link->in.n + CLR_WLINK_READ ? need - link->in.n : CLR_WLINK_READ;
    clr_buf_reserve(&link->in, room);
}

/* One read. Returns the bytes read, 0 when nothing is there, or -1 when the link went down. */
static ssize_t read_some(clr_wlink_t *link)
{
    ssize_t n;
    do /* the page comes with the first bytes */
        n = link->loop
                ? recv(link->fd, link->in.p + link->in.n, link->in.cap - link->in.n, MSG_DONTWAIT)
                : clr_page_receive(link->fd, link->in.p + link->in.n, link->in.cap - link->in.n,
                                   &link->page, &link->arena);
    while (n < 0 && errno == EINTR);
    if (n > 0) {
        link->in.n += (size_t)n;
        return n;
    }
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return 0;
    go_down(link, n == 0 || errno == ECONNRESET ? NULL : strerror(errno));
    return -1;
}

/* How far a turn of the loop has come. */
typedef struct clr_turn {
    unsigned frames;
    uint64_t deadline;
    size_t need; /* of the frame that is not whole yet */
} clr_turn_t;

static bool is_over(const clr_wlink_t *link, clr_turn_t *turn)
{
    if (++turn->frames >= CLR_WLINK_BATCH || link->copied >= CLR_WLINK_COPIED)
        return true;
    return turn->frames % 16 == 0 && clr_clock_now_ns() >= turn->deadline;
}

/* Dispatches the whole frames that were read. False when the turn is over before they are. */
static bool dispatch_read(clr_wlink_t *link, clr_turn_t *turn)
{
    while (!link->closed) {
        clr_frame_t frame;
        clr_str_t rest = clr_str_from(clr_buf_str(&link->in), link->in_from);
        turn->need = 0;
        int64_t n = clr_frame_decode(rest, 'G', &frame, &turn->need);
        if (n == 0)
            return true;
        bool costs = n > 0 && clr_frame_is_creditable(frame.type);
        if (n > 0)
            link->in_from += (size_t)n;
        if (costs)
            clr_page_begin(link->page); /* from here on it is nobody else's */
        if (n < 0 || clr_incoming_frame(link, &frame) < 0) {
            char why[64];
            snprintf(why, sizeof(why), "invalid frame from the gateway: %s",
                     n < 0 ? "?" : clr_frame_name(frame.type));
            go_down(link, why);
            return true;
        }
        link->taken += costs;
        if (is_over(link, turn) && link->in_from < link->in.n)
            return false;
    }
    return true;
}

/* The rest of what was read waits until the loop has turned. */
static void do_more_soon(clr_wlink_t *link)
{
    CLR_ASSERT(!link->more_is_due);
    link->more_is_due = true;
    call_soon(link, link->more);
}

static void run_turn(clr_wlink_t *link)
{
    uint64_t now = clr_clock_now_ns();
    clr_turn_t turn = {.deadline = now + CLR_WLINK_TURN_NS};
    link->copied = 0;
    atomic_store_explicit(&link->batch_began, now, memory_order_relaxed);
    for (;;) {
        if (!dispatch_read(link, &turn)) {
            do_more_soon(link);
            return;
        }
        if (link->closed)
            return;
        make_room(link, turn.need);
        size_t room = link->in.cap - link->in.n;
        ssize_t n = read_some(link);
        if (n <= 0)
            return;
        /* A short read emptied the kernel's buffer: only what was read is left to do. */
        if ((size_t)n < room) {
            if (!dispatch_read(link, &turn))
                do_more_soon(link);
            return;
        }
    }
}

static void give_credit(clr_wlink_t *link)
{
    if (link->taken == 0 || link->closed)
        return;
    size_t begun = clr_frame_begin(&link->out, CLR_FRAME_CREDIT, 0, 0);
    clr_buf_append_le(&link->out, link->taken, 4);
    clr_frame_end(&link->out, begun);
    link->taken = 0;
}

void clr_wlink_on_readable(clr_wlink_t *link)
{
    CLR_DCHECK(!PyErr_Occurred());
    if (link->closed || link->in_batch || link->more_is_due)
        return;
    Py_INCREF((PyObject *)link);
    link->in_batch = true;
    run_turn(link);
    link->in_batch = false;
    atomic_store_explicit(&link->batch_began, 0, memory_order_relaxed);
    give_credit(link);
    if (!link->closed && !link->writer_is_on)
        clr_wlink_flush(link);
    Py_DECREF((PyObject *)link);
    CLR_DCHECK(!PyErr_Occurred());
}

void clr_wlink_on_more(clr_wlink_t *link)
{
    link->more_is_due = false;
    clr_wlink_on_readable(link);
}

int clr_wlink_read_first(clr_wlink_t *link, clr_frame_t *frame)
{
    while (!link->closed) {
        size_t need = 0;
        int64_t n = clr_frame_decode(clr_str_from(clr_buf_str(&link->in), link->in_from), 'G',
                                     frame, &need);
        if (n != 0) {
            link->in_from += n > 0 ? (size_t)n : 0;
            if (n > 0)
                return 0;
            PyErr_SetString(PyExc_ValueError, "invalid frame from the gateway");
            return -1;
        }
        struct pollfd p = {.fd = link->fd, .events = POLLIN};
        Py_BEGIN_ALLOW_THREADS poll(&p, 1, -1);
        Py_END_ALLOW_THREADS if (PyErr_CheckSignals() < 0) return -1;
        make_room(link, need);
        if (read_some(link) < 0)
            break;
    }
    if (!PyErr_Occurred())
        PyErr_SetString(PyExc_EOFError, "the gateway closed the link");
    return -1;
}
