/* sha1.c: SHA-1 (FIPS 180-4). */
#include "proto/sha1.h"

#define BLOCK 64

typedef struct sha1 {
    uint32_t h[5];
    uint64_t bytes;
    uint8_t block[BLOCK];
} sha1_t;

static uint32_t rotate(uint32_t v, int bits)
{
    return v << bits | v >> (32 - bits);
}

static void mix(sha1_t *s)
{
    uint32_t w[80];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)s->block[4 * i] << 24 | (uint32_t)s->block[4 * i + 1] << 16 |
               (uint32_t)s->block[4 * i + 2] << 8 | s->block[4 * i + 3];
    for (int i = 16; i < 80; i++)
        w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);

    static const uint32_t k[4] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
    uint32_t a = s->h[0], b = s->h[1], c = s->h[2], d = s->h[3], e = s->h[4];
    for (int i = 0; i < 80; i++) {
        uint32_t f = i < 20              ? (b & c) | (~b & d)
                     : i < 40 || i >= 60 ? b ^ c ^ d
                                         : (b & c) | (b & d) | (c & d);
        uint32_t t = rotate(a, 5) + f + e + k[i / 20] + w[i];
        e = d;
        d = c;
        c = rotate(b, 30);
        b = a;
        a = t;
    }
    s->h[0] += a;
    s->h[1] += b;
    s->h[2] += c;
    s->h[3] += d;
    s->h[4] += e;
}

static void put(sha1_t *s, uint8_t byte)
{
    s->block[s->bytes++ % BLOCK] = byte;
    if (s->bytes % BLOCK == 0)
        mix(s);
}

static void put_all(sha1_t *s, clr_str_t v)
{
    for (size_t i = 0; i < v.n; i++)
        put(s, (uint8_t)v.p[i]);
}

void clr_sha1(clr_str_t a, clr_str_t b, uint8_t out[CLR_SHA1_SIZE])
{
    sha1_t s = {.h = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0}};
    put_all(&s, a);
    put_all(&s, b);
    uint64_t bits = s.bytes * 8;
    put(&s, 0x80);
    while (s.bytes % BLOCK != BLOCK - 8)
        put(&s, 0);
    for (int shift = 56; shift >= 0; shift -= 8)
        put(&s, (uint8_t)(bits >> shift));
    for (int i = 0; i < CLR_SHA1_SIZE; i++)
        out[i] = (uint8_t)(s.h[i / 4] >> (24 - 8 * (i % 4)));
}
