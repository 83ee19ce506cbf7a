/* outbox.h: the frames for one worker: those that wait for its credit, and those that were sent and
 * that it may not have begun.
 *
 *   kept  [from … sent)  sent; let go when the worker gives the credit back
 *   waits [sent … end)   in order, for credit
 *
 * When the worker dies, the page (link/page.h) says how many of the kept ones it began. What it
 * never began comes out again with clr_outbox_pop(), for another worker: exactly once. Of frames
 * that nobody would send again, only the head is kept.
 *
 * Threads:  the loop's.
 * Lifetime: clr_outbox_init() … clr_outbox_deinit().
 */
#pragma once

#include "link/link.h"
#include "link/page.h"

/* Bytes that are kept at most, and one frame: beyond, frames wait as if there were no credit. */
#define CLR_OUTBOX_KEPT (4u << 20)

typedef struct clr_outbox {
    clr_link_t *link; /* borrowed; set when it is open */
    clr_page_t *page;
    clr_buf_t frames_;
    size_t from_;
    size_t sent_;
    size_t begun_;    /* where the frame being written starts */
    uint64_t let_go_; /* creditable frames that left the front */
    uint32_t credit_;
    bool granted_; /* the first CREDIT came */
    uint8_t way_;  /* of the frame being written */
} clr_outbox_t;

/* Takes page. */
void clr_outbox_init(clr_outbox_t *o, clr_page_t *page);
void clr_outbox_deinit(clr_outbox_t *o);

/* The buffer to append the payload to; nothing may be called between the two. */
clr_buf_t *clr_outbox_begin(clr_outbox_t *o, uint8_t type, uint8_t flags, uint64_t stream);
void clr_outbox_end(clr_outbox_t *o);

/* A CREDIT frame: lets go, and sends what waits. Negative for more than any worker grants. */
CLR_NODISCARD int clr_outbox_credit(clr_outbox_t *o, uint32_t count);

/* Bytes that wait. */
static inline size_t clr_outbox_waiting(const clr_outbox_t *o)
{
    return o->frames_.n - o->sent_;
}

/* A creditable frame would go out now. */
static inline bool clr_outbox_is_open(const clr_outbox_t *o)
{
    return o->credit_ > 0 && clr_outbox_waiting(o) == 0 && o->sent_ - o->from_ < CLR_OUTBOX_KEPT;
}

/* Some that went out may not have been begun. */
static inline bool clr_outbox_is_owed(const clr_outbox_t *o)
{
    return o->sent_ > o->from_;
}

/* The worker is gone: forgets the frames that it began. */
void clr_outbox_drop_begun(clr_outbox_t *o);

/* Then: the next of the others; a view until the outbox is closed. False at the end. */
bool clr_outbox_pop(clr_outbox_t *o, clr_frame_t *frame);
