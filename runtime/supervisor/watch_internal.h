/* watch_internal.h: what the parts of the watcher share: watch.c (events, and what is reported),
 * watch_dir.c (directories) and watch_rules.c (what counts).
 */
#pragma once

#include "base/buf.h"
#include "base/map.h"
#include "supervisor/watch.h"

#define CLR_WATCH_LOG "watch"

/* Changed files that are told apart, and how many of them are named. */
#define CLR_WATCH_PENDING_MAX 64
#define CLR_WATCH_NAMED       5

typedef struct clr_watch_file {
    char *name;
    uint64_t stamp; /* changes with the file */
} clr_watch_file_t;

typedef enum clr_watch_state {
    CLR_WATCH_MISSING,  /* not there: looked for from time to time */
    CLR_WATCH_NOTIFIED, /* inotify tells */
    CLR_WATCH_POLLED,   /* looked through from time to time */
} clr_watch_state_t;

typedef struct clr_watch_dir {
    clr_list_t node;
    char *path; /* the key in clr_watch.by_path */
    clr_watch_state_t state;
    bool tree;               /* all files count, and the directories in it */
    bool is_root;            /* was asked for: kept when it vanishes */
    bool unread;             /* it, and what is in it, is yet to be seen to … */
    uint64_t since_ns;       /* … as to files that were saved after this */
    int wd;                  /* of inotify, or -1 */
    clr_watch_file_t *files; /* sorted; what was there last, while polled */
    size_t file_count;
} clr_watch_dir_t;

struct clr_watch {
    clr_loop_t *loop;
    const clr_watch_ops_t *ops;
    void *ctx;
    char *base;
    bool poll;
    unsigned watches_left;
    bool told_polling; /* a line says why directories are polled */
    int fd;            /* inotify; -1: there is none */
    uv_poll_t handle;
    clr_list_t dirs; /* clr_watch_dir_t.node */
    clr_map_t by_path;
    size_t unread; /* of them */
    clr_timer_t poll_timer;
    clr_timer_t report_timer;
    uint64_t first_ms; /* of what is to be reported */
    char *pending[CLR_WATCH_PENDING_MAX];
    size_t pending_count;
    size_t pending_total;
};

/* ---- watch.c ---- */

/* The file of that name is not as it was. */
void clr_watch_note(clr_watch_t *w, const clr_watch_dir_t *dir, const char *name, bool is_gone);

/* ---- watch_dir.c ---- */

/* A directory that may be watched already, and below it, for a tree, those in it. since_ns: as for
 * clr_watch_sources(). NULL: too many. */
clr_watch_dir_t *clr_watch_dir_add(clr_watch_t *w, const char *path, bool tree, bool is_root,
                                   uint64_t since_ns);
void clr_watch_dir_free(clr_watch_t *w, clr_watch_dir_t *dir);

/* Finds the directories in one of a tree that are not known yet. */
void clr_watch_dir_descend(clr_watch_t *w, const clr_watch_dir_t *dir);

/* inotify said that it is no longer what was watched. */
void clr_watch_dir_lost(clr_watch_t *w, clr_watch_dir_t *dir);

clr_watch_dir_t *clr_watch_dir_by_wd(const clr_watch_t *w, int wd);

/* Looks at all that inotify does not tell of; when to do so again is settled. */
void clr_watch_look(clr_watch_t *w);

/* ---- watch_rules.c ---- */

/* Returns owned. */
char *clr_watch_join(const char *directory, const char *name);

/* Does a file of that name in the directory count? */
bool clr_watch_counts(const clr_watch_dir_t *dir, const char *name);

/* Is a directory of that path, whose last part is `name`, part of a tree? */
bool clr_watch_descends(const char *path, const char *name);

/* Does inotify hear of all that changes in there? */
bool clr_watch_has_events(const char *path);
