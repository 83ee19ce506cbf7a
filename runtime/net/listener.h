/* listener.h: a listening socket: TCP (IPv4, IPv6), a Unix socket path, or one that was inherited.
 *
 * Threads:  the loop's.
 * Lifetime: after an open succeeded clr_listener_close() must be called; the memory goes away in
 * the loop by itself. If open fails nothing is to be closed.
 */
#pragma once

#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"
#include "net/loop.h"
#include "net/tls_context.h"

typedef struct clr_listener clr_listener_t;

/* A connection waits: accept it here (clr_stream_accept with this handle). False if it was not
 * accepted: the listener stands still until clr_listener_retry(). */
typedef bool (*clr_listener_connection_cb)(uv_stream_t *handle, void *ctx);

#define CLR_LISTENER_BACKLOG 2048 /* the kernel lowers it to its somaxconn */

/* Where to listen. */
typedef struct clr_listener_spec {
    enum { CLR_LISTENER_TCP, CLR_LISTENER_UNIX, CLR_LISTENER_FD } kind;
    const char *host;       /* TCP: a name or a numeric address, in brackets or not; "" for all */
    uint16_t port;          /* TCP; 0: any free one */
    bool ipv6_only;         /* TCP: "::" leaves IPv4 to another listener */
    const char *path;       /* UNIX */
    mode_t mode;            /* UNIX: who may connect; 0: as the umask says */
    int fd;                 /* FD: a listening stream socket; taken on success */
    int backlog;            /* 0: CLR_LISTENER_BACKLOG */
    clr_tls_context_t *tls; /* borrowed until the last of its streams is closed; NULL: none */
} clr_listener_spec_t;

/* Binds and listens at once. Borrows loop and ctx until close.
 *
 * A Unix socket file left behind by a process that is gone is replaced; one that answers is an
 * error. The file goes when the listener is closed, unless the socket was inherited. */
CLR_NODISCARD int clr_listener_open(clr_listener_t **out, clr_loop_t *loop,
                                    const clr_listener_spec_t *spec, clr_listener_connection_cb cb,
                                    void *ctx, clr_error_t *err);

/* The same for an address or a path, and no more wishes. */
CLR_NODISCARD int clr_listener_open_tcp(clr_listener_t **out, clr_loop_t *loop, const char *host,
                                        uint16_t port, clr_listener_connection_cb cb, void *ctx,
                                        clr_error_t *err);
CLR_NODISCARD int clr_listener_open_unix(clr_listener_t **out, clr_loop_t *loop, const char *path,
                                         clr_listener_connection_cb cb, void *ctx,
                                         clr_error_t *err);

/* The port that was bound; 0 for a Unix socket. */
uint16_t clr_listener_port(const clr_listener_t *l);

/* Appends "http://127.0.0.1:8000", "https://[::1]:443" or "unix:/run/app.sock". A name stays the
 * name that was given. */
void clr_listener_url(const clr_listener_t *l, clr_buf_t *out);

/* Offers the connection that was not accepted once more, if there is one. */
void clr_listener_retry(clr_listener_t *l);

void clr_listener_close(clr_listener_t *l);
