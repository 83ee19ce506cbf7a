/* develop.h: --watch: from files that are saved to new code in the workers.
 *
 * Threads:  the loop's.
 * Lifetime: clr_develop_open() … clr_develop_close(), while the loop can still close handles.
 */
#pragma once

#include "supervisor/app.h"
#include "supervisor/pool.h"

typedef struct clr_develop clr_develop_t;

typedef struct clr_develop_options {
    const clr_app_t *app;     /* borrowed for the call */
    const char *const *trees; /* directories to watch beside the app's modules; likewise */
    size_t tree_count;
    bool poll;
    bool restart; /* new workers run the new code, not those that are there */
} clr_develop_options_t;

/* Before the workers are started. Fails when there is no such directory. */
CLR_NODISCARD int clr_develop_open(clr_develop_t **out, clr_gateway_t *gw,
                                   const clr_develop_options_t *options, clr_error_t *err);

/* The workers; borrowed until clr_develop_close(). */
void clr_develop_set_pool(clr_develop_t *d, clr_pool_t *pool);

/* What came of a clr_pool_replace_all(); for the pool's owner to pass on. */
void clr_develop_replaced(clr_develop_t *d, bool ok, clr_str_t text);

/* NULL is harmless. */
void clr_develop_close(clr_develop_t *d);
