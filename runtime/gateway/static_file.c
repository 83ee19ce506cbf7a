/* static_file.c: see static_file.h. */
#include "gateway/static_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proto/gzip.h"

/* --- types --- */

/* X(extension, content type, whether there may be compressed forms) */
#define TYPE_MAP(X)                                                                                \
    X("html", "text/html; charset=utf-8", true)                                                    \
    X("htm", "text/html; charset=utf-8", true)                                                     \
    X("css", "text/css; charset=utf-8", true)                                                      \
    X("js", "text/javascript; charset=utf-8", true)                                                \
    X("mjs", "text/javascript; charset=utf-8", true)                                               \
    X("json", "application/json", true)                                                            \
    X("map", "application/json", true)                                                             \
    X("jsonld", "application/ld+json", true)                                                       \
    X("geojson", "application/geo+json", true)                                                     \
    X("webmanifest", "application/manifest+json", true)                                            \
    X("txt", "text/plain; charset=utf-8", true)                                                    \
    X("log", "text/plain; charset=utf-8", true)                                                    \
    X("md", "text/markdown; charset=utf-8", true)                                                  \
    X("csv", "text/csv; charset=utf-8", true)                                                      \
    X("tsv", "text/tab-separated-values; charset=utf-8", true)                                     \
    X("vtt", "text/vtt; charset=utf-8", true)                                                      \
    X("ics", "text/calendar; charset=utf-8", true)                                                 \
    X("yaml", "application/yaml", true)                                                            \
    X("yml", "application/yaml", true)                                                             \
    X("xml", "application/xml", true)                                                              \
    X("xhtml", "application/xhtml+xml", true)                                                      \
    X("rss", "application/rss+xml", true)                                                          \
    X("atom", "application/atom+xml", true)                                                        \
    X("svg", "image/svg+xml", true)                                                                \
    X("wasm", "application/wasm", true)                                                            \
    X("ttf", "font/ttf", true)                                                                     \
    X("otf", "font/otf", true)                                                                     \
    X("ico", "image/x-icon", true)                                                                 \
    X("bmp", "image/bmp", true)                                                                    \
    X("woff", "font/woff", false)                                                                  \
    X("woff2", "font/woff2", false)                                                                \
    X("png", "image/png", false)                                                                   \
    X("apng", "image/apng", false)                                                                 \
    X("jpg", "image/jpeg", false)                                                                  \
    X("jpeg", "image/jpeg", false)                                                                 \
    X("gif", "image/gif", false)                                                                   \
    X("webp", "image/webp", false)                                                                 \
    X("avif", "image/avif", false)                                                                 \
    X("mp3", "audio/mpeg", false)                                                                  \
    X("m4a", "audio/mp4", false)                                                                   \
    X("aac", "audio/aac", false)                                                                   \
    X("ogg", "audio/ogg", false)                                                                   \
    X("oga", "audio/ogg", false)                                                                   \
    X("opus", "audio/ogg", false)                                                                  \
    X("flac", "audio/flac", false)                                                                 \
    X("wav", "audio/wav", false)                                                                   \
    X("weba", "audio/webm", false)                                                                 \
    X("mp4", "video/mp4", false)                                                                   \
    X("m4v", "video/mp4", false)                                                                   \
    X("mov", "video/quicktime", false)                                                             \
    X("ogv", "video/ogg", false)                                                                   \
    X("webm", "video/webm", false)                                                                 \
    X("pdf", "application/pdf", false)                                                             \
    X("zip", "application/zip", false)                                                             \
    X("gz", "application/gzip", false)

typedef struct type_entry {
    clr_str_t extension;
    const char *type;
    bool compressible;
} type_entry_t;

#define TYPE_ENTRY(extension, type, compressible) {CLR_STR_INIT(extension), type, compressible},
static const type_entry_t types[] = {TYPE_MAP(TYPE_ENTRY)};
#undef TYPE_ENTRY

static const type_entry_t unknown_type = {CLR_STR_INIT(""), "application/octet-stream", false};

static const type_entry_t *type_of(clr_str_t name)
{
    size_t dot = name.n;
    while (dot > 0 && name.p[dot - 1] != '.' && name.p[dot - 1] != '/')
        dot--;
    if (dot == 0 || name.p[dot - 1] != '.')
        return &unknown_type;
    clr_str_t extension = clr_str_from(name, dot);
    for (size_t i = 0; i < clr_array_len(types); i++) {
        if (clr_str_ieq(extension, types[i].extension))
            return &types[i];
    }
    return &unknown_type;
}

const char *clr_static_content_type(clr_str_t name)
{
    return type_of(name)->type;
}

bool clr_static_file_is_visible(clr_str_t name)
{
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] == '.' && (i == 0 || name.p[i - 1] == '/'))
            return false;
    }
    return true;
}

/* --- opening --- */

#define OPEN_FLAGS (O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)

/* While directories are being renamed the kernel cannot tell where a name leads. */
#define TRIES 3

int clr_static_open_checked(const char *dir, const char *name)
{
    char root[PATH_MAX], joined[PATH_MAX], real[PATH_MAX];
    int n = snprintf(joined, sizeof(joined), "%s/%s", dir, name);
    if (n < 0 || (size_t)n >= sizeof(joined))
        return -ENAMETOOLONG;
    if (!realpath(dir, root) || !realpath(joined, real))
        return -errno;
    size_t len = strlen(root);
    if (len == 1)
        len = 0; /* "/" */
    if (strncmp(real, root, len) != 0 || (real[len] != '/' && real[len] != '\0'))
        return -EXDEV;
    int fd = open(real, OPEN_FLAGS | O_NOFOLLOW);
    return fd < 0 ? -errno : fd;
}

/* A descriptor or -errno. dir_fd: the same directory. */
static int open_beneath(int dir_fd, const char *dir, const char *name)
{
    struct open_how how = {.flags = OPEN_FLAGS, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    int err = 0;
    for (int i = 0; i < TRIES; i++) {
        long fd = syscall(SYS_openat2, dir_fd, name, &how, sizeof(how));
        if (fd >= 0)
            return (int)fd;
        err = errno;
        if (err != EAGAIN && err != EINTR)
            break;
    }
    return err == ENOSYS || err == EPERM ? clr_static_open_checked(dir, name) : -err;
}

/* 0: out has fd, size, mtime and an ETag with the suffix; 1: a directory; or -errno. */
static int open_regular(clr_static_file_t *out, int dir_fd, const char *dir, const char *path,
                        const char *suffix)
{
    int fd = open_beneath(dir_fd, dir, path);
    if (fd < 0)
        return fd;
    struct stat st;
    int rc = fstat(fd, &st) == 0 ? 0 : -errno;
    if (rc == 0 && S_ISDIR(st.st_mode))
        rc = 1;
    else if (rc == 0 && !S_ISREG(st.st_mode))
        rc = -ENOENT;
    if (rc != 0) {
        close(fd);
        return rc;
    }
    out->fd = fd;
    out->size = (uint64_t)st.st_size;
    out->mtime_s = st.st_mtim.tv_sec > 0 ? (uint64_t)st.st_mtim.tv_sec : 0;
    snprintf(out->etag, sizeof(out->etag), "\"%" PRIx64 "-%" PRIx64 "%s\"",
             (uint64_t)st.st_mtim.tv_sec * 1000000000 + (uint64_t)st.st_mtim.tv_nsec, out->size,
             suffix);
    return 0;
}

/* --- compressed forms --- */

/* In the order of preference among those that the client likes alike. */
static const struct {
    const char *coding;
    const char *extension;
} forms[] = {{"br", ".br"}, {"gzip", ".gz"}};

#define FORM_EXTENSION_MAX 3 /* the longest */

/* Puts the best form that is there in the place of *file. path: the file's name, in a buffer with
 * room for an extension. */
static void choose_form(clr_static_file_t *file, int dir_fd, const char *dir, char *path,
                        clr_str_t accept_encoding)
{
    size_t n = strlen(path);
    clr_static_file_t form;
    unsigned best = 0;
    for (size_t i = 0; i < clr_array_len(forms); i++) {
        unsigned quality = clr_coding_quality(accept_encoding, clr_str_c(forms[i].coding));
        if (quality <= best)
            continue;
        memcpy(path + n, forms[i].extension, strlen(forms[i].extension) + 1);
        char suffix[8];
        snprintf(suffix, sizeof(suffix), "-%s", forms[i].extension + 1);
        if (open_regular(&form, dir_fd, dir, path, suffix) != 0)
            continue;
        if (form.mtime_s < file->mtime_s) {
            close(form.fd);
            continue;
        }
        close(file->fd);
        form.type = file->type;
        form.varies = true;
        form.immutable = false;
        form.coding = forms[i].coding;
        *file = form;
        best = quality;
    }
    path[n] = '\0';
}

int clr_static_file_open(clr_static_file_t *out, const char *dir, clr_str_t name,
                         clr_str_t accept_encoding)
{
    char path[PATH_MAX + FORM_EXTENSION_MAX];
    if (name.n >= PATH_MAX)
        return -ENAMETOOLONG;
    if (name.n == 0)
        name = CLR_STR(".");
    memcpy(path, name.p, name.n);
    path[name.n] = '\0';
    int dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0)
        return -errno;
    int rc = open_regular(out, dir_fd, dir, path, "");
    if (rc == 0) {
        const type_entry_t *type = type_of(name);
        out->type = type->type;
        out->coding = NULL;
        out->immutable = false;
        out->varies = type->compressible;
        if (type->compressible && accept_encoding.n > 0)
            choose_form(out, dir_fd, dir, path, accept_encoding);
    }
    close(dir_fd);
    return rc;
}
