#include "net/listener.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "loopback.h"
#include "net/stream.h"

static clr_loop_t loop;
static clr_error_t err;
static int accepted, refused;
static bool refuse;

static void on_stream_closed(clr_stream_t *s)
{
    free(s);
}

static const clr_stream_ops_t ops = {.on_closed = on_stream_closed};

static bool on_connection(uv_stream_t *handle, void *ctx)
{
    (void)ctx;
    refused += refuse;
    if (refuse)
        return false;
    char host[46];
    uint16_t port;
    clr_stream_t *s = malloc(sizeof(*s));
    EXPECT_EQ(clr_stream_accept(s, &loop, handle, &ops), 0);
    clr_stream_peer(s, host, &port);
    EXPECT((port == 0) == (handle->type == UV_NAMED_PIPE));
    clr_stream_close(s);
    accepted++;
    return true;
}

static int connect_unix(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    EXPECT_EQ(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    return fd;
}

TEST(listener_port_in_use_is_named)
{
    clr_listener_t *a = NULL, *b = NULL;
    EXPECT_EQ(clr_loop_init(&loop), 0);
    EXPECT_EQ(clr_listener_open_tcp(&a, &loop, "127.0.0.1", 0, on_connection, NULL, &err), 0);
    uint16_t port = clr_listener_port(a);
    EXPECT_EQ(clr_listener_open_tcp(&b, &loop, "127.0.0.1", port, on_connection, NULL, &err),
              -EADDRINUSE);
    EXPECT(strstr(err.text, "address already in use"));
    clr_listener_close(a);
    clr_listener_close(a);
    clr_loop_deinit(&loop);
}

TEST(listener_bad_hosts_are_named)
{
    clr_listener_t *l = NULL;
    EXPECT_EQ(clr_loop_init(&loop), 0);
    EXPECT(clr_listener_open_tcp(&l, &loop, "no.such.host.invalid", 0, on_connection, NULL, &err) <
           0);
    EXPECT(strstr(err.text, "no.such.host.invalid"));
    EXPECT(clr_listener_open_tcp(&l, &loop, "192.0.2.1", 0, on_connection, NULL, &err) < 0);
    EXPECT(strstr(err.text, "192.0.2.1"));
    clr_loop_deinit(&loop);
}

TEST(listener_ipv6_any_takes_ipv4_too)
{
    clr_listener_t *l = NULL;
    EXPECT_EQ(clr_loop_init(&loop), 0);
    if (clr_listener_open_tcp(&l, &loop, "::", 0, on_connection, NULL, &err) == 0) {
        int fd = loopback_connect(clr_listener_port(l));
        LOOPBACK_UNTIL(&loop, -1, accepted == 1);
        close(fd);
        clr_listener_close(l);
    } /* else: a machine without IPv6 */
    clr_loop_deinit(&loop);
}

TEST(listener_stands_still_until_it_is_asked_again)
{
    clr_listener_t *l = NULL;
    EXPECT_EQ(clr_loop_init(&loop), 0);
    EXPECT_EQ(clr_listener_open_tcp(&l, &loop, "127.0.0.1", 0, on_connection, NULL, &err), 0);
    clr_listener_retry(l); /* nothing to be accepted */
    refuse = true;
    int a = loopback_connect(clr_listener_port(l)), b = loopback_connect(clr_listener_port(l));
    LOOPBACK_UNTIL(&loop, -1, refused == 1);
    for (int i = 0; i < 20; i++)
        loopback_turn(&loop);
    EXPECT_EQ(refused, 1);
    clr_listener_retry(l);
    EXPECT_EQ(refused, 2);
    refuse = false;
    clr_listener_retry(l);
    EXPECT_EQ(accepted, 1);
    LOOPBACK_UNTIL(&loop, -1, accepted == 2);
    clr_listener_retry(l);
    EXPECT_EQ(accepted, 2);
    close(a);
    close(b);
    clr_listener_close(l);
    clr_loop_deinit(&loop);
}

TEST(listener_may_be_closed_while_it_stands_still)
{
    clr_listener_t *l = NULL;
    char byte;
    EXPECT_EQ(clr_loop_init(&loop), 0);
    EXPECT_EQ(clr_listener_open_tcp(&l, &loop, "127.0.0.1", 0, on_connection, NULL, &err), 0);
    refuse = true;
    int fd = loopback_connect(clr_listener_port(l));
    LOOPBACK_UNTIL(&loop, -1, refused == 1);
    clr_listener_close(l);
    clr_listener_retry(l);
    EXPECT_EQ(refused, 1);
    clr_loop_deinit(&loop);
    EXPECT(recv(fd, &byte, 1, 0) <= 0);
    close(fd);
}

TEST(listener_unix_replaces_a_stale_socket_only)
{
    char dir[] = "/tmp/clr-listener-XXXXXX", path[64], file[64];
    EXPECT(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/s.sock", dir);
    snprintf(file, sizeof(file), "%s/file", dir);
    EXPECT_EQ(clr_loop_init(&loop), 0);

    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    memcpy(addr.sun_path, path, strlen(path) + 1);
    int stale = socket(AF_UNIX, SOCK_STREAM, 0);
    EXPECT_EQ(bind(stale, (struct sockaddr *)&addr, sizeof(addr)), 0);
    close(stale);

    clr_listener_t *a = NULL, *b = NULL;
    EXPECT_EQ(clr_listener_open_unix(&a, &loop, path, on_connection, NULL, &err), 0);
    EXPECT_EQ(clr_listener_port(a), 0);
    EXPECT_EQ(clr_listener_open_unix(&b, &loop, path, on_connection, NULL, &err), -EADDRINUSE);
    int fd = connect_unix(path);
    LOOPBACK_UNTIL(&loop, -1, accepted >= 1);
    close(fd);

    close(open(file, O_CREAT | O_WRONLY, 0600));
    EXPECT_EQ(clr_listener_open_unix(&b, &loop, file, on_connection, NULL, &err), -EEXIST);
    EXPECT_EQ(access(file, F_OK), 0);

    char long_path[200];
    memset(long_path, 'a', sizeof(long_path) - 1);
    long_path[sizeof(long_path) - 1] = '\0';
    EXPECT(clr_listener_open_unix(&b, &loop, long_path, on_connection, NULL, &err) < 0);

    clr_listener_close(a);
    clr_loop_deinit(&loop);
    EXPECT(access(path, F_OK) != 0); /* the file goes with the listener */
    unlink(file);
    rmdir(dir);
}

static void expect_url(const clr_listener_t *l, const char *format)
{
    char expected[64];
    clr_buf_t url = {0};
    snprintf(expected, sizeof(expected), "%s:%u", format, clr_listener_port(l));
    clr_listener_url(l, &url);
    EXPECT_STR(clr_buf_str(&url), clr_str_c(expected));
    clr_buf_deinit(&url);
}

static bool has_ipv6(void)
{
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    struct sockaddr_in6 addr = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    bool has = fd >= 0 && bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0;
    close(fd);
    return has;
}

TEST(listener_tells_its_url)
{
    clr_listener_t *l = NULL;
    EXPECT_EQ(clr_loop_init(&loop), 0);
    EXPECT_EQ(clr_listener_open_tcp(&l, &loop, "127.0.0.1", 0, on_connection, NULL, &err), 0);
    expect_url(l, "http://127.0.0.1");
    clr_listener_close(l);
    EXPECT_EQ(clr_listener_open_tcp(&l, &loop, "localhost", 0, on_connection, NULL, &err), 0);
    expect_url(l, "http://localhost");
    clr_listener_close(l);
    if (has_ipv6()) {
        EXPECT_EQ(clr_listener_open_tcp(&l, &loop, "[::1]", 0, on_connection, NULL, &err), 0);
        expect_url(l, "http://[::1]");
        clr_listener_close(l);
    }
    clr_loop_deinit(&loop);
}

TEST(listener_empty_host_takes_all_families)
{
    clr_listener_t *l = NULL;
    EXPECT_EQ(clr_loop_init(&loop), 0);
    EXPECT_EQ(clr_listener_open_tcp(&l, &loop, "", 0, on_connection, NULL, &err), 0);
    expect_url(l, has_ipv6() ? "http://[::]" : "http://0.0.0.0");
    int fd = loopback_connect(clr_listener_port(l));
    LOOPBACK_UNTIL(&loop, -1, accepted == 1);
    close(fd);
    clr_listener_close(l);
    clr_loop_deinit(&loop);
}

TEST(listener_leaves_ipv4_to_another)
{
    clr_listener_t *a = NULL, *b = NULL;
    clr_listener_spec_t spec = {.kind = CLR_LISTENER_TCP, .host = "::", .ipv6_only = true};
    EXPECT_EQ(clr_loop_init(&loop), 0);
    if (has_ipv6()) {
        EXPECT_EQ(clr_listener_open(&a, &loop, &spec, on_connection, NULL, &err), 0);
        uint16_t port = clr_listener_port(a);
        EXPECT_EQ(clr_listener_open_tcp(&b, &loop, "0.0.0.0", port, on_connection, NULL, &err), 0);
        clr_listener_close(a);
        clr_listener_close(b);
    }
    clr_loop_deinit(&loop);
}

TEST(listener_unix_sets_the_mode)
{
    char dir[] = "/tmp/clr-listener-XXXXXX", path[64];
    struct stat st;
    EXPECT(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/s.sock", dir);
    clr_listener_spec_t spec = {.kind = CLR_LISTENER_UNIX, .path = path, .mode = 0606};
    clr_listener_t *l = NULL;
    EXPECT_EQ(clr_loop_init(&loop), 0);
    EXPECT_EQ(clr_listener_open(&l, &loop, &spec, on_connection, NULL, &err), 0);
    EXPECT_EQ(stat(path, &st), 0);
    EXPECT_EQ(st.st_mode & 0777, 0606);
    clr_listener_close(l);
    clr_loop_deinit(&loop);
    rmdir(dir);
}

static int inherited_unix(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    EXPECT_EQ(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    EXPECT_EQ(listen(fd, 5), 0);
    return fd;
}

TEST(listener_takes_inherited_sockets)
{
    char dir[] = "/tmp/clr-listener-XXXXXX", path[64];
    EXPECT(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/s.sock", dir);
    int tcp = socket(AF_INET, SOCK_STREAM, 0);
    EXPECT_EQ(listen(tcp, 5), 0); /* on a port that the kernel chooses */
    int local = inherited_unix(path);
    clr_listener_spec_t spec = {.kind = CLR_LISTENER_FD, .fd = tcp};
    clr_listener_t *a = NULL, *b = NULL;
    EXPECT_EQ(clr_loop_init(&loop), 0);
    EXPECT_EQ(clr_listener_open(&a, &loop, &spec, on_connection, NULL, &err), 0);
    expect_url(a, "http://0.0.0.0");
    EXPECT(fcntl(tcp, F_GETFD) & FD_CLOEXEC);
    spec.fd = local;
    EXPECT_EQ(clr_listener_open(&b, &loop, &spec, on_connection, NULL, &err), 0);
    clr_buf_t url = {0}, expected = {0};
    clr_listener_url(b, &url);
    clr_buf_printf(&expected, "unix:%s", path);
    EXPECT_STR(clr_buf_str(&url), clr_buf_str(&expected));
    int one = loopback_connect(clr_listener_port(a)), two = connect_unix(path);
    LOOPBACK_UNTIL(&loop, -1, accepted == 2);
    close(one);
    close(two);
    clr_listener_close(a);
    clr_listener_close(b);
    clr_loop_deinit(&loop);
    clr_buf_deinit(&url);
    clr_buf_deinit(&expected);
    EXPECT_EQ(unlink(path), 0); /* whoever made the socket removes it */
    rmdir(dir);
}

static void expect_fd_refused(int fd, const char *said)
{
    clr_listener_t *l = NULL;
    clr_listener_spec_t spec = {.kind = CLR_LISTENER_FD, .fd = fd};
    EXPECT(clr_listener_open(&l, &loop, &spec, on_connection, NULL, &err) < 0);
    if (!strstr(err.text, said))
        TEST_FAIL_("\"%s\" does not say \"%s\"", err.text, said);
    close(fd);
}

TEST(listener_refuses_what_does_not_listen)
{
    EXPECT_EQ(clr_loop_init(&loop), 0);
    expect_fd_refused(999, "it is not open");
    expect_fd_refused(open("/dev/null", O_RDWR), "it is no socket");
    expect_fd_refused(socket(AF_INET, SOCK_DGRAM, 0), "it is no stream socket");
    expect_fd_refused(socket(AF_INET, SOCK_STREAM, 0), "it is not listening");
    expect_fd_refused(socket(AF_NETLINK, SOCK_RAW, 0), "another family");
    clr_loop_deinit(&loop);
}

TEST_MAIN(T(listener_tells_its_url), T(listener_empty_host_takes_all_families),
          T(listener_leaves_ipv4_to_another), T(listener_unix_sets_the_mode),
          T(listener_takes_inherited_sockets), T(listener_refuses_what_does_not_listen),
          T(listener_port_in_use_is_named), T(listener_bad_hosts_are_named),
          T(listener_ipv6_any_takes_ipv4_too), T(listener_stands_still_until_it_is_asked_again),
          T(listener_may_be_closed_while_it_stands_still),
          T(listener_unix_replaces_a_stale_socket_only))
