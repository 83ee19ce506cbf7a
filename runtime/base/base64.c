/* base64.c: RFC 4648, the standard alphabet. */
#include "base/base64.h"

static const char alphabet[64] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* The value of a character plus one; 0 for what is not in the alphabet. */
static const unsigned char values[256] = {
    ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,  ['H'] = 8,
    ['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16,
    ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24,
    ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32,
    ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40,
    ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48,
    ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
    ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['+'] = 63, ['/'] = 64,
};

void clr_base64_encode(clr_buf_t *out, const void *p, size_t n)
{
    const unsigned char *in = p;
    char *to = clr_buf_reserve(out, (n + 2) / 3 * 4);
    char *start = to;
    for (; n >= 3; in += 3, n -= 3) {
        uint32_t v = (uint32_t)in[0] << 16 | (uint32_t)in[1] << 8 | in[2];
        *to++ = alphabet[v >> 18];
        *to++ = alphabet[v >> 12 & 63];
        *to++ = alphabet[v >> 6 & 63];
        *to++ = alphabet[v & 63];
    }
    if (n) {
        uint32_t v = (uint32_t)in[0] << 16 | (n == 2 ? (uint32_t)in[1] << 8 : 0);
        *to++ = alphabet[v >> 18];
        *to++ = alphabet[v >> 12 & 63];
        *to++ = n == 2 ? alphabet[v >> 6 & 63] : '=';
        *to++ = '=';
    }
    out->n += (size_t)(to - start);
}

/* Up to four characters into 24 bits from the top; false when one is not of the alphabet. */
static bool decode_group(const unsigned char *in, size_t n, uint32_t *out)
{
    uint32_t v = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned value = values[in[i]];
        if (value == 0)
            return false;
        v |= (value - 1) << (18 - 6 * i);
    }
    *out = v;
    return true;
}

bool clr_base64_decode(clr_buf_t *out, clr_str_t text)
{
    const unsigned char *in = (const unsigned char *)text.p;
    size_t n = text.n;
    if (n && n % 4 == 0 && in[n - 1] == '=')
        n -= in[n - 2] == '=' ? 2 : 1;
    if (n % 4 == 1)
        return false;

    unsigned char *to = (unsigned char *)clr_buf_reserve(out, n / 4 * 3 + 2);
    unsigned char *start = to;
    uint32_t v;
    for (; n >= 4; in += 4, n -= 4) {
        if (!decode_group(in, 4, &v))
            return false;
        *to++ = (unsigned char)(v >> 16);
        *to++ = (unsigned char)(v >> 8);
        *to++ = (unsigned char)v;
    }
    if (n) {
        /* The bits past the last whole byte must be zero: one encoding per value. */
        if (!decode_group(in, n, &v) || (v & (n == 2 ? 0xffff : 0xff)) != 0)
            return false;
        *to++ = (unsigned char)(v >> 16);
        if (n == 3)
            *to++ = (unsigned char)(v >> 8);
    }
    out->n += (size_t)(to - start);
    return true;
}
