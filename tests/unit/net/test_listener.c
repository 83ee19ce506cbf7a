#include "net/listener.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "loopback.h"
#include "net/stream.h"

static clr_loop_t loop;
static clr_error_t err;
static int accepted;

static void on_stream_closed(clr_stream_t *s)
{
    free(s);
}

static const clr_stream_ops_t ops = {.on_closed = on_stream_closed};

static void on_connection(uv_stream_t *handle, void *ctx)
{
    (void)ctx;
    char host[46];
    uint16_t port;
    clr_stream_t *s = malloc(sizeof(*s));
    EXPECT_EQ(clr_stream_accept(s, &loop, handle, &ops), 0);
    clr_stream_peer(s, host, &port);
    EXPECT((port == 0) == (handle->type == UV_NAMED_PIPE));
    clr_stream_close(s);
    accepted++;
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

TEST_MAIN(T(listener_port_in_use_is_named), T(listener_bad_hosts_are_named),
          T(listener_ipv6_any_takes_ipv4_too), T(listener_unix_replaces_a_stale_socket_only))
