/* Clients that move away from a worker that lives. */
#include "migrate_fixture.h"

static void send_idle(fake_t *f, uint64_t stream, bool idle)
{
    size_t at = clr_frame_begin(&f->out, CLR_FRAME_IDLE, 0, stream);
    clr_buf_append_le(&f->out, idle, 1);
    clr_frame_end(&f->out, at);
    fake_flush(f);
}

TEST(an_idle_client_moves_and_its_events_with_it)
{
    open_both(1000);
    ws_t ws = {0};
    uint64_t stream = ws_join(&ws, &worker, "/", NULL);
    clr_session_move(session_of(&ws), other.w);
    EXPECT_EQ(fake_expect(&worker, CLR_FRAME_MOVE).stream, stream);
    send_events(&ws, 0, 2);
    fake_expect_nothing(&worker);
    send_idle(&worker, stream, true);
    EXPECT_EQ(fake_expect(&worker, CLR_FRAME_DROP).stream, stream);
    expect_resume(&other, stream);
    fake_simple(&other, CLR_FRAME_SIO_ACCEPT, stream);
    expect_events(&other, stream, 0, 2);
    EXPECT_EQ(clr_worker_sessions(worker.w), 0);
    /* What the old worker still says of the client counts; its decisions do not. */
    fake_data(&worker, CLR_FRAME_SIO_SEND, 0, stream, 0, "[\"late\"]");
    ws_expect(&ws, "42[\"late\"]");
    fake_text(&worker, CLR_FRAME_SIO_JOIN, 0, stream, "r");
    fake_expect(&other, CLR_FRAME_SIO_ROOM);
    fake_text(&worker, CLR_FRAME_SIO_REFUSE, 0, stream, "{}");
    fake_text(&worker, CLR_FRAME_SAVE, 0, stream, "stale");
    EXPECT(!worker.gone);
    ws_expect_nothing(&ws);
    fake_close(&worker);
    close_all(&ws);
}

TEST(a_busy_client_is_asked_about_again_when_it_is_idle)
{
    open_both(1000);
    ws_t ws = {0};
    uint64_t stream = ws_join(&ws, &worker, "/", NULL);
    clr_session_move(session_of(&ws), other.w);
    fake_expect(&worker, CLR_FRAME_MOVE);
    send_events(&ws, 0, 1);
    send_idle(&worker, stream, false);
    expect_events(&worker, stream, 0, 1); /* a stop button must reach its handler */
    send_events(&ws, 1, 2);
    expect_events(&worker, stream, 1, 2);
    send_idle(&worker, stream, true);
    fake_expect(&worker, CLR_FRAME_MOVE);
    send_idle(&worker, stream, true);
    fake_expect(&worker, CLR_FRAME_DROP);
    expect_resume(&other, stream);
    fake_close(&worker);
    close_all(&ws);
}

TEST(a_move_may_be_forced)
{
    open_both(1000);
    ws_t ws = {0};
    uint64_t stream = ws_join(&ws, &worker, "/", NULL);
    send_events(&ws, 0, 2);
    expect_events(&worker, stream, 0, 2);
    clr_session_move_now(session_of(&ws), other.w);
    fake_expect(&worker, CLR_FRAME_DROP);
    expect_resume(&other, stream);
    fake_simple(&other, CLR_FRAME_SIO_ACCEPT, stream);
    fake_begin(&worker, 2); /* event 1 is never begun, and the worker killed */
    fake_close(&worker);
    expect_events(&other, stream, 1, 2);
    close_all(&ws);
}

TEST(a_client_that_leaves_during_a_move_is_reported_to_its_worker)
{
    open_both(1000);
    ws_t ws = {0};
    uint64_t stream = ws_join(&ws, &worker, "/", NULL);
    clr_session_move(session_of(&ws), other.w);
    fake_expect(&worker, CLR_FRAME_MOVE);
    send_events(&ws, 0, 1);
    ws_text(&ws, "41");
    expect_events(&worker, stream, 0, 1);
    fake_expect(&worker, CLR_FRAME_SIO_DISCONNECT);
    send_idle(&worker, stream, true);
    fake_expect_nothing(&other);
    fake_close(&worker);
    close_all(&ws);
}

TEST(a_namespace_that_is_left_during_a_move_does_not_stop_it)
{
    open_both(1000);
    ws_t ws = {0};
    uint64_t first = ws_join(&ws, &worker, "/", NULL);
    uint64_t second = ws_join(&ws, &worker, "/b", NULL);
    clr_session_move(session_of(&ws), other.w);
    uint64_t asked = fake_expect(&worker, CLR_FRAME_MOVE).stream;
    ws_text(&ws, asked == first ? "41" : "41/b,");
    fake_expect(&worker, CLR_FRAME_SIO_DISCONNECT);
    EXPECT_EQ(fake_expect(&worker, CLR_FRAME_MOVE).stream, asked == first ? second : first);
    send_idle(&worker, asked == first ? second : first, true);
    fake_expect(&worker, CLR_FRAME_DROP);
    expect_resume(&other, asked == first ? second : first);
    fake_close(&worker);
    close_all(&ws);
}

TEST(a_retiring_worker_gives_all_clients_away_and_gets_no_new_ones)
{
    open_both(1000);
    ws_t a = {0}, b = {0}, c = {0}, d = {0};
    uint64_t idle = ws_join(&a, &worker, "/", NULL);
    ws_join(&b, &other, "/", NULL);
    uint64_t busy = ws_join(&c, &worker, "/", NULL);
    clr_worker_retire(worker.w);
    EXPECT_EQ(clr_worker_state(worker.w), CLR_WORKER_RETIRING);
    fake_expect(&worker, CLR_FRAME_MOVE);
    fake_expect(&worker, CLR_FRAME_MOVE);
    send_idle(&worker, idle, true);
    send_idle(&worker, busy, false);
    fake_expect(&worker, CLR_FRAME_DROP);
    expect_resume(&other, idle);
    ws_join(&d, &other, "/", NULL);
    EXPECT_EQ(clr_worker_sessions(worker.w), 1);
    clr_worker_move_all(worker.w);
    EXPECT_EQ(fake_expect(&worker, CLR_FRAME_DROP).stream, busy);
    expect_resume(&other, busy);
    EXPECT_EQ(clr_worker_sessions(worker.w), 0);
    clr_worker_stop(worker.w, 1000);
    fake_expect(&worker, CLR_FRAME_STOP);
    ws_close(&a);
    ws_close(&b);
    ws_close(&c);
    fake_close(&worker);
    close_all(&d);
}

TEST(a_retiring_worker_serves_until_another_is_ready)
{
    fixture_open(false);
    fake_open(&worker, 1, SOCKETIO_SERVER, 1000);
    ws_t ws = {0};
    uint64_t stream = ws_join(&ws, &worker, "/", NULL);
    clr_worker_retire(worker.w);
    fake_expect(&worker, CLR_FRAME_MOVE);
    send_events(&ws, 0, 1);
    send_idle(&worker, stream, true);
    expect_events(&worker, stream, 0, 1);
    fake_open(&other, 2, SOCKETIO_SERVER, 1000);
    fake_expect(&worker, CLR_FRAME_MOVE);
    send_idle(&worker, stream, true);
    fake_expect(&worker, CLR_FRAME_DROP);
    expect_resume(&other, stream);
    fake_close(&worker);
    close_all(&ws);
}

TEST(a_worker_is_clear_when_it_has_put_away_what_the_last_client_left)
{
    open_both(1000);
    ws_t ws = {0};
    uint64_t stream = ws_join(&ws, &worker, "/", NULL);
    EXPECT(clr_worker_is_clear(worker.w)); /* nobody waits for that */
    clr_worker_retire(worker.w);
    fake_expect(&worker, CLR_FRAME_MOVE);
    clr_worker_clear(worker.w); /* it has a client */
    fake_expect_nothing(&worker);
    send_idle(&worker, stream, true);
    fake_expect(&worker, CLR_FRAME_DROP);
    expect_resume(&other, stream);
    clr_worker_clear(worker.w);
    clr_worker_clear(worker.w);
    uint64_t first = fake_expect(&worker, CLR_FRAME_CLEAR).stream;
    fake_expect_nothing(&worker);
    EXPECT(!clr_worker_is_clear(worker.w));

    /* One came back and left while it was at it. */
    clr_list_t node;
    clr_list_init(&node);
    clr_worker_add_session(worker.w, &node, false);
    clr_worker_remove_session(worker.w, &node);
    clr_worker_clear(worker.w);
    uint64_t second = fake_expect(&worker, CLR_FRAME_CLEAR).stream;
    EXPECT(first != second);
    fake_simple(&worker, CLR_FRAME_CLEARED, first);
    EXPECT(!clr_worker_is_clear(worker.w));
    fake_simple(&worker, CLR_FRAME_CLEARED, second);
    LOOPBACK_UNTIL(&loop, -1, clr_worker_is_clear(worker.w));
    fake_close(&worker);
    close_all(&ws);
}

TEST(a_move_to_nobody_ends_where_it_began)
{
    open_both(1000);
    ws_t ws = {0};
    uint64_t stream = ws_join(&ws, &worker, "/", NULL);
    clr_session_move(session_of(&ws), other.w);
    fake_expect(&worker, CLR_FRAME_MOVE);
    send_events(&ws, 0, 1);
    for (int i = 0; i < 5; i++)
        loopback_turn(&loop);
    fake_close(&other);
    send_idle(&worker, stream, true);
    expect_events(&worker, stream, 0, 1);
    ws_close(&ws);
    fake_close(&worker);
    fixture_close();
}

TEST_MAIN(T(an_idle_client_moves_and_its_events_with_it),
          T(a_busy_client_is_asked_about_again_when_it_is_idle), T(a_move_may_be_forced),
          T(a_client_that_leaves_during_a_move_is_reported_to_its_worker),
          T(a_namespace_that_is_left_during_a_move_does_not_stop_it),
          T(a_retiring_worker_gives_all_clients_away_and_gets_no_new_ones),
          T(a_retiring_worker_serves_until_another_is_ready),
          T(a_worker_is_clear_when_it_has_put_away_what_the_last_client_left),
          T(a_move_to_nobody_ends_where_it_began))
