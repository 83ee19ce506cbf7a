/* exchange.c: the response side of a request (http_conn.h). */
#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/log.h"
#include "gateway/compress.h"
#include "gateway/http_conn_internal.h"

static bool is_head_request(const clr_exchange_t *x)
{
    return x->head && clr_str_eq(x->head->method, CLR_STR("HEAD"));
}

static bool status_has_body(int status)
{
    return status >= 200 && status != 204 && status != 304;
}

static unsigned body_kind(const clr_exchange_t *x, int status, uint64_t length)
{
    if (is_head_request(x) || !status_has_body(status))
        return CLR_HTTP_BODY_NONE;
    if (length != UINT64_MAX)
        return CLR_HTTP_BODY_LENGTH;
    return x->head && x->head->minor >= 1 ? CLR_HTTP_BODY_CHUNKED : CLR_HTTP_BODY_UNTIL_CLOSE;
}

/* Whether the rest of the request can be read past, should it come at all. */
static bool can_skip_body(const clr_exchange_t *x)
{
    const clr_http_head_t *head = x->head;
    if (x->conn->state != CLR_HTTP_CONN_BODY || !head->has_body)
        return true;
    if (head->expect_continue && !x->continued_)
        return false; /* it may come or not: nobody can tell */
    return head->chunked || head->content_length - x->received_ <= CLR_HTTP_DROP_MAX;
}

static bool keeps_alive(const clr_exchange_t *x)
{
    return !x->close_after_ && x->head && x->head->keep_alive && !x->gw->draining &&
           x->body_ != CLR_HTTP_BODY_UNTIL_CLOSE && can_skip_body(x);
}

static char *put(char *at, clr_str_t s)
{
    memcpy(at, s.p, s.n);
    return at + s.n;
}

static char *put_decimal(char *at, uint64_t v)
{
    char digits[20];
    size_t n = 0;
    do {
        digits[n++] = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    while (n > 0)
        *at++ = digits[--n];
    return at;
}

/* The status line, the caller's headers and ours. */
static void write_head(clr_exchange_t *x, int status, clr_str_t headers, uint64_t length)
{
    clr_stream_t *s = x->conn->stream;
    clr_str_t text = clr_str_c(clr_http_status_text(status));
    char *start = clr_stream_reserve(s, headers.n + text.n + 200), *at = start;
    at = put(at, CLR_STR("HTTP/1.1 "));
    at = put_decimal(at, (uint64_t)status);
    at = put(at, CLR_STR(" "));
    at = put(at, text);
    at = put(at, CLR_STR("\r\n"));
    if (!x->has_date) {
        at = put(at, CLR_STR("Date: "));
        at = put(at, clr_str_c(clr_loop_http_date(x->gw->loop)));
        at = put(at, CLR_STR("\r\n"));
    }
    at = put(at, headers);
    if (length != UINT64_MAX && status_has_body(status)) {
        at = put(at, CLR_STR("Content-Length: "));
        at = put_decimal(at, length);
        at = put(at, CLR_STR("\r\n"));
    } else if (x->body_ == CLR_HTTP_BODY_CHUNKED) {
        at = put(at, CLR_STR("Transfer-Encoding: chunked\r\n"));
    }
    if (x->close_after_)
        at = put(at, CLR_STR("Connection: close\r\n"));
    else if (x->head->minor == 0)
        at = put(at, CLR_STR("Connection: keep-alive\r\n"));
    at = put(at, CLR_STR("\r\n"));
    clr_stream_commit(s, (size_t)(at - start));
}

void clr_exchange_begin(clr_exchange_t *x, int status, clr_str_t headers, uint64_t content_length)
{
    CLR_ASSERT(!x->responded_ && !x->ended_);
    CLR_ASSERT(status >= 200 && status <= 999);
    x->responded_ = 1;
    x->status_ = (uint16_t)status;
    clr_metrics_count_request(&x->gw->metrics, x->kind_, status);
    x->length_ = content_length;
    if (x->compressible && x->gw->options.gzip)
        clr_compress_begin(x, status, &headers, &content_length);
    x->body_ = body_kind(x, status, content_length);
    x->close_after_ = !keeps_alive(x);
    write_head(x, status, headers, content_length);
}

void clr_exchange_write_chunk_size(clr_exchange_t *x, uint64_t size)
{
    char text[24];
    int n = snprintf(text, sizeof(text), "%" PRIx64 "\r\n", size);
    clr_stream_write(x->conn->stream, clr_str(text, (size_t)n));
}

static void write_chunk(clr_exchange_t *x, clr_str_t piece)
{
    if (piece.n == 0) /* the compressor keeps it back; a chunk of 0 bytes is the end */
        return;
    clr_exchange_write_chunk_size(x, piece.n);
    clr_stream_write(x->conn->stream, piece);
    clr_stream_write(x->conn->stream, CLR_STR("\r\n"));
}

/* Whose body it is shows by the path. */
static CLR_COLD void complain(const clr_exchange_t *x, const char *what)
{
    clr_str_t path = x->head ? x->head->path : CLR_STR("?");
    clr_log_warn("http", "the response body of %.*s is %s", (int)(path.n < 200 ? path.n : 200),
                 path.p, what);
}

uint64_t clr_exchange_take_length(clr_exchange_t *x, uint64_t count)
{
    if (x->length_ != UINT64_MAX && count > x->length_ - x->sent_) {
        complain(x, "longer than its Content-Length; the rest is cut");
        count = x->length_ - x->sent_;
        x->close_after_ = 1;
    }
    x->sent_ += count;
    return count;
}

void clr_exchange_write(clr_exchange_t *x, clr_str_t piece)
{
    CLR_ASSERT(x->responded_ && !x->ended_);
    if (piece.n == 0 || x->body_ == CLR_HTTP_BODY_NONE)
        return;
    piece.n = (size_t)clr_exchange_take_length(x, piece.n);
    if (x->compress_)
        piece = clr_compress_piece(x, piece);
    if (x->body_ == CLR_HTTP_BODY_CHUNKED)
        write_chunk(x, piece);
    else
        clr_stream_write(x->conn->stream, piece);
}

void clr_exchange_finish(clr_exchange_t *x)
{
    clr_exchange_finish_trailers(x, CLR_STR_EMPTY);
}

void clr_exchange_finish_trailers(clr_exchange_t *x, clr_str_t trailers)
{
    CLR_ASSERT(x->responded_ && !x->ended_);
    bool is_short =
        x->body_ != CLR_HTTP_BODY_NONE && x->length_ != UINT64_MAX && x->sent_ < x->length_;
    if (x->body_ == CLR_HTTP_BODY_CHUNKED && !is_short) {
        if (x->compress_)
            write_chunk(x, clr_compress_rest(x));
        clr_stream_write(x->conn->stream, CLR_STR("0\r\n"));
        clr_stream_write(x->conn->stream, trailers);
        clr_stream_write(x->conn->stream, CLR_STR("\r\n"));
    }
    if (is_short) { /* without its end */
        complain(x, "shorter than its Content-Length");
        x->close_after_ = 1;
    }
    clr_exchange_log(x);
    clr_compress_end(x);
    x->ended_ = 1;
    clr_http_conn_response_done(x->conn);
}

void clr_exchange_cut(clr_exchange_t *x)
{
    CLR_ASSERT(x->responded_ && !x->ended_);
    bool shows = x->body_ == CLR_HTTP_BODY_CHUNKED ||
                 (x->body_ == CLR_HTTP_BODY_LENGTH && x->sent_ < x->length_);
    clr_exchange_log(x);
    x->ended_ = 1;
    clr_http_conn_close(x->conn, shows);
}

void clr_exchange_interim(clr_exchange_t *x, int status, clr_str_t headers)
{
    CLR_ASSERT(!x->responded_ && !x->ended_ && status >= 100 && status < 200);
    if (x->head->minor == 0)
        return;
    clr_str_t text = clr_str_c(clr_http_status_text(status));
    char *start = clr_stream_reserve(x->conn->stream, headers.n + text.n + 40), *at = start;
    at = put(at, CLR_STR("HTTP/1.1 "));
    at = put_decimal(at, (uint64_t)status);
    at = put(at, CLR_STR(" "));
    at = put(at, text);
    at = put(at, CLR_STR("\r\n"));
    at = put(at, headers);
    at = put(at, CLR_STR("\r\n"));
    clr_stream_commit(x->conn->stream, (size_t)(at - start));
}

void clr_exchange_respond(clr_exchange_t *x, int status, clr_str_t headers, clr_str_t body)
{
    clr_exchange_begin(x, status, headers, body.n);
    clr_exchange_write(x, body);
    clr_exchange_finish(x);
}

void clr_exchange_error(clr_exchange_t *x, int status, const char *detail)
{
    char body[400];
    int n = snprintf(body, sizeof(body), "%d %s%s%s\n", status, clr_http_status_text(status),
                     detail ? ": " : "", detail ? detail : "");
    size_t len = (size_t)n < sizeof(body) ? (size_t)n : sizeof(body) - 1;
    clr_exchange_respond(x, status, CLR_STR("Content-Type: text/plain; charset=utf-8\r\n"),
                         clr_str(body, len));
}

void clr_exchange_want_drain(clr_exchange_t *x, void (*drained)(clr_exchange_t *x))
{
    CLR_ASSERT(!x->ended_);
    x->conn->drained = drained;
    clr_stream_want_drain(x->conn->stream);
    clr_http_conn_await_drain(x->conn);
}

size_t clr_exchange_pending(const clr_exchange_t *x)
{
    return clr_stream_pending(x->conn->stream);
}

void clr_exchange_close_after(clr_exchange_t *x)
{
    x->close_after_ = 1;
}

/* The query is left out: it carries session ids. */
void clr_exchange_log(const clr_exchange_t *x)
{
    if (!x->gw->options.access_log)
        return;
    clr_client_t client = clr_exchange_client(x);
    clr_str_t host = client.host.n > 0 ? client.host : CLR_STR("unix");
    clr_str_t method = x->head ? x->head->method : CLR_STR("-");
    clr_str_t path = x->head ? x->head->path : CLR_STR("-");
    clr_log_info("access", "%.*s:%u \"%.*s %.*s\" %u %" PRIu64 " bytes %" PRIu64 " ms",
                 CLR_STR_ARG(host), client.port, CLR_STR_ARG(method), CLR_STR_ARG(path), x->status_,
                 clr_compress_written(x), clr_loop_now(x->gw->loop) - x->began_ms_);
}
