#include "gateway/static.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "fixture.h"

static char dir[] = "/tmp/clr-static-XXXXXX";
static clr_buf_t got;
static int fd;

static void write_file(const char *name, const char *text, size_t n)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    int file = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    EXPECT(file >= 0);
    EXPECT_EQ(write(file, text, n), (int64_t)n);
    struct timespec times[2] = {{1000000000, 0}, {1000000000, 500000000}};
    EXPECT_EQ(futimens(file, times), 0);
    close(file);
}

/* <dir>/secret.txt outside, <dir>/public inside. */
static void setup(void)
{
    static char public_dir[256], path[256], link_target[256];
    EXPECT(mkdtemp(dir));
    snprintf(public_dir, sizeof(public_dir), "%s/public", dir);
    EXPECT_EQ(mkdir(public_dir, 0700), 0);
    snprintf(path, sizeof(path), "%s/public/sub", dir);
    EXPECT_EQ(mkdir(path, 0700), 0);
    write_file("secret.txt", "secret", 6);
    write_file("public/app.js", "0123456789", 10);
    write_file("public/a b.txt", "space", 5);
    write_file("public/.hidden", "hidden", 6);
    write_file("public/empty.txt", "", 0);
    write_file("public/sub/index.html", "<sub>", 5);

    snprintf(path, sizeof(path), "%s/public/out.txt", dir);
    EXPECT_EQ(symlink("../secret.txt", path), 0);
    snprintf(path, sizeof(path), "%s/public/abs.txt", dir);
    snprintf(link_target, sizeof(link_target), "%s/secret.txt", dir);
    EXPECT_EQ(symlink(link_target, path), 0);
    snprintf(path, sizeof(path), "%s/public/in.js", dir);
    EXPECT_EQ(symlink("app.js", path), 0);
    snprintf(path, sizeof(path), "%s/public/fifo", dir);
    EXPECT_EQ(mkfifo(path, 0600), 0);

    if (options.max_buffered == 0)
        fixture_defaults();
    options.public_dir = public_dir;
    fixture_open(true);
    fd = fixture_connect();
}

static void teardown(void)
{
    char command[300];
    snprintf(command, sizeof(command), "rm -r %s", dir);
    EXPECT_EQ(system(command), 0);
    clr_buf_deinit(&got);
    close(fd);
    fixture_close();
}

/* One request on a connection of its own; the whole answer is in got. */
static void ask(const char *line, const char *headers)
{
    clr_buf_t request = {0};
    clr_buf_printf(&request, "%s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n%s\r\n", line,
                   headers);
    close(fd);
    fd = fixture_connect();
    clr_buf_clear(&got);
    loopback_send(&loop, fd, clr_buf_str(&request));
    loopback_read_all(&loop, fd, &got);
    clr_buf_deinit(&request);
}

static void expect(const char *line, const char *headers, const char *status, const char *text)
{
    ask(line, headers);
    if (!buf_has(&got, status) || !buf_has(&got, text))
        TEST_FAIL_("%s: expected %s and %s, got \"%.*s\"", line, status, text, (int)got.n, got.p);
    EXPECT(!buf_has(&got, "secret"));
}

TEST(static_serves_files_with_type_and_validators)
{
    setup();
    expect("GET /public/app.js", "", "HTTP/1.1 200 OK", "\r\n\r\n0123456789");
    EXPECT(buf_has(&got, "Content-Type: text/javascript; charset=utf-8\r\n"));
    EXPECT(buf_has(&got, "Content-Length: 10\r\n"));
    EXPECT(buf_has(&got, "Last-Modified: Sun, 09 Sep 2001 01:46:40 GMT\r\n"));
    EXPECT(buf_has(&got, "Cache-Control: no-cache\r\n"));
    EXPECT(buf_has(&got, "ETag: \""));
    expect("GET /public/a%20b.txt?v=1", "", "200 OK", "\r\n\r\nspace");
    expect("GET /public/in.js", "", "200 OK", "\r\n\r\n0123456789");
    expect("GET /public/empty.txt", "", "200 OK", "Content-Length: 0\r\n");
    teardown();
}

TEST(static_head_sends_no_body)
{
    setup();
    expect("HEAD /public/app.js", "", "200 OK", "Content-Length: 10\r\n");
    EXPECT(!buf_has(&got, "0123456789"));
    teardown();
}

TEST(static_other_methods_are_405)
{
    setup();
    expect("POST /public/app.js", "Content-Length: 0\r\n", "405 ", "Allow: GET, HEAD\r\n");
    teardown();
}

TEST(static_nothing_leads_out_of_the_directory)
{
    static const char *const targets[] = {
        "GET /public/../secret.txt",
        "GET /public/%2e%2e/secret.txt",
        "GET /public/..%2fsecret.txt",
        "GET /public/sub/../../secret.txt",
        "GET /public/..%5csecret.txt",
        "GET /public/out.txt",
        "GET /public/abs.txt",
        "GET /public/.hidden",
        "GET /public/%2ehidden",
        "GET /public/fifo",
        "GET /public/app.js/",
        "GET /public/app.js%00.html",
        "GET /public//etc/passwd",
        "GET /public/nothing",
        "GET /publicity",
        "GET /secret.txt",
    };
    setup();
    for (size_t i = 0; i < clr_array_len(targets); i++)
        expect(targets[i], "", "404 ", "404 Not Found");
    teardown();
}

TEST(static_directories_show_their_index)
{
    setup();
    expect("GET /public/sub/", "", "200 OK", "<sub>");
    expect("GET /public/sub?x=1", "", "301 ", "Location: /public/sub/?x=1\r\n");
    expect("GET /public/", "", "404 ", "404");
    expect("GET /", "", "404 ", "404");
    write_file("public/index.html", "<page>", 6);
    expect("GET /", "", "200 OK", "<page>");
    expect("GET /?x", "", "Content-Type: text/html; charset=utf-8", "<page>");
    expect("GET /public/", "", "200 OK", "<page>");
    teardown();
}

TEST(static_conditional_requests_are_304)
{
    setup();
    ask("GET /public/app.js", "");
    char *etag = memmem(got.p, got.n, "ETag: ", 6);
    EXPECT(etag);
    char headers[200];
    snprintf(headers, sizeof(headers), "If-None-Match: \"x\", W/%.*s\r\n",
             (int)strcspn(etag + 6, "\r"), etag + 6);
    expect("GET /public/app.js", headers, "304 Not Modified", "ETag: ");
    EXPECT(!buf_has(&got, "0123456789"));
    expect("GET /public/app.js", "If-None-Match: *\r\n", "304 ", "");
    expect("GET /public/app.js", "If-None-Match: \"x\"\r\n", "200 ", "0123456789");
    expect("GET /public/app.js", "If-Modified-Since: Sun, 09 Sep 2001 01:46:40 GMT\r\n", "304 ",
           "");
    expect("GET /public/app.js", "If-Modified-Since: Sun, 09 Sep 2001 01:46:39 GMT\r\n", "200 ",
           "0123456789");
    expect("GET /public/app.js", "If-Modified-Since: whenever\r\n", "200 ", "0123456789");
    expect("HEAD /public/app.js", "If-None-Match: *\r\n", "304 ", "");
    teardown();
}

TEST(static_single_ranges_are_206)
{
    setup();
    expect("GET /public/app.js", "Range: bytes=2-4\r\n", "206 ", "\r\n\r\n234");
    EXPECT(buf_has(&got, "Content-Range: bytes 2-4/10\r\n"));
    EXPECT(buf_has(&got, "Content-Length: 3\r\n"));
    expect("GET /public/app.js", "Range: bytes=-3\r\n", "206 ", "\r\n\r\n789");
    expect("GET /public/app.js", "Range: bytes=8-100\r\n", "206 ", "\r\n\r\n89");
    expect("GET /public/app.js", "Range: bytes=10-\r\n", "416 ", "Content-Range: bytes */10\r\n");
    expect("GET /public/app.js", "Range: bytes=1-2\r\nIf-Range: \"old\"\r\n", "200 ", "0123456789");
    expect("GET /public/app.js", "Range: bytes=1-2\r\nIf-Range: Sun, 09 Sep 2001 01:46:40 GMT\r\n",
           "206 ", "\r\n\r\n12");
    teardown();
}

TEST(static_large_files_go_out_in_pieces)
{
    setup();
    size_t n = 5 << 20;
    char *big = malloc(n);
    for (size_t i = 0; i < n; i++)
        big[i] = (char)(i * 7 + (i >> 12));
    write_file("public/big.bin", big, n);
    close(fd);
    fd = fixture_connect();
    static const char request[] =
        "GET /public/big.bin HTTP/1.1\r\nHost: h\r\n\r\nGET /public/app.js HTTP/1.1\r\nHost: h\r\n"
        "Connection: close\r\n\r\n";
    loopback_send(&loop, fd, clr_str(request, sizeof(request) - 1));
    for (int i = 0; i < 200; i++)
        loopback_turn(&loop);
    clr_buf_clear(&got);
    loopback_read_all(&loop, fd, &got);
    char *start = memmem(got.p, got.n, "\r\n\r\n", 4);
    EXPECT(start && got.n > n);
    EXPECT(memcmp(start + 4, big, n) == 0);
    EXPECT(memmem(start + 4 + n, got.n - n - (size_t)(start + 4 - got.p), "0123456789", 10));
    free(big);
    teardown();
}

TEST(static_client_that_leaves_within_a_file_frees_it)
{
    setup();
    char *big = calloc(1, 16 << 20);
    write_file("public/big.bin", big, 16 << 20);
    free(big);
    loopback_send(&loop, fd, CLR_STR("GET /public/big.bin HTTP/1.1\r\nHost: h\r\n\r\n"));
    for (int i = 0; i < 50; i++)
        loopback_turn(&loop);
    close(fd);
    fd = fixture_connect();
    LOOPBACK_UNTIL(&loop, -1, !clr_list_is_empty(&gw.conns) && gw.conns.next->next == &gw.conns);
    teardown();
}

TEST(static_preconditions_that_fail_are_412)
{
    setup();
    expect("GET /public/app.js", "If-Match: \"x\"\r\n", "412 Precondition Failed", "");
    EXPECT(!buf_has(&got, "0123456789"));
    expect("GET /public/app.js", "If-Match: *\r\nRange: bytes=1-1\r\n", "206 ", "\r\n\r\n1");
    expect("GET /public/app.js", "If-Unmodified-Since: Sun, 09 Sep 2001 01:46:39 GMT\r\n", "412 ",
           "");
    teardown();
}

TEST(static_several_ranges_are_one_response_of_parts)
{
    setup();
    expect("GET /public/app.js", "Range: bytes=1-2, 4-5,-1,99-\r\n", "206 ",
           "Content-Type: multipart/byteranges; boundary=");
    char boundary[17] = "";
    EXPECT_EQ(sscanf(strstr(got.p, "boundary="), "boundary=%16[0-9a-f]", boundary), 1);
    clr_buf_t body = {0};
    static const char *const parts[][2] = {
        {"bytes 1-2/10", "12"}, {"bytes 4-5/10", "45"}, {"bytes 9-9/10", "9"}};
    for (size_t i = 0; i < 3; i++)
        clr_buf_printf(&body,
                       "%s--%s\r\nContent-Type: text/javascript; charset=utf-8\r\n"
                       "Content-Range: %s\r\n\r\n%s",
                       i ? "\r\n" : "", boundary, parts[i][0], parts[i][1]);
    clr_buf_printf(&body, "\r\n--%s--\r\n", boundary);
    char *start = (char *)memmem(got.p, got.n, "\r\n\r\n", 4) + 4;
    EXPECT_STR(clr_str(start, (size_t)(got.p + got.n - start)), clr_buf_str(&body));
    clr_buf_printf(&body, "Content-Length: %zu\r\n", body.n);
    EXPECT(buf_has(&got, strstr(body.p, "Content-Length")));
    clr_buf_deinit(&body);
    /* Of several only one is there: it is sent as such. */
    expect("GET /public/app.js", "Range: bytes=1-2,99-\r\n", "206 ", "Content-Range: bytes 1-2/10");
    expect("GET /public/app.js", "Range: bytes=0-9,1-1\r\n", "200 ", "0123456789");
    expect("HEAD /public/app.js", "Range: bytes=1-2,4-5\r\n", "200 ", "Content-Length: 10\r\n");
    teardown();
}

TEST(static_large_parts_arrive_and_a_client_that_leaves_frees_them)
{
    setup();
    size_t n = 4 << 20;
    char *big = calloc(1, n);
    write_file("public/big.bin", big, n);
    free(big);
    expect("GET /public/big.bin", "Range: bytes=0-1999999,2000000-3999999\r\n", "206 ",
           "bytes 2000000-3999999/4194304");
    EXPECT(got.n > 4000000);
    loopback_send(&loop, fd, CLR_STR(""));
    close(fd);
    fd = fixture_connect();
    loopback_send(&loop, fd,
                  CLR_STR("GET /public/big.bin HTTP/1.1\r\nHost: h\r\n"
                          "Range: bytes=0-3999998,3999999-\r\n\r\n"));
    EXPECT(loopback_read_text(&loop, fd, &got, "bytes 0-3999998/"));
    close(fd);
    fd = fixture_connect();
    LOOPBACK_UNTIL(&loop, -1, !clr_list_is_empty(&gw.conns) && gw.conns.next->next == &gw.conns);
    teardown();
}

TEST(static_compressed_forms_are_served_to_who_takes_them)
{
    setup();
    write_file("public/app.js.br", "BR", 2);
    write_file("public/app.js.gz", "GZ", 2);
    expect("GET /public/app.js", "Accept-Encoding: gzip, br\r\n", "200 ", "\r\n\r\nBR");
    EXPECT(buf_has(&got, "Content-Encoding: br\r\n"));
    EXPECT(buf_has(&got, "Content-Type: text/javascript; charset=utf-8\r\n"));
    EXPECT(buf_has(&got, "Vary: Accept-Encoding\r\n"));
    EXPECT(buf_has(&got, "-br\"\r\n"));
    expect("GET /public/app.js", "Accept-Encoding: gzip\r\n", "200 ", "\r\n\r\nGZ");
    expect("GET /public/app.js", "Accept-Encoding: gzip, br;q=0.5\r\n", "200 ", "\r\n\r\nGZ");
    expect("GET /public/app.js", "Accept-Encoding: zstd\r\n", "200 ", "0123456789");
    EXPECT(buf_has(&got, "Vary: Accept-Encoding\r\n"));
    EXPECT(!buf_has(&got, "Content-Encoding"));
    expect("GET /public/app.js", "", "200 ", "0123456789");
    /* A range is one of the form. */
    expect("GET /public/app.js", "Accept-Encoding: br\r\nRange: bytes=1-\r\n", "206 ",
           "Content-Range: bytes 1-1/2\r\n");
    EXPECT(buf_has(&got, "Content-Encoding: br\r\n"));
    /* By itself it is a file as any other. */
    expect("GET /public/app.js.gz", "Accept-Encoding: br\r\n", "200 ", "application/gzip");
    teardown();
}

TEST(static_download_that_stalls_is_dropped)
{
    fixture_defaults();
    options.body_timeout_ms = 60;
    setup();
    char *big = calloc(1, 16 << 20);
    write_file("public/big.bin", big, 16 << 20);
    free(big);
    loopback_send(&loop, fd, CLR_STR("GET /public/big.bin HTTP/1.1\r\nHost: h\r\n\r\n"));
    LOOPBACK_UNTIL(&loop, -1, gw.metrics.connections_closed == 1);
    clr_buf_clear(&got);
    loopback_read_all(&loop, fd, &got);
    EXPECT(got.n > 0 && got.n < 16 << 20);
    teardown();
}

TEST(static_root_without_a_page_is_not_ours)
{
    setup();
    static const clr_http_header_t no_headers[1];
    static const char *const methods[] = {"GET", "HEAD", "POST"};
    for (int page = 0; page < 2; page++) {
        for (size_t i = 0; i < 3; i++) {
            clr_http_head_t head = {.method = clr_str_c(methods[i]), .headers = no_headers};
            clr_exchange_t x = {.gw = &gw, .head = &head};
            EXPECT_EQ(clr_static_has(&x, CLR_STR("/")), page == 1 && i < 2);
            EXPECT(clr_static_has(&x, CLR_STR("/public/x")));
            EXPECT(clr_static_has(&x, CLR_STR("/public")));
            EXPECT(!clr_static_has(&x, CLR_STR("/publicity")));
        }
        write_file("public/index.html", "<page>", 6);
    }
    teardown();
}

TEST_MAIN(T(static_serves_files_with_type_and_validators), T(static_head_sends_no_body),
          T(static_other_methods_are_405), T(static_nothing_leads_out_of_the_directory),
          T(static_directories_show_their_index), T(static_conditional_requests_are_304),
          T(static_single_ranges_are_206), T(static_preconditions_that_fail_are_412),
          T(static_several_ranges_are_one_response_of_parts),
          T(static_large_parts_arrive_and_a_client_that_leaves_frees_them),
          T(static_compressed_forms_are_served_to_who_takes_them),
          T(static_download_that_stalls_is_dropped), T(static_root_without_a_page_is_not_ours),
          T(static_large_files_go_out_in_pieces),
          T(static_client_that_leaves_within_a_file_frees_it))
