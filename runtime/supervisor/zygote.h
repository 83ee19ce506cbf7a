/* zygote.h: --preload: a process that has loaded the app and forks a worker whenever one is wanted,
 * so that workers start at once and share the memory of what the app imported.
 *
 *   LOADING ──► READY ──► GONE      (asked to fork while it loads, it does so when it is ready)
 *      └── the app cannot be loaded, or must not be forked ──► GONE
 *
 * It is told what to load and to fork over a socket of whole messages (SOCK_SEQPACKET), by which it
 * also says that a worker has ended: it is the parent of them. pyglue/clrun/_preload.py is the
 * other end. A worker dies with its zygote, and that with the gateway.
 *
 * Threads:  the loop's.
 * Lifetime: counted references. Without one it is killed; on_closed comes when nothing is left.
 */
#pragma once

#include <uv.h>

#include "base/list.h"
#include "base/str.h"
#include "supervisor/pool.h"

typedef struct clr_zygote clr_zygote_t;

/* A worker that was asked for; part of its owner, who fills the callbacks. */
typedef struct clr_zygote_child {
    void (*on_forked)(struct clr_zygote_child *c);
    /* The app could not be loaded (enum clr_failed); on_exit follows. */
    void (*on_failed)(struct clr_zygote_child *c, uint8_t kind, clr_str_t text);
    /* Its process is over, or there will be none. */
    void (*on_exit)(struct clr_zygote_child *c, int64_t status, int sig);
    int pid; /* 0: not forked yet */
    clr_list_t node_;
    uint32_t token_;
} clr_zygote_child_t;

/* Returns owned: one reference; NULL when there are no descriptors left. Without a process, which
 * is logged, it is not up. Borrows options for the call, ctx until on_closed. */
clr_zygote_t *clr_zygote_start(clr_loop_t *loop, const clr_pool_options_t *options,
                               void (*on_closed)(void *ctx), void *ctx);
clr_zygote_t *clr_zygote_ref(clr_zygote_t *z);
void clr_zygote_unref(clr_zygote_t *z);

/* Its process runs: it can be asked. */
bool clr_zygote_is_up(const clr_zygote_t *z);

/* Asks for a worker with these descriptors (borrowed) as its 3 and 4. Callbacks come from the
 * loop. */
CLR_NODISCARD int clr_zygote_fork(clr_zygote_t *z, clr_zygote_child_t *child, int link_fd,
                                  int watch_fd);

/* Its owner wants to hear nothing more. One that is not forked yet will end at once. */
void clr_zygote_forget(clr_zygote_child_t *child);
