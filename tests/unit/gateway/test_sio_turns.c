/* Handlers of one client that run one after another: what waits for its turn waits in the gateway.
 */
#include "eio_fixture.h"
#include "gateway/eio_held.h"
#include "gateway/migrate.h"
#include "gateway/sio_socket.h"

#define SERVER(setting) "{\"kind\":\"socketio\",\"path\":\"/socket.io\"," setting "}"
#define IN_TURN         SERVER("\"async_handlers\":false")
#define ACCEPTS_FIRST   SERVER("\"always_connect\":true")

static fake_t worker, other;

static void open_both(const char *server)
{
    fixture_open(false);
    fake_open(&worker, 1, server, 1000);
    fake_open(&other, 2, server, 1000);
}

static void close_both(ws_t *ws)
{
    ws_close(ws);
    if (!worker.gone)
        fake_close(&worker);
    fake_close(&other);
    fixture_close();
}

/* A client whose connect handler has ended. */
static uint64_t join(ws_t *ws, const char *nsp)
{
    uint64_t stream = ws_join(ws, &worker, nsp, NULL);
    fake_simple(&worker, CLR_FRAME_SIO_NEXT, stream);
    return stream;
}

static clr_eio_session_t *session_of(const ws_t *ws)
{
    return clr_eio_session_find(clr_eio_server_find(&gw, 0), clr_str(ws->sid, CLR_ID_LEN));
}

static void send_events(ws_t *ws, int from, int to)
{
    for (int i = from; i < to; i++) {
        char packet[40];
        snprintf(packet, sizeof(packet), "42[%d]", i);
        ws_text(ws, packet);
    }
}

static void expect_event(fake_t *f, uint64_t stream, int number, uint8_t flags)
{
    char json[40];
    snprintf(json, sizeof(json), "[%d]", number);
    clr_frame_t frame = fake_expect(f, CLR_FRAME_SIO_EVENT);
    clr_reader_t r = clr_reader(frame.payload);
    EXPECT_EQ(frame.stream, stream);
    EXPECT_EQ(frame.flags, flags);
    EXPECT_EQ(clr_read_u64(&r), CLR_NO_ACK);
    EXPECT_STR_C(clr_read_data(&r).json, json);
}

/* They come one at a time. */
static void expect_turns(fake_t *f, uint64_t stream, int from, int to)
{
    for (int i = from; i < to; i++) {
        expect_event(f, stream, i, CLR_FRAME_TURN);
        fake_expect_nothing(f);
        fake_simple(f, CLR_FRAME_SIO_NEXT, stream);
    }
}

static void resume(fake_t *f, uint64_t stream)
{
    clr_frame_t frame = fake_expect(f, CLR_FRAME_SIO_RESUME);
    EXPECT_EQ(frame.stream, stream);
    EXPECT_EQ(frame.flags, CLR_FRAME_TURN);
    fake_simple(f, CLR_FRAME_SIO_ACCEPT, stream);
    fake_expect_nothing(f); /* its connect handler is at work */
    fake_simple(f, CLR_FRAME_SIO_NEXT, stream);
}

static void send_idle(fake_t *f, uint64_t stream, bool idle)
{
    size_t at = clr_frame_begin(&f->out, CLR_FRAME_IDLE, 0, stream);
    clr_buf_append_le(&f->out, idle, 1);
    clr_frame_end(&f->out, at);
    fake_flush(f);
}

/* ---- turns ---- */

TEST(events_go_out_one_at_a_time_and_other_clients_are_free)
{
    open_both(IN_TURN);
    ws_t ws = {0}, third = {0}, second = {0};
    uint64_t stream = join(&ws, "/");
    ws_open(&second, "/socket.io"); /* which is the other worker's */
    ws_text(&second, "40");
    fake_expect(&other, CLR_FRAME_SIO_CONNECT);
    uint64_t free_stream = join(&third, "/");
    send_events(&ws, 0, 3);
    expect_event(&worker, stream, 0, CLR_FRAME_TURN);
    fake_expect_nothing(&worker);
    send_events(&third, 7, 8);
    expect_event(&worker, free_stream, 7, CLR_FRAME_TURN);
    fake_simple(&worker, CLR_FRAME_SIO_NEXT, stream);
    expect_turns(&worker, stream, 1, 3);
    fake_simple(&worker, CLR_FRAME_SIO_NEXT, stream); /* of nothing: harmless */
    send_events(&ws, 3, 4);
    expect_event(&worker, stream, 3, CLR_FRAME_TURN);
    ws_close(&second);
    ws_close(&third);
    close_both(&ws);
}

TEST(events_wait_for_a_connect_handler_that_runs_after_the_reply)
{
    open_both(ACCEPTS_FIRST);
    ws_t ws = {0};
    uint64_t stream = ws_join(&ws, &worker, "/", NULL);
    send_events(&ws, 0, 2);
    fake_expect_nothing(&worker);
    fake_simple(&worker, CLR_FRAME_SIO_NEXT, stream);
    expect_event(&worker, stream, 0, 0);
    expect_event(&worker, stream, 1, 0);
    close_both(&ws);
}

TEST(a_socket_that_leaves_takes_its_events_along_and_ends_its_turn)
{
    open_both(IN_TURN);
    ws_t ws = {0};
    uint64_t first = join(&ws, "/"), second = join(&ws, "/b");
    send_events(&ws, 0, 1);
    ws_text(&ws, "42/b,[10]");
    send_events(&ws, 1, 2);
    ws_text(&ws, "42/b,[11]");
    expect_event(&worker, first, 0, CLR_FRAME_TURN);
    fake_expect_nothing(&worker);
    ws_text(&ws, "41");
    expect_event(&worker, first, 1, 0); /* the worker knows that the one before is at work */
    EXPECT_EQ(fake_expect(&worker, CLR_FRAME_SIO_DISCONNECT).stream, first);
    fake_simple(&worker, CLR_FRAME_SIO_NEXT, first); /* late */
    expect_turns(&worker, second, 10, 12);
    close_both(&ws);
}

TEST(events_of_a_socket_that_was_kicked_have_no_turn)
{
    open_both(IN_TURN);
    ws_t ws = {0};
    uint64_t first = join(&ws, "/"), second = join(&ws, "/b");
    ws_text(&ws, "42/b,[10]");
    expect_event(&worker, second, 10, CLR_FRAME_TURN);
    send_events(&ws, 0, 1);
    ws_text(&ws, "42/b,[11]");
    LOOPBACK_UNTIL(&loop, -1, session_of(&ws)->held); /* they are here */
    fake_simple(&worker, CLR_FRAME_SIO_KICK, first);
    expect_event(&worker, first, 0, 0);
    EXPECT_EQ(fake_expect(&worker, CLR_FRAME_SIO_DISCONNECT).stream, first);
    fake_simple(&worker, CLR_FRAME_SIO_NEXT, second);
    expect_event(&worker, second, 11, CLR_FRAME_TURN);
    close_both(&ws);
}

TEST(what_a_client_sent_before_it_went_comes_before_its_end)
{
    open_both(IN_TURN);
    ws_t ws = {0};
    uint64_t stream = join(&ws, "/");
    send_events(&ws, 0, 3);
    expect_event(&worker, stream, 0, CLR_FRAME_TURN);
    fake_expect_nothing(&worker);
    close(ws.fd);
    expect_event(&worker, stream, 1, 0);
    expect_event(&worker, stream, 2, 0);
    EXPECT_EQ(fake_expect(&worker, CLR_FRAME_SIO_DISCONNECT).stream, stream);
    clr_buf_deinit(&ws.in);
    fake_close(&worker);
    fake_close(&other);
    fixture_close();
}

TEST(a_client_that_sends_too_much_is_not_read)
{
    open_both(IN_TURN);
    ws_t ws = {0};
    uint64_t stream = join(&ws, "/");
    fake_credit(&worker, 10000);
    int count = 0;
    for (; !session_of(&ws)->paused; count++)
        send_events(&ws, count, count + 1);
    EXPECT(count * 32 > (int)CLR_EIO_HELD_MARK / 2);
    for (int i = 0; i < count; i++) {
        expect_event(&worker, stream, i, CLR_FRAME_TURN);
        fake_simple(&worker, CLR_FRAME_SIO_NEXT, stream);
    }
    EXPECT(!session_of(&ws)->paused);
    close_both(&ws);
}

/* ---- workers come and go ---- */

TEST(what_waits_for_its_turn_is_not_lost_with_the_worker)
{
    open_both(IN_TURN);
    ws_t ws = {0};
    uint64_t stream = join(&ws, "/");
    send_events(&ws, 0, 4);
    expect_event(&worker, stream, 0, CLR_FRAME_TURN);
    fake_begin(&worker, 2); /* the connect handler and that of event 0 */
    fake_close(&worker);
    resume(&other, stream);
    expect_turns(&other, stream, 1, 4);
    close_both(&ws);
}

TEST(what_was_never_begun_comes_before_what_waited_however_many_die)
{
    open_both(IN_TURN);
    ws_t ws = {0};
    uint64_t stream = join(&ws, "/");
    send_events(&ws, 0, 4);
    expect_event(&worker, stream, 0, CLR_FRAME_TURN);
    fake_begin(&worker, 1); /* the connect handler alone */
    fake_close(&worker);
    resume(&other, stream);
    expect_event(&other, stream, 0, CLR_FRAME_TURN); /* once more taken back */
    send_events(&ws, 4, 5);
    fake_begin(&other, 1);
    fake_close(&other);
    fake_open(&worker, 3, IN_TURN, 1000);
    resume(&worker, stream);
    expect_turns(&worker, stream, 0, 5);
    ws_close(&ws);
    fake_close(&worker);
    fixture_close();
}

TEST(a_worker_that_dies_in_a_connect_handler_has_begun_no_event)
{
    open_both(ACCEPTS_FIRST);
    ws_t ws = {0};
    uint64_t stream = ws_join(&ws, &worker, "/", NULL);
    send_events(&ws, 0, 2);
    fake_begin(&worker, 1);
    fake_close(&worker);
    resume(&other, stream);
    expect_event(&other, stream, 0, 0);
    expect_event(&other, stream, 1, 0);
    close_both(&ws);
}

TEST(a_client_moves_between_two_turns)
{
    open_both(IN_TURN);
    ws_t ws = {0};
    uint64_t stream = join(&ws, "/");
    send_events(&ws, 0, 3);
    expect_event(&worker, stream, 0, CLR_FRAME_TURN);
    clr_session_move(session_of(&ws), other.w);
    fake_expect(&worker, CLR_FRAME_MOVE);
    send_idle(&worker, stream, false);
    fake_expect_nothing(&worker);
    send_idle(&worker, stream, true); /* a worker says that first */
    fake_simple(&worker, CLR_FRAME_SIO_NEXT, stream);
    fake_expect(&worker, CLR_FRAME_MOVE);
    send_idle(&worker, stream, true);
    fake_expect(&worker, CLR_FRAME_DROP);
    resume(&other, stream);
    expect_turns(&other, stream, 1, 3);
    close_both(&ws);
}

TEST(a_forced_move_in_the_middle_of_a_turn)
{
    open_both(IN_TURN);
    ws_t ws = {0};
    uint64_t stream = join(&ws, "/");
    send_events(&ws, 0, 2);
    expect_event(&worker, stream, 0, CLR_FRAME_TURN);
    clr_session_move_now(session_of(&ws), other.w);
    fake_expect(&worker, CLR_FRAME_DROP);
    fake_simple(&worker, CLR_FRAME_SIO_NEXT, stream); /* it crossed DROP, and means nothing */
    resume(&other, stream);
    expect_turns(&other, stream, 1, 2);
    EXPECT(!worker.gone);
    close_both(&ws);
}

TEST_MAIN(T(events_go_out_one_at_a_time_and_other_clients_are_free),
          T(events_wait_for_a_connect_handler_that_runs_after_the_reply),
          T(a_socket_that_leaves_takes_its_events_along_and_ends_its_turn),
          T(events_of_a_socket_that_was_kicked_have_no_turn),
          T(what_a_client_sent_before_it_went_comes_before_its_end),
          T(a_client_that_sends_too_much_is_not_read),
          T(what_waits_for_its_turn_is_not_lost_with_the_worker),
          T(what_was_never_begun_comes_before_what_waited_however_many_die),
          T(a_worker_that_dies_in_a_connect_handler_has_begun_no_event),
          T(a_client_moves_between_two_turns), T(a_forced_move_in_the_middle_of_a_turn))
