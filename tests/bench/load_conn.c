/* load_conn.c: WebSocket and Socket.IO clients for the load generator, and the loop they run in. */
#include "load_conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_SIZE  (256u << 10)
#define TAIL_MAX   (1u << 20) /* a longer frame than any scenario asks for */
#define EVENTS_MAX 1024
#define SOURCES    200 /* addresses 127.0.1.1 and on, each with its own range of ports */

void load_die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("loadgen: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

static void *must(void *memory)
{
    if (memory == NULL) {
        load_die("out of memory");
    }
    return memory;
}

void load_loop_init(load_loop_t *loop, const struct sockaddr_in *server, const char *path,
                    const load_ops_t *ops, void *ctx, uint32_t conn_count)
{
    *loop = (load_loop_t){.server = *server, .path = path, .ops = ops, .ctx = ctx};
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    loop->conn_count = conn_count;
    loop->conns = must(calloc(conn_count, sizeof(*loop->conns)));
    loop->dirty = must(calloc(conn_count * 2u, sizeof(load_conn_t *)));
    loop->scratch = must(malloc(TAIL_MAX + READ_SIZE));
    loop->fatal_refused = true;
    for (uint32_t i = 0; i < conn_count; i++) {
        uint64_t key = 0x9e3779b9u * (i + 1u) & 0xffffffffu;
        loop->conns[i] = (load_conn_t){.loop = loop, .fd = -1, .index = i, .mask = key | key << 32};
    }
}

void load_loop_deinit(load_loop_t *loop)
{
    for (uint32_t i = 0; i < loop->conn_count; i++) {
        load_conn_t *c = &loop->conns[i];
        load_conn_reset(c);
        free(c->out);
        free(c->tail);
        free(c->sent_at);
    }
    free(loop->conns);
    free(loop->dirty);
    free(loop->scratch);
    close(loop->epoll);
}

void load_conn_reset(load_conn_t *c)
{
    if (c->fd >= 0) {
        close(c->fd);
    }
    c->fd = -1;
    c->state = LOAD_IDLE;
    c->out_start = c->out_end = c->tail_len = 0;
    c->want_write = false;
}

/* -- output */

static void mark_dirty(load_conn_t *c)
{
    if (!c->dirty) {
        c->dirty = true;
        c->loop->dirty[c->loop->dirty_count++] = c;
    }
}

static uint8_t *reserve(load_conn_t *c, size_t len)
{
    if (c->out_start == c->out_end) {
        c->out_start = c->out_end = 0;
    }
    if (c->out_end + len > c->out_cap) {
        c->out_cap = (c->out_end + len) * 2;
        c->out = must(realloc(c->out, c->out_cap));
    }
    return c->out + c->out_end;
}

static void mask_copy(uint8_t *to, const char *from, size_t len, uint64_t key)
{
    size_t i = 0;
    for (; i + 8 <= len; i += 8) {
        uint64_t word;
        memcpy(&word, from + i, 8);
        word ^= key;
        memcpy(to + i, &word, 8);
    }
    for (; i < len; i++) {
        to[i] = (uint8_t)from[i] ^ (uint8_t)(key >> (8 * (i & 7)));
    }
}

static void send_frame(load_conn_t *c, uint8_t opcode, const char *data, size_t len)
{
    uint8_t *p = reserve(c, len + 14);
    uint8_t *start = p;
    *p++ = 0x80 | opcode;
    if (len < 126) {
        *p++ = 0x80 | (uint8_t)len;
    } else if (len < 65536) {
        *p++ = 0x80 | 126;
        *p++ = (uint8_t)(len >> 8);
        *p++ = (uint8_t)len;
    } else {
        *p++ = 0x80 | 127;
        for (int shift = 56; shift >= 0; shift -= 8) {
            *p++ = (uint8_t)((uint64_t)len >> shift);
        }
    }
    memcpy(p, &c->mask, 4);
    p += 4;
    mask_copy(p, data, len, c->mask);
    c->out_end += (size_t)(p - start) + len;
    mark_dirty(c);
}

void load_conn_send(load_conn_t *c, const char *text, size_t len)
{
    send_frame(c, 0x1, text, len);
}

void load_conn_finish(load_conn_t *c)
{
    send_frame(c, 0x8, "\x03\xe8", 2);
    c->state = LOAD_CLOSING;
}

static void watch(load_conn_t *c, int op, bool writable)
{
    struct epoll_event event = {.events = EPOLLIN | (writable ? (uint32_t)EPOLLOUT : 0u),
                                .data.ptr = c};
    epoll_ctl(c->loop->epoll, op, c->fd, &event);
    c->want_write = writable;
}

static void lost(load_conn_t *c, const char *why)
{
    if (c->loop->ops->on_closed == NULL) {
        load_die("client %u: %s", c->index, why);
    }
    load_conn_reset(c);
    c->loop->ops->on_closed(c);
}

static void flush(load_conn_t *c)
{
    c->dirty = false;
    if (c->fd < 0 || c->state == LOAD_CONNECTING || c->out_start == c->out_end) {
        return;
    }
    ssize_t n = send(c->fd, c->out + c->out_start, c->out_end - c->out_start, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) {
        lost(c, strerror(errno));
        return;
    }
    c->out_start += n > 0 ? (size_t)n : 0;
    bool pending = c->out_start < c->out_end;
    if (pending != c->want_write) {
        watch(c, EPOLL_CTL_MOD, pending);
    }
}

/* -- connecting */

bool load_conn_open(load_conn_t *c)
{
    load_loop_t *loop = c->loop;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) {
        load_die("socket: %s", strerror(errno));
    }
    int one = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
    struct sockaddr_in source = {.sin_family = AF_INET};
    source.sin_addr.s_addr = htonl(0x7f000101u + loop->source++ % SOURCES);
    if (ntohl(loop->server.sin_addr.s_addr) >> 24 == 127 &&
        bind(c->fd, (struct sockaddr *)&source, sizeof(source)) < 0) {
        load_die("bind: %s", strerror(errno));
    }
    int r = connect(c->fd, (struct sockaddr *)&loop->server, sizeof(loop->server));
    if (r < 0 && errno != EINPROGRESS) {
        if (loop->fatal_refused) {
            load_die("connect: %s", strerror(errno));
        }
        load_conn_reset(c);
        return false;
    }
    c->state = LOAD_CONNECTING;
    watch(c, EPOLL_CTL_ADD, true);
    return true;
}

static void on_connected(load_conn_t *c)
{
    int error = 0;
    socklen_t size = sizeof(error);
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) {
        lost(c, strerror(error));
        return;
    }
    uint8_t *p = reserve(c, 512);
    int len = snprintf((char *)p, 512,
                       "GET %s%s HTTP/1.1\r\n"
                       "Host: 127.0.0.1:%u\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                       "Sec-WebSocket-Version: 13\r\n\r\n",
                       c->loop->path, c->loop->plain ? "" : "?EIO=4&transport=websocket",
                       ntohs(c->loop->server.sin_port));
    if (len < 0 || len >= 512) {
        load_die("path too long");
    }
    c->out_end += (size_t)len;
    c->state = LOAD_HTTP;
    mark_dirty(c);
}

/* -- input */

static void send_connect(load_conn_t *c)
{
    char packet[512] = "40";
    size_t len = 2;
    if (c->loop->ops->auth != NULL) {
        len += c->loop->ops->auth(c, packet + len, sizeof(packet) - len);
    }
    load_conn_send(c, packet, len);
}

static void on_text(load_conn_t *c, const char *text, size_t len)
{
    if (len == 1 && text[0] == '2' && !c->loop->plain) {
        load_conn_send(c, "3", 1);
        return;
    }
    switch (c->state) {
    case LOAD_OPEN:
        if (len == 0 || text[0] != '0') {
            load_die("expected OPEN, got %.*s", (int)len, text);
        }
        c->state = LOAD_CONNECT;
        send_connect(c);
        return;
    case LOAD_CONNECT:
        if (len < 2 || memcmp(text, "40", 2) != 0) {
            load_die("expected the CONNECT reply, got %.*s", (int)len, text);
        }
        c->state = LOAD_READY;
        c->loop->ops->on_ready(c);
        return;
    case LOAD_READY:
        c->loop->ops->on_message(c, text, len);
        return;
    default:
        return;
    }
}

/* Length of the frame's head, or 0 when more bytes are needed. */
static size_t frame_head(const uint8_t *p, size_t len, size_t *payload)
{
    if (len < 2) {
        return 0;
    }
    size_t small = p[1] & 0x7f;
    if (small < 126) {
        *payload = small;
        return 2;
    }
    size_t head = small == 126 ? 4 : 10;
    if (len < head) {
        return 0;
    }
    uint64_t value = 0;
    for (size_t i = 2; i < head; i++) {
        value = value << 8 | p[i];
    }
    *payload = value;
    return head;
}

static size_t parse_http(load_conn_t *c, const uint8_t *p, size_t len)
{
    const uint8_t *end = memmem(p, len, "\r\n\r\n", 4);
    if (end == NULL) {
        return 0;
    }
    if (len < 12 || memcmp(p, "HTTP/1.1 101", 12) != 0) {
        load_die("handshake refused: %.*s", (int)(end - p), (const char *)p);
    }
    c->state = c->loop->plain ? LOAD_READY : LOAD_OPEN;
    if (c->loop->plain) {
        c->loop->ops->on_ready(c);
    }
    return (size_t)(end - p) + 4;
}

/* Handles whole frames; returns how many bytes were taken, or SIZE_MAX when c is gone. */
static size_t parse(load_conn_t *c, const uint8_t *p, size_t len)
{
    size_t at = 0;
    if (c->state == LOAD_HTTP) {
        at = parse_http(c, p, len);
        if (at == 0) {
            return 0;
        }
    }
    size_t payload, head;
    while ((head = frame_head(p + at, len - at, &payload)) != 0) {
        if (payload > TAIL_MAX - 16) {
            load_die("client %u: a frame of %zu bytes", c->index, payload);
        }
        if (len - at < head + payload) {
            break;
        }
        const char *data = (const char *)p + at + head;
        uint8_t opcode = p[at] & 0x0f;
        at += head + payload;
        if (opcode == 0x1) {
            on_text(c, data, payload);
        } else if (opcode == 0x9) {
            send_frame(c, 0xa, data, payload);
        } else if (opcode == 0x8) {
            lost(c, "closed by the server");
            return SIZE_MAX;
        }
        if (c->fd < 0) {
            return SIZE_MAX;
        }
    }
    return at;
}

static void keep_tail(load_conn_t *c, const uint8_t *p, size_t len)
{
    if (len > c->tail_cap) {
        c->tail_cap = len < 256 ? 256 : len * 2;
        free(c->tail);
        c->tail = must(malloc(c->tail_cap));
    }
    if (len > 0) {
        memcpy(c->tail, p, len);
    }
    c->tail_len = len;
}

static void on_readable(load_conn_t *c)
{
    uint8_t *scratch = c->loop->scratch;
    size_t have = c->tail_len;
    if (have > 0) {
        memcpy(scratch, c->tail, have);
    }
    ssize_t n = recv(c->fd, scratch + have, READ_SIZE, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n <= 0) {
        lost(c, n == 0 ? "closed by the server" : strerror(errno));
        return;
    }
    have += (size_t)n;
    size_t taken = parse(c, scratch, have);
    if (taken != SIZE_MAX) {
        keep_tail(c, scratch + taken, have - taken);
    }
}

void load_loop_turn(load_loop_t *loop, int timeout_ms)
{
    struct epoll_event events[EVENTS_MAX];
    int n = epoll_wait(loop->epoll, events, EVENTS_MAX, timeout_ms);
    for (int i = 0; i < n; i++) {
        load_conn_t *c = events[i].data.ptr;
        if (c->fd < 0) {
            continue; /* closed by the handler of an earlier event */
        }
        if (c->state == LOAD_CONNECTING) {
            on_connected(c);
            continue;
        }
        if (events[i].events & EPOLLOUT) {
            mark_dirty(c);
        }
        if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
            on_readable(c);
        }
    }
    /* on_closed may open and so dirty others: the count may grow. */
    for (uint32_t i = 0; i < loop->dirty_count; i++) {
        flush(loop->dirty[i]);
    }
    loop->dirty_count = 0;
}
