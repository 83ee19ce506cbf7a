/* static.c: see static.h. */
#include "gateway/static.h"

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

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "gateway/router.h"
#include "proto/url.h"

/* Read from the file at a time, and queued for the client before it must take some. */
#define PIECE (64u << 10)

#define PREFIX CLR_STR("/public")

/* A response on its way; x->ctx. */
typedef struct transfer {
    int fd;
    uint64_t at;
    uint64_t left;
} transfer_t;

/* A file that was found, and what its headers say. */
typedef struct file {
    int fd;
    uint64_t size;
    uint64_t mtime_ms;
    const char *type;
    char etag[48];
} file_t;

/* --- names --- */

/* X(extension, content type) */
#define TYPE_MAP(X)                                                                                \
    X("html", "text/html; charset=utf-8")                                                          \
    X("htm", "text/html; charset=utf-8")                                                           \
    X("css", "text/css; charset=utf-8")                                                            \
    X("js", "text/javascript; charset=utf-8")                                                      \
    X("mjs", "text/javascript; charset=utf-8")                                                     \
    X("json", "application/json")                                                                  \
    X("map", "application/json")                                                                   \
    X("webmanifest", "application/manifest+json")                                                  \
    X("txt", "text/plain; charset=utf-8")                                                          \
    X("md", "text/markdown; charset=utf-8")                                                        \
    X("csv", "text/csv; charset=utf-8")                                                            \
    X("xml", "application/xml")                                                                    \
    X("svg", "image/svg+xml")                                                                      \
    X("png", "image/png")                                                                          \
    X("jpg", "image/jpeg")                                                                         \
    X("jpeg", "image/jpeg")                                                                        \
    X("gif", "image/gif")                                                                          \
    X("webp", "image/webp")                                                                        \
    X("avif", "image/avif")                                                                        \
    X("ico", "image/x-icon")                                                                       \
    X("woff", "font/woff")                                                                         \
    X("woff2", "font/woff2")                                                                       \
    X("ttf", "font/ttf")                                                                           \
    X("otf", "font/otf")                                                                           \
    X("mp3", "audio/mpeg")                                                                         \
    X("ogg", "audio/ogg")                                                                          \
    X("wav", "audio/wav")                                                                          \
    X("mp4", "video/mp4")                                                                          \
    X("webm", "video/webm")                                                                        \
    X("pdf", "application/pdf")                                                                    \
    X("wasm", "application/wasm")                                                                  \
    X("zip", "application/zip")

typedef struct type_entry {
    clr_str_t extension;
    const char *type;
} type_entry_t;

#define TYPE_ENTRY(extension, type) {CLR_STR_INIT(extension), type},
static const type_entry_t types[] = {TYPE_MAP(TYPE_ENTRY)};
#undef TYPE_ENTRY

const char *clr_static_content_type(clr_str_t name)
{
    size_t dot = name.n;
    while (dot > 0 && name.p[dot - 1] != '.' && name.p[dot - 1] != '/')
        dot--;
    clr_str_t extension = dot > 0 && name.p[dot - 1] == '.' ? clr_str_from(name, dot) : CLR_STR("");
    for (size_t i = 0; i < clr_array_len(types); i++) {
        if (clr_str_ieq(extension, types[i].extension))
            return types[i].type;
    }
    return "application/octet-stream";
}

/* A path that clr_url_safe_path() gave: no segment may be hidden. */
static bool has_hidden_segment(clr_str_t path)
{
    for (size_t i = 0; i < path.n; i++) {
        if (path.p[i] == '.' && (i == 0 || path.p[i - 1] == '/'))
            return true;
    }
    return false;
}

bool clr_static_has(const clr_gateway_t *gw, clr_str_t path)
{
    if (!gw->options.public_dir)
        return false;
    return clr_str_eq(path, CLR_STR("/")) || clr_str_eq(path, PREFIX) ||
           clr_str_starts(path, CLR_STR("/public/"));
}

/* --- opening --- */

#define OPEN_FLAGS (O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)

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

/* name is relative to dir. Returns a descriptor or -errno. */
static int open_beneath(const char *dir, const char *name)
{
    int dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0)
        return -errno;
    struct open_how how = {.flags = OPEN_FLAGS, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    long fd = syscall(SYS_openat2, dir_fd, name, &how, sizeof(how));
    int err = errno;
    close(dir_fd);
    if (fd >= 0)
        return (int)fd;
    return err == ENOSYS || err == EPERM ? clr_static_open_checked(dir, name) : -err;
}

/* 0 with the file open, 1: a directory, or -errno. */
static int open_file(const char *dir, clr_str_t name, file_t *out)
{
    char *path = clr_xstrdup(name.n > 0 ? name : CLR_STR("."));
    int fd = open_beneath(dir, path);
    free(path);
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
    out->mtime_ms = (uint64_t)st.st_mtim.tv_sec * 1000 + (uint64_t)st.st_mtim.tv_nsec / 1000000;
    out->type = clr_static_content_type(name);
    snprintf(out->etag, sizeof(out->etag), "\"%" PRIx64 "-%" PRIx64 "\"",
             (uint64_t)st.st_mtim.tv_sec * 1000000000 + (uint64_t)st.st_mtim.tv_nsec, out->size);
    return 0;
}

/* --- conditions and ranges --- */

static clr_str_t header(const clr_exchange_t *x, const char *name)
{
    return clr_http_head_get(x->head, clr_str_c(name));
}

static bool etag_is_listed(clr_str_t list, clr_str_t etag)
{
    if (clr_str_eq(clr_str_trim(list), CLR_STR("*")))
        return true;
    clr_str_t item;
    while (clr_str_split(&list, ',', &item)) {
        item = clr_str_trim(item);
        if (clr_str_starts(item, CLR_STR("W/")))
            item = clr_str_from(item, 2);
        if (clr_str_eq(item, etag))
            return true;
    }
    return false;
}

static bool is_unmodified_since(const file_t *file, clr_str_t date)
{
    int64_t since = clr_clock_parse_http_date(date.p, date.n);
    return since >= 0 && file->mtime_ms / 1000 <= (uint64_t)since / 1000;
}

static bool is_not_modified(const clr_exchange_t *x, const file_t *file)
{
    clr_str_t match = header(x, "if-none-match");
    if (match.p)
        return etag_is_listed(match, clr_str_c(file->etag));
    clr_str_t since = header(x, "if-modified-since");
    return since.p && is_unmodified_since(file, since);
}

/* Whether a Range counts: If-Range must name the file as it is. */
static bool range_applies(const clr_exchange_t *x, const file_t *file)
{
    clr_str_t condition = header(x, "if-range");
    if (!condition.p)
        return true;
    if (clr_str_eq(condition, clr_str_c(file->etag)))
        return true;
    int64_t date = clr_clock_parse_http_date(condition.p, condition.n);
    return date >= 0 && (uint64_t)date / 1000 == file->mtime_ms / 1000;
}

int clr_static_parse_range(clr_str_t value, uint64_t size, uint64_t *first, uint64_t *last)
{
    clr_str_t unit = CLR_STR("bytes=");
    if (!clr_str_starts(value, unit) || clr_str_chr(value, ',') >= 0)
        return 0;
    clr_str_t spec = clr_str_trim(clr_str_from(value, unit.n));
    ptrdiff_t dash = clr_str_chr(spec, '-');
    if (dash < 0)
        return 0;
    clr_str_t from = clr_str(spec.p, (size_t)dash), to = clr_str_from(spec, (size_t)dash + 1);
    uint64_t a = 0, b = UINT64_MAX;
    if ((from.n > 0 && !clr_str_to_u64(from, UINT64_MAX - 1, &a)) ||
        (to.n > 0 && !clr_str_to_u64(to, UINT64_MAX - 1, &b)) || (from.n == 0 && to.n == 0))
        return 0;
    if (from.n == 0) { /* the last b bytes */
        if (b == 0 || size == 0)
            return -1;
        *first = b >= size ? 0 : size - b;
        *last = size - 1;
        return 1;
    }
    if (b < a)
        return 0;
    if (a >= size)
        return -1;
    *first = a;
    *last = b < size ? b : size - 1;
    return 1;
}

/* --- sending --- */

static void end_transfer(clr_exchange_t *x)
{
    transfer_t *t = x->ctx;
    if (!t)
        return;
    x->ctx = NULL;
    close(t->fd);
    free(t);
}

static void send_pieces(clr_exchange_t *x)
{
    transfer_t *t = x->ctx;
    char piece[PIECE];
    while (t->left > 0 && clr_exchange_pending(x) < PIECE) {
        size_t want = t->left < sizeof(piece) ? (size_t)t->left : sizeof(piece);
        ssize_t n = pread(t->fd, piece, want, (off_t)t->at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) { /* the file shrank or broke: finish() closes, as the length does not hold */
            t->left = 0;
            break;
        }
        clr_exchange_write(x, clr_str(piece, (size_t)n));
        t->at += (uint64_t)n;
        t->left -= (uint64_t)n;
    }
    if (t->left > 0) {
        clr_exchange_want_drain(x, send_pieces);
        return;
    }
    end_transfer(x);
    clr_exchange_finish(x);
}

static void file_headers(const file_t *file, clr_buf_t *out)
{
    char modified[CLR_HTTP_DATE_SIZE];
    clr_clock_http_date(file->mtime_ms, modified);
    clr_buf_printf(out,
                   "ETag: %s\r\nLast-Modified: %s\r\nCache-Control: no-cache\r\n"
                   "Accept-Ranges: bytes\r\nX-Content-Type-Options: nosniff\r\n",
                   file->etag, modified);
}

static void send_file(clr_exchange_t *x, const file_t *file, int status, uint64_t first,
                      uint64_t count)
{
    clr_buf_t headers = {0};
    file_headers(file, &headers);
    clr_buf_printf(&headers, "Content-Type: %s\r\n", file->type);
    if (status == 206)
        clr_buf_printf(&headers, "Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64 "\r\n",
                       first, first + count - 1, file->size);
    transfer_t *t = clr_xmalloc(sizeof(*t));
    *t = (transfer_t){.fd = file->fd, .at = first, .left = count};
    if (clr_str_eq(x->head->method, CLR_STR("HEAD")))
        t->left = 0;
    x->ctx = t;
    clr_exchange_begin(x, status, clr_buf_str(&headers), count);
    clr_buf_deinit(&headers);
    send_pieces(x);
}

/* Takes the file's descriptor. */
static void respond_file(clr_exchange_t *x, const file_t *file)
{
    clr_buf_t headers = {0};
    if (is_not_modified(x, file)) {
        file_headers(file, &headers);
        clr_exchange_respond(x, 304, clr_buf_str(&headers), CLR_STR_EMPTY);
        close(file->fd);
        clr_buf_deinit(&headers);
        return;
    }
    uint64_t first = 0, last = 0;
    clr_str_t range = header(x, "range");
    int kind = range.p && clr_str_eq(x->head->method, CLR_STR("GET")) && range_applies(x, file)
                   ? clr_static_parse_range(range, file->size, &first, &last)
                   : 0;
    if (kind < 0) {
        clr_buf_printf(&headers, "Content-Range: bytes */%" PRIu64 "\r\n", file->size);
        clr_exchange_respond(x, 416, clr_buf_str(&headers), CLR_STR_EMPTY);
        close(file->fd);
        clr_buf_deinit(&headers);
        return;
    }
    if (kind > 0)
        send_file(x, file, 206, first, last - first + 1);
    else
        send_file(x, file, 200, 0, file->size);
}

/* A directory is shown by its index.html, and only at the address that ends in "/", so that links
 * in the page lead where they should. */
static void redirect_to_directory(clr_exchange_t *x)
{
    clr_buf_t headers = {0};
    clr_buf_printf(&headers, "Location: %.*s/%s%.*s\r\n", CLR_STR_ARG(x->head->path),
                   x->head->query.n > 0 ? "?" : "", CLR_STR_ARG(x->head->query));
    clr_exchange_respond(x, 301, clr_buf_str(&headers), CLR_STR_EMPTY);
    clr_buf_deinit(&headers);
}

/* name: relative to the public directory, "" for itself. */
static void serve(clr_exchange_t *x, clr_buf_t *name)
{
    const char *dir = x->gw->options.public_dir;
    bool slash = x->head->path.n > 0 && x->head->path.p[x->head->path.n - 1] == '/';
    file_t file;
    int rc = open_file(dir, clr_buf_str(name), &file);
    if (rc == 1 && !slash && clr_router_path(x).n > 1) {
        redirect_to_directory(x);
        return;
    }
    if (rc == 1) {
        if (name->n > 0)
            clr_buf_putc(name, '/');
        clr_buf_append_str(name, CLR_STR("index.html"));
        rc = open_file(dir, clr_buf_str(name), &file);
    } else if (rc == 0 && slash) {
        close(file.fd);
        rc = -ENOTDIR; /* "/public/app.js/" */
    }
    if (rc == 0) {
        respond_file(x, &file);
        return;
    }
    if (rc == -EMFILE || rc == -ENFILE || rc == -ENOMEM) {
        clr_log_error("static", "cannot open a file: %s", clr_strerror(rc));
        clr_exchange_error(x, 503, NULL);
        return;
    }
    clr_exchange_error(x, 404, NULL);
}

static void on_head(clr_exchange_t *x)
{
    clr_str_t method = x->head->method;
    if (!clr_str_eq(method, CLR_STR("GET")) && !clr_str_eq(method, CLR_STR("HEAD"))) {
        clr_exchange_respond(x, 405, CLR_STR("Allow: GET, HEAD\r\n"), CLR_STR_EMPTY);
        return;
    }
    clr_str_t path = clr_router_path(x);
    clr_buf_t safe = {0};
    if (clr_str_starts(path, PREFIX))
        path = clr_str_from(path, PREFIX.n);
    if (path.n == 0)
        path = CLR_STR("/");
    if (!clr_url_safe_path(&safe, path) || has_hidden_segment(clr_buf_str(&safe))) {
        clr_exchange_error(x, 404, NULL);
    } else {
        size_t lead = 0;
        while (lead < safe.n && safe.p[lead] == '/')
            lead++;
        clr_buf_consume(&safe, lead);
        while (safe.n > 0 && safe.p[safe.n - 1] == '/')
            safe.n--;
        serve(x, &safe);
    }
    clr_buf_deinit(&safe);
}

const clr_handler_t clr_static_handler = {.on_head = on_head, .on_abort = end_transfer};
