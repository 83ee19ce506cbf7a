/* router.h: who answers a request, by its path.
 *
 * In this order: the longest registered path (itself, or followed by "/"), the application's files
 * (static.h), the application (app_request.h), 404. The option root_path is taken off the front
 * first, where it is there.
 *
 * Threads:  the loop's.
 * Lifetime: a route lives until it is removed or the gateway ends.
 */
#pragma once

#include "gateway/http_conn.h"

/* Borrows path, handler and owner until the route is removed. A path is "/socket.io"; a slash at
 * the end counts for nothing. The handler finds owner in x->ctx when on_head is called. */
void clr_router_add(clr_gateway_t *gw, clr_str_t path, const clr_handler_t *handler, void *owner);

/* Removes the routes of that path and owner. */
void clr_router_remove(clr_gateway_t *gw, clr_str_t path, const void *owner);

/* Sets the handler and ctx of an exchange whose head is there. */
void clr_router_route(clr_exchange_t *x);

/* The request's path without root_path, still percent-encoded. Borrowed from the head. */
clr_str_t clr_router_path(const clr_exchange_t *x);

/* Removes all. */
void clr_router_clear(clr_gateway_t *gw);
