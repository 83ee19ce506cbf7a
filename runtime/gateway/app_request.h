/* app_request.h: requests and WebSockets that the application answers, as the rest of the gateway
 * sees them.
 *
 * A request is gathered here first, so that a slow client holds no worker. It then waits, in one
 * queue for all workers, until one has credit and answers; only then is it that worker's. What
 * follows flows under windows, in both directions.
 *
 * Threads:  the loop's.
 * Lifetime: a request lives until its response is complete, its client is gone, or its WebSocket is
 * closed.
 */
#pragma once

#include "gateway/dispatch.h"
#include "gateway/http_conn.h"

typedef struct clr_app_requests clr_app_requests_t;

/* For the router: whatever path is nobody else's. */
extern const clr_handler_t clr_app_handler;

/* Returns owned: the state that all requests of a gateway share. */
clr_app_requests_t *clr_app_requests_new(clr_gateway_t *gw);

/* All connections are gone. */
void clr_app_requests_free(clr_app_requests_t *app);

/* The worker that began to serve last has, or had, an application: requests may wait for the next
 * one. */
bool clr_app_is_known(const clr_gateway_t *gw);
void clr_app_set_known(clr_gateway_t *gw, bool known);

/* Requests and WebSockets that are here. */
uint32_t clr_app_request_count(const clr_gateway_t *gw);

/* An APP frame. */
CLR_NODISCARD int clr_app_declare(clr_gateway_t *gw, clr_worker_t *w, const clr_frame_t *frame);

/* A frame of a request (HTTP_…, WS_…). */
CLR_NODISCARD int clr_app_frame(clr_gateway_t *gw, clr_worker_t *w, const clr_frame_t *frame);

/* A worker may take requests that it could not a moment ago. */
void clr_app_pump(clr_gateway_t *gw);

/* A worker is not ready any more. */
void clr_app_worker_unready(clr_gateway_t *gw);

/* The worker that is about to be gone did not begin the request (link/page.h): it is nobody's. */
void clr_app_never_begun(clr_gateway_t *gw, uint64_t stream);

/* A worker is gone, with all its requests; `requests` is its list of them. */
void clr_app_worker_gone(clr_gateway_t *gw, clr_list_t *requests);

/* Closes the WebSockets among a worker's requests: their clients may come again. */
void clr_app_end_websockets(clr_list_t *requests);

/* A worker fell behind, or caught up: its clients are (not) read. */
void clr_app_worker_congested(clr_list_t *requests);

/* Closes the WebSockets; what no worker has is refused unless one is ready. */
void clr_app_shutdown(clr_gateway_t *gw);
