/* url.h: percent decoding and query strings. Pure functions. */
#pragma once

#include "base/buf.h"

/* Decodes %XX; with `plus` also + to space (query strings). A bad escape stays as it is. */
void clr_url_decode(clr_buf_t *out, clr_str_t in, bool plus);

/* The raw (still encoded) value of the first parameter of that name; p is NULL when absent. */
clr_str_t clr_query_get(clr_str_t query, clr_str_t name);

/* Percent-decodes a path and normalises it for lookup under a directory: false for NUL, invalid
 * UTF-8, a backslash, a segment "..", or anything that does not start with "/". "." and empty
 * segments go. */
CLR_NODISCARD bool clr_url_safe_path(clr_buf_t *out, clr_str_t raw_path);
