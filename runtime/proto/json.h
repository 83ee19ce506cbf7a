/* json.h: a validating scanner for JSON text (RFC 8259) that builds nothing, for event arguments,
 * which pass through the gateway as the text the client sent. Pure functions.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"

#define CLR_JSON_MAX_DEPTH 512

/* Length of the one JSON value at the start of s (leading space included), or CLR_EPROTO. */
CLR_NODISCARD int64_t clr_json_skip(clr_str_t s);

/* Whether s is exactly one valid value (space around allowed). UTF-8 is taken as checked. */
bool clr_json_is_valid(clr_str_t s);

/* First character of the value: '{' '[' '"' 't' 'f' 'n' '-' or a digit; 0 for the empty text. */
char clr_json_kind(clr_str_t s);

/* Length, quotes included, of the valid JSON string that s starts with. */
size_t clr_json_string_length(clr_str_t s);

/* Appends the text that the JSON string (valid, with its quotes) spells. Half a surrogate pair
 * becomes U+FFFD. */
void clr_json_unescape(clr_buf_t *out, clr_str_t string);

/* Whether the JSON string (valid, with its quotes) spells this ASCII text, escapes resolved. */
bool clr_json_string_is(clr_str_t string, clr_str_t ascii);

/* Appends s as a JSON string with quotes; invalid UTF-8 is replaced by U+FFFD. */
void clr_json_append_string(clr_buf_t *out, clr_str_t s);
