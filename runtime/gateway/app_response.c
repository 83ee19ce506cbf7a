/* app_response.c: the application's response on its way to the client. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "gateway/affinity.h"
#include "gateway/app_headers.h"
#include "gateway/app_internal.h"

#define LOG "app"

/* Memory for headers that stays. */
#define KEEP_HEADERS (16u << 10)

static clr_buf_t *scratch(clr_app_request_t *r)
{
    clr_buf_t *b = &r->gw->app->headers;
    clr_buf_clear(b);
    if (b->cap > KEEP_HEADERS)
        clr_buf_deinit(b);
    return b;
}

/* ---- the window ---- */

static void on_drained(clr_exchange_t *x)
{
    clr_app_of(x)->drains = 0;
    clr_app_grant(clr_app_of(x));
}

int clr_app_count_sent(clr_app_request_t *r, size_t bytes)
{
    if (bytes > 0 && r->used >= clr_app_window(r->gw))
        return CLR_EPROTO;
    r->used += (uint32_t)bytes;
    return 0;
}

void clr_app_grant(clr_app_request_t *r)
{
    if (!r->worker || r->used == 0)
        return;
    clr_buf_append_le(clr_worker_begin(r->worker, CLR_FRAME_HTTP_WINDOW, 0, r->handle), r->used, 4);
    clr_worker_end(r->worker);
    r->used = 0;
}

/* Half of it is used: what is sent meanwhile hides the way to the worker and back. */
static void await_drain(clr_app_request_t *r)
{
    if (r->drains || r->used < clr_app_window(r->gw) / 2)
        return;
    r->drains = 1;
    clr_exchange_want_drain(r->x, on_drained);
}

/* ---- head and body ---- */

static void finish(clr_app_request_t *r, clr_str_t trailers)
{
    clr_exchange_t *x = r->x;
    clr_app_free(r);
    clr_exchange_finish_trailers(x, trailers);
}

void clr_app_cut(clr_app_request_t *r)
{
    clr_exchange_t *x = r->x;
    bool responding = r->state == CLR_APP_RESPONDING;
    clr_app_free(r);
    if (responding)
        clr_exchange_cut(x);
    else
        clr_exchange_kill(x);
}

/* The application's response cannot be sent. */
static void fail(clr_app_request_t *r, const char *why)
{
    clr_exchange_t *x = r->x;
    clr_log_error(LOG, "%s: 500: the application's response has %s", clr_app_name(r).text, why);
    clr_app_tell_gone(r, CLR_WS_ABNORMAL, CLR_STR_EMPTY);
    clr_app_free(r);
    clr_exchange_error(x, 500, NULL);
}

/* What the body's length will be said to be; UINT64_MAX: nothing. */
static uint64_t body_length(const clr_app_request_t *r, const clr_app_head_t *head, bool end,
                            clr_str_t body)
{
    bool unknown = clr_str_eq(r->x->head->method, CLR_STR("HEAD")) && body.n == 0;
    if (head->length != UINT64_MAX)
        return head->length;
    return end && !unknown ? body.n : UINT64_MAX;
}

static int begin(clr_app_request_t *r, bool end, uint16_t status, clr_strs_t headers,
                 clr_str_t body)
{
    clr_exchange_t *x = r->x;
    clr_buf_t *lines = scratch(r);
    clr_app_head_t head;
    int rc = clr_app_headers_format(headers, CLR_APP_HEADERS_RESPONSE, &head, lines);
    if (rc != 0)
        return rc;
    if (head.bad_length) {
        fail(r, "a Content-Length that is none");
        return 1;
    }
    if (status == 304 && head.length != UINT64_MAX) /* of the body that is not sent */
        clr_buf_printf(lines, "content-length: %llu\r\n", (unsigned long long)head.length);
    x->has_date = head.has_date;
    x->compressible = 1;
    if (head.close || r->is_websocket) /* a refused handshake: what follows may be no HTTP */
        clr_exchange_close_after(x);
    r->state = CLR_APP_RESPONDING;
    clr_exchange_begin(x, status, clr_buf_str(lines), body_length(r, &head, end, body));
    return 0;
}

int clr_app_start(clr_app_request_t *r, uint8_t flags, uint16_t status, clr_strs_t headers,
                  clr_str_t body)
{
    bool end = flags & CLR_FRAME_END;
    if (status < 200 || status > 999 || (end && flags & CLR_FRAME_TRAILERS))
        return CLR_EPROTO;
    clr_app_drop_kept(r);
    clr_affinity_learn(r->gw, r->worker, headers);
    int rc = begin(r, end, status, headers, body);
    if (rc != 0)
        return rc < 0 ? rc : 0;
    return clr_app_data(r, end, body);
}

int clr_app_data(clr_app_request_t *r, bool end, clr_str_t body)
{
    int rc = clr_app_count_sent(r, body.n);
    if (rc != 0)
        return rc;
    clr_exchange_write(r->x, body);
    if (end)
        finish(r, CLR_STR_EMPTY);
    else
        await_drain(r);
    return 0;
}

int clr_app_trailers(clr_app_request_t *r, clr_strs_t headers)
{
    clr_buf_t *lines = scratch(r);
    clr_app_head_t head;
    int rc = clr_app_headers_format(headers, CLR_APP_HEADERS_OTHER, &head, lines);
    if (rc != 0)
        return rc;
    bool wanted =
        clr_str_has_token(clr_http_head_get(r->x->head, CLR_STR("te")), CLR_STR("trailers"));
    finish(r, wanted ? clr_buf_str(lines) : CLR_STR_EMPTY);
    return 0;
}

int clr_app_hint(clr_app_request_t *r, clr_strs_t headers)
{
    clr_buf_t *lines = scratch(r);
    clr_app_head_t head;
    int rc = clr_app_headers_format(headers, CLR_APP_HEADERS_OTHER, &head, lines);
    if (rc != 0)
        return rc;
    /* They may be left out, and are for a client that does not read them. */
    if (r->state == CLR_APP_ASKED && clr_exchange_pending(r->x) < clr_app_window(r->gw))
        clr_exchange_interim(r->x, 103, clr_buf_str(lines));
    return 0;
}

/* ---- files ---- */

/* A descriptor, or -errno; *count is then what there is. */
static int open_file(clr_str_t path, uint64_t offset, uint64_t *count)
{
    struct stat st;
    if (path.n == 0 || memchr(path.p, 0, path.n))
        return -EINVAL;
    char *name = clr_xstrdup(path);
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    int err = errno;
    free(name);
    if (fd < 0)
        return -err;
    err = fstat(fd, &st) != 0 ? errno : S_ISREG(st.st_mode) ? 0 : EINVAL;
    if (err != 0) {
        close(fd);
        return -err;
    }
    uint64_t size = (uint64_t)st.st_size, rest = offset < size ? size - offset : 0;
    if (*count > rest)
        *count = rest;
    return fd;
}

static void tell_file_done(clr_app_request_t *r, uint32_t error)
{
    clr_buf_append_le(clr_worker_begin(r->worker, CLR_FRAME_HTTP_FILE_DONE, 0, r->handle), error,
                      4);
    clr_worker_end(r->worker);
}

static void on_file_sent(clr_exchange_t *x)
{
    clr_app_request_t *r = clr_app_of(x);
    r->sends_file = 0;
    tell_file_done(r, 0);
    if (r->file_ends)
        finish(r, CLR_STR_EMPTY);
    else
        await_drain(r); /* in the place of the one that the file took */
}

void clr_app_send_file(clr_app_request_t *r, bool end, clr_str_t path, uint64_t offset,
                       uint64_t count)
{
    int fd = open_file(path, offset, &count);
    if (fd < 0) {
        tell_file_done(r, (uint32_t)-fd);
        if (end) /* nothing more will come */
            clr_app_cut(r);
        return;
    }
    r->sends_file = 1;
    r->file_ends = end;
    r->drains = 0;
    clr_exchange_send_file(r->x, fd, offset, count, on_file_sent);
}
