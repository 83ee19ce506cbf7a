/* utf8.c: validation of UTF-8.
 *
 * The state between two bytes of a character: how many are missing, and between which bounds the
 * next must lie. The bounds refuse overlong forms, surrogates and what lies past U+10FFFF.
 */
#include "base/utf8.h"

#define STATE(missing, low, high)                                                                  \
    ((clr_utf8_state_t)(missing) << 16 | (clr_utf8_state_t)(high) << 8 | (low))

#define HIGH_BITS UINT64_C(0x8080808080808080)

/* Past the ASCII bytes that p starts with: all of them but for the last seven at most. */
static const unsigned char *skip_ascii(const unsigned char *p, const unsigned char *end)
{
    uint64_t w[4];
    while (end - p >= (ptrdiff_t)sizeof(w)) {
        memcpy(w, p, sizeof(w));
        if ((w[0] | w[1] | w[2] | w[3]) & HIGH_BITS)
            break;
        p += sizeof(w);
    }
    while (end - p >= (ptrdiff_t)sizeof(w[0])) {
        memcpy(w, p, sizeof(w[0]));
        if (w[0] & HIGH_BITS)
            break;
        p += sizeof(w[0]);
    }
    return p;
}

/* The state after the first byte of a character of several; 0 for a byte that cannot start one. */
static clr_utf8_state_t lead(unsigned char c)
{
    if (c < 0xc2 || c > 0xf4)
        return 0;
    if (c < 0xe0)
        return STATE(1, 0x80, 0xbf);
    if (c < 0xf0)
        return STATE(2, c == 0xe0 ? 0xa0 : 0x80, c == 0xed ? 0x9f : 0xbf);
    return STATE(3, c == 0xf0 ? 0x90 : 0x80, c == 0xf4 ? 0x8f : 0xbf);
}

bool clr_utf8_feed(clr_utf8_state_t *state, clr_str_t piece)
{
    clr_utf8_state_t s = *state;
    const unsigned char *p = (const unsigned char *)piece.p;
    const unsigned char *end = p + piece.n;
    while (p < end) {
        if (s == 0) {
            p = skip_ascii(p, end);
            if (p == end)
                break;
            if (*p >= 0x80 && (s = lead(*p)) == 0)
                return false;
            p++;
        } else {
            if (*p < (s & 0xff) || *p > (s >> 8 & 0xff))
                return false;
            s = s >> 16 == 1 ? 0 : STATE((s >> 16) - 1, 0x80, 0xbf);
            p++;
        }
    }
    *state = s;
    return true;
}

bool clr_utf8_is_valid(clr_str_t s)
{
    clr_utf8_state_t state = 0;
    return clr_utf8_feed(&state, s) && state == 0;
}

size_t clr_utf8_char_len(clr_str_t s)
{
    if (s.n == 0)
        return 0;
    unsigned char c = (unsigned char)s.p[0];
    size_t n = c < 0x80 ? 1 : 1 + (lead(c) >> 16);
    if ((n == 1 && c >= 0x80) || n > s.n)
        return 0;
    return clr_utf8_is_valid(clr_str(s.p, n)) ? n : 0;
}
