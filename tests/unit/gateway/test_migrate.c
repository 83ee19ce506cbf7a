/* Clients whose worker dies. */
#include "migrate_fixture.h"
#include "gateway/eio_held.h"

/* A client of `worker` with auth. */
static uint64_t join_with_auth(ws_t *ws, char sid[CLR_ID_LEN + 1])
{
    uint8_t first;
    ws_open(ws, "/socket.io");
    ws_text(ws, "40{\"token\":1}");
    uint64_t stream = fake_expect(&worker, CLR_FRAME_SIO_CONNECT).stream;
    fake_simple(&worker, CLR_FRAME_SIO_ACCEPT, stream);
    copy_sid(ws_receive(ws, &first), sid);
    return stream;
}

TEST(clients_of_a_dead_worker_go_on_with_another)
{
    open_both(1000);
    ws_t ws = {0};
    char sid[CLR_ID_LEN + 1];
    uint64_t stream = join_with_auth(&ws, sid);
    fake_begin(&worker, 1);
    fake_text(&worker, CLR_FRAME_SIO_JOIN, 0, stream, "red");
    fake_text(&worker, CLR_FRAME_SIO_JOIN, 0, stream, "blue");
    fake_text(&worker, CLR_FRAME_SAVE, 0, stream, "old");
    fake_text(&worker, CLR_FRAME_SAVE, 0, stream, "saved bytes");
    fake_close(&worker);
    resume_t got = expect_resume(&other, stream);
    EXPECT_STR_C(clr_str_c(got.sid), sid);
    EXPECT_STR_C(clr_str_c(got.nsp), "/");
    EXPECT_STR_C(clr_str_c(got.auth), "{\"token\":1}");
    EXPECT_STR_C(clr_str_c(got.rooms), "red,blue,");
    EXPECT_STR_C(clr_str_c(got.saved), "saved bytes");
    send_events(&ws, 0, 2);
    fake_expect_nothing(&other); /* its connect handler is at work */
    fake_simple(&other, CLR_FRAME_SIO_ACCEPT, stream);
    expect_events(&other, stream, 0, 2);
    ws_expect_nothing(&ws); /* the client has seen nothing of it */
    fake_emit(&other, 0, "/", "red", NULL, 0, "[\"still in\"]", NULL);
    ws_expect(&ws, "42[\"still in\"]");
    EXPECT_EQ(clr_worker_sessions(other.w), 1);
    EXPECT_EQ(clr_worker_sockets(other.w), 1);
    close_all(&ws);
}

TEST(events_that_were_never_begun_are_delivered_and_no_others)
{
    open_both(6);
    ws_t ws = {0};
    uint64_t stream = ws_join(&ws, &worker, "/", NULL);
    send_events(&ws, 0, 8); /* five go out, three wait for credit */
    expect_events(&worker, stream, 0, 5);
    fake_begin(&worker, 1 + 2);
    fake_credit(&worker, 2); /* for the CONNECT and event 0: 5 and 6 go out */
    expect_events(&worker, stream, 5, 7);
    fake_begin(&worker, 1); /* event 2, of which no credit tells */
    fake_close(&worker);
    expect_resume(&other, stream);
    send_events(&ws, 8, 10);
    fake_expect_nothing(&other);
    fake_simple(&other, CLR_FRAME_SIO_ACCEPT, stream);
    expect_events(&other, stream, 3, 10);
    fake_expect_nothing(&other);
    close_all(&ws);
}

TEST(a_second_death_keeps_the_order)
{
    open_both(1000);
    ws_t ws = {0};
    uint64_t stream = ws_join(&ws, &worker, "/", NULL);
    send_events(&ws, 0, 3);
    expect_events(&worker, stream, 0, 3);
    fake_begin(&worker, 2);
    fake_close(&worker);
    expect_resume(&other, stream);
    send_events(&ws, 3, 5); /* held: the connect handler does not end */
    fake_begin(&other, 1);
    fake_close(&other);
    fake_open(&worker, 3, SOCKETIO_SERVER, 1000);
    expect_resume(&worker, stream);
    fake_simple(&worker, CLR_FRAME_SIO_ACCEPT, stream);
    expect_events(&worker, stream, 1, 5);
    ws_close(&ws);
    fake_close(&worker);
    fixture_close();
}

TEST(attachments_may_come_after_the_death)
{
    open_both(1000);
    ws_t ws = {0};
    uint64_t stream = ws_join(&ws, &worker, "/", NULL);
    ws_text(&ws, "451-[\"e\",{\"_placeholder\":true,\"num\":0}]");
    fake_expect_nothing(&worker);
    fake_begin(&worker, 1);
    fake_close(&worker);
    expect_resume(&other, stream);
    fake_simple(&other, CLR_FRAME_SIO_ACCEPT, stream);
    ws_binary(&ws, "bytes");
    clr_frame_t frame = fake_expect(&other, CLR_FRAME_SIO_EVENT);
    clr_reader_t r = clr_reader(frame.payload);
    clr_read_u64(&r);
    clr_data_t data = clr_read_data(&r);
    EXPECT_EQ(data.attachments.count, 1);
    close_all(&ws);
}

TEST(a_socket_that_the_new_worker_refuses_is_disconnected)
{
    open_both(1000);
    ws_t ws = {0};
    uint64_t stream = ws_join(&ws, &worker, "/", NULL);
    fake_close(&worker);
    expect_resume(&other, stream);
    fake_text(&other, CLR_FRAME_SIO_REFUSE, 0, stream, "{\"message\":\"no\"}");
    ws_expect(&ws, "41");
    fake_expect_nothing(&other);
    EXPECT(session_of(&ws) != NULL);
    close_all(&ws);
}

TEST(all_namespaces_move_and_events_wait_for_all)
{
    open_both(1000);
    ws_t ws = {0};
    uint64_t first = ws_join(&ws, &worker, "/", NULL);
    uint64_t second = ws_join(&ws, &worker, "/b", NULL);
    fake_close(&worker);
    resume_t got = expect_resume(&other, 0);
    expect_resume(&other, 0);
    EXPECT(strcmp(got.nsp, "/") == 0 || strcmp(got.nsp, "/b") == 0);
    send_events(&ws, 0, 1);
    fake_simple(&other, CLR_FRAME_SIO_ACCEPT, first);
    fake_expect_nothing(&other);
    fake_text(&other, CLR_FRAME_SIO_REFUSE, 0, second, "{}");
    ws_expect(&ws, "41/b,");
    expect_events(&other, first, 0, 1);
    close_all(&ws);
}

TEST(a_client_that_leaves_meanwhile_is_reported_behind_its_events)
{
    open_both(1000);
    ws_t ws = {0};
    uint64_t stream = ws_join(&ws, &worker, "/", NULL);
    fake_close(&worker);
    expect_resume(&other, stream);
    send_events(&ws, 0, 1);
    ws_text(&ws, "41");
    expect_events(&other, stream, 0, 1);
    fake_expect(&other, CLR_FRAME_SIO_DISCONNECT);
    fake_simple(&other, CLR_FRAME_SIO_ACCEPT, stream); /* late */
    fake_expect_nothing(&other);
    close_all(&ws);
}

TEST(events_wait_for_a_worker_and_reading_pauses)
{
    fixture_open(false);
    fake_open(&worker, 1, SOCKETIO_SERVER, 1000);
    ws_t ws = {0};
    uint64_t stream = ws_join(&ws, &worker, "/", NULL);
    fake_close(&worker);
    LOOPBACK_UNTIL(&loop, -1, !session_of(&ws)->worker);
    int count = 0;
    for (; !session_of(&ws)->paused; count++)
        send_events(&ws, count, count + 1);
    EXPECT(count * 20 > (int)CLR_EIO_HELD_MARK / 4);
    fake_open(&other, 2, SOCKETIO_SERVER, 10000);
    expect_resume(&other, stream);
    fake_simple(&other, CLR_FRAME_SIO_ACCEPT, stream);
    expect_events(&other, stream, 0, count);
    EXPECT_EQ(session_of(&ws)->paused, 0);
    EXPECT(!session_of(&ws)->held);
    close_all(&ws);
}

TEST(an_app_may_want_its_clients_closed)
{
    static const char server[] = "{\"kind\":\"socketio\",\"path\":\"/socket.io\","
                                 "\"on_worker_loss\":\"disconnect\"}";
    fixture_open(false);
    fake_open(&worker, 1, server, 1000);
    fake_open(&other, 2, server, 1000);
    ws_t ws = {0};
    ws_join(&ws, &worker, "/", NULL);
    fake_close(&worker);
    ws_expect_close(&ws);
    fake_expect_nothing(&other);
    close_all(&ws);
}

TEST(a_client_that_kills_its_workers_is_closed)
{
    fixture_open(false);
    fake_open(&worker, 1, SOCKETIO_SERVER, 1000);
    ws_t ws = {0}, innocent = {0};
    uint64_t stream = ws_join(&ws, &worker, "/", NULL);
    uint64_t other_stream = ws_join(&innocent, &worker, "/", NULL);
    fake_begin(&worker, 2);
    fake_close(&worker);
    for (int i = 0; i < CLR_MIGRATE_STRIKES; i++) {
        fake_open(&worker, 2, SOCKETIO_SERVER, 1000);
        expect_resume(&worker, stream);
        expect_resume(&worker, other_stream);
        fake_begin(&worker, 1); /* and never answers */
        fake_close(&worker);
    }
    ws_expect_close(&ws);
    fake_open(&other, 3, SOCKETIO_SERVER, 1000);
    expect_resume(&other, other_stream);
    fake_simple(&other, CLR_FRAME_SIO_ACCEPT, other_stream);
    ws_expect_nothing(&innocent);
    ws_close(&ws);
    close_all(&innocent);
}

TEST(a_client_still_connecting_is_asked_about_again)
{
    open_both(1000);
    ws_t ws = {0};
    ws_open(&ws, "/socket.io");
    ws_text(&ws, "40");
    uint64_t stream = fake_expect(&worker, CLR_FRAME_SIO_CONNECT).stream;
    fake_begin(&worker, 1);
    fake_close(&worker);
    expect_resume(&other, stream);
    ws_expect_nothing(&ws);
    fake_simple(&other, CLR_FRAME_SIO_ACCEPT, stream);
    uint8_t first;
    EXPECT(clr_str_starts(ws_receive(&ws, &first), CLR_STR("40{\"sid\":")));
    close_all(&ws);
}

TEST(acks_for_a_dead_worker_are_dropped)
{
    open_both(1000);
    ws_t ws = {0};
    uint64_t stream = ws_join(&ws, &worker, "/", NULL);
    fake_data(&worker, CLR_FRAME_SIO_SEND, CLR_FRAME_ACK, stream, 7, "[\"question\"]");
    ws_expect(&ws, "421[\"question\"]");
    fake_close(&worker);
    expect_resume(&other, stream);
    fake_simple(&other, CLR_FRAME_SIO_ACCEPT, stream);
    ws_text(&ws, "431[\"answer\"]");
    fake_expect_nothing(&other);
    close_all(&ws);
}

TEST(polling_clients_move_too)
{
    open_both(1000);
    char sid[CLR_ID_LEN + 1];
    poll_open("/socket.io", sid);
    expect_answer(poll_post("/socket.io", sid, "40"), 200, "ok");
    uint64_t stream = fake_expect(&worker, CLR_FRAME_SIO_CONNECT).stream;
    fake_simple(&worker, CLR_FRAME_SIO_ACCEPT, stream);
    response_t r = response(poll_get("/socket.io", sid));
    EXPECT(clr_str_starts(r.body, CLR_STR("40{\"sid\"")));
    response_free(&r);
    int get = poll_get("/socket.io", sid);
    fake_close(&worker);
    expect_resume(&other, stream);
    expect_answer(poll_post("/socket.io", sid, "42[\"e\",0]"), 200, "ok");
    fake_simple(&other, CLR_FRAME_SIO_ACCEPT, stream);
    expect_events(&other, stream, 0, 1);
    fake_data(&other, CLR_FRAME_SIO_SEND, 0, stream, 0, "[\"x\"]");
    expect_answer(get, 200, "42[\"x\"]");
    fake_close(&other);
    fixture_close();
}

/* ---- EngineServer ---- */

static uint64_t expect_engine_resume(fake_t *f, const char *sid, const char *saved)
{
    clr_frame_t frame = fake_expect(f, CLR_FRAME_EIO_RESUME);
    clr_reader_t r = clr_reader(frame.payload);
    EXPECT_EQ(clr_read_u16(&r), 0);
    EXPECT_STR_C(clr_read_str(&r), sid);
    EXPECT_STR_C(clr_read_str(&r), saved);
    clr_read_request(&r);
    EXPECT_EQ(clr_reader_done(&r), 0);
    return frame.stream;
}

static uint64_t open_engine(ws_t *ws)
{
    fixture_open(false);
    fake_open(&worker, 1, ENGINEIO_SERVER, 1000);
    fake_open(&other, 2, ENGINEIO_SERVER, 1000);
    *ws = (ws_t){0};
    ws->fd = request("GET", "/engine.io" WS_URL,
                     "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
                     NULL);
    return fake_expect(&worker, CLR_FRAME_EIO_OPEN).stream;
}

static void read_open(ws_t *ws)
{
    uint8_t first;
    EXPECT(loopback_read_text(&loop, ws->fd, &ws->in, "\r\n\r\n"));
    const char *end = memmem(ws->in.p, ws->in.n, "\r\n\r\n", 4);
    clr_buf_consume(&ws->in, (size_t)(end - ws->in.p) + 4);
    copy_sid(ws_receive(ws, &first), ws->sid);
}

TEST(engine_sessions_move_with_what_was_saved)
{
    ws_t ws;
    uint64_t stream = open_engine(&ws);
    fake_simple(&worker, CLR_FRAME_EIO_ACCEPT, stream);
    read_open(&ws);
    fake_text(&worker, CLR_FRAME_SAVE, 0, stream, "kept");
    ws_text(&ws, "4one");
    fake_expect(&worker, CLR_FRAME_EIO_MESSAGE);
    ws_text(&ws, "4two");
    fake_expect(&worker, CLR_FRAME_EIO_MESSAGE);
    fake_begin(&worker, 2);
    fake_close(&worker);
    EXPECT_EQ(expect_engine_resume(&other, ws.sid, "kept"), stream);
    ws_text(&ws, "4three");
    fake_expect_nothing(&other);
    fake_simple(&other, CLR_FRAME_EIO_ACCEPT, stream);
    EXPECT_STR_C(clr_str_from(fake_expect(&other, CLR_FRAME_EIO_MESSAGE).payload, 4), "two");
    EXPECT_STR_C(clr_str_from(fake_expect(&other, CLR_FRAME_EIO_MESSAGE).payload, 4), "three");
    ws_expect_nothing(&ws);
    close_all(&ws);
}

TEST(engine_session_whose_handshake_waits_is_asked_about_again)
{
    ws_t ws;
    uint64_t stream = open_engine(&ws);
    fake_close(&worker);
    clr_frame_t frame = fake_expect(&other, CLR_FRAME_EIO_RESUME);
    EXPECT_EQ(frame.stream, stream);
    fake_simple(&other, CLR_FRAME_EIO_ACCEPT, stream);
    read_open(&ws);
    close_all(&ws);
}

TEST(engine_session_that_is_refused_after_a_move_is_closed)
{
    ws_t ws;
    uint64_t stream = open_engine(&ws);
    fake_simple(&worker, CLR_FRAME_EIO_ACCEPT, stream);
    read_open(&ws);
    fake_close(&worker);
    expect_engine_resume(&other, ws.sid, "");
    fake_text(&other, CLR_FRAME_EIO_REFUSE, 0, stream, "\"no\"");
    ws_expect_close(&ws);
    fake_expect_nothing(&other);
    close_all(&ws);
}

TEST_MAIN(T(clients_of_a_dead_worker_go_on_with_another),
          T(events_that_were_never_begun_are_delivered_and_no_others),
          T(a_second_death_keeps_the_order), T(attachments_may_come_after_the_death),
          T(a_socket_that_the_new_worker_refuses_is_disconnected),
          T(all_namespaces_move_and_events_wait_for_all),
          T(a_client_that_leaves_meanwhile_is_reported_behind_its_events),
          T(events_wait_for_a_worker_and_reading_pauses), T(an_app_may_want_its_clients_closed),
          T(a_client_that_kills_its_workers_is_closed),
          T(a_client_still_connecting_is_asked_about_again), T(acks_for_a_dead_worker_are_dropped),
          T(polling_clients_move_too), T(engine_sessions_move_with_what_was_saved),
          T(engine_session_whose_handshake_waits_is_asked_about_again),
          T(engine_session_that_is_refused_after_a_move_is_closed))
