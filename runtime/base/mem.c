/* mem.c: allocation that cannot fail. */
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

CLR_NORETURN CLR_COLD static void die_out_of_memory(size_t n)
{
    fprintf(stderr, "clrun: out of memory (%zu bytes)\n", n);
    abort();
}

void *clr_xmalloc(size_t n)
{
    void *p = malloc(n ? n : 1);
    if (CLR_UNLIKELY(!p))
        die_out_of_memory(n);
    return p;
}

void *clr_xcalloc(size_t count, size_t size)
{
    void *p = count && size ? calloc(count, size) : calloc(1, 1);
    if (CLR_UNLIKELY(!p))
        die_out_of_memory(count * size);
    return p;
}

void *clr_xrealloc(void *p, size_t n)
{
    p = realloc(p, n ? n : 1);
    if (CLR_UNLIKELY(!p))
        die_out_of_memory(n);
    return p;
}

char *clr_xstrdup(clr_str_t s)
{
    char *copy = clr_xmalloc(s.n + 1);
    if (s.n)
        memcpy(copy, s.p, s.n);
    copy[s.n] = '\0';
    return copy;
}
