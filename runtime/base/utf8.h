/* utf8.h: validation of UTF-8 (RFC 3629: no surrogates, no overlong forms, up to U+10FFFF). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

bool clr_utf8_is_valid(clr_str_t s);

/* Validation in pieces, for a WebSocket message that arrives in fragments: start at 0, feed each
 * piece, and the whole is valid when the state is 0 after the last. False: invalid already. */
typedef uint32_t clr_utf8_state_t;
CLR_NODISCARD bool clr_utf8_feed(clr_utf8_state_t *state, clr_str_t piece);

/* Bytes of the character that s starts with; 0 when s is empty or does not start with a whole one.
 */
size_t clr_utf8_char_len(clr_str_t s);
