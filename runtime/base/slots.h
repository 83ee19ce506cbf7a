/* slots.h: 64-bit handles for objects, such as the stream ids of the link. A handle is an index and
 * a generation, so that looking up is one array access and a handle of something gone finds
 * nothing, even after its place was taken again: a place whose generations are used up is never
 * taken again.
 *
 * Threads:  one at a time.
 * Lifetime: clr_slots_init() allocates nothing; clr_slots_deinit() forgets all handles, not the
 * values.
 */
#pragma once

#include <stdint.h>

#include "base/common.h"

typedef struct clr_slot {
    void *value_;         /* NULL: free */
    uint32_t generation_; /* of the handle that is or will be given out; from 1 on */
    uint32_t next_free_;
} clr_slot_t;

typedef struct clr_slots {
    clr_slot_t *slots_;
    uint32_t cap_;
    uint32_t free_; /* head of the free list, or UINT32_MAX */
    uint32_t count;
} clr_slots_t;

void clr_slots_init(clr_slots_t *s);
void clr_slots_deinit(clr_slots_t *s);

/* value is not NULL. The handle is never 0. */
uint64_t clr_slots_add(clr_slots_t *s, void *value);

/* NULL for a handle that is not live, whatever its bits. */
void *clr_slots_get(const clr_slots_t *s, uint64_t handle);

/* Removes and returns the value, or NULL. */
void *clr_slots_remove(clr_slots_t *s, uint64_t handle);
