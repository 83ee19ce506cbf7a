/* str.c: views of bytes, the parts that are not worth inlining. */
#include "base/str.h"

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

bool clr_str_ieq(clr_str_t a, clr_str_t b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++) {
        if (lower(a.p[i]) != lower(b.p[i]))
            return false;
    }
    return true;
}

ptrdiff_t clr_str_chr(clr_str_t s, char c)
{
    const char *at = s.n ? memchr(s.p, c, s.n) : NULL;
    return at ? at - s.p : -1;
}

clr_str_t clr_str_trim(clr_str_t s)
{
    while (s.n && is_blank(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n && is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

bool clr_str_split(clr_str_t *rest, char sep, clr_str_t *part)
{
    if (!rest->p)
        return false;
    ptrdiff_t at = clr_str_chr(*rest, sep);
    if (at < 0) {
        *part = *rest;
        *rest = clr_str(NULL, 0);
        return true;
    }
    *part = clr_str(rest->p, (size_t)at);
    *rest = clr_str(rest->p + at + 1, rest->n - (size_t)at - 1);
    return true;
}

bool clr_str_has_token(clr_str_t list, clr_str_t token)
{
    clr_str_t part;
    while (clr_str_split(&list, ',', &part)) {
        if (clr_str_ieq(clr_str_trim(part), token))
            return true;
    }
    return false;
}

bool clr_str_to_u64(clr_str_t s, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;
    if (s.n == 0)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        unsigned digit = (unsigned)(unsigned char)s.p[i] - '0';
        if (digit > 9 || value > max / 10 || value * 10 > max - digit || digit > max)
            return false;
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}
