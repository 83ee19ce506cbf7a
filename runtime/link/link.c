/* link.c: see link.h. */
#include "link/link.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/stream.h"

/* Memory that a quiet link keeps for its next batch, and for the rest of a frame. */
#define KEEP_OUT (256u << 10)
#define KEEP_IN  (64u << 10)

/* The kernel's buffer: as large as it allows, so that a batch goes out with one write. */
#define SOCKET_BUFFER (1 << 20)

struct clr_link {
    clr_stream_t stream;
    clr_loop_t *loop;
    const clr_link_ops_t *ops;
    void *ctx;
    clr_flush_t flush;
    clr_buf_t out; /* frames of this turn */
    clr_buf_t in;  /* the start of a frame whose rest has not come */
    bool down;     /* on_down was called, or is not wanted any more */
};

static void go_down(clr_link_t *link, int reason)
{
    clr_stream_read_stop(&link->stream);
    if (link->down)
        return;
    link->down = true;
    link->ops->on_down(reason, link->ctx);
}

static bool is_up(const clr_link_t *link)
{
    return !link->down;
}

static int take_frame(clr_link_t *link, const clr_frame_t *frame)
{
    int rc = link->ops->on_frame(frame, link->ctx);
    if (rc >= 0)
        return 0;
    clr_log_error("link", "the worker sent a %s that is not valid: %s", clr_frame_name(frame->type),
                  clr_strerror(rc));
    return CLR_EPROTO;
}

/* Takes the whole frames off the front of *bytes. 0, or negative: the link is unusable. */
static int take_frames(clr_link_t *link, clr_str_t *bytes, size_t *need)
{
    *need = CLR_FRAME_HEAD_SIZE;
    while (bytes->n > 0 && is_up(link)) {
        clr_frame_t frame;
        int64_t size = clr_frame_decode(*bytes, 'W', &frame, need);
        if (size < 0) {
            clr_log_error("link", "the worker sent bytes that are no frame");
            return CLR_EPROTO;
        }
        if (size == 0)
            return 0;
        *bytes = clr_str_from(*bytes, (size_t)size);
        int rc = take_frame(link, &frame);
        if (rc)
            return rc;
    }
    return 0;
}

/* Completes the frame begun in link->in with just as many of *bytes as it lacks. */
static int complete_partial(clr_link_t *link, clr_str_t *bytes)
{
    while (link->in.n > 0 && is_up(link)) {
        clr_str_t held = clr_buf_str(&link->in);
        size_t need;
        int rc = take_frames(link, &held, &need);
        if (rc)
            return rc;
        if (held.n == 0) {
            clr_buf_clear(&link->in);
            return 0;
        }
        if (bytes->n == 0)
            return 0;
        CLR_ASSERT(need > link->in.n);
        size_t lacks = need - link->in.n;
        size_t more = lacks < bytes->n ? lacks : bytes->n;
        clr_buf_append(&link->in, bytes->p, more);
        *bytes = clr_str_from(*bytes, more);
    }
    return 0;
}

static void trim(clr_buf_t *b, size_t keep)
{
    if (b->n == 0 && b->cap > keep)
        clr_buf_deinit(b);
}

static void on_read(clr_stream_t *s, char *data, size_t n)
{
    clr_link_t *link = clr_container_of(s, clr_link_t, stream);
    clr_str_t bytes = clr_str(data, n);
    size_t need;
    int rc = complete_partial(link, &bytes);
    if (!rc)
        rc = take_frames(link, &bytes, &need);
    if (rc) {
        go_down(link, CLR_EPROTO);
        return;
    }
    if (is_up(link))
        clr_buf_append_str(&link->in, bytes);
    trim(&link->in, KEEP_IN);
}

static void on_end(clr_stream_t *s, int status)
{
    go_down(clr_container_of(s, clr_link_t, stream), status);
}

static void on_closed(clr_stream_t *s)
{
    clr_link_t *link = clr_container_of(s, clr_link_t, stream);
    if (link->ops->on_closed)
        link->ops->on_closed(link->ctx);
    clr_buf_deinit(&link->out);
    clr_buf_deinit(&link->in);
    free(link);
}

static const clr_stream_ops_t stream_ops = {
    .on_read = on_read,
    .on_end = on_end,
    .on_closed = on_closed,
};

static void on_flush(clr_flush_t *f)
{
    clr_link_t *link = clr_container_of(f, clr_link_t, flush);
    clr_stream_write_buf(&link->stream, &link->out);
    trim(&link->out, KEEP_OUT);
}

int clr_link_open(clr_link_t **out, clr_loop_t *loop, int fd, const clr_link_ops_t *ops, void *ctx)
{
    clr_link_t *link = clr_xcalloc(1, sizeof(*link));
    int rc = clr_stream_open_fd(&link->stream, loop, fd, &stream_ops);
    if (rc) {
        free(link);
        return rc;
    }
    int size = SOCKET_BUFFER; /* a wish: failing is no error */
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    link->loop = loop;
    link->ops = ops;
    link->ctx = ctx;
    clr_flush_init(&link->flush, on_flush);
    clr_stream_read_start(&link->stream);
    *out = link;
    return 0;
}

clr_buf_t *clr_link_out(clr_link_t *link)
{
    clr_loop_mark(link->loop, &link->flush);
    return &link->out;
}

size_t clr_link_pending(const clr_link_t *link)
{
    return link->out.n + clr_stream_pending(&link->stream);
}

void clr_link_close(clr_link_t *link)
{
    link->down = true;
    clr_flush_cancel(&link->flush);
    clr_stream_close(&link->stream);
}
