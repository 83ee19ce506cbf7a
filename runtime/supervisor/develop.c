/* develop.c: from files that are saved to new code in the workers. */
#include "supervisor/develop.h"

#include <stdlib.h>

#include "base/mem.h"
#include "gateway/refresh.h"
#include "supervisor/path.h"
#include "supervisor/watch.h"

struct clr_develop {
    clr_gateway_t *gw;
    clr_watch_t *watch;
    clr_pool_t *pool;
    bool restart;
    unsigned due; /* outcomes of replacements to report: of one under way, and of the next */
};

static void on_begin(void *ctx)
{
    const clr_develop_t *d = ctx;
    if (!d->restart)
        clr_refresh_expect(d->gw);
}

static void on_change(const clr_str_t *files, size_t count, size_t total, void *ctx)
{
    clr_develop_t *d = ctx;
    if (!d->restart) {
        clr_refresh_begin(d->gw, files, count, total);
        return;
    }
    clr_refresh_begin_elsewhere(d->gw, files, count, total);
    d->due += d->due < 2;
    clr_pool_replace_all(d->pool, "--watch");
}

static void on_sources(clr_str_t directory, uint64_t since_ns, void *ctx)
{
    const clr_develop_t *d = ctx;
    clr_watch_sources(d->watch, directory, since_ns);
}

static int watch_trees(const clr_develop_t *d, const clr_develop_options_t *options,
                       clr_error_t *err)
{
    for (size_t i = 0; i < options->tree_count; i++) {
        if (clr_watch_tree(d->watch, options->trees[i], err) < 0)
            return clr_error_wrap(err, "--watch-dir");
    }
    return 0;
}

int clr_develop_open(clr_develop_t **out, clr_gateway_t *gw, const clr_develop_options_t *options,
                     clr_error_t *err)
{
    static const clr_watch_ops_t watch_ops = {on_begin, on_change};
    static const clr_refresh_ops_t refresh_ops = {on_sources};
    const char *work_dir = options->app->work_dir;
    clr_watch_options_t watch = {.base = work_dir ? work_dir : ".", .poll = options->poll};
    clr_develop_t *d = clr_xcalloc(1, sizeof(*d));
    d->gw = gw;
    d->restart = options->restart;
    d->watch = clr_watch_open(gw->loop, &watch, &watch_ops, d);
    clr_refresh_open(gw, &refresh_ops, d);
    int rc = watch_trees(d, options, err);
    if (rc < 0)
        clr_develop_close(d);
    else
        *out = d;
    return rc;
}

void clr_develop_set_pool(clr_develop_t *d, clr_pool_t *pool)
{
    d->pool = pool;
}

void clr_develop_replaced(clr_develop_t *d, bool ok, clr_str_t text)
{
    if (d->due == 0)
        return; /* somebody else asked for it */
    d->due--;
    clr_refresh_conclude(d->gw, ok, text);
}

void clr_develop_close(clr_develop_t *d)
{
    if (!d)
        return;
    clr_watch_close(d->watch);
    clr_refresh_close(d->gw);
    free(d);
}
