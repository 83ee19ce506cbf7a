/* eio_origin.h: which origins may talk to a server, and the CORS headers that say so. A server may
 * leave the decision to a callable of the app: the request then waits for the worker's answer.
 *
 * Threads:  the loop's.
 * Lifetime: a waiting request is the origin module's until its continuation is called or it aborts.
 */
#pragma once

#include "gateway/eio_session.h"

typedef enum clr_eio_verdict {
    CLR_EIO_ORIGIN_ALLOWED,
    CLR_EIO_ORIGIN_REFUSED,
    CLR_EIO_ORIGIN_ASK, /* only the app knows: clr_eio_origin_ask() */
} clr_eio_verdict_t;

/* The session, if any, is the one that the request names: what the app allowed its handshake, it
 * allows its other requests. */
clr_eio_verdict_t clr_eio_origin_check(const clr_eio_server_t *server, const clr_eio_session_t *s,
                                       const clr_exchange_t *x);

/* The CORS headers of an answer to a request whose origin is allowed. */
void clr_eio_origin_headers(const clr_eio_server_t *server, const clr_exchange_t *x,
                            clr_buf_t *out);

/* Whether it is an OPTIONS request that asks for those headers. */
bool clr_eio_origin_is_preflight(const clr_eio_server_t *server, const clr_exchange_t *x);

/* Answers it. */
void clr_eio_origin_preflight(clr_eio_server_t *server, clr_exchange_t *x, bool allowed);

/* Parks the request until a worker has answered, then calls `then`, which has to respond. */
void clr_eio_origin_ask(clr_eio_server_t *server, clr_exchange_t *x,
                        void (*then)(clr_eio_server_t *server, clr_exchange_t *x, bool allowed));

/* An ORIGIN_RESULT frame. */
CLR_NODISCARD int clr_eio_origin_result(clr_gateway_t *gw, clr_worker_t *w,
                                        const clr_frame_t *frame);

/* Those that wait for this worker are answered 503; all of them. */
void clr_eio_origin_worker_gone(clr_eio_t *eio, uint32_t serial);
void clr_eio_origin_drop_all(clr_eio_t *eio);
