/* stream.c: see stream.h. */
#include "net/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/mem.h"
#include "net/stream_internal.h"

/* Of a file: how much the kernel is asked to send at once, and how much is held in memory while the
 * socket is full. */
#define FILE_PER_CALL (256u << 10)
#define FILE_WAIT     (16u << 10)

/* While the stream is closing flushed. */
typedef struct clr_linger {
    clr_timer_t timer;
    clr_stream_t *stream;
    uint64_t timeout_ms;
    size_t pending; /* when the timer was last started */
} clr_linger_t;

/* A write that the kernel did not take whole; libuv waits for the socket. */
typedef struct clr_write {
    uv_write_t req;
    clr_stream_t *stream;
    size_t len;  /* taken from the queue when it is done */
    char data[]; /* bytes that are in no queue */
} clr_write_t;

static void on_flush(clr_flush_t *f);

/* --- writing --- */

static void discard(clr_stream_t *s)
{
    clr_outq_discard(&s->out_);
    s->pending_ = 0;
}

static bool takes_writes(const clr_stream_t *s)
{
    return !s->closing_ && !s->broken_;
}

static void queued(clr_stream_t *s, size_t n)
{
    s->pending_ += n;
    clr_loop_mark(s->loop, &s->flush_);
}

void clr_stream_write(clr_stream_t *s, clr_str_t bytes)
{
    if (bytes.n == 0 || !takes_writes(s))
        return;
    memcpy(clr_outq_reserve(&s->out_, bytes.n), bytes.p, bytes.n);
    clr_outq_commit(&s->out_, bytes.n);
    queued(s, bytes.n);
}

char *clr_stream_reserve(clr_stream_t *s, size_t n)
{
    return clr_outq_reserve(&s->out_, n);
}

void clr_stream_commit(clr_stream_t *s, size_t used)
{
    if (!takes_writes(s))
        return;
    clr_outq_commit(&s->out_, used);
    queued(s, used);
}

char *clr_stream_reopen(clr_stream_t *s, size_t n, size_t more)
{
    if (!s->writing_ || s->pending_ < n || !takes_writes(s))
        return NULL;
    return clr_outq_reopen(&s->out_, n, more);
}

void clr_stream_write_shared(clr_stream_t *s, clr_shared_t *buf, uint32_t off, uint32_t len)
{
    CLR_ASSERT(off <= buf->len && len <= buf->len - off);
    if (len == 0 || !takes_writes(s))
        return;
    clr_outq_push_shared(&s->out_, buf, off, len);
    queued(s, len);
}

void clr_stream_write_file(clr_stream_t *s, int fd, uint64_t offset, uint64_t count)
{
    if (count == 0 || !takes_writes(s)) {
        close(fd);
        return;
    }
    clr_outq_push_file(&s->out_, &(clr_outq_file_t){.fd = fd, .at = offset, .left = count});
    queued(s, (size_t)count);
}

void clr_stream_fail(clr_stream_t *s, int status)
{
    s->broken_ = 1;
    s->ended_status_ = status;
    if (!s->writing_)
        discard(s);
    clr_loop_mark(s->loop, &s->flush_); /* which tells the owner */
}

void clr_stream_write_buf(clr_stream_t *s, clr_buf_t *buf)
{
    size_t sent = 0;
    if (buf->n > 0 && takes_writes(s) && clr_outq_is_empty(&s->out_) && !s->tls_) {
        uv_buf_t iov = uv_buf_init(buf->p, (unsigned)buf->n);
        int n = uv_try_write(&s->uv_.stream, &iov, 1);
        if (n < 0 && n != UV_EAGAIN)
            clr_stream_fail(s, n);
        if (n > 0) {
            sent = (size_t)n;
            clr_stream_count_sent(s, sent);
        }
    }
    if (buf->n > sent && takes_writes(s)) {
        clr_outq_push_heap(&s->out_, buf->p, sent, (uint32_t)(buf->n - sent));
        queued(s, buf->n - sent);
        clr_buf_init(buf);
    }
    clr_buf_clear(buf);
}

static void on_written(uv_write_t *req, int status)
{
    clr_write_t *w = clr_container_of(req, clr_write_t, req);
    clr_stream_t *s = w->stream;
    size_t n = w->len;
    free(w);
    s->writing_ = 0;
    if (uv_is_closing(&s->uv_.handle))
        return;
    if (status < 0) {
        clr_stream_fail(s, status);
        return;
    }
    if (s->broken_)
        discard(s);
    else
        clr_outq_consume(&s->out_, n);
    s->want_drain_ = 1;
    clr_loop_mark(s->loop, &s->flush_);
}

/* Hands the front of the queue to libuv, which waits until the socket takes it. */
static void write_later(clr_stream_t *s)
{
    uv_buf_t iov[CLR_OUTQ_GATHER];
    clr_write_t *w = clr_xmalloc(sizeof(*w));
    w->stream = s;
    unsigned count = clr_outq_gather(&s->out_, iov, &w->len);
    int err = uv_write(&w->req, &s->uv_.stream, iov, count, on_written);
    if (err) {
        free(w);
        clr_stream_fail(s, err);
        return;
    }
    s->writing_ = 1;
    clr_stream_count_sent(s, w->len);
    s->pending_ -= w->len; /* counted by libuv from here on */
}

void clr_stream_write_later(clr_stream_t *s, clr_str_t bytes)
{
    clr_write_t *w = clr_xmalloc(sizeof(*w) + bytes.n);
    w->stream = s;
    w->len = 0;
    memcpy(w->data, bytes.p, bytes.n);
    uv_buf_t iov = uv_buf_init(w->data, (unsigned)bytes.n);
    int err = uv_write(&w->req, &s->uv_.stream, &iov, 1, on_written);
    if (err) {
        free(w);
        clr_stream_fail(s, err);
        return;
    }
    s->writing_ = 1;
    clr_stream_count_sent(s, bytes.n);
}

/* Bytes at the front of the queue. False when the socket takes no more, or is broken. */
static bool write_bytes(clr_stream_t *s)
{
    uv_buf_t iov[CLR_OUTQ_GATHER];
    size_t total;
    unsigned count = clr_outq_gather(&s->out_, iov, &total);
    int n = uv_try_write(&s->uv_.stream, iov, count);
    if (n < 0 && n != UV_EAGAIN) {
        clr_stream_fail(s, n);
        return false;
    }
    size_t taken = n > 0 ? (size_t)n : 0;
    clr_stream_count_sent(s, taken);
    clr_outq_consume(&s->out_, taken);
    s->pending_ -= taken;
    if (taken < total)
        write_later(s);
    return taken == total;
}

bool clr_stream_read_file(clr_stream_t *s, size_t most)
{
    ssize_t n = clr_outq_read_file(&s->out_, most);
    if (n > 0)
        return true;
    clr_stream_fail(s, n < 0 ? (int)n : UV_EIO);
    return false;
}

/* A file at the front of the queue. As above. */
static bool write_file(clr_stream_t *s, const clr_outq_file_t *file)
{
    int socket;
    if (uv_fileno(&s->uv_.handle, &socket) != 0) {
        clr_stream_fail(s, UV_EBADF);
        return false;
    }
    off_t at = (off_t)file->at;
    ssize_t n = sendfile(socket, file->fd, &at,
                         file->left < FILE_PER_CALL ? (size_t)file->left : FILE_PER_CALL);
    if (n > 0) {
        clr_stream_count_sent(s, (size_t)n);
        clr_outq_file_sent(&s->out_, (size_t)n);
        s->pending_ -= (size_t)n;
        return true;
    }
    if (n < 0 && errno == EAGAIN) {
        /* libuv waits for a socket only with bytes in hand. */
        if (clr_stream_read_file(s, FILE_WAIT))
            write_later(s);
        return false;
    }
    if (n < 0 && (errno == EINVAL || errno == ENOSYS)) /* not from such a file */
        return clr_stream_read_file(s, CLR_STREAM_FILE_READ);
    if (n < 0 && errno == EINTR)
        return true;
    clr_stream_fail(s, n < 0 ? -errno : UV_EIO);
    return false;
}

static void write_out(clr_stream_t *s)
{
    for (int i = 0; i < CLR_STREAM_WRITES_PER_TURN && !clr_outq_is_empty(&s->out_); i++) {
        const clr_outq_file_t *file = clr_outq_file(&s->out_);
        if (clr_outq_is_empty(&s->out_))
            return;
        if (!(file ? write_file(s, file) : write_bytes(s)))
            return;
    }
    if (!clr_outq_is_empty(&s->out_))
        clr_loop_mark(s->loop, &s->flush_);
}

/* --- closing --- */

static void on_uv_closed(uv_handle_t *handle)
{
    clr_stream_t *s = clr_container_of(handle, clr_stream_t, uv_.handle);
    discard(s);
    clr_stream_tls_free(s);
    s->ops->on_closed(s);
}

static void close_now(clr_stream_t *s)
{
    s->closing_ = 1;
    s->reading_ = 0;
    if (s->linger_) {
        clr_timer_stop(&s->linger_->timer);
        free(s->linger_);
        s->linger_ = NULL;
    }
    clr_flush_cancel(&s->flush_);
    clr_stream_tls_stop(s);
    if (!s->writing_)
        discard(s);
    uv_close(&s->uv_.handle, on_uv_closed);
}

static void linger(clr_linger_t *l)
{
    l->pending = clr_stream_unsent(l->stream);
    clr_loop_timer_start(l->stream->loop, &l->timer, l->timeout_ms);
}

/* A slow reader may take its time, one that takes nothing may not. */
static void on_linger_timeout(clr_timer_t *timer)
{
    clr_linger_t *l = clr_container_of(timer, clr_linger_t, timer);
    if (!l->stream->shut_ && clr_stream_unsent(l->stream) < l->pending)
        linger(l);
    else
        close_now(l->stream);
}

/* The queue is written: no more output. The peer's end of file ends the wait, unless it was seen
 * before. */
static void shut_output(clr_stream_t *s)
{
    int fd;
    if (!s->reading_ || uv_fileno(&s->uv_.handle, &fd) != 0 || shutdown(fd, SHUT_WR) != 0) {
        close_now(s);
        return;
    }
    s->shut_ = 1;
    linger(s->linger_);
}

/* --- the flush pass --- */

static void tell_broken(clr_stream_t *s)
{
    if (s->linger_) {
        close_now(s);
        return;
    }
    if (s->ended_)
        return;
    clr_stream_read_stop(s);
    s->ended_ = 1;
    s->ops->on_end(s, s->ended_status_);
}

static void on_flush(clr_flush_t *f)
{
    clr_stream_t *s = clr_container_of(f, clr_stream_t, flush_);
    if (!s->writing_ && !s->broken_) {
        if (s->tls_)
            clr_stream_tls_write_out(s);
        else
            write_out(s);
    }
    if (s->broken_) {
        tell_broken(s);
    } else if (!clr_outq_is_empty(&s->out_) || s->writing_) {
        if (!s->closing_ && s->ops->on_stalled)
            s->ops->on_stalled(s);
    } else if (s->linger_) {
        if (!s->shut_)
            shut_output(s);
    } else if (s->want_drain_) {
        s->want_drain_ = 0;
        if (s->ops->on_drain)
            s->ops->on_drain(s);
    }
}

/* --- reading --- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    clr_stream_t *s = clr_container_of(handle, clr_stream_t, uv_.handle);
    size_t before = s->tls_ ? CLR_TLS_HEADROOM : 0; /* for decrypting in place */
    CLR_DCHECK(s->loop->read_buf_size > before);
    *buf = uv_buf_init(s->loop->read_buf + before, (unsigned)(s->loop->read_buf_size - before));
}

static void on_read_end(clr_stream_t *s, int status)
{
    uv_read_stop(&s->uv_.stream);
    s->reading_ = 0;
    bool told = s->ended_;
    s->ended_ = 1;
    if (s->linger_) {
        if (status < 0 || s->shut_)
            close_now(s);
    } else if (!told) {
        s->ops->on_end(s, status);
    }
}

static void on_uv_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    clr_stream_t *s = clr_container_of(stream, clr_stream_t, uv_.stream);
    clr_loop_saw_input(s->loop);
    if (n > 0)
        s->loop->stats.received[s->accepted_] += (size_t)n;
    if (n < 0)
        on_read_end(s, n == UV_EOF ? 0 : (int)n);
    else if (n > 0 && !s->closing_ && s->tls_)
        clr_stream_tls_read(s, clr_str(buf->base, (size_t)n));
    else if (n > 0 && !s->closing_)
        s->ops->on_read(s, buf->base, (size_t)n);
}

void clr_stream_read_start(clr_stream_t *s)
{
    if (s->reading_ || s->closing_ || s->ended_ || s->broken_)
        return;
    int err = uv_read_start(&s->uv_.stream, on_alloc, on_uv_read);
    if (err)
        clr_stream_fail(s, err);
    else
        s->reading_ = 1;
}

void clr_stream_read_stop(clr_stream_t *s)
{
    if (!s->reading_ || s->closing_)
        return;
    uv_read_stop(&s->uv_.stream);
    s->reading_ = 0;
}

/* --- life --- */

static void init_fields(clr_stream_t *s, clr_loop_t *loop, const clr_stream_ops_t *ops)
{
    memset(s, 0, sizeof(*s));
    s->loop = loop;
    s->ops = ops;
    clr_flush_init(&s->flush_, on_flush);
}

int clr_stream_accept(clr_stream_t *s, clr_loop_t *loop, uv_stream_t *listener,
                      const clr_stream_ops_t *ops)
{
    init_fields(s, loop, ops);
    s->accepted_ = 1;
    bool tcp = listener->type == UV_TCP;
    int err = tcp ? uv_tcp_init(&loop->uv, &s->uv_.tcp) : uv_pipe_init(&loop->uv, &s->uv_.pipe, 0);
    if (err)
        return err;
    /* Fails only where no connection waits, which the connection callback rules out. */
    err = uv_accept(listener, &s->uv_.stream);
    CLR_ASSERT(err == 0);
    if (listener->data)
        clr_stream_tls_new(s, listener->data);
    return 0;
}

int clr_stream_open_fd(clr_stream_t *s, clr_loop_t *loop, int fd, const clr_stream_ops_t *ops)
{
    /* Everything that can fail comes before the handle exists, since a handle must be closed. */
    int type = 0;
    socklen_t size = sizeof(type);
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0)
        return -errno;
    if (type != SOCK_STREAM)
        return UV_EINVAL;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
        return -errno;
    init_fields(s, loop, ops);
    int err = uv_pipe_init(&loop->uv, &s->uv_.pipe, 0);
    if (err)
        return err;
    err = uv_pipe_open(&s->uv_.pipe, fd);
    CLR_ASSERT(err == 0);
    return 0;
}

size_t clr_stream_unsent(const clr_stream_t *s)
{
    int fd, kept = 0;
    if (uv_fileno(&s->uv_.handle, &fd) != 0 || ioctl(fd, SIOCOUTQ, &kept) != 0)
        kept = 0;
    return clr_stream_pending(s) + (size_t)kept;
}

void clr_stream_want_drain(clr_stream_t *s)
{
    if (s->closing_)
        return;
    s->want_drain_ = 1;
    clr_loop_mark(s->loop, &s->flush_);
}

void clr_stream_close(clr_stream_t *s)
{
    if (!uv_is_closing(&s->uv_.handle))
        close_now(s);
}

void clr_stream_close_flushed(clr_stream_t *s, uint64_t timeout_ms)
{
    if (s->closing_)
        return;
    clr_stream_read_start(s); /* what comes is dropped, an end or error is seen */
    s->closing_ = 1;
    s->linger_ = clr_xmalloc(sizeof(*s->linger_));
    s->linger_->stream = s;
    s->linger_->timeout_ms = timeout_ms;
    clr_timer_init(&s->linger_->timer, on_linger_timeout);
    linger(s->linger_);
    clr_loop_mark(s->loop, &s->flush_);
}

/* --- addresses --- */

static void format_address(const struct sockaddr_storage *addr, char host[46], uint16_t *port)
{
    host[0] = '\0';
    *port = 0;
    if (addr->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)addr;
        uv_ip4_name(in, host, 46);
        *port = ntohs(in->sin_port);
    } else if (addr->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)addr;
        uv_ip6_name(in6, host, 46);
        *port = ntohs(in6->sin6_port);
        /* A client that came by IPv4 to a dual-stack listener is shown as what it is. */
        if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
            memmove(host, host + 7, strlen(host + 7) + 1);
    }
}

static void address(const clr_stream_t *s, bool peer, char host[46], uint16_t *port)
{
    struct sockaddr_storage addr = {0};
    int size = sizeof(addr);
    if (s->uv_.handle.type == UV_TCP) {
        struct sockaddr *out = (struct sockaddr *)&addr;
        int err = peer ? uv_tcp_getpeername(&s->uv_.tcp, out, &size)
                       : uv_tcp_getsockname(&s->uv_.tcp, out, &size);
        if (err)
            addr.ss_family = AF_UNSPEC;
    }
    format_address(&addr, host, port);
}

void clr_stream_peer(const clr_stream_t *s, char host[46], uint16_t *port)
{
    address(s, true, host, port);
}

void clr_stream_local(const clr_stream_t *s, char host[46], uint16_t *port)
{
    address(s, false, host, port);
}
