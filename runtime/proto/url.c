/* url.c: percent decoding and query strings. */
#include "proto/url.h"

#include "base/utf8.h"

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that an escape at the start of s stands for, or -1. */
static int escape_value(clr_str_t s)
{
    if (s.n < 3 || s.p[0] != '%')
        return -1;
    int high = hex_value(s.p[1]);
    int low = hex_value(s.p[2]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

void clr_url_decode(clr_buf_t *out, clr_str_t in, bool plus)
{
    clr_buf_reserve(out, in.n);
    while (in.n > 0) {
        int value = escape_value(in);
        char c = plus && in.p[0] == '+' ? ' ' : in.p[0];
        clr_buf_putc(out, value < 0 ? c : (char)value);
        in = clr_str_from(in, value < 0 ? 1 : 3);
    }
}

clr_str_t clr_query_get(clr_str_t query, clr_str_t name)
{
    clr_str_t pair;
    while (clr_str_split(&query, '&', &pair)) {
        if (!clr_str_starts(pair, name))
            continue;
        if (pair.n == name.n)
            return clr_str(pair.p + pair.n, 0);
        if (pair.p[name.n] == '=')
            return clr_str(pair.p + name.n + 1, pair.n - name.n - 1);
    }
    return clr_str(NULL, 0);
}

bool clr_url_safe_path(clr_buf_t *out, clr_str_t raw_path)
{
    clr_buf_t decoded = {0};
    clr_url_decode(&decoded, raw_path, false);
    clr_str_t rest = clr_buf_str(&decoded);
    bool ok = rest.n > 0 && rest.p[0] == '/' && clr_str_chr(rest, '\0') < 0 &&
              clr_str_chr(rest, '\\') < 0 && clr_utf8_is_valid(rest);
    bool folder = ok && rest.p[rest.n - 1] == '/';
    size_t before = out->n;
    clr_str_t segment;
    while (ok && clr_str_split(&rest, '/', &segment)) {
        if (segment.n == 0 || clr_str_eq(segment, CLR_STR(".")))
            continue;
        ok = !clr_str_eq(segment, CLR_STR(".."));
        clr_buf_putc(out, '/');
        clr_buf_append_str(out, segment);
    }
    if (ok && (folder || out->n == before))
        clr_buf_putc(out, '/');
    if (!ok)
        out->n = before;
    clr_buf_deinit(&decoded);
    return ok;
}
