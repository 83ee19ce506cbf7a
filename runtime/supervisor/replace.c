/* replace.c: see replace.h. */
#include "supervisor/replace.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "supervisor/pool_internal.h"

#define LOG "worker"

/* New code that is still loading after so long is given up: the next deploy must not wait for it
 * for ever. */
#define START_DEADLINE_MS (10 * 60 * 1000)

#define FAILED_KILL_MS 2000 /* one that said that the app cannot be loaded */

static const char *replaced(const clr_pool_t *pool)
{
    return pool->replace.all ? "all workers" : "a worker";
}

static void set_state(clr_pool_t *pool, clr_replace_state_t state)
{
    static const char *const names[] = {"idle", "starting", "draining"};
    clr_replace_t *r = &pool->replace;
    clr_log_debug(LOG, "replacement of %s: %s to %s", replaced(pool), names[r->state],
                  names[state]);
    r->state = state;
}

static void tell(clr_pool_t *pool, bool begins)
{
    if (pool->replace.all && pool->ops->on_replacing)
        pool->ops->on_replacing(pool, begins, pool->ctx);
}

static void tell_outcome(clr_pool_t *pool, bool ok, clr_str_t text)
{
    if (pool->replace.all && pool->ops->on_replaced)
        pool->ops->on_replaced(pool, ok, text, pool->ctx);
}

/* ---- those who leave ---- */

static void check_done(clr_pool_t *pool)
{
    clr_replace_t *r = &pool->replace;
    if (r->state != CLR_REPLACE_DRAINING || !clr_list_is_empty(&pool->leaving) || pool->stopping)
        return;
    set_state(pool, CLR_REPLACE_IDLE);
    clr_log_info(LOG, "%s: %s, %u ms after it began", r->why, r->failed ? "given up" : "done",
                 (unsigned)(clr_loop_now(pool->gw->loop) - r->since_ms));
    tell(pool, false);
    const char *why = r->then_why;
    r->then_why = NULL;
    if (why)
        clr_pool_replace_all(pool, why);
}

static void on_leaving_gone(clr_process_t *p, void *ctx)
{
    clr_leaving_t *l = ctx;
    clr_pool_t *pool = l->pool;
    clr_list_remove(&l->node_);
    clr_process_free(p);
    free(l);
    check_done(pool);
    clr_pool_check_stopped(pool);
}

static void on_leaving_ready(clr_process_t *p, void *ctx)
{
    (void)p;
    (void)ctx;
}

static void on_leaving_failed(clr_process_t *p, uint8_t kind, clr_str_t text, void *ctx)
{
    (void)p;
    (void)kind;
    (void)text;
    (void)ctx;
}

static const clr_process_ops_t leaving_ops = {on_leaving_ready, on_leaving_failed, on_leaving_gone};

static void add_leaving(clr_pool_t *pool, clr_process_t *p)
{
    clr_leaving_t *l = clr_xcalloc(1, sizeof(*l));
    l->pool = pool;
    l->process = p;
    clr_list_push_back(&pool->leaving, &l->node_);
    clr_process_hand_over(p, &leaving_ops, l);
}

/* ---- the new ones ---- */

/* `failed`, which may be NULL, has said why and exits by itself. */
static void give_up(clr_pool_t *pool, const clr_process_t *failed)
{
    clr_timer_stop(&pool->replace.deadline);
    pool->replace.failed = true;
    set_state(pool, CLR_REPLACE_DRAINING);
    clr_pool_drop_zygote(&pool->next_zygote);
    for (unsigned i = 0; i < pool->options.workers; i++) {
        clr_process_t *p = pool->places[i].next;
        if (!p)
            continue;
        pool->places[i].next = NULL;
        add_leaving(pool, p);
        if (p == failed)
            clr_process_expect_exit(p, FAILED_KILL_MS);
        else
            clr_process_kill(p);
    }
}

static void report_failure(clr_pool_t *pool, clr_str_t text)
{
    clr_buf_t line = {0};
    while (text.n && text.p[text.n - 1] == '\n')
        text.n--;
    clr_buf_printf(&line, "%s: the new %s not start, the old %s:\n%.*s", pool->replace.why,
                   pool->replace.all ? "workers do" : "worker does",
                   pool->replace.all ? "ones stay" : "one stays", CLR_STR_ARG(text));
    clr_log_text(CLR_LOG_ERROR, LOG, clr_buf_str(&line));
    clr_buf_deinit(&line);
    tell_outcome(pool, false, text);
}

static void on_deadline(clr_timer_t *t)
{
    clr_replace_t *r = clr_container_of(t, clr_replace_t, deadline);
    clr_pool_t *pool = clr_container_of(r, clr_pool_t, replace);
    report_failure(pool, CLR_STR("they have not become ready for ten minutes"));
    give_up(pool, NULL);
    check_done(pool);
}

static void start_next(clr_place_t *place, unsigned generation, clr_zygote_t *zygote)
{
    clr_pool_t *pool = place->pool;
    const clr_process_role_t role = {place->number, generation, zygote, true};
    place->next = clr_process_start(pool->gw, &pool->options, &role, &clr_pool_process_ops, place);
}

static void begin(clr_pool_t *pool, const char *why)
{
    clr_replace_t *r = &pool->replace;
    r->why = why;
    r->failed = false;
    r->since_ms = clr_loop_now(pool->gw->loop);
    set_state(pool, CLR_REPLACE_STARTING);
    tell(pool, true);
    clr_loop_timer_start(pool->gw->loop, &r->deadline, START_DEADLINE_MS);
}

void clr_pool_replace_all(clr_pool_t *pool, const char *why)
{
    clr_replace_t *r = &pool->replace;
    if (pool->stopping)
        return;
    if (r->state != CLR_REPLACE_IDLE || !pool->started) {
        clr_log_info(LOG, "%s: workers are being started; this follows", why);
        r->then_why = why;
        return;
    }
    clr_log_info(LOG, "%s: %u new worker%s start%s", why, pool->options.workers,
                 pool->options.workers == 1 ? "" : "s", pool->options.workers == 1 ? "s" : "");
    r->all = true;
    begin(pool, why);
    pool->next_zygote = clr_pool_start_zygote(pool);
    pool->generations++;
    for (unsigned i = 0; i < pool->options.workers; i++)
        start_next(&pool->places[i], pool->generations, pool->next_zygote);
}

bool clr_replace_one(clr_pool_t *pool, size_t index, const char *why)
{
    if (pool->stopping || !pool->started || pool->replace.state != CLR_REPLACE_IDLE)
        return false;
    clr_log_info(LOG, "%s: worker %u (pid %d) is replaced: a new one starts", why,
                 pool->places[index].number, clr_process_last_pid(pool->places[index].now));
    pool->replace.all = false;
    begin(pool, why);
    start_next(&pool->places[index], pool->generation, clr_pool_zygote(pool));
    return true;
}

void clr_replace_on_started(clr_pool_t *pool)
{
    const char *why = pool->replace.then_why;
    pool->replace.then_why = NULL;
    if (why)
        clr_pool_replace_all(pool, why);
}

/* ---- the step from the old ones to the new ones ---- */

static void take_over(clr_place_t *place)
{
    clr_process_t *old = place->now;
    place->now = place->next;
    place->next = NULL;
    place->was_ready = true;
    place->backoff_ms = 0;
    clr_timer_stop(&place->restart);
    clr_process_enlist(place->now);
    if (old)
        add_leaving(place->pool, old);
}

void clr_replace_on_ready(clr_pool_t *pool)
{
    clr_replace_t *r = &pool->replace;
    uint64_t took = clr_loop_now(pool->gw->loop) - r->since_ms;
    for (unsigned i = 0; i < pool->options.workers; i++) {
        clr_process_t *p = pool->places[i].next;
        if (p && clr_process_state(p) != CLR_PROCESS_READY)
            return;
    }
    clr_timer_stop(&r->deadline);
    set_state(pool, CLR_REPLACE_DRAINING);
    for (unsigned i = 0; i < pool->options.workers; i++) {
        if (pool->places[i].next)
            take_over(&pool->places[i]);
    }
    if (r->all) {
        pool->generation = pool->generations;
        clr_pool_drop_zygote(&pool->zygote);
        pool->zygote = pool->next_zygote;
        pool->next_zygote = NULL;
    }
    pool->last_failure = 0;
    clr_log_info(LOG, "%s: the new %s over after %u ms; clients move when they are idle", r->why,
                 r->all ? "workers take" : "worker takes", (unsigned)took);
    clr_list_each(node, &pool->leaving)
        clr_process_drain(clr_container_of(node, clr_leaving_t, node_)->process,
                          pool->options.drain_timeout_ms, pool->options.graceful_timeout_ms);
    tell_outcome(pool, true, CLR_STR_EMPTY);
    check_done(pool);
}

void clr_replace_on_failed(clr_pool_t *pool, clr_process_t *p, clr_str_t text)
{
    if (pool->replace.state != CLR_REPLACE_STARTING)
        return;
    report_failure(pool, text);
    give_up(pool, p);
}

/* Of one that said why, clr_replace_on_failed() has taken care. */
void clr_replace_on_gone(clr_pool_t *pool, size_t index)
{
    clr_place_t *place = &pool->places[index];
    clr_process_t *p = place->next;
    char end[160], text[224];
    clr_process_describe_end(p, end, sizeof(end));
    snprintf(text, sizeof(text), "worker %u (pid %d) %s", place->number, clr_process_last_pid(p),
             end);
    place->next = NULL;
    clr_process_free(p);
    report_failure(pool, clr_str_c(text));
    give_up(pool, NULL);
    check_done(pool);
}

/* ---- life ---- */

void clr_replace_init(clr_pool_t *pool)
{
    clr_timer_init(&pool->replace.deadline, on_deadline);
    clr_list_init(&pool->leaving);
}

void clr_replace_stop(clr_pool_t *pool, uint64_t grace_ms)
{
    pool->replace.then_why = NULL;
    if (pool->replace.state == CLR_REPLACE_STARTING)
        give_up(pool, NULL);
    clr_list_each(node, &pool->leaving)
        clr_process_stop(clr_container_of(node, clr_leaving_t, node_)->process, grace_ms);
}

void clr_replace_kill(clr_pool_t *pool)
{
    clr_list_each(node, &pool->leaving)
        clr_process_kill(clr_container_of(node, clr_leaving_t, node_)->process);
}
