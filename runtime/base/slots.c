/* slots.c: 64-bit handles. The low half is the index, the high half the generation. */
#include "base/slots.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/mem.h"

#define NONE      UINT32_MAX
#define FIRST_CAP 16

void clr_slots_init(clr_slots_t *s)
{
    *s = (clr_slots_t){.free_ = NONE};
}

void clr_slots_deinit(clr_slots_t *s)
{
    free(s->slots_);
    clr_slots_init(s);
}

static void grow(clr_slots_t *s)
{
    uint32_t cap = s->cap_ ? s->cap_ * 2 : FIRST_CAP;
    CLR_ASSERT(cap > s->cap_); /* two thousand million objects would not fit in memory */
    s->slots_ = clr_xrealloc(s->slots_, cap * sizeof(*s->slots_));
    /* The lowest new index becomes the head of the free list, which is empty. */
    for (uint32_t i = cap; i-- > s->cap_;) {
        s->slots_[i] = (clr_slot_t){.generation_ = 1, .next_free_ = s->free_};
        s->free_ = i;
    }
    s->cap_ = cap;
}

uint64_t clr_slots_add(clr_slots_t *s, void *value)
{
    CLR_ASSERT(value);
    if (s->free_ == NONE)
        grow(s);
    uint32_t index = s->free_;
    clr_slot_t *slot = &s->slots_[index];
    CLR_DCHECK(!slot->value_);
    s->free_ = slot->next_free_;
    slot->value_ = value;
    s->count++;
    return (uint64_t)slot->generation_ << 32 | index;
}

static clr_slot_t *find(const clr_slots_t *s, uint64_t handle)
{
    uint32_t index = (uint32_t)handle;
    if (index >= s->cap_)
        return NULL;
    clr_slot_t *slot = &s->slots_[index];
    return slot->value_ && slot->generation_ == handle >> 32 ? slot : NULL;
}

void *clr_slots_get(const clr_slots_t *s, uint64_t handle)
{
    clr_slot_t *slot = find(s, handle);
    return slot ? slot->value_ : NULL;
}

void *clr_slots_remove(clr_slots_t *s, uint64_t handle)
{
    clr_slot_t *slot = find(s, handle);
    if (!slot)
        return NULL;
    void *value = slot->value_;
    slot->value_ = NULL;
    s->count--;
    if (slot->generation_ < UINT32_MAX) {
        slot->generation_++;
        slot->next_free_ = s->free_;
        s->free_ = (uint32_t)(slot - s->slots_);
    }
    return value;
}
