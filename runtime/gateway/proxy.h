/* proxy.h: what a trusted proxy says about the client of a request: X-Forwarded-For and
 * X-Forwarded-Proto.
 *
 * Both count only when the connection comes from an address of the list. The client is then the
 * rightmost address that is not of the list, since what stands further left may be invented; an
 * element that is no address ends the search. Nobody else looks at these headers, so that Socket.IO
 * and the application see the same client.
 *
 * Threads:  the loop's.
 * Lifetime: clr_proxy_new() … clr_proxy_free().
 */
#pragma once

#include "base/error.h"
#include "proto/http.h"

typedef struct clr_proxy clr_proxy_t;

/* Where a request comes from. */
typedef struct clr_client {
    clr_str_t host; /* a numeric address; "" for a Unix socket */
    uint16_t port;  /* 0: unknown */
    bool secure;    /* https, wss */
} clr_client_t;

/* `trusted` is a comma-separated list of addresses, networks such as 10.0.0.0/8, "unix" for Unix
 * sockets, or "*" for all. *out is owned. */
CLR_NODISCARD int clr_proxy_new(clr_proxy_t **out, const char *trusted, clr_error_t *err);
void clr_proxy_free(clr_proxy_t *proxy);

/* Whether the address (numeric, "" for a Unix socket) is of the list. */
bool clr_proxy_trusts(const clr_proxy_t *proxy, clr_str_t host);

/* *client is who connected, and afterwards who asked. Its host may then be a view into the head. */
void clr_proxy_apply(const clr_proxy_t *proxy, const clr_http_head_t *head, clr_client_t *client);
