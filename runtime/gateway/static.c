/* static.c: see static.h. */
#include "gateway/static.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "gateway/router.h"
#include "gateway/static_request.h"
#include "proto/url.h"

#define PREFIX CLR_STR("/public")
#define INDEX  CLR_STR("index.html")

/* With --gzip, what is compressed on its way: more is worth a compressed form beside it. */
#define COMPRESS_MAX (1u << 20)

static bool is_method(const clr_exchange_t *x, const char *method)
{
    return clr_str_eq(x->head->method, clr_str_c(method));
}

static bool is_read(const clr_exchange_t *x)
{
    return is_method(x, "GET") || is_method(x, "HEAD");
}

static clr_str_t accept_encoding(const clr_exchange_t *x)
{
    return clr_http_head_get(x->head, CLR_STR("accept-encoding"));
}

/* "/" may as well be the application's: it is the page's only for who wants to see one that is
 * there. */
static bool has_page(const clr_exchange_t *x)
{
    clr_static_file_t file;
    if (!is_read(x))
        return false;
    if (clr_static_file_open(&file, x->gw->options.public_dir, INDEX, CLR_STR_EMPTY) != 0)
        return false;
    close(file.fd);
    return true;
}

static bool is_public(const clr_exchange_t *x, clr_str_t path)
{
    return x->gw->options.public_dir &&
           (clr_str_eq(path, PREFIX) || clr_str_starts(path, CLR_STR("/public/")));
}

bool clr_static_has(const clr_exchange_t *x, clr_str_t path)
{
    if (clr_str_eq(path, CLR_STR("/")))
        return x->gw->options.public_dir && has_page(x);
    return is_public(x, path) || (is_read(x) && clr_folders_find(&x->gw->folders, NULL, path));
}

/* --- headers --- */

/* Browsers keep a copy, and ask whether it is still good if it may not be. */
static void append_headers(clr_buf_t *out, const clr_static_file_t *file)
{
    char modified[CLR_HTTP_DATE_SIZE];
    clr_clock_http_date(file->mtime_s * 1000, modified);
    clr_buf_printf(out,
                   "ETag: %s\r\nLast-Modified: %s\r\nCache-Control: %s\r\n"
                   "Accept-Ranges: bytes\r\nX-Content-Type-Options: nosniff\r\n",
                   file->etag, modified,
                   file->immutable ? "public, max-age=31536000, immutable" : "no-cache");
    if (file->varies)
        clr_buf_append_str(out, CLR_STR("Vary: Accept-Encoding\r\n"));
}

static void append_coding(clr_buf_t *out, const clr_static_file_t *file)
{
    if (file->coding)
        clr_buf_printf(out, "Content-Encoding: %s\r\n", file->coding);
}

static void append_range(clr_buf_t *out, const clr_static_file_t *file,
                         const clr_static_range_t *range)
{
    clr_buf_printf(out, "Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64 "\r\n",
                   range->first, range->last, file->size);
}

/* --- several ranges --- */

/* A multipart/byteranges response on its way; x->ctx. */
typedef struct parts {
    clr_static_file_t file;
    int count;
    int next;
    char boundary[17];
    clr_static_range_t ranges[CLR_STATIC_RANGES_MAX];
} parts_t;

static void free_parts(clr_exchange_t *x)
{
    parts_t *p = x->ctx;
    if (!p)
        return;
    x->ctx = NULL;
    close(p->file.fd);
    free(p);
}

/* What stands before a part; after the last part for number == count. */
static void append_part_head(clr_buf_t *out, const parts_t *p, int number)
{
    if (number == p->count) {
        clr_buf_printf(out, "\r\n--%s--\r\n", p->boundary);
        return;
    }
    clr_buf_printf(out, "%s--%s\r\nContent-Type: %s\r\n", number > 0 ? "\r\n" : "", p->boundary,
                   p->file.type);
    append_range(out, &p->file, &p->ranges[number]);
    clr_buf_append_str(out, CLR_STR("\r\n"));
}

static uint64_t parts_length(const parts_t *p)
{
    clr_buf_t heads = {0};
    uint64_t length = 0;
    for (int i = 0; i <= p->count; i++) {
        append_part_head(&heads, p, i);
        if (i < p->count)
            length += p->ranges[i].last - p->ranges[i].first + 1;
    }
    length += heads.n;
    clr_buf_deinit(&heads);
    return length;
}

static void send_next_part(clr_exchange_t *x)
{
    parts_t *p = x->ctx;
    clr_buf_t head = {0};
    append_part_head(&head, p, p->next);
    clr_exchange_write(x, clr_buf_str(&head));
    clr_buf_deinit(&head);
    if (p->next == p->count) {
        free_parts(x);
        clr_exchange_finish(x);
        return;
    }
    int fd = fcntl(p->file.fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) {
        clr_log_error("static", "cannot open a file: %s", clr_strerror(-errno));
        free_parts(x);
        clr_exchange_kill(x);
        return;
    }
    const clr_static_range_t *range = &p->ranges[p->next++];
    clr_exchange_send_file(x, fd, range->first, range->last - range->first + 1, send_next_part);
}

static void respond_parts(clr_exchange_t *x, const clr_static_file_t *file,
                          const clr_static_range_t *ranges, int count)
{
    parts_t *p = clr_xmalloc(sizeof(*p));
    p->file = *file;
    p->count = count;
    p->next = 0;
    memcpy(p->ranges, ranges, (size_t)count * sizeof(*ranges));
    snprintf(p->boundary, sizeof(p->boundary), "%016" PRIx64, clr_random_u64());
    clr_buf_t headers = {0};
    append_headers(&headers, file);
    append_coding(&headers, file);
    clr_buf_printf(&headers, "Content-Type: multipart/byteranges; boundary=%s\r\n", p->boundary);
    x->ctx = p;
    clr_exchange_begin(x, 206, clr_buf_str(&headers), parts_length(p));
    clr_buf_deinit(&headers);
    send_next_part(x);
}

/* --- responses --- */

static void respond_without_file(clr_exchange_t *x, const clr_static_file_t *file, int status)
{
    clr_buf_t headers = {0};
    if (status == 416)
        clr_buf_printf(&headers, "Content-Range: bytes */%" PRIu64 "\r\n", file->size);
    else
        append_headers(&headers, file);
    x->compressible = 1; /* a 304 names the ETag that it had then */
    clr_exchange_respond(x, status, clr_buf_str(&headers), CLR_STR_EMPTY);
    clr_buf_deinit(&headers);
    close(file->fd);
}

/* Takes the file's descriptor. */
static void respond_with_file(clr_exchange_t *x, const clr_static_file_t *file,
                              const clr_static_range_t *range)
{
    clr_buf_t headers = {0};
    append_headers(&headers, file);
    append_coding(&headers, file);
    clr_buf_printf(&headers, "Content-Type: %s\r\n", file->type);
    if (range)
        append_range(&headers, file, range);
    x->compressible = !range && file->size <= COMPRESS_MAX;
    clr_exchange_respond_file(x, range ? 206 : 200, clr_buf_str(&headers), file->fd,
                              range ? range->first : 0,
                              range ? range->last - range->first + 1 : file->size);
    clr_buf_deinit(&headers);
}

/* Takes the file's descriptor. */
static void respond(clr_exchange_t *x, const clr_static_file_t *file)
{
    clr_static_range_t ranges[CLR_STATIC_RANGES_MAX];
    int status = clr_static_check_conditions(x->head, file);
    int count = status == 0 ? clr_static_get_ranges(x->head, file, ranges) : 0;
    if (count < 0)
        status = 416;
    if (status != 0)
        respond_without_file(x, file, status);
    else if (count > 1)
        respond_parts(x, file, ranges, count);
    else
        respond_with_file(x, file, count == 1 ? ranges : NULL);
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

static void respond_error(clr_exchange_t *x, int error)
{
    if (error == -EMFILE || error == -ENFILE || error == -ENOMEM) {
        clr_log_error("static", "cannot open a file: %s", clr_strerror(error));
        clr_exchange_error(x, 503, NULL);
    } else {
        clr_exchange_error(x, 404, NULL);
    }
}

/* --- requests --- */

/* What a path below a directory names there: "" for itself. False if it can name nothing. */
static bool get_name(clr_buf_t *out, clr_str_t path)
{
    clr_buf_clear(out);
    if (!clr_url_safe_path(out, path.n > 0 ? path : CLR_STR("/")))
        return false;
    while (out->n > 0 && out->p[out->n - 1] == '/')
        out->n--;
    clr_buf_consume(out, out->n > 0);
    return clr_static_file_is_visible(clr_buf_str(out));
}

static bool ends_in_slash(clr_str_t path)
{
    return path.n > 0 && path.p[path.n - 1] == '/';
}

/* name: relative to the public directory, "" for itself. */
static void serve(clr_exchange_t *x, clr_buf_t *name)
{
    const char *dir = x->gw->options.public_dir;
    bool slash = ends_in_slash(x->head->path);
    clr_static_file_t file;
    int rc = clr_static_file_open(&file, dir, clr_buf_str(name), accept_encoding(x));
    if (rc == 1 && !slash && clr_router_path(x).n > 1) {
        redirect_to_directory(x);
        return;
    }
    if (rc == 1) {
        if (name->n > 0)
            clr_buf_putc(name, '/');
        clr_buf_append_str(name, INDEX);
        rc = clr_static_file_open(&file, dir, clr_buf_str(name), accept_encoding(x));
    } else if (rc == 0 && slash) {
        close(file.fd);
        rc = -ENOTDIR; /* "/public/app.js/" */
    }
    if (rc == 0)
        respond(x, &file);
    else
        respond_error(x, rc == 1 ? -ENOENT : rc);
}

static void serve_public(clr_exchange_t *x, clr_str_t path)
{
    clr_buf_t name = {0};
    if (get_name(&name, clr_str_starts(path, PREFIX) ? clr_str_from(path, PREFIX.n) : path))
        serve(x, &name);
    else
        clr_exchange_error(x, 404, NULL);
    clr_buf_deinit(&name);
}

/* Folders hold files only: their directories are not shown. What the newest one has not may be of a
 * page that an older one brought. */
static void serve_folders(clr_exchange_t *x, clr_str_t path)
{
    clr_static_file_t file;
    clr_buf_t name = {0};
    int rc = -ENOENT;
    const clr_folder_t *folder = NULL;
    while (rc == -ENOENT && (folder = clr_folders_find(&x->gw->folders, folder, path))) {
        if (!get_name(&name, clr_str_from(path, folder->path.n)) || ends_in_slash(path))
            break;
        rc = clr_static_file_open(&file, folder->directory, clr_buf_str(&name), accept_encoding(x));
        rc = rc == 1 ? -ENOENT : rc;
    }
    clr_buf_deinit(&name);
    if (rc == 0) {
        file.immutable = true;
        respond(x, &file);
    } else {
        respond_error(x, rc);
    }
}

static void on_head(clr_exchange_t *x)
{
    clr_str_t path = clr_router_path(x);
    if (!is_read(x))
        clr_exchange_respond(x, 405, CLR_STR("Allow: GET, HEAD\r\n"), CLR_STR_EMPTY);
    else if (is_public(x, path) || clr_str_eq(path, CLR_STR("/")))
        serve_public(x, path);
    else
        serve_folders(x, path);
}

const clr_handler_t clr_static_handler = {
    .on_head = on_head, .on_abort = free_parts, .kind = CLR_HANDLER_STATIC};
