/* carrier.h: runs the handler of an event under a real asyncio Task and in a Context of its own,
 * yet makes no Task for a handler that never suspends.
 *
 * A carrier is a Task made in advance around an awaitable of ours. For an event the carrier is
 * declared the current task, and the handler's coroutine is stepped once, at once. If it ends
 * there, the carrier serves the next event. If it suspends, the carrier becomes this event's Task
 * for good: its next step yields to asyncio what the coroutine waits for, and all later steps are
 * those of an ordinary Task, in the event's Context. A carrier on which a handler left traces
 * (someone kept the task, cancelled it, gave it a callback or a name) is ended instead of used
 * again.
 *
 *   FRESH ── event ends ──► FRESH        (its first step by asyncio has not come yet)
 *     │ first step               │ event suspends: the first step yields what it waits for
 *     ▼                          ▼
 *   PARKED ── event suspends ► HANDED ──► DRIVING ──► ENDED
 *     └── traces, quiesce ────────────────────────────►┘
 *
 * Threads:  the loop's.
 * Lifetime: the link holds the idle carrier and, while their events are at work, all others; each
 * holds its Task, and the Task holds it.
 */
#pragma once

#include "base/list.h"
#include "state.h"

struct clr_wlink;
struct clr_socket;
typedef struct clr_carrier clr_carrier_t;

typedef enum clr_event_kind {
    CLR_EVENT_CONNECT,
    CLR_EVENT_MESSAGE, /* of a Socket.IO client */
    CLR_EVENT_DISCONNECT,
    CLR_EVENT_CALLBACK, /* the callback of an emit */
    CLR_EVENT_ENGINE_CONNECT,
    CLR_EVENT_ENGINE_MESSAGE,
    CLR_EVENT_ENGINE_DISCONNECT,
    CLR_EVENT_ORIGIN,
    CLR_EVENT_ASGI, /* a call of the ASGI application */
} clr_event_kind_t;

/* What is to be done when the handler has ended; see clr_incoming_done(). */
typedef struct clr_event {
    uint8_t kind;
    bool is_blocking;          /* counted in its session's `busy` */
    bool has_turn;             /* the gateway waits for SIO_NEXT */
    uint64_t number;           /* the client's ack id, or the stream to answer to */
    struct clr_socket *socket; /* counted, or NULL */
    PyObject *name;            /* owned str or NULL; for the log */
    PyObject *handler;         /* owned; for the log */
    PyObject *call;            /* owned; of the ASGI application, or NULL */
} clr_event_t;

typedef struct clr_carriers {
    clr_carrier_t *idle;    /* owned, or NULL */
    clr_carrier_t *current; /* whose coroutine is being stepped; borrowed */
    PyObject *inside; /* the Task whose step we are in, while its event is being ended; borrowed */
    clr_list_t working; /* carriers whose events are at work, each owned */
    size_t working_count;
    PyObject *context; /* what each event's Context is a copy of */
    PyObject *step;    /* the C function that Context.run() calls */
    PyObject *kwargs;  /* of Task(): loop, name */
} clr_carriers_t;

/* Before the first event: link->loop is set. 0, or -1 with an exception. */
CLR_NODISCARD int clr_carriers_start(struct clr_wlink *link);

/* Calls handler(*args) and steps it. Takes what the event holds; borrows handler and args.
 * clr_incoming_done() is called when the handler has ended: from inside this call, or later. Leaves
 * no exception. */
void clr_carriers_run(struct clr_wlink *link, clr_event_t *event, PyObject *handler,
                      PyObject *args);

/* What its handler is at work for; borrowed. */
const clr_event_t *clr_carrier_event(const clr_carrier_t *c);

/* Ends the idle carrier. */
void clr_carriers_quiesce(struct clr_wlink *link);

/* The tasks of the events at work. Returns a new list, or NULL with an exception. */
PyObject *clr_carriers_tasks(struct clr_wlink *link);

int clr_carriers_traverse(clr_carriers_t *cs, visitproc visit, void *arg);

/* Drops all carriers; those at work go on without the link. */
void clr_carriers_clear(clr_carriers_t *cs);
