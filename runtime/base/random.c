/* random.c: bytes from the system's generator. */
#include "base/random.h"

#include <errno.h>
#include <sys/random.h>

#include "base/assert.h"

static const char id_alphabet[64] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void clr_random_bytes(void *out, size_t n)
{
    char *p = out;
    while (n) {
        ssize_t got = getrandom(p, n, 0);
        CLR_ASSERT(got > 0 || (got < 0 && errno == EINTR));
        if (got > 0) {
            p += got;
            n -= (size_t)got;
        }
    }
}

uint64_t clr_random_u64(void)
{
    uint64_t v;
    clr_random_bytes(&v, sizeof(v));
    return v;
}

void clr_id_generate(char out[CLR_ID_LEN], uint16_t node_tag)
{
    /* 22 characters of six random bits: 132 of them. */
    unsigned char bits[CLR_ID_LEN - 2];
    CLR_ASSERT(node_tag < 1u << 12);
    clr_random_bytes(bits, sizeof(bits));
    for (size_t i = 0; i < sizeof(bits); i++)
        out[i] = id_alphabet[bits[i] & 63];
    out[CLR_ID_LEN - 2] = id_alphabet[node_tag >> 6];
    out[CLR_ID_LEN - 1] = id_alphabet[node_tag & 63];
}
