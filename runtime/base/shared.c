/* shared.c: counted bytes that several owners write out. */
#include "base/shared.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/mem.h"

clr_shared_t *clr_shared_new(size_t cap)
{
    CLR_ASSERT(cap <= UINT32_MAX);
    clr_shared_t *s = clr_xmalloc(sizeof(*s) + cap);
    s->refs_ = 1;
    s->len = 0;
    s->cap = (uint32_t)cap;
    return s;
}

clr_shared_t *clr_shared_copy(clr_str_t bytes)
{
    clr_shared_t *s = clr_shared_new(bytes.n);
    if (bytes.n)
        memcpy(s->data, bytes.p, bytes.n);
    s->len = (uint32_t)bytes.n;
    return s;
}

void clr_shared_unref(clr_shared_t *s)
{
    CLR_ASSERT(s->refs_ > 0);
    if (--s->refs_ == 0)
        free(s);
}
