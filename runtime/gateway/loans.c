/* loans.c: see loans.h. */
#include "gateway/loans.h"

#include <stdlib.h>

#include "base/mem.h"
#include "gateway/dispatch_internal.h"

/* Blocks that were not used for so long hold no memory. */
#define TRIM_MS 1000

struct clr_loans {
    clr_gateway_t *gw;
    clr_arena_t *arena;
    clr_timer_t trim; /* while memory is held */
};

static void reclaim_all(clr_loans_t *loans)
{
    clr_list_each(node, &loans->gw->dispatch->workers)
    {
        clr_worker_t *w = clr_container_of(node, clr_worker_t, node_);
        clr_arena_reclaim(loans->arena, &w->lane, w->outbox.page);
    }
}

static void on_trim(clr_timer_t *t)
{
    clr_loans_t *loans = clr_container_of(t, clr_loans_t, trim);
    reclaim_all(loans);
    if (clr_arena_trim(loans->arena))
        clr_loop_timer_start(loans->gw->loop, t, TRIM_MS);
}

void clr_loans_open(clr_gateway_t *gw)
{
    _Static_assert(CLR_ARENA_BLOCK == CLR_LOOP_READ_SIZE, "a block has room for a read");
    clr_arena_t *arena = clr_arena_new();
    if (!arena)
        return;
    gw->loans = clr_xcalloc(1, sizeof(*gw->loans));
    gw->loans->gw = gw;
    gw->loans->arena = arena;
    clr_timer_init(&gw->loans->trim, on_trim);
    clr_loop_read_into(gw->loop, clr_arena_block(arena));
}

void clr_loans_close(clr_gateway_t *gw)
{
    clr_loans_t *loans = gw->loans;
    if (!loans)
        return;
    gw->loans = NULL;
    clr_timer_stop(&loans->trim);
    clr_loop_read_into(gw->loop, NULL);
    clr_arena_free(loans->arena);
    free(loans);
}

int clr_loans_fd(const clr_gateway_t *gw)
{
    return gw->loans ? clr_arena_fd(gw->loans->arena) : -1;
}

uint32_t clr_loans_count(const clr_gateway_t *gw)
{
    if (!gw->loans)
        return 0;
    reclaim_all(gw->loans);
    return clr_arena_lent(gw->loans->arena);
}

bool clr_loans_lend(clr_worker_t *w, clr_str_t piece, uint32_t *at)
{
    clr_loans_t *loans = w->gw->loans;
    if (!loans || piece.n < CLR_LOANS_MIN)
        return false;
    clr_arena_reclaim(loans->arena, &w->lane, w->outbox.page);
    if (!clr_arena_lend(loans->arena, &w->lane, piece, at)) {
        reclaim_all(loans);
        if (!clr_arena_lend(loans->arena, &w->lane, piece, at))
            return false;
    }
    clr_loop_read_into(w->gw->loop, clr_arena_block(loans->arena));
    if (!clr_timer_is_active(&loans->trim))
        clr_loop_timer_start(w->gw->loop, &loans->trim, TRIM_MS);
    return true;
}

void clr_loans_end(clr_worker_t *w)
{
    if (w->gw->loans)
        clr_arena_end(w->gw->loans->arena, &w->lane);
}
