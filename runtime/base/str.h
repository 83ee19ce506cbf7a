/* str.h: views of bytes. A clr_str_t never owns and is never NUL-terminated by promise.
 *
 * Threads:  pure functions.
 * Lifetime: a view is valid as long as the bytes it points to.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/common.h"

typedef struct clr_str {
    const char *p;
    size_t n;
} clr_str_t;

/* A view of a string literal; also usable in static initialisers through CLR_STR_INIT. */
#define CLR_STR(lit) ((clr_str_t){(lit), sizeof(lit) - 1})
#define CLR_STR_INIT(lit)                                                                          \
    {                                                                                              \
        (lit), sizeof(lit) - 1                                                                     \
    }
#define CLR_STR_EMPTY ((clr_str_t){"", 0})

/* For printf("%.*s", CLR_STR_ARG(s)). */
#define CLR_STR_ARG(s) (int)(s).n, (s).p

static inline clr_str_t clr_str(const char *p, size_t n)
{
    return (clr_str_t){p, n};
}

/* A view of a NUL-terminated string. NULL gives the empty view. */
static inline clr_str_t clr_str_c(const char *s)
{
    return s ? (clr_str_t){s, strlen(s)} : CLR_STR_EMPTY;
}

static inline bool clr_str_eq(clr_str_t a, clr_str_t b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool clr_str_starts(clr_str_t s, clr_str_t prefix)
{
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

/* From byte `from` to the end; the empty view if from is past the end. */
static inline clr_str_t clr_str_from(clr_str_t s, size_t from)
{
    return from >= s.n ? CLR_STR_EMPTY : clr_str(s.p + from, s.n - from);
}

/* Equality without regard to ASCII case. */
bool clr_str_ieq(clr_str_t a, clr_str_t b);

/* Index of the first `c`, or -1. */
ptrdiff_t clr_str_chr(clr_str_t s, char c);

/* Without spaces and tabs at both ends. */
clr_str_t clr_str_trim(clr_str_t s);

/* Cuts the part before the first `sep` off *rest and puts it in *part. False when *rest was used
 * up (p is NULL). "a,,b" gives "a", "", "b"; "" gives one empty part. */
bool clr_str_split(clr_str_t *rest, char sep, clr_str_t *part);

/* Whether the comma-separated list has the token, without regard to case (HTTP token lists). */
bool clr_str_has_token(clr_str_t list, clr_str_t token);

/* Decimal digits only, the whole view, at most max. False on anything else. */
CLR_NODISCARD bool clr_str_to_u64(clr_str_t s, uint64_t max, uint64_t *out);
