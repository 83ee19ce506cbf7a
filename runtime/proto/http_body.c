/* http_body.c: where the body of a request ends: counted, or chunked (RFC 9112 section 7.1).
 *
 * llhttp 8 takes a bare LF or a space in chunk-size lines and extensions of any length, which is
 * what request smuggling lives on. So it reads heads only, and the few rules of bodies are here.
 */
#include "proto/http_internal.h"

#include "base/assert.h"

/* A chunk-size line with its extensions, and all extensions of one body: nobody needs them, but
 * each byte of them costs us without counting against the body's limit. */
#define CHUNK_LINE_MAX       256
#define CHUNK_EXTENSIONS_MAX 16384
#define CHUNK_SIZE_MAX       (UINT64_MAX >> 1)

void clr_http_body_init(clr_http_body_t *b)
{
    *b = (clr_http_body_t){.state = CLR_HTTP_BODY_DONE};
}

void clr_http_body_deinit(clr_http_body_t *b)
{
    clr_buf_deinit(&b->line);
}

void clr_http_body_start(clr_http_body_t *b, const clr_http_head_t *head)
{
    clr_buf_t line = b->line;
    clr_buf_clear(&line);
    *b = (clr_http_body_t){.line = line};
    if (head->chunked) {
        b->state = CLR_HTTP_BODY_SIZE;
        return;
    }
    b->left = b->total = head->content_length;
    b->state = b->left > 0 ? CLR_HTTP_BODY_LENGTH : CLR_HTTP_BODY_DONE;
}

static clr_http_event_t fail(clr_http_body_t *b, int status, const char *reason)
{
    b->status = status;
    b->reason = reason;
    return CLR_HTTP_ERROR;
}

/* Takes a line off *in: 1 with the line (without CRLF), 0 when more is needed, -1 when it is longer
 * than max, -2 when it ends with a bare LF. The line is valid until the next call. */
static int take_line(clr_http_body_t *b, clr_str_t *in, size_t max, clr_str_t *line)
{
    CLR_ASSERT(b->line.n <= max);
    size_t room = max - b->line.n;
    size_t n = in->n < room ? in->n : room;
    const char *lf = n > 0 ? memchr(in->p, '\n', n) : NULL;
    if (!lf) {
        if (in->n > n)
            return -1;
        clr_buf_append_str(&b->line, *in);
        *in = clr_str_from(*in, in->n);
        return b->line.n == max ? -1 : 0;
    }
    clr_str_t got = clr_str(in->p, (size_t)(lf - in->p) + 1);
    *in = clr_str_from(*in, got.n);
    if (b->line.n > 0) {
        clr_buf_append_str(&b->line, got);
        got = clr_buf_str(&b->line);
        clr_buf_clear(&b->line);
    }
    if (got.n < 2 || got.p[got.n - 2] != '\r')
        return -2;
    *line = clr_str(got.p, got.n - 2);
    return 1;
}

/* Cuts a quoted string off the front of *s. */
static bool skip_quoted(clr_str_t *s)
{
    for (size_t i = 1; i < s->n; i++) {
        if (s->p[i] == '\\')
            i++;
        else if (s->p[i] == '"') {
            *s = clr_str_from(*s, i + 1);
            return true;
        }
    }
    return false;
}

static bool skip_token(clr_str_t *s)
{
    size_t n = 0;
    while (n < s->n && (clr_http_class[(uint8_t)s->p[n]] & CLR_HTTP_TOKEN))
        n++;
    *s = clr_str_from(*s, n);
    return n > 0;
}

/* *( ";" name [ "=" value ] ), without the optional spaces that the RFC calls bad. */
static bool extensions_are_valid(clr_str_t s)
{
    if (!clr_http_all(s, CLR_HTTP_VALUE))
        return false;
    while (s.n > 0) {
        if (s.p[0] != ';')
            return false;
        s = clr_str_from(s, 1);
        if (!skip_token(&s))
            return false;
        if (s.n == 0 || s.p[0] != '=')
            continue;
        s = clr_str_from(s, 1);
        if (s.n > 0 && s.p[0] == '"' ? !skip_quoted(&s) : !skip_token(&s))
            return false;
    }
    return true;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_size_line(clr_str_t line, uint64_t *size, size_t *extensions)
{
    uint64_t v = 0;
    size_t i = 0;
    for (; i < line.n; i++) {
        int digit = hex_value(line.p[i]);
        if (digit < 0)
            break;
        if (v > CHUNK_SIZE_MAX >> 4)
            return false;
        v = v << 4 | (unsigned)digit;
    }
    *size = v;
    *extensions = line.n - i;
    return i > 0 && extensions_are_valid(clr_str_from(line, i));
}

static clr_http_event_t read_size(clr_http_body_t *b, const clr_http_limits_t *limits,
                                  clr_str_t *in)
{
    clr_str_t line;
    int r = take_line(b, in, CHUNK_LINE_MAX, &line);
    if (r == 0)
        return CLR_HTTP_NEED_MORE;
    size_t extensions = 0;
    if (r < 0 || !parse_size_line(line, &b->left, &extensions))
        return fail(b, 400, "malformed chunk size");
    b->extensions += extensions;
    if (b->extensions > CHUNK_EXTENSIONS_MAX)
        return fail(b, 400, "too many chunk extensions");
    if (b->left > limits->body_bytes - b->total)
        return fail(b, 413, "body larger than the limit");
    b->total += b->left;
    b->state = b->left > 0 ? CLR_HTTP_BODY_DATA : CLR_HTTP_BODY_TRAILER;
    return CLR_HTTP_BODY;
}

/* Trailer fields are checked and dropped: no handler of ours may act on them. */
static clr_http_event_t read_trailer(clr_http_body_t *b, const clr_http_limits_t *limits,
                                     clr_str_t *in)
{
    clr_str_t line;
    int r = take_line(b, in, limits->head_bytes - b->trailer, &line);
    if (r == 0)
        return CLR_HTTP_NEED_MORE;
    if (r == -1)
        return fail(b, 431, "trailer larger than the limit");
    if (r == -2)
        return fail(b, 400, "bare LF in the trailer");
    b->trailer += line.n + 2;
    if (line.n == 0) {
        b->state = CLR_HTTP_BODY_DONE;
        return CLR_HTTP_END;
    }
    clr_str_t name, value;
    if (!clr_http_split_field(line, &name, &value))
        return fail(b, 400, "malformed trailer field");
    return CLR_HTTP_BODY;
}

static clr_http_event_t read_data(clr_http_body_t *b, clr_str_t *in, clr_str_t *piece)
{
    size_t n = in->n < b->left ? in->n : (size_t)b->left;
    *piece = clr_str(in->p, n);
    *in = clr_str_from(*in, n);
    b->left -= n;
    if (b->left == 0)
        b->state = b->state == CLR_HTTP_BODY_DATA ? CLR_HTTP_BODY_DATA_CR : CLR_HTTP_BODY_DONE;
    return CLR_HTTP_BODY;
}

static clr_http_event_t read_line_end(clr_http_body_t *b, clr_str_t *in)
{
    bool cr = b->state == CLR_HTTP_BODY_DATA_CR;
    if (in->p[0] != (cr ? '\r' : '\n'))
        return fail(b, 400, "chunk longer than its size");
    *in = clr_str_from(*in, 1);
    b->state = cr ? CLR_HTTP_BODY_DATA_LF : CLR_HTTP_BODY_SIZE;
    return CLR_HTTP_BODY;
}

/* One step; CLR_HTTP_BODY with an empty piece means that it goes on. */
static clr_http_event_t step(clr_http_body_t *b, const clr_http_limits_t *limits, clr_str_t *in,
                             clr_str_t *piece)
{
    if (b->state == CLR_HTTP_BODY_DONE)
        return CLR_HTTP_END;
    if (in->n == 0)
        return CLR_HTTP_NEED_MORE;
    switch (b->state) {
    case CLR_HTTP_BODY_SIZE:
        return read_size(b, limits, in);
    case CLR_HTTP_BODY_TRAILER:
        return read_trailer(b, limits, in);
    case CLR_HTTP_BODY_DATA_CR:
    case CLR_HTTP_BODY_DATA_LF:
        return read_line_end(b, in);
    default:
        return read_data(b, in, piece);
    }
}

clr_http_event_t clr_http_body_next(clr_http_body_t *b, const clr_http_limits_t *limits,
                                    clr_str_t *in, clr_str_t *piece)
{
    CLR_ASSERT(b->total <= limits->body_bytes);
    clr_http_event_t event;
    do
        event = step(b, limits, in, piece);
    while (event == CLR_HTTP_BODY && piece->n == 0);
    return event;
}
