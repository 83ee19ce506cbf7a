/* dispatch.c: all workers, the handles of what they own, and who gets what is new. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/mem.h"
#include "gateway/dispatch_internal.h"
#include "gateway/eio_server.h"

/* A worker that has given back no credit for so long is busy with something: what came after may go
 * to another. */
#define SILENT_MS 50

void clr_dispatch_init(clr_gateway_t *gw)
{
    struct clr_dispatch *d = clr_xcalloc(1, sizeof(*d));
    clr_list_init(&d->workers);
    clr_list_init(&d->waiting);
    clr_slots_init(&d->slots);
    d->next_serial = 1;
    gw->dispatch = d;
    d->eio = clr_eio_new(gw);
}

void clr_dispatch_deinit(clr_gateway_t *gw)
{
    struct clr_dispatch *d = gw->dispatch;
    if (!d)
        return;
    CLR_ASSERT(clr_list_is_empty(&d->workers));
    clr_eio_free(d->eio);
    clr_slots_deinit(&d->slots);
    free(d);
    gw->dispatch = NULL;
}

struct clr_eio *clr_dispatch_eio(const clr_gateway_t *gw)
{
    return gw->dispatch->eio;
}

/* ---- handles ---- */

uint64_t clr_dispatch_add(clr_gateway_t *gw, clr_object_t *object)
{
    CLR_ASSERT(object->kind != 0);
    return clr_slots_add(&gw->dispatch->slots, object);
}

void clr_dispatch_remove(clr_gateway_t *gw, uint64_t handle)
{
    clr_slots_remove(&gw->dispatch->slots, handle);
}

void *clr_dispatch_find(const clr_gateway_t *gw, uint64_t handle, enum clr_object_kind kind)
{
    clr_object_t *object = clr_slots_get(&gw->dispatch->slots, handle);
    return object && object->kind == kind ? object : NULL;
}

/* ---- workers ---- */

void clr_dispatch_wait(clr_gateway_t *gw, clr_list_t *session)
{
    clr_list_remove(session);
    clr_list_push_back(&gw->dispatch->waiting, session);
}

clr_worker_t *clr_dispatch_next(const clr_gateway_t *gw, const clr_worker_t *w)
{
    clr_list_t *all = &gw->dispatch->workers;
    clr_list_t *node = w ? w->node_.next : all->next;
    for (; node != all; node = node->next) {
        clr_worker_t *next = clr_container_of(node, clr_worker_t, node_);
        if (next->hello && next->state < CLR_WORKER_STOPPING)
            return next;
    }
    return NULL;
}

clr_worker_t *clr_dispatch_worker(const clr_gateway_t *gw, uint32_t serial)
{
    clr_list_each(node, &gw->dispatch->workers)
    {
        clr_worker_t *w = clr_container_of(node, clr_worker_t, node_);
        if (w->serial == serial && w->state != CLR_WORKER_GONE)
            return w;
    }
    return NULL;
}

static bool keeps_up(const clr_worker_t *w)
{
    return !w->congested && !clr_health_figures(w->health).blocked;
}

/* Those that keep up come first. */
static bool is_better(const clr_worker_t *a, const clr_worker_t *b)
{
    if (keeps_up(a) != keeps_up(b))
        return keeps_up(a);
    if (a->session_count != b->session_count)
        return a->session_count < b->session_count;
    return clr_health_figures(a->health).lag_us < clr_health_figures(b->health).lag_us;
}

clr_worker_t *clr_dispatch_choose(clr_gateway_t *gw)
{
    clr_worker_t *best = NULL;
    clr_list_each(node, &gw->dispatch->workers)
    {
        clr_worker_t *w = clr_container_of(node, clr_worker_t, node_);
        if (w->state == CLR_WORKER_READY && (!best || is_better(w, best)))
            best = w;
    }
    return best;
}

uint32_t clr_dispatch_ready_count(const clr_gateway_t *gw)
{
    uint32_t count = 0;
    clr_list_each(node, &gw->dispatch->workers)
    {
        if (clr_container_of(node, clr_worker_t, node_)->state == CLR_WORKER_READY)
            count++;
    }
    return count;
}

/* ---- requests of the application ---- */

static bool takes_new_requests(const clr_worker_t *w)
{
    return w->state == CLR_WORKER_READY && w->has_app;
}

static bool is_silent(const clr_worker_t *w)
{
    return clr_outbox_is_owed(&w->outbox) && clr_loop_now(w->gw->loop) - w->asked_ms > SILENT_MS;
}

static bool has_less_to_do(const clr_worker_t *a, const clr_worker_t *b)
{
    if (a->request_count != b->request_count)
        return a->request_count < b->request_count;
    return a->sockets < b->sockets;
}

clr_worker_t *clr_dispatch_choose_app(const clr_gateway_t *gw)
{
    clr_worker_t *best = NULL;
    clr_list_each(node, &gw->dispatch->workers)
    {
        clr_worker_t *w = clr_container_of(node, clr_worker_t, node_);
        if (!takes_new_requests(w) || !keeps_up(w) || !clr_outbox_is_open(&w->outbox) ||
            is_silent(w))
            continue;
        if (!best || has_less_to_do(w, best))
            best = w;
    }
    return best;
}

bool clr_dispatch_has_app_worker(const clr_gateway_t *gw)
{
    clr_list_each(node, &gw->dispatch->workers)
    {
        if (takes_new_requests(clr_container_of(node, clr_worker_t, node_)))
            return true;
    }
    return false;
}
