/* handlers.h: which handler an event has. The tables are looked at each time: the app may change
 * them at any moment, and two dict look-ups by cached hashes are cheaper than keeping a cache
 * right.
 *
 * Threads:  the loop's (with the interpreter lock).
 * Lifetime: pure functions.
 */
#pragma once

#include "server.h"

/* A handler and what its arguments begin with. */
typedef struct clr_handler {
    PyObject *handler;   /* owned */
    PyObject *prefix[3]; /* borrowed */
    size_t count;
} clr_handler_t;

/* Functions first, then class-based namespaces; the exact names before "*". False when there is
 * none, with an exception only if the app's object raised one. */
CLR_NODISCARD bool clr_handlers_find(clr_server_t *server, clr_socket_t *s, PyObject *event,
                                     clr_handler_t *f);

/* Whether connect or disconnect may have a handler, so that there is something to run. */
bool clr_handlers_exist(clr_server_t *server, PyObject *namespace, PyObject *event);

/* Whether clients may join the namespace: it has handlers of its own or is listed. */
bool clr_handlers_accept(clr_server_t *server, PyObject *namespace);
