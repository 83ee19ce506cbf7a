/* loans.h: large pieces of request bodies on their way to workers through the arena (link/arena.h).
 *
 * While a gateway has loans, its loop reads clients into the arena. A piece that is lent is not
 * copied here; whatever cannot be lent goes over the link as before. What a worker has, and what
 * becomes of it when the request or the worker is gone, is the business of its lane alone.
 *
 * Threads:  the loop's.
 * Lifetime: clr_loans_open() … clr_loans_close() when all workers are gone.
 */
#pragma once

#include "gateway/dispatch.h"
#include "link/arena.h"

typedef struct clr_loans clr_loans_t;

/* Smaller pieces are copied. */
#define CLR_LOANS_MIN CLR_ARENA_PIECE

/* From now on. Where the system has no such memory everything stays as it is. */
void clr_loans_open(clr_gateway_t *gw);

/* Harmless without. */
void clr_loans_close(clr_gateway_t *gw);

/* The arena's descriptor, for a worker; -1: there is none. Borrowed. */
int clr_loans_fd(const clr_gateway_t *gw);

/* Lends the worker a piece of what was just read: *at is its place. False: it is to be copied. The
 * frame that says so must be the next one to the worker, and go out at once. */
CLR_NODISCARD bool clr_loans_lend(clr_worker_t *w, clr_str_t piece, uint32_t *at);

/* The worker is gone, or going: what it has is back. */
void clr_loans_end(clr_worker_t *w);

/* Pieces that workers have now. */
uint32_t clr_loans_count(const clr_gateway_t *gw);
