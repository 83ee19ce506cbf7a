/* dispatch.h: the workers as the gateway sees them: credit, queues and who owns which socket.
 *
 * Frames that cost the worker work (SIO_CONNECT, SIO_EVENT, SIO_ACK, EIO_OPEN, EIO_MESSAGE, ORIGIN_CHECK) are
 * creditable: they are sent only while the worker has credit, and wait here, in order, otherwise. What a
 * worker sends is decoded here and handed to the module that owns the object.
 *
 * Threads:  the loop's.
 * Lifetime: a worker lives from clr_worker_attach() to its on_gone callback.
 */
#pragma once

#include "gateway/gateway.h"
#include "link/frame.h"
#include "link/message.h"

typedef enum clr_worker_state {
    CLR_WORKER_LOADING,  /* connected, app not loaded */
    CLR_WORKER_READY,    /* takes sockets */
    CLR_WORKER_STOPPING, /* STOP was sent */
    CLR_WORKER_GONE,
} clr_worker_state_t;

typedef struct clr_worker_ops {
    void (*on_hello)(clr_worker_t *w, uint32_t pid, clr_str_t python, void *ctx);
    void (*on_ready)(clr_worker_t *w, void *ctx);
    void (*on_failed)(clr_worker_t *w, uint8_t kind, clr_str_t text, void *ctx);
    void (*on_stopped)(clr_worker_t *w, void *ctx);
    /* The link is down; the worker object is freed when this returns. */
    void (*on_gone)(clr_worker_t *w, int reason, void *ctx);
} clr_worker_ops_t;

/* Takes fd on success. `number` is for logs (1, 2, …). `config` is the JSON of the CONFIG frame, sent at once. */
CLR_NODISCARD int clr_worker_attach(clr_worker_t **out, clr_gateway_t *gw, int fd, unsigned number,
                                    clr_str_t config, const clr_worker_ops_t *ops, void *ctx);

/* Asks for a graceful end: queued frames first, then STOP. */
void clr_worker_stop(clr_worker_t *w, uint32_t grace_ms);

/* Closes the link now; on_gone follows. */
void clr_worker_detach(clr_worker_t *w);

clr_worker_state_t clr_worker_state(const clr_worker_t *w);
unsigned clr_worker_number(const clr_worker_t *w);
uint32_t clr_worker_sockets(const clr_worker_t *w);

/* The ready worker with the fewest sockets; NULL when none is ready. */
clr_worker_t *clr_dispatch_choose(clr_gateway_t *gw);

/* Live sessions and ready workers, for status lines. */
uint32_t clr_dispatch_ready_count(const clr_gateway_t *gw);
