/* wheel.c: see wheel.h.
 *
 * An entry sits at the level of the highest bit in which its deadline differs from now_. So entries
 * of a level are all due before those of the next one, and the first occupied slot of the lowest
 * occupied level is the next to expire: time jumps from slot to slot and never ticks. When a slot
 * above level 0 is reached, its entries move down.
 *
 * Stopping a timer does not know its wheel, so a slot's bit may be set while the slot is empty;
 * such a bit is passed over and goes when time passes it.
 */
#include "net/wheel.h"

#include "base/assert.h"

#define TOP_SHIFT ((CLR_WHEEL_LEVELS - 1) * CLR_WHEEL_BITS)

/* The furthest an entry may be placed: with 62 slots of the top level the slot of now_ is never met
 * again. A deadline beyond is placed there and moves on when its slot is reached. */
#define MAX_DELTA ((uint64_t)(CLR_WHEEL_SIZE - 2) << TOP_SHIFT)

void clr_wheel_init(clr_wheel_t *w, uint64_t now)
{
    w->now_ = now;
    for (unsigned l = 0; l < CLR_WHEEL_LEVELS; l++) {
        w->occupied_[l] = 0;
        for (unsigned s = 0; s < CLR_WHEEL_SIZE; s++)
            clr_list_init(&w->slots_[l][s]);
    }
}

static unsigned slot_of(uint64_t time, unsigned level)
{
    return (unsigned)(time >> (level * CLR_WHEEL_BITS)) & (CLR_WHEEL_SIZE - 1);
}

static unsigned level_of(uint64_t now, uint64_t time)
{
    uint64_t differ = (now ^ time) | 1;
    unsigned level = (63u - (unsigned)__builtin_clzll(differ)) / CLR_WHEEL_BITS;
    return level < CLR_WHEEL_LEVELS ? level : CLR_WHEEL_LEVELS - 1;
}

static void place(clr_wheel_t *w, clr_timer_t *t)
{
    uint64_t at = t->deadline < w->now_ ? w->now_ : t->deadline;
    if (at - w->now_ > MAX_DELTA)
        at = w->now_ + MAX_DELTA;
    unsigned level = level_of(w->now_, at), slot = slot_of(at, level);
    clr_list_push_back(&w->slots_[level][slot], &t->node_);
    w->occupied_[level] |= UINT64_C(1) << slot;
}

void clr_wheel_start(clr_wheel_t *w, clr_timer_t *t, uint64_t deadline)
{
    clr_list_remove(&t->node_);
    t->deadline = deadline;
    place(w, t);
}

void clr_timer_stop(clr_timer_t *t)
{
    clr_list_remove(&t->node_);
}

/* When the slot begins: the next time from now_ on with that index at that level. */
static uint64_t slot_start(const clr_wheel_t *w, unsigned level, unsigned slot)
{
    unsigned shift = level * CLR_WHEEL_BITS;
    uint64_t turn = UINT64_C(1) << (shift + CLR_WHEEL_BITS);
    uint64_t start = (w->now_ & ~(turn - 1)) | ((uint64_t)slot << shift);
    /* Only the top level wraps around. */
    return level == CLR_WHEEL_LEVELS - 1 && slot < slot_of(w->now_, level) ? start + turn : start;
}

/* The first slot of the level, in order of time, whose bit is set. `from` counts from the slot of
 * now_. */
static int next_slot(const clr_wheel_t *w, unsigned level, unsigned from)
{
    unsigned first = slot_of(w->now_, level);
    if (from >= CLR_WHEEL_SIZE || !w->occupied_[level])
        return -1;
    uint64_t bits = w->occupied_[level];
    uint64_t turned = first ? bits >> first | bits << (CLR_WHEEL_SIZE - first) : bits;
    turned &= ~UINT64_C(0) << from;
    return turned ? __builtin_ctzll(turned) : -1;
}

/* Moves what is due from the slot to `due` (level 0) or down (above). */
static void empty_slot(clr_wheel_t *w, unsigned level, unsigned slot, clr_list_t *due)
{
    clr_list_t entries;
    clr_list_take(&entries, &w->slots_[level][slot]);
    w->occupied_[level] &= ~(UINT64_C(1) << slot);
    for (clr_list_t *node; (node = clr_list_pop_front(&entries));) {
        clr_timer_t *t = clr_container_of(node, clr_timer_t, node_);
        if (t->deadline <= w->now_)
            clr_list_push_back(due, node);
        else
            place(w, t);
    }
}

void clr_wheel_advance(clr_wheel_t *w, uint64_t now)
{
    clr_list_t due;
    clr_list_init(&due);
    if (now < w->now_)
        now = w->now_;
    for (unsigned level = 0; level < CLR_WHEEL_LEVELS;) {
        int offset = next_slot(w, level, 0);
        if (offset < 0) {
            level++;
            continue;
        }
        unsigned slot = (slot_of(w->now_, level) + (unsigned)offset) % CLR_WHEEL_SIZE;
        uint64_t start = slot_start(w, level, slot);
        if (start > now)
            break;
        if (start > w->now_)
            w->now_ = start;
        empty_slot(w, level, slot, &due);
        level = 0;
    }
    w->now_ = now;
    /* Fired from a list of their own: what a callback starts waits for the next call. */
    for (clr_list_t *node; (node = clr_list_pop_front(&due));) {
        clr_timer_t *t = clr_container_of(node, clr_timer_t, node_);
        CLR_ASSERT(t->deadline <= now);
        t->cb(t);
    }
}

int64_t clr_wheel_next(const clr_wheel_t *w, uint64_t now)
{
    for (unsigned level = 0; level < CLR_WHEEL_LEVELS; level++) {
        for (unsigned from = 0;;) {
            int offset = next_slot(w, level, from);
            if (offset < 0)
                break;
            unsigned slot = (slot_of(w->now_, level) + (unsigned)offset) % CLR_WHEEL_SIZE;
            if (!clr_list_is_empty(&w->slots_[level][slot])) {
                uint64_t start = slot_start(w, level, slot);
                return start > now ? (int64_t)(start - now) : 0;
            }
            from = (unsigned)offset + 1;
        }
    }
    return -1;
}
