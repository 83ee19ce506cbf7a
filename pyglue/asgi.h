/* asgi.h: the ASGI application of a worker: one call of it for each request and each WebSocket that
 * the gateway hands over.
 *
 * A call is a Python object behind the application's `receive` and `send`. It is in the link's map
 * while frames of its stream may come; the application may keep it for longer, and it then answers
 * as after a disconnect. The scope is a copy of a template; what `send` returns is one object that
 * is always done, unless the application has to wait.
 *
 * Threads:  the loop's (with the interpreter lock).
 * Lifetime: clr_asgi_t is part of the link. A call is counted: by the link while its stream is
 *           open, by its carrier while the application runs, by `receive` and `send`.
 */
#pragma once

#include "base/buf.h"
#include "base/list.h"
#include "idmap.h"
#include "link/frame.h"
#include "state.h"

struct clr_event;
struct clr_wlink;

#define CLR_ASGI_NAMES_COUNT 128 /* names of headers that are kept ready */

/* A header's name as bytes, for the next request that has it. */
typedef struct clr_asgi_name {
    const char *p;
    size_t n;
    PyObject *bytes;
} clr_asgi_name_t;

typedef struct clr_asgi {
    PyObject *app;       /* owned; NULL: the worker has none */
    PyObject *about;     /* str: what APP said of it last, or NULL */
    PyObject *state;     /* of the lifespan, or NULL */
    PyObject *root_path; /* str */
    PyObject *http;      /* template of a request's scope */
    PyObject *websocket; /* and of a WebSocket's */
    PyObject *versions;  /* template of scope["asgi"] */
    PyObject *server;    /* the last scope["server"] */
    clr_idmap_t calls;   /* stream → clr_asgi_call_t *, each owned */
    clr_list_t held;     /* calls whose response has begun but was not sent yet; borrowed */
    clr_buf_t spare;     /* for the next response that has to be held */
    clr_asgi_name_t names[CLR_ASGI_NAMES_COUNT];
    bool is_draining; /* new requests are for another worker */
} clr_asgi_t;

void clr_asgi_init(clr_asgi_t *asgi);
int clr_asgi_traverse(clr_asgi_t *asgi, visitproc visit, void *arg);
void clr_asgi_clear(clr_asgi_t *asgi);

/* Answers requests with this application from now on, and tells the gateway what APP says of it, if
 * that is new. state: the lifespan's dict, or None where there is no lifespan. about: a str, JSON.
 * 0, or -1 with an exception. */
CLR_NODISCARD int clr_asgi_set_app(struct clr_wlink *link, PyObject *app, PyObject *state,
                                   PyObject *about);

/* Handles a frame HTTP_… or WS_…. 0 or CLR_EPROTO. Leaves no exception. */
CLR_NODISCARD int clr_asgi_frame(struct clr_wlink *link, const clr_frame_t *frame);

/* The application's call has ended. result is borrowed, and NULL with an exception set when it
 * failed. Leaves no exception. */
void clr_asgi_done(struct clr_wlink *link, struct clr_event *event, PyObject *result);

/* "GET /path", for a call that is an event's. Returns a new str, or NULL with an exception. */
PyObject *clr_asgi_describe(PyObject *call);

/* Sends the responses that were held back for a body to come with them. */
void clr_asgi_release(struct clr_wlink *link);

/* The worker stops: new requests are refused, open WebSockets closed with 1012. */
void clr_asgi_drain(struct clr_wlink *link);

/* The link is closed: every client is gone. */
void clr_asgi_drop_all(struct clr_wlink *link);
