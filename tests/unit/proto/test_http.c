#include "proto/http.h"

#include "golden.h"

/* Also told in golden/http.md. */
static const clr_http_limits_t limits = {.head_bytes = 300, .headers = 6, .body_bytes = 40};

static void print_head(const clr_http_head_t *h, clr_buf_t *events)
{
    clr_buf_printf(events, "head %.*s %.*s path=%.*s query=%.*s 1.%d", CLR_STR_ARG(h->method),
                   CLR_STR_ARG(h->target), CLR_STR_ARG(h->path), CLR_STR_ARG(h->query), h->minor);
    clr_buf_printf(events, "%s%s%s%s", h->keep_alive ? " keep-alive" : " close",
                   h->chunked ? " chunked" : "", h->expect_continue ? " expect" : "",
                   h->upgrade ? " upgrade" : "");
    if (h->content_length > 0)
        clr_buf_printf(events, " length=%" PRIu64, h->content_length);
    EXPECT_EQ(h->has_body, h->chunked || h->content_length > 0);
    clr_buf_putc(events, '\n');
    for (size_t i = 0; i < h->header_count; i++) {
        clr_buf_printf(events, "  %.*s: ", CLR_STR_ARG(h->headers[i].name));
        golden_escape(events, h->headers[i].value);
        clr_buf_putc(events, '\n');
    }
}

typedef struct run {
    clr_http_parser_t *parser;
    clr_buf_t body; /* pieces are joined: how they are cut is no promise */
    clr_buf_t *events;
    bool failed;
} run_t;

static void on_event(run_t *r, clr_http_event_t event, clr_str_t piece)
{
    if (event == CLR_HTTP_HEAD)
        print_head(clr_http_parser_head(r->parser), r->events);
    if (event == CLR_HTTP_BODY) {
        EXPECT(piece.n > 0);
        clr_buf_append_str(&r->body, piece);
    }
    if (event != CLR_HTTP_END && event != CLR_HTTP_ERROR)
        return;
    if (r->body.n > 0) {
        clr_buf_printf(r->events, "body ");
        golden_escape(r->events, clr_buf_str(&r->body));
        clr_buf_putc(r->events, '\n');
    }
    clr_buf_clear(&r->body);
    if (event == CLR_HTTP_END)
        clr_buf_printf(r->events, "end\n");
    else
        clr_buf_printf(r->events, "error %d %s\n", clr_http_parser_status(r->parser),
                       clr_http_parser_reason(r->parser));
    r->failed = event == CLR_HTTP_ERROR;
    if (!r->failed)
        clr_http_parser_reset(r->parser);
}

static void feed(run_t *r, clr_str_t in)
{
    clr_http_event_t event = CLR_HTTP_HEAD;
    while (event != CLR_HTTP_NEED_MORE && !r->failed) {
        clr_str_t piece;
        event = clr_http_parser_next(r->parser, &in, &piece);
        on_event(r, event, piece);
    }
    EXPECT(in.n == 0 || r->failed);
}

static void run_http(clr_str_t input, size_t step, clr_buf_t *events)
{
    clr_buf_t bytes = {0};
    clr_str_t line;
    while (clr_str_split(&input, '\n', &line))
        golden_unescape(&bytes, line);
    run_t r = {.parser = clr_http_parser_new(&limits), .events = events};
    for (size_t at = 0; at < bytes.n && !r.failed;) {
        size_t n = step < bytes.n - at ? step : bytes.n - at;
        char *copy = malloc(n); /* so that a read past the piece is seen */
        memcpy(copy, bytes.p + at, n);
        feed(&r, clr_str(copy, n));
        free(copy);
        at += n;
    }
    if (!r.failed && !clr_http_parser_is_idle(r.parser))
        clr_buf_printf(events, "more\n");
    clr_http_parser_free(r.parser);
    clr_buf_deinit(&r.body);
    clr_buf_deinit(&bytes);
}

TEST(http_golden)
{
    golden_run_feeds("http", run_http);
}

/* The status that a request with these limits ends with; 0: complete. */
static int status_of(clr_str_t text, const clr_http_limits_t *lim)
{
    clr_http_parser_t *p = clr_http_parser_new(lim);
    clr_str_t piece;
    clr_http_event_t event = CLR_HTTP_HEAD;
    while (event == CLR_HTTP_HEAD || event == CLR_HTTP_BODY)
        event = clr_http_parser_next(p, &text, &piece);
    int status = clr_http_parser_status(p);
    EXPECT_EQ(status == 0, event == CLR_HTTP_END);
    clr_http_parser_free(p);
    return status;
}

TEST(http_head_bytes_at_the_limit_and_one_past_it)
{
    clr_str_t text = CLR_STR("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    clr_http_limits_t lim = {.head_bytes = text.n, .headers = 10, .body_bytes = UINT64_MAX};
    EXPECT_EQ(status_of(text, &lim), 0);
    lim.head_bytes--;
    EXPECT_EQ(status_of(text, &lim), 431);
    lim.head_bytes = 10;
    EXPECT_EQ(status_of(text, &lim), 414);
}

TEST(http_headers_at_the_limit_and_one_past_it)
{
    clr_str_t text = CLR_STR("GET / HTTP/1.1\r\nHost: a\r\nB: c\r\n\r\n");
    clr_http_limits_t lim = {.head_bytes = 1000, .headers = 2, .body_bytes = UINT64_MAX};
    EXPECT_EQ(status_of(text, &lim), 0);
    lim.headers = 1;
    EXPECT_EQ(status_of(text, &lim), 431);
}

TEST(http_body_at_the_limit_and_one_past_it)
{
    clr_str_t counted = CLR_STR("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    clr_str_t chunked = CLR_STR("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                                "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n");
    clr_http_limits_t lim = {.head_bytes = 1000, .headers = 10, .body_bytes = 5};
    EXPECT_EQ(status_of(counted, &lim), 0);
    EXPECT_EQ(status_of(chunked, &lim), 0);
    lim.body_bytes = 4;
    EXPECT_EQ(status_of(counted, &lim), 413);
    EXPECT_EQ(status_of(chunked, &lim), 413);
}

TEST(http_no_limit_on_the_body)
{
    clr_http_limits_t lim = {.head_bytes = 1000, .headers = 10, .body_bytes = UINT64_MAX};
    clr_http_parser_t *p = clr_http_parser_new(&lim);
    clr_str_t text =
        CLR_STR("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775807\r\n\r\n");
    clr_str_t piece;
    EXPECT_EQ(clr_http_parser_next(p, &text, &piece), CLR_HTTP_HEAD);
    EXPECT_EQ(clr_http_parser_head(p)->content_length, INT64_MAX);
    EXPECT_EQ(clr_http_parser_next(p, &text, &piece), CLR_HTTP_NEED_MORE);
    clr_http_parser_free(p);
}

/* Chunk extensions cost us and nobody reads them. */
TEST(http_chunk_extensions_are_bounded)
{
    clr_buf_t text = {0};
    clr_buf_printf(&text, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 200; i++)
        clr_buf_printf(&text, "1;%0100d\r\nx\r\n", 0);
    clr_buf_printf(&text, "0\r\n\r\n");
    clr_http_limits_t lim = {.head_bytes = 1000, .headers = 10, .body_bytes = UINT64_MAX};
    EXPECT_EQ(status_of(clr_buf_str(&text), &lim), 400);
    clr_buf_deinit(&text);
}

TEST(http_trailer_is_bounded_as_a_head_is)
{
    clr_buf_t text = {0};
    clr_buf_printf(&text, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n");
    for (int i = 0; i < 20; i++)
        clr_buf_printf(&text, "A: %050d\r\n", 0);
    clr_buf_printf(&text, "\r\n");
    clr_http_limits_t lim = {.head_bytes = 1102, .headers = 10, .body_bytes = UINT64_MAX};
    EXPECT_EQ(status_of(clr_buf_str(&text), &lim), 0);
    lim.head_bytes--;
    EXPECT_EQ(status_of(clr_buf_str(&text), &lim), 431);
    clr_buf_deinit(&text);
}

/* Every byte at every kind of place: only those that RFC 9110 allows pass. */
TEST(http_bytes_allowed_in_a_head)
{
    clr_http_limits_t lim = {.head_bytes = 1000, .headers = 10, .body_bytes = UINT64_MAX};
    const char *token = "!#$%&'*+-.^_`|~";
    for (int c = 0; c < 256; c++) {
        char text[100];
        bool alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        int n = snprintf(text, sizeof text, "GET /_ HTTP/1.1\r\nHost: a\r\nX_y: u_v\r\n\r\n");
        char *target = strchr(text, '_');
        char *name = strchr(target + 1, '_');
        char *value = strchr(name + 1, '_');

        *value = (char)c;
        bool ok = c == '\t' || (c >= 0x20 && c != 0x7f);
        EXPECT_EQ(status_of(clr_str(text, (size_t)n), &lim), ok ? 0 : 400);
        *value = '_';

        *name = (char)c;
        ok = alnum || (c && strchr(token, c)) || c == ':';
        EXPECT_EQ(status_of(clr_str(text, (size_t)n), &lim), ok ? 0 : 400);
        *name = '_';

        *target = (char)c;
        ok = c > 0x20 && c < 0x7f && c != '#';
        EXPECT_EQ(status_of(clr_str(text, (size_t)n), &lim), ok ? 0 : 400);
    }
}

TEST(http_garbage_is_refused_at_once)
{
    clr_http_parser_t *p = clr_http_parser_new(&limits);
    clr_str_t hello = CLR_STR("\x16\x03\x01\x02"), piece; /* TLS */
    EXPECT_EQ(clr_http_parser_next(p, &hello, &piece), CLR_HTTP_ERROR);
    EXPECT_EQ(clr_http_parser_status(p), 400);
    EXPECT_EQ(clr_http_parser_next(p, &hello, &piece), CLR_HTTP_ERROR);
    clr_http_parser_reset(p);
    EXPECT(clr_http_parser_is_idle(p));
    EXPECT_EQ(clr_http_parser_status(p), 0);
    clr_http_parser_free(p);
}

TEST(http_head_get)
{
    clr_http_parser_t *p = clr_http_parser_new(&limits);
    clr_str_t piece;
    clr_str_t text = CLR_STR("GET / HTTP/1.1\r\nHOST: a\r\nX: 1\r\nx: 2\r\nEmpty:\r\n\r\n");
    EXPECT_EQ(clr_http_parser_next(p, &text, &piece), CLR_HTTP_HEAD);
    const clr_http_head_t *h = clr_http_parser_head(p);
    EXPECT_STR_C(clr_http_head_get(h, CLR_STR("x")), "1");
    EXPECT_STR_C(clr_http_head_get(h, CLR_STR("host")), "a");
    EXPECT(clr_http_head_get(h, CLR_STR("empty")).p != NULL);
    EXPECT(clr_http_head_get(h, CLR_STR("none")).p == NULL);
    clr_http_parser_free(p);
}

TEST(http_alphabet)
{
    EXPECT(clr_http_is_token(CLR_STR("X-a1!~")));
    EXPECT(!clr_http_is_token(CLR_STR("")));
    EXPECT(!clr_http_is_token(CLR_STR("a b")));
    EXPECT(!clr_http_is_token(CLR_STR("a:")));
    EXPECT(clr_http_is_field_value(CLR_STR("")));
    EXPECT(clr_http_is_field_value(CLR_STR("a\tb \xc3\xa9")));
    EXPECT(!clr_http_is_field_value(CLR_STR(" a")));
    EXPECT(!clr_http_is_field_value(CLR_STR("a\r\nb: c")));
    EXPECT(!clr_http_is_field_value(CLR_STR("a\0b")));
    EXPECT_STR_C(clr_str_c(clr_http_status_text(404)), "Not Found");
    EXPECT_STR_C(clr_str_c(clr_http_status_text(799)), "Unknown");
}

TEST_MAIN(T(http_golden), T(http_head_bytes_at_the_limit_and_one_past_it),
          T(http_headers_at_the_limit_and_one_past_it), T(http_body_at_the_limit_and_one_past_it),
          T(http_no_limit_on_the_body), T(http_chunk_extensions_are_bounded),
          T(http_trailer_is_bounded_as_a_head_is), T(http_bytes_allowed_in_a_head),
          T(http_garbage_is_refused_at_once), T(http_head_get), T(http_alphabet))
