/* watch.h: which files of the app were saved. Directories are watched, not files: editors put a new
 * file in the place of the old.
 *
 * inotify tells, at no cost while nothing happens. Directories for which it cannot (no watches are
 * left, or the file system is one that changes elsewhere) are looked through from time to time, so
 * rarely that this takes no more than a five-hundredth of a processor, but every ten seconds at
 * least.
 *
 * What is saved within a moment is reported together: when nothing has happened for
 * CLR_WATCH_QUIET_MS, and CLR_WATCH_MOST_MS after the first file at the latest.
 *
 * Threads:  the loop's. Looking through a directory blocks it: this is for development.
 * Lifetime: clr_watch_open() … clr_watch_close(), which frees it in a later turn of the loop.
 */
#pragma once

#include "base/error.h"
#include "base/str.h"
#include "net/loop.h"

typedef struct clr_watch clr_watch_t;

#define CLR_WATCH_QUIET_MS 40
#define CLR_WATCH_GONE_MS  120 /* the same after a file vanished: another may take its place */
#define CLR_WATCH_MOST_MS  200

typedef struct clr_watch_options {
    const char *base;     /* files below it are named relative to it; borrowed for the call */
    bool poll;            /* never ask inotify */
    unsigned max_watches; /* of inotify; the user's other programs need some too. 0: the default */
} clr_watch_options_t;

typedef struct clr_watch_ops {
    /* A file was saved: on_change follows, after which this comes again. */
    void (*on_begin)(void *ctx);
    /* These files were saved, or are gone: names, borrowed; total may be more than count. */
    void (*on_change)(const clr_str_t *files, size_t count, size_t total, void *ctx);
} clr_watch_ops_t;

/* Returns owned. Borrows ops and ctx until clr_watch_close(). */
clr_watch_t *clr_watch_open(clr_loop_t *loop, const clr_watch_options_t *options,
                            const clr_watch_ops_t *ops, void *ctx);
void clr_watch_close(clr_watch_t *w);

/* Python sources and settings right in this directory (absolute) count from now on; those that were
 * saved after since_ns (Unix time) are reported as well. The directory may vanish and come back. */
void clr_watch_sources(clr_watch_t *w, clr_str_t directory, uint64_t since_ns);

/* Every file in this directory and below counts, but for what is hidden, caches, virtual
 * environments and what editors leave. Fails when there is no such directory. */
CLR_NODISCARD int clr_watch_tree(clr_watch_t *w, const char *directory, clr_error_t *err);
