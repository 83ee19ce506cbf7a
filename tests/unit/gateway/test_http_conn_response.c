/* Responses: whole, streamed, paused, from files. */
#include "gateway/http_conn.h"

#include "http_conn_fixture.h"

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

static int drains;

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

TEST_MAIN(T(http_conn_head_has_the_headers_and_no_body),
          T(http_conn_10_closes_and_keeps_alive_on_request),
          T(http_conn_streams_chunked_on_11_and_until_close_on_10),
          T(http_conn_streams_as_fast_as_the_client_reads),
          T(http_conn_drops_a_client_that_does_not_read_its_response),
          T(http_conn_response_shorter_than_declared_closes),
          T(http_conn_pause_stops_reading_a_body), T(http_conn_sends_files_within_any_kind_of_body),
          T(http_conn_sends_no_file_where_there_is_no_body),
          T(http_conn_cuts_a_response_whose_file_is_shorter),
          T(http_conn_answers_with_whole_files_and_keeps_the_connection))
