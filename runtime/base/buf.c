/* buf.c: growing bytes with one owner. */
#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/mem.h"

#define FIRST_CAP 64

void clr_buf_deinit(clr_buf_t *b)
{
    free(b->p);
    *b = (clr_buf_t){0};
}

char *clr_buf_reserve(clr_buf_t *b, size_t more)
{
    if (more > b->cap - b->n) {
        size_t cap = b->cap ? b->cap : FIRST_CAP / 2;
        CLR_ASSERT(more <= PTRDIFF_MAX - b->n);
        while (cap - b->n < more || cap < b->n)
            cap *= 2;
        b->p = clr_xrealloc(b->p, cap);
        b->cap = cap;
    }
    return b->p + b->n;
}

void clr_buf_append(clr_buf_t *b, const void *p, size_t n)
{
    if (n == 0)
        return;
    memcpy(clr_buf_reserve(b, n), p, n);
    b->n += n;
}

void clr_buf_append_u64(clr_buf_t *b, uint64_t v)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    clr_buf_append(b, digits + at, sizeof(digits) - at);
}

void clr_buf_printf(clr_buf_t *b, const char *fmt, ...)
{
    va_list args;
    char *p = clr_buf_reserve(b, FIRST_CAP);
    size_t room = b->cap - b->n;
    va_start(args, fmt);
    int n = vsnprintf(p, room, fmt, args);
    va_end(args);
    CLR_ASSERT(n >= 0);
    if ((size_t)n >= room) {
        p = clr_buf_reserve(b, (size_t)n + 1);
        va_start(args, fmt);
        vsnprintf(p, (size_t)n + 1, fmt, args);
        va_end(args);
    }
    b->n += (size_t)n;
}

void clr_buf_consume(clr_buf_t *b, size_t n)
{
    CLR_ASSERT(n <= b->n);
    b->n -= n;
    if (n && b->n)
        memmove(b->p, b->p + n, b->n);
}

void clr_buf_append_le(clr_buf_t *b, uint64_t v, size_t bytes)
{
    CLR_ASSERT(bytes <= sizeof(v));
    char *p = clr_buf_reserve(b, sizeof(v));
    for (size_t i = 0; i < bytes; i++)
        p[i] = (char)(unsigned char)(v >> (8 * i));
    b->n += bytes;
}
