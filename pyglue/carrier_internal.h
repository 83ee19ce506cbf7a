/* carrier_internal.h: the carrier and its park, shared by carrier.c (events), carrier_coro.c (the
 * coroutine that asyncio sees) and carrier_park.c (the future an idle Task waits for).
 */
#pragma once

#include "worker_link.h"

typedef enum clr_carrier_state {
    STATE_FRESH,
    STATE_PARKED,
    STATE_HANDED,
    STATE_DRIVING,
    STATE_ENDED,
} clr_carrier_state_t;

/* What a parked carrier's Task waits for. It looks like a future to asyncio and hands us the Task's
 * wake-up callback, so that the Task can be stepped without a turn of the loop. */
typedef struct clr_park {
    PyObject_HEAD clr_carrier_t *carrier; /* borrowed: the carrier clears it */
    PyObject *loop;
    PyObject *wakeup;
    bool blocking;
} clr_park_t;

struct clr_carrier {
    PyObject_HEAD clr_list_t node; /* in carriers.working */
    clr_wlink_t *link;             /* owned */
    PyObject *task;                /* owned until ENDED */
    clr_park_t *park;
    Py_ssize_t weakrefs; /* of the untouched task */
    uint8_t state;
    bool is_first;         /* inside the first step of its event */
    bool pending_blocking; /* of `pending`: asyncio's mark that it was awaited */

    clr_event_t event;
    PyObject *handler; /* borrowed, first step only */
    PyObject *args;    /* borrowed, first step only */
    PyObject *context;
    PyObject *coro;
    PyObject *pending;   /* HANDED: what the first step yielded */
    PyObject *thrown;    /* borrowed, while throwing */
    PySendResult status; /* of the last step: PYGEN_NEXT or PYGEN_RETURN, and its value */
    PyObject *value;
};

/* Runs a step in the event's Context. True: c->status and c->value tell; false: it raised. */
CLR_NODISCARD bool clr_carrier_step(clr_carrier_t *c);

/* Sets asyncio's mark on a future that it is being awaited. */
void clr_carrier_set_blocking(clr_carrier_t *c, PyObject *future, bool blocking);

/* Drops what belonged to the event. */
void clr_carrier_forget(clr_carrier_t *c);

/* The carrier's park, ready to be yielded. Returns a new reference, or NULL with an exception. */
PyObject *clr_park_of(clr_carrier_t *c);

/* An idle carrier's Task was cancelled or closed: it takes no more events. */
void clr_carrier_disown(clr_carrier_t *c);

CLR_NODISCARD int clr_park_init_type(PyObject *module, clr_state_t *st);
