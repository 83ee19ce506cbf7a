/* static.h: the files of the application's public directory, under /public, and its index.html as
 * the page at "/".
 *
 * GET and HEAD, conditional requests, one byte range. A file is opened so that no path and no
 * symbolic link leads out of the directory; names that begin with a dot do not exist. It is sent in
 * pieces, as fast as the client takes them.
 *
 * Threads:  the loop's (a read from the file system may block it for a moment).
 */
#pragma once

#include "gateway/http_conn.h"

extern const clr_handler_t clr_static_handler;

/* Whether the path (without root_path) is for this module. */
bool clr_static_has(const clr_gateway_t *gw, clr_str_t path);

/* "text/html; charset=utf-8" by the name's extension; "application/octet-stream" when unknown.
 * Static storage. */
const char *clr_static_content_type(clr_str_t name);

/* A Range header against a file of `size` bytes. 1: the one range, in *first and *last (inclusive);
 * 0: to be ignored (malformed, another unit, several ranges); -1: nothing of it is there (416). */
int clr_static_parse_range(clr_str_t value, uint64_t size, uint64_t *first, uint64_t *last);

/* For kernels and sandboxes without openat2: resolves the name first and looks where it leads. A
 * descriptor for name below dir, or -errno (-EXDEV: it leads out). */
CLR_NODISCARD int clr_static_open_checked(const char *dir, const char *name);
