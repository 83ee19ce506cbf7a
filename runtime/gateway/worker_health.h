/* worker_health.h: what a worker's watchdog tells of its loop: how far behind it is, and that it
 * has stopped turning, where, and for how long.
 *
 * The watchdog writes on a stream of its own beside the link, since the link belongs to the very
 * thread that is blocked. What it says is logged, counted, and used to place clients; with
 * --handler-timeout a worker that is blocked for longer is given up.
 *
 *             BLOCKED 1                      the time is up
 *   TURNING ─────────────► BLOCKED ─────────────────────────► GIVEN_UP
 *      ▲       BLOCKED 0      │
 *      └──────────────────────┘
 *
 * Threads:  the loop's.
 * Lifetime: clr_health_open() … clr_health_close(), by the worker it belongs to.
 */
#pragma once

#include "gateway/dispatch.h"

/* Of each of the texts of BLOCKED. */
#define CLR_HEALTH_TEXT_MAX (64u << 10)

typedef struct clr_health clr_health_t;

/* Takes fd, a connected AF_UNIX socket, on success. Borrows w until clr_health_close(). `pid` is
 * for the log. */
CLR_NODISCARD int clr_health_open(clr_health_t **out, clr_gateway_t *gw, clr_worker_t *w, int fd,
                                  int pid);

/* Takes h, which may be NULL. */
void clr_health_close(clr_health_t *h);

/* For the metrics and to choose by; h may be NULL. */
typedef struct clr_health_figures {
    bool blocked;
    uint32_t lag_us;   /* how long the loop lately took to notice what came */
    uint32_t handlers; /* at work, at that time */
} clr_health_figures_t;

clr_health_figures_t clr_health_figures(const clr_health_t *h);
