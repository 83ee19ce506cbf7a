/* Requests: pipelines, 100-continue, what is refused; the life of a connection. */
#include "gateway/http_conn.h"

#include "http_conn_fixture.h"

TEST(http_conn_answers_and_keeps_the_connection)
{
    int fd = setup();
    clr_buf_t got = {0};
    for (int i = 0; i < 3; i++) {
        clr_buf_clear(&got);
        loopback_send(&loop, fd, CLR_STR("GET /app/x?y=1 HTTP/1.1\r\nHost: h\r\n\r\n"));
        EXPECT(loopback_read_text(&loop, fd, &got, "path=/app/x;"));
        EXPECT(buf_has(&got, "HTTP/1.1 200 OK\r\nDate: "));
        EXPECT(buf_has(&got, "Content-Length: 12\r\n\r\n"));
        EXPECT(!buf_has(&got, "Connection:"));
    }
    EXPECT_EQ(ends, 3);
    clr_buf_deinit(&got);
    teardown(fd);
}

TEST(http_conn_answers_pipelined_requests_in_order)
{
    park = true;
    int fd = setup();
    clr_buf_t got = {0};
    loopback_send(&loop, fd,
                  CLR_STR("GET /app/1 HTTP/1.1\r\nHost: h\r\n\r\nGET /app/2 HTTP/1.1\r\nHost: "
                          "h\r\n\r\nGET /app/3 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
    LOOPBACK_UNTIL(&loop, fd, ends == 1);
    for (int i = 0; i < 5; i++)
        loopback_turn(&loop);
    EXPECT_EQ(heads, 1); /* the next is not looked at before the first is answered */
    park = false;
    respond_path(parked);
    EXPECT_EQ(heads, 1); /* nor within the handler's call */
    loopback_read_all(&loop, fd, &got);
    EXPECT_EQ(heads, 3);
    char *one = memmem(got.p, got.n, "path=/app/1;", 12),
         *two = memmem(got.p, got.n, "path=/app/2;", 12),
         *three = memmem(got.p, got.n, "path=/app/3;", 12);
    EXPECT(one && two && three && one < two && two < three);
    EXPECT_EQ(buf_count(&got, "Connection: close"), 1);
    clr_buf_deinit(&got);
    teardown(fd);
}

TEST(http_conn_bounds_what_is_pipelined)
{
    park = true;
    int fd = setup();
    loopback_send(&loop, fd, CLR_STR("GET /app/1 HTTP/1.1\r\nHost: h\r\n\r\n"));
    LOOPBACK_UNTIL(&loop, fd, ends == 1);
    static char junk[1000];
    memset(junk, 'x', sizeof(junk));
    size_t sent = 0;
    for (int idle = 0; idle < 100; loopback_turn(&loop)) {
        ssize_t n = send(fd, junk, sizeof(junk), MSG_DONTWAIT);
        idle = n > 0 ? 0 : idle + 1;
        sent += n > 0 ? (size_t)n : 0;
        EXPECT(parked->conn->held.n <= (64 << 10) + CLR_LOOP_READ_SIZE);
    }
    EXPECT(sent > parked->conn->held.n); /* the rest waits in the kernel */
    teardown(fd);
}

TEST(http_conn_bounds_the_responses_that_a_pipelining_client_leaves_unread)
{
    int fd = setup();
    static const char one[] = "GET /app HTTP/1.1\r\nHost: h\r\n\r\n";
    clr_buf_t batch = {0}, got = {0};
    for (int i = 0; i < 2000; i++)
        clr_buf_append(&batch, one, sizeof(one) - 1);
    size_t at = 0, sent = 0;
    for (int idle = 0; idle < 100; loopback_turn(&loop)) {
        ssize_t n = send(fd, batch.p + at, batch.n - at, MSG_DONTWAIT);
        idle = n > 0 ? 0 : idle + 1;
        at += n > 0 ? (size_t)n : 0;
        sent += n > 0 ? (size_t)n : 0;
        at = at == batch.n ? 0 : at;
        if (!clr_list_is_empty(&gw.conns)) {
            clr_http_conn_t *conn = clr_container_of(gw.conns.next, clr_http_conn_t, node);
            EXPECT(clr_stream_pending(conn->stream) <= 300000);
        }
    }
    size_t whole = sent / (sizeof(one) - 1);
    EXPECT(heads < (int)whole); /* it waits */
    LOOPBACK_UNTIL(&loop, fd, (loopback_receive(fd, &got), heads == (int)whole));
    LOOPBACK_UNTIL(&loop, fd,
                   (loopback_receive(fd, &got), buf_count(&got, "path=/app;") == (int)whole));
    clr_buf_deinit(&batch);
    clr_buf_deinit(&got);
    teardown(fd);
}

TEST(http_conn_takes_a_request_byte_by_byte)
{
    echo = true;
    int fd = setup();
    static const char request[] = "POST /app HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: "
                                  "chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
    clr_buf_t got = {0};
    for (size_t i = 0; i < sizeof(request) - 1; i++) {
        loopback_send(&loop, fd, clr_str(request + i, 1));
        loopback_turn(&loop);
    }
    EXPECT(loopback_read_text(&loop, fd, &got, "\r\n\r\nhello world"));
    EXPECT_EQ(heads, 1);
    EXPECT_EQ(ends, 1);
    clr_buf_deinit(&got);
    teardown(fd);
}

TEST(http_conn_sends_100_continue_when_the_handler_wants_the_body)
{
    echo = true;
    int fd = setup();
    clr_buf_t got = {0};
    loopback_send(&loop, fd,
                  CLR_STR("POST /app HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: "
                          "100-continue\r\n\r\n"));
    EXPECT(loopback_read_text(&loop, fd, &got, "HTTP/1.1 100 Continue\r\n\r\n"));
    EXPECT_EQ(got.n, 25);
    loopback_send(&loop, fd, CLR_STR("abcde"));
    EXPECT(loopback_read_text(&loop, fd, &got, "\r\n\r\nabcde"));
    EXPECT(!buf_has(&got, "Connection: close"));
    clr_buf_deinit(&got);
    teardown(fd);
}

TEST(http_conn_sends_no_100_continue_after_an_answer)
{
    quick = true;
    int fd = setup();
    clr_buf_t got = talk(fd, "POST /app HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: "
                             "100-continue\r\n\r\n");
    EXPECT(!buf_has(&got, "100 Continue"));
    EXPECT(buf_has(&got, "200 OK"));
    EXPECT(buf_has(&got, "Connection: close")); /* nobody knows whether the body comes */
    clr_buf_deinit(&got);
    teardown(fd);
}

TEST(http_conn_reads_past_the_body_of_a_request_answered_early)
{
    quick = true;
    int fd = setup();
    clr_buf_t got = {0};
    loopback_send(&loop, fd,
                  CLR_STR("POST /app/1 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nabcdeGET "
                          "/app/2 HTTP/1.1\r\nHost: h\r\n\r\n"));
    EXPECT(loopback_read_text(&loop, fd, &got, "path=/app/2;"));
    EXPECT_EQ(heads, 2);
    EXPECT_EQ(bodies, 0);
    EXPECT_EQ(ends, 0); /* the exchange was over */
    clr_buf_deinit(&got);
    teardown(fd);
}

TEST(http_conn_closes_rather_than_read_past_a_large_body)
{
    quick = true;
    int fd = setup();
    clr_buf_t got = talk(fd, "POST /app HTTP/1.1\r\nHost: h\r\nContent-Length: 90000\r\n\r\nabcde");
    EXPECT(buf_has(&got, "Connection: close"));
    clr_buf_deinit(&got);
    teardown(fd);
}

static void expect_refused(const char *request, const char *status)
{
    int fd = setup();
    clr_buf_t got = talk(fd, request);
    if (!clr_str_starts(clr_buf_str(&got), clr_str_c(status)))
        TEST_FAIL_("expected %s, got \"%.*s\"", status, (int)got.n, got.p);
    EXPECT(buf_has(&got, "Connection: close"));
    EXPECT_EQ(ends, 0);
    EXPECT_EQ(buf_count(&got, "HTTP/1.1"), 1);
    clr_buf_deinit(&got);
    teardown(fd);
}

TEST(http_conn_refuses_both_lengths)
{
    expect_refused("POST /app HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: "
                   "chunked\r\n\r\n0\r\n\r\nGET /app HTTP/1.1\r\nHost: h\r\n\r\n",
                   "HTTP/1.1 400 ");
    EXPECT_EQ(heads, 0);
}

TEST(http_conn_refuses_a_folded_header)
{
    expect_refused("GET /app HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n", "HTTP/1.1 400 ");
}

TEST(http_conn_refuses_a_bad_chunk_and_aborts)
{
    park = true;
    expect_refused("POST /app HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
                   "HTTP/1.1 400 ");
    EXPECT_EQ(heads, 1);
    EXPECT_EQ(aborts, 1);
}

TEST(http_conn_refuses_large_heads)
{
    clr_buf_t request = {0};
    clr_buf_printf(&request, "GET /app HTTP/1.1\r\nHost: h\r\nX: %020000d\r\n\r\n", 1);
    clr_buf_putc(&request, '\0');
    expect_refused(request.p, "HTTP/1.1 431 ");
    clr_buf_deinit(&request);
}

TEST(http_conn_refuses_a_declared_body_over_the_limit)
{
    expect_refused("POST /app HTTP/1.1\r\nHost: h\r\nContent-Length: 100001\r\n\r\n",
                   "HTTP/1.1 413 ");
    EXPECT_EQ(aborts, 1);
}

TEST(http_conn_refuses_a_body_over_the_handlers_limit)
{
    body_limit = 7;
    expect_refused("POST /app HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: "
                   "chunked\r\n\r\n5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n",
                   "HTTP/1.1 413 ");
    EXPECT_EQ(aborts, 1);
    EXPECT_EQ(bodies, 1); /* what went over the limit was not handed over */
}

TEST(http_conn_takes_a_body_at_the_limit)
{
    body_limit = 10;
    echo = true;
    int fd = setup();
    clr_buf_t got = {0};
    loopback_send(&loop, fd,
                  CLR_STR("POST /app HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhelloworld"));
    EXPECT(loopback_read_text(&loop, fd, &got, "\r\n\r\nhelloworld"));
    clr_buf_deinit(&got);
    teardown(fd);
}

TEST(http_conn_waits_for_the_gateway_to_be_ready)
{
    fixture_open(false);
    clr_router_add(&gw, CLR_STR("/app"), &handler, &gw);
    int fd = fixture_connect();
    clr_buf_t got = {0};
    loopback_send(&loop, fd, CLR_STR("GET /app HTTP/1.1\r\nHost: h\r\n\r\n"));
    for (int i = 0; i < 20; i++)
        loopback_turn(&loop);
    EXPECT_EQ(heads, 0);
    clr_gateway_set_ready(&gw);
    EXPECT(loopback_read_text(&loop, fd, &got, "path=/app;"));
    clr_buf_deinit(&got);
    teardown(fd);
}

TEST(http_conn_drain_closes_idle_and_lets_busy_finish)
{
    int fd = setup(), idle = fixture_connect();
    park_one(fd);
    LOOPBACK_UNTIL(&loop, -1, !clr_list_is_empty(&gw.conns) && gw.conns.next->next != &gw.conns);
    clr_gateway_drain(&gw);
    clr_buf_t got = {0};
    loopback_read_all(&loop, idle, &got);
    EXPECT_EQ(got.n, 0);
    EXPECT_EQ(aborts, 0);
    respond_path(parked);
    loopback_read_all(&loop, fd, &got);
    EXPECT(buf_has(&got, "Connection: close"));
    close(idle);
    teardown(fd);
    clr_buf_deinit(&got);
}

TEST(http_conn_encodes_a_request_for_the_link)
{
    int fd = setup();
    park = true;
    loopback_send(&loop, fd, CLR_STR("GET /app?q HTTP/1.1\r\nHost: h\r\nX-Y: z\r\n\r\n"));
    LOOPBACK_UNTIL(&loop, fd, ends == 1);
    clr_buf_t out = {0};
    clr_exchange_encode_request(parked, CLR_TRANSPORT_POLLING, &out);
    clr_reader_t r = clr_reader(clr_buf_str(&out));
    clr_request_head_t head = clr_read_request(&r);
    EXPECT_EQ(clr_reader_done(&r), 0);
    EXPECT_STR_C(head.method, "GET");
    EXPECT_STR_C(head.target, "/app?q");
    EXPECT_STR_C(head.peer_host, "127.0.0.1");
    EXPECT_EQ(head.local_port, clr_listener_port(listener));
    clr_str_t item;
    static const char *expected[] = {"host", "h", "x-y", "z"};
    for (int i = 0; i < 4; i++) {
        EXPECT(clr_strs_next(&head.headers, &item));
        EXPECT_STR_C(item, expected[i]);
    }
    EXPECT(!clr_strs_next(&head.headers, &item));
    clr_buf_deinit(&out);
    teardown(fd);
}

TEST(http_conn_idle_holds_no_parser_and_is_small)
{
    int fd = setup();
    clr_buf_t got = {0};
    loopback_send(&loop, fd, CLR_STR("GET /app HTTP/1.1\r\nHost: h\r\n\r\n"));
    EXPECT(loopback_read_text(&loop, fd, &got, "path="));
    clr_http_conn_t *conn = clr_container_of(gw.conns.next, clr_http_conn_t, node);
    EXPECT(!conn->parser);
    EXPECT_EQ(conn->held.cap, 0);
    EXPECT(clr_outq_is_empty(&conn->stream->out_));
    printf("sizeof(clr_http_conn_t) = %zu\n", sizeof(clr_http_conn_t));
    EXPECT(sizeof(clr_http_conn_t) <= 320);
    clr_buf_deinit(&got);
    teardown(fd);
}

TEST_MAIN(T(http_conn_answers_and_keeps_the_connection),
          T(http_conn_answers_pipelined_requests_in_order), T(http_conn_bounds_what_is_pipelined),
          T(http_conn_bounds_the_responses_that_a_pipelining_client_leaves_unread),
          T(http_conn_takes_a_request_byte_by_byte),
          T(http_conn_sends_100_continue_when_the_handler_wants_the_body),
          T(http_conn_sends_no_100_continue_after_an_answer),
          T(http_conn_reads_past_the_body_of_a_request_answered_early),
          T(http_conn_closes_rather_than_read_past_a_large_body), T(http_conn_refuses_both_lengths),
          T(http_conn_refuses_a_folded_header), T(http_conn_refuses_a_bad_chunk_and_aborts),
          T(http_conn_refuses_large_heads), T(http_conn_refuses_a_declared_body_over_the_limit),
          T(http_conn_refuses_a_body_over_the_handlers_limit),
          T(http_conn_takes_a_body_at_the_limit), T(http_conn_waits_for_the_gateway_to_be_ready),
          T(http_conn_drain_closes_idle_and_lets_busy_finish),
          T(http_conn_encodes_a_request_for_the_link),
          T(http_conn_idle_holds_no_parser_and_is_small))
