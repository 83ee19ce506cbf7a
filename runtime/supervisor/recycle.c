/* recycle.c: see recycle.h. */
#include "supervisor/recycle.h"

#include "base/log.h"
#include "base/random.h"
#include "gateway/metrics.h"
#include "supervisor/pool_internal.h"

#define LOG "worker"

#define CHECK_MS 1000

/* A place gets no other worker before that: a limit that every worker exceeds is no loop. */
#define AGAIN_MS 60000

/* Workers that started together do not become old together: up to a tenth later. */
static uint64_t age_limit(const clr_place_t *place)
{
    uint64_t limit = place->pool->options.worker_max_age_ms;
    return limit + limit * place->age_jitter / 10 / UINT8_MAX;
}

/* Why it is to be replaced, or NULL. */
static const char *find_reason(const clr_place_t *place, uint64_t now)
{
    const clr_pool_options_t *o = &place->pool->options;
    const clr_process_t *p = place->now;
    if (!p || clr_process_state(p) != CLR_PROCESS_READY || !clr_process_worker(p))
        return NULL;
    if (o->max_sessions_per_worker > 0 &&
        clr_worker_served(clr_process_worker(p)) >= o->max_sessions_per_worker)
        return "--max-sessions-per-worker";
    if (o->worker_max_age_ms > 0 && now - clr_process_ready_since(p) >= age_limit(place))
        return "--worker-max-age";
    if (o->worker_max_rss > 0 && clr_metrics_memory_of(clr_process_pid(p)) > o->worker_max_rss)
        return "--worker-max-rss";
    return NULL;
}

static void check(clr_pool_t *pool)
{
    uint64_t now = clr_loop_now(pool->gw->loop);
    for (unsigned i = 0; i < pool->options.workers; i++) {
        clr_place_t *place = &pool->places[i];
        const char *why = now >= place->recycle_after_ms ? find_reason(place, now) : NULL;
        if (!why || !clr_replace_one(pool, i, why))
            continue;
        place->recycle_after_ms = now + AGAIN_MS;
        place->age_jitter = (uint8_t)clr_random_u64();
        return;
    }
}

static void on_timer(clr_timer_t *t)
{
    clr_recycle_t *r = clr_container_of(t, clr_recycle_t, timer);
    clr_pool_t *pool = clr_container_of(r, clr_pool_t, recycle);
    check(pool);
    clr_loop_timer_start(pool->gw->loop, t, CHECK_MS);
}

void clr_recycle_init(clr_pool_t *pool)
{
    clr_timer_init(&pool->recycle.timer, on_timer);
}

void clr_recycle_start(clr_pool_t *pool)
{
    const clr_pool_options_t *o = &pool->options;
    for (unsigned i = 0; i < o->workers; i++)
        pool->places[i].age_jitter = (uint8_t)clr_random_u64();
    if (o->max_sessions_per_worker > 0 || o->worker_max_age_ms > 0 || o->worker_max_rss > 0)
        clr_loop_timer_start(pool->gw->loop, &pool->recycle.timer, CHECK_MS);
}

void clr_recycle_stop(clr_pool_t *pool)
{
    clr_timer_stop(&pool->recycle.timer);
}
