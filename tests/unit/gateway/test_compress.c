#include "gateway/compress.h"

#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>

#include "fixture.h"
#include "gateway/pools.h"

/* ---- a handler that answers as the test says ---- */

static struct {
    int status;
    const char *headers;
    size_t length; /* of the body */
    size_t piece;
    bool unknown;   /* its length is not declared */
    bool from_file; /* instead of from pieces */
    bool by_hand;   /* the test writes all but the first piece, with next_piece() */
    bool incompressible;
    size_t declared; /* 0: as it is */
    int file_size;   /* -1: as it is */
} plan;
static size_t written;
static int aborted;
static clr_exchange_t *current;

static char text_at(size_t i)
{
    return "0123456789abcdef"[(i * i / 7) % 16];
}

static void next_piece(clr_exchange_t *x)
{
    char piece[70000];
    size_t n = plan.piece < plan.length - written ? plan.piece : plan.length - written;
    for (size_t i = 0; i < n; i++)
        piece[i] = text_at(written + i);
    clr_exchange_write(x, clr_str(piece, n));
    written += n;
    if (written < plan.length && !plan.by_hand)
        clr_exchange_want_drain(x, next_piece);
    else if (written == plan.length)
        clr_exchange_finish(x);
}

static int make_file(void)
{
    char name[] = "/tmp/clrun-test-XXXXXX";
    int fd = mkstemp(name);
    EXPECT(fd >= 0);
    unlink(name);
    FILE *f = fdopen(dup(fd), "w");
    for (size_t i = 0; i < plan.length; i++)
        putc(text_at(i), f);
    fclose(f);
    if (plan.file_size >= 0)
        EXPECT_EQ(ftruncate(fd, plan.file_size), 0);
    return fd;
}

static void on_head(clr_exchange_t *x)
{
    size_t declared = plan.declared ? plan.declared : plan.length;
    current = x;
    written = 0;
    x->compressible = !plan.incompressible;
    clr_str_t headers = clr_str_c(plan.headers);
    if (plan.from_file) {
        clr_exchange_respond_file(x, plan.status, headers, make_file(), 0, plan.length);
        return;
    }
    clr_exchange_begin(x, plan.status, headers, plan.unknown ? UINT64_MAX : declared);
    next_piece(x);
}

static void on_abort(clr_exchange_t *x)
{
    (void)x;
    aborted++;
}

static const clr_handler_t handler = {.on_head = on_head, .on_abort = on_abort};

#define JSON "Content-Type: application/json\r\n"

static void setup(void)
{
    fixture_defaults();
    options.gzip = true;
    fixture_open(true);
    clr_router_add(&gw, CLR_STR("/"), &handler, NULL);
    plan.status = 200;
    plan.headers = JSON;
    plan.length = 50000;
    plan.piece = 50000;
    plan.file_size = -1;
}

/* ---- a client ---- */

typedef struct answer {
    clr_buf_t bytes;
    clr_str_t head; /* with the empty line's CRLF */
    clr_buf_t body; /* without chunks, as it was sent */
    bool complete;
} answer_t;

static bool has(const answer_t *a, const char *line)
{
    return memmem(a->head.p, a->head.n, line, strlen(line)) != NULL;
}

/* Takes the chunks apart; false without the last one. */
static bool join_chunks(clr_str_t in, clr_buf_t *out)
{
    while (in.n > 0) {
        size_t size = strtoul(in.p, NULL, 16);
        ptrdiff_t end = clr_str_chr(in, '\n');
        if (end < 0 || in.n < (size_t)end + 1 + size + 2)
            return false;
        clr_buf_append(out, in.p + end + 1, size);
        in = clr_str_from(in, (size_t)end + 1 + size + 2);
        if (size == 0)
            return in.n == 0;
    }
    return false;
}

/* Asks, and reads until the server closes. */
static answer_t ask(const char *method, const char *headers)
{
    answer_t a = {0};
    clr_buf_t request = {0};
    int fd = fixture_connect();
    clr_buf_printf(&request, "%s / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n%s\r\n", method,
                   headers);
    loopback_send(&loop, fd, clr_buf_str(&request));
    clr_buf_deinit(&request);
    loopback_read_all(&loop, fd, &a.bytes);
    close(fd);
    const char *end = memmem(a.bytes.p, a.bytes.n, "\r\n\r\n", 4);
    EXPECT(end != NULL);
    a.head = clr_str(a.bytes.p, (size_t)(end - a.bytes.p) + 4);
    clr_str_t body = clr_str_from(clr_buf_str(&a.bytes), a.head.n);
    if (has(&a, "Transfer-Encoding: chunked\r\n")) {
        a.complete = join_chunks(body, &a.body);
    } else {
        clr_buf_append_str(&a.body, body);
        a.complete = true;
    }
    return a;
}

static void answer_free(answer_t *a)
{
    clr_buf_deinit(&a->bytes);
    clr_buf_deinit(&a->body);
}

#define GZIP "Accept-Encoding: gzip, deflate, br\r\n"

static void expect_text(clr_str_t body)
{
    EXPECT_EQ(body.n, plan.length);
    for (size_t i = 0; i < body.n; i++)
        EXPECT_EQ(body.p[i], text_at(i));
}

static void expect_plain(const char *headers)
{
    answer_t a = ask("GET", headers);
    EXPECT(!has(&a, "Content-Encoding: gzip"));
    EXPECT(has(&a, "Content-Length: ") || plan.unknown);
    EXPECT(a.complete);
    expect_text(clr_buf_str(&a.body));
    answer_free(&a);
}

static clr_buf_t gunzip(clr_str_t in)
{
    clr_buf_t out = {0};
    z_stream z = {0};
    EXPECT_EQ(inflateInit2(&z, MAX_WBITS + 16), Z_OK);
    z.next_in = (Bytef *)in.p;
    z.avail_in = (uInt)in.n;
    z.next_out = (Bytef *)clr_buf_reserve(&out, plan.length + 1);
    z.avail_out = (uInt)plan.length + 1;
    EXPECT_EQ(inflate(&z, Z_FINISH), Z_STREAM_END);
    EXPECT_EQ(z.avail_in, 0);
    out.n = plan.length + 1 - z.avail_out;
    inflateEnd(&z);
    return out;
}

static answer_t expect_gzip(const char *headers)
{
    answer_t a = ask("GET", headers);
    EXPECT_EQ(buf_count(&a.bytes, "Content-Encoding: gzip\r\n"), 1);
    EXPECT(has(&a, "Vary: Accept-Encoding\r\n"));
    EXPECT(!has(&a, "Content-Length"));
    EXPECT(a.complete);
    EXPECT(a.body.n < plan.length);
    clr_buf_t text = gunzip(clr_buf_str(&a.body));
    expect_text(clr_buf_str(&text));
    clr_buf_deinit(&text);
    return a;
}

static void expect_gzipped(const char *headers)
{
    answer_t a = expect_gzip(headers);
    answer_free(&a);
}

/* ---- which ---- */

TEST(compress_is_off_by_default)
{
    setup();
    gw.options.gzip = false;
    expect_plain(GZIP);
    fixture_close();
}

TEST(compress_only_where_the_handler_allows)
{
    setup();
    plan.incompressible = true;
    expect_plain(GZIP);
    fixture_close();
}

TEST(compress_only_for_clients_that_take_it)
{
    setup();
    expect_gzipped(GZIP);
    expect_gzipped("Accept-Encoding: *\r\n");
    expect_gzipped("Accept-Encoding: identity;q=0.5, gzip;q=0.1\r\n");
    expect_plain("");
    expect_plain("Accept-Encoding: \r\n");
    expect_plain("Accept-Encoding: br\r\n");
    expect_plain("Accept-Encoding: gzip;q=0\r\n");
    expect_plain("Accept-Encoding: gzip;q=0, *\r\n");
    fixture_close();
}

TEST(compress_by_type)
{
    static const char *const yes[] = {
        "text/html; charset=utf-8",   "text/plain",    "TEXT/CSS",         "application/json",
        "application/ld+json",        "image/svg+xml", "application/wasm", "font/ttf",
        "application/javascript ;x=y"};
    static const char *const no[] = {"text/event-stream",
                                     "text/event-stream; charset=utf-8",
                                     "image/png",
                                     "application/octet-stream",
                                     "application/gzip",
                                     "video/mp4",
                                     "text/",
                                     "json"};
    char headers[200];
    setup();
    plan.headers = headers;
    for (size_t i = 0; i < clr_array_len(yes); i++) {
        snprintf(headers, sizeof(headers), "content-type:%s\r\n", yes[i]);
        expect_gzipped(GZIP);
    }
    for (size_t i = 0; i < clr_array_len(no); i++) {
        snprintf(headers, sizeof(headers), "Content-Type: %s\r\n", no[i]);
        expect_plain(GZIP);
    }
    plan.headers = "";
    expect_plain(GZIP);
    fixture_close();
}

TEST(compress_by_size)
{
    setup();
    plan.length = 999;
    expect_plain(GZIP);
    plan.length = 1000;
    expect_gzipped(GZIP);
    plan.length = 0;
    expect_plain(GZIP);
    plan.length = 10;
    plan.unknown = true; /* then nobody knows how much will come */
    answer_t a = ask("GET", GZIP);
    EXPECT(has(&a, "Content-Encoding: gzip\r\n") && a.complete);
    answer_free(&a);
    fixture_close();
}

TEST(compress_never_what_must_stay_as_it_is)
{
    static const char *const fixed[] = {JSON "Content-Encoding: br\r\n",
                                        JSON "content-encoding: gzip\r\n",
                                        JSON "Cache-Control: max-age=1, no-transform\r\n",
                                        JSON "Content-Digest: sha-256=:x:\r\n",
                                        JSON "Content-MD5: x\r\n",
                                        JSON "Content-Range: bytes 0-9/10\r\n"};
    setup();
    for (size_t i = 0; i < clr_array_len(fixed); i++) {
        plan.headers = fixed[i];
        answer_t a = ask("GET", GZIP);
        EXPECT(buf_has(&a.bytes, fixed[i]) && !has(&a, "Vary"));
        expect_text(clr_buf_str(&a.body));
        answer_free(&a);
    }
    plan.headers = JSON;
    plan.status = 206;
    expect_plain(GZIP);
    plan.status = 404;
    expect_gzipped(GZIP);
    fixture_close();
}

TEST(compress_not_for_http_1_0)
{
    setup();
    clr_buf_t got = {0};
    int fd = fixture_connect();
    loopback_send(&loop, fd, CLR_STR("GET / HTTP/1.0\r\n" GZIP "\r\n"));
    loopback_read_all(&loop, fd, &got);
    EXPECT(buf_has(&got, "Content-Length: 50000\r\n") && buf_has(&got, "Vary: Accept-Encoding"));
    EXPECT(!buf_has(&got, "Content-Encoding"));
    clr_buf_deinit(&got);
    close(fd);
    fixture_close();
}

/* ---- headers ---- */

TEST(compress_names_what_the_response_depends_on)
{
    setup();
    answer_t a = ask("GET", "");
    EXPECT_EQ(buf_count(&a.bytes, "Vary: Accept-Encoding\r\n"), 1);
    answer_free(&a);
    plan.headers = JSON "Vary: Origin, accept-encoding\r\n";
    a = ask("GET", GZIP);
    EXPECT(has(&a, "Content-Encoding: gzip\r\n"));
    EXPECT_EQ(buf_count(&a.bytes, "Vary"), 1);
    answer_free(&a);
    plan.headers = JSON "vary: Origin\r\n";
    a = ask("GET", GZIP);
    EXPECT(has(&a, "vary: Origin\r\n") && has(&a, "Vary: Accept-Encoding\r\n"));
    answer_free(&a);
    plan.headers = "Content-Type: image/png\r\n";
    a = ask("GET", GZIP);
    EXPECT(!has(&a, "Vary"));
    answer_free(&a);
    fixture_close();
}

TEST(compress_weakens_the_etag)
{
    setup();
    plan.headers = JSON "ETag: \"abc\"\r\nAccept-Ranges: bytes\r\nX-Other: 1\r\n";
    answer_t a = expect_gzip(GZIP);
    EXPECT(has(&a, "\r\nETag: W/\"abc\"\r\n") && has(&a, "\r\nX-Other: 1\r\n"));
    EXPECT(!has(&a, "Accept-Ranges"));
    answer_free(&a);
    a = ask("GET", "");
    EXPECT(has(&a, "\r\nETag: \"abc\"\r\n") && has(&a, "Accept-Ranges: bytes\r\n"));
    answer_free(&a);
    plan.headers = JSON "etag: W/\"abc\"\r\n";
    a = expect_gzip(GZIP);
    EXPECT(has(&a, "\r\netag: W/\"abc\"\r\n"));
    answer_free(&a);
    fixture_close();
}

TEST(compress_names_the_etag_of_a_304_as_the_client_does)
{
    setup();
    plan.status = 304;
    plan.headers = "ETag: \"abc\"\r\n";
    answer_t a = ask("GET", GZIP "If-None-Match: \"x\", W/\"abc\"\r\n");
    EXPECT(has(&a, "\r\nETag: W/\"abc\"\r\n") && a.body.n == 0);
    answer_free(&a);
    a = ask("GET", GZIP "If-None-Match: \"abc\"\r\n");
    EXPECT(has(&a, "\r\nETag: \"abc\"\r\n") && a.body.n == 0);
    answer_free(&a);
    a = ask("GET", GZIP);
    EXPECT(has(&a, "\r\nETag: \"abc\"\r\n"));
    answer_free(&a);
    fixture_close();
}

TEST(compress_head_has_the_headers_of_get)
{
    setup();
    plan.headers = JSON "ETag: \"abc\"\r\n";
    answer_t a = ask("HEAD", GZIP);
    EXPECT(has(&a, "Content-Encoding: gzip\r\n") && has(&a, "ETag: W/\"abc\"\r\n"));
    EXPECT(!has(&a, "Content-Length") && a.body.n == 0);
    answer_free(&a);
    a = ask("HEAD", "");
    EXPECT(has(&a, "Content-Length: 50000\r\n") && has(&a, "Vary: Accept-Encoding\r\n"));
    EXPECT_EQ(a.body.n, 0);
    answer_free(&a);
    fixture_close();
}

/* ---- bodies ---- */

TEST(compress_bodies_in_pieces)
{
    static const size_t pieces[] = {1000, 33333, 65536};
    setup();
    for (int unknown = 0; unknown < 2; unknown++) {
        plan.unknown = unknown;
        for (size_t i = 0; i < clr_array_len(pieces); i++) {
            plan.length = 300000;
            plan.piece = pieces[i];
            expect_gzipped(GZIP);
        }
    }
    fixture_close();
}

/* The bytes that are in the whole chunks of a response so far. */
static size_t readable(const clr_buf_t *got)
{
    const char *end = memmem(got->p, got->n, "\r\n\r\n", 4);
    clr_buf_t body = {0}, text = {0};
    (void)join_chunks(clr_str_from(clr_buf_str(got), (size_t)(end - got->p) + 4), &body);
    z_stream z = {0};
    EXPECT_EQ(inflateInit2(&z, MAX_WBITS + 16), Z_OK);
    z.next_in = (Bytef *)body.p;
    z.avail_in = (uInt)body.n;
    z.next_out = (Bytef *)clr_buf_reserve(&text, 100000);
    z.avail_out = 100000;
    int rc = inflate(&z, Z_SYNC_FLUSH);
    EXPECT(rc == Z_OK || rc == Z_STREAM_END);
    inflateEnd(&z);
    clr_buf_deinit(&body);
    clr_buf_deinit(&text);
    return 100000 - z.avail_out;
}

/* Each piece of a body of unknown length can be read before the next is written. */
TEST(compress_streams)
{
    setup();
    plan.unknown = plan.by_hand = true;
    plan.length = 3000;
    plan.piece = 1000;
    clr_buf_t got = {0};
    int fd = fixture_connect();
    loopback_send(&loop, fd, CLR_STR("GET / HTTP/1.1\r\nHost: h\r\n" GZIP "\r\n"));
    EXPECT(loopback_read_text(&loop, fd, &got, "\r\n\r\n"));
    for (size_t n = 1000; n < 3000; n += 1000) {
        LOOPBACK_UNTIL(&loop, fd, (loopback_receive(fd, &got), readable(&got) == n));
        next_piece(current);
    }
    EXPECT(loopback_read_text(&loop, fd, &got, "\r\n0\r\n\r\n"));
    EXPECT_EQ(readable(&got), 3000);
    clr_buf_deinit(&got);
    close(fd);
    fixture_close();
}

TEST(compress_keeps_the_connection)
{
    setup();
    clr_buf_t got = {0};
    int fd = fixture_connect();
    for (int i = 1; i <= 3; i++) {
        loopback_send(&loop, fd, CLR_STR("GET / HTTP/1.1\r\nHost: h\r\n" GZIP "\r\n"));
        LOOPBACK_UNTIL(&loop, fd,
                       (loopback_receive(fd, &got), buf_count(&got, "\r\n0\r\n\r\n") == i));
    }
    clr_buf_deinit(&got);
    close(fd);
    fixture_close();
}

TEST(compress_body_shorter_than_declared_does_not_end_well)
{
    setup();
    plan.declared = 60000;
    answer_t a = ask("GET", GZIP);
    EXPECT(has(&a, "Content-Encoding: gzip\r\n") && !a.complete);
    answer_free(&a);
    fixture_close();
}

TEST(compress_body_longer_than_declared_is_cut)
{
    setup();
    plan.declared = 40000;
    answer_t a = ask("GET", GZIP);
    EXPECT(has(&a, "Content-Encoding: gzip\r\n") && a.complete);
    clr_buf_t text = gunzip(clr_buf_str(&a.body));
    EXPECT_EQ(text.n, 40000);
    clr_buf_deinit(&text);
    answer_free(&a);
    fixture_close();
}

TEST(compress_files)
{
    setup();
    plan.from_file = true;
    expect_gzipped(GZIP);
    plan.length = 500000;
    expect_gzipped(GZIP);
    expect_plain("");
    plan.length = 1000;
    expect_gzipped(GZIP);
    fixture_close();
}

TEST(compress_a_file_that_shrinks_cuts_the_connection)
{
    setup();
    plan.from_file = true;
    plan.file_size = 20000;
    answer_t a = ask("GET", GZIP);
    EXPECT(!a.complete);
    EXPECT_EQ(aborted, 1);
    answer_free(&a);
    fixture_close();
}

/* ---- what it costs ---- */

static void ask_and_go(int *fd)
{
    current = NULL;
    *fd = fixture_connect();
    loopback_send(&loop, *fd, CLR_STR("GET / HTTP/1.1\r\nHost: h\r\n" GZIP "\r\n"));
    LOOPBACK_UNTIL(&loop, *fd, current != NULL);
}

/* The first 128 at a time are compressed, the others go out as they are. */
TEST(compress_is_bounded)
{
    int fds[140], compressed = 0;
    clr_exchange_t *exchanges[140];
    setup();
    plan.unknown = true;
    plan.length = SIZE_MAX; /* never ends by itself */
    plan.piece = 10;
    for (int i = 0; i < 140; i++) {
        ask_and_go(&fds[i]);
        exchanges[i] = current;
        compressed += current->compress_ != NULL;
    }
    EXPECT_EQ(compressed, 128);
    EXPECT(exchanges[127]->compress_ && !exchanges[128]->compress_);
    close(fds[0]);
    LOOPBACK_UNTIL(&loop, -1, aborted == 1);
    for (int i = 0; i < 20; i++)
        loopback_turn(&loop);
    ask_and_go(&fds[0]); /* its context is free again */
    EXPECT(current->compress_ != NULL);
    for (int i = 0; i < 140; i++)
        close(fds[i]);
    fixture_close();
}

TEST(compress_gives_back_what_an_abort_leaves)
{
    int fd;
    setup();
    plan.length = 10000000;
    plan.piece = 65536;
    ask_and_go(&fd);
    EXPECT(current->compress_ != NULL);
    close(fd);
    LOOPBACK_UNTIL(&loop, -1, clr_gateway_is_idle(&gw));
    EXPECT_EQ(aborted, 1);
    plan.from_file = true;
    ask_and_go(&fd);
    close(fd);
    LOOPBACK_UNTIL(&loop, -1, clr_gateway_is_idle(&gw));
    fixture_close(); /* the pools check that all are back, ASan that the file is closed */
}

TEST_MAIN(T(compress_is_off_by_default), T(compress_only_where_the_handler_allows),
          T(compress_only_for_clients_that_take_it), T(compress_by_type), T(compress_by_size),
          T(compress_never_what_must_stay_as_it_is), T(compress_not_for_http_1_0),
          T(compress_names_what_the_response_depends_on), T(compress_weakens_the_etag),
          T(compress_names_the_etag_of_a_304_as_the_client_does),
          T(compress_head_has_the_headers_of_get), T(compress_bodies_in_pieces),
          T(compress_streams), T(compress_keeps_the_connection),
          T(compress_body_shorter_than_declared_does_not_end_well),
          T(compress_body_longer_than_declared_is_cut), T(compress_files),
          T(compress_a_file_that_shrinks_cuts_the_connection), T(compress_is_bounded),
          T(compress_gives_back_what_an_abort_leaves))
