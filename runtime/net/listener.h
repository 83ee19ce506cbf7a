/* listener.h: a listening socket: TCP (IPv4, IPv6) or a Unix socket path.
 *
 * Threads:  the loop's.
 * Lifetime: after an open succeeded clr_listener_close() must be called; the memory goes away in
 * the loop by itself. If open fails nothing is to be closed.
 */
#pragma once

#include "base/error.h"
#include "net/loop.h"

typedef struct clr_listener clr_listener_t;

/* A connection waits: accept it here (clr_stream_accept with this handle). */
typedef void (*clr_listener_connection_cb)(uv_stream_t *handle, void *ctx);

#define CLR_LISTENER_BACKLOG 2048 /* the kernel lowers it to its somaxconn */

/* Binds and listens at once. host: a numeric address or a name, "" for all; port 0: any free one.
 * Borrows loop and ctx until close. */
CLR_NODISCARD int clr_listener_open_tcp(clr_listener_t **out, clr_loop_t *loop, const char *host,
                                        uint16_t port, clr_listener_connection_cb cb, void *ctx,
                                        clr_error_t *err);

/* A socket file left behind by a process that is gone is replaced; one that answers is an error.
 * The file goes when the listener is closed. */
CLR_NODISCARD int clr_listener_open_unix(clr_listener_t **out, clr_loop_t *loop, const char *path,
                                         clr_listener_connection_cb cb, void *ctx,
                                         clr_error_t *err);

/* The port that was bound; 0 for a Unix socket. */
uint16_t clr_listener_port(const clr_listener_t *l);

void clr_listener_close(clr_listener_t *l);
