#include "gateway/eio_session.h"

#include "eio_fixture.h"
#include "gateway/sio_socket.h"

#define FAST_SERVER                                                                                \
    "{\"kind\":\"engineio\",\"path\":\"/engine.io\",\"ping_interval_ms\":60,"                      \
    "\"ping_timeout_ms\":40}"

#define PATIENT_SERVER                                                                             \
    "{\"kind\":\"engineio\",\"path\":\"/engine.io\",\"ping_interval_ms\":60,"                      \
    "\"ping_timeout_ms\":1500}"

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

static uint64_t open_polling(char sid[CLR_ID_LEN + 1])
{
    int fd = request("GET", "/engine.io" POLL_URL, "", NULL);
    uint64_t stream = fake_expect(&worker, CLR_FRAME_EIO_OPEN).stream;
    fake_simple(&worker, CLR_FRAME_EIO_ACCEPT, stream);
    response_t r = response(fd);
    copy_sid(r.body, sid);
    response_free(&r);
    return stream;
}

static void expect_gone(uint64_t stream, uint8_t reason)
{
    clr_frame_t frame = fake_expect(&worker, CLR_FRAME_EIO_GONE);
    EXPECT_EQ(frame.stream, stream);
    EXPECT_EQ(frame.payload.p[0], reason);
}

static void wait_ms(uint64_t ms)
{
    uint64_t until = clr_clock_now_ms() + ms;
    LOOPBACK_UNTIL(&loop, -1, clr_clock_now_ms() >= until);
}

TEST(session_pings_and_takes_pongs)
{
    setup(PATIENT_SERVER);
    char sid[CLR_ID_LEN + 1];
    uint64_t began = clr_clock_now_ms();
    open_polling(sid);
    for (int i = 0; i < 3; i++) {
        expect_answer(poll_get("/engine.io", sid), 200, "2");
        EXPECT(clr_clock_now_ms() - began >= 60);
        began = clr_clock_now_ms();
        expect_answer(poll_post("/engine.io", sid, "3"), 200, "ok");
    }
    teardown();
}

TEST(session_dies_without_a_pong)
{
    setup(FAST_SERVER);
    char sid[CLR_ID_LEN + 1];
    uint64_t began = clr_clock_now_ms();
    uint64_t stream = open_polling(sid);
    expect_gone(stream, CLR_REASON_PING_TIMEOUT); /* though no GET was parked to take the ping */
    EXPECT(clr_clock_now_ms() - began >= 100);
    expect_answer(poll_get("/engine.io", sid), 400, NULL);
    teardown();
}

TEST(session_that_is_overdue_is_unknown_before_its_timer_ran)
{
    setup(PATIENT_SERVER);
    char sid[CLR_ID_LEN + 1];
    open_polling(sid);
    expect_answer(poll_get("/engine.io", sid), 200, "2");
    clr_eio_server_t *server = clr_eio_server_find(&gw, 0);
    clr_eio_session_t *s = clr_eio_session_find(server, clr_str(sid, CLR_ID_LEN));
    EXPECT(s != NULL && s->awaits_pong);
    s->beat_at = clr_loop_now(&loop) + CLR_EIO_GRACE_MS;
    EXPECT(!clr_eio_session_is_alive(s));
    EXPECT(clr_eio_session_find(server, clr_str(sid, CLR_ID_LEN)) == NULL);
    teardown();
}

TEST(session_lives_on_by_other_packets_once_a_ping)
{
    setup(PATIENT_SERVER);
    char sid[CLR_ID_LEN + 1];
    uint64_t stream = open_polling(sid);
    expect_answer(poll_get("/engine.io", sid), 200, "2");
    uint64_t pinged = clr_clock_now_ms();
    for (int i = 0; i < 3; i++) { /* the first buys the full time again, the others none */
        wait_ms(200);
        expect_answer(poll_post("/engine.io", sid, "4x"), 200, "ok");
        fake_expect(&worker, CLR_FRAME_EIO_MESSAGE);
    }
    expect_gone(stream, CLR_REASON_PING_TIMEOUT);
    uint64_t lived = clr_clock_now_ms() - pinged;
    EXPECT(lived >= 1680);
    teardown();
}

TEST(session_reads_new_ping_times_at_the_next_ping)
{
    setup("{\"kind\":\"engineio\",\"path\":\"/engine.io\",\"ping_interval_ms\":500,"
          "\"ping_timeout_ms\":15000}");
    char sid[CLR_ID_LEN + 1];
    uint64_t stream = open_polling(sid);
    fake_server(&worker, 0,
                "{\"kind\":\"engineio\",\"path\":\"/engine.io\",\"ping_interval_ms\":3600000,"
                "\"ping_timeout_ms\":100}");
    LOOPBACK_UNTIL(&loop, -1, clr_eio_server_find(&gw, 0)->config.ping_timeout_ms == 100);
    expect_answer(poll_get("/engine.io", sid), 200, "2"); /* as planned at the handshake */
    uint64_t pinged = clr_clock_now_ms();
    expect_gone(stream, CLR_REASON_PING_TIMEOUT);
    EXPECT(clr_clock_now_ms() - pinged < 14000); /* not the timeout of then */
    teardown();
}

TEST(session_closes_when_no_connect_comes)
{
    setup("{\"kind\":\"socketio\",\"path\":\"/socket.io\",\"connect_timeout_ms\":200}");
    ws_t ws;
    uint8_t first;
    uint64_t began = clr_clock_now_ms();
    ws_open(&ws, "/socket.io");
    ws_receive(&ws, &first);
    EXPECT_EQ(first, 0x88);
    EXPECT(clr_clock_now_ms() - began >= 200);
    ws_close(&ws);
    teardown();
}

TEST(session_connect_timeout_ends_with_the_connect)
{
    setup("{\"kind\":\"socketio\",\"path\":\"/socket.io\",\"connect_timeout_ms\":800}");
    ws_t ws;
    ws_open(&ws, "/socket.io");
    ws_text(&ws, "40");
    uint64_t stream = fake_expect(&worker, CLR_FRAME_SIO_CONNECT).stream;
    wait_ms(850); /* the app may take its time */
    fake_text(&worker, CLR_FRAME_SIO_REFUSE, 0, stream, "{\"message\":\"no\"}");
    ws_expect(&ws, "44{\"message\":\"no\"}");
    uint8_t first;
    ws_receive(&ws, &first); /* it joined nothing: the clock ran again */
    EXPECT_EQ(first, 0x88);
    ws_close(&ws);
    teardown();
}

TEST(session_the_app_never_answers_is_given_up)
{
    setup("{\"kind\":\"engineio\",\"path\":\"/engine.io\",\"connect_timeout_ms\":50}");
    int fd = request("GET", "/engine.io" POLL_URL, "", NULL);
    uint64_t stream = fake_expect(&worker, CLR_FRAME_EIO_OPEN).stream;
    expect_answer(fd, 503, "");
    expect_gone(stream, CLR_REASON_SERVER_DISCONNECT);
    teardown();
}

TEST(shutdown_closes_every_session)
{
    setup(ENGINEIO_SERVER);
    char sid[CLR_ID_LEN + 1], other[CLR_ID_LEN + 1];
    uint64_t parked = open_polling(sid), absent = open_polling(other);
    int get = poll_get("/engine.io", sid);
    clr_eio_servers_shutdown(&gw);
    expect_answer(get, 200, "1");
    expect_answer(poll_get("/engine.io", other), 200, "1");
    uint64_t first = fake_expect(&worker, CLR_FRAME_EIO_GONE).stream;
    uint64_t second = fake_expect(&worker, CLR_FRAME_EIO_GONE).stream;
    EXPECT((first == parked && second == absent) || (first == absent && second == parked));
    EXPECT_EQ(clr_eio_servers_session_count(&gw), 0);
    expect_answer(request("GET", "/engine.io" POLL_URL, "", NULL), 503, NULL);
    teardown();
}

TEST(shutdown_closes_websockets_as_going_away)
{
    setup(SOCKETIO_SERVER);
    ws_t ws = {0};
    uint64_t stream = ws_join(&ws, &worker, "/", NULL);
    clr_eio_servers_shutdown(&gw);
    uint8_t first;
    clr_str_t code = ws_receive(&ws, &first);
    EXPECT_EQ(first, 0x88);
    EXPECT_STR_C(code, "\x03\xe9"); /* 1001 */
    clr_frame_t frame = fake_expect(&worker, CLR_FRAME_SIO_DISCONNECT);
    EXPECT_EQ(frame.stream, stream);
    EXPECT_EQ(frame.payload.p[0], CLR_REASON_SERVER_DISCONNECT);
    ws_close(&ws);
    teardown();
}

static clr_eio_session_t *find(const char *sid)
{
    return clr_eio_session_find(clr_eio_server_find(&gw, 0), clr_str(sid, CLR_ID_LEN));
}

TEST(paused_session_is_not_read_and_does_not_time_out)
{
    setup(FAST_SERVER);
    char sid[CLR_ID_LEN + 1], target[200];
    uint64_t stream = open_polling(sid);
    clr_eio_session_pause(find(sid), CLR_EIO_PAUSE_CONGESTED, true);
    snprintf(target, sizeof(target), "/engine.io" POLL_URL "&sid=%s", sid);
    int post = request("POST", target, "Content-Length: 3\r\n", NULL);
    for (int i = 0; i < 5; i++)
        loopback_turn(&loop);
    loopback_send(&loop, post, CLR_STR("4hi"));
    wait_ms(200); /* twice the time it would have to live */
    fake_expect_nothing(&worker);
    EXPECT(find(sid) != NULL);
    clr_eio_session_pause(find(sid), CLR_EIO_PAUSE_CONGESTED, false);
    expect_answer(post, 200, "ok");
    clr_frame_t frame = fake_expect(&worker, CLR_FRAME_EIO_MESSAGE);
    EXPECT_EQ(frame.stream, stream);
    expect_gone(stream, CLR_REASON_PING_TIMEOUT); /* the clock runs again */
    teardown();
}

TEST(paused_session_stays_so_after_an_upgrade)
{
    setup(ENGINEIO_SERVER);
    char sid[CLR_ID_LEN + 1], target[200];
    uint64_t stream = open_polling(sid);
    snprintf(target, sizeof(target), "/engine.io" WS_URL "&sid=%s", sid);
    ws_t ws;
    ws_connect(&ws, target);
    ws_text(&ws, "2probe");
    ws_expect(&ws, "3probe");
    clr_eio_session_pause(find(sid), CLR_EIO_PAUSE_CONGESTED, true);
    ws_text(&ws, "5");
    fake_expect(&worker, CLR_FRAME_TRANSPORT);
    ws_text(&ws, "4hi");
    fake_expect_nothing(&worker);
    clr_eio_session_pause(find(sid), CLR_EIO_PAUSE_CONGESTED, false);
    EXPECT_EQ(fake_expect(&worker, CLR_FRAME_EIO_MESSAGE).stream, stream);
    ws_close(&ws);
    teardown();
}

TEST(sessions_are_small)
{
    size_t total = sizeof(clr_eio_session_t) + sizeof(clr_sio_socket_t);
    printf("session %zu, socket %zu bytes\n", sizeof(clr_eio_session_t), sizeof(clr_sio_socket_t));
    EXPECT(total <= 400);
}

TEST_MAIN(T(session_pings_and_takes_pongs), T(session_dies_without_a_pong),
          T(session_that_is_overdue_is_unknown_before_its_timer_ran),
          T(session_lives_on_by_other_packets_once_a_ping),
          T(session_reads_new_ping_times_at_the_next_ping), T(session_closes_when_no_connect_comes),
          T(session_connect_timeout_ends_with_the_connect),
          T(session_the_app_never_answers_is_given_up), T(shutdown_closes_every_session),
          T(shutdown_closes_websockets_as_going_away),
          T(paused_session_is_not_read_and_does_not_time_out),
          T(paused_session_stays_so_after_an_upgrade), T(sessions_are_small))
