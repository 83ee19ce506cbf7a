/* capacity.c: see capacity.h. */
#include "gateway/capacity.h"

#include "base/assert.h"
#include "base/log.h"

void clr_capacity_init(clr_capacity_t *c, uint32_t max, const char *limit,
                       void (*on_room)(void *ctx), void *ctx)
{
    *c = (clr_capacity_t){.max = max, .limit = limit, .on_room = on_room, .ctx = ctx};
}

bool clr_capacity_take(clr_capacity_t *c)
{
    if (c->max == 0 || c->open < c->max) {
        c->open++;
        return true;
    }
    c->waiting_ = true;
    if (!c->told_)
        clr_log_warn("gateway", "%u connections are open, as many as %s allows: more wait",
                     (unsigned)c->max, c->limit);
    c->told_ = true;
    return false;
}

void clr_capacity_give(clr_capacity_t *c)
{
    CLR_ASSERT(c->open > 0);
    c->open--;
    if (c->open <= c->max / 2)
        c->told_ = false;
    if (!c->waiting_)
        return;
    c->waiting_ = false;
    if (c->on_room)
        c->on_room(c->ctx);
}
