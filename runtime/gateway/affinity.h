/* affinity.h: which worker serves whom: what belongs together by a key goes to one worker while
 * that lives; all else to the worker with the fewest sessions.
 *
 * A key is a value that a client gives: in the auth object of its Socket.IO CONNECT, in the query,
 * in a cookie or in a header. It is the same key wherever it stands, so that the requests of a page
 * find the worker that has its socket. A key is a worker's as long as a session holds it, and an
 * hour beyond. A client that comes back goes to its worker even if that retires, and moves on from
 * there with what was kept for it.
 *
 * Threads:  the loop's.
 * Lifetime: clr_affinity_new() … clr_affinity_free(). Sessions hold their keys until
 *           clr_affinity_leave().
 */
#pragma once

#include "gateway/dispatch.h"
#include "gateway/http_conn.h"

struct clr_eio_session;

#define CLR_AFFINITY_SOURCES 16
#define CLR_AFFINITY_KEY_MAX 256 /* bytes of a key: a longer one is none */

/* Keys that no session holds: how many, and for how long, in ms. */
#define CLR_AFFINITY_IDLE_MAX 65536
#define CLR_AFFINITY_IDLE_MS  (60 * 60 * 1000) /* as a chat waits for its page by default */

/* Where keys are looked for, in this order. Names are views into the text that was parsed. */
typedef struct clr_affinity_keys {
    struct clr_affinity_source {
        uint8_t kind;
        clr_str_t name;
    } list[CLR_AFFINITY_SOURCES];
    size_t count;
} clr_affinity_keys_t;

/* "auth:sessionId,query:session_id,cookie:sid,header:x-session", or "" for none. Borrows list. */
CLR_NODISCARD int clr_affinity_keys_parse(clr_affinity_keys_t *out, const char *list,
                                          clr_error_t *err);

typedef struct clr_affinity clr_affinity_t;

/* Returns owned. Borrows keys, which may be NULL: none. */
clr_affinity_t *clr_affinity_new(clr_gateway_t *gw, const clr_affinity_keys_t *keys);
void clr_affinity_free(clr_affinity_t *a);

/* The ready worker that a key of the session belongs to, else for a new session the retiring one,
 * else the ready one with the fewest sessions; NULL when there is none. */
clr_worker_t *clr_affinity_choose(const struct clr_eio_session *s);

/* The session's keys are its worker's from now on. */
void clr_affinity_bind(struct clr_eio_session *s);

/* The session is over. */
void clr_affinity_leave(struct clr_eio_session *s);

/* The ready worker that a key of the request belongs to, or NULL. */
clr_worker_t *clr_affinity_find(clr_gateway_t *gw, const clr_exchange_t *x);

/* A worker answers with these headers, names and values in turn. One that keys are looked for in
 * gives out a new key of that worker's. */
void clr_affinity_learn(clr_gateway_t *gw, const clr_worker_t *w, clr_strs_t headers);

/* Keys that are known. */
size_t clr_affinity_count(const clr_gateway_t *gw);
