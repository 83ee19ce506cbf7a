/* watch_dir.c: the directories of the watcher: how each is watched, and looking through those that
 * inotify does not tell of.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "supervisor/watch_internal.h"

#define LOG CLR_WATCH_LOG

#define DIRS_MAX 65536

/* Looking takes so much of the time at most: 1 ms of work is followed by 500 ms of rest; beyond
 * 20 ms of work (some ten thousand files that count) by ten seconds. */
#define REST_FACTOR   500
#define REST_LEAST_MS 250
#define REST_MOST_MS  10000

/* Stamps of files are up to a tick behind the clock that `since` was read from. */
#define STAMP_SLACK_NS 10000000u

#define EVENTS                                                                                     \
    (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_DELETE_SELF |       \
     IN_MOVE_SELF | IN_ONLYDIR)

static uint64_t mtime_ns(const struct stat *st)
{
    return (uint64_t)st->st_mtim.tv_sec * 1000000000u + (uint64_t)st->st_mtim.tv_nsec;
}

static uint64_t stamp_of(const struct stat *st)
{
    uint64_t parts[] = {mtime_ns(st), (uint64_t)st->st_size, (uint64_t)st->st_ino};
    return clr_hash(clr_str((const char *)parts, sizeof(parts)), 0);
}

/* ---- what is in a directory ---- */

typedef struct listing {
    clr_watch_file_t *files;
    size_t count;
    size_t cap;
} listing_t;

static void free_files(clr_watch_file_t *files, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(files[i].name);
    free(files);
}

static void push_file(listing_t *l, const char *name, const struct stat *st)
{
    if (l->count == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 16;
        l->files = clr_xrealloc(l->files, l->cap * sizeof(*l->files));
    }
    l->files[l->count++] = (clr_watch_file_t){clr_xstrdup(clr_str_c(name)), stamp_of(st)};
}

static void want_reading(clr_watch_t *w, clr_watch_dir_t *dir, uint64_t since_ns)
{
    w->unread += !dir->unread;
    dir->unread = true;
    dir->since_ns = since_ns;
}

/* A directory that is read, and watched if it is not yet, when settle() comes. NULL: too many. */
static clr_watch_dir_t *find_or_make(clr_watch_t *w, const char *path, bool tree, uint64_t since_ns)
{
    clr_watch_dir_t *dir = clr_map_get(&w->by_path, clr_str_c(path));
    if (dir) {
        if (tree && !dir->tree)
            want_reading(w, dir, since_ns);
        dir->tree |= tree;
        return dir;
    }
    if (w->by_path.count >= DIRS_MAX)
        return NULL;
    dir = clr_xcalloc(1, sizeof(*dir));
    dir->path = clr_xstrdup(clr_str_c(path));
    dir->tree = tree;
    dir->wd = -1;
    clr_map_put(&w->by_path, clr_str_c(dir->path), dir);
    clr_list_push_back(&w->dirs, &dir->node);
    want_reading(w, dir, since_ns);
    return dir;
}

/* One entry: a file that counts goes into the listing (NULL: is only noted if it was changed since
 * then), a directory of a tree is watched from now on. */
static void take_entry(clr_watch_t *w, const clr_watch_dir_t *dir, const struct dirent *entry,
                       listing_t *l, uint64_t since_ns)
{
    bool may_be_dir = dir->tree && entry->d_type != DT_REG;
    bool counts = clr_watch_counts(dir, entry->d_name) && entry->d_type != DT_DIR;
    if (!counts && !may_be_dir)
        return;
    char *path = clr_watch_join(dir->path, entry->d_name);
    struct stat st;
    if (stat(path, &st) != 0) {
        free(path);
        return;
    }
    if (S_ISDIR(st.st_mode)) {
        /* Links to directories may lead round in a circle. */
        if (entry->d_type != DT_LNK && may_be_dir && clr_watch_descends(path, entry->d_name))
            find_or_make(w, path, true, since_ns);
    } else if (counts && l) {
        push_file(l, entry->d_name, &st);
    } else if (counts && mtime_ns(&st) + STAMP_SLACK_NS >= since_ns) {
        clr_watch_note(w, dir, entry->d_name, false);
    }
    free(path);
}

static bool read_entries(clr_watch_t *w, const clr_watch_dir_t *dir, listing_t *l,
                         uint64_t since_ns)
{
    DIR *stream = opendir(dir->path);
    if (!stream)
        return false;
    for (const struct dirent *entry; (entry = readdir(stream));) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            take_entry(w, dir, entry, l, since_ns);
    }
    closedir(stream);
    return true;
}

static void keep_listing(clr_watch_dir_t *dir, const listing_t *l)
{
    free_files(dir->files, dir->file_count);
    dir->files = l->files;
    dir->file_count = l->count;
}

/* Both sorted: what differs is noted. */
static void compare(clr_watch_t *w, const clr_watch_dir_t *dir, const listing_t *now)
{
    size_t i = 0, j = 0;
    while (i < dir->file_count || j < now->count) {
        const clr_watch_file_t *old = i < dir->file_count ? &dir->files[i] : NULL;
        const clr_watch_file_t *new = j < now->count ? &now->files[j] : NULL;
        if (!new || (old && strcmp(old->name, new->name) < 0)) {
            clr_watch_note(w, dir, old->name, true);
            i++;
        } else if (!old || strcmp(old->name, new->name) > 0) {
            clr_watch_note(w, dir, new->name, false);
            j++;
        } else {
            if (old->stamp != new->stamp)
                clr_watch_note(w, dir, new->name, false);
            i++;
            j++;
        }
    }
}

/* ---- how a directory is watched ---- */

static void arm_poll(clr_watch_t *w, uint64_t delay_ms)
{
    if (!clr_timer_is_active(&w->poll_timer))
        clr_loop_timer_start(w->loop, &w->poll_timer, delay_ms);
}

static void tell_polling(clr_watch_t *w, const char *path, const char *why)
{
    if (!w->told_polling && !w->poll)
        clr_log_warn(LOG, "%s: %s; its files are looked at from time to time instead", path, why);
    w->told_polling = true;
}

/* A directory that was moved keeps its watch, which so far goes by the former path. */
static void disown(clr_watch_t *w, const clr_watch_dir_t *dir)
{
    clr_list_each(node, &w->dirs)
    {
        clr_watch_dir_t *other = clr_container_of(node, clr_watch_dir_t, node);
        if (other == dir || other->wd != dir->wd || access(other->path, F_OK) == 0)
            continue;
        other->wd = -1;
        other->state = CLR_WATCH_MISSING;
        w->watches_left++;
        arm_poll(w, REST_LEAST_MS);
    }
}

/* The state that the directory can have now. */
static clr_watch_state_t subscribe(clr_watch_t *w, clr_watch_dir_t *dir)
{
    struct stat st;
    if (stat(dir->path, &st) != 0 || !S_ISDIR(st.st_mode))
        return CLR_WATCH_MISSING;
    if (w->poll || w->fd < 0)
        return CLR_WATCH_POLLED;
    if (!clr_watch_has_events(dir->path)) {
        tell_polling(w, dir->path, "changes on this file system are not told");
        return CLR_WATCH_POLLED;
    }
    if (w->watches_left == 0) {
        tell_polling(w, dir->path, "too many directories to watch");
        return CLR_WATCH_POLLED;
    }
    dir->wd = inotify_add_watch(w->fd, dir->path, EVENTS);
    if (dir->wd >= 0) {
        disown(w, dir);
        w->watches_left--;
        return CLR_WATCH_NOTIFIED;
    }
    if (errno == ENOENT || errno == ENOTDIR)
        return CLR_WATCH_MISSING;
    tell_polling(w, dir->path, errno == ENOSPC ? "no watches are left" : strerror(errno));
    return CLR_WATCH_POLLED;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const clr_watch_file_t *)a)->name, ((const clr_watch_file_t *)b)->name);
}

/* What is there now, sorted. False when the directory cannot be read. */
static bool list(clr_watch_t *w, const clr_watch_dir_t *dir, listing_t *l)
{
    *l = (listing_t){0};
    if (!read_entries(w, dir, l, 0))
        return false;
    if (l->count)
        qsort(l->files, l->count, sizeof(*l->files), by_name);
    return true;
}

/* Watches a directory that is not watched, and looks what was changed in it since then. */
static void attach(clr_watch_t *w, clr_watch_dir_t *dir, uint64_t since_ns)
{
    listing_t l;
    dir->state = subscribe(w, dir);
    if (dir->state != CLR_WATCH_MISSING && (dir->tree || since_ns != UINT64_MAX))
        read_entries(w, dir, NULL, since_ns);
    if (dir->state == CLR_WATCH_POLLED && list(w, dir, &l))
        keep_listing(dir, &l);
    if (dir->state != CLR_WATCH_NOTIFIED)
        arm_poll(w, REST_LEAST_MS);
}

/* Directories that were met while others were read; a tree may be deep, so not one within the
 * other.
 */
static void settle(clr_watch_t *w)
{
    while (w->unread > 0) {
        clr_list_each(node, &w->dirs)
        {
            clr_watch_dir_t *dir = clr_container_of(node, clr_watch_dir_t, node);
            if (!dir->unread)
                continue;
            dir->unread = false;
            w->unread--;
            if (dir->state == CLR_WATCH_MISSING)
                attach(w, dir, dir->since_ns);
            else
                read_entries(w, dir, NULL, dir->since_ns);
        }
    }
}

clr_watch_dir_t *clr_watch_dir_add(clr_watch_t *w, const char *path, bool tree, bool is_root,
                                   uint64_t since_ns)
{
    clr_watch_dir_t *dir = find_or_make(w, path, tree, since_ns);
    if (dir)
        dir->is_root |= is_root;
    settle(w);
    return dir;
}

static void unsubscribe(clr_watch_t *w, clr_watch_dir_t *dir)
{
    if (dir->wd < 0)
        return;
    inotify_rm_watch(w->fd, dir->wd); /* fails when the kernel did it already */
    dir->wd = -1;
    w->watches_left++;
}

void clr_watch_dir_free(clr_watch_t *w, clr_watch_dir_t *dir)
{
    unsubscribe(w, dir);
    w->unread -= dir->unread;
    clr_map_remove(&w->by_path, clr_str_c(dir->path));
    clr_list_remove(&dir->node);
    free_files(dir->files, dir->file_count);
    free(dir->path);
    free(dir);
}

void clr_watch_dir_descend(clr_watch_t *w, const clr_watch_dir_t *dir)
{
    if (dir->tree && dir->state != CLR_WATCH_MISSING)
        read_entries(w, dir, NULL, UINT64_MAX);
    settle(w);
}

void clr_watch_dir_lost(clr_watch_t *w, clr_watch_dir_t *dir)
{
    unsubscribe(w, dir);
    dir->state = CLR_WATCH_MISSING;
    arm_poll(w, REST_LEAST_MS);
}

clr_watch_dir_t *clr_watch_dir_by_wd(const clr_watch_t *w, int wd)
{
    clr_list_each(node, &w->dirs)
    {
        clr_watch_dir_t *dir = clr_container_of(node, clr_watch_dir_t, node);
        if (dir->wd == wd)
            return dir;
    }
    return NULL;
}

/* ---- looking ---- */

static void look_through(clr_watch_t *w, clr_watch_dir_t *dir)
{
    listing_t l;
    if (!list(w, dir, &l)) {
        dir->state = CLR_WATCH_MISSING;
        return;
    }
    compare(w, dir, &l);
    keep_listing(dir, &l);
}

/* All that is in a directory which came back may be new. */
static void look_for(clr_watch_t *w, clr_watch_dir_t *dir)
{
    struct stat st;
    if (stat(dir->path, &st) == 0 && S_ISDIR(st.st_mode))
        attach(w, dir, 0);
}

/* Not what a busy machine lets us wait. */
static uint64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void clr_watch_look(clr_watch_t *w)
{
    uint64_t began = cpu_ns();
    bool again = false;
    clr_list_each(node, &w->dirs)
    {
        clr_watch_dir_t *dir = clr_container_of(node, clr_watch_dir_t, node);
        if (dir->unread)
            continue;
        if (dir->state == CLR_WATCH_POLLED)
            look_through(w, dir);
        else if (dir->state == CLR_WATCH_MISSING)
            look_for(w, dir);
        if (dir->state == CLR_WATCH_MISSING && !dir->is_root)
            clr_watch_dir_free(w, dir);
        else
            again |= dir->state != CLR_WATCH_NOTIFIED;
    }
    settle(w);
    again |= clr_timer_is_active(&w->poll_timer);
    uint64_t rest_ms = (cpu_ns() - began) * REST_FACTOR / 1000000;
    if (rest_ms < REST_LEAST_MS)
        rest_ms = REST_LEAST_MS;
    clr_timer_stop(&w->poll_timer);
    if (again)
        arm_poll(w, rest_ms < REST_MOST_MS ? rest_ms : REST_MOST_MS);
}
