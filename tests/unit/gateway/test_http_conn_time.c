/* Time limits, and clients that leave or are dropped while a request is parked. */
#include "gateway/http_conn.h"

#include "http_conn_fixture.h"

TEST(http_conn_limits_the_time_of_a_head)
{
    fixture_defaults();
    options.header_timeout_ms = 60;
    int fd = setup();
    loopback_send(&loop, fd, CLR_STR("GET /app HTTP/1.1\r\n"));
    clr_buf_t got = {0};
    uint64_t start = clr_clock_now_ms();
    loopback_read_all(&loop, fd, &got);
    EXPECT(clr_clock_now_ms() - start >= 50);
    EXPECT(buf_has(&got, "HTTP/1.1 408 Request Timeout\r\n"));
    clr_buf_deinit(&got);
    teardown(fd);
}

TEST(http_conn_limits_the_time_of_a_head_however_it_trickles)
{
    fixture_defaults();
    options.header_timeout_ms = 100;
    int fd = setup();
    clr_buf_t got = {0};
    loopback_send(&loop, fd, CLR_STR("GET /app HTTP/1.1\r\nHost: h\r\nX: "));
    uint64_t until = clr_clock_now_ms() + LOOPBACK_DEADLINE_MS;
    while (loopback_receive(fd, &got) && clr_clock_now_ms() < until) {
        send(fd, "x", 1, MSG_NOSIGNAL);
        loopback_turn(&loop);
        poll(NULL, 0, 5);
    }
    EXPECT(buf_has(&got, "HTTP/1.1 408 "));
    clr_buf_deinit(&got);
    teardown(fd);
}

TEST(http_conn_limits_the_time_between_pieces_of_a_body)
{
    fixture_defaults();
    options.body_timeout_ms = 60;
    int fd = setup();
    clr_buf_t got = talk(fd, "POST /app HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab");
    EXPECT(buf_has(&got, "HTTP/1.1 408 "));
    EXPECT_EQ(aborts, 1);
    clr_buf_deinit(&got);
    teardown(fd);
}

TEST(http_conn_closes_idle_connections_silently)
{
    fixture_defaults();
    options.idle_timeout_ms = 300;
    int fd = setup();
    clr_buf_t got = talk(fd, "GET /app HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_EQ(buf_count(&got, "HTTP/1.1"), 1);
    EXPECT(buf_has(&got, "200 OK"));
    clr_buf_deinit(&got);
    teardown(fd);
}

TEST(http_conn_gives_a_parked_request_all_the_time)
{
    fixture_defaults();
    options.idle_timeout_ms = options.header_timeout_ms = options.body_timeout_ms = 200;
    park = true;
    int fd = setup();
    clr_buf_t got = {0};
    loopback_send(&loop, fd, CLR_STR("GET /app HTTP/1.1\r\nHost: h\r\n\r\n"));
    LOOPBACK_UNTIL(&loop, fd, ends == 1);
    uint64_t until = clr_clock_now_ms() + 400;
    LOOPBACK_UNTIL(&loop, -1, clr_clock_now_ms() > until);
    EXPECT_EQ(aborts, 0);
    respond_path(parked);
    EXPECT(loopback_read_text(&loop, fd, &got, "path=/app;"));
    clr_buf_deinit(&got);
    teardown(fd);
}

TEST(http_conn_sees_a_client_that_leaves_while_parked)
{
    int fd = setup();
    park_one(fd);
    close(fd);
    LOOPBACK_UNTIL(&loop, -1, aborts == 1);
    LOOPBACK_UNTIL(&loop, -1, clr_gateway_is_idle(&gw));
    teardown(socket(AF_INET, SOCK_STREAM, 0));
    EXPECT_EQ(aborts, 1);
}

TEST(http_conn_sees_a_reset_while_parked)
{
    int fd = setup();
    park_one(fd);
    struct linger linger = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close(fd);
    LOOPBACK_UNTIL(&loop, -1, aborts == 1);
    teardown(socket(AF_INET, SOCK_STREAM, 0));
}

TEST(http_conn_answers_a_client_that_closed_its_half)
{
    int fd = setup();
    send(fd, "GET /app HTTP/1.1\r\nHost: h\r\n\r\n", 30, 0);
    shutdown(fd, SHUT_WR);
    clr_buf_t got = {0};
    loopback_read_all(&loop, fd, &got);
    EXPECT(buf_has(&got, "path=/app;"));
    clr_buf_deinit(&got);
    teardown(fd);
}

TEST(http_conn_kill_drops_without_abort)
{
    int fd = setup();
    park_one(fd);
    clr_exchange_kill(parked);
    clr_buf_t got = {0};
    loopback_read_all(&loop, fd, &got);
    EXPECT_EQ(got.n, 0);
    EXPECT_EQ(aborts, 0);
    teardown(fd);
}

TEST_MAIN(T(http_conn_limits_the_time_of_a_head),
          T(http_conn_limits_the_time_of_a_head_however_it_trickles),
          T(http_conn_limits_the_time_between_pieces_of_a_body),
          T(http_conn_closes_idle_connections_silently),
          T(http_conn_gives_a_parked_request_all_the_time),
          T(http_conn_sees_a_client_that_leaves_while_parked),
          T(http_conn_sees_a_reset_while_parked),
          T(http_conn_answers_a_client_that_closed_its_half), T(http_conn_kill_drops_without_abort))
