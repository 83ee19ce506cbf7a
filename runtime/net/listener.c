/* listener.c: see listener.h. */
#include "net/listener.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

struct clr_listener {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } uv;
    clr_listener_connection_cb cb;
    void *ctx;
};

static void on_closed(uv_handle_t *handle)
{
    free(clr_container_of(handle, clr_listener_t, uv.handle));
}

static void on_connection(uv_stream_t *stream, int status)
{
    clr_listener_t *l = clr_container_of(stream, clr_listener_t, uv.stream);
    if (status == 0)
        l->cb(stream, l->ctx);
    else
        clr_log_warn("net", "cannot accept a connection: %s", clr_strerror(status));
}

static clr_listener_t *listener_new(clr_listener_connection_cb cb, void *ctx)
{
    clr_listener_t *l = clr_xcalloc(1, sizeof(*l));
    l->cb = cb;
    l->ctx = ctx;
    return l;
}

/* Names are for start-up: the call may block. Of several addresses IPv4 is preferred, since
 * "localhost" means 127.0.0.1 to most clients. */
static int resolve(const char *host, uint16_t port, struct sockaddr_storage *out, clr_error_t *err)
{
    char service[8];
    snprintf(service, sizeof(service), "%u", port);
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    int rc = getaddrinfo(host[0] ? host : NULL, service, &hints, &list);
    if (rc != 0)
        return clr_error_set(err, CLR_EINVAL, "cannot resolve the host \"%s\": %s", host,
                             gai_strerror(rc));
    struct addrinfo *chosen = list;
    for (struct addrinfo *it = list; it; it = it->ai_next) {
        if (it->ai_family == AF_INET) {
            chosen = it;
            break;
        }
    }
    memcpy(out, chosen->ai_addr, chosen->ai_addrlen);
    freeaddrinfo(list);
    return 0;
}

static int tcp_failed(clr_error_t *err, int code, const char *host, uint16_t port)
{
    const char *hint = "";
    if (code == UV_EADDRINUSE)
        hint = " (another program listens there; choose another port, or 0 for any free one)";
    else if (code == UV_EACCES)
        hint = " (ports below 1024 need a privilege)";
    else if (code == UV_EADDRNOTAVAIL)
        hint = " (no interface of this machine has that address)";
    return clr_error_set(err, code, "cannot listen on %s port %u: %s%s", host[0] ? host : "*", port,
                         uv_strerror(code), hint);
}

int clr_listener_open_tcp(clr_listener_t **out, clr_loop_t *loop, const char *host, uint16_t port,
                          clr_listener_connection_cb cb, void *ctx, clr_error_t *err)
{
    struct sockaddr_storage addr = {0};
    int rc = resolve(host, port, &addr, err);
    if (rc)
        return rc;
    clr_listener_t *l = listener_new(cb, ctx);
    rc = uv_tcp_init(&loop->uv, &l->uv.tcp);
    if (rc) {
        free(l);
        return tcp_failed(err, rc, host, port);
    }
    rc = uv_tcp_bind(&l->uv.tcp, (struct sockaddr *)&addr, 0);
    if (!rc)
        rc = uv_tcp_nodelay(&l->uv.tcp, 1); /* Linux hands it on to what is accepted */
    if (!rc)
        rc = uv_listen(&l->uv.stream, CLR_LISTENER_BACKLOG, on_connection);
    if (rc) {
        uv_close(&l->uv.handle, on_closed);
        return tcp_failed(err, rc, host, port);
    }
    *out = l;
    return 0;
}

/* Whether a path that exists may be replaced: 0, or negative with the reason in err. */
static int check_stale(const char *path, const struct sockaddr_un *addr, clr_error_t *err)
{
    struct stat st;
    if (lstat(path, &st) != 0)
        return errno == ENOENT
                   ? 0
                   : clr_error_set(err, -errno, "cannot listen on %s: %s", path, strerror(errno));
    if (!S_ISSOCK(st.st_mode))
        return clr_error_set(err, -EEXIST, "cannot listen on %s: it exists and is no socket", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return clr_error_set(err, -errno, "cannot listen on %s: %s", path, strerror(errno));
    int rc = connect(fd, (const struct sockaddr *)addr, sizeof(*addr));
    bool refused = rc != 0 && errno == ECONNREFUSED;
    close(fd);
    if (!refused)
        return clr_error_set(err, -EADDRINUSE, "cannot listen on %s: another program listens there",
                             path);
    if (unlink(path) != 0)
        return clr_error_set(err, -errno, "cannot replace the socket %s: %s", path,
                             strerror(errno));
    return 0;
}

int clr_listener_open_unix(clr_listener_t **out, clr_loop_t *loop, const char *path,
                           clr_listener_connection_cb cb, void *ctx, clr_error_t *err)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    size_t n = strlen(path);
    if (n == 0 || n >= sizeof(addr.sun_path))
        return clr_error_set(err, CLR_EINVAL, "cannot listen on %s: the path is longer than %zu",
                             path, sizeof(addr.sun_path) - 1);
    memcpy(addr.sun_path, path, n + 1);
    int rc = check_stale(path, &addr, err);
    if (rc)
        return rc;
    clr_listener_t *l = listener_new(cb, ctx);
    rc = uv_pipe_init(&loop->uv, &l->uv.pipe, 0);
    if (rc) {
        free(l);
        return clr_error_set(err, rc, "cannot listen on %s: %s", path, uv_strerror(rc));
    }
    rc = uv_pipe_bind(&l->uv.pipe, path);
    if (!rc)
        rc = uv_listen(&l->uv.stream, CLR_LISTENER_BACKLOG, on_connection);
    if (rc) {
        uv_close(&l->uv.handle, on_closed);
        return clr_error_set(err, rc, "cannot listen on %s: %s", path, uv_strerror(rc));
    }
    *out = l;
    return 0;
}

uint16_t clr_listener_port(const clr_listener_t *l)
{
    struct sockaddr_storage addr = {0};
    int size = sizeof(addr);
    if (l->uv.handle.type != UV_TCP ||
        uv_tcp_getsockname(&l->uv.tcp, (struct sockaddr *)&addr, &size) != 0)
        return 0;
    return addr.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&addr)->sin6_port)
                                      : ntohs(((struct sockaddr_in *)&addr)->sin_port);
}

void clr_listener_close(clr_listener_t *l)
{
    if (!uv_is_closing(&l->uv.handle))
        uv_close(&l->uv.handle, on_closed);
}
