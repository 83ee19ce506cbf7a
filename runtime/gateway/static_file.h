/* static_file.h: finds and opens files below a directory, for static.h.
 *
 * No path and no symbolic link leads out of the directory, names that begin with a dot do not
 * exist, and only regular files are opened. Of a file that lies there compressed as well ("app.js",
 * "app.js.br", "app.js.gz") the form is chosen that the client prefers, unless it is older than the
 * file itself.
 *
 * Threads:  any; may wait for the file system.
 * Lifetime: after an open succeeded the descriptor is the caller's.
 */
#pragma once

#include "base/error.h"
#include "base/str.h"

typedef struct clr_static_file {
    int fd;
    uint64_t size;
    uint64_t mtime_s;
    const char *type;   /* Content-Type; static storage */
    const char *coding; /* Content-Encoding; NULL: none */
    bool varies;        /* the choice may depend on Accept-Encoding */
    bool immutable;     /* its name changes with its content; false after an open */
    char etag[48];      /* in quotes */
} clr_static_file_t;

/* name: relative to dir, decoded; "" for dir itself. accept_encoding: the header's value; NULL in p
 * means that there is none. 0: the file is open; 1: it is a directory; or -errno (-EXDEV: it leads
 * out). */
CLR_NODISCARD int clr_static_file_open(clr_static_file_t *out, const char *dir, clr_str_t name,
                                       clr_str_t accept_encoding);

/* Whether the name is one that may be served: no segment begins with a dot. */
bool clr_static_file_is_visible(clr_str_t name);

/* "text/html; charset=utf-8" by the name's extension; "application/octet-stream" when unknown.
 * Static storage. */
const char *clr_static_content_type(clr_str_t name);

/* For kernels and sandboxes without openat2: resolves the name first and looks where it leads. A
 * descriptor for name below dir, or -errno (-EXDEV: it leads out). */
CLR_NODISCARD int clr_static_open_checked(const char *dir, const char *name);
