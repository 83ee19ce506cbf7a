/* values_internal.h: what decoding and encoding share. Pure functions. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Eight bytes at a time. */
#define CLR_VALUES_ONES (UINT64_MAX / 255)
#define CLR_VALUES_HIGH (CLR_VALUES_ONES * 128)

/* Which bytes of w are zero: their high bits (exact for the lowest one, which is all that is used).
 */
static inline uint64_t clr_values_zero_bytes(uint64_t w)
{
    return (w - CLR_VALUES_ONES) & ~w & CLR_VALUES_HIGH;
}

/* Length of the run that holds no quote, no backslash and no control character. */
static inline size_t clr_values_plain_run(const char *p, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t w;
        memcpy(&w, p + i, 8);
        uint64_t control = (w - CLR_VALUES_ONES * 0x20) & ~w & CLR_VALUES_HIGH;
        if (clr_values_zero_bytes(w ^ CLR_VALUES_ONES * '"') |
            clr_values_zero_bytes(w ^ CLR_VALUES_ONES * '\\') | control)
            break;
    }
    while (i < n && p[i] != '"' && p[i] != '\\' && (unsigned char)p[i] >= 0x20)
        i++;
    return i;
}
