/* folders.c: see folders.h. There are one or two, so that a list is searched. */
#include "gateway/folders.h"

#include <cjson/cJSON.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/mem.h"
#include "proto/json.h"

/* ---- one folder ---- */

/* Returns owned. */
static clr_folder_t *new_folder(clr_str_t path, clr_str_t directory)
{
    clr_folder_t *folder = clr_xcalloc(1, sizeof(*folder) + path.n + directory.n + 1);
    memcpy(folder->bytes_, path.p, path.n);
    memcpy(folder->bytes_ + path.n, directory.p, directory.n);
    folder->path = clr_str(folder->bytes_, path.n);
    folder->directory = folder->bytes_ + path.n;
    clr_list_init(&folder->node_);
    return folder;
}

static clr_folder_t *find_same(const clr_folders_t *folders, const clr_folder_t *wanted)
{
    clr_list_each(node, &folders->list_)
    {
        clr_folder_t *folder = clr_container_of(node, clr_folder_t, node_);
        if (clr_str_eq(folder->path, wanted->path) &&
            strcmp(folder->directory, wanted->directory) == 0)
            return folder;
    }
    return NULL;
}

/* ---- what a worker says ---- */

static bool is_path_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '~' || c == '.';
}

/* One or more segments, none of them empty, and none hidden: what needs no decoding is compared
 * with what clients ask for. */
static bool is_path(clr_str_t path)
{
    if (path.n < 2 || path.n > CLR_FOLDER_PATH_MAX || path.p[0] != '/')
        return false;
    for (size_t i = 0; i < path.n; i++) {
        char before = i > 0 ? path.p[i - 1] : '\0';
        if (path.p[i] == '/' ? before == '/' : !is_path_char(path.p[i]))
            return false;
        if (path.p[i] == '.' && before == '/')
            return false;
    }
    return path.p[path.n - 1] != '/';
}

static int parse_folders(clr_list_t *out, const cJSON *doc, clr_error_t *err)
{
    const cJSON *folders = cJSON_GetObjectItemCaseSensitive(doc, "folders");
    if (!cJSON_IsObject(doc) || (folders && !cJSON_IsObject(folders)))
        return clr_error_set(err, CLR_EPROTO, "folders: expected an object");
    if (cJSON_GetArraySize(folders) > CLR_FOLDERS_MAX)
        return clr_error_set(err, CLR_EPROTO, "folders: more than %d", CLR_FOLDERS_MAX);
    const cJSON *item;
    cJSON_ArrayForEach(item, folders)
    {
        clr_str_t path = clr_str_c(item->string);
        clr_str_t directory = clr_str_c(cJSON_GetStringValue(item));
        if (!is_path(path) || directory.n == 0 || directory.n > CLR_FOLDER_DIRECTORY_MAX ||
            directory.p[0] != '/')
            return clr_error_set(err, CLR_EPROTO,
                                 "folders: expected paths of URLs with absolute directories");
        clr_list_push_back(out, &new_folder(path, directory)->node_);
    }
    return 0;
}

int clr_folders_parse(clr_list_t *out, clr_str_t json, clr_error_t *err)
{
    if (!clr_json_is_valid(json)) /* cJSON is not as strict */
        return clr_error_set(err, CLR_EPROTO, "no JSON");
    cJSON *doc = cJSON_ParseWithLength(json.p, json.n);
    int rc = parse_folders(out, doc, err);
    cJSON_Delete(doc);
    if (rc != 0)
        clr_folders_drop(out);
    return rc;
}

void clr_folders_drop(clr_list_t *list)
{
    for (clr_list_t *node; (node = clr_list_pop_front(list));)
        free(clr_container_of(node, clr_folder_t, node_));
}

/* ---- those that count ---- */

void clr_folders_init(clr_folders_t *folders)
{
    clr_list_init(&folders->list_);
    folders->workers_ = 0;
}

void clr_folders_deinit(clr_folders_t *folders)
{
    clr_folders_drop(&folders->list_);
}

static void drop_unheld(clr_folders_t *folders)
{
    clr_list_each(node, &folders->list_)
    {
        clr_folder_t *folder = clr_container_of(node, clr_folder_t, node_);
        if (folder->holders_ == 0) {
            clr_list_remove(node);
            free(folder);
        }
    }
}

void clr_folders_add(clr_folders_t *folders, const clr_list_t *list)
{
    clr_list_each(node, list)
    {
        const clr_folder_t *wanted = clr_container_of(node, clr_folder_t, node_);
        clr_folder_t *folder = find_same(folders, wanted);
        if (!folder)
            folder = new_folder(wanted->path, clr_str_c(wanted->directory));
        folder->holders_++;
        clr_list_remove(&folder->node_);
        clr_list_push_back(&folders->list_, &folder->node_);
    }
    folders->workers_++;
    drop_unheld(folders);
}

void clr_folders_remove(clr_folders_t *folders, const clr_list_t *list)
{
    clr_list_each(node, list)
    {
        clr_folder_t *folder = find_same(folders, clr_container_of(node, clr_folder_t, node_));
        CLR_ASSERT(folder && folder->holders_ > 0);
        folder->holders_--;
    }
    CLR_ASSERT(folders->workers_ > 0);
    if (--folders->workers_ > 0)
        drop_unheld(folders);
}

const clr_folder_t *clr_folders_find(const clr_folders_t *folders, const clr_folder_t *after,
                                     clr_str_t path)
{
    const clr_list_t *node = after ? after->node_.prev : folders->list_.prev;
    for (; node != &folders->list_; node = node->prev) {
        const clr_folder_t *folder = clr_container_of(node, clr_folder_t, node_);
        if (clr_str_starts(path, folder->path) && path.n > folder->path.n &&
            path.p[folder->path.n] == '/')
            return folder;
    }
    return NULL;
}
