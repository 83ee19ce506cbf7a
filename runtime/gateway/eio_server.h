/* eio_server.h: the Engine.IO servers that the app declared, and the state their sessions share.
 *
 * Each server has a path, a kind (Socket.IO on top, or messages straight to an EngineServer) and
 * its settings. All workers run the same app, so each of them declares it.
 *
 * Threads:  the loop's.
 * Lifetime: a server lives until the gateway ends.
 */
#pragma once

#include "gateway/eio_config.h"
#include "link/message.h"

#define CLR_EIO_MAX_SERVERS 64

/* Shared by all servers of a gateway. Each scratch buffer is used within one function, or handed to
 * the one it calls; none holds anything from one event to the next. */
typedef struct clr_eio {
    clr_gateway_t *gw;
    clr_flush_t flush;  /* closes the doomed, frees the dead */
    clr_list_t doomed;  /* clr_eio_session_t.end_ */
    clr_list_t dead;    /* clr_eio_session_t.end_ */
    clr_list_t origins; /* requests that wait for ORIGIN_RESULT (eio_origin.c) */
    clr_buf_t headers;  /* of a response */
    clr_buf_t payload;  /* of a polling response, or of a packet for the queue */
    clr_buf_t packet;   /* decoded base64, encoded request heads */
    clr_buf_t head;     /* of a Socket.IO packet */
    clr_buf_t json;     /* of a msgpack packet that came in */
    uint64_t seed;      /* of all maps */
    uint64_t epoch;     /* of the last broadcast (sio_emit.c) */
} clr_eio_t;

struct clr_eio_server {
    clr_list_t node_; /* gw->servers */
    clr_gateway_t *gw;
    clr_eio_t *eio;
    uint16_t number;
    clr_eio_config_t config;
    clr_map_t sessions;   /* sid → clr_eio_session_t */
    clr_map_t namespaces; /* name → clr_sio_nsp_t */
    bool told_origin;     /* the log knows that pages are refused */
};

/* Returns owned. Called by clr_dispatch_init(). */
clr_eio_t *clr_eio_new(clr_gateway_t *gw);

/* Frees servers and sessions. All workers are gone and the loop does not run any more. */
void clr_eio_free(clr_eio_t *eio);

/* Empties a scratch buffer, and gives its memory back when one big message made it big. */
clr_buf_t *clr_eio_scratch(clr_buf_t *b);

/* A SERVER frame: adds to the list what it declares, or how a server's settings change; its path
 * and kind cannot change. What a worker offers counts once the worker serves: code that does not
 * come to that changes nothing. */
CLR_NODISCARD int clr_eio_server_offer(clr_gateway_t *gw, clr_list_t *offers, uint16_t number,
                                       clr_str_t json, clr_error_t *err);

/* What was offered counts now; the list is empty then. Without `updates` it is old code that
 * speaks: it may have servers of its own, and no say about others'. Fails if another worker was
 * first with something that does not go with it. */
CLR_NODISCARD int clr_eio_servers_apply(clr_gateway_t *gw, clr_list_t *offers, bool updates,
                                        clr_error_t *err);

bool clr_eio_server_is_offered(const clr_list_t *offers, uint16_t number);

/* Empties the list. */
void clr_eio_servers_drop(clr_list_t *offers);

/* NULL when no server has that number. */
clr_eio_server_t *clr_eio_server_find(const clr_gateway_t *gw, uint16_t number);

/* Closes every session so that its client reconnects elsewhere; the workers are told. New
 * handshakes are refused from now on. */
void clr_eio_servers_shutdown(clr_gateway_t *gw);

/* Live Engine.IO sessions of all servers. */
size_t clr_eio_servers_session_count(const clr_gateway_t *gw);

/* Requests that waited for this worker's answer are refused. */
void clr_eio_worker_gone(clr_eio_t *eio, clr_worker_t *w);
