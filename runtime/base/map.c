/* map.c: a hash map from bytes to a pointer.
 *
 * Linear probing, at most three quarters full. A removal moves later entries of the run back over
 * the gap, so that there are no tombstones and a map that churns does not slow down.
 */
#include "base/map.h"

#include <endian.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/mem.h"

#define FIRST_CAP 4

static uint64_t rotate(uint64_t v, int by)
{
    return v << by | v >> (64 - by);
}

static inline void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] = rotate(v[2], 32);
}

static inline void sip_word(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
}

/* SipHash with one round a word and three at the end. Its key is the seed in both halves. */
uint64_t clr_hash(clr_str_t key, uint64_t seed)
{
    uint64_t v[4] = {
        seed ^ UINT64_C(0x736f6d6570736575),
        seed ^ UINT64_C(0x646f72616e646f6d),
        seed ^ UINT64_C(0x6c7967656e657261),
        seed ^ UINT64_C(0x7465646279746573),
    };
    const char *p = key.p;
    uint64_t word;
    size_t left = key.n;
    for (; left >= sizeof(word); left -= sizeof(word), p += sizeof(word)) {
        memcpy(&word, p, sizeof(word));
        sip_word(v, le64toh(word));
    }
    word = (uint64_t)key.n << 56;
    for (size_t i = 0; i < left; i++)
        word |= (uint64_t)(unsigned char)p[i] << (8 * i);
    sip_word(v, word);
    v[2] ^= 0xff;
    sip_round(v);
    sip_round(v);
    sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void clr_map_init(clr_map_t *m, uint64_t seed)
{
    *m = (clr_map_t){.seed_ = seed};
}

void clr_map_deinit(clr_map_t *m)
{
    free(m->slots_);
    clr_map_init(m, m->seed_);
}

/* The entry of the key, or the free one where it would go. The map has at least one free entry. */
static clr_map_entry_t *probe(const clr_map_t *m, clr_str_t key, uint64_t hash)
{
    size_t mask = m->cap_ - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        clr_map_entry_t *e = &m->slots_[i];
        if (!e->value || (e->hash == hash && clr_str_eq(e->key, key)))
            return e;
    }
}

void *clr_map_get(const clr_map_t *m, clr_str_t key)
{
    return m->count ? probe(m, key, clr_hash(key, m->seed_))->value : NULL;
}

static void resize(clr_map_t *m, size_t cap)
{
    clr_map_entry_t *old = m->slots_;
    size_t old_cap = m->cap_;
    CLR_ASSERT(m->count < cap);
    m->slots_ = clr_xcalloc(cap, sizeof(*m->slots_));
    m->cap_ = cap;
    for (size_t i = 0; i < old_cap; i++) {
        if (old[i].value)
            *probe(m, old[i].key, old[i].hash) = old[i];
    }
    free(old);
}

void *clr_map_put(clr_map_t *m, clr_str_t key, void *value)
{
    CLR_ASSERT(value);
    if (m->count >= m->cap_ / 4 * 3)
        resize(m, m->cap_ ? m->cap_ * 2 : FIRST_CAP);
    uint64_t hash = clr_hash(key, m->seed_);
    clr_map_entry_t *e = probe(m, key, hash);
    void *before = e->value;
    if (!before)
        m->count++;
    *e = (clr_map_entry_t){key, value, hash};
    return before;
}

/* Frees entry `gap`, moving back each later entry of the run that may lie there: one whose own
 * place is not between the gap and itself. */
static void close_gap(clr_map_t *m, size_t gap)
{
    size_t mask = m->cap_ - 1;
    for (size_t i = (gap + 1) & mask; m->slots_[i].value; i = (i + 1) & mask) {
        size_t from_home = (i - m->slots_[i].hash) & mask;
        if (from_home >= ((i - gap) & mask)) {
            m->slots_[gap] = m->slots_[i];
            gap = i;
        }
    }
    m->slots_[gap] = (clr_map_entry_t){0};
}

void *clr_map_remove(clr_map_t *m, clr_str_t key)
{
    if (m->count == 0)
        return NULL;
    clr_map_entry_t *e = probe(m, key, clr_hash(key, m->seed_));
    void *value = e->value;
    if (!value)
        return NULL;
    close_gap(m, (size_t)(e - m->slots_));
    m->count--;
    if (m->cap_ > FIRST_CAP && m->count < m->cap_ / 8)
        resize(m, m->cap_ / 2);
    return value;
}

bool clr_map_next(const clr_map_t *m, size_t *cursor, clr_map_entry_t *out)
{
    while (*cursor < m->cap_) {
        const clr_map_entry_t *e = &m->slots_[(*cursor)++];
        if (e->value) {
            *out = *e;
            return true;
        }
    }
    return false;
}
