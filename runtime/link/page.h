/* page.h: a little memory that gateway and worker share beside the link. In it the worker counts
 * the creditable frames that it has begun to handle, one store a frame, so that the gateway knows
 * after any death, SIGKILL too, which frames nobody has seen: those may go to another worker, all
 * others may not.
 *
 * The gateway makes the page and sends its descriptor along with the first bytes of the link; the
 * worker maps it and closes the descriptor. A worker without one counts for itself alone.
 *
 * Threads:  one writer (the worker) and one reader.
 * Lifetime: clr_page_make() or clr_page_take() … clr_page_drop(). Its size is sealed, so that no
 *           worker can take it away under the gateway.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/str.h"

typedef struct clr_page {
    _Atomic uint64_t begun;
} clr_page_t;

/* The gateway's end. *fd is owned, and to be sent and closed; -1, with a page that nobody shares,
 * where the system has no such memory. */
clr_page_t *clr_page_make(int *fd);

/* Writes the link's first bytes with the descriptor, if it is not -1. The socket's buffer is empty.
 * 0 or negative. */
CLR_NODISCARD int clr_page_send(int link_fd, clr_str_t bytes, int fd);

/* The worker's end: recv() without waiting, which also takes the descriptor if one comes along and
 * replaces *page by the page it stands for. */
ssize_t clr_page_receive(int link_fd, char *out, size_t n, clr_page_t **page);

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
