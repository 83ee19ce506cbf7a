/* folders.h: directories whose files the gateway serves for the app, such as the assets of a page:
 * what workers say of them (APP frame), and where a request's path may be looked for.
 *
 * All workers run the same app, except during a deploy: then some have the old code and some the
 * new, and there are clients with pages of both. So the folders of all workers that serve count,
 * what was declared last first. Those of the last worker stay until another one serves, so that a
 * page can be loaded while it is replaced.
 *
 * Threads:  the loop's.
 * Lifetime: a folder that was found is borrowed until the next call that adds or removes some.
 */
#pragma once

#include "base/error.h"
#include "base/list.h"
#include "base/str.h"

/* Of one worker; and the longest path and directory. */
#define CLR_FOLDERS_MAX          16
#define CLR_FOLDER_PATH_MAX      255
#define CLR_FOLDER_DIRECTORY_MAX 4095

typedef struct clr_folder {
    clr_list_t node_;
    clr_str_t path;        /* of URLs, without root_path: "/assets" */
    const char *directory; /* absolute */
    uint32_t holders_;     /* workers that serve and have it */
    char bytes_[];
} clr_folder_t;

/* Of all workers that serve. */
typedef struct clr_folders {
    clr_list_t list_; /* clr_folder_t.node_, what was declared last at the end */
    uint32_t workers_;
} clr_folders_t;

void clr_folders_init(clr_folders_t *folders);
void clr_folders_deinit(clr_folders_t *folders);

/* Appends to the list what the JSON of an APP frame has: {"folders": {"/assets": "/where/they"}}.
 * A path is of letters, digits and "-_~.", and no segment of it begins with a dot; all is checked.
 * On failure the list is empty. */
CLR_NODISCARD int clr_folders_parse(clr_list_t *out, clr_str_t json, clr_error_t *err);

/* Empties such a list. */
void clr_folders_drop(clr_list_t *list);

/* A worker that has these serves from now on, or no longer. Borrows the list for the call; the same
 * has to come with the removal. */
void clr_folders_add(clr_folders_t *folders, const clr_list_t *list);
void clr_folders_remove(clr_folders_t *folders, const clr_list_t *list);

/* The next folder that the path lies below, from the first one on (NULL); NULL after the last.
 * Returns borrowed. */
const clr_folder_t *clr_folders_find(const clr_folders_t *folders, const clr_folder_t *after,
                                     clr_str_t path);
