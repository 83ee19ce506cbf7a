/* state.h: what the module _clrun keeps for its lifetime: its types, interned names and what it
 * uses of asyncio. There are no globals; every object that needs the state has a pointer to it.
 *
 * Threads:  the interpreter lock must be held.
 * Lifetime: the module object owns the state. Objects of the module's types borrow it: their type
 *           keeps the module alive.
 */
#pragma once

#include "base/common.h"
#include "compat.h"

/* Names that are looked up or compared often: st->n.copy is the interned str "copy". */
#define CLR_NAMES(X)                                                                               \
    X(_asyncio_future_blocking)                                                                    \
    X(_callbacks)                                                                                  \
    X(_declaration)                                                                                \
    X(_bind)                                                                                       \
    X(_log_destroy_pending)                                                                        \
    X(_origin_allowed)                                                                             \
    X(_placeholder)                                                                                \
    X(_run_connect)                                                                                \
    X(_run_disconnect)                                                                             \
    X(__await__)                                                                                   \
    X(add_reader)                                                                                  \
    X(add_writer)                                                                                  \
    X(args)                                                                                        \
    X(call_soon)                                                                                   \
    X(callback)                                                                                    \
    X(cancel)                                                                                      \
    X(close)                                                                                       \
    X(connect)                                                                                     \
    X(copy)                                                                                        \
    X(create_future)                                                                               \
    X(data)                                                                                        \
    X(disconnect)                                                                                  \
    X(done)                                                                                        \
    X(dumps)                                                                                       \
    X(event)                                                                                       \
    X(ignore_queue)                                                                                \
    X(items)                                                                                       \
    X(loads)                                                                                       \
    X(message)                                                                                     \
    X(namespace)                                                                                   \
    X(num)                                                                                         \
    X(remove_reader)                                                                               \
    X(remove_writer)                                                                               \
    X(room)                                                                                        \
    X(run)                                                                                         \
    X(send)                                                                                        \
    X(set_result)                                                                                  \
    X(skip_sid)                                                                                    \
    X(stop)                                                                                        \
    X(stream_token)                                                                                \
    X(throw)                                                                                       \
    X(to)                                                                                          \
    X(trigger_event)

typedef struct clr_names {
#define CLR_NAME_FIELD(name) PyObject *name;
    CLR_NAMES(CLR_NAME_FIELD)
#undef CLR_NAME_FIELD
} clr_names_t;

/* Types and values, each owned; NULL until made. */
#define CLR_STATE_OBJECTS(X)                                                                       \
    X(link_type)                                                                                   \
    X(carrier_type)                                                                                \
    X(park_type)                                                                                   \
    X(emit_type)                                                                                   \
    X(turn_type)                                                                                   \
    X(server_type)                                                                                 \
    X(engine_type)                                                                                 \
    X(asgi_call_type)                                                                              \
    X(asgi_wait_type)                                                                              \
    X(asgi_sent)           /* what send() and others return that need not wait */                  \
    X(client_disconnected) /* clrun.exceptions.ClientDisconnected, when it is first needed */      \
    X(star)                /* "*" */                                                               \
    X(slash)               /* "/" */                                                               \
    X(empty)               /* () */                                                                \
    X(task_name)           /* the name of every carrier's task */                                  \
    X(volatile_name)       /* "volatile", which C keeps for itself */                              \
    X(separators)          /* {"separators": (",", ":")} */                                        \
    X(method_type)         /* types.MethodType */                                                  \
    X(coroutine_type)      /* types.CoroutineType */                                               \
    X(describe)            /* clrun._worker.describe, when it is first needed */                   \
    X(copy_context)                                                                                \
    X(weakref_count)                                                                               \
    X(environ_type) /* clrun._environ.Environ, when the first is made */                           \
    X(environ_base) /* the keys that all environs have in common */                                \
    /* asyncio, from clr_state_use_asyncio() on */                                                 \
    X(task_type)                                                                                   \
    X(task_cancelling)                                                                             \
    X(task_get_name)                                                                               \
    X(enter_task)                                                                                  \
    X(leave_task)                                                                                  \
    X(cancelled_error)

struct clr_asgi_consts;
struct clr_strings;

typedef struct clr_state {
    clr_names_t n;
#define CLR_STATE_FIELD(name) PyObject *name;
    CLR_STATE_OBJECTS(CLR_STATE_FIELD)
#undef CLR_STATE_FIELD
    struct clr_strings *strings;  /* values_decode.c */
    struct clr_asgi_consts *asgi; /* asgi_internal.h */
} clr_state_t;

/* The state behind a type of this module or a subclass of one. Returns borrowed, or NULL with an
 * exception. */
clr_state_t *clr_state_of_type(PyTypeObject *type);

/* Looks up what dispatching needs of asyncio, once. 0, or -1 with an exception. */
CLR_NODISCARD int clr_state_use_asyncio(clr_state_t *st);

/* Each module's part of the module's start: makes its type. 0, or -1 with an exception. */
CLR_NODISCARD int clr_wlink_init_type(PyObject *module, clr_state_t *st);
CLR_NODISCARD int clr_carrier_init_type(PyObject *module, clr_state_t *st);
CLR_NODISCARD int clr_emit_init_type(PyObject *module, clr_state_t *st);
CLR_NODISCARD int clr_stream_token_init_type(PyObject *module, clr_state_t *st);
CLR_NODISCARD int clr_server_init_type(PyObject *module, clr_state_t *st);
CLR_NODISCARD int clr_engine_init_type(PyObject *module, clr_state_t *st);
CLR_NODISCARD int clr_asgi_init_types(PyObject *module, clr_state_t *st);

void clr_asgi_deinit_types(clr_state_t *st);
