/* Files of the folders that workers name in APP: what is served of them, and whose count when. */
#include <fcntl.h>
#include <sys/stat.h>

#include "app_fixture.h"
#include "gateway/refresh.h"
#include "gateway/static.h"

#define APP_WITH_A "{\"folders\":{\"/assets\":\"$/a\"}}"
#define APP_WITH_B "{\"folders\":{\"/assets\":\"$/b\",\"/chat/assets\":\"$/b\"}}"

static char dir[] = "/tmp/clr-folders-XXXXXX";
static clr_buf_t got;

static void write_file(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    int file = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    EXPECT(file >= 0);
    EXPECT_EQ(write(file, text, strlen(text)), (int64_t)strlen(text));
    struct timespec times[2] = {{1000000000, 0}, {1000000000, 500000000}};
    EXPECT_EQ(futimens(file, times), 0);
    close(file);
}

/* <dir>/secret.txt outside, <dir>/a and <dir>/b the folders. */
static void setup(void)
{
    static const char *const names[] = {"a", "b", "a/sub"};
    char path[256];
    EXPECT(mkdtemp(dir));
    for (size_t i = 0; i < clr_array_len(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        EXPECT_EQ(mkdir(path, 0700), 0);
    }
    write_file("secret.txt", "secret");
    write_file("a/one.js", "0123456789");
    write_file("a/one.js.br", "brotli");
    write_file("a/sub/x.css", "sub");
    write_file("a/.hidden", "secret");
    write_file("b/two.js", "two of b");
    write_file("b/one.js", "one of b");
    snprintf(path, sizeof(path), "%s/a/out.txt", dir);
    EXPECT_EQ(symlink("../secret.txt", path), 0);
    fixture_defaults();
    options.ws_max_size = 1 << 20;
    fixture_open(false);
}

static void teardown(void)
{
    char command[300];
    snprintf(command, sizeof(command), "rm -r %s", dir);
    EXPECT_EQ(system(command), 0);
    clr_buf_deinit(&got);
    fixture_close();
}

/* json: of APP, with "$" for the directory of this test. */
static void declare(fake_t *f, const char *json)
{
    clr_buf_t text = {0};
    for (; *json; json++) {
        if (*json == '$')
            clr_buf_append_str(&text, clr_str_c(dir));
        else
            clr_buf_putc(&text, *json);
    }
    app_bytes(f, CLR_FRAME_APP, 0, 0, clr_buf_str(&text));
    clr_buf_deinit(&text);
}

/* A worker that serves. */
static void open_worker(fake_t *f, unsigned number, const char *json)
{
    fake_attach(f, number);
    fake_hello(f);
    declare(f, json);
    fake_simple(f, CLR_FRAME_READY, 0);
    fake_credit(f, 1000);
    LOOPBACK_UNTIL(&loop, -1, f->is_ready);
}

static void ask(const char *line, const char *headers)
{
    clr_buf_t request = {0};
    int fd = fixture_connect();
    clr_buf_printf(&request, "%s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n%s\r\n", line,
                   headers);
    loopback_send(&loop, fd, clr_buf_str(&request));
    clr_buf_deinit(&request);
    clr_buf_clear(&got);
    loopback_read_all(&loop, fd, &got);
    close(fd);
}

static void expect(const char *line, const char *headers, const char *status, const char *text)
{
    ask(line, headers);
    if (!buf_has(&got, status) || !buf_has(&got, text) || buf_has(&got, "secret"))
        TEST_FAIL_("%s: expected %s and %s, got \"%.*s\"", line, status, text, (int)got.n, got.p);
}

/* The request is the application's. */
static void expect_asked(fake_t *f, const char *line)
{
    clr_buf_t request = {0};
    int fd = fixture_connect();
    clr_buf_printf(&request, "%s HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n" APP_CLOSING "\r\n",
                   line);
    loopback_send(&loop, fd, clr_buf_str(&request));
    clr_buf_deinit(&request);
    app_answer(f, app_taken(f).stream, "of the app");
    clr_buf_t answer = app_read_all(fd);
    app_expect_text(answer, "of the app");
    clr_buf_deinit(&answer);
}

TEST(static_folder_files_are_kept_for_good)
{
    fake_t f;
    setup();
    open_worker(&f, 1, APP_WITH_A);
    expect("GET /assets/one.js", "", "200 OK", "\r\n\r\n0123456789");
    EXPECT(buf_has(&got, "Cache-Control: public, max-age=31536000, immutable\r\n"));
    EXPECT(buf_has(&got, "Content-Type: text/javascript; charset=utf-8\r\n"));
    EXPECT(buf_has(&got, "X-Content-Type-Options: nosniff\r\n"));
    EXPECT(buf_has(&got, "Vary: Accept-Encoding\r\n"));
    expect("GET /assets/one.js?v=1", "Accept-Encoding: br, gzip\r\n", "200 ", "\r\n\r\nbrotli");
    EXPECT(buf_has(&got, "Content-Encoding: br\r\n"));
    expect("GET /assets/%6fne.js", "Range: bytes=1-2\r\n", "206 ", "\r\n\r\n12");
    expect("GET /assets/one.js", "If-None-Match: *\r\n", "304 ", "immutable");
    expect("HEAD /assets/one.js", "", "200 ", "Content-Length: 10\r\n");
    EXPECT(!buf_has(&got, "0123456789"));
    expect("GET /assets/sub/x.css", "", "200 ", "\r\n\r\nsub");
    fake_expect_nothing(&f);
    fake_close(&f);
    teardown();
}

TEST(static_folders_nothing_leads_out_of_them)
{
    static const char *const targets[] = {
        "GET /assets/../secret.txt",
        "GET /assets/%2e%2e/secret.txt",
        "GET /assets/sub/../../secret.txt",
        "GET /assets/..%2fsecret.txt",
        "GET /assets/..%5csecret.txt",
        "GET /assets/out.txt",
        "GET /assets/.hidden",
        "GET /assets/%2ehidden",
        "GET /assets/one.js/",
        "GET /assets/one.js%00",
        "GET /assets//etc/passwd",
        "GET /assets/none",
        "GET /assets/",
        "GET /assets/sub",
        "GET /assets/sub/",
    };
    fake_t f;
    setup();
    open_worker(&f, 1, APP_WITH_A);
    for (size_t i = 0; i < clr_array_len(targets); i++)
        expect(targets[i], "", "404 ", "404 Not Found");
    fake_expect_nothing(&f);
    fake_close(&f);
    teardown();
}

TEST(static_folders_leave_the_rest_to_the_application)
{
    fake_t f;
    setup();
    open_worker(&f, 1, APP_WITH_A);
    expect_asked(&f, "POST /assets/one.js");
    expect_asked(&f, "GET /assets");
    expect_asked(&f, "GET /assetsx/one.js");
    expect_asked(&f, "GET /chat/assets/one.js");
    fake_close(&f);
    teardown();
}

TEST(static_folders_count_while_their_workers_serve)
{
    fake_t old, new;
    setup();
    open_worker(&old, 1, APP_WITH_A);
    fake_attach(&new, 2);
    fake_hello(&new);
    declare(&new, APP_WITH_B); /* not yet: it loads */
    expect("GET /assets/one.js", "", "200 ", "0123456789");
    expect("GET /assets/two.js", "", "404 ", "");

    clr_worker_stand_by(new.w);
    fake_simple(&new, CLR_FRAME_READY, 0);
    LOOPBACK_UNTIL(&loop, -1, new.is_ready);
    expect("GET /assets/two.js", "", "404 ", "");
    clr_worker_enlist(new.w);
    expect("GET /assets/one.js", "", "200 ", "one of b");
    expect("GET /chat/assets/two.js", "", "200 ", "two of b");
    expect("GET /assets/sub/x.css", "", "200 ", "\r\n\r\nsub"); /* a page of the old code */

    clr_worker_retire(old.w);
    clr_worker_stop(old.w, 1000);
    expect("GET /assets/sub/x.css", "", "200 ", "\r\n\r\nsub");
    fake_close(&old);
    expect("GET /assets/sub/x.css", "", "404 ", "");
    fake_close(&new);
    expect("GET /assets/two.js", "", "200 ", "two of b"); /* until another one serves */
    open_worker(&new, 3, "{}");
    expect_asked(&new, "GET /assets/two.js");
    fake_close(&new);
    teardown();
}

TEST(static_folders_of_a_worker_that_never_served_change_nothing)
{
    fake_t good, bad;
    setup();
    open_worker(&good, 1, APP_WITH_A);
    fake_attach(&bad, 2);
    fake_hello(&bad);
    declare(&bad, APP_WITH_B);
    fake_close(&bad);
    expect("GET /assets/one.js", "", "200 ", "0123456789");
    fake_close(&good);
    teardown();
}

static void on_sources(clr_str_t directory, uint64_t since, void *ctx)
{
    (void)directory, (void)since, (void)ctx;
}

TEST(static_folders_change_with_a_refresh)
{
    static const clr_refresh_ops_t refresh_ops = {on_sources};
    fake_t f;
    setup();
    clr_refresh_open(&gw, &refresh_ops, NULL);
    open_worker(&f, 1, APP_WITH_A);
    declare(&f, APP_WITH_B);
    expect("GET /assets/one.js", "", "200 ", "one of b");
    expect("GET /assets/sub/x.css", "", "404 ", "");
    declare(&f, APP_WITH_B);
    expect("GET /chat/assets/two.js", "", "200 ", "two of b");
    declare(&f, "{}");
    expect_asked(&f, "GET /assets/one.js");
    fake_close(&f);
    clr_refresh_close(&gw);
    teardown();
}

TEST(static_folders_that_are_malformed_end_the_worker)
{
    static const char *const texts[] = {"{\"folders\":{\"/a/../b\":\"/x\"}}", "{\"folders\":7}",
                                        "[]", "{"};
    setup();
    for (size_t i = 0; i < clr_array_len(texts); i++) {
        fake_t f;
        fake_attach(&f, 1);
        fake_hello(&f);
        fake_text(&f, CLR_FRAME_APP, 0, 0, texts[i]);
        LOOPBACK_UNTIL(&loop, -1, f.gone);
        EXPECT_EQ(f.gone_reason, CLR_EPROTO);
        fake_close(&f);
    }
    teardown();
}

TEST_MAIN(T(static_folder_files_are_kept_for_good), T(static_folders_nothing_leads_out_of_them),
          T(static_folders_leave_the_rest_to_the_application),
          T(static_folders_count_while_their_workers_serve),
          T(static_folders_of_a_worker_that_never_served_change_nothing),
          T(static_folders_change_with_a_refresh),
          T(static_folders_that_are_malformed_end_the_worker))
