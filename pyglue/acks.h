/* acks.h: answers that clients owe: who asked (a future of call(), or a callback) by the token that
 * the emit carried.
 *
 * Threads:  the interpreter lock must be held.
 * Lifetime: {0} is empty; clr_acks_deinit(). An answer awaited from one client ends with that
 * client; one awaited from many is kept until newer ones push it out.
 */
#pragma once

#include "base/list.h"
#include "idmap.h"
#include "state.h"

struct clr_frame;
struct clr_host;
struct clr_wlink;
struct clr_socket;

/* Broadcasts whose answers are still accepted. */
#define CLR_ACKS_MANY 10000

typedef struct clr_ack {
    clr_list_t node; /* in its socket's acks, or in clr_acks_t.many */
    struct clr_host *host;
    uint64_t token;
    PyObject *target;          /* owned: a future or a callable */
    struct clr_socket *socket; /* who answers; NULL: several, or the gateway */
    bool is_callback;
    bool is_many; /* several clients answer */
} clr_ack_t;

typedef struct clr_acks {
    clr_idmap_t map;
    clr_list_t many;
    size_t many_count;
    uint64_t last_token;
} clr_acks_t;

void clr_acks_init(clr_acks_t *acks);
void clr_acks_deinit(clr_acks_t *acks);

/* Returns the token for the frame. socket is the one client that answers, or NULL for any number.
 */
uint64_t clr_acks_add(struct clr_host *host, PyObject *target, bool is_callback,
                      struct clr_socket *socket);

/* NULL when nobody waits for it. */
clr_ack_t *clr_acks_find(struct clr_wlink *link, uint64_t token);

void clr_acks_forget(struct clr_wlink *link, uint64_t token);

/* The client is gone. Those who wait with call() go on waiting until their time is up. */
void clr_acks_forget_socket(struct clr_wlink *link, struct clr_socket *socket);

/* SIO_ACK, STATE and REPLY. 0 or CLR_EPROTO; leaves no exception. */
CLR_NODISCARD int clr_acks_on_answer(struct clr_wlink *link, const struct clr_frame *frame);
CLR_NODISCARD int clr_acks_on_state(struct clr_wlink *link, const struct clr_frame *frame);
CLR_NODISCARD int clr_acks_on_reply(struct clr_wlink *link, const struct clr_frame *frame);
