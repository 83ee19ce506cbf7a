/* watchdog.h: notices that the event loop has stopped turning, and tells the gateway so, by a
 * thread beside the loop and over a stream of its own: the link belongs to the thread that is
 * blocked.
 *
 * Nothing is added to what an event costs. The thread pings the loop by a descriptor that the loop
 * watches; the answer tells the loop's lag, and its absence that the loop is blocked:
 *
 *            ping             no answer in time           stack, or none to be had
 *   QUIET ─────────► ASKED ──────────────────► LOOKING ─────────────────► BLOCKED
 *     ▲                │ answer                   │ answer                   │ answer
 *     └────────────────┴──────────────────────────┴──────────────────────────┘
 *
 * How it gets the stack is in watchdog_stack.h.
 *
 * Threads:  start, stop and on_ping: the loop's, with the interpreter lock. The thread itself never
 *           takes that lock, and what both share is atomic.
 * Lifetime: clr_watchdog_start() … clr_watchdog_stop(). Nothing of it outlives a fork: the child
 *           only forgets it.
 */
#pragma once

#include <stdbool.h>

#include "state.h"

struct clr_wlink;
typedef struct clr_watchdog clr_watchdog_t;

/* Takes fd, on success. warn_ms: a loop that does not answer for so long is blocked; 0: none is.
 * describe() -> (bytes, bytes): what is at work in the loop's thread, and its stack as faulthandler
 * writes it; it is called in another thread. Returns owned, or NULL with an exception. */
clr_watchdog_t *clr_watchdog_start(struct clr_wlink *link, int fd, uint32_t warn_ms,
                                   PyObject *describe);

/* What the loop is to watch; clr_watchdog_on_ping() when it is readable. Leaves no exception. */
int clr_watchdog_ping_fd(const clr_watchdog_t *w);
void clr_watchdog_on_ping(clr_watchdog_t *w);

/* In a forked child there is no thread, and the loop's descriptors are the parent's. */
bool clr_watchdog_is_ours(const clr_watchdog_t *w);

/* Takes w. The loop does not watch it any more. */
void clr_watchdog_stop(clr_watchdog_t *w);

int clr_watchdog_traverse(clr_watchdog_t *w, visitproc visit, void *arg);
