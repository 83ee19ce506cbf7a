/* idmap.c: stream ids to pointers. */
#include "idmap.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/mem.h"

#define FIRST_CAP 16

static size_t home(const clr_idmap_t *m, uint64_t id)
{
    uint64_t h = id * UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)(h ^ h >> 32) & (m->cap_ - 1);
}

/* The slot that has the id, or the free one where it would go. The map is never full. */
static size_t find(const clr_idmap_t *m, uint64_t id)
{
    size_t i = home(m, id);
    while (m->slots_[i].value && m->slots_[i].id != id)
        i = (i + 1) & (m->cap_ - 1);
    return i;
}

static void resize(clr_idmap_t *m, size_t cap)
{
    clr_idmap_t old = *m;
    m->slots_ = clr_xcalloc(cap, sizeof(*m->slots_));
    m->cap_ = cap;
    for (size_t i = 0; i < old.cap_; i++) {
        if (old.slots_[i].value)
            m->slots_[find(m, old.slots_[i].id)] = old.slots_[i];
    }
    free(old.slots_);
}

void clr_idmap_deinit(clr_idmap_t *m)
{
    free(m->slots_);
    *m = (clr_idmap_t){0};
}

void *clr_idmap_get(const clr_idmap_t *m, uint64_t id)
{
    return m->cap_ ? m->slots_[find(m, id)].value : NULL;
}

bool clr_idmap_add(clr_idmap_t *m, uint64_t id, void *value)
{
    CLR_ASSERT(value);
    if (m->count + 1 > m->cap_ / 4 * 3)
        resize(m, m->cap_ ? m->cap_ * 2 : FIRST_CAP);
    clr_idmap_slot_t *slot = &m->slots_[find(m, id)];
    if (slot->value)
        return false;
    *slot = (clr_idmap_slot_t){id, value};
    m->count++;
    return true;
}

void *clr_idmap_remove(clr_idmap_t *m, uint64_t id)
{
    if (!m->cap_)
        return NULL;
    size_t mask = m->cap_ - 1, hole = find(m, id);
    void *value = m->slots_[hole].value;
    if (!value)
        return NULL;
    /* Entries behind the hole move up unless that would put them before their home. */
    for (size_t i = (hole + 1) & mask; m->slots_[i].value; i = (i + 1) & mask) {
        if (((i - home(m, m->slots_[i].id)) & mask) >= ((i - hole) & mask)) {
            m->slots_[hole] = m->slots_[i];
            hole = i;
        }
    }
    m->slots_[hole] = (clr_idmap_slot_t){0};
    m->count--;
    if (m->cap_ > FIRST_CAP && m->count < m->cap_ / 8)
        resize(m, m->cap_ / 2);
    return value;
}

void *clr_idmap_next(const clr_idmap_t *m, size_t *cursor)
{
    while (*cursor < m->cap_) {
        void *value = m->slots_[(*cursor)++].value;
        if (value)
            return value;
    }
    return NULL;
}
