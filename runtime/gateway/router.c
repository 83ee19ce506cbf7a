/* router.c: see router.h. There are a handful of routes, so that a list is searched. */
#include "gateway/router.h"

#include <stdlib.h>

#include "base/mem.h"
#include "gateway/app_request.h"
#include "gateway/static.h"

typedef struct route {
    clr_list_t node; /* gw->routes */
    clr_str_t path;  /* without a slash at the end */
    const clr_handler_t *handler;
    void *owner;
} route_t;

static clr_str_t without_slash(clr_str_t path)
{
    while (path.n > 0 && path.p[path.n - 1] == '/')
        path.n--;
    return path;
}

/* Whether path is prefix, or lies below it. */
static bool is_below(clr_str_t path, clr_str_t prefix)
{
    return clr_str_starts(path, prefix) && (path.n == prefix.n || path.p[prefix.n] == '/');
}

void clr_router_add(clr_gateway_t *gw, clr_str_t path, const clr_handler_t *handler, void *owner)
{
    route_t *route = clr_xmalloc(sizeof(*route));
    route->path = without_slash(path);
    route->handler = handler;
    route->owner = owner;
    clr_list_push_back(&gw->routes, &route->node);
}

void clr_router_remove(clr_gateway_t *gw, clr_str_t path, const void *owner)
{
    path = without_slash(path);
    clr_list_each(node, &gw->routes)
    {
        route_t *route = clr_container_of(node, route_t, node);
        if (route->owner == owner && clr_str_eq(route->path, path)) {
            clr_list_remove(node);
            free(route);
        }
    }
}

void clr_router_clear(clr_gateway_t *gw)
{
    for (clr_list_t *node; (node = clr_list_pop_front(&gw->routes));)
        free(clr_container_of(node, route_t, node));
}

clr_str_t clr_router_path(const clr_exchange_t *x)
{
    clr_str_t root = without_slash(clr_str_c(x->gw->options.root_path));
    clr_str_t path = x->head->path;
    if (root.n == 0 || !is_below(path, root))
        return path;
    return path.n == root.n ? CLR_STR("/") : clr_str_from(path, root.n);
}

static const route_t *find_route(const clr_gateway_t *gw, clr_str_t path)
{
    const route_t *best = NULL;
    clr_list_each(node, &gw->routes)
    {
        const route_t *route = clr_container_of(node, route_t, node);
        if (is_below(path, route->path) && (!best || route->path.n > best->path.n))
            best = route;
    }
    return best;
}

static void not_found(clr_exchange_t *x)
{
    clr_exchange_error(x, 404, NULL);
}

static const clr_handler_t not_found_handler = {.on_head = not_found};

void clr_router_route(clr_exchange_t *x)
{
    clr_str_t path = clr_router_path(x);
    const route_t *route = find_route(x->gw, path);
    x->ctx = route ? route->owner : NULL;
    if (route)
        x->handler = route->handler;
    else if (clr_static_has(x, path))
        x->handler = &clr_static_handler;
    else if (clr_app_is_known(x->gw))
        x->handler = &clr_app_handler;
    else
        x->handler = &not_found_handler;
    x->kind_ = x->handler->kind;
}
