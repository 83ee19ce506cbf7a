#include "gateway/dispatch.h"

#include "eio_fixture.h"

static fake_t worker, other;

static void teardown(fake_t *f)
{
    fake_close(f);
    fixture_close();
}

/* ---- the worker's life ---- */

TEST(worker_becomes_ready_and_is_chosen)
{
    fixture_open(false);
    fake_attach(&worker, 1);
    EXPECT_EQ(clr_worker_state(worker.w), CLR_WORKER_LOADING);
    EXPECT(clr_dispatch_choose(&gw) == NULL);
    fake_hello(&worker);
    fake_server(&worker, 0, SOCKETIO_SERVER);
    fake_simple(&worker, CLR_FRAME_READY, 0);
    LOOPBACK_UNTIL(&loop, -1, worker.is_ready);
    EXPECT_EQ(clr_worker_state(worker.w), CLR_WORKER_READY);
    EXPECT(clr_dispatch_choose(&gw) == worker.w);
    EXPECT_EQ(clr_dispatch_ready_count(&gw), 1);
    clr_worker_stop(worker.w, 1500);
    clr_frame_t stop = fake_expect(&worker, CLR_FRAME_STOP);
    EXPECT_STR(stop.payload, clr_str("\xdc\x05\0\0", 4));
    EXPECT(clr_dispatch_choose(&gw) == NULL);
    teardown(&worker);
}

TEST(worker_detach_reports_gone_later)
{
    fixture_open(false);
    fake_attach(&worker, 1);
    clr_worker_detach(worker.w);
    EXPECT(!worker.gone);
    fake_wait_gone(&worker);
    teardown(&worker);
}

/* What a sound worker does not send takes its link down and harms nobody else. */
static void expect_refused(void (*send)(void))
{
    fixture_open(false);
    fake_open(&worker, 1, SOCKETIO_SERVER, 10);
    send();
    fake_wait_gone(&worker);
    EXPECT_EQ(worker.gone_reason, CLR_EPROTO);
    teardown(&worker);
}

static void send_second_hello(void)
{
    fake_hello(&worker);
}

static void send_bad_emit(void)
{
    fake_emit(&worker, 0, "/", NULL, NULL, 0, "{}", NULL);
}

static void send_unknown_server(void)
{
    size_t at = clr_frame_begin(&worker.out, CLR_FRAME_SIO_CLOSE_ROOM, 0, 0);
    clr_buf_append_le(&worker.out, 7, 2);
    clr_write_str(&worker.out, CLR_STR("/"));
    clr_write_str(&worker.out, CLR_STR("r"));
    clr_frame_end(&worker.out, at);
    fake_flush(&worker);
}

static void send_bad_utf8(void)
{
    fake_emit(&worker, 0, "/", NULL, NULL, 0, "[\"\xff\"]", NULL);
}

static void send_trailing_bytes(void)
{
    fake_text(&worker, CLR_FRAME_READY, 0, 0, "x");
}

static void send_bad_engine_text(void)
{
    fake_text(&worker, CLR_FRAME_EIO_REFUSE, 0, 1, "no JSON");
}

static void send_engine_bytes(void)
{
    fake_text(&worker, CLR_FRAME_EIO_ACCEPT, 0, 1, "x");
}

static void send_refusal_without_json(void)
{
    fake_text(&worker, CLR_FRAME_SIO_REFUSE, 0, 1, "{");
}

static void send_bad_log_level(void)
{
    size_t at = clr_frame_begin(&worker.out, CLR_FRAME_LOG, 0, 0);
    clr_buf_append_le(&worker.out, 200, 1);
    clr_write_str(&worker.out, CLR_STR("m"));
    clr_write_str(&worker.out, CLR_STR("t"));
    clr_frame_end(&worker.out, at);
    fake_flush(&worker);
}

static void send_failed(void)
{
    size_t at = clr_frame_begin(&worker.out, CLR_FRAME_FAILED, 0, 0);
    clr_buf_append_le(&worker.out, CLR_FAILED_ERROR, 1);
    clr_write_str(&worker.out, CLR_STR("Traceback"));
    clr_frame_end(&worker.out, at);
    fake_flush(&worker);
}

static void send_cleared_unasked(void)
{
    fake_simple(&worker, CLR_FRAME_CLEARED, 1);
}

static void send_too_much_credit(void)
{
    fake_credit(&worker, UINT32_MAX);
}

TEST(worker_that_breaks_the_rules_goes_down)
{
    expect_refused(send_second_hello);
    expect_refused(send_bad_emit);
    expect_refused(send_unknown_server);
    expect_refused(send_bad_utf8);
    expect_refused(send_trailing_bytes);
    expect_refused(send_too_much_credit);
    expect_refused(send_bad_engine_text);
    expect_refused(send_engine_bytes);
    expect_refused(send_refusal_without_json);
    expect_refused(send_bad_log_level);
    expect_refused(send_cleared_unasked);
    expect_refused(send_failed); /* after READY */
}

static int failed_kind, stopped;

static void on_failed(clr_worker_t *w, uint8_t kind, clr_str_t text, void *ctx)
{
    EXPECT(((fake_t *)ctx)->w == w);
    EXPECT_STR_C(text, "Traceback");
    failed_kind = kind;
}

static void on_stopped(clr_worker_t *w, void *ctx)
{
    EXPECT(((fake_t *)ctx)->w == w);
    stopped++;
}

static void on_hello(clr_worker_t *w, uint32_t pid, clr_str_t python, void *ctx)
{
    EXPECT(((fake_t *)ctx)->w == w);
    EXPECT_EQ(pid, 4711);
    EXPECT_STR_C(python, "3.11");
}

TEST(worker_reports_what_became_of_it)
{
    static const clr_worker_ops_t ops = {.on_hello = on_hello,
                                         .on_failed = on_failed,
                                         .on_stopped = on_stopped,
                                         .on_gone = fake_on_gone};
    int fds[2];
    fixture_open(false);
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    worker = (fake_t){.fd = fds[0]};
    EXPECT_EQ(clr_worker_attach(&worker.w, &gw, fds[1], 7, CLR_STR("{\"a\":1}"), &ops, &worker), 0);
    EXPECT_EQ(clr_worker_number(worker.w), 7);
    clr_frame_t config = fake_expect(&worker, CLR_FRAME_CONFIG);
    clr_reader_t r = clr_reader(config.payload);
    EXPECT_STR_C(clr_read_str(&r), "{\"a\":1}");
    fake_hello(&worker);
    size_t at = clr_frame_begin(&worker.out, CLR_FRAME_LOG, 0, 0);
    clr_buf_append_le(&worker.out, 0, 1);
    clr_write_str(&worker.out, CLR_STR("mod\nule"));
    clr_write_str(&worker.out, CLR_STR("text"));
    clr_frame_end(&worker.out, at);
    send_failed();
    fake_simple(&worker, CLR_FRAME_STOPPED, 0);
    LOOPBACK_UNTIL(&loop, -1, stopped == 1);
    EXPECT_EQ(failed_kind, CLR_FAILED_ERROR);
    teardown(&worker);
}

TEST(worker_of_another_version_is_refused)
{
    fixture_open(false);
    fake_attach(&worker, 1);
    size_t at = clr_frame_begin(&worker.out, CLR_FRAME_HELLO, 0, 0);
    clr_buf_append_le(&worker.out, 999, 4);
    clr_buf_append_le(&worker.out, 1, 4);
    clr_write_str(&worker.out, CLR_STR("3.11"));
    clr_write_str(&worker.out, CLR_STR("test"));
    clr_frame_end(&worker.out, at);
    fake_flush(&worker);
    fake_wait_gone(&worker);
    teardown(&worker);
}

TEST(worker_has_to_agree_on_the_servers)
{
    fixture_open(false);
    fake_open(&worker, 1, SOCKETIO_SERVER, 10);
    fake_attach(&other, 2);
    fake_hello(&other);
    fake_server(&other, 0, ENGINEIO_SERVER);
    fake_wait_gone(&other);
    EXPECT(!worker.gone);
    fake_close(&other);
    teardown(&worker);
}

TEST(worker_declares_servers_in_order_and_on_paths_of_their_own)
{
    fixture_open(false);
    fake_open(&worker, 1, SOCKETIO_SERVER, 10);
    fake_server(&worker, 1, ENGINEIO_SERVER);
    fake_server(&worker, 0, SOCKETIO_SERVER);
    EXPECT(clr_eio_server_find(&gw, 1) != NULL);
    fake_server(&worker, 2, SOCKETIO_SERVER); /* its path is taken */
    fake_wait_gone(&worker);
    teardown(&worker);
}

TEST(worker_must_say_hello_first)
{
    fixture_open(false);
    fake_attach(&worker, 1);
    fake_simple(&worker, CLR_FRAME_READY, 0);
    fake_wait_gone(&worker);
    teardown(&worker);
}

/* ---- credit ---- */

static void send_events(ws_t *ws, int from, int to)
{
    for (int i = from; i < to; i++) {
        char packet[40];
        snprintf(packet, sizeof(packet), "42[\"e\",%d]", i);
        ws_text(ws, packet);
    }
}

static void expect_event(int number)
{
    char json[40];
    snprintf(json, sizeof(json), "[\"e\",%d]", number);
    clr_frame_t frame = fake_expect(&worker, CLR_FRAME_SIO_EVENT);
    clr_reader_t r = clr_reader(frame.payload);
    EXPECT_EQ(clr_read_u64(&r), CLR_NO_ACK);
    EXPECT_STR_C(clr_read_data(&r).json, json);
    EXPECT_EQ(clr_reader_done(&r), 0);
}

TEST(events_wait_for_credit_in_order)
{
    fixture_open(false);
    fake_open(&worker, 1, SOCKETIO_SERVER, 3); /* one goes for the CONNECT */
    ws_t ws = {0};
    ws_join(&ws, &worker, "/", NULL);
    send_events(&ws, 0, 5);
    ws_text(&ws, "41"); /* costs nothing, and still waits behind the events */
    expect_event(0);
    expect_event(1);
    fake_expect_nothing(&worker);
    fake_credit(&worker, 2);
    expect_event(2);
    expect_event(3);
    fake_expect_nothing(&worker);
    fake_credit(&worker, 100);
    expect_event(4);
    fake_expect(&worker, CLR_FRAME_SIO_DISCONNECT);
    ws_close(&ws);
    teardown(&worker);
}

TEST(clients_of_a_worker_that_is_behind_are_paused)
{
    fixture_open(false);
    fake_open(&worker, 1, "{\"kind\":\"socketio\",\"path\":\"/socket.io\"}", 1);
    ws_t ws = {0};
    ws_join(&ws, &worker, "/", NULL);
    size_t size = 900000, count = 30;
    clr_buf_t packet = {0};
    clr_buf_append_str(&packet, CLR_STR("42[\"e\",\""));
    for (size_t i = 0; i < size; i++)
        clr_buf_putc(&packet, 'x');
    clr_buf_append_str(&packet, CLR_STR("\"]"));
    clr_buf_t wire = {0};
    clr_buf_append(&wire, "\x81\xff\0\0\0\0", 6);
    for (int i = 3; i >= 0; i--)
        clr_buf_putc(&wire, (char)(packet.n >> (8 * i)));
    clr_buf_append(&wire, "\0\0\0\0", 4);
    clr_buf_append_str(&wire, clr_buf_str(&packet));

    /* Far more than the high mark is on its way; the gateway takes about that much of it. */
    size_t sent = 0, total = count * wire.n;
    uint64_t until = clr_clock_now_ms() + 300;
    while ((clr_clock_now_ms() < until || !clr_worker_is_congested(worker.w)) && sent < total) {
        size_t at = sent % wire.n;
        ssize_t n = send(ws.fd, wire.p + at, wire.n - at, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) {
            sent += (size_t)n;
            until = clr_clock_now_ms() + 300;
        }
        loopback_turn(&loop);
    }
    EXPECT(sent < total);
    EXPECT(clr_worker_is_congested(worker.w));

    fake_credit(&worker, 100);
    for (size_t i = 0; i < count; i++) {
        while (sent < total && sent < (i + 2) * wire.n) {
            size_t at = sent % wire.n;
            ssize_t n = send(ws.fd, wire.p + at, wire.n - at, MSG_DONTWAIT | MSG_NOSIGNAL);
            sent += n > 0 ? (size_t)n : 0;
            loopback_receive(worker.fd, &worker.in);
            loopback_turn(&loop);
        }
        clr_frame_t frame = fake_expect(&worker, CLR_FRAME_SIO_EVENT);
        EXPECT_EQ(frame.payload.n, 8 + 4 + packet.n - 2 + 2);
        fake_credit(&worker, 1);
    }
    EXPECT(!clr_worker_is_congested(worker.w));
    clr_buf_deinit(&packet);
    clr_buf_deinit(&wire);
    ws_close(&ws);
    teardown(&worker);
}

/* ---- placement ---- */

TEST(clients_go_to_the_worker_with_the_fewest_sessions)
{
    fixture_open(false);
    fake_open(&worker, 1, SOCKETIO_SERVER, 100);
    fake_open(&other, 2, SOCKETIO_SERVER, 100);
    ws_t a = {0}, b = {0}, c = {0};
    ws_join(&a, &worker, "/", NULL);
    ws_join(&a, &worker, "/second", NULL); /* a session stays with its worker */
    ws_join(&b, &other, "/", NULL);
    ws_join(&b, &other, "/second", NULL);
    ws_join(&b, &other, "/third", NULL);
    ws_join(&c, &worker, "/", NULL);
    EXPECT_EQ(clr_worker_sockets(worker.w), 3);
    EXPECT_EQ(clr_worker_sessions(worker.w), 2);
    EXPECT_EQ(clr_worker_sockets(other.w), 3);
    EXPECT_EQ(clr_worker_sessions(other.w), 1);
    ws_close(&a);
    fake_expect(&worker, CLR_FRAME_SIO_DISCONNECT);
    fake_expect(&worker, CLR_FRAME_SIO_DISCONNECT);
    EXPECT_EQ(clr_worker_sockets(worker.w), 1);
    EXPECT_EQ(clr_worker_sessions(worker.w), 1);
    ws_close(&b);
    ws_close(&c);
    fake_close(&other);
    teardown(&worker);
}

TEST(clients_wait_while_no_worker_is_ready)
{
    fixture_open(false);
    fake_open(&worker, 1, SOCKETIO_SERVER, 100);
    ws_t ws = {0};
    fake_close(&worker);
    ws_open(&ws, "/socket.io");
    ws_text(&ws, "40{\"token\":1}");
    ws_text(&ws, "40/second,");
    ws_expect_nothing(&ws);
    fake_open(&other, 2, SOCKETIO_SERVER, 100);
    for (int i = 0; i < 2; i++) {
        clr_frame_t frame = fake_expect(&other, CLR_FRAME_SIO_CONNECT);
        clr_reader_t r = clr_reader(frame.payload);
        clr_read_u16(&r);
        clr_read_str(&r);
        clr_read_str(&r);
        bool root = clr_str_eq(clr_read_str(&r), CLR_STR("/"));
        EXPECT_STR_C(clr_read_str(&r), root ? "{\"token\":1}" : "");
        clr_read_request(&r);
        EXPECT_EQ(clr_reader_done(&r), 0);
    }
    ws_close(&ws);
    teardown(&other);
}

TEST(clients_waiting_for_a_worker_may_leave)
{
    fixture_open(false);
    fake_open(&worker, 1, SOCKETIO_SERVER, 100);
    fake_close(&worker);
    ws_t ws = {0};
    ws_open(&ws, "/socket.io");
    ws_text(&ws, "40");
    ws_expect_nothing(&ws);
    ws_close(&ws);
    LOOPBACK_UNTIL(&loop, -1, clr_eio_servers_session_count(&gw) == 0);
    fake_open(&other, 2, SOCKETIO_SERVER, 100);
    fake_expect_nothing(&other);
    teardown(&other);
}

TEST(frame_for_a_socket_of_another_worker_is_refused)
{
    fixture_open(false);
    fake_open(&worker, 1, SOCKETIO_SERVER, 100);
    ws_t ws = {0};
    uint64_t stream = ws_join(&ws, &worker, "/", NULL);
    fake_open(&other, 2, SOCKETIO_SERVER, 100);
    fake_simple(&other, CLR_FRAME_SIO_KICK, stream + 1000000); /* of nobody: late, ignored */
    fake_simple(&other, CLR_FRAME_EIO_CLOSE, stream);          /* of another kind: ignored */
    fake_expect_nothing(&other);
    fake_simple(&other, CLR_FRAME_SIO_KICK, stream);
    fake_wait_gone(&other);
    EXPECT(!worker.gone);
    ws_text(&ws, "42[\"on\"]");
    fake_expect(&worker, CLR_FRAME_SIO_EVENT);
    ws_close(&ws);
    fake_close(&other);
    teardown(&worker);
}

TEST_MAIN(T(worker_becomes_ready_and_is_chosen), T(worker_detach_reports_gone_later),
          T(worker_that_breaks_the_rules_goes_down), T(worker_reports_what_became_of_it),
          T(worker_of_another_version_is_refused), T(worker_has_to_agree_on_the_servers),
          T(worker_declares_servers_in_order_and_on_paths_of_their_own),
          T(worker_must_say_hello_first), T(events_wait_for_credit_in_order),
          T(clients_of_a_worker_that_is_behind_are_paused),
          T(clients_go_to_the_worker_with_the_fewest_sessions),
          T(clients_wait_while_no_worker_is_ready), T(clients_waiting_for_a_worker_may_leave),
          T(frame_for_a_socket_of_another_worker_is_refused))
