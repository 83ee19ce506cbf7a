/* mem.h: allocation that cannot fail. For sizes that we choose, out of memory is fatal (the names
 * say so: these die). For a size that a peer chooses, cap it first.
 */
#pragma once

#include "base/common.h"
#include "base/str.h"

__attribute__((malloc)) void *clr_xmalloc(size_t n);
__attribute__((malloc)) void *clr_xcalloc(size_t count, size_t size);
void *clr_xrealloc(void *p, size_t n);

/* NUL-terminated copy of the view; returns owned, freed with free(). */
__attribute__((malloc)) char *clr_xstrdup(clr_str_t s);
