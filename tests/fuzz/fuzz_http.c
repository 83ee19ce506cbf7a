/* fuzz_http.c: HTTP requests. The outcome must not depend on how the bytes are cut. */
#include "base/assert.h"
#include "proto/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const clr_http_limits_t limits = {.head_bytes = 512, .headers = 16, .body_bytes = 256};

static void check_head(const clr_http_head_t *h, clr_buf_t *log)
{
    CLR_ASSERT(h->header_count <= limits.headers && h->content_length <= limits.body_bytes);
    CLR_ASSERT(!h->chunked || h->content_length == 0);
    CLR_ASSERT(h->path.n > 0 && clr_http_is_token(h->method));
    clr_buf_printf(log, "head %.*s %.*s %.*s %.*s %d%d%d%d%d %zu\n", CLR_STR_ARG(h->method),
                   CLR_STR_ARG(h->target), CLR_STR_ARG(h->path), CLR_STR_ARG(h->query), h->minor,
                   h->keep_alive, h->chunked, h->upgrade, h->expect_continue,
                   (size_t)h->content_length);
    for (size_t i = 0; i < h->header_count; i++) {
        clr_str_t name = h->headers[i].name, value = h->headers[i].value;
        CLR_ASSERT(clr_http_is_token(name) && clr_http_is_field_value(value));
        clr_buf_printf(log, "%.*s: ", CLR_STR_ARG(name));
        clr_buf_append_str(log, value);
        clr_buf_putc(log, '\n');
    }
}

/* False when the connection is over. */
static bool feed(clr_http_parser_t *p, clr_str_t in, clr_buf_t *log)
{
    for (;;) {
        clr_str_t piece;
        switch (clr_http_parser_next(p, &in, &piece)) {
        case CLR_HTTP_NEED_MORE:
            CLR_ASSERT(in.n == 0);
            return true;
        case CLR_HTTP_HEAD:
            check_head(clr_http_parser_head(p), log);
            break;
        case CLR_HTTP_BODY:
            CLR_ASSERT(piece.n > 0);
            clr_buf_append_str(log, piece);
            break;
        case CLR_HTTP_END:
            clr_buf_printf(log, "end\n");
            clr_http_parser_reset(p);
            break;
        default:
            clr_buf_printf(log, "error %d %s\n", clr_http_parser_status(p),
                           clr_http_parser_reason(p));
            return false;
        }
    }
}

static clr_buf_t run(clr_str_t in, size_t step)
{
    clr_buf_t log = {0};
    clr_http_parser_t *p = clr_http_parser_new(&limits);
    bool open = true;
    while (open && in.n > 0) {
        size_t n = step < in.n ? step : in.n;
        open = feed(p, clr_str(in.p, n), &log);
        in = clr_str_from(in, n);
    }
    clr_buf_printf(&log, "%d", open && clr_http_parser_is_idle(p));
    clr_http_parser_free(p);
    return log;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    clr_str_t in = clr_str((const char *)data + 1, size - 1);
    clr_buf_t whole = run(in, SIZE_MAX);
    clr_buf_t bytes = run(in, 1);
    clr_buf_t pieces = run(in, data[0] + 1u);
    CLR_ASSERT(clr_str_eq(clr_buf_str(&whole), clr_buf_str(&bytes)));
    CLR_ASSERT(clr_str_eq(clr_buf_str(&whole), clr_buf_str(&pieces)));
    clr_buf_deinit(&whole);
    clr_buf_deinit(&bytes);
    clr_buf_deinit(&pieces);
    return 0;
}
