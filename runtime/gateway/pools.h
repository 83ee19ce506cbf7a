/* pools.h: parsers that connections lease while a message is partial, so that idle ones hold none,
 * what compresses response bodies, and the codec that all compressed WebSockets share.
 *
 * Threads:  the loop's.
 * Lifetime: clr_pools_new() … free() when all parsers are back.
 */
#pragma once

#include "proto/gzip.h"
#include "proto/http.h"
#include "proto/ws.h"

typedef struct clr_pools clr_pools_t;

/* Returns owned; copies limits. The body limit is the exchange's business (http_conn.h). */
clr_pools_t *clr_pools_new(const clr_http_limits_t *limits);
void clr_pools_free(clr_pools_t *pools);

/* A clean parser: the caller's until it is given back. NULL is nothing to give back. */
clr_http_parser_t *clr_pools_take_http(clr_pools_t *pools);
void clr_pools_give_http(clr_pools_t *pools, clr_http_parser_t *parser);

/* deflate: compressed messages are allowed. */
clr_ws_parser_t *clr_pools_take_ws(clr_pools_t *pools, bool deflate);
void clr_pools_give_ws(clr_pools_t *pools, clr_ws_parser_t *parser);

/* NULL when too many responses are being compressed already, or without memory. */
clr_gzip_t *clr_pools_take_gzip(clr_pools_t *pools);
void clr_pools_give_gzip(clr_pools_t *pools, clr_gzip_t *gzip);

/* Return borrowed. */
clr_deflate_t *clr_pools_deflate(clr_pools_t *pools);

/* Room for one message; its contents are whose they were last, within a call. */
clr_buf_t *clr_pools_scratch(clr_pools_t *pools);
