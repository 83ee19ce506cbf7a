/* gateway.h: the gateway's context, from which all its state hangs, and its options.
 *
 * Threads:  the loop's.
 * Lifetime: clr_gateway_init() … clr_gateway_deinit() after the loop has ended.
 */
#pragma once

#include "base/error.h"
#include "base/list.h"
#include "base/map.h"
#include "base/slots.h"
#include "gateway/capacity.h"
#include "gateway/folders.h"
#include "gateway/metrics.h"
#include "gateway/trim.h"
#include "net/loop.h"
#include "proto/http.h"

typedef struct clr_gateway clr_gateway_t;
typedef struct clr_worker clr_worker_t;
typedef struct clr_eio_server clr_eio_server_t;

/* Filled by the command line (cli/options.h). Strings are borrowed for the gateway's life. */
typedef struct clr_gateway_options {
    const char *root_path;         /* "" or "/prefix": stripped before routing */
    const struct clr_proxy *proxy; /* whose word on the client counts (proxy.h); NULL: nobody's */
    const char *public_dir;        /* files under /public; NULL: none */
    const char *socketio_path; /* overrides the path of the ready server; NULL: as the app says */
    const char
        *cors_allowed_origins; /* overrides: "*" or a comma-separated list; NULL: as the app says */
    uint64_t ping_interval_ms; /* 0: as the app says */
    uint64_t ping_timeout_ms;  /* 0: as the app says */
    uint64_t max_payload;      /* 0: as the app says */
    size_t max_buffered;       /* queued output of one client, then it is disconnected */
    uint64_t connect_timeout_ms; /* Socket.IO: to the first CONNECT */
    clr_http_limits_t http;
    /* Of HTTP; 0: no limit. */
    uint64_t header_timeout_ms; /* first byte to end of head */
    uint64_t body_timeout_ms;   /* between two pieces of a body */
    uint64_t idle_timeout_ms;   /* keep-alive */
    uint64_t graceful_timeout_ms;
    /* Of the application's requests and WebSockets (app_request.h). */
    uint64_t limit_concurrency;   /* at once; beyond: 503. 0: no limit */
    uint64_t ws_ping_interval_ms; /* 0: no pings */
    uint64_t ws_ping_timeout_ms;
    size_t ws_max_size;
    uint64_t handler_timeout_ms; /* a worker that is blocked for longer is given up; 0: never */
    bool access_log;
    bool ws_deflate; /* permessage-deflate, when a client offers it */
    bool gzip;       /* response bodies, where that pays and the client takes it */
    const struct clr_affinity_keys *affinity; /* where keys are looked for; NULL: nowhere */
    uint16_t node_tag;
} clr_gateway_options_t;

struct clr_gateway {
    clr_loop_t *loop;
    clr_gateway_options_t options;
    clr_metrics_t metrics;
    bool ready;                    /* the workers are: requests are read */
    bool draining;                 /* shutting down: nothing new */
    clr_capacity_t capacity;       /* of client connections */
    clr_trim_t trim;               /* memory, once much is no longer used */
    clr_list_t conns;              /* all HTTP connections (http_conn.c) */
    clr_list_t waiting;            /* accepted before ready */
    clr_list_t ws_conns;           /* all WebSocket connections (ws_conn.c) */
    clr_list_t routes;             /* who answers which path (router.c) */
    struct clr_pools *pools;       /* parsers to lease (pools.h) */
    clr_list_t servers;            /* clr_eio_server_t (eio_server.h), in order of declaration */
    struct clr_affinity *affinity; /* keys and their workers (affinity.h) */
    struct clr_dispatch *dispatch; /* workers, credit and queues (dispatch.h) */
    struct clr_app_requests *app;  /* requests that the application answers (app_request.h) */
    clr_folders_t folders;         /* of the application, whose files static.c serves */
    struct clr_loans *loans;       /* what workers have of the arena (loans.h); NULL: no arena */
    struct clr_refresh *refresh;   /* new code in workers that go on (refresh.h); NULL: none */
};

void clr_gateway_init(clr_gateway_t *gw, clr_loop_t *loop, const clr_gateway_options_t *options);
void clr_gateway_deinit(clr_gateway_t *gw);

/* The workers are ready: start reading the connections that wait. */
void clr_gateway_set_ready(clr_gateway_t *gw);

/* Graceful end, first step: idle HTTP connections close, busy ones after their response. The owner
 * closes the listeners before, and the sessions (eio_server.h) along with it. */
void clr_gateway_drain(clr_gateway_t *gw);

/* Last step: drops every client connection that is left. */
void clr_gateway_kill_clients(clr_gateway_t *gw);

/* No client connection is left. */
bool clr_gateway_is_idle(const clr_gateway_t *gw);
