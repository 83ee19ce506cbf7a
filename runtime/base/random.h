/* random.h: bytes from the system's generator, and the ids made of them.
 *
 * Threads: any. A failing getrandom(2) is fatal: nothing secret may be guessable.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

void clr_random_bytes(void *out, size_t n);
uint64_t clr_random_u64(void);

/* A session id: 128 random bits and a 12-bit node tag, base64url without padding. Always
 * CLR_ID_LEN characters of [A-Za-z0-9_-], no terminator. The tag is the last two characters. */
#define CLR_ID_LEN 24
void clr_id_generate(char out[CLR_ID_LEN], uint16_t node_tag);
