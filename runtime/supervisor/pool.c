/* pool.c: the places of the workers: their first start, and what follows a death. */
#include "supervisor/pool.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "clrun/exit.h"
#include "supervisor/pool_internal.h"

#define LOG "worker"

#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 5000
#define HEALTHY_MS     60000 /* ready for so long: the back-off is forgotten */
#define FAILED_KILL_MS 2000  /* a worker that said that the app cannot be loaded */

#define FAILING_MS (BACKOFF_MIN_MS * 4) /* the pause after three deaths in a row */

static bool is_over(const clr_place_t *place)
{
    return !place->now && !place->next && !clr_timer_is_active(&place->restart);
}

void clr_pool_check_stopped(clr_pool_t *pool)
{
    if (!pool->stopping || pool->stopped || !clr_list_is_empty(&pool->leaving) || pool->zygotes > 0)
        return;
    for (unsigned i = 0; i < pool->options.workers; i++) {
        if (!is_over(&pool->places[i]))
            return;
    }
    clr_loop_timer_start(pool->gw->loop, &pool->stopped_timer, 0);
}

static void on_all_stopped(clr_timer_t *t)
{
    clr_pool_t *pool = clr_container_of(t, clr_pool_t, stopped_timer);
    if (pool->stopped)
        return;
    pool->stopped = true;
    pool->ops->on_stopped(pool, pool->ctx);
}

/* ---- the zygote ---- */

static void on_zygote_closed(void *ctx)
{
    clr_pool_t *pool = ctx;
    pool->zygotes--;
    clr_pool_check_stopped(pool);
}

clr_zygote_t *clr_pool_start_zygote(clr_pool_t *pool)
{
    if (!pool->options.preload)
        return NULL;
    clr_zygote_t *z = clr_zygote_start(pool->gw->loop, &pool->options, on_zygote_closed, pool);
    pool->zygotes += z != NULL;
    return z;
}

void clr_pool_drop_zygote(clr_zygote_t **z)
{
    clr_zygote_t *old = *z;
    *z = NULL;
    if (old)
        clr_zygote_unref(old);
}

clr_zygote_t *clr_pool_zygote(clr_pool_t *pool)
{
    if (pool->zygote && !clr_zygote_is_up(pool->zygote))
        clr_pool_drop_zygote(&pool->zygote);
    if (!pool->zygote)
        pool->zygote = clr_pool_start_zygote(pool);
    return pool->zygote;
}

/* ---- starting ---- */

static void start(clr_place_t *place)
{
    clr_pool_t *pool = place->pool;
    const clr_process_role_t role = {place->number, pool->generation, clr_pool_zygote(pool), false};
    place->now = clr_process_start(pool->gw, &pool->options, &role, &clr_pool_process_ops, place);
}

static void on_restart(clr_timer_t *t)
{
    clr_place_t *place = clr_container_of(t, clr_place_t, restart);
    place->restarts++;
    start(place);
}

/* The worker that said why exits by itself; what the others would say is the same. */
static void fail(clr_pool_t *pool, const clr_place_t *failed, int status, clr_str_t text)
{
    if (pool->failed || pool->stopping)
        return;
    pool->failed = pool->stopping = true;
    clr_replace_stop(pool, 0);
    clr_pool_drop_zygote(&pool->zygote);
    for (unsigned i = 0; i < pool->options.workers; i++) {
        clr_place_t *place = &pool->places[i];
        clr_timer_stop(&place->restart);
        if (place->now && place != failed)
            clr_process_kill(place->now);
        else if (place->now)
            clr_process_expect_exit(place->now, FAILED_KILL_MS);
    }
    pool->ops->on_failed(pool, status, text, pool->ctx);
    clr_pool_check_stopped(pool);
}

/* ---- a death ---- */

static bool was_healthy(const clr_process_t *p)
{
    uint64_t since = clr_process_ready_since(p);
    return since && clr_loop_now(clr_process_loop(p)) - since >= HEALTHY_MS;
}

static void schedule_restart(clr_place_t *place, const clr_process_t *dead, const char *end)
{
    if (was_healthy(dead) || !place->backoff_ms)
        place->backoff_ms = BACKOFF_MIN_MS;
    clr_log_error(LOG, "worker %u (pid %d) %s; its next start is in %u ms", place->number,
                  clr_process_last_pid(dead), end, (unsigned)place->backoff_ms);
    clr_loop_timer_start(place->pool->gw->loop, &place->restart, place->backoff_ms);
    place->backoff_ms =
        place->backoff_ms * 2 < BACKOFF_MAX_MS ? place->backoff_ms * 2 : BACKOFF_MAX_MS;
}

static void on_gone(clr_process_t *p, void *ctx)
{
    clr_place_t *place = ctx;
    clr_pool_t *pool = place->pool;
    char end[160], text[256];
    if (p == place->next) {
        clr_replace_on_gone(pool, place->number - 1);
        return;
    }
    CLR_ASSERT(p == place->now);
    place->now = NULL;
    clr_process_describe_end(p, end, sizeof(end));
    if (pool->stopping) {
        clr_process_free(p);
        clr_pool_check_stopped(pool);
    } else if (place->was_ready) {
        schedule_restart(place, p, end);
        clr_process_free(p);
    } else {
        int status = clr_process_spawn_error(p) ? CLR_EXIT_RUNTIME : CLR_EXIT_APP;
        clr_process_free(p);
        snprintf(text, sizeof(text), "worker %u %s before the app was loaded", place->number, end);
        fail(pool, place, status, clr_str_c(text));
    }
}

/* ---- what the worker says ---- */

static bool all_were_ready(const clr_pool_t *pool)
{
    for (unsigned i = 0; i < pool->options.workers; i++) {
        if (!pool->places[i].was_ready)
            return false;
    }
    return true;
}

static void on_ready(clr_process_t *p, void *ctx)
{
    clr_place_t *place = ctx;
    clr_pool_t *pool = place->pool;
    if (p == place->next) {
        clr_replace_on_ready(pool);
        return;
    }
    if (place->backoff_ms)
        clr_log_info(LOG, "worker %u (pid %d) is ready again", place->number, clr_process_pid(p));
    pool->last_failure = 0;
    place->was_ready = true;
    if (!pool->started && all_were_ready(pool)) {
        pool->started = true;
        pool->ops->on_ready(pool, pool->ctx);
        clr_replace_on_started(pool);
        clr_recycle_start(pool);
    }
}

static void on_failed(clr_process_t *p, uint8_t kind, clr_str_t text, void *ctx)
{
    clr_place_t *place = ctx;
    clr_pool_t *pool = place->pool;
    if (pool->stopping)
        return;
    if (p == place->next) {
        clr_replace_on_failed(pool, p, text);
        return;
    }
    if (!place->was_ready) {
        fail(pool, place, kind == CLR_FAILED_NOT_FOUND ? CLR_EXIT_USAGE : CLR_EXIT_APP, text);
        return;
    }
    uint64_t hash = clr_hash(text, 0);
    if (hash == pool->last_failure)
        clr_log_error(LOG, "worker %u: the app still cannot be loaded", place->number);
    else
        clr_log_text(CLR_LOG_ERROR, LOG, text);
    pool->last_failure = hash;
}

const clr_process_ops_t clr_pool_process_ops = {on_ready, on_failed, on_gone};

/* ---- life ---- */

clr_pool_t *clr_pool_new(clr_gateway_t *gw, const clr_pool_options_t *options,
                         const clr_pool_ops_t *ops, void *ctx)
{
    CLR_ASSERT(options->workers > 0);
    clr_pool_t *pool = clr_xcalloc(1, sizeof(*pool) + options->workers * sizeof(clr_place_t));
    pool->gw = gw;
    pool->options = *options;
    pool->ops = ops;
    pool->ctx = ctx;
    pool->generation = pool->generations = 1;
    clr_timer_init(&pool->stopped_timer, on_all_stopped);
    clr_replace_init(pool);
    clr_recycle_init(pool);
    for (unsigned i = 0; i < options->workers; i++) {
        clr_place_t *place = &pool->places[i];
        place->pool = pool;
        place->number = i + 1;
        clr_timer_init(&place->restart, on_restart);
    }
    return pool;
}

void clr_pool_free(clr_pool_t *pool)
{
    if (!pool)
        return;
    for (unsigned i = 0; i < pool->options.workers; i++)
        CLR_ASSERT(is_over(&pool->places[i]));
    CLR_ASSERT(clr_list_is_empty(&pool->leaving) && pool->zygotes == 0);
    clr_timer_stop(&pool->stopped_timer);
    clr_recycle_stop(pool);
    clr_timer_stop(&pool->replace.deadline);
    free(pool);
}

void clr_pool_start(clr_pool_t *pool)
{
    for (unsigned i = 0; i < pool->options.workers; i++)
        start(&pool->places[i]);
}

void clr_pool_stop(clr_pool_t *pool, uint64_t grace_ms)
{
    if (pool->stopping)
        return;
    pool->stopping = true;
    clr_replace_stop(pool, grace_ms);
    clr_pool_drop_zygote(&pool->zygote);
    for (unsigned i = 0; i < pool->options.workers; i++) {
        clr_place_t *place = &pool->places[i];
        clr_timer_stop(&place->restart);
        if (place->now)
            clr_process_stop(place->now, grace_ms);
    }
    clr_pool_check_stopped(pool);
}

void clr_pool_kill(clr_pool_t *pool)
{
    clr_pool_stop(pool, 0);
    clr_replace_kill(pool);
    for (unsigned i = 0; i < pool->options.workers; i++) {
        if (pool->places[i].now)
            clr_process_kill(pool->places[i].now);
    }
}

/* ---- what there is to know ---- */

static void get_place(const clr_place_t *place, clr_worker_status_t *out)
{
    const clr_process_t *p = place->now;
    uint64_t now = clr_loop_now(place->pool->gw->loop);
    if (p) {
        clr_process_get_status(p, out);
    } else {
        bool waits = clr_timer_is_active(&place->restart);
        *out = (clr_worker_status_t){.number = place->number,
                                     .generation = place->pool->generation,
                                     .state = waits ? "waiting" : "gone"};
        if (waits && place->restart.deadline > now)
            out->restart_in_ms = place->restart.deadline - now;
    }
    out->role = CLR_WORKER_ROLE_SERVING;
    out->restarts = place->restarts;
    out->failing = !(p && was_healthy(p)) && place->backoff_ms > FAILING_MS;
}

/* Those of the places, those that shall take over, those that were replaced. */
bool clr_pool_worker_status(const clr_pool_t *pool, size_t index, clr_worker_status_t *out)
{
    size_t workers = pool->options.workers;
    if (index < workers) {
        get_place(&pool->places[index], out);
        return true;
    }
    index -= workers;
    for (size_t i = 0; i < workers; i++) {
        const clr_process_t *next = pool->places[i].next;
        if (next && index-- == 0) {
            clr_process_get_status(next, out);
            out->role = CLR_WORKER_ROLE_NEXT;
            return true;
        }
    }
    clr_list_each(node, &pool->leaving)
    {
        if (index-- == 0) {
            clr_process_get_status(clr_container_of(node, clr_leaving_t, node_)->process, out);
            out->role = CLR_WORKER_ROLE_LEAVING;
            return true;
        }
    }
    return false;
}

unsigned clr_pool_ready_count(const clr_pool_t *pool)
{
    unsigned n = 0;
    for (unsigned i = 0; i < pool->options.workers; i++) {
        const clr_process_t *p = pool->places[i].now;
        n += p && clr_process_state(p) == CLR_PROCESS_READY;
    }
    return n;
}
