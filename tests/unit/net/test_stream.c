#include "net/stream.h"

#include <netinet/tcp.h>
#include <sys/un.h>

#include "stream_fixture.h"

static bool on_connection(uv_stream_t *handle, void *ctx)
{
    (void)ctx;
    EXPECT_EQ(clr_stream_accept(&stream, &loop, handle, &ops), 0);
    clr_stream_read_start(&stream);
    accepted++;
    return true;
}

/* A listener, a client and the accepted stream. */
static int setup(void)
{
    clr_error_t err = {0};
    EXPECT_EQ(clr_loop_init(&loop), 0);
    EXPECT_EQ(clr_listener_open_tcp(&listener, &loop, "127.0.0.1", 0, on_connection, NULL, &err),
              0);
    EXPECT(clr_listener_port(listener) != 0);
    int fd = loopback_connect(clr_listener_port(listener));
    LOOPBACK_UNTIL(&loop, -1, accepted);
    return fd;
}

static void teardown(int fd)
{
    clr_stream_close(&stream);
    clr_stream_close(&stream);
    clr_listener_close(listener);
    LOOPBACK_UNTIL(&loop, -1, closed);
    clr_loop_deinit(&loop);
    clr_buf_deinit(&received);
    EXPECT_EQ(closed, 1);
    close(fd);
}

TEST(stream_gathers_copied_and_shared_writes_in_order)
{
    int fd = setup();
    clr_buf_t expected = {0}, got = {0};
    clr_shared_t *big = clr_shared_new(3000), *small = clr_shared_copy(CLR_STR("[small]"));
    memset(big->data, 'B', 3000);
    big->len = 3000;
    for (int i = 0; i < 500; i++) {
        char text[32];
        int n = snprintf(text, sizeof(text), "<%d>", i);
        clr_stream_write(&stream, clr_str(text, (size_t)n));
        clr_stream_write_shared(&stream, big, 10, 2000);
        clr_stream_write_shared(&stream, small, 0, small->len);
        memcpy(clr_stream_reserve(&stream, 100), "reserved", 8);
        clr_stream_commit(&stream, 8);
        clr_buf_append(&expected, text, (size_t)n);
        clr_buf_append(&expected, big->data, 2000);
        clr_buf_append_str(&expected, clr_shared_str(small));
        clr_buf_append(&expected, "reserved", 8);
    }
    clr_stream_reserve(&stream, 50000);
    clr_stream_commit(&stream, 0);
    clr_shared_unref(small);
    EXPECT_EQ(clr_stream_pending(&stream), expected.n);
    EXPECT(loopback_read(&loop, fd, &got, expected.n));
    EXPECT_STR(clr_buf_str(&got), clr_buf_str(&expected));
    LOOPBACK_UNTIL(&loop, -1, clr_stream_pending(&stream) == 0 && clr_outq_is_empty(&stream.out_));
    EXPECT(clr_shared_is_sole(big));
    clr_shared_unref(big);
    clr_buf_deinit(&expected);
    clr_buf_deinit(&got);
    teardown(fd);
}

/* A file of n bytes that tell where they are, unlinked. */
static int pattern_file(char *bytes, size_t n)
{
    char path[] = "/tmp/clr-stream-XXXXXX";
    int file = mkstemp(path);
    EXPECT(file >= 0);
    unlink(path);
    for (size_t i = 0; i < n; i++)
        bytes[i] = (char)(i * 7 + (i >> 12));
    EXPECT_EQ(write(file, bytes, n), (int64_t)n);
    return file;
}

TEST(stream_counts_what_passes)
{
    int fd = setup();
    char bytes[100];
    clr_stream_write(&stream, CLR_STR("0123456789"));
    clr_stream_write_file(&stream, pattern_file(bytes, 100), 0, 100);
    loopback_send(&loop, fd, CLR_STR("abc"));
    clr_buf_t got = {0};
    EXPECT(loopback_read(&loop, fd, &got, 110));
    LOOPBACK_UNTIL(&loop, -1, received.n == 3);
    EXPECT_EQ(loop.stats.sent[1], 110);
    EXPECT_EQ(loop.stats.received[1], 3);
    /* Also what libuv writes later: the socket is full. */
    size_t n = 0;
    char *block = calloc(1, 1 << 20);
    for (; stalls == 0; n += 1 << 20) {
        clr_stream_write(&stream, clr_str(block, 1 << 20));
        loopback_turn(&loop);
    }
    EXPECT(loopback_read(&loop, fd, &got, 110 + n));
    LOOPBACK_UNTIL(&loop, -1, clr_stream_pending(&stream) == 0);
    EXPECT_EQ(loop.stats.sent[1], 110 + n);
    EXPECT_EQ(loop.stats.sent[0] + loop.stats.received[0], 0);
    free(block);
    clr_buf_deinit(&got);
    teardown(fd);
}

TEST(stream_reports_a_stalled_reader_and_its_recovery)
{
    int fd = setup();
    static char block[100000];
    memset(block, 'x', sizeof(block));
    size_t total = 0;
    while (stalls == 0) {
        clr_stream_write(&stream, clr_str(block, sizeof(block)));
        total += sizeof(block);
        loopback_turn(&loop);
    }
    for (int i = 0; i < 5; i++) { /* queued behind a write that waits */
        clr_stream_write(&stream, CLR_STR("tail"));
        total += 4;
        loopback_turn(&loop);
    }
    EXPECT(clr_stream_pending(&stream) > 0);
    EXPECT_EQ(drains, 0);
    clr_buf_t got = {0};
    EXPECT(loopback_read(&loop, fd, &got, total));
    EXPECT_EQ(got.n, total);
    EXPECT(memcmp(got.p + total - 8, "tailtail", 8) == 0);
    LOOPBACK_UNTIL(&loop, -1, drains == 1);
    EXPECT_EQ(clr_stream_pending(&stream), 0);
    clr_buf_deinit(&got);
    teardown(fd);
}

TEST(stream_drain_is_told_from_the_loop_only)
{
    int fd = setup();
    clr_stream_want_drain(&stream);
    EXPECT_EQ(drains, 0);
    loopback_turn(&loop);
    EXPECT_EQ(drains, 1);
    loopback_turn(&loop);
    EXPECT_EQ(drains, 1);
    teardown(fd);
}

TEST(stream_close_with_a_full_queue_discards_it)
{
    int fd = setup();
    static char block[1 << 20];
    while (stalls == 0) {
        clr_stream_write(&stream, clr_str(block, sizeof(block)));
        loopback_turn(&loop);
    }
    clr_shared_t *shared = clr_shared_copy(CLR_STR("never sent"));
    clr_stream_write_shared(&stream, shared, 0, shared->len);
    teardown(fd);
    EXPECT(clr_shared_is_sole(shared));
    clr_shared_unref(shared);
}

TEST(stream_end_and_reset_are_told_once)
{
    int fd = setup();
    EXPECT_EQ(send(fd, "hello", 5, 0), 5);
    shutdown(fd, SHUT_WR);
    LOOPBACK_UNTIL(&loop, -1, ended);
    EXPECT_EQ(end_status, 0);
    EXPECT_STR_C(clr_buf_str(&received), "hello");
    struct linger linger = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close(fd); /* a reset */
    for (int i = 0; i < 50; i++) {
        clr_stream_write(&stream, CLR_STR("into the void"));
        loopback_turn(&loop);
    }
    EXPECT_EQ(ended, 1);
    teardown(socket(AF_INET, SOCK_STREAM, 0));
}

TEST(stream_write_error_is_told_as_an_end)
{
    int fd = setup();
    clr_stream_read_stop(&stream);
    struct linger linger = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close(fd);
    uint64_t until = clr_clock_now_ms() + LOOPBACK_DEADLINE_MS;
    while (!ended && clr_clock_now_ms() < until) {
        clr_stream_write(&stream, CLR_STR("x"));
        EXPECT_EQ(ended, 0); /* never inside the call */
        loopback_turn(&loop);
    }
    EXPECT_EQ(ended, 1);
    EXPECT(end_status < 0);
    teardown(socket(AF_INET, SOCK_STREAM, 0));
}

TEST(stream_close_flushed_delivers_all_though_the_peer_still_sends)
{
    int fd = setup();
    static char block[1 << 20];
    memset(block, 'y', sizeof(block));
    clr_stream_write(&stream, clr_str(block, sizeof(block)));
    clr_stream_close_flushed(&stream, 10000);
    clr_stream_write(&stream, CLR_STR("too late"));
    EXPECT(clr_stream_is_closing(&stream));
    EXPECT_EQ(send(fd, block, 1000, MSG_DONTWAIT), 1000);
    clr_buf_t got = {0};
    loopback_read_all(&loop, fd, &got);
    EXPECT_EQ(got.n, sizeof(block));
    EXPECT_EQ(closed, 0); /* waits for our end of file */
    close(fd);
    LOOPBACK_UNTIL(&loop, -1, closed);
    EXPECT_EQ(ended, 0);
    EXPECT_EQ(received.n, 0);
    clr_listener_close(listener);
    clr_loop_deinit(&loop);
    clr_buf_deinit(&got);
}

TEST(stream_close_flushed_gives_up_in_time)
{
    int fd = setup();
    static char block[8 << 20];
    clr_stream_write(&stream, clr_str(block, sizeof(block)));
    clr_stream_close_flushed(&stream, 50);
    uint64_t start = clr_clock_now_ms();
    LOOPBACK_UNTIL(&loop, -1, closed);
    EXPECT(clr_clock_now_ms() - start >= 40);
    clr_listener_close(listener);
    clr_loop_deinit(&loop);
    close(fd);
}

TEST(stream_tells_addresses_and_sends_without_delay)
{
    int fd = setup();
    char host[46];
    uint16_t port;
    clr_stream_peer(&stream, host, &port);
    EXPECT_STR_C(clr_str_c(host), "127.0.0.1");
    EXPECT(port != 0);
    clr_stream_local(&stream, host, &port);
    EXPECT_STR_C(clr_str_c(host), "127.0.0.1");
    EXPECT_EQ(port, clr_listener_port(listener));
    int on = 0, raw;
    socklen_t size = sizeof(on);
    EXPECT_EQ(uv_fileno(&stream.uv_.handle, &raw), 0);
    EXPECT_EQ(getsockopt(raw, IPPROTO_TCP, TCP_NODELAY, &on, &size), 0);
    EXPECT(on);
    printf("sizeof(clr_stream_t) = %zu\n", sizeof(clr_stream_t));
    EXPECT(sizeof(clr_stream_t) <= 352);
    teardown(fd);
}

TEST(stream_open_fd_refuses_what_is_no_stream_socket)
{
    EXPECT_EQ(clr_loop_init(&loop), 0);
    EXPECT(clr_stream_open_fd(&stream, &loop, -1, &ops) < 0);
    EXPECT(clr_stream_open_fd(&stream, &loop, STDIN_FILENO, &ops) < 0);
    int datagram = socket(AF_UNIX, SOCK_DGRAM, 0);
    EXPECT(clr_stream_open_fd(&stream, &loop, datagram, &ops) < 0);
    close(datagram);
    clr_loop_deinit(&loop);
}

TEST(stream_sends_files_among_bytes_in_order)
{
    int fd = setup();
    size_t n = 6 << 20;
    char *bytes = malloc(n);
    int file = pattern_file(bytes, n);
    clr_stream_write(&stream, CLR_STR("head"));
    clr_stream_write_file(&stream, dup(file), 0, n);
    clr_stream_write(&stream, CLR_STR("between"));
    clr_stream_write_file(&stream, dup(file), 1000, 3);
    clr_stream_write_file(&stream, dup(file), 0, 0);
    clr_stream_write_file(&stream, file, n - 1, 1);
    clr_stream_write(&stream, CLR_STR("tail"));
    EXPECT_EQ(clr_stream_pending(&stream), 4 + n + 7 + 3 + 1 + 4);
    /* A reader that comes late finds the socket full. */
    LOOPBACK_UNTIL(&loop, -1, stalls > 0);
    EXPECT(clr_stream_pending(&stream) < n);
    clr_buf_t got = {0};
    EXPECT(loopback_read(&loop, fd, &got, n + 19));
    EXPECT_EQ(got.n, n + 19);
    EXPECT(memcmp(got.p, "head", 4) == 0 && memcmp(got.p + 4, bytes, n) == 0);
    EXPECT(memcmp(got.p + 4 + n, "between", 7) == 0);
    EXPECT(memcmp(got.p + 11 + n, bytes + 1000, 3) == 0);
    EXPECT(got.p[n + 14] == bytes[n - 1] && memcmp(got.p + n + 15, "tail", 4) == 0);
    EXPECT_EQ(clr_stream_pending(&stream), 0);
    LOOPBACK_UNTIL(&loop, -1, drains == 1);
    clr_buf_deinit(&got);
    free(bytes);
    teardown(fd);
}

TEST(stream_file_that_is_shorter_breaks_it)
{
    int fd = setup();
    char bytes[100];
    clr_stream_write_file(&stream, pattern_file(bytes, 100), 0, 101);
    LOOPBACK_UNTIL(&loop, -1, ended);
    EXPECT_EQ(end_status, UV_EIO);
    EXPECT_EQ(clr_stream_pending(&stream), 0);
    teardown(fd);
}

TEST(stream_file_that_shrinks_while_the_socket_is_full_breaks_it)
{
    int fd = setup();
    size_t n = 16 << 20;
    char *bytes = malloc(n);
    int file = pattern_file(bytes, n);
    clr_stream_write_file(&stream, dup(file), 0, n);
    LOOPBACK_UNTIL(&loop, -1, stalls > 0);
    EXPECT_EQ(ftruncate(file, 0), 0);
    LOOPBACK_UNTIL(&loop, fd, (loopback_receive(fd, &received), ended));
    EXPECT_EQ(end_status, UV_EIO);
    EXPECT(received.n < n);
    close(file);
    free(bytes);
    teardown(fd);
}

static int open_files(void)
{
    int count = 0;
    for (int fd = 0; fd < 64; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

TEST(stream_closes_files_that_were_not_sent)
{
    int fd = setup();
    char bytes[100];
    int file = pattern_file(bytes, 100), before = open_files();
    for (int i = 0; i < 5; i++)
        clr_stream_write_file(&stream, dup(file), 0, 100);
    EXPECT_EQ(open_files(), before + 5);
    clr_stream_close(&stream);
    EXPECT_EQ(open_files(), before - 1); /* less the socket */
    clr_stream_write_file(&stream, dup(file), 0, 100);
    EXPECT_EQ(open_files(), before - 1);
    close(file);
    teardown(fd);
}

TEST_MAIN(T(stream_gathers_copied_and_shared_writes_in_order), T(stream_counts_what_passes),
          T(stream_reports_a_stalled_reader_and_its_recovery),
          T(stream_drain_is_told_from_the_loop_only), T(stream_close_with_a_full_queue_discards_it),
          T(stream_end_and_reset_are_told_once), T(stream_write_error_is_told_as_an_end),
          T(stream_close_flushed_delivers_all_though_the_peer_still_sends),
          T(stream_close_flushed_gives_up_in_time),
          T(stream_tells_addresses_and_sends_without_delay),
          T(stream_open_fd_refuses_what_is_no_stream_socket),
          T(stream_sends_files_among_bytes_in_order), T(stream_file_that_is_shorter_breaks_it),
          T(stream_file_that_shrinks_while_the_socket_is_full_breaks_it),
          T(stream_closes_files_that_were_not_sent))
