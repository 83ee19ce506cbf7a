#include "link/link.h"

#include "loopback.h"

static clr_loop_t loop;
static clr_link_t *link_;
static int frames, down, down_reason, closed, refuse, close_at;
static size_t payload_bytes;
static uint64_t last_stream, byte_sum;

static int on_frame(const clr_frame_t *frame, void *ctx)
{
    EXPECT(ctx == &loop);
    frames++;
    payload_bytes += frame->payload.n;
    last_stream = frame->stream;
    for (size_t i = 0; i < frame->payload.n; i++) /* touches every byte, for the sanitizer */
        byte_sum += (uint8_t)frame->payload.p[i];
    if (close_at && frames == close_at)
        clr_link_close(link_);
    return refuse ? CLR_EPROTO : 0;
}

static void on_down(int reason, void *ctx)
{
    (void)ctx;
    down++;
    down_reason = reason;
}

static void on_closed(void *ctx)
{
    (void)ctx;
    closed++;
}

static const clr_link_ops_t ops = {on_frame, on_down, on_closed};

static int setup(void)
{
    int pair[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    EXPECT_EQ(clr_loop_init(&loop), 0);
    EXPECT_EQ(clr_link_open(&link_, &loop, pair[0], &ops, &loop), 0);
    return pair[1];
}

static void teardown(int fd)
{
    clr_link_close(link_);
    LOOPBACK_UNTIL(&loop, -1, closed);
    clr_loop_deinit(&loop);
    close(fd);
}

/* A LOG frame with a text of n bytes. */
static void put_log(clr_buf_t *out, uint64_t stream, size_t n)
{
    size_t begun = clr_frame_begin(out, CLR_FRAME_LOG, 0, stream);
    clr_buf_append_le(out, 1, 1);
    clr_buf_append_le(out, 3, 4);
    clr_buf_append(out, "app", 3);
    clr_buf_append_le(out, n, 4);
    memset(clr_buf_reserve(out, n), 'x', n);
    out->n += n;
    clr_frame_end(out, begun);
}

TEST(link_takes_frames_byte_by_byte)
{
    int fd = setup();
    clr_buf_t out = {0};
    for (size_t i = 0; i < 20; i++)
        put_log(&out, i + 1, i * 7);
    for (size_t i = 0; i < out.n; i++) {
        EXPECT_EQ(send(fd, out.p + i, 1, 0), 1);
        loopback_turn(&loop);
    }
    LOOPBACK_UNTIL(&loop, -1, frames == 20);
    EXPECT_EQ(last_stream, 20);
    EXPECT_EQ(down, 0);
    clr_buf_deinit(&out);
    teardown(fd);
}

TEST(link_takes_batches_and_large_frames)
{
    int fd = setup();
    clr_buf_t out = {0};
    size_t sum = 0;
    for (size_t i = 0; i < 3000; i++) {
        size_t n = i % 500 == 499 ? 700000 : i % 90;
        put_log(&out, i + 1, n);
        sum += n + 12;
    }
    loopback_send(&loop, fd, clr_buf_str(&out));
    LOOPBACK_UNTIL(&loop, -1, frames == 3000);
    EXPECT_EQ(payload_bytes, sum);
    clr_buf_deinit(&out);
    teardown(fd);
}

TEST(link_writes_what_was_appended_in_a_turn_at_once)
{
    int fd = setup();
    clr_buf_t got = {0};
    for (uint64_t i = 0; i < 100; i++) {
        clr_buf_t *out = clr_link_out(link_);
        size_t begun = clr_frame_begin(out, CLR_FRAME_SIO_DISCONNECT, 0, i + 1);
        clr_buf_append_le(out, 1, 1);
        clr_frame_end(out, begun);
    }
    EXPECT_EQ(clr_link_pending(link_), 100 * 17);
    EXPECT(loopback_read(&loop, fd, &got, 100 * 17));
    EXPECT_EQ(got.n, 100 * 17);
    EXPECT_EQ(clr_link_pending(link_), 0);
    clr_buf_deinit(&got);
    teardown(fd);
}

TEST(link_keeps_order_when_the_worker_does_not_read)
{
    int fd = setup();
    size_t total = 0;
    for (int round = 0; round < 60; round++) {
        clr_buf_t *out = clr_link_out(link_);
        size_t begun = clr_frame_begin(out, CLR_FRAME_CONFIG, 0, (uint64_t)round + 1);
        clr_buf_append_le(out, 50000, 4);
        memset(clr_buf_reserve(out, 50000), 'c', 50000);
        out->n += 50000;
        clr_frame_end(out, begun);
        total += 50000 + 4 + CLR_FRAME_HEAD_SIZE;
        loopback_turn(&loop);
    }
    EXPECT(clr_link_pending(link_) > 0);
    clr_buf_t got = {0};
    EXPECT(loopback_read(&loop, fd, &got, total));
    size_t at = 0;
    for (int round = 0; round < 60; round++) {
        clr_frame_t frame;
        int64_t n = clr_frame_decode(clr_str_from(clr_buf_str(&got), at), 'G', &frame, NULL);
        EXPECT(n > 0);
        EXPECT_EQ(frame.stream, round + 1);
        at += (size_t)n;
    }
    EXPECT_EQ(at, got.n);
    LOOPBACK_UNTIL(&loop, -1, clr_link_pending(link_) == 0);
    clr_buf_deinit(&got);
    teardown(fd);
}

static void expect_down(const char *bytes, size_t n, int reason)
{
    int fd = setup();
    EXPECT_EQ(send(fd, bytes, n, 0), (int64_t)n);
    if (reason == 0)
        shutdown(fd, SHUT_WR);
    LOOPBACK_UNTIL(&loop, -1, down);
    EXPECT_EQ(down, 1);
    EXPECT_EQ(down_reason, reason);
    send(fd, bytes, n, MSG_NOSIGNAL);
    for (int i = 0; i < 5; i++)
        loopback_turn(&loop);
    EXPECT_EQ(down, 1);
    teardown(fd);
}

TEST(link_goes_down_on_an_unknown_frame)
{
    expect_down("\0\0\0\0\xff\0\0\0\0\0\0\0\0\0\0\0", 16, CLR_EPROTO);
}

TEST(link_goes_down_on_a_frame_of_the_wrong_direction)
{
    expect_down("\4\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20, CLR_EPROTO);
}

TEST(link_goes_down_on_a_frame_past_the_cap)
{
    expect_down("\0\0\0\x7f\x55\0\0\0\0\0\0\0\0\0\0\0", 16, CLR_EPROTO);
}

TEST(link_goes_down_when_the_worker_ends_within_a_frame)
{
    expect_down("\7\0\0\0\x55\0\0", 7, 0);
}

TEST(link_goes_down_when_a_frame_is_refused)
{
    refuse = 1;
    int fd = setup();
    clr_buf_t out = {0};
    put_log(&out, 1, 5);
    put_log(&out, 2, 5);
    loopback_send(&loop, fd, clr_buf_str(&out));
    LOOPBACK_UNTIL(&loop, -1, down);
    EXPECT_EQ(frames, 1);
    EXPECT_EQ(down_reason, CLR_EPROTO);
    clr_buf_deinit(&out);
    teardown(fd);
}

TEST(link_may_be_closed_by_its_frame_callback)
{
    close_at = 2;
    int fd = setup();
    clr_buf_t out = {0};
    for (int i = 0; i < 5; i++)
        put_log(&out, 1, 5);
    loopback_send(&loop, fd, clr_buf_str(&out));
    LOOPBACK_UNTIL(&loop, -1, closed);
    EXPECT_EQ(frames, 2);
    EXPECT_EQ(down, 0);
    clr_buf_deinit(&out);
    clr_loop_deinit(&loop);
    close(fd);
}

TEST(link_open_leaves_a_bad_descriptor_alone)
{
    EXPECT_EQ(clr_loop_init(&loop), 0);
    EXPECT(clr_link_open(&link_, &loop, -1, &ops, &loop) < 0);
    clr_loop_deinit(&loop);
}

TEST_MAIN(T(link_takes_frames_byte_by_byte), T(link_takes_batches_and_large_frames),
          T(link_writes_what_was_appended_in_a_turn_at_once),
          T(link_keeps_order_when_the_worker_does_not_read), T(link_goes_down_on_an_unknown_frame),
          T(link_goes_down_on_a_frame_of_the_wrong_direction),
          T(link_goes_down_on_a_frame_past_the_cap),
          T(link_goes_down_when_the_worker_ends_within_a_frame),
          T(link_goes_down_when_a_frame_is_refused), T(link_may_be_closed_by_its_frame_callback),
          T(link_open_leaves_a_bad_descriptor_alone))
