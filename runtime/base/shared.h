/* shared.h: counted bytes that several owners write out, such as one broadcast packet in a
 * thousand output queues.
 *
 * Threads:  the count is not atomic; all owners live on one loop.
 * Lifetime: clr_shared_new() returns one count; the last clr_shared_unref() frees.
 */
#pragma once

#include <stdint.h>

#include "base/str.h"

typedef struct clr_shared {
    uint32_t refs_;
    uint32_t len; /* bytes in use; may grow up to cap while the creator is the only owner */
    uint32_t cap;
    char data[];
} clr_shared_t;

/* Returns owned, len 0. */
clr_shared_t *clr_shared_new(size_t cap);

/* Returns owned, a copy of s. */
clr_shared_t *clr_shared_copy(clr_str_t s);

static inline clr_shared_t *clr_shared_ref(clr_shared_t *s)
{
    s->refs_++;
    return s;
}

void clr_shared_unref(clr_shared_t *s);

static inline bool clr_shared_is_sole(const clr_shared_t *s)
{
    return s->refs_ == 1;
}

static inline clr_str_t clr_shared_str(const clr_shared_t *s)
{
    return clr_str(s->data, s->len);
}
