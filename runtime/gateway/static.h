/* static.h: the files of the application's public directory, under /public, its index.html as the
 * page at "/", and the files of the folders that its workers name (folders.h), whose names change
 * with their content.
 *
 * GET and HEAD; conditional requests, ranges, compressed forms that lie beside a file
 * (static_request.h, static_file.h). The kernel sends what does not fit into one write
 * (exchange_file.c).
 *
 * Threads:  the loop's. Opening a file may block it for a moment, as may the first read of one that
 * is not in memory.
 */
#pragma once

#include "gateway/http_conn.h"

extern const clr_handler_t clr_static_handler;

/* Whether a request with that path (without root_path) is for this module: all below /public is,
 * where there is such a directory; "/" is when its page can be shown; what is read below a folder
 * is, the other methods are the application's there. */
bool clr_static_has(const clr_exchange_t *x, clr_str_t path);
