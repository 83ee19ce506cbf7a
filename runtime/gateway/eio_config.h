/* eio_config.h: what the app (SERVER frame) and the command line say about one Engine.IO server.
 *
 * Threads:  pure functions.
 * Lifetime: clr_eio_config_parse() fills it, clr_eio_config_deinit() frees its strings.
 */
#pragma once

#include "base/error.h"
#include "gateway/gateway.h"

enum clr_eio_cors {
    CLR_EIO_CORS_SAME_ORIGIN, /* null: the host the request came to */
    CLR_EIO_CORS_ANY,         /* "*" */
    CLR_EIO_CORS_LIST,        /* these */
    CLR_EIO_CORS_OFF,         /* []: accept all, send no headers: someone else does it */
    CLR_EIO_CORS_ASK,         /* the app has a callable */
};

typedef struct clr_eio_config {
    char *path; /* "/socket.io": no slash at the end; "" for everything */
    bool is_socketio;
    bool polling, websocket; /* enabled transports */
    bool allow_upgrades;
    bool msgpack;        /* Socket.IO packets are msgpack, not text */
    uint8_t cors;        /* enum clr_eio_cors */
    bool closes_on_loss; /* a worker's death closes its clients; else they move to another one */
    bool takes_turns;    /* a client's handlers run one after another */
    bool accepts_first;  /* clients are in before their connect handlers have run */
    bool cors_credentials;
    bool http_compression;
    uint32_t compression_threshold;
    uint64_t ping_interval_ms;
    uint64_t ping_timeout_ms;
    uint64_t max_payload;
    uint64_t connect_timeout_ms; /* 0 until clr_eio_config_override(): the app did not say */
    char **origins;              /* CLR_EIO_CORS_LIST */
    size_t origin_count;
    char *cookie_name;       /* NULL: no cookie */
    char *cookie_attributes; /* "; path=/; SameSite=Lax" */
} clr_eio_config_t;

/* The JSON of a SERVER frame. On failure *out holds nothing to free. */
CLR_NODISCARD int clr_eio_config_parse(clr_eio_config_t *out, clr_str_t json, clr_error_t *err);
void clr_eio_config_deinit(clr_eio_config_t *config);

/* The command line wins: path (of the app's first Socket.IO server, if this is it), ping times,
 * payload cap, origins. It also fills in the connect timeout where the app gave none. */
void clr_eio_config_override(clr_eio_config_t *config, const clr_gateway_options_t *options,
                             bool first);
