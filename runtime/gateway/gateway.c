/* gateway.c: see gateway.h. */
#include "gateway/gateway.h"

#include "base/assert.h"
#include "gateway/affinity.h"
#include "gateway/app_request.h"
#include "gateway/dispatch.h"
#include "gateway/http_conn.h"
#include "gateway/loans.h"
#include "gateway/pools.h"
#include "gateway/router.h"
#include "gateway/ws_conn.h"

void clr_gateway_init(clr_gateway_t *gw, clr_loop_t *loop, const clr_gateway_options_t *options)
{
    *gw = (clr_gateway_t){.loop = loop, .options = *options};
    clr_trim_init(&gw->trim, loop, &gw->capacity);
    clr_list_init(&gw->conns);
    clr_list_init(&gw->waiting);
    clr_list_init(&gw->ws_conns);
    clr_list_init(&gw->routes);
    clr_list_init(&gw->servers);
    clr_folders_init(&gw->folders);
    gw->pools = clr_pools_new(&gw->options.http);
    gw->app = clr_app_requests_new(gw);
    gw->affinity = clr_affinity_new(gw, gw->options.affinity);
    clr_dispatch_init(gw);
}

void clr_gateway_deinit(clr_gateway_t *gw)
{
    CLR_ASSERT(clr_gateway_is_idle(gw));
    clr_dispatch_deinit(gw);
    clr_loans_close(gw);
    clr_affinity_free(gw->affinity);
    clr_app_requests_free(gw->app);
    clr_folders_deinit(&gw->folders);
    clr_router_clear(gw);
    clr_pools_free(gw->pools);
    clr_trim_deinit(&gw->trim);
}

void clr_gateway_set_ready(clr_gateway_t *gw)
{
    gw->ready = true;
    clr_http_conns_start(gw);
}

void clr_gateway_drain(clr_gateway_t *gw)
{
    gw->draining = true;
    clr_app_shutdown(gw);
    clr_http_conns_drain(gw);
}

void clr_gateway_kill_clients(clr_gateway_t *gw)
{
    clr_ws_conns_kill(gw, "shutting down");
    clr_http_conns_kill(gw);
}

bool clr_gateway_is_idle(const clr_gateway_t *gw)
{
    return clr_list_is_empty(&gw->conns) && clr_list_is_empty(&gw->waiting) &&
           clr_list_is_empty(&gw->ws_conns);
}
