#include "gateway/http_conn.h"

#include "fixture.h"
#include "gateway/http_conn_internal.h"

/* The scripted handler. */
static clr_exchange_t *parked;
static clr_buf_t body;
static int heads, bodies, ends, aborts, drains;
static uint64_t body_limit;
static bool park, echo, quick, stream_answer;

static void respond_path(clr_exchange_t *x)
{
    char text[200];
    int n = snprintf(text, sizeof(text), "path=%.*s;", CLR_STR_ARG(x->head->path));
    clr_exchange_respond(x, 200, CLR_STR("Content-Type: text/plain\r\n"), clr_str(text, (size_t)n));
}

static void on_head(clr_exchange_t *x)
{
    EXPECT(x->ctx == &gw);
    heads++;
    if (body_limit)
        x->body_limit = body_limit;
    parked = x;
    if (quick)
        respond_path(x);
}

static void on_body(clr_exchange_t *x, clr_str_t piece)
{
    (void)x;
    bodies++;
    clr_buf_append_str(&body, piece);
}

static void on_end(clr_exchange_t *x)
{
    ends++;
    if (park)
        return;
    if (echo) {
        clr_exchange_respond(x, 200, CLR_STR_EMPTY, clr_buf_str(&body));
        clr_buf_clear(&body);
    } else if (stream_answer) {
        clr_exchange_begin(x, 200, CLR_STR_EMPTY, UINT64_MAX);
        clr_exchange_write(x, CLR_STR("one"));
        clr_exchange_write(x, CLR_STR("three"));
        clr_exchange_finish(x);
    } else {
        respond_path(x);
    }
}

static void on_abort(clr_exchange_t *x)
{
    (void)x;
    aborts++;
    parked = NULL;
}

static const clr_handler_t handler = {
    .on_head = on_head, .on_body = on_body, .on_end = on_end, .on_abort = on_abort};

static int setup(void)
{
    fixture_open(true);
    clr_router_add(&gw, CLR_STR("/app"), &handler, &gw);
    return fixture_connect();
}

static void teardown(int fd)
{
    close(fd);
    clr_buf_deinit(&body);
    fixture_close();
}

/* Sends and reads until the server closes. */
static clr_buf_t talk(int fd, const char *request)
{
    clr_buf_t got = {0};
    loopback_send(&loop, fd, clr_str_c(request));
    loopback_read_all(&loop, fd, &got);
    return got;
}

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
    options.idle_timeout_ms = 40;
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
    options.idle_timeout_ms = options.header_timeout_ms = options.body_timeout_ms = 20;
    park = true;
    int fd = setup();
    clr_buf_t got = {0};
    loopback_send(&loop, fd, CLR_STR("GET /app HTTP/1.1\r\nHost: h\r\n\r\n"));
    LOOPBACK_UNTIL(&loop, fd, ends == 1);
    uint64_t until = clr_clock_now_ms() + 100;
    LOOPBACK_UNTIL(&loop, -1, clr_clock_now_ms() > until);
    EXPECT_EQ(aborts, 0);
    respond_path(parked);
    EXPECT(loopback_read_text(&loop, fd, &got, "path=/app;"));
    clr_buf_deinit(&got);
    teardown(fd);
}

static void park_one(int fd)
{
    park = true;
    loopback_send(&loop, fd, CLR_STR("GET /app HTTP/1.1\r\nHost: h\r\n\r\n"));
    LOOPBACK_UNTIL(&loop, fd, ends == 1);
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

TEST(http_conn_head_has_the_headers_and_no_body)
{
    int fd = setup();
    clr_buf_t got = talk(fd, "HEAD /app HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    EXPECT(buf_has(&got, "Content-Length: 10\r\n"));
    EXPECT(!buf_has(&got, "path="));
    clr_buf_deinit(&got);
    teardown(fd);
}

TEST(http_conn_10_closes_and_keeps_alive_on_request)
{
    int fd = setup();
    clr_buf_t got = talk(fd, "GET /app HTTP/1.0\r\n\r\n");
    EXPECT(buf_has(&got, "Connection: close\r\n"));
    close(fd);
    fd = fixture_connect();
    clr_buf_clear(&got);
    for (int i = 0; i < 2; i++) {
        loopback_send(&loop, fd, CLR_STR("GET /app HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
        LOOPBACK_UNTIL(&loop, fd, loopback_receive(fd, &got) && buf_count(&got, "path=") == i + 1);
    }
    EXPECT_EQ(buf_count(&got, "Connection: keep-alive\r\n"), 2);
    clr_buf_deinit(&got);
    teardown(fd);
}

TEST(http_conn_streams_chunked_on_11_and_until_close_on_10)
{
    stream_answer = true;
    int fd = setup();
    clr_buf_t got = talk(fd, "GET /app HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    EXPECT(buf_has(&got, "Transfer-Encoding: chunked\r\n"));
    EXPECT(buf_has(&got, "\r\n\r\n3\r\none\r\n5\r\nthree\r\n0\r\n\r\n"));
    close(fd);
    fd = fixture_connect();
    clr_buf_clear(&got);
    clr_buf_deinit(&got);
    got = talk(fd, "GET /app HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    EXPECT(buf_has(&got, "Connection: close\r\n\r\nonethree"));
    clr_buf_deinit(&got);
    teardown(fd);
}

static void on_drained(clr_exchange_t *x)
{
    static char block[100000];
    memset(block, 'd', sizeof(block));
    drains++;
    if (drains < 20) {
        clr_exchange_write(x, clr_str(block, sizeof(block)));
        clr_exchange_want_drain(x, on_drained);
    } else {
        clr_exchange_finish(x);
    }
}

TEST(http_conn_streams_as_fast_as_the_client_reads)
{
    int fd = setup();
    park_one(fd);
    clr_exchange_begin(parked, 200, CLR_STR_EMPTY, 1900000);
    clr_exchange_want_drain(parked, on_drained);
    EXPECT_EQ(drains, 0);
    clr_buf_t got = {0};
    park = false;
    EXPECT(loopback_read(&loop, fd, &got, 1900000));
    loopback_send(&loop, fd, CLR_STR("GET /app/next HTTP/1.1\r\nHost: h\r\n\r\n"));
    EXPECT(loopback_read_text(&loop, fd, &got, "path=/app/next;"));
    EXPECT_EQ(drains, 20);
    clr_buf_deinit(&got);
    teardown(fd);
}

TEST(http_conn_drops_a_client_that_does_not_read_its_response)
{
    fixture_defaults();
    options.body_timeout_ms = 80;
    int fd = setup();
    park_one(fd);
    static char block[8 << 20];
    clr_exchange_begin(parked, 200, CLR_STR_EMPTY, UINT64_MAX);
    clr_exchange_write(parked, clr_str(block, sizeof(block)));
    clr_exchange_want_drain(parked, on_drained);
    LOOPBACK_UNTIL(&loop, -1, aborts == 1);
    EXPECT_EQ(drains, 0);
    teardown(fd);
}

TEST(http_conn_response_shorter_than_declared_closes)
{
    int fd = setup();
    park_one(fd);
    clr_exchange_begin(parked, 200, CLR_STR_EMPTY, 10);
    clr_exchange_write(parked, CLR_STR("four"));
    clr_exchange_finish(parked);
    clr_buf_t got = {0};
    loopback_read_all(&loop, fd, &got);
    EXPECT(buf_has(&got, "\r\n\r\nfour"));
    clr_buf_deinit(&got);
    teardown(fd);
}

TEST(http_conn_pause_stops_reading_a_body)
{
    int fd = setup();
    loopback_send(&loop, fd, CLR_STR("POST /app HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\n"));
    LOOPBACK_UNTIL(&loop, fd, heads == 1);
    clr_exchange_pause(parked, true);
    loopback_send(&loop, fd, CLR_STR("abcdef"));
    for (int i = 0; i < 20; i++)
        loopback_turn(&loop);
    EXPECT_EQ(body.n, 0);
    clr_exchange_pause(parked, false);
    LOOPBACK_UNTIL(&loop, fd, ends == 1);
    EXPECT_EQ(body.n, 6);
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

/* --- bodies from files --- */

static int sent;

static void on_sent(clr_exchange_t *x)
{
    sent++;
    clr_exchange_write(x, CLR_STR("after"));
    clr_exchange_finish(x);
}

static int file_of(size_t n)
{
    char path[] = "/tmp/clr-conn-XXXXXX";
    int file = mkstemp(path);
    EXPECT(file >= 0);
    unlink(path);
    char *bytes = malloc(n);
    for (size_t i = 0; i < n; i++)
        bytes[i] = (char)('a' + i % 23 + i / 65536 % 3);
    EXPECT_EQ(write(file, bytes, n), (int64_t)n);
    free(bytes);
    return file;
}

/* A parked request; the connection closes after its response. */
static int ask_parked(const char *method, const char *version)
{
    int fd = setup();
    char request[200];
    park = true;
    snprintf(request, sizeof(request), "%s /app/ HTTP/%s\r\nHost: h\r\nConnection: close\r\n\r\n",
             method, version);
    loopback_send(&loop, fd, clr_str_c(request));
    LOOPBACK_UNTIL(&loop, fd, ends == 1);
    return fd;
}

TEST(http_conn_sends_files_within_any_kind_of_body)
{
    static const size_t sizes[] = {0, 5, 65536, 65537, 3 << 20};
    for (size_t i = 0; i < clr_array_len(sizes); i++) {
        size_t n = sizes[i];
        for (int kind = 0; kind < 3; kind++) {
            int fd = ask_parked("GET", kind == 2 ? "1.0" : "1.1");
            clr_buf_t got = {0};
            clr_exchange_begin(parked, 200, CLR_STR_EMPTY, kind == 0 ? 6 + n + 5 : UINT64_MAX);
            clr_exchange_write(parked, CLR_STR("before"));
            clr_exchange_send_file(parked, file_of(n + 7), 7, n, on_sent);
            EXPECT_EQ(sent, 0);
            loopback_read_all(&loop, fd, &got);
            EXPECT_EQ(sent, 1);
            char *start = memmem(got.p, got.n, "before", 6);
            EXPECT(start);
            if (kind == 1) {
                char chunk[40];
                int len = snprintf(chunk, sizeof(chunk), "6\r\nbefore\r\n%zx\r\n", n);
                EXPECT(n == 0 || memmem(got.p, got.n, chunk, (size_t)len));
                EXPECT(buf_has(&got, "\r\n5\r\nafter\r\n0\r\n\r\n"));
            } else {
                EXPECT_EQ(got.p + got.n - start, 6 + n + 5);
                EXPECT(memcmp(got.p + got.n - 5, "after", 5) == 0);
                EXPECT(n == 0 || start[6] == 'a' + 7);
            }
            clr_buf_deinit(&got);
            teardown(fd);
            sent = ends = 0;
        }
    }
}

TEST(http_conn_sends_no_file_where_there_is_no_body)
{
    int fd = ask_parked("HEAD", "1.1");
    clr_buf_t got = {0};
    clr_exchange_begin(parked, 200, CLR_STR_EMPTY, 105);
    clr_exchange_send_file(parked, file_of(100), 0, 100, on_sent);
    loopback_read_all(&loop, fd, &got);
    EXPECT_EQ(sent, 1);
    EXPECT(buf_has(&got, "Content-Length: 105\r\n"));
    EXPECT(memcmp(got.p + got.n - 4, "\r\n\r\n", 4) == 0);
    clr_buf_deinit(&got);
    teardown(fd);
}

TEST(http_conn_cuts_a_response_whose_file_is_shorter)
{
    static const size_t sizes[] = {10, 1 << 20};
    for (size_t i = 0; i < clr_array_len(sizes); i++) {
        int fd = ask_parked("GET", "1.1");
        clr_buf_t got = {0};
        clr_exchange_begin(parked, 200, CLR_STR_EMPTY, UINT64_MAX);
        clr_exchange_send_file(parked, file_of(sizes[i] - 1), 0, sizes[i], on_sent);
        loopback_read_all(&loop, fd, &got);
        EXPECT_EQ(sent, 0);
        EXPECT_EQ(aborts, 1);
        EXPECT(!buf_has(&got, "\r\n0\r\n"));
        clr_buf_deinit(&got);
        teardown(fd);
        ends = aborts = 0;
    }
}

TEST(http_conn_answers_with_whole_files_and_keeps_the_connection)
{
    int fd = setup();
    clr_buf_t got = {0};
    park = true;
    for (int i = 1; i <= 3; i++) {
        size_t n = i == 2 ? 1 << 20 : 10;
        clr_buf_clear(&got);
        loopback_send(&loop, fd, CLR_STR("GET /app/ HTTP/1.1\r\nHost: h\r\n\r\n"));
        LOOPBACK_UNTIL(&loop, fd, ends == i);
        clr_exchange_respond_file(parked, 206, CLR_STR("A: b\r\n"), file_of(n + 5), 5, n);
        EXPECT(loopback_read_text(&loop, fd, &got, "A: b\r\n"));
        char *start;
        LOOPBACK_UNTIL(&loop, fd,
                       (loopback_receive(fd, &got), start = memmem(got.p, got.n, "\r\n\r\n", 4)) &&
                           got.p + got.n - start - 4 == (ptrdiff_t)n);
        EXPECT(start[4] == 'a' + 5);
    }
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
          T(http_conn_takes_a_body_at_the_limit), T(http_conn_limits_the_time_of_a_head),
          T(http_conn_limits_the_time_of_a_head_however_it_trickles),
          T(http_conn_limits_the_time_between_pieces_of_a_body),
          T(http_conn_closes_idle_connections_silently),
          T(http_conn_gives_a_parked_request_all_the_time),
          T(http_conn_sees_a_client_that_leaves_while_parked),
          T(http_conn_sees_a_reset_while_parked),
          T(http_conn_answers_a_client_that_closed_its_half), T(http_conn_kill_drops_without_abort),
          T(http_conn_head_has_the_headers_and_no_body),
          T(http_conn_10_closes_and_keeps_alive_on_request),
          T(http_conn_streams_chunked_on_11_and_until_close_on_10),
          T(http_conn_streams_as_fast_as_the_client_reads),
          T(http_conn_drops_a_client_that_does_not_read_its_response),
          T(http_conn_response_shorter_than_declared_closes),
          T(http_conn_pause_stops_reading_a_body), T(http_conn_waits_for_the_gateway_to_be_ready),
          T(http_conn_drain_closes_idle_and_lets_busy_finish),
          T(http_conn_encodes_a_request_for_the_link),
          T(http_conn_idle_holds_no_parser_and_is_small),
          T(http_conn_sends_files_within_any_kind_of_body),
          T(http_conn_sends_no_file_where_there_is_no_body),
          T(http_conn_cuts_a_response_whose_file_is_shorter),
          T(http_conn_answers_with_whole_files_and_keeps_the_connection))
