/* page.h: a little memory that gateway and worker share beside the link. In it the worker counts
 * the creditable frames that it has begun to handle, one store a frame, so that the gateway knows
 * after any death, SIGKILL too, which frames nobody has seen: those may go to another worker, all
 * others may not. It also counts the pieces of bodies that it copied from the arena (arena.h),
 * and says whether it loads the app anew: then no handler keeps its loop, however long that takes.
 *
 * The gateway makes the page and sends its descriptor, and the arena's, along with the first bytes
 * of the link; the worker maps them and closes the descriptors. A worker without a page counts for
 * itself alone.
 *
 * Threads:  one writer (the worker) and one reader.
 * Lifetime: clr_page_make() or clr_page_take() … clr_page_drop(). Its size is sealed, so that no
 *           worker can take it away under the gateway.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/str.h"

typedef struct clr_page {
    _Atomic uint64_t begun;
    _Atomic uint64_t copied;
    _Atomic uint64_t loads; /* odd while the worker loads the app anew, on its loop */
} clr_page_t;

/* The gateway's end. *fd is owned, and to be sent and closed; -1, with a page that nobody shares,
 * where the system has no such memory. */
clr_page_t *clr_page_make(int *fd);

/* Writes the link's first bytes with the descriptor, if it is not -1, and then the arena's, if that
 * is not. The socket's buffer is empty. 0 or negative. */
CLR_NODISCARD int clr_page_send(int link_fd, clr_str_t bytes, int fd, int arena_fd);

/* The worker's end: recv() without waiting. It also takes the descriptors if they come along:
 * replaces *page by the page that the first stands for, and sets *arena (clr_arena_map()). */
ssize_t clr_page_receive(int link_fd, char *out, size_t n, clr_page_t **page, const char **arena);

/* A page that nobody shares. */
clr_page_t *clr_page_private(void);

void clr_page_drop(clr_page_t *page);

static inline void clr_page_begin(clr_page_t *page)
{
    uint64_t begun = atomic_load_explicit(&page->begun, memory_order_relaxed);
    atomic_store_explicit(&page->begun, begun + 1, memory_order_release);
}

static inline uint64_t clr_page_begun(const clr_page_t *page)
{
    return atomic_load_explicit(&page->begun, memory_order_acquire);
}

/* One more piece was copied, and is not looked at again. */
static inline void clr_page_count_copy(clr_page_t *page)
{
    uint64_t copied = atomic_load_explicit(&page->copied, memory_order_relaxed);
    atomic_store_explicit(&page->copied, copied + 1, memory_order_release);
}

/* The worker begins to load the app anew, or has done so. */
static inline void clr_page_set_loading(clr_page_t *page, bool loading)
{
    uint64_t loads = atomic_load_explicit(&page->loads, memory_order_relaxed);
    if ((loads & 1) != loading)
        atomic_store_explicit(&page->loads, loads + 1, memory_order_release);
}

static inline uint64_t clr_page_loads(const clr_page_t *page)
{
    return atomic_load_explicit(&page->loads, memory_order_acquire);
}

static inline uint64_t clr_page_copied(const clr_page_t *page)
{
    return atomic_load_explicit(&page->copied, memory_order_acquire);
}
