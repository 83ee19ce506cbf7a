/* worker_link_wait.c: waiting in place of the selector of asyncio's loop (clrun/_selector.py). */
#include <errno.h>
#include <math.h>
#include <sched.h>
#include <sys/epoll.h>

#include "base/clock.h"
#include "worker_link.h"

#define TIMEOUT_MAX_MS 1000000000 /* days; waiting less than asked for is no fault */

/* One more than the link's own, so that one sees whether others are ready too. */
#define EVENTS 2

/* Polls while clr_spin_t says so, then sleeps. Without the interpreter lock. */
static int wait_events(clr_spin_t *spin, int epoll_fd, struct epoll_event *events, int timeout_ms)
{
    int n = 0;
    while (n == 0 && clr_spin_wait(spin, clr_clock_now_ns())) {
        n = epoll_wait(epoll_fd, events, EVENTS, 0);
        if (n == 0)
            sched_yield();
    }
    if (n == 0)
        n = epoll_wait(epoll_fd, events, EVENTS, timeout_ms);
    clr_spin_end(spin, clr_clock_now_ns());
    return n;
}

int clr_wlink_select(clr_wlink_t *link, int epoll_fd, int timeout_ms)
{
    struct epoll_event events[EVENTS];
    int n;
    Py_BEGIN_ALLOW_THREADS;
    n = timeout_ms == 0 ? epoll_wait(epoll_fd, events, EVENTS, 0)
                        : wait_events(&link->spin, epoll_fd, events, timeout_ms);
    Py_END_ALLOW_THREADS;
    if (n < 0 && errno == EINTR)
        return PyErr_CheckSignals() < 0 ? -1 : 1;
    if (n < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    if (n == 0)
        return 1;
    bool is_link = n == 1 && events[0].data.fd == link->fd && events[0].events == EPOLLIN;
    if (!is_link || link->in_batch)
        return 0;
    clr_wlink_on_readable(link);
    return 1;
}

/* A timeout in seconds as asyncio gives it, rounded up; -1: for ever. -2 with an exception. */
static int to_ms(PyObject *timeout)
{
    if (timeout == Py_None)
        return -1;
    double seconds = PyFloat_AsDouble(timeout);
    if (seconds == -1.0 && PyErr_Occurred())
        return -2;
    if (seconds <= 0)
        return 0;
    return seconds < TIMEOUT_MAX_MS / 1e3 ? (int)ceil(seconds * 1e3) : TIMEOUT_MAX_MS;
}

PyObject *clr_wlink_method_wait(PyObject *self, PyObject *args)
{
    int epoll_fd;
    PyObject *timeout;
    if (!PyArg_ParseTuple(args, "iO:wait", &epoll_fd, &timeout))
        return NULL;
    int ms = to_ms(timeout);
    int done = ms == -2 ? -1 : clr_wlink_select((clr_wlink_t *)self, epoll_fd, ms);
    return done < 0 ? NULL : PyBool_FromLong(done);
}

PyObject *clr_wlink_method_set_spin(PyObject *self, PyObject *microseconds)
{
    unsigned long us = PyLong_AsUnsignedLong(microseconds);
    if (PyErr_Occurred())
        return NULL;
    clr_spin_init(&((clr_wlink_t *)self)->spin, us * UINT64_C(1000));
    Py_RETURN_NONE;
}
