#include "gateway/admin.h"

#include <sys/un.h>

#include "fixture.h"

static clr_admin_t *admin;
static clr_buf_t got;
static size_t worker_count;

static bool worker_status(size_t index, clr_worker_status_t *out, void *ctx)
{
    EXPECT(ctx == &worker_count);
    if (index >= worker_count)
        return false;
    *out = (clr_worker_status_t){
        .number = (unsigned)index + 1,
        .role = index ? CLR_WORKER_ROLE_NEXT : CLR_WORKER_ROLE_SERVING,
        .generation = 7,
        .state = index ? "waiting" : "ready",
        .pid = 42,
        .age_ms = 61000,
        .restart_in_ms = 800,
    };
    return true;
}

static int open_admin(const char *address, clr_error_t *err)
{
    return clr_admin_open(&admin, &gw, address, worker_status, &worker_count, err);
}

static void setup(void)
{
    clr_error_t err = {0};
    fixture_open(false);
    EXPECT_EQ(open_admin("127.0.0.1:0", &err), 0);
}

static void teardown(void)
{
    clr_admin_close(admin);
    clr_admin_close(admin);
    LOOPBACK_UNTIL(&loop, -1, clr_admin_is_closed(admin));
    clr_admin_free(admin);
    clr_buf_deinit(&got);
    fixture_close();
}

static int connect_admin(void)
{
    clr_buf_t url = {0};
    unsigned port;
    clr_admin_url(admin, &url);
    clr_buf_putc(&url, '\0');
    EXPECT_EQ(sscanf(url.p, "http://127.0.0.1:%u", &port), 1);
    clr_buf_deinit(&url);
    return loopback_connect((uint16_t)port);
}

/* The whole answer is in got. */
static void ask_on(int fd, const char *line)
{
    char request[200];
    int n = snprintf(request, sizeof(request),
                     "%s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", line);
    clr_buf_clear(&got);
    loopback_send(&loop, fd, clr_str(request, (size_t)n));
    loopback_read_all(&loop, fd, &got);
    close(fd);
}

static void expect(const char *line, const char *status, const char *text)
{
    ask_on(connect_admin(), line);
    if (!buf_has(&got, status) || !buf_has(&got, text))
        TEST_FAIL_("%s: expected %s and %s, got \"%.*s\"", line, status, text, (int)got.n, got.p);
}

TEST(admin_is_healthy_before_anything_is_ready)
{
    setup();
    expect("GET /healthz", "HTTP/1.1 200 OK", "\r\n\r\nok\n");
    EXPECT(buf_has(&got, "Cache-Control: no-store\r\n"));
    expect("HEAD /healthz", "200 OK", "Content-Length: 3\r\n");
    expect("GET /readyz", "503 ", "{\"ready\":false,\"draining\":false,\"workers\":[]}\n");
    teardown();
}

TEST(admin_lists_the_workers)
{
    setup();
    worker_count = 2;
    expect("GET /readyz", "503 ",
           "\"workers\":[{\"number\":1,\"role\":\"serving\",\"generation\":7,\"state\":\"ready\","
           "\"pid\":42,\"age_ms\":61000,\"restarts\":0,\"restart_in_ms\":800,\"failing\":false,"
           "\"blocked\":false,\"sockets\":0},{\"number\":2,\"role\":\"next\",");
    worker_count = 9;
    expect("GET /metrics", "200 OK",
           "clrun_worker_state{worker=\"9\",role=\"next\",state=\"waiting\"} 1\n");
    EXPECT(buf_has(&got, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    /* What happens here is not counted. */
    EXPECT(buf_has(&got, "\nclrun_connections_accepted_total 0\n"));
    teardown();
}

TEST(admin_says_when_the_gateway_drains)
{
    setup();
    clr_gateway_drain(&gw);
    expect("GET /healthz", "200 ", "ok");
    expect("GET /readyz", "503 ", "\"draining\":true");
    teardown();
}

TEST(admin_has_three_pages_for_reading)
{
    setup();
    expect("GET /", "404 ", "");
    expect("GET /metrics/x", "404 ", "");
    expect("GET /socket.io/?EIO=4&transport=polling", "404 ", "");
    expect("POST /metrics", "405 ", "Allow: GET, HEAD\r\n");
    teardown();
}

TEST(admin_pages_are_not_on_the_clients_address)
{
    setup();
    clr_gateway_set_ready(&gw);
    ask_on(fixture_connect(), "GET /metrics");
    EXPECT(buf_has(&got, "404 "));
    teardown();
}

TEST(admin_listens_on_unix_sockets)
{
    char path[] = "/tmp/clr-admin-XXXXXX", address[64];
    int file = mkstemp(path);
    EXPECT(file >= 0);
    close(file);
    unlink(path);
    snprintf(address, sizeof(address), "unix:%s", path);
    clr_error_t err = {0};
    fixture_open(false);
    EXPECT_EQ(open_admin(address, &err), 0);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    memcpy(addr.sun_path, path, sizeof(path));
    EXPECT_EQ(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    ask_on(fd, "GET /healthz");
    EXPECT(buf_has(&got, "200 OK"));
    teardown();
}

TEST(admin_addresses_that_are_none_are_refused)
{
    static const char *const wrong[] = {
        "", "x", "1:", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:65536", "127.0.0.1:-1", "unix:"};
    fixture_open(false);
    for (size_t i = 0; i < clr_array_len(wrong); i++) {
        clr_error_t err = {0};
        if (open_admin(wrong[i], &err) >= 0)
            TEST_FAIL_("'%s' was taken", wrong[i]);
        EXPECT(strncmp(err.text, "--admin: ", 9) == 0);
    }
    clr_error_t err = {0};
    EXPECT_EQ(open_admin("0", &err), 0);
    teardown();
}

TEST(admin_close_drops_who_is_connected)
{
    setup();
    int fd = connect_admin();
    loopback_send(&loop, fd, CLR_STR("GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"));
    EXPECT(loopback_read_text(&loop, fd, &got, "ok\n"));
    EXPECT(!clr_admin_is_closed(admin));
    clr_admin_close(admin);
    loopback_read_all(&loop, fd, &got);
    close(fd);
    teardown();
}

TEST_MAIN(T(admin_is_healthy_before_anything_is_ready), T(admin_lists_the_workers),
          T(admin_says_when_the_gateway_drains), T(admin_has_three_pages_for_reading),
          T(admin_pages_are_not_on_the_clients_address), T(admin_listens_on_unix_sockets),
          T(admin_addresses_that_are_none_are_refused), T(admin_close_drops_who_is_connected))
