/* listener.c: see listener.h. */
#include "net/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/assert.h"
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
    bool secure;
    bool holding;   /* a connection that was not accepted */
    bool failing;   /* the last accept failed, and the log knows */
    char name[256]; /* the host as it was given, when it was a name; the path */
};

static void on_closed(uv_handle_t *handle)
{
    free(clr_container_of(handle, clr_listener_t, uv.handle));
}

static void on_connection(uv_stream_t *stream, int status)
{
    clr_listener_t *l = clr_container_of(stream, clr_listener_t, uv.stream);
    if (status == 0)
        l->holding = !l->cb(stream, l->ctx); /* libuv asks for no more until it is accepted */
    else if (!l->failing)
        clr_log_warn("net", "cannot accept connections: %s", clr_strerror(status));
    l->failing = status != 0;
}

static clr_listener_t *listener_new(const clr_listener_spec_t *spec, clr_listener_connection_cb cb,
                                    void *ctx)
{
    clr_listener_t *l = clr_xcalloc(1, sizeof(*l));
    l->cb = cb;
    l->ctx = ctx;
    l->secure = spec->tls != NULL;
    return l;
}

/* What is accepted from the handle finds the context there (clr_stream_accept). */
static int start_listening(clr_listener_t *l, const clr_listener_spec_t *spec)
{
    l->uv.handle.data = spec->tls;
    return uv_listen(&l->uv.stream, spec->backlog > 0 ? spec->backlog : CLR_LISTENER_BACKLOG,
                     on_connection);
}

/* --- TCP --- */

/* "::" takes IPv4 too; a machine without IPv6 cannot bind it. */
static void any_address(struct sockaddr_storage *out, uint16_t port)
{
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    bool has_ipv6 = fd >= 0 && bind(fd, (struct sockaddr *)&in6, sizeof(in6)) == 0;
    if (fd >= 0)
        close(fd);
    in6.sin6_port = htons(port);
    if (has_ipv6)
        memcpy(out, &in6, sizeof(in6));
    else
        memcpy(out, &in, sizeof(in));
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
    int rc = getaddrinfo(host, service, &hints, &list);
    if (rc != 0)
        return clr_error_set(err, CLR_EINVAL, "cannot resolve the host \"%s\": %s", host,
                             gai_strerror(rc));
    CLR_ASSERT(list); /* what was resolved has an address */
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

/* The host without the brackets that an IPv6 address has in a URL. False if it is too long to be
 * one. */
static bool bare_host(char out[256], const char *host)
{
    size_t n = strlen(host);
    if (n >= 2 && host[0] == '[' && host[n - 1] == ']') {
        host++;
        n -= 2;
    }
    if (n >= 256)
        return false;
    memcpy(out, host, n);
    out[n] = '\0';
    return true;
}

static bool is_numeric(const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];
    return strchr(host, ':') || inet_pton(AF_INET, host, address) == 1;
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

static int open_tcp(clr_listener_t *l, clr_loop_t *loop, const clr_listener_spec_t *spec,
                    const char *host, clr_error_t *err)
{
    struct sockaddr_storage addr = {0};
    if (!host[0])
        any_address(&addr, spec->port);
    int rc = host[0] ? resolve(host, spec->port, &addr, err) : 0;
    if (!rc) {
        rc = uv_tcp_init(&loop->uv, &l->uv.tcp);
        if (rc)
            tcp_failed(err, rc, host, spec->port);
    }
    if (rc) {
        free(l);
        return rc;
    }
    unsigned flags = spec->ipv6_only && addr.ss_family == AF_INET6 ? UV_TCP_IPV6ONLY : 0;
    rc = uv_tcp_bind(&l->uv.tcp, (struct sockaddr *)&addr, flags);
    if (!rc)
        rc = uv_tcp_nodelay(&l->uv.tcp, 1); /* Linux hands it on to what is accepted */
    if (!rc)
        rc = start_listening(l, spec);
    if (rc) {
        uv_close(&l->uv.handle, on_closed);
        return tcp_failed(err, rc, host, spec->port);
    }
    return 0;
}

/* --- Unix sockets --- */

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

/* libuv says EACCES also where there is no such folder. */
static int unix_failed(clr_error_t *err, int rc, const char *path)
{
    char folder[sizeof(((struct sockaddr_un *)0)->sun_path)];
    const char *slash = strrchr(path, '/');
    size_t n = slash == path ? 1 : slash ? (size_t)(slash - path) : 0;
    snprintf(folder, sizeof(folder), "%.*s", n ? (int)n : 1, n ? path : ".");
    struct stat st;
    if (rc == UV_EACCES && stat(folder, &st) != 0)
        return clr_error_set(err, -errno, "cannot listen on %s: %s: %s", path, folder,
                             strerror(errno));
    if (rc == UV_EACCES)
        return clr_error_set(err, rc, "cannot listen on %s: this user may not write to %s", path,
                             folder);
    return clr_error_set(err, rc, "cannot listen on %s: %s", path, uv_strerror(rc));
}

static int open_unix(clr_listener_t *l, clr_loop_t *loop, const clr_listener_spec_t *spec,
                     clr_error_t *err)
{
    int rc = uv_pipe_init(&loop->uv, &l->uv.pipe, 0);
    if (rc) {
        free(l);
        return clr_error_set(err, rc, "cannot listen on %s: %s", spec->path, uv_strerror(rc));
    }
    rc = uv_pipe_bind(&l->uv.pipe, spec->path);
    /* Before it listens: nobody gets in who may not, or is refused who may. */
    if (!rc && spec->mode != 0 && chmod(spec->path, spec->mode) != 0)
        rc = -errno;
    if (!rc)
        rc = start_listening(l, spec);
    if (rc) {
        uv_close(&l->uv.handle, on_closed);
        return unix_failed(err, rc, spec->path);
    }
    return 0;
}

static int check_path(const char *path, clr_error_t *err)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    size_t n = strlen(path);
    if (n == 0 || n >= sizeof(addr.sun_path))
        return clr_error_set(err, CLR_EINVAL, "cannot listen on %s: the path is longer than %zu",
                             path, sizeof(addr.sun_path) - 1);
    memcpy(addr.sun_path, path, n + 1);
    return check_stale(path, &addr, err);
}

/* --- inherited sockets --- */

static int socket_option(int fd, int option)
{
    int value = 0;
    socklen_t size = sizeof(value);
    return getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

/* What is wrong with the descriptor, or NULL. */
static const char *fd_complaint(int fd)
{
    struct stat st;
    int domain = socket_option(fd, SO_DOMAIN);
    if (fstat(fd, &st) != 0)
        return "it is not open";
    if (!S_ISSOCK(st.st_mode))
        return "it is no socket";
    if (domain != AF_INET && domain != AF_INET6 && domain != AF_UNIX)
        return "it is a socket of another family than IP and Unix";
    if (socket_option(fd, SO_TYPE) != SOCK_STREAM)
        return "it is no stream socket";
    if (socket_option(fd, SO_ACCEPTCONN) != 1)
        return "it is not listening";
    return NULL;
}

/* The path of an inherited Unix socket, for its URL. */
static void name_unix(clr_listener_t *l)
{
    size_t size = sizeof(l->name);
    if (uv_pipe_getsockname(&l->uv.pipe, l->name, &size) != 0)
        size = 0;
    l->name[size < sizeof(l->name) ? size : 0] = '\0';
}

static int open_fd(clr_listener_t *l, clr_loop_t *loop, const clr_listener_spec_t *spec,
                   clr_error_t *err)
{
    bool is_unix = socket_option(spec->fd, SO_DOMAIN) == AF_UNIX;
    int rc = is_unix ? uv_pipe_init(&loop->uv, &l->uv.pipe, 0) : uv_tcp_init(&loop->uv, &l->uv.tcp);
    if (rc) {
        free(l);
        return clr_error_set(err, rc, "cannot listen on descriptor %d: %s", spec->fd,
                             uv_strerror(rc));
    }
    rc = is_unix ? uv_pipe_open(&l->uv.pipe, spec->fd) : uv_tcp_open(&l->uv.tcp, spec->fd);
    if (!rc && !is_unix)
        rc = uv_tcp_nodelay(&l->uv.tcp, 1);
    if (!rc && fcntl(spec->fd, F_SETFD, FD_CLOEXEC) != 0)
        rc = -errno;
    if (!rc)
        rc = start_listening(l, spec);
    if (rc) {
        uv_close(&l->uv.handle, on_closed);
        return clr_error_set(err, rc, "cannot listen on descriptor %d: %s", spec->fd,
                             uv_strerror(rc));
    }
    if (is_unix)
        name_unix(l);
    return 0;
}

/* --- any of them --- */

int clr_listener_open(clr_listener_t **out, clr_loop_t *loop, const clr_listener_spec_t *spec,
                      clr_listener_connection_cb cb, void *ctx, clr_error_t *err)
{
    char host[256] = "";
    const char *complaint = spec->kind == CLR_LISTENER_FD ? fd_complaint(spec->fd) : NULL;
    if (complaint)
        return clr_error_set(err, CLR_EINVAL, "cannot listen on descriptor %d: %s", spec->fd,
                             complaint);
    if (spec->kind == CLR_LISTENER_TCP && !bare_host(host, spec->host))
        return clr_error_set(err, CLR_EINVAL, "cannot resolve the host \"%.40s…\": it is too long",
                             spec->host);
    int rc = spec->kind == CLR_LISTENER_UNIX ? check_path(spec->path, err) : 0;
    if (rc)
        return rc;
    clr_listener_t *l = listener_new(spec, cb, ctx);
    if (spec->kind == CLR_LISTENER_UNIX)
        snprintf(l->name, sizeof(l->name), "%s", spec->path);
    else if (spec->kind == CLR_LISTENER_TCP && host[0] && !is_numeric(host))
        memcpy(l->name, host, sizeof(l->name));
    if (spec->kind == CLR_LISTENER_TCP)
        rc = open_tcp(l, loop, spec, host, err); /* each frees l if it fails */
    else if (spec->kind == CLR_LISTENER_UNIX)
        rc = open_unix(l, loop, spec, err);
    else
        rc = open_fd(l, loop, spec, err);
    if (rc)
        return rc;
    *out = l;
    return 0;
}

int clr_listener_open_tcp(clr_listener_t **out, clr_loop_t *loop, const char *host, uint16_t port,
                          clr_listener_connection_cb cb, void *ctx, clr_error_t *err)
{
    clr_listener_spec_t spec = {.kind = CLR_LISTENER_TCP, .host = host, .port = port};
    return clr_listener_open(out, loop, &spec, cb, ctx, err);
}

int clr_listener_open_unix(clr_listener_t **out, clr_loop_t *loop, const char *path,
                           clr_listener_connection_cb cb, void *ctx, clr_error_t *err)
{
    clr_listener_spec_t spec = {.kind = CLR_LISTENER_UNIX, .path = path};
    return clr_listener_open(out, loop, &spec, cb, ctx, err);
}

static uint16_t local_address(const clr_listener_t *l, char host[46])
{
    struct sockaddr_storage addr = {0};
    int size = sizeof(addr);
    host[0] = '\0';
    if (l->uv.handle.type != UV_TCP ||
        uv_tcp_getsockname(&l->uv.tcp, (struct sockaddr *)&addr, &size) != 0)
        return 0;
    uv_ip_name((const struct sockaddr *)&addr, host, 46);
    return addr.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&addr)->sin6_port)
                                      : ntohs(((struct sockaddr_in *)&addr)->sin_port);
}

uint16_t clr_listener_port(const clr_listener_t *l)
{
    char host[46];
    return local_address(l, host);
}

void clr_listener_url(const clr_listener_t *l, clr_buf_t *out)
{
    char address[46];
    if (l->uv.handle.type != UV_TCP) {
        clr_buf_printf(out, "unix:%s", l->name);
        return;
    }
    uint16_t port = local_address(l, address);
    const char *host = l->name[0] ? l->name : address;
    clr_buf_printf(out, strchr(host, ':') ? "http%s://[%s]:%u" : "http%s://%s:%u",
                   l->secure ? "s" : "", host, port);
}

void clr_listener_retry(clr_listener_t *l)
{
    if (l->holding && !uv_is_closing(&l->uv.handle))
        l->holding = !l->cb(&l->uv.stream, l->ctx);
}

void clr_listener_close(clr_listener_t *l)
{
    if (!uv_is_closing(&l->uv.handle))
        uv_close(&l->uv.handle, on_closed);
}
