/* metrics.h: what the gateway counts, and the page of it that Prometheus reads (docs/metrics.md).
 *
 * The counters are plain integers, so that counting is one addition. How many there are of
 * something is the difference of two of them; what is known elsewhere is looked up when the page is
 * made.
 *
 * Threads: the loop's.
 */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "clrun/frames.h"

struct clr_gateway;
struct clr_worker;

/* Whose the answer to a request is. X(name, label) */
#define CLR_HANDLER_MAP(X)                                                                         \
    X(OTHER, "none")                                                                               \
    X(SOCKETIO, "socketio")                                                                        \
    X(STATIC, "static")                                                                            \
    X(APP, "app")                                                                                  \
    X(ADMIN, "admin")

#define CLR_HANDLER_ENUM(name, label) CLR_HANDLER_##name,
enum clr_handler_kind { CLR_HANDLER_MAP(CLR_HANDLER_ENUM) CLR_HANDLER_KINDS };
#undef CLR_HANDLER_ENUM

/* Reasons count from 1. */
#define CLR_METRICS_ONE_MORE(number, name, text) +1
#define CLR_METRICS_REASONS                      (1 CLR_REASON_MAP(CLR_METRICS_ONE_MORE))

typedef struct clr_metrics {
    uint64_t connections_accepted;
    uint64_t connections_rejected; /* could not be accepted */
    uint64_t connections_closed;
    uint64_t websockets_opened;
    uint64_t websockets_closed;
    uint64_t requests[CLR_HANDLER_KINDS][5]; /* by the first digit of the status, less one */
    uint64_t sessions_opened;
    uint64_t sessions_closed[CLR_METRICS_REASONS];
    uint64_t sockets_opened;
    uint64_t sockets_refused;
    uint64_t sockets_closed[CLR_METRICS_REASONS];
    uint64_t events_sent;      /* Socket.IO events to clients, each receiver counts */
    uint64_t frames_sent[256]; /* to workers, by type */
    uint64_t frames_received[256];
} clr_metrics_t;

static inline void clr_metrics_count_request(clr_metrics_t *m, unsigned kind, int status)
{
    int digit = status / 100;
    m->requests[kind][digit < 1 ? 0 : digit > 5 ? 4 : digit - 1]++;
}

/* While workers are replaced there are several of a number, each in another role. X(name, label) */
#define CLR_WORKER_ROLE_MAP(X)                                                                     \
    X(SERVING, "serving")                                                                          \
    X(NEXT, "next")                                                                                \
    X(LEAVING, "leaving")

#define CLR_WORKER_ROLE_ENUM(name, label) CLR_WORKER_ROLE_##name,
typedef enum clr_worker_role { CLR_WORKER_ROLE_MAP(CLR_WORKER_ROLE_ENUM) } clr_worker_role_t;
#undef CLR_WORKER_ROLE_ENUM

const char *clr_worker_role_name(clr_worker_role_t role);

/* What the supervisor knows of a worker. */
typedef struct clr_worker_status {
    unsigned number;
    clr_worker_role_t role;
    unsigned generation; /* of its code: each deploy that is begun has the next one */
    const char *state;   /* one of clr_worker_states */
    int pid;             /* 0: no process */
    uint64_t age_ms;     /* of the process */
    /* Of the one that serves only. */
    uint64_t restarts;
    uint64_t restart_in_ms;    /* it died, and is started again then */
    bool failing;              /* it died again and again */
    struct clr_worker *worker; /* its link, borrowed; NULL: none */
} clr_worker_status_t;

/* NULL-terminated. */
extern const char *const clr_worker_states[];

/* The resident memory of a process; 0 when there is none. */
uint64_t clr_metrics_memory_of(int pid);

/* The page, in the text format 0.0.4. */
void clr_metrics_append(const struct clr_gateway *gw, const clr_worker_status_t *workers,
                        size_t count, clr_buf_t *out);
