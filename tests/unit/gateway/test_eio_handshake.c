#include "gateway/eio_handshake.h"

#include "eio_fixture.h"

#define PATH "/socket.io/"

static fake_t worker;

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

static void expect_error(const char *method, const char *target, const char *body)
{
    response_t r = response(request(method, target, "", NULL));
    EXPECT_EQ(r.status, 400);
    EXPECT_STR_C(r.body, body);
    EXPECT(head_has(&r, "Content-Type: application/json\r\n"));
    response_free(&r);
}

TEST(handshake_opens_a_polling_session)
{
    setup(SOCKETIO_SERVER);
    response_t r = response(request("GET", PATH POLL_URL "&t=abc&j=0", "", NULL));
    EXPECT_EQ(r.status, 200);
    char sid[CLR_ID_LEN + 1], expected[200];
    copy_sid(r.body, sid);
    snprintf(expected, sizeof(expected),
             "0{\"sid\":\"%s\",\"upgrades\":[\"websocket\"],\"pingInterval\":25000,"
             "\"pingTimeout\":20000,\"maxPayload\":100000}",
             sid);
    EXPECT_STR_C(r.body, expected);
    EXPECT(!head_has(&r, "Set-Cookie"));
    response_free(&r);
    EXPECT_EQ(clr_eio_servers_session_count(&gw), 1);
    fake_expect_nothing(&worker); /* no CONNECT yet: the worker does not know */
    teardown();
}

TEST(handshake_opens_a_websocket_session)
{
    setup(SOCKETIO_SERVER);
    ws_t ws;
    ws_connect(&ws, "/socket.io" WS_URL);
    uint8_t first;
    clr_str_t open = ws_receive(&ws, &first);
    EXPECT_EQ(first, 0x81);
    EXPECT(memmem(open.p, open.n, "\"upgrades\":[],", 14) != NULL);
    ws_close(&ws);
    teardown();
}

TEST(handshake_errors_come_in_the_reference_order)
{
    setup(SOCKETIO_SERVER);
    const char *transport = "{\"code\":0,\"message\":\"Transport unknown\"}";
    const char *sid = "{\"code\":1,\"message\":\"Session ID unknown\"}";
    const char *method = "{\"code\":2,\"message\":\"Bad handshake method\"}";
    const char *request_ = "{\"code\":3,\"message\":\"Bad request\"}";
    const char *protocol = "{\"code\":5,\"message\":\"Unsupported protocol version\"}";
    expect_error("GET", PATH "?EIO=4", transport);
    expect_error("GET", PATH "?EIO=4&transport=abc", transport);
    expect_error("GET", PATH "?EIO=4&transport=constructor", transport);
    expect_error("GET", PATH "?EIO=4&transport=webtransport", transport);
    expect_error("GET", PATH "?EIO=4&transport=polling&sid=abc", sid);
    expect_error("POST", PATH "?EIO=4&transport=polling&sid=__proto__", sid);
    expect_error("GET", PATH "?EIO=4&transport=polling&sid=", sid);
    expect_error("POST", PATH "?EIO=4&transport=polling", method);
    expect_error("PUT", PATH "?EIO=4&transport=polling", method);
    expect_error("OPTIONS", PATH "?EIO=4&transport=polling", method);
    expect_error("GET", PATH "?EIO=4&transport=websocket", request_);
    expect_error("GET", PATH "?transport=polling", protocol);
    expect_error("GET", PATH "?EIO=3&transport=polling", protocol);
    expect_error("GET", PATH "?EIO=abc&transport=polling", protocol);
    EXPECT_EQ(clr_eio_servers_session_count(&gw), 0);
    teardown();
}

TEST(handshake_refuses_a_websocket_before_the_101)
{
    setup(SOCKETIO_SERVER);
    expect_answer(request("GET", PATH "?EIO=3&transport=websocket",
                          "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: "
                          "13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
                          NULL),
                  400, NULL);
    teardown();
}

TEST(handshake_honours_the_enabled_transports)
{
    setup("{\"kind\":\"socketio\",\"path\":\"/socket.io\",\"transports\":[\"polling\"]}");
    response_t r = response(request("GET", PATH POLL_URL, "", NULL));
    EXPECT(memmem(r.body.p, r.body.n, "\"upgrades\":[],", 14) != NULL);
    response_free(&r);
    expect_error("GET", PATH WS_URL, "{\"code\":0,\"message\":\"Transport unknown\"}");
    teardown();
}

TEST(handshake_sends_the_cookie_with_polling_only)
{
    setup("{\"kind\":\"socketio\",\"path\":\"/socket.io\",\"cookie\":{\"name\":\"io\","
          "\"attributes\":\"; path=/; SameSite=Lax\"}}");
    response_t r = response(request("GET", PATH POLL_URL, "", NULL));
    char sid[CLR_ID_LEN + 1], line[200];
    copy_sid(r.body, sid);
    snprintf(line, sizeof(line), "Set-Cookie: io=%s; path=/; SameSite=Lax\r\n", sid);
    EXPECT(head_has(&r, line));
    response_free(&r);
    teardown();
}

/* ---- EngineServer ---- */

TEST(handshake_waits_for_the_app_of_an_engine_server)
{
    setup(ENGINEIO_SERVER);
    int fd = request("GET", "/engine.io/" POLL_URL "&client=7", "X-Test: yes\r\n", NULL);
    clr_frame_t frame = fake_expect(&worker, CLR_FRAME_EIO_OPEN);
    uint64_t stream = frame.stream;
    clr_reader_t r = clr_reader(frame.payload);
    EXPECT_EQ(clr_read_u16(&r), 0);
    EXPECT_EQ(clr_read_str(&r).n, CLR_ID_LEN);
    clr_request_head_t head = clr_read_request(&r);
    EXPECT_EQ(clr_reader_done(&r), 0);
    EXPECT_EQ(head.transport, CLR_TRANSPORT_POLLING);
    EXPECT_STR_C(head.target, "/engine.io/" POLL_URL "&client=7");
    fake_text(&worker, CLR_FRAME_EIO_SEND, 0, stream, "before");
    fake_simple(&worker, CLR_FRAME_EIO_ACCEPT, stream);
    response_t answer = response(fd);
    EXPECT_EQ(answer.status, 200);
    EXPECT(answer.body.p[0] == '0'); /* the OPEN packet, alone */
    char sid[CLR_ID_LEN + 1];
    copy_sid(answer.body, sid);
    response_free(&answer);
    expect_answer(poll_get("/engine.io/", sid), 200, "4before");
    teardown();
}

TEST(handshake_refused_by_the_app_is_401)
{
    setup(ENGINEIO_SERVER);
    int fd = request("GET", "/engine.io/" POLL_URL, "", NULL);
    uint64_t stream = fake_expect(&worker, CLR_FRAME_EIO_OPEN).stream;
    fake_text(&worker, CLR_FRAME_EIO_REFUSE, 0, stream, "\"go away\"");
    expect_answer(fd, 401, "\"go away\"");
    fake_expect_nothing(&worker);
    EXPECT_EQ(clr_eio_servers_session_count(&gw), 0);
    teardown();
}

TEST(handshake_of_a_websocket_waits_for_the_app)
{
    setup(ENGINEIO_SERVER);
    int fd = request("GET", "/engine.io/" WS_URL,
                     "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
                     NULL);
    uint64_t stream = fake_expect(&worker, CLR_FRAME_EIO_OPEN).stream;
    fake_text(&worker, CLR_FRAME_EIO_SEND, CLR_FRAME_BINARY, stream, "first");
    clr_buf_t got = {0};
    EXPECT_EQ(loopback_receive(fd, &got), 1);
    EXPECT_EQ(got.n, 0);
    fake_simple(&worker, CLR_FRAME_EIO_ACCEPT, stream);
    EXPECT(loopback_read_text(&loop, fd, &got, "first"));
    EXPECT(buf_has(&got, "HTTP/1.1 101 "));
    const char *open = memmem(got.p, got.n, "0{\"sid\"", 7);
    EXPECT(open && open < (const char *)memmem(got.p, got.n, "first", 5));
    clr_buf_deinit(&got);
    close(fd);
    teardown();
}

TEST(handshake_that_is_no_websocket_ends_the_accepted_session)
{
    setup(ENGINEIO_SERVER);
    int fd =
        request("GET", "/engine.io/" WS_URL,
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n", NULL);
    uint64_t stream = fake_expect(&worker, CLR_FRAME_EIO_OPEN).stream;
    fake_simple(&worker, CLR_FRAME_EIO_ACCEPT, stream);
    expect_answer(fd, 400, NULL);
    EXPECT_EQ(fake_expect(&worker, CLR_FRAME_EIO_GONE).stream, stream);
    EXPECT_EQ(clr_eio_servers_session_count(&gw), 0);
    teardown();
}

TEST(handshake_aborted_while_the_app_decides)
{
    setup(ENGINEIO_SERVER);
    int fd = request("GET", "/engine.io/" POLL_URL, "", NULL);
    uint64_t stream = fake_expect(&worker, CLR_FRAME_EIO_OPEN).stream;
    close(fd);
    EXPECT_EQ(fake_expect(&worker, CLR_FRAME_EIO_GONE).stream, stream);
    fake_simple(&worker, CLR_FRAME_EIO_ACCEPT, stream); /* late: ignored */
    fake_expect_nothing(&worker);
    EXPECT(!worker.gone);
    teardown();
}

/* ---- origins ---- */

static void expect_origin(const char *headers, int status, const char *allowed)
{
    response_t r = response(request("GET", PATH POLL_URL, headers, NULL));
    EXPECT_EQ(r.status, status);
    if (allowed) {
        char line[200];
        snprintf(line, sizeof(line), "Access-Control-Allow-Origin: %s\r\n", allowed);
        EXPECT(head_has(&r, line));
        EXPECT(head_has(&r, "Vary: Origin\r\n"));
        EXPECT(head_has(&r, "Access-Control-Allow-Credentials: true\r\n"));
    } else {
        EXPECT(!head_has(&r, "Access-Control"));
    }
    response_free(&r);
}

TEST(origin_default_is_the_same_host)
{
    setup("{\"kind\":\"socketio\",\"path\":\"/socket.io\"}");
    expect_origin("", 200, NULL);
    expect_origin("Origin: http://h\r\n", 200, "http://h");
    expect_origin("Origin: http://evil\r\n", 400, NULL);
    expect_origin("Origin: http://h.evil\r\n", 400, NULL);
    expect_origin("Origin: null\r\n", 400, NULL);
    expect_origin("Origin: https://h\r\n", 200, "https://h"); /* a proxy may not tell */
    expect_origin("Origin: https://outer\r\nX-Forwarded-Proto: https\r\n"
                  "X-Forwarded-Host: outer, inner\r\n",
                  200, "https://outer");
    expect_origin("Origin: http://outer\r\nX-Forwarded-Proto: https\r\n"
                  "X-Forwarded-Host: outer\r\n",
                  400, NULL);
    teardown();
}

TEST(origin_any_echoes_the_origin)
{
    setup(SOCKETIO_SERVER);
    expect_origin("Origin: http://anyone\r\n", 200, "http://anyone");
    expect_origin("", 200, NULL);
    response_t r = response(request("GET", PATH "?EIO=4", "Origin: http://a\r\n", NULL));
    EXPECT_EQ(r.status, 400);
    EXPECT(head_has(&r, "Access-Control-Allow-Origin: http://a\r\n")); /* errors, too */
    response_free(&r);
    teardown();
}

TEST(origin_list_has_to_match_exactly)
{
    setup("{\"kind\":\"socketio\",\"path\":\"/socket.io\",\"cors\":[\"https://a\",\"https://b\"]}");
    expect_origin("Origin: https://b\r\n", 200, "https://b");
    expect_origin("Origin: https://c\r\n", 400, NULL);
    expect_origin("Origin: http://h\r\n", 400, NULL);
    teardown();
}

TEST(origin_off_accepts_all_and_sends_no_headers)
{
    setup("{\"kind\":\"socketio\",\"path\":\"/socket.io\",\"cors\":[]}");
    expect_origin("Origin: https://a\r\n", 200, NULL);
    teardown();
}

TEST(origin_preflight_is_answered)
{
    setup(SOCKETIO_SERVER);
    response_t r = response(request("OPTIONS", PATH POLL_URL,
                                    "Origin: https://a\r\nAccess-Control-Request-Method: POST\r\n"
                                    "Access-Control-Request-Headers: content-type\r\n",
                                    NULL));
    EXPECT_EQ(r.status, 204);
    EXPECT(head_has(&r, "Access-Control-Allow-Origin: https://a\r\n"));
    EXPECT(head_has(&r, "Access-Control-Allow-Methods: OPTIONS, GET, POST\r\n"));
    EXPECT(head_has(&r, "Access-Control-Allow-Headers: content-type\r\n"));
    response_free(&r);
    teardown();
}

static void answer_origin_check(const char *origin, uint8_t allowed)
{
    clr_frame_t frame = fake_expect(&worker, CLR_FRAME_ORIGIN_CHECK);
    clr_reader_t r = clr_reader(frame.payload);
    EXPECT_EQ(clr_read_u16(&r), 0);
    EXPECT_STR_C(clr_read_str(&r), origin);
    clr_read_request(&r);
    EXPECT_EQ(clr_reader_done(&r), 0);
    size_t at = clr_frame_begin(&worker.out, CLR_FRAME_ORIGIN_RESULT, 0, frame.stream);
    clr_buf_append_le(&worker.out, allowed, 1);
    clr_frame_end(&worker.out, at);
    fake_flush(&worker);
}

#define ASKING_SERVER "{\"kind\":\"socketio\",\"path\":\"/socket.io\",\"cors\":{\"callable\":true}}"

TEST(origin_callable_decides_the_handshake)
{
    setup(ASKING_SERVER);
    int fd = request("GET", PATH POLL_URL, "Origin: https://a\r\n", NULL);
    answer_origin_check("https://a", 1);
    response_t r = response(fd);
    EXPECT_EQ(r.status, 200);
    EXPECT(head_has(&r, "Access-Control-Allow-Origin: https://a\r\n"));
    char sid[CLR_ID_LEN + 1], target[200];
    copy_sid(r.body, sid);
    response_free(&r);

    fd = request("GET", PATH POLL_URL, "Origin: https://b\r\n", NULL);
    answer_origin_check("https://b", 0);
    expect_answer(fd, 400, NULL);

    /* Other requests of the session are allowed to the origin that began it. */
    snprintf(target, sizeof(target), PATH POLL_URL "&sid=%s", sid);
    expect_answer(request("POST", target, "Origin: https://a\r\n", "3"), 200, "ok");
    expect_answer(request("POST", target, "Origin: https://b\r\n", "3"), 400, NULL);
    fake_expect_nothing(&worker);
    teardown();
}

TEST(origin_callable_decides_the_preflight)
{
    setup(ASKING_SERVER);
    int fd = request("OPTIONS", PATH POLL_URL, "Origin: https://a\r\n", NULL);
    answer_origin_check("https://a", 1);
    expect_answer(fd, 204, "");
    fd = request("OPTIONS", PATH POLL_URL, "Origin: https://a\r\n", NULL);
    answer_origin_check("https://a", 0);
    expect_answer(fd, 400, NULL);
    teardown();
}

TEST(origin_check_of_a_request_that_went_is_dropped)
{
    setup(ASKING_SERVER);
    int fd = request("GET", PATH POLL_URL, "Origin: https://a\r\n", NULL);
    clr_frame_t frame = fake_expect(&worker, CLR_FRAME_ORIGIN_CHECK);
    uint64_t stream = frame.stream;
    close(fd);
    for (int i = 0; i < 10; i++)
        loopback_turn(&loop);
    size_t at = clr_frame_begin(&worker.out, CLR_FRAME_ORIGIN_RESULT, 0, stream);
    clr_buf_append_le(&worker.out, 1, 1);
    clr_frame_end(&worker.out, at);
    fake_flush(&worker);
    EXPECT_EQ(clr_eio_servers_session_count(&gw), 0);
    teardown();
}

TEST(origin_check_fails_with_its_worker)
{
    setup(ASKING_SERVER);
    int fd = request("GET", PATH POLL_URL, "Origin: https://a\r\n", NULL);
    fake_expect(&worker, CLR_FRAME_ORIGIN_CHECK);
    fake_close(&worker);
    expect_answer(fd, 503, NULL);
    fixture_close();
}

TEST(handshake_is_refused_while_draining)
{
    setup(SOCKETIO_SERVER);
    gw.draining = true;
    expect_answer(request("GET", PATH POLL_URL, "", NULL), 503, NULL);
    teardown();
}

TEST_MAIN(T(handshake_opens_a_polling_session), T(handshake_opens_a_websocket_session),
          T(handshake_errors_come_in_the_reference_order),
          T(handshake_refuses_a_websocket_before_the_101),
          T(handshake_honours_the_enabled_transports),
          T(handshake_sends_the_cookie_with_polling_only),
          T(handshake_waits_for_the_app_of_an_engine_server),
          T(handshake_refused_by_the_app_is_401), T(handshake_of_a_websocket_waits_for_the_app),
          T(handshake_that_is_no_websocket_ends_the_accepted_session),
          T(handshake_aborted_while_the_app_decides), T(origin_default_is_the_same_host),
          T(origin_any_echoes_the_origin), T(origin_list_has_to_match_exactly),
          T(origin_off_accepts_all_and_sends_no_headers), T(origin_preflight_is_answered),
          T(origin_callable_decides_the_handshake), T(origin_callable_decides_the_preflight),
          T(origin_check_of_a_request_that_went_is_dropped), T(origin_check_fails_with_its_worker),
          T(handshake_is_refused_while_draining))
