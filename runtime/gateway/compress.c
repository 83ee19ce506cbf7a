/* compress.c: see compress.h. */
#include "gateway/compress.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/mem.h"
#include "gateway/http_conn_internal.h"
#include "gateway/pools.h"

/* Smaller bodies fit in one packet anyway. */
#define LEAST 1000

/* Read from a file at a time. */
#define PIECE (64u << 10)

/* The scratch buffer is given back when it is larger than this. */
#define KEEP_BYTES (256 * 1024)

struct clr_compress {
    clr_gzip_t *gzip;
    bool ended; /* the trailer is out */
    uint64_t written;
    /* A file on its way, or -1. */
    int fd;
    uint64_t at;
    uint64_t left;
    void (*sent)(clr_exchange_t *x);
};

static clr_buf_t *scratch(const clr_exchange_t *x)
{
    clr_buf_t *buf = clr_pools_scratch(x->gw->pools);
    if (buf->cap > KEEP_BYTES)
        clr_buf_deinit(buf);
    clr_buf_clear(buf);
    return buf;
}

/* ---- what is compressed ---- */

/* What the headers of a response say about it. */
typedef struct facts {
    clr_str_t type; /* without parameters */
    clr_str_t etag;
    bool fixed;  /* the bytes must stay as they are */
    bool varies; /* by Accept-Encoding, and says so */
} facts_t;

static bool ends_with(clr_str_t s, clr_str_t end)
{
    return s.n >= end.n && clr_str_ieq(clr_str_from(s, s.n - end.n), end);
}

static bool type_is_compressible(clr_str_t type)
{
    static const clr_str_t types[] = {
        CLR_STR_INIT("application/json"),
        CLR_STR_INIT("application/javascript"),
        CLR_STR_INIT("application/xml"),
        CLR_STR_INIT("application/wasm"),
        CLR_STR_INIT("application/x-ndjson"),
        CLR_STR_INIT("application/x-javascript"),
        CLR_STR_INIT("application/graphql"),
        CLR_STR_INIT("application/yaml"),
        CLR_STR_INIT("application/toml"),
        CLR_STR_INIT("application/rtf"),
        CLR_STR_INIT("application/x-httpd-php"),
        CLR_STR_INIT("application/vnd.ms-fontobject"),
        CLR_STR_INIT("font/ttf"),
        CLR_STR_INIT("font/otf"),
        CLR_STR_INIT("image/bmp"),
        CLR_STR_INIT("image/x-icon"),
    };
    clr_str_t text = CLR_STR("text/");
    if (type.n > text.n && clr_str_ieq(clr_str(type.p, text.n), text))
        return !clr_str_ieq(type, CLR_STR("text/event-stream")); /* each event at once */
    if (ends_with(type, CLR_STR("+json")) || ends_with(type, CLR_STR("+xml")))
        return true;
    for (size_t i = 0; i < clr_array_len(types); i++) {
        if (clr_str_ieq(type, types[i]))
            return true;
    }
    return false;
}

/* Headers of bytes that are something other than the whole, plain content, or that are about these
 * very bytes. */
static bool fixes_bytes(clr_str_t name)
{
    static const clr_str_t names[] = {
        CLR_STR_INIT("content-encoding"), CLR_STR_INIT("content-range"),
        CLR_STR_INIT("content-digest"),   CLR_STR_INIT("repr-digest"),
        CLR_STR_INIT("digest"),           CLR_STR_INIT("content-md5"),
    };
    for (size_t i = 0; i < clr_array_len(names); i++) {
        if (clr_str_ieq(name, names[i]))
            return true;
    }
    return false;
}

/* Takes the next line off the headers: name and value are views, the line has its end with it. */
static bool next_line(clr_str_t *headers, clr_str_t *line, clr_str_t *name, clr_str_t *value)
{
    ptrdiff_t end = clr_str_chr(*headers, '\n');
    if (end < 0)
        return false;
    *line = clr_str(headers->p, (size_t)end + 1);
    *headers = clr_str_from(*headers, line->n);
    ptrdiff_t colon = clr_str_chr(*line, ':');
    CLR_ASSERT(colon > 0 && line->n >= 2 && line->p[line->n - 2] == '\r');
    *name = clr_str(line->p, (size_t)colon);
    *value = clr_str_trim(clr_str(line->p + colon + 1, line->n - 2 - (size_t)colon - 1));
    return true;
}

static facts_t read_facts(clr_str_t headers)
{
    facts_t f = {.type = CLR_STR_EMPTY, .etag = CLR_STR_EMPTY};
    for (clr_str_t line, name, value; next_line(&headers, &line, &name, &value);) {
        if (clr_str_ieq(name, CLR_STR("content-type"))) {
            clr_str_split(&value, ';', &f.type);
            f.type = clr_str_trim(f.type);
        } else if (clr_str_ieq(name, CLR_STR("etag"))) {
            f.etag = value;
        } else if (clr_str_ieq(name, CLR_STR("cache-control"))) {
            f.fixed |= clr_str_has_token(value, CLR_STR("no-transform"));
        } else if (clr_str_ieq(name, CLR_STR("vary"))) {
            f.varies |= clr_str_has_token(value, CLR_STR("accept-encoding")) ||
                        clr_str_has_token(value, CLR_STR("*"));
        } else {
            f.fixed |= fixes_bytes(name);
        }
    }
    return f;
}

static bool accepts_gzip(const clr_exchange_t *x)
{
    clr_str_t accepted = clr_http_head_get(x->head, CLR_STR("accept-encoding"));
    return accepted.p && x->head->minor >= 1 && clr_coding_negotiate(accepted) == CLR_CODING_GZIP;
}

/* ---- headers ---- */

/* The lines as they are for a response that is compressed, or of which the client has a compressed
 * form. */
static void append_changed(clr_buf_t *out, clr_str_t headers)
{
    for (clr_str_t line, name, value; next_line(&headers, &line, &name, &value);) {
        bool is_etag = clr_str_ieq(name, CLR_STR("etag"));
        if (is_etag && !clr_str_starts(value, CLR_STR("W/")))
            clr_buf_printf(out, "ETag: W/%.*s\r\n", CLR_STR_ARG(value));
        else if (!clr_str_ieq(name, CLR_STR("accept-ranges"))) /* they would be of other bytes */
            clr_buf_append_str(out, line);
    }
}

/* A 304 must have the ETag of the response that the client holds: the one that it asks about. */
static bool asks_about_weak(const clr_exchange_t *x, clr_str_t etag)
{
    clr_str_t asked = clr_http_head_get(x->head, CLR_STR("if-none-match")), item;
    while (asked.p && clr_str_split(&asked, ',', &item)) {
        item = clr_str_trim(item);
        if (clr_str_starts(item, CLR_STR("W/")) && clr_str_eq(clr_str_from(item, 2), etag))
            return true;
    }
    return false;
}

static void begin_not_modified(clr_exchange_t *x, clr_str_t *headers)
{
    if (!asks_about_weak(x, read_facts(*headers).etag))
        return;
    clr_buf_t *out = scratch(x);
    append_changed(out, *headers);
    *headers = clr_buf_str(out);
}

static bool is_head_request(const clr_exchange_t *x)
{
    return clr_str_eq(x->head->method, CLR_STR("HEAD"));
}

/* False when there is nothing to compress with. */
static bool take_context(clr_exchange_t *x)
{
    clr_gzip_t *gzip = clr_pools_take_gzip(x->gw->pools);
    if (!gzip)
        return false;
    x->compress_ = clr_xcalloc(1, sizeof(*x->compress_));
    x->compress_->gzip = gzip;
    x->compress_->fd = -1;
    return true;
}

void clr_compress_begin(clr_exchange_t *x, int status, clr_str_t *headers, uint64_t *length)
{
    CLR_ASSERT(!x->compress_);
    if (status == 304) {
        begin_not_modified(x, headers);
        return;
    }
    if (status < 200 || status == 204 || status == 206 || *length < LEAST)
        return;
    facts_t f = read_facts(*headers);
    if (f.fixed || !type_is_compressible(f.type))
        return;
    /* HEAD has the headers of GET. */
    bool compressed = accepts_gzip(x) && (is_head_request(x) || take_context(x));
    clr_buf_t *out = scratch(x);
    if (compressed) {
        append_changed(out, *headers);
        clr_buf_append_str(out, CLR_STR("Content-Encoding: gzip\r\n"));
        *length = UINT64_MAX;
    } else {
        clr_buf_append_str(out, *headers);
    }
    if (!f.varies)
        clr_buf_append_str(out, CLR_STR("Vary: Accept-Encoding\r\n"));
    *headers = clr_buf_str(out);
}

/* ---- bodies ---- */

clr_str_t clr_compress_piece(clr_exchange_t *x, clr_str_t piece)
{
    struct clr_compress *c = x->compress_;
    /* Without a declared length nobody knows when the next piece comes. */
    clr_gzip_flush_t flush = x->length_ == UINT64_MAX ? CLR_GZIP_FLUSH
                             : x->sent_ == x->length_ ? CLR_GZIP_END
                                                      : CLR_GZIP_MORE;
    if (c->ended || piece.n == 0)
        return CLR_STR_EMPTY;
    clr_buf_t *out = scratch(x);
    clr_gzip_write(c->gzip, piece, flush, out);
    c->ended = flush == CLR_GZIP_END;
    c->written += out->n;
    return clr_buf_str(out);
}

clr_str_t clr_compress_rest(clr_exchange_t *x)
{
    struct clr_compress *c = x->compress_;
    if (c->ended)
        return CLR_STR_EMPTY;
    clr_buf_t *out = scratch(x);
    clr_gzip_write(c->gzip, CLR_STR_EMPTY, CLR_GZIP_END, out);
    c->ended = true;
    c->written += out->n;
    return clr_buf_str(out);
}

uint64_t clr_compress_written(const clr_exchange_t *x)
{
    return x->compress_ ? x->compress_->written : x->sent_;
}

void clr_compress_end(clr_exchange_t *x)
{
    struct clr_compress *c = x->compress_;
    if (!c)
        return;
    x->compress_ = NULL;
    if (c->fd >= 0)
        close(c->fd);
    clr_pools_give_gzip(x->gw->pools, c->gzip);
    free(c);
}

/* ---- files ---- */

static ssize_t read_piece(struct clr_compress *c, char piece[PIECE])
{
    size_t want = c->left < PIECE ? (size_t)c->left : PIECE;
    ssize_t n;
    do
        n = pread(c->fd, piece, want, (off_t)c->at);
    while (n < 0 && errno == EINTR);
    return n;
}

/* From the loop: one piece, and the next when the client has taken it, so that others get their
 * turn.
 */
static void pump(clr_exchange_t *x)
{
    struct clr_compress *c = x->compress_;
    char piece[PIECE];
    if (c->left > 0) {
        ssize_t n = read_piece(c, piece);
        if (n <= 0) {
            clr_http_conn_abort(x->conn); /* the file shrank or broke */
            return;
        }
        clr_exchange_write(x, clr_str(piece, (size_t)n));
        c->at += (uint64_t)n;
        c->left -= (uint64_t)n;
    }
    if (c->left > 0) {
        clr_exchange_want_drain(x, pump);
        return;
    }
    close(c->fd);
    c->fd = -1;
    clr_exchange_want_drain(x, c->sent);
}

void clr_compress_send_file(clr_exchange_t *x, int fd, uint64_t offset, uint64_t count,
                            void (*sent)(clr_exchange_t *x))
{
    struct clr_compress *c = x->compress_;
    CLR_ASSERT(c->fd < 0);
    c->fd = fd;
    c->at = offset;
    c->left = count;
    c->sent = sent;
    clr_exchange_want_drain(x, pump);
}
