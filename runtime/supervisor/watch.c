/* watch.c: what inotify tells, and what is reported of it. */
#include "supervisor/watch.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "supervisor/watch_internal.h"

#define LOG CLR_WATCH_LOG

#define MAX_WATCHES 4096
#define READ_SIZE   (16u << 10)

/* ---- what is reported ---- */

/* Below the base without it. */
static const char *shown(const clr_watch_t *w, const char *path)
{
    size_t n = strlen(w->base);
    if (n > 1 && strncmp(path, w->base, n) == 0 && path[n] == '/')
        return path + n + 1;
    return path;
}

static void forget_pending(clr_watch_t *w)
{
    for (size_t i = 0; i < w->pending_count; i++)
        free(w->pending[i]);
    w->pending_count = w->pending_total = 0;
}

static void on_report(clr_timer_t *t)
{
    clr_watch_t *w = clr_container_of(t, clr_watch_t, report_timer);
    clr_str_t files[CLR_WATCH_NAMED];
    size_t count = w->pending_count < CLR_WATCH_NAMED ? w->pending_count : CLR_WATCH_NAMED;
    for (size_t i = 0; i < count; i++)
        files[i] = clr_str_c(shown(w, w->pending[i]));
    w->ops->on_change(files, count, w->pending_total, w->ctx);
    forget_pending(w);
}

static void schedule(clr_watch_t *w, uint64_t quiet_ms)
{
    uint64_t now = clr_loop_now(w->loop);
    if (!clr_timer_is_active(&w->report_timer)) {
        w->first_ms = now;
        w->ops->on_begin(w->ctx);
    }
    uint64_t due = now + quiet_ms;
    if (due > w->first_ms + CLR_WATCH_MOST_MS)
        due = w->first_ms + CLR_WATCH_MOST_MS;
    clr_loop_timer_start_at(w->loop, &w->report_timer, due);
}

void clr_watch_note(clr_watch_t *w, const clr_watch_dir_t *dir, const char *name, bool is_gone)
{
    char *path = clr_watch_join(dir->path, name);
    schedule(w, is_gone ? CLR_WATCH_GONE_MS : CLR_WATCH_QUIET_MS);
    for (size_t i = 0; i < w->pending_count; i++) {
        if (strcmp(w->pending[i], path) == 0) {
            free(path);
            return;
        }
    }
    w->pending_total++;
    if (w->pending_count < CLR_WATCH_PENDING_MAX)
        w->pending[w->pending_count++] = path;
    else
        free(path);
}

/* ---- inotify ---- */

/* A file that was made is worth a report when it is closed; a link has its contents at once. */
static bool is_link(const clr_watch_dir_t *dir, const char *name)
{
    struct stat st;
    char *path = clr_watch_join(dir->path, name);
    bool is = lstat(path, &st) == 0 && (S_ISLNK(st.st_mode) || st.st_nlink > 1);
    free(path);
    return is;
}

/* What is in a directory that was made, or moved here, is new. */
static void on_directory(clr_watch_t *w, const clr_watch_dir_t *dir, const char *name)
{
    char *path = clr_watch_join(dir->path, name);
    if (dir->tree && clr_watch_descends(path, name))
        clr_watch_dir_add(w, path, true, false, 0);
    free(path);
}

static void on_event(clr_watch_t *w, const struct inotify_event *e)
{
    clr_watch_dir_t *dir = clr_watch_dir_by_wd(w, e->wd);
    if (!dir)
        return;
    if (e->mask & (IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF)) {
        clr_watch_dir_lost(w, dir);
        return;
    }
    if (e->len == 0)
        return;
    if (e->mask & IN_ISDIR) {
        if (e->mask & (IN_CREATE | IN_MOVED_TO))
            on_directory(w, dir, e->name);
        return;
    }
    if (!clr_watch_counts(dir, e->name) || ((e->mask & IN_CREATE) && !is_link(dir, e->name)))
        return;
    clr_watch_note(w, dir, e->name, e->mask & (IN_DELETE | IN_MOVED_FROM));
}

/* Events were lost: what they told of is anybody's guess. */
static void on_overflow(clr_watch_t *w)
{
    clr_list_each(node, &w->dirs)
    {
        const clr_watch_dir_t *dir = clr_container_of(node, clr_watch_dir_t, node);
        if (dir->is_root)
            clr_watch_note(w, dir, "*", false);
        clr_watch_dir_descend(w, dir);
    }
}

static void on_readable(uv_poll_t *handle, int status, int events)
{
    clr_watch_t *w = clr_container_of(handle, clr_watch_t, handle);
    _Alignas(struct inotify_event) char buffer[READ_SIZE];
    (void)status;
    (void)events;
    for (ssize_t n; (n = read(w->fd, buffer, sizeof(buffer))) > 0;) {
        for (const char *p = buffer; p < buffer + n;) {
            const struct inotify_event *e = (const struct inotify_event *)(const void *)p;
            if (e->mask & IN_Q_OVERFLOW)
                on_overflow(w);
            else
                on_event(w, e);
            p += sizeof(*e) + e->len;
        }
    }
}

static void open_inotify(clr_watch_t *w)
{
    w->fd = w->poll ? -1 : inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (w->fd < 0) {
        if (!w->poll)
            clr_log_warn(LOG, "files are looked at from time to time: %s", strerror(errno));
        w->told_polling = true;
        return;
    }
    int rc = uv_poll_init(&w->loop->uv, &w->handle, w->fd);
    CLR_ASSERT(rc == 0);
    rc = uv_poll_start(&w->handle, UV_READABLE, on_readable);
    CLR_ASSERT(rc == 0);
}

/* ---- life ---- */

static void on_poll(clr_timer_t *t)
{
    clr_watch_look(clr_container_of(t, clr_watch_t, poll_timer));
}

/* Links resolved, so that one directory is one. Returns owned; as it is if there is no such. */
static char *resolve(const char *path)
{
    char real[PATH_MAX];
    return clr_xstrdup(clr_str_c(realpath(path, real) ? real : path));
}

clr_watch_t *clr_watch_open(clr_loop_t *loop, const clr_watch_options_t *options,
                            const clr_watch_ops_t *ops, void *ctx)
{
    clr_watch_t *w = clr_xcalloc(1, sizeof(*w));
    w->loop = loop;
    w->ops = ops;
    w->ctx = ctx;
    w->base = resolve(options->base);
    w->poll = options->poll;
    w->watches_left = options->max_watches ? options->max_watches : MAX_WATCHES;
    clr_list_init(&w->dirs);
    clr_map_init(&w->by_path, clr_random_u64());
    clr_timer_init(&w->poll_timer, on_poll);
    clr_timer_init(&w->report_timer, on_report);
    open_inotify(w);
    return w;
}

static void on_closed(uv_handle_t *handle)
{
    clr_watch_t *w = clr_container_of((uv_poll_t *)handle, clr_watch_t, handle);
    close(w->fd);
    free(w);
}

void clr_watch_close(clr_watch_t *w)
{
    if (!w)
        return;
    clr_timer_stop(&w->poll_timer);
    clr_timer_stop(&w->report_timer);
    forget_pending(w);
    while (!clr_list_is_empty(&w->dirs))
        clr_watch_dir_free(w, clr_container_of(w->dirs.next, clr_watch_dir_t, node));
    clr_map_deinit(&w->by_path);
    free(w->base);
    if (w->fd >= 0)
        uv_close((uv_handle_t *)&w->handle, on_closed);
    else
        free(w);
}

void clr_watch_sources(clr_watch_t *w, clr_str_t directory, uint64_t since_ns)
{
    char *path = clr_xstrdup(directory);
    char *real = resolve(path);
    clr_watch_dir_add(w, real, false, true, since_ns);
    free(path);
    free(real);
}

int clr_watch_tree(clr_watch_t *w, const char *directory, clr_error_t *err)
{
    struct stat st;
    if (stat(directory, &st) != 0)
        return clr_error_set(err, -errno, "%s: %s", directory, strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return clr_error_set(err, CLR_EINVAL, "%s is not a directory", directory);
    char *real = resolve(directory);
    clr_watch_dir_add(w, real, true, true, UINT64_MAX);
    free(real);
    return 0;
}
