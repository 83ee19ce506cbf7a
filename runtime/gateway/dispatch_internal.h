/* dispatch_internal.h: what worker.c, dispatch.c and loans.c share: the record of a worker and the
 * list of all.
 *
 * Threads:  the loop's.
 * Lifetime: as dispatch.h says.
 */
#pragma once

#include "gateway/app_request.h"
#include "gateway/dispatch.h"
#include "gateway/outbox.h"
#include "gateway/refresh.h"
#include "gateway/worker_health.h"
#include "link/arena.h"

struct clr_worker {
    clr_list_t node_;
    clr_gateway_t *gw;
    clr_link_t *link;
    const clr_worker_ops_t *ops;
    void *ctx;
    clr_worker_state_t state;
    unsigned number;
    uint32_t serial;
    uint32_t sockets;
    uint32_t session_count;
    uint64_t served;
    int reason; /* why it went */
    bool hello;
    bool stands_by;
    bool congested;
    clr_health_t *health; /* NULL: nobody watches it */
    clr_outbox_t outbox;
    clr_lane_t lane;     /* what it has of the arena (loans.h) */
    clr_list_t sessions; /* clr_eio_session_t.node_ */
    clr_timer_t recheck;
    clr_list_t requests; /* clr_app_request_t.node_ */
    uint32_t request_count;
    uint64_t clears;   /* how often it was asked */
    bool clear_asked;  /* since it had a client */
    bool is_clear;     /* and has answered */
    uint64_t asked_ms; /* since when it owes credit, or last gave some back */
    bool has_app;
    bool has_served;    /* its folders count */
    clr_list_t folders; /* of its application (folders.h) */
    clr_list_t offers;  /* of servers, until it serves (eio_server.h) */
    clr_refresh_state_t refresh;
};

struct clr_dispatch {
    clr_list_t workers;
    clr_list_t waiting; /* clr_eio_session_t.node_ without a worker */
    clr_slots_t slots;
    uint32_t next_serial;
    struct clr_eio *eio;
};
