/* buf.h: growing bytes with one owner.
 *
 * Threads:  one at a time.
 * Lifetime: clr_buf_init() (or {0}), then clr_buf_deinit(). A pointer into the buffer is valid
 * until the next call that may grow it. Memory:   growth doubles; out of memory is fatal. Whoever
 * appends what a peer sent checks its cap first: the buffer has none of its own.
 */
#pragma once

#include <stdarg.h>

#include "base/str.h"

typedef struct clr_buf {
    char *p;    /* NULL while cap is 0 */
    size_t n;   /* bytes in use */
    size_t cap; /* bytes allocated */
} clr_buf_t;

static inline void clr_buf_init(clr_buf_t *b)
{
    *b = (clr_buf_t){0};
}

/* Frees the bytes; the buffer is empty and usable again. */
void clr_buf_deinit(clr_buf_t *b);

/* Makes room for `more` bytes after n and returns where they start. */
char *clr_buf_reserve(clr_buf_t *b, size_t more);

void clr_buf_append(clr_buf_t *b, const void *p, size_t n);
void clr_buf_append_u64(clr_buf_t *b, uint64_t v); /* decimal */
void clr_buf_printf(clr_buf_t *b, const char *fmt, ...) CLR_PRINTF(2, 3);

static inline void clr_buf_append_str(clr_buf_t *b, clr_str_t s)
{
    clr_buf_append(b, s.p, s.n);
}

static inline void clr_buf_putc(clr_buf_t *b, char c)
{
    if (b->n == b->cap)
        clr_buf_reserve(b, 1);
    b->p[b->n++] = c;
}

/* Drops the first n bytes (n <= b->n) by moving the rest down. */
void clr_buf_consume(clr_buf_t *b, size_t n);

/* Forgets the contents, keeps the memory. */
static inline void clr_buf_clear(clr_buf_t *b)
{
    b->n = 0;
}

static inline clr_str_t clr_buf_str(const clr_buf_t *b)
{
    return clr_str(b->p ? b->p : "", b->n);
}

/* Little-endian integers, as the link writes them. */
void clr_buf_append_le(clr_buf_t *b, uint64_t v, size_t bytes);
