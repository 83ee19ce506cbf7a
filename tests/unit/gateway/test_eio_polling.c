#include "gateway/eio_polling.h"

#include "eio_fixture.h"

#define PATH "/engine.io"

static fake_t worker;
static char sid[CLR_ID_LEN + 1];

static void setup(const char *server)
{
    fixture_open(false);
    fake_open(&worker, 1, server, 100);
}

static void teardown(void)
{
    fake_close(&worker);
    fixture_close();
}

/* A polling session of an EngineServer that the app accepted; returns its stream. */
static uint64_t open_session(void)
{
    int fd = request("GET", PATH POLL_URL, "", NULL);
    uint64_t stream = fake_expect(&worker, CLR_FRAME_EIO_OPEN).stream;
    fake_simple(&worker, CLR_FRAME_EIO_ACCEPT, stream);
    response_t r = response(fd);
    EXPECT_EQ(r.status, 200);
    EXPECT(head_has(&r, "Content-Type: text/plain; charset=UTF-8\r\n"));
    EXPECT(head_has(&r, "Cache-Control: no-store\r\n"));
    EXPECT(r.body.p[0] == '0');
    copy_sid(r.body, sid);
    response_free(&r);
    return stream;
}

static uint64_t setup_session(void)
{
    setup(ENGINEIO_SERVER);
    return open_session();
}

static void expect_message(uint64_t stream, uint8_t flags, const char *text)
{
    clr_frame_t frame = fake_expect(&worker, CLR_FRAME_EIO_MESSAGE);
    clr_reader_t r = clr_reader(frame.payload);
    EXPECT_EQ(frame.stream, stream);
    EXPECT_EQ(frame.flags, flags);
    EXPECT_STR_C(clr_read_str(&r), text);
    EXPECT_EQ(clr_reader_done(&r), 0);
}

static void expect_gone(uint64_t stream, uint8_t reason)
{
    clr_frame_t frame = fake_expect(&worker, CLR_FRAME_EIO_GONE);
    EXPECT_EQ(frame.stream, stream);
    EXPECT_EQ(frame.payload.n, 1);
    EXPECT_EQ(frame.payload.p[0], reason);
}

TEST(polling_post_reaches_the_worker_before_ok)
{
    uint64_t stream = setup_session();
    int fd = poll_post(PATH, sid,
                       "4hello\x1e"
                       "bAQIDBA==");
    expect_message(stream, 0, "hello");
    expect_message(stream, CLR_FRAME_BINARY, "\x01\x02\x03\x04");
    response_t r = response(fd);
    EXPECT_EQ(r.status, 200);
    EXPECT_STR_C(r.body, "ok");
    EXPECT(head_has(&r, "Content-Type: text/html\r\n"));
    response_free(&r);
    teardown();
}

TEST(polling_answers_a_burst_in_one_response)
{
    uint64_t stream = setup_session();
    int fd = poll_get(PATH, sid);
    for (int i = 0; i < 3; i++) {
        size_t at = clr_frame_begin(&worker.out, CLR_FRAME_EIO_SEND, i == 2, stream);
        clr_write_str(&worker.out, CLR_STR("m"));
        clr_frame_end(&worker.out, at);
    }
    fake_flush(&worker);
    expect_answer(fd, 200,
                  "4m\x1e"
                  "4m\x1e"
                  "bbQ==");
    teardown();
}

TEST(polling_answers_at_once_when_packets_wait)
{
    uint64_t stream = setup_session();
    fake_text(&worker, CLR_FRAME_EIO_SEND, 0, stream, "early");
    expect_answer(poll_get(PATH, sid), 200, "4early");
    teardown();
}

TEST(polling_bounds_a_response_by_max_payload)
{
    setup("{\"kind\":\"engineio\",\"path\":\"/engine.io\",\"max_payload\":10}");
    uint64_t stream = open_session();
    fake_text(&worker, CLR_FRAME_EIO_SEND, 0, stream, "aaaa");
    fake_text(&worker, CLR_FRAME_EIO_SEND, 0, stream, "bbb");
    fake_text(&worker, CLR_FRAME_EIO_SEND, 0, stream, "c");
    fake_text(&worker, CLR_FRAME_EIO_SEND, 0, stream, "dddddddddddddddd");
    expect_answer(poll_get(PATH, sid), 200,
                  "4aaaa\x1e"
                  "4bbb");
    expect_answer(poll_get(PATH, sid), 200, "4c");
    expect_answer(poll_get(PATH, sid), 200, "4dddddddddddddddd");
    teardown();
}

TEST(polling_compresses_large_responses)
{
    setup("{\"kind\":\"engineio\",\"path\":\"/engine.io\",\"compression_threshold\":100}");
    uint64_t stream = open_session();
    char text[201], target[200];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    snprintf(target, sizeof(target), PATH POLL_URL "&sid=%s", sid);
    fake_text(&worker, CLR_FRAME_EIO_SEND, 0, stream, "small");
    response_t r = response(request("GET", target, "Accept-Encoding: gzip, br\r\n", NULL));
    EXPECT_STR_C(r.body, "4small");
    response_free(&r);
    fake_text(&worker, CLR_FRAME_EIO_SEND, 0, stream, text);
    r = response(request("GET", target, "Accept-Encoding: gzip, br\r\n", NULL));
    EXPECT(head_has(&r, "Content-Encoding: gzip\r\n"));
    EXPECT(r.body.n < 100 && (uint8_t)r.body.p[0] == 0x1f);
    response_free(&r);
    fake_text(&worker, CLR_FRAME_EIO_SEND, 0, stream, text);
    r = response(request("GET", target, "Accept-Encoding: br\r\n", NULL));
    EXPECT(!head_has(&r, "Content-Encoding"));
    EXPECT_EQ(r.body.n, 201);
    response_free(&r);
    teardown();
}

TEST(polling_second_get_ends_the_session)
{
    uint64_t stream = setup_session();
    int first = poll_get(PATH, sid);
    expect_answer(poll_get(PATH, sid), 400, "");
    expect_answer(first, 200, "1");
    expect_gone(stream, CLR_REASON_TRANSPORT_ERROR);
    expect_answer(poll_get(PATH, sid), 400, "{\"code\":1,\"message\":\"Session ID unknown\"}");
    teardown();
}

TEST(polling_aborted_get_ends_the_session)
{
    uint64_t stream = setup_session();
    int fd = poll_get(PATH, sid);
    close(fd);
    expect_gone(stream, CLR_REASON_TRANSPORT_ERROR);
    expect_answer(poll_get(PATH, sid), 400, NULL);
    teardown();
}

TEST(polling_aborted_post_ends_the_session)
{
    uint64_t stream = setup_session();
    char target[200];
    snprintf(target, sizeof(target), PATH POLL_URL "&sid=%s", sid);
    int fd = request("POST", target, "Content-Length: 100\r\n", NULL);
    for (int i = 0; i < 5; i++)
        loopback_turn(&loop);
    close(fd);
    expect_gone(stream, CLR_REASON_TRANSPORT_ERROR);
    teardown();
}

TEST(polling_second_post_ends_the_session)
{
    uint64_t stream = setup_session();
    char target[200];
    snprintf(target, sizeof(target), PATH POLL_URL "&sid=%s", sid);
    int first = request("POST", target, "Content-Length: 100\r\n", NULL);
    for (int i = 0; i < 5; i++)
        loopback_turn(&loop);
    expect_answer(poll_post(PATH, sid, "4x"), 400, "");
    expect_gone(stream, CLR_REASON_TRANSPORT_ERROR);
    expect_answer(first, 400, NULL);
    teardown();
}

TEST(polling_client_close_answers_the_get_with_noop)
{
    uint64_t stream = setup_session();
    int get = poll_get(PATH, sid);
    expect_answer(poll_post(PATH, sid,
                            "1\x1e"
                            "4ignored"),
                  200, "ok");
    expect_answer(get, 200, "6");
    expect_gone(stream, CLR_REASON_CLIENT_DISCONNECT);
    expect_answer(poll_get(PATH, sid), 400, NULL);
    teardown();
}

TEST(polling_refuses_bad_payloads)
{
    static const char *const payloads[] = {"abc", "", "4ok\x1e", "b!!!!", "7", "4\xff"};
    for (size_t i = 0; i < clr_array_len(payloads); i++) {
        uint64_t stream = setup_session();
        int get = poll_get(PATH, sid);
        int post = poll_post(PATH, sid, payloads[i]);
        expect_answer(post, 400, NULL);
        expect_answer(get, 200, "1");
        if (strncmp(payloads[i], "4ok", 3) == 0)
            expect_message(stream, 0, "ok");
        expect_gone(stream, CLR_REASON_TRANSPORT_ERROR);
        expect_answer(poll_get(PATH, sid), 400, NULL);
        teardown();
        gw = (clr_gateway_t){0};
    }
}

TEST(polling_refuses_a_ping_of_the_client)
{
    uint64_t stream = setup_session();
    expect_answer(poll_post(PATH, sid, "2"), 200, "ok");
    expect_gone(stream, CLR_REASON_TRANSPORT_ERROR);
    teardown();
}

TEST(polling_refuses_octet_streams)
{
    uint64_t stream = setup_session();
    char target[200];
    snprintf(target, sizeof(target), PATH POLL_URL "&sid=%s", sid);
    expect_answer(request("POST", target, "Content-Type: application/octet-stream\r\n", "4x"), 400,
                  "");
    expect_gone(stream, CLR_REASON_TRANSPORT_ERROR);
    teardown();
}

TEST(polling_body_over_the_limit_is_413)
{
    setup("{\"kind\":\"engineio\",\"path\":\"/engine.io\",\"max_payload\":10}");
    uint64_t stream = open_session();
    expect_answer(poll_post(PATH, sid, "4234567890"), 200, "ok");
    expect_message(stream, 0, "234567890");
    expect_answer(poll_post(PATH, sid, "42345678901"), 413, NULL);
    expect_gone(stream, CLR_REASON_TRANSPORT_ERROR);
    teardown();
}

TEST(polling_refuses_too_many_packets)
{
    uint64_t stream = setup_session();
    clr_buf_t body = {0};
    for (int i = 0; i < 1001; i++)
        clr_buf_printf(&body, i ? "\x1e"
                                  "3"
                                : "3");
    clr_buf_putc(&body, '\0');
    expect_answer(poll_post(PATH, sid, body.p), 400, NULL);
    expect_gone(stream, CLR_REASON_TRANSPORT_ERROR);
    clr_buf_deinit(&body);
    teardown();
}

TEST(polling_queue_over_max_buffered_ends_the_session)
{
    fixture_defaults();
    options.max_buffered = 1000;
    uint64_t stream = setup_session();
    char text[400];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    for (int i = 0; i < 3; i++)
        fake_text(&worker, CLR_FRAME_EIO_SEND, 0, stream, text);
    expect_gone(stream, CLR_REASON_TRANSPORT_ERROR);
    expect_answer(poll_get(PATH, sid), 400, NULL);
    teardown();
}

TEST(polling_server_close_waits_for_the_next_get)
{
    uint64_t stream = setup_session();
    fake_text(&worker, CLR_FRAME_EIO_SEND, 0, stream, "bye");
    fake_simple(&worker, CLR_FRAME_EIO_CLOSE, stream);
    expect_gone(stream, CLR_REASON_SERVER_DISCONNECT);
    expect_answer(poll_post(PATH, sid, "4late"), 200, "ok");
    expect_answer(poll_get(PATH, sid), 200,
                  "4bye\x1e"
                  "1");
    expect_answer(poll_get(PATH, sid), 400, NULL);
    fake_expect_nothing(&worker);
    teardown();
}

TEST(polling_server_close_answers_a_parked_get)
{
    uint64_t stream = setup_session();
    int get = poll_get(PATH, sid);
    fake_simple(&worker, CLR_FRAME_EIO_CLOSE, stream);
    expect_answer(get, 200, "1");
    expect_answer(poll_get(PATH, sid), 400, NULL);
    teardown();
}

TEST(polling_refuses_other_methods)
{
    setup_session();
    char target[200];
    snprintf(target, sizeof(target), PATH POLL_URL "&sid=%s", sid);
    expect_answer(request("PUT", target, "", "4x"), 400,
                  "{\"code\":2,\"message\":\"Bad handshake method\"}");
    teardown();
}

TEST_MAIN(T(polling_post_reaches_the_worker_before_ok), T(polling_answers_a_burst_in_one_response),
          T(polling_answers_at_once_when_packets_wait), T(polling_bounds_a_response_by_max_payload),
          T(polling_compresses_large_responses), T(polling_second_get_ends_the_session),
          T(polling_aborted_get_ends_the_session), T(polling_aborted_post_ends_the_session),
          T(polling_second_post_ends_the_session),
          T(polling_client_close_answers_the_get_with_noop), T(polling_refuses_bad_payloads),
          T(polling_refuses_a_ping_of_the_client), T(polling_refuses_octet_streams),
          T(polling_body_over_the_limit_is_413), T(polling_refuses_too_many_packets),
          T(polling_queue_over_max_buffered_ends_the_session),
          T(polling_server_close_waits_for_the_next_get),
          T(polling_server_close_answers_a_parked_get), T(polling_refuses_other_methods))
