/* watchdog_stack.h: where the loop's thread stands while it is blocked, for the watchdog.
 *
 * There are two ways, since neither works always:
 * - A thread takes the interpreter lock and asks. While C code keeps the lock it waits, for ever if
 *   need be, and nobody waits for it.
 * - Each answer to a ping arms faulthandler.dump_traceback_later(), which needs no lock. It fires
 *   when no other answer disarms it, and then the lock was not to be had either: the thread that is
 *   looked at stands still in C.
 *
 * Threads:  arm, disarm, init and deinit: with the interpreter lock. The others: the watchdog's.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "compat.h"

#define CLR_STACK_NAME_MAX 500u        /* bytes of a handler's or place's description */
#define CLR_STACK_TEXT_MAX (24u << 10) /* bytes of a stack */

/* What is said of a blocked loop. Each may be empty. */
typedef struct clr_blocked_at {
    clr_buf_t handler;
    clr_buf_t place; /* "/srv/app.py:12": the innermost line of the app's own code */
    clr_buf_t stack; /* lines, the outermost first */
} clr_blocked_at_t;

void clr_blocked_at_clear(clr_blocked_at_t *at);

typedef struct clr_stack_job clr_stack_job_t;

typedef struct clr_stack {
    PyObject *describe; /* owned */
    PyObject *arm;      /* owned; NULL: there is no second way */
    PyObject *disarm;
    PyObject *arm_args;
    PyObject *arm_kwargs;
    clr_stack_job_t *job; /* the thread that asks, while it is of use */
    unsigned long thread; /* the loop's, as Python counts them */
    int dump_fd;          /* a file in memory */
} clr_stack_t;

/* after_ms: how long after an answer the second way is taken; 0: never. 0, or -1 with an exception.
 */
CLR_NODISCARD int clr_stack_init(clr_stack_t *s, PyObject *describe, uint32_t after_ms);
void clr_stack_deinit(clr_stack_t *s);

/* The loop turns: counts from now. Leaves no exception. */
void clr_stack_arm(clr_stack_t *s);

/* Starts the thread that asks. */
void clr_stack_ask(clr_stack_t *s);

/* It has the lock, and will have the answer. */
bool clr_stack_is_begun(const clr_stack_t *s);

/* True: it has the answer, which moved to *at. */
bool clr_stack_take(clr_stack_t *s, clr_blocked_at_t *at);

/* Nobody waits for it any more. */
void clr_stack_abandon(clr_stack_t *s);

/* What the second way brought. */
void clr_stack_read_dump(clr_stack_t *s, clr_blocked_at_t *at);

/* The stack and place of faulthandler's text, from its first line on, up to an empty line. */
void clr_stack_parse(clr_str_t text, clr_blocked_at_t *at);
