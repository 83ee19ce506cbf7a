/* pools.h: parsers that connections lease while a message is partial, so that idle ones hold none.
 *
 * Threads:  the loop's.
 * Lifetime: clr_pools_new() … free() when all parsers are back.
 */
#pragma once

#include "proto/http.h"
#include "proto/ws.h"

typedef struct clr_pools clr_pools_t;

/* Returns owned; copies limits. The body limit is the exchange's business (http_conn.h). */
clr_pools_t *clr_pools_new(const clr_http_limits_t *limits);
void clr_pools_free(clr_pools_t *pools);

/* A clean parser: the caller's until it is given back. NULL is nothing to give back. */
clr_http_parser_t *clr_pools_take_http(clr_pools_t *pools);
void clr_pools_give_http(clr_pools_t *pools, clr_http_parser_t *parser);

clr_ws_parser_t *clr_pools_take_ws(clr_pools_t *pools);
void clr_pools_give_ws(clr_pools_t *pools, clr_ws_parser_t *parser);
