/* assert.c: the end of a process whose own invariants do not hold. */
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

void clr_assert_failed(const char *expr, const char *file, int line)
{
    fprintf(stderr, "clrun: %s:%d: broken invariant: %s\n", file, line, expr);
    abort();
}
