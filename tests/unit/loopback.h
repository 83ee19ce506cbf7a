/* loopback.h: real sockets within one test process. The test plays the client with a plain
 * descriptor and lets the loop turn while it waits; nothing sleeps, everything has a deadline.
 */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/clock.h"
#include "net/loop.h"
#include "test.h"

#define LOOPBACK_DEADLINE_MS 60000

/* How long a wait may sleep before it looks again; 0, which spins, is for who waits very often. */
#ifndef LOOPBACK_SLEEP_MS
#define LOOPBACK_SLEEP_MS 1
#endif

static inline void loopback_turn(clr_loop_t *loop)
{
    uv_run(&loop->uv, UV_RUN_NOWAIT);
}

/* Turns the loop until cond; sleeps at most LOOPBACK_SLEEP_MS at a time, on the client's descriptor
 * if >= 0. */
#define LOOPBACK_UNTIL(loop, fd, cond)                                                             \
    do {                                                                                           \
        uint64_t until_ = clr_clock_now_ms() + LOOPBACK_DEADLINE_MS;                               \
        while (!(cond)) {                                                                          \
            if (clr_clock_now_ms() > until_)                                                       \
                TEST_FAIL_("timed out waiting for %s", #cond);                                     \
            loopback_turn(loop);                                                                   \
            struct pollfd pfd_ = {(fd), POLLIN, 0};                                                \
            (void)poll(&pfd_, (fd) >= 0,                                                           \
                       (fd) >= 0 && (pfd_.revents & POLLIN) ? 0 : LOOPBACK_SLEEP_MS);              \
        }                                                                                          \
    } while (0)

CLR_UNUSED static int loopback_connect(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    return fd;
}

/* Sends everything, turning the loop while the socket is full. */
CLR_UNUSED static void loopback_send(clr_loop_t *loop, int fd, clr_str_t bytes)
{
    uint64_t until = clr_clock_now_ms() + LOOPBACK_DEADLINE_MS;
    while (bytes.n > 0) {
        ssize_t n = send(fd, bytes.p, bytes.n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0)
            bytes = clr_str_from(bytes, (size_t)n);
        else if (errno != EAGAIN || clr_clock_now_ms() > until)
            return; /* the peer closed: the test sees that when it reads */
        loopback_turn(loop);
    }
}

/* What there is to read now is appended. 0 at the end of the stream or after a reset, 1 otherwise.
 */
CLR_UNUSED static int loopback_receive(int fd, clr_buf_t *out)
{
    char chunk[65536];
    for (;;) {
        ssize_t n = recv(fd, chunk, sizeof(chunk), MSG_DONTWAIT);
        if (n == 0)
            return 0;
        if (n < 0)
            return errno == EAGAIN;
        clr_buf_append(out, chunk, (size_t)n);
    }
}

/* Reads until at least n bytes are there (false if the stream ends before). */
CLR_UNUSED static bool loopback_read(clr_loop_t *loop, int fd, clr_buf_t *out, size_t n)
{
    int open = 1;
    LOOPBACK_UNTIL(loop, fd, !(open = loopback_receive(fd, out)) || out->n >= n);
    return out->n >= n;
}

/* Reads until the stream ends. */
CLR_UNUSED static void loopback_read_all(clr_loop_t *loop, int fd, clr_buf_t *out)
{
    LOOPBACK_UNTIL(loop, fd, !loopback_receive(fd, out));
}

/* Reads until the text is among what was read (false if the stream ends before). */
CLR_UNUSED static bool loopback_read_text(clr_loop_t *loop, int fd, clr_buf_t *out,
                                          const char *text)
{
    int open = 1;
    LOOPBACK_UNTIL(loop, fd,
                   !(open = loopback_receive(fd, out)) ||
                       (out->n && memmem(out->p, out->n, text, strlen(text))));
    return out->n && memmem(out->p, out->n, text, strlen(text));
}
