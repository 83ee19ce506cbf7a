/* pools.c: see pools.h. */
#include "gateway/pools.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/mem.h"

/* Parsers of a kind that are kept for the next; what a burst took beyond is freed. An HTTP request
 * holds its parser until it is answered, a WebSocket message only until it is whole. */
#define KEEP_HTTP 128
#define KEEP_WS   32

/* The same of what compresses, 260 KiB each, and how many there may be at a time: more than a loop
 * can feed, unless clients are slow. */
#define KEEP_GZIP 4
#define MOST_GZIP 128

struct clr_pools {
    clr_http_limits_t limits;
    clr_http_parser_t *http[KEEP_HTTP];
    clr_ws_parser_t *ws[KEEP_WS];
    unsigned http_count;
    unsigned ws_count;
    unsigned leased;
    clr_gzip_t *gzip[KEEP_GZIP];
    unsigned gzip_count;
    unsigned gzip_leased;
    clr_deflate_t *deflate; /* made when it is first needed */
    clr_buf_t scratch;
};

clr_pools_t *clr_pools_new(const clr_http_limits_t *limits)
{
    clr_pools_t *pools = clr_xcalloc(1, sizeof(*pools));
    pools->limits = *limits;
    pools->limits.body_bytes = UINT64_MAX;
    return pools;
}

void clr_pools_free(clr_pools_t *pools)
{
    if (!pools)
        return;
    CLR_ASSERT(pools->leased == 0);
    while (pools->http_count > 0)
        clr_http_parser_free(pools->http[--pools->http_count]);
    while (pools->ws_count > 0)
        clr_ws_parser_free(pools->ws[--pools->ws_count]);
    CLR_ASSERT(pools->gzip_leased == 0);
    while (pools->gzip_count > 0)
        clr_gzip_free(pools->gzip[--pools->gzip_count]);
    clr_deflate_free(pools->deflate);
    clr_buf_deinit(&pools->scratch);
    free(pools);
}

clr_http_parser_t *clr_pools_take_http(clr_pools_t *pools)
{
    pools->leased++;
    if (pools->http_count > 0)
        return pools->http[--pools->http_count];
    return clr_http_parser_new(&pools->limits);
}

void clr_pools_give_http(clr_pools_t *pools, clr_http_parser_t *parser)
{
    if (!parser)
        return;
    CLR_ASSERT(pools->leased > 0);
    pools->leased--;
    if (pools->http_count == KEEP_HTTP) {
        clr_http_parser_free(parser);
        return;
    }
    clr_http_parser_reset(parser);
    pools->http[pools->http_count++] = parser;
}

clr_ws_parser_t *clr_pools_take_ws(clr_pools_t *pools, bool deflate)
{
    pools->leased++;
    clr_ws_parser_t *parser =
        pools->ws_count > 0 ? pools->ws[--pools->ws_count] : clr_ws_parser_new();
    clr_ws_parser_set_deflate(parser, deflate ? clr_pools_deflate(pools) : NULL);
    return parser;
}

void clr_pools_give_ws(clr_pools_t *pools, clr_ws_parser_t *parser)
{
    if (!parser)
        return;
    CLR_ASSERT(pools->leased > 0);
    pools->leased--;
    if (pools->ws_count == KEEP_WS) {
        clr_ws_parser_free(parser);
        return;
    }
    if (!clr_ws_parser_is_idle(parser))
        clr_ws_parser_reset(parser);
    pools->ws[pools->ws_count++] = parser;
}

clr_gzip_t *clr_pools_take_gzip(clr_pools_t *pools)
{
    if (pools->gzip_leased == MOST_GZIP)
        return NULL;
    clr_gzip_t *gzip = pools->gzip_count > 0 ? pools->gzip[--pools->gzip_count] : clr_gzip_new();
    if (gzip)
        pools->gzip_leased++;
    return gzip;
}

void clr_pools_give_gzip(clr_pools_t *pools, clr_gzip_t *gzip)
{
    if (!gzip)
        return;
    CLR_ASSERT(pools->gzip_leased > 0);
    pools->gzip_leased--;
    if (pools->gzip_count == KEEP_GZIP) {
        clr_gzip_free(gzip);
        return;
    }
    clr_gzip_reset(gzip);
    pools->gzip[pools->gzip_count++] = gzip;
}

clr_deflate_t *clr_pools_deflate(clr_pools_t *pools)
{
    if (!pools->deflate)
        pools->deflate = clr_deflate_new();
    return pools->deflate;
}

clr_buf_t *clr_pools_scratch(clr_pools_t *pools)
{
    return &pools->scratch;
}
