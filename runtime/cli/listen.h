/* listen.h: where the gateway listens and how it encrypts, from the options.
 *
 * Threads:  the loop's.
 * Lifetime: clr_listen_prepare() … clr_listen_open() … clr_listen_stop() … clr_listen_deinit(),
 * the last after every connection is closed; harmless on {0}.
 */
#pragma once

#include "cli/options.h"
#include "net/listener.h"

#define CLR_LISTEN_MAX 16

typedef struct clr_listen {
    clr_listener_t *listeners[CLR_LISTEN_MAX];
    size_t count;
    clr_tls_context_t *tls; /* NULL: plain */
} clr_listen_t;

/* Checks the options and loads the certificate. Borrows the options' strings until deinit. */
CLR_NODISCARD int clr_listen_prepare(clr_listen_t *l, const clr_options_t *o, clr_error_t *err);

/* Opens all listeners or none. Sockets that systemd passed are used when the options name none;
 * the variables that tell of them are removed, so that no child takes them for its own. */
CLR_NODISCARD int clr_listen_open(clr_listen_t *l, clr_loop_t *loop, const clr_options_t *o,
                                  clr_listener_connection_cb cb, void *ctx, clr_error_t *err);

/* The URLs, separated by commas. */
void clr_listen_urls(const clr_listen_t *l, clr_buf_t *out);

/* Offers connections that were not accepted once more (clr_listener_retry). */
void clr_listen_retry(clr_listen_t *l);

/* No new connections. Harmless when called again. */
void clr_listen_stop(clr_listen_t *l);
void clr_listen_deinit(clr_listen_t *l);
