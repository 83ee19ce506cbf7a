/* refresh.h: new code for workers that go on (--watch): asks each to load the app anew, gathers
 * what they say, and tells the log and the clients.
 *
 * Refreshes are numbered. A worker has one under way at most; files that are saved meanwhile give
 * the next number, for which the worker is asked as soon as it has answered. So a worker that is
 * blocked keeps no other from its new code. What is reported is the last number.
 *
 * Clients hear of it by the event `clrun:refresh` in the namespace "/" of each Socket.IO server:
 * {"ok": true, "files": […]} or {"ok": false, "file": …, "line": …, "text": …}.
 *
 * Threads:  the loop's.
 * Lifetime: clr_refresh_open() … clr_refresh_close(); without it a worker's frames are an error.
 */
#pragma once

#include "gateway/dispatch.h"

typedef struct clr_refresh clr_refresh_t;

/* What the dispatcher keeps with each worker. */
typedef struct clr_refresh_state {
    uint32_t asked;    /* the last number of a REFRESH */
    uint32_t answered; /* and of a REFRESHED: the same when none is under way */
} clr_refresh_state_t;

typedef struct clr_refresh_ops {
    /* The app has modules in this directory (borrowed, absolute), the first read at `since_ns`. */
    void (*on_sources)(clr_str_t directory, uint64_t since_ns, void *ctx);
} clr_refresh_ops_t;

/* Borrows ops and ctx until clr_refresh_close(). */
void clr_refresh_open(clr_gateway_t *gw, const clr_refresh_ops_t *ops, void *ctx);
void clr_refresh_close(clr_gateway_t *gw);

/* These files (borrowed; total may be more than count) are not as they were. */
void clr_refresh_begin(clr_gateway_t *gw, const clr_str_t *files, size_t count, size_t total);

/* That will be called soon: a refresh that fails now may have met a file that is half saved, and is
 * not reported. */
void clr_refresh_expect(clr_gateway_t *gw);

/* The same where new workers take over instead: none is asked, and what comes of it is told by
 * clr_refresh_conclude(); text says what is wrong and is in the log already. */
void clr_refresh_begin_elsewhere(clr_gateway_t *gw, const clr_str_t *files, size_t count,
                                 size_t total);
void clr_refresh_conclude(clr_gateway_t *gw, bool ok, clr_str_t text);

/* ---- for the dispatcher ---- */

/* SOURCES and REFRESHED. 0 or CLR_EPROTO. */
CLR_NODISCARD int clr_refresh_frame(clr_gateway_t *gw, clr_worker_t *w, const clr_frame_t *frame);

/* Nobody waits for its answer any more. */
void clr_refresh_worker_gone(clr_gateway_t *gw);
