/* http.c: HTTP/1.1 requests. Lines are checked for shape as they come; llhttp then reads the whole
 * head, and what its fields mean together is checked here. Bodies: http_body.c.
 *
 * The checks before llhttp are those it does not make, or makes only when built strict: how lines
 * end, which bytes a target, a name or a value may hold, and the version. They also make the
 * outcome the same for version 8 and 9 and for any split of the input.
 */
#include "proto/http.h"

#include <llhttp.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/mem.h"
#include "proto/http_internal.h"

/* Empty lines before a request that are forgiven (RFC 9112 section 2.2). */
#define LEADING_LINES_MAX 4

/* A parser is pooled: head bytes above this are given back on reset. */
#define KEEP_BYTES 16384

typedef enum state { STATE_HEAD, STATE_BODY, STATE_END, STATE_ERROR } state_t;

struct clr_http_parser {
    const clr_http_limits_t *limits;
    state_t state;
    clr_buf_t bytes;   /* the head as received; field names are lowered in place */
    size_t line_start; /* of the line being received */
    size_t lines;      /* complete ones: the request line and fields */
    size_t leading;    /* empty lines before them */
    llhttp_t llhttp;
    clr_http_head_t head;
    clr_http_header_t *headers;
    size_t header_cap;
    clr_http_body_t body;
    int status;
    const char *reason;
};

/* --- llhttp's callbacks: the head is one buffer, so that views into it can be kept
 * ------------------ */

static int on_method(llhttp_t *llhttp, const char *at, size_t n)
{
    clr_http_parser_t *p = llhttp->data;
    p->head.method = clr_str(p->head.method.n > 0 ? p->head.method.p : at, p->head.method.n + n);
    return HPE_OK;
}

static int on_url(llhttp_t *llhttp, const char *at, size_t n)
{
    clr_http_parser_t *p = llhttp->data;
    p->head.target = clr_str(p->head.target.n > 0 ? p->head.target.p : at, p->head.target.n + n);
    return HPE_OK;
}

static int on_header_field(llhttp_t *llhttp, const char *at, size_t n)
{
    clr_http_parser_t *p = llhttp->data;
    CLR_ASSERT(p->head.header_count < p->header_cap);
    clr_str_t *name = &p->headers[p->head.header_count].name;
    *name = clr_str(name->n > 0 ? name->p : at, name->n + n);
    return HPE_OK;
}

static int on_header_value(llhttp_t *llhttp, const char *at, size_t n)
{
    clr_http_parser_t *p = llhttp->data;
    CLR_ASSERT(p->head.header_count < p->header_cap);
    clr_str_t *value = &p->headers[p->head.header_count].value;
    *value = clr_str(value->n > 0 ? value->p : at, value->n + n);
    return HPE_OK;
}

static int on_header_value_complete(llhttp_t *llhttp)
{
    clr_http_parser_t *p = llhttp->data;
    clr_http_header_t *h = &p->headers[p->head.header_count++];
    h->value = clr_str_trim(h->value);
    return HPE_OK;
}

/* llhttp reads no further than this. */
static int on_headers_complete(llhttp_t *llhttp)
{
    (void)llhttp;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_method = on_method,
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_header_value_complete = on_header_value_complete,
    .on_headers_complete = on_headers_complete,
};

/* --- life
 * ------------------------------------------------------------------------------------------ */

clr_http_parser_t *clr_http_parser_new(const clr_http_limits_t *limits)
{
    clr_http_parser_t *p = clr_xcalloc(1, sizeof *p);
    p->limits = limits;
    clr_http_body_init(&p->body);
    return p;
}

void clr_http_parser_free(clr_http_parser_t *p)
{
    if (!p)
        return;
    clr_buf_deinit(&p->bytes);
    clr_http_body_deinit(&p->body);
    free(p->headers);
    free(p);
}

void clr_http_parser_reset(clr_http_parser_t *p)
{
    if (p->bytes.cap > KEEP_BYTES)
        clr_buf_deinit(&p->bytes);
    if (p->body.line.cap > KEEP_BYTES)
        clr_buf_deinit(&p->body.line);
    clr_buf_clear(&p->bytes);
    p->state = STATE_HEAD;
    p->line_start = p->lines = p->leading = 0;
    p->head = (clr_http_head_t){0};
    p->status = 0;
    p->reason = NULL;
}

static clr_http_event_t fail(clr_http_parser_t *p, int status, const char *reason)
{
    p->state = STATE_ERROR;
    p->status = status;
    p->reason = reason;
    return CLR_HTTP_ERROR;
}

/* --- lines: 0, or the status to answer
 * ---------------------------------------------------------------- */

static int bad(clr_http_parser_t *p, int status, const char *reason)
{
    fail(p, status, reason);
    return status;
}

static int check_version(clr_http_parser_t *p, clr_str_t v)
{
    bool named = v.n == 8 && clr_str_starts(v, CLR_STR("HTTP/")) && v.p[6] == '.' &&
                 v.p[5] >= '0' && v.p[5] <= '9' && v.p[7] >= '0' && v.p[7] <= '9';
    if (!named)
        return bad(p, 400, "malformed request line");
    if (v.p[5] != '1' || v.p[7] > '1')
        return bad(p, 505, "HTTP version not supported");
    p->head.minor = (uint8_t)(v.p[7] - '0');
    return 0;
}

static int check_request_line(clr_http_parser_t *p, clr_str_t line)
{
    ptrdiff_t sp1 = clr_str_chr(line, ' ');
    if (sp1 <= 0 || !clr_http_is_token(clr_str(line.p, (size_t)sp1)))
        return bad(p, 400, "malformed request line");
    clr_str_t rest = clr_str_from(line, (size_t)sp1 + 1);
    ptrdiff_t sp2 = clr_str_chr(rest, ' ');
    if (sp2 <= 0 || !clr_http_all(clr_str(rest.p, (size_t)sp2), CLR_HTTP_TARGET))
        return bad(p, 400, "malformed request line");
    return check_version(p, clr_str_from(rest, (size_t)sp2 + 1));
}

static int check_field_line(clr_http_parser_t *p, clr_str_t line)
{
    clr_str_t name, value;
    if (line.p[0] == ' ' || line.p[0] == '\t')
        return bad(p, 400, "folded header line");
    if (!clr_http_split_field(line, &name, &value))
        return bad(p, 400, "malformed header line");
    if (p->lines - 1 > p->limits->headers)
        return bad(p, 431, "more headers than the limit");
    return 0;
}

/* The bytes of a request line up to `to`, as they come, those before `from` being checked: enough
 * to turn away what is not HTTP, such as a TLS greeting, before the time limit does. */
static int check_start(clr_http_parser_t *p, size_t from, size_t to)
{
    if (p->lines > 0 || from >= to)
        return 0;
    const char *at = p->bytes.p;
    bool ok = from == 0 || at[from - 1] != '\r';
    for (size_t i = from; i < to; i++)
        ok &= (clr_http_class[(uint8_t)at[i]] & CLR_HTTP_TARGET) || at[i] == ' ' ||
              (at[i] == '\r' && i + 1 == to);
    return ok ? 0 : bad(p, 400, "malformed request line");
}

typedef enum line_kind { LINE_BAD, LINE_FIELD, LINE_LAST } line_kind_t;

/* The line that just ended. */
static line_kind_t check_line(clr_http_parser_t *p)
{
    clr_str_t line = clr_str(p->bytes.p + p->line_start, p->bytes.n - p->line_start);
    CLR_ASSERT(line.n > 0 && line.p[line.n - 1] == '\n');
    if (line.n < 2 || line.p[line.n - 2] != '\r') {
        fail(p, 400, "bare LF");
        return LINE_BAD;
    }
    line.n -= 2;
    p->line_start = p->bytes.n;
    if (line.n == 0 && p->lines > 0)
        return LINE_LAST;
    if (line.n == 0) {
        clr_buf_clear(&p->bytes);
        p->line_start = 0;
        if (++p->leading > LEADING_LINES_MAX) {
            fail(p, 400, "empty lines");
            return LINE_BAD;
        }
        return LINE_FIELD;
    }
    int status = p->lines++ == 0 ? check_request_line(p, line) : check_field_line(p, line);
    return status == 0 ? LINE_FIELD : LINE_BAD;
}

/* --- the head's meaning: 0, or the status to answer
 * ----------------------------------------------------- */

static void split_target(clr_http_head_t *h, clr_str_t rest)
{
    ptrdiff_t q = clr_str_chr(rest, '?');
    h->path = q < 0 ? rest : clr_str(rest.p, (size_t)q);
    h->query = q < 0 ? CLR_STR_EMPTY : clr_str_from(rest, (size_t)q + 1);
    if (h->path.n == 0)
        h->path = CLR_STR("/");
}

/* "http://host/path": the host there counts, whatever the Host header says (RFC 9112
 * section 3.2.2). */
static int check_absolute(clr_http_parser_t *p, clr_str_t *authority)
{
    clr_str_t t = p->head.target;
    size_t scheme = clr_str_ieq(clr_str(t.p, t.n < 7 ? t.n : 7), CLR_STR("http://"))    ? 7
                    : clr_str_ieq(clr_str(t.p, t.n < 8 ? t.n : 8), CLR_STR("https://")) ? 8
                                                                                        : 0;
    clr_str_t rest = clr_str_from(t, scheme);
    size_t n = 0;
    while (n < rest.n && rest.p[n] != '/' && rest.p[n] != '?')
        n++;
    if (scheme == 0 || n == 0)
        return bad(p, 400, "malformed request target");
    *authority = clr_str(rest.p, n);
    if (!clr_http_all(*authority, CLR_HTTP_HOST))
        return bad(p, 400, "malformed host");
    split_target(&p->head, clr_str_from(rest, n));
    return 0;
}

static int check_target(clr_http_parser_t *p, clr_str_t *authority)
{
    clr_http_head_t *h = &p->head;
    if (clr_str_eq(h->method, CLR_STR("CONNECT")))
        return bad(p, 501, "CONNECT is not supported");
    if (h->target.p[0] == '/') {
        split_target(h, h->target);
        return 0;
    }
    if (clr_str_eq(h->target, CLR_STR("*"))) {
        h->path = h->target;
        h->query = CLR_STR_EMPTY;
        bool options = clr_str_eq(h->method, CLR_STR("OPTIONS"));
        return options ? 0 : bad(p, 400, "malformed request target");
    }
    return check_absolute(p, authority);
}

/* What the fields of one head add up to. */
typedef struct fields {
    clr_http_header_t *host;
    size_t hosts;
    size_t lengths;
    size_t coding_lines; /* Transfer-Encoding headers */
    size_t codings;      /* transfer codings in them */
    size_t others;       /* those but chunked */
    bool chunked_last;
    bool close, keep_alive, connection_upgrade, upgrade;
} fields_t;

static void add_codings(fields_t *f, clr_str_t list)
{
    clr_str_t part;
    while (clr_str_split(&list, ',', &part)) {
        part = clr_str_trim(part);
        if (part.n == 0)
            continue;
        f->chunked_last = clr_str_ieq(part, CLR_STR("chunked"));
        f->others += !f->chunked_last;
        f->codings++;
    }
}

static void add_connection(fields_t *f, clr_str_t list)
{
    f->close |= clr_str_has_token(list, CLR_STR("close"));
    f->keep_alive |= clr_str_has_token(list, CLR_STR("keep-alive"));
    f->connection_upgrade |= clr_str_has_token(list, CLR_STR("upgrade"));
}

static int add_length(clr_http_parser_t *p, fields_t *f, clr_str_t value)
{
    f->lengths++;
    if (!clr_str_to_u64(value, UINT64_MAX >> 1, &p->head.content_length))
        return bad(p, 400, "malformed Content-Length");
    return 0;
}

static int add_field(clr_http_parser_t *p, fields_t *f, clr_http_header_t *h)
{
    if (clr_str_eq(h->name, CLR_STR("host"))) {
        f->host = h;
        f->hosts++;
        return clr_http_all(h->value, CLR_HTTP_HOST) ? 0 : bad(p, 400, "malformed host");
    }
    if (clr_str_eq(h->name, CLR_STR("content-length")))
        return add_length(p, f, h->value);
    if (clr_str_eq(h->name, CLR_STR("transfer-encoding"))) {
        f->coding_lines++;
        add_codings(f, h->value);
    } else if (clr_str_eq(h->name, CLR_STR("connection"))) {
        add_connection(f, h->value);
    } else if (clr_str_eq(h->name, CLR_STR("upgrade"))) {
        f->upgrade = true;
    } else if (clr_str_eq(h->name, CLR_STR("expect"))) {
        p->head.expect_continue = clr_str_ieq(h->value, CLR_STR("100-continue"));
    }
    return 0;
}

/* How long the body is must be beyond doubt, or someone in front of us may see another request than
 * we. */
static int check_framing(clr_http_parser_t *p, const fields_t *f)
{
    clr_http_head_t *h = &p->head;
    if (f->lengths > 1)
        return bad(p, 400, "more than one Content-Length");
    if (f->coding_lines > 0 && (f->lengths > 0 || h->minor == 0))
        return bad(p, 400,
                   f->lengths > 0 ? "both Content-Length and Transfer-Encoding"
                                  : "Transfer-Encoding in HTTP/1.0");
    size_t chunked = f->codings - f->others;
    if (chunked > 1 || (chunked == 1 && !f->chunked_last) || (f->coding_lines && !f->codings))
        return bad(p, 400, "malformed Transfer-Encoding");
    if (f->others > 0)
        return bad(p, 501, "transfer coding not supported");
    h->chunked = f->codings > 0;
    if (h->content_length > p->limits->body_bytes)
        return bad(p, 413, "body larger than the limit");
    return 0;
}

static int check_head(clr_http_parser_t *p)
{
    clr_http_head_t *h = &p->head;
    fields_t f = {0};
    clr_str_t authority = CLR_STR_EMPTY;
    int status = check_target(p, &authority);
    for (size_t i = 0; status == 0 && i < h->header_count; i++)
        status = add_field(p, &f, &p->headers[i]);
    if (status == 0)
        status = check_framing(p, &f);
    if (status != 0)
        return status;
    if (f.hosts > 1 || (f.hosts == 0 && h->minor > 0))
        return bad(p, 400, f.hosts > 1 ? "more than one Host" : "no Host");
    if (authority.n > 0 && f.host)
        f.host->value = authority;
    h->keep_alive = !f.close && (h->minor > 0 || f.keep_alive);
    h->upgrade = f.connection_upgrade && f.upgrade;
    h->has_body = h->chunked || h->content_length > 0;
    h->expect_continue = h->expect_continue && h->minor > 0 && h->has_body;
    return 0;
}

/* --- reading
 * ---------------------------------------------------------------------------------------- */

static void reserve_headers(clr_http_parser_t *p)
{
    if (p->header_cap < p->lines) {
        p->header_cap = p->lines + 8;
        p->headers = clr_xrealloc(p->headers, p->header_cap * sizeof *p->headers);
    }
    memset(p->headers, 0, p->lines * sizeof *p->headers);
}

static void lower_names(clr_http_parser_t *p)
{
    for (size_t i = 0; i < p->head.header_count; i++) {
        clr_str_t name = p->headers[i].name;
        char *at = p->bytes.p + (name.p - p->bytes.p);
        for (size_t k = 0; k < name.n; k++)
            at[k] = (char)(at[k] >= 'A' && at[k] <= 'Z' ? at[k] | 0x20 : at[k]);
    }
}

/* Our own words, since llhttp's differ from version to version. */
static clr_http_event_t fail_by_llhttp(clr_http_parser_t *p, llhttp_errno_t err)
{
    switch (err) {
    case HPE_INVALID_METHOD:
    case HPE_INVALID_CONSTANT:
        return fail(p, 501, "method not supported");
    case HPE_INVALID_URL:
        return fail(p, 400, "malformed request target");
    case HPE_INVALID_CONTENT_LENGTH:
    case HPE_UNEXPECTED_CONTENT_LENGTH:
        return fail(p, 400, "malformed Content-Length");
    default:
        return fail(p, 400, "malformed request");
    }
}

/* All lines are there. */
static clr_http_event_t finish_head(clr_http_parser_t *p)
{
    reserve_headers(p);
    llhttp_init(&p->llhttp, HTTP_REQUEST, &settings);
    p->llhttp.data = p;
    /* check_framing() refuses what these let through, and knows which status it deserves. */
    llhttp_set_lenient_chunked_length(&p->llhttp, 1);
    llhttp_set_lenient_transfer_encoding(&p->llhttp, 1);
    llhttp_errno_t err = llhttp_execute(&p->llhttp, p->bytes.p, p->bytes.n);
    if (err != HPE_PAUSED || p->head.header_count != p->lines - 1)
        return fail_by_llhttp(p, err);
    p->head.headers = p->headers;
    lower_names(p);
    if (check_head(p) != 0)
        return CLR_HTTP_ERROR;
    clr_http_body_start(&p->body, &p->head);
    p->state = STATE_BODY;
    return CLR_HTTP_HEAD;
}

static clr_http_event_t read_head(clr_http_parser_t *p, clr_str_t *in)
{
    while (in->n > 0) {
        size_t from = p->bytes.n;
        size_t room = p->limits->head_bytes - from;
        size_t n = in->n < room ? in->n : room;
        const char *lf = memchr(in->p, '\n', n);
        if (lf)
            n = (size_t)(lf - in->p) + 1;
        clr_buf_append(&p->bytes, in->p, n);
        *in = clr_str_from(*in, n);
        if (check_start(p, from, p->bytes.n - (lf != NULL)) != 0)
            return CLR_HTTP_ERROR;
        line_kind_t kind = lf ? check_line(p) : LINE_FIELD;
        if (kind == LINE_BAD)
            return CLR_HTTP_ERROR;
        if (kind == LINE_LAST)
            return finish_head(p);
        if (p->bytes.n >= p->limits->head_bytes)
            return fail(p, p->lines == 0 ? 414 : 431, "head larger than the limit");
    }
    return CLR_HTTP_NEED_MORE;
}

static clr_http_event_t read_body(clr_http_parser_t *p, clr_str_t *in, clr_str_t *piece)
{
    clr_http_event_t event = clr_http_body_next(&p->body, p->limits, in, piece);
    if (event == CLR_HTTP_ERROR)
        return fail(p, p->body.status, p->body.reason);
    if (event == CLR_HTTP_END)
        p->state = STATE_END;
    return event;
}

clr_http_event_t clr_http_parser_next(clr_http_parser_t *p, clr_str_t *in, clr_str_t *piece)
{
    *piece = CLR_STR_EMPTY;
    switch (p->state) {
    case STATE_HEAD:
        return read_head(p, in);
    case STATE_BODY:
        return read_body(p, in, piece);
    case STATE_END:
        return CLR_HTTP_END;
    default:
        return CLR_HTTP_ERROR;
    }
}

const clr_http_head_t *clr_http_parser_head(const clr_http_parser_t *p)
{
    return &p->head;
}

int clr_http_parser_status(const clr_http_parser_t *p)
{
    return p->status;
}

const char *clr_http_parser_reason(const clr_http_parser_t *p)
{
    return p->reason ? p->reason : "";
}

bool clr_http_parser_is_idle(const clr_http_parser_t *p)
{
    return p->state == STATE_HEAD && p->bytes.n == 0;
}
