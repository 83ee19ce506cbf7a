/* idmap.h: a hash map from the 64-bit stream ids of the link to pointers. Ids come from the
 * gateway, which hands each out once; open addressing, no tombstones.
 *
 * Threads:  one at a time.
 * Lifetime: {0} is an empty map; clr_idmap_deinit() frees it, not the values.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct clr_idmap_slot {
    uint64_t id;
    void *value; /* NULL: free */
} clr_idmap_slot_t;

typedef struct clr_idmap {
    clr_idmap_slot_t *slots_;
    size_t cap_; /* power of two, or 0 */
    size_t count;
} clr_idmap_t;

void clr_idmap_deinit(clr_idmap_t *m);

/* NULL when absent. */
void *clr_idmap_get(const clr_idmap_t *m, uint64_t id);

/* value is not NULL. False when the id is there already; nothing is changed then. */
bool clr_idmap_add(clr_idmap_t *m, uint64_t id, void *value);

/* Returns what was removed, or NULL. */
void *clr_idmap_remove(clr_idmap_t *m, uint64_t id);

/* Iterates: start with *cursor = 0; NULL at the end. The map must not change meanwhile. */
void *clr_idmap_next(const clr_idmap_t *m, size_t *cursor);
