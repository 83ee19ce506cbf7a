/* json.c: the validating scanner. One pass, no recursion: what is open is one bit a level. */
#include "proto/json.h"

#include <endian.h>

#include "base/assert.h"
#include "base/utf8.h"

#define ONES      UINT64_C(0x0101010101010101)
#define HIGH_BITS UINT64_C(0x8080808080808080)

typedef struct scanner {
    const uint8_t *p;
    const uint8_t *end;
    size_t depth;
    uint64_t objects[CLR_JSON_MAX_DEPTH / 64]; /* bit d: level d is an object, else an array */
} scanner_t;

static void skip_space(scanner_t *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\r' || *s->p == '\t'))
        s->p++;
}

/* High bit set in each byte of w that is zero; a byte above a set one may be set by mistake. */
static uint64_t zero_bytes(uint64_t w)
{
    return (w - ONES) & ~w & HIGH_BITS;
}

/* To the next quote, backslash or control character, eight bytes a step. */
static const uint8_t *skip_plain(const uint8_t *p, const uint8_t *end)
{
    for (; end - p >= 8; p += 8) {
        uint64_t w;
        memcpy(&w, p, sizeof w);
        uint64_t special = zero_bytes(w ^ ONES * '"') | zero_bytes(w ^ ONES * '\\') |
                           ((w - ONES * 0x20) & ~w & HIGH_BITS);
        if (special) /* only bytes above the first special one may be marked by mistake */
            return p + (__builtin_ctzll(le64toh(special)) >> 3);
    }
    while (p < end && *p != '"' && *p != '\\' && *p >= 0x20)
        p++;
    return p;
}

static bool is_hex(uint8_t c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/* After the backslash. */
static bool skip_escape(scanner_t *s)
{
    if (s->p == s->end)
        return false;
    uint8_t c = *s->p++;
    if (c != 'u')
        return c != 0 && strchr("\"\\/bfnrt", c) != NULL;
    if (s->end - s->p < 4)
        return false;
    for (int i = 0; i < 4; i++)
        if (!is_hex(*s->p++))
            return false;
    return true;
}

/* At the opening quote. */
static bool skip_string(scanner_t *s)
{
    s->p++;
    for (;;) {
        s->p = skip_plain(s->p, s->end);
        if (s->p == s->end || *s->p < 0x20)
            return false;
        if (*s->p++ == '"')
            return true;
        if (!skip_escape(s))
            return false;
    }
}

static bool skip_digits(scanner_t *s)
{
    const uint8_t *from = s->p;
    while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
        s->p++;
    return s->p > from;
}

static bool skip_number(scanner_t *s)
{
    if (*s->p == '-')
        s->p++;
    if (s->p < s->end && *s->p == '0')
        s->p++;
    else if (!skip_digits(s))
        return false;
    if (s->p < s->end && *s->p == '.') {
        s->p++;
        if (!skip_digits(s))
            return false;
    }
    if (s->p < s->end && (*s->p | 0x20) == 'e') {
        s->p++;
        if (s->p < s->end && (*s->p == '+' || *s->p == '-'))
            s->p++;
        return skip_digits(s);
    }
    return true;
}

static bool skip_word(scanner_t *s, const char *word, size_t n)
{
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0)
        return false;
    s->p += n;
    return true;
}

static bool skip_scalar(scanner_t *s)
{
    switch (*s->p) {
    case '"':
        return skip_string(s);
    case 't':
        return skip_word(s, "true", 4);
    case 'f':
        return skip_word(s, "false", 5);
    case 'n':
        return skip_word(s, "null", 4);
    default:
        return skip_number(s);
    }
}

static bool in_object(const scanner_t *s)
{
    return s->objects[(s->depth - 1) / 64] >> ((s->depth - 1) % 64) & 1;
}

static bool open_level(scanner_t *s)
{
    if (s->depth == CLR_JSON_MAX_DEPTH)
        return false;
    uint64_t bit = UINT64_C(1) << (s->depth % 64);
    if (*s->p == '{')
        s->objects[s->depth / 64] |= bit;
    else
        s->objects[s->depth / 64] &= ~bit;
    s->depth++;
    s->p++;
    return true;
}

/* "key" and ':', up to the value. */
static bool skip_key(scanner_t *s)
{
    skip_space(s);
    if (s->p == s->end || *s->p != '"' || !skip_string(s))
        return false;
    skip_space(s);
    if (s->p == s->end || *s->p != ':')
        return false;
    s->p++;
    return true;
}

/* After a value: closes levels and passes the comma. 1 when a value follows, 0 when all is closed.
 */
static int after_value(scanner_t *s)
{
    while (s->depth > 0) {
        skip_space(s);
        if (s->p == s->end)
            return -1;
        uint8_t c = *s->p++;
        if (c == ',')
            return !in_object(s) || skip_key(s) ? 1 : -1;
        if (c != (in_object(s) ? '}' : ']'))
            return -1;
        s->depth--;
    }
    return 0;
}

/* At '{' or '['. 1 when a value follows, 0 when the level is empty and closed, -1. */
static int begin_level(scanner_t *s)
{
    if (!open_level(s))
        return -1;
    skip_space(s);
    if (s->p == s->end)
        return -1;
    if (*s->p == (in_object(s) ? '}' : ']')) {
        s->p++;
        s->depth--;
        return 0;
    }
    return !in_object(s) || skip_key(s) ? 1 : -1;
}

int64_t clr_json_skip(clr_str_t text)
{
    const uint8_t *from = (const uint8_t *)text.p;
    scanner_t s = {.p = from, .end = from + text.n};
    int more = 1;
    while (more > 0) {
        skip_space(&s);
        if (s.p == s.end)
            return CLR_EPROTO;
        if (*s.p == '{' || *s.p == '[') {
            more = begin_level(&s);
            if (more == 0)
                more = after_value(&s);
        } else {
            more = skip_scalar(&s) ? after_value(&s) : -1;
        }
    }
    return more < 0 ? CLR_EPROTO : (int64_t)(s.p - from);
}

static size_t space_length(clr_str_t s)
{
    size_t n = 0;
    while (n < s.n && (s.p[n] == ' ' || s.p[n] == '\n' || s.p[n] == '\r' || s.p[n] == '\t'))
        n++;
    return n;
}

bool clr_json_is_valid(clr_str_t s)
{
    int64_t n = clr_json_skip(s);
    if (n < 0)
        return false;
    clr_str_t rest = clr_str_from(s, (size_t)n);
    return space_length(rest) == rest.n;
}

char clr_json_kind(clr_str_t s)
{
    size_t n = space_length(s);
    return n < s.n ? s.p[n] : '\0';
}

static unsigned hex_unit(const char *p)
{
    unsigned v = 0;
    for (int i = 0; i < 4; i++) {
        unsigned c = (uint8_t)p[i];
        v = v << 4 | (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return v;
}

/* What the escape at s stands for, and its length. A surrogate stands for itself. */
static unsigned escape_unit(clr_str_t s, size_t *n)
{
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    if (s.p[1] == 'u') {
        *n = 6;
        return hex_unit(s.p + 2);
    }
    const char *at = strchr(from, s.p[1]);
    CLR_ASSERT(at && *at);
    *n = 2;
    return (uint8_t)to[at - from];
}

size_t clr_json_string_length(clr_str_t s)
{
    CLR_ASSERT(s.n >= 2 && s.p[0] == '"');
    const uint8_t *from = (const uint8_t *)s.p;
    const uint8_t *end = from + s.n;
    const uint8_t *p = skip_plain(from + 1, end);
    while (p < end && *p == '\\')
        p = end - p < 2 ? end : skip_plain(p + 2, end);
    CLR_ASSERT(p < end);
    return (size_t)(p - from) + 1;
}

static void append_utf8(clr_buf_t *out, uint32_t c)
{
    if (c >= 0xd800 && c < 0xe000)
        c = 0xfffd;
    if (c < 0x80) {
        clr_buf_putc(out, (char)c);
        return;
    }
    if (c < 0x800) {
        clr_buf_putc(out, (char)(0xc0 | c >> 6));
    } else if (c < 0x10000) {
        clr_buf_putc(out, (char)(0xe0 | c >> 12));
        clr_buf_putc(out, (char)(0x80 | (c >> 6 & 0x3f)));
    } else {
        clr_buf_putc(out, (char)(0xf0 | c >> 18));
        clr_buf_putc(out, (char)(0x80 | (c >> 12 & 0x3f)));
        clr_buf_putc(out, (char)(0x80 | (c >> 6 & 0x3f)));
    }
    clr_buf_putc(out, (char)(0x80 | (c & 0x3f)));
}

/* The character of one escape, or of two that make a surrogate pair, and the length of both. */
static uint32_t escape_character(clr_str_t s, size_t *n)
{
    uint32_t c = escape_unit(s, n);
    clr_str_t next = clr_str_from(s, *n);
    if (c < 0xd800 || c >= 0xdc00 || next.n < 6 || next.p[0] != '\\' || next.p[1] != 'u')
        return c;
    unsigned low = hex_unit(next.p + 2);
    if (low < 0xdc00 || low >= 0xe000)
        return c;
    *n += 6;
    return 0x10000 + ((c - 0xd800) << 10 | (low - 0xdc00));
}

void clr_json_unescape(clr_buf_t *out, clr_str_t string)
{
    CLR_ASSERT(string.n >= 2 && string.p[0] == '"');
    clr_str_t s = clr_str(string.p + 1, string.n - 2);
    while (s.n > 0) {
        ptrdiff_t plain = clr_str_chr(s, '\\');
        size_t n = plain < 0 ? s.n : (size_t)plain;
        clr_buf_append(out, s.p, n);
        s = clr_str_from(s, n);
        if (s.n == 0)
            break;
        append_utf8(out, escape_character(s, &n));
        s = clr_str_from(s, n);
    }
}

bool clr_json_string_is(clr_str_t string, clr_str_t ascii)
{
    CLR_ASSERT(string.n >= 2 && string.p[0] == '"' && string.p[string.n - 1] == '"');
    clr_str_t s = clr_str(string.p + 1, string.n - 2);
    for (size_t i = 0; i < ascii.n; i++) {
        if (s.n == 0)
            return false;
        size_t n = 1;
        unsigned c = s.p[0] == '\\' ? escape_unit(s, &n) : (uint8_t)s.p[0];
        if (c != (uint8_t)ascii.p[i])
            return false;
        s = clr_str_from(s, n);
    }
    return s.n == 0;
}

static void append_escape(clr_buf_t *out, char c)
{
    static const char from[] = "\"\\\b\f\n\r\t";
    static const char to[] = "\"\\bfnrt";
    const char *at = c ? strchr(from, c) : NULL;
    if (at) {
        clr_buf_putc(out, '\\');
        clr_buf_putc(out, to[at - from]);
    } else {
        static const char hex[] = "0123456789abcdef";
        clr_buf_append(out, "\\u00", 4);
        clr_buf_putc(out, hex[(uint8_t)c >> 4]);
        clr_buf_putc(out, hex[c & 15]);
    }
}

/* Text without quotes, backslashes and controls, of which not all is UTF-8. */
static void append_replaced(clr_buf_t *out, clr_str_t s)
{
    while (s.n > 0) {
        size_t n = clr_utf8_char_len(s);
        clr_buf_append_str(out, n > 0 ? clr_str(s.p, n) : CLR_STR("\xef\xbf\xbd"));
        s = clr_str_from(s, n > 0 ? n : 1);
    }
}

void clr_json_append_string(clr_buf_t *out, clr_str_t s)
{
    bool clean = clr_utf8_is_valid(s);
    const uint8_t *p = (const uint8_t *)s.p;
    const uint8_t *end = p + s.n;
    clr_buf_reserve(out, s.n + 2);
    clr_buf_putc(out, '"');
    while (p < end) {
        const uint8_t *plain = skip_plain(p, end);
        if (clean)
            clr_buf_append(out, p, (size_t)(plain - p));
        else
            append_replaced(out, clr_str((const char *)p, (size_t)(plain - p)));
        if (plain < end)
            append_escape(out, (char)*plain);
        p = plain < end ? plain + 1 : end;
    }
    clr_buf_putc(out, '"');
}
