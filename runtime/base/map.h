/* map.h: a hash map from bytes to a pointer. Open addressing, seeded hash (a peer chooses keys).
 *
 * Threads:  one at a time.
 * Lifetime: clr_map_init() (allocates nothing), then clr_map_deinit(). Keys are borrowed until the
 * entry is removed: keep them inside the value. Values are the caller's.
 */
#pragma once

#include <stdint.h>

#include "base/str.h"

typedef struct clr_map_entry {
    clr_str_t key;
    void *value; /* NULL: free */
    uint64_t hash;
} clr_map_entry_t;

typedef struct clr_map {
    clr_map_entry_t *slots_;
    size_t cap_; /* power of two, or 0 */
    size_t count;
    uint64_t seed_;
} clr_map_t;

void clr_map_init(clr_map_t *m, uint64_t seed);
void clr_map_deinit(clr_map_t *m);

/* NULL when absent. */
void *clr_map_get(const clr_map_t *m, clr_str_t key);

/* value is not NULL. Returns the value that was there before, or NULL. */
void *clr_map_put(clr_map_t *m, clr_str_t key, void *value);

/* Returns what was removed, or NULL. */
void *clr_map_remove(clr_map_t *m, clr_str_t key);

/* Iterates: start with *cursor = 0; false at the end. The map must not change meanwhile, except
 * that the map may be deinitialised after the loop. */
bool clr_map_next(const clr_map_t *m, size_t *cursor, clr_map_entry_t *out);

/* The hash itself (SipHash-1-3), for those who need one. */
uint64_t clr_hash(clr_str_t key, uint64_t seed);
