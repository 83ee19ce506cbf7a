/* watch_rules.c: what the watcher looks at. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "supervisor/watch_internal.h"

char *clr_watch_join(const char *directory, const char *name)
{
    clr_buf_t path = {0};
    clr_buf_printf(&path, "%s/%s", strcmp(directory, "/") == 0 ? "" : directory, name);
    clr_buf_putc(&path, '\0');
    return path.p;
}

static bool ends_with(const char *name, const char *tail)
{
    size_t n = strlen(name), m = strlen(tail);
    return n > m && strcmp(name + n - m, tail) == 0;
}

/* Backups, locks and what editors try out before they save. */
static bool is_dropping(const char *name)
{
    static const char *const tails[] = {"~",    ".swp",  ".swx", ".tmp",
                                        ".bak", ".orig", ".pyc", ".pyo"};
    if (name[0] == '.' || name[0] == '#' || strcmp(name, "4913") == 0)
        return true;
    for (size_t i = 0; i < clr_array_len(tails); i++) {
        if (ends_with(name, tails[i]))
            return true;
    }
    return false;
}

/* What the author of a chat sets beside the code (docs/chat-settings.md). */
static bool is_setting(const char *directory, const char *name)
{
    static const struct {
        const char *directory, *head, *tail;
    } settings[] = {
        {"", "clrun", ".toml"},
        {"", "chainlit", ".md"}, /* also chainlit_de.md */
        {"/.chainlit", "config", ".toml"},
        {"/.chainlit/translations", "", ".json"},
        {"/clrun/translations", "", ".json"},
    };
    for (size_t i = 0; i < clr_array_len(settings); i++) {
        if (strncmp(name, settings[i].head, strlen(settings[i].head)) == 0 &&
            ends_with(name, settings[i].tail) && ends_with(directory, settings[i].directory))
            return true;
    }
    return false;
}

bool clr_watch_counts(const clr_watch_dir_t *dir, const char *name)
{
    return !is_dropping(name) &&
           (dir->tree || ends_with(name, ".py") || is_setting(dir->path, name));
}

bool clr_watch_descends(const char *path, const char *name)
{
    static const char *const names[] = {"__pycache__", "node_modules", "site-packages",
                                        "dist-packages"};
    if (name[0] == '.')
        return false;
    for (size_t i = 0; i < clr_array_len(names); i++) {
        if (strcmp(name, names[i]) == 0)
            return false;
    }
    char *config = clr_watch_join(path, "pyvenv.cfg");
    bool is_venv = access(config, F_OK) == 0;
    free(config);
    return !is_venv;
}

/* File systems whose files others change without this kernel's knowledge. */
bool clr_watch_has_events(const char *path)
{
    static const uint32_t silent[] = {
        0x6969,     /* NFS */
        0x01021997, /* 9p: what virtual machines and sandboxes share with their host */
        0xff534d42, /* CIFS */
        0xfe534d42, /* SMB 2 */
        0x517b,     /* SMB */
        0x65735546, /* FUSE, and virtiofs under its name */
        0x786f4256, /* VirtualBox' shared folders */
        0x5346414f, /* AFS */
        0x00c36400, /* Ceph */
    };
    struct statfs fs;
    if (statfs(path, &fs) != 0)
        return true;
    for (size_t i = 0; i < clr_array_len(silent); i++) {
        if ((uint32_t)fs.f_type == silent[i])
            return false;
    }
    return true;
}
