/* Socket.IO clients: connecting, events, acks, what breaks the rules. */
#include "gateway/sio_client.h"

#include "sio_fixture.h"

/* ---- connecting ---- */

TEST(connect_asks_the_worker_and_replies)
{
    setup(SOCKETIO_SERVER);
    ws_t ws;
    ws_open(&ws, "/socket.io");
    ws_text(&ws, "40/custom,{\"token\":\"abc\"}");
    clr_frame_t frame = fake_expect(&worker, CLR_FRAME_SIO_CONNECT);
    uint64_t stream = frame.stream;
    clr_reader_t r = clr_reader(frame.payload);
    EXPECT_EQ(clr_read_u16(&r), 0);
    EXPECT_STR_C(clr_read_str(&r), ws.sid);
    char expected[100];
    snprintf(expected, sizeof(expected), "40/custom,{\"sid\":\"%.*s\"}", CLR_ID_LEN,
             clr_read_str(&r).p);
    EXPECT_STR_C(clr_read_str(&r), "/custom");
    EXPECT_STR_C(clr_read_str(&r), "{\"token\":\"abc\"}");
    clr_request_head_t head = clr_read_request(&r);
    EXPECT_EQ(clr_reader_done(&r), 0);
    EXPECT_EQ(head.transport, CLR_TRANSPORT_WEBSOCKET);
    EXPECT_STR_C(head.target, "/socket.io" WS_URL);
    EXPECT_STR_C(head.peer_host, "127.0.0.1");
    fake_simple(&worker, CLR_FRAME_SIO_ACCEPT, stream);
    ws_expect(&ws, expected);
    ws_close(&ws);
    expect_disconnect(stream, CLR_REASON_TRANSPORT_CLOSE);
    EXPECT_EQ(clr_worker_sockets(worker.w), 0);
    teardown();
}

TEST(connect_refused_leaves_the_session_open)
{
    setup(SOCKETIO_SERVER);
    ws_t ws;
    ws_open(&ws, "/socket.io");
    ws_text(&ws, "40/random");
    uint64_t stream = fake_expect(&worker, CLR_FRAME_SIO_CONNECT).stream;
    fake_emit(&worker, 0, "/random", NULL, NULL, 0, "[\"dropped\"]", NULL);
    fake_text(&worker, CLR_FRAME_SIO_REFUSE, 0, stream, "{\"message\":\"Invalid namespace\"}");
    ws_expect(&ws, "44/random,{\"message\":\"Invalid namespace\"}");
    fake_simple(&worker, CLR_FRAME_SIO_ACCEPT, stream); /* too late */
    ws_join(&ws, &worker, "/", NULL);
    ws_expect_nothing(&ws);
    ws_close(&ws);
    teardown();
}

TEST(connect_holds_what_is_emitted_before_the_reply)
{
    setup(SOCKETIO_SERVER);
    ws_t ws;
    ws_open(&ws, "/socket.io");
    ws_text(&ws, "40");
    uint64_t stream = fake_expect(&worker, CLR_FRAME_SIO_CONNECT).stream;
    fake_data(&worker, CLR_FRAME_SIO_SEND, 0, stream, 0, "[\"auth\",{}]");
    fake_emit(&worker, 0, "/", NULL, NULL, 0, "[\"all\",{\"_placeholder\":true,\"num\":0}]", "raw");
    fake_text(&worker, CLR_FRAME_SIO_JOIN, 0, stream, "room");
    fake_emit(&worker, 0, "/", "room", NULL, 0, "[\"room\"]", NULL);
    fake_data(&worker, CLR_FRAME_SIO_SEND, CLR_FRAME_VOLATILE, stream, 0, "[\"volatile\"]");
    fake_data(&worker, CLR_FRAME_SIO_SEND, CLR_FRAME_ACK, stream, 99, "[\"ask\"]");
    ws_expect_nothing(&ws);
    fake_simple(&worker, CLR_FRAME_SIO_ACCEPT, stream);
    uint8_t first;
    EXPECT(clr_str_starts(ws_receive(&ws, &first), CLR_STR("40{\"sid\":\"")));
    ws_expect(&ws, "42[\"auth\",{}]");
    ws_expect(&ws, "451-[\"all\",{\"_placeholder\":true,\"num\":0}]");
    ws_expect_binary(&ws, "raw");
    ws_expect(&ws, "42[\"room\"]");
    ws_expect(&ws, "421[\"ask\"]");
    ws_text(&ws, "431[\"yes\"]");
    expect_data(CLR_FRAME_SIO_ACK, stream, 99, "[\"yes\"]", NULL);
    ws_close(&ws);
    teardown();
}

TEST(connect_over_polling_replies_in_the_next_get)
{
    setup(SOCKETIO_SERVER);
    char sid[CLR_ID_LEN + 1];
    poll_open("/socket.io", sid);
    expect_answer(poll_post("/socket.io", sid, "40"), 200, "ok");
    clr_frame_t frame = fake_expect(&worker, CLR_FRAME_SIO_CONNECT);
    uint64_t stream = frame.stream;
    fake_data(&worker, CLR_FRAME_SIO_SEND, 0, stream, 0, "[\"auth\"]");
    fake_simple(&worker, CLR_FRAME_SIO_ACCEPT, stream);
    fake_emit(&worker, 0, "/", NULL, NULL, 0, "[\"b\",{\"_placeholder\":true,\"num\":0}]", "raw");
    response_t r = response(poll_get("/socket.io", sid));
    EXPECT(clr_str_starts(r.body, CLR_STR("40{\"sid\":\"")));
    const char *rest = "\x1e"
                       "42[\"auth\"]\x1e"
                       "451-[\"b\",{\"_placeholder\":true,\"num\":0}]\x1e"
                       "bcmF3";
    EXPECT(memmem(r.body.p, r.body.n, rest, strlen(rest)) != NULL);
    response_free(&r);
    teardown();
}

TEST(connect_again_after_a_disconnect_gives_a_new_id)
{
    setup(SOCKETIO_SERVER);
    ws_t ws = {0};
    char one[CLR_ID_LEN + 1], two[CLR_ID_LEN + 1];
    uint64_t stream = ws_join(&ws, &worker, "/", one);
    ws_text(&ws, "41");
    expect_disconnect(stream, CLR_REASON_CLIENT_DISCONNECT);
    ws_expect_nothing(&ws); /* no reply, and not closed */
    EXPECT(ws_join(&ws, &worker, "/", two) != stream);
    EXPECT(strcmp(one, two) != 0);
    ws_close(&ws);
    teardown();
}

TEST(connect_given_up_before_the_answer)
{
    setup(SOCKETIO_SERVER);
    ws_t ws;
    ws_open(&ws, "/socket.io");
    ws_text(&ws, "40");
    uint64_t stream = fake_expect(&worker, CLR_FRAME_SIO_CONNECT).stream;
    ws_close(&ws);
    expect_disconnect(stream, CLR_REASON_TRANSPORT_CLOSE);
    fake_simple(&worker, CLR_FRAME_SIO_ACCEPT, stream);
    fake_data(&worker, CLR_FRAME_SIO_SEND, 0, stream, 0, "[\"late\"]");
    fake_expect_nothing(&worker);
    EXPECT(!worker.gone);
    teardown();
}

TEST(connect_to_too_many_namespaces_is_refused)
{
    setup(SOCKETIO_SERVER);
    ws_t ws = {0};
    char nsp[20];
    for (int i = 0; i < CLR_SIO_MAX_SOCKETS; i++) {
        snprintf(nsp, sizeof(nsp), "/n%d", i);
        ws_join(&ws, &worker, nsp, NULL);
    }
    ws_text(&ws, "40/more,");
    ws_expect(&ws, "44/more,{\"message\":\"Too many namespaces\"}");
    ws_close(&ws);
    teardown();
}

TEST(connect_to_a_namespace_of_too_long_a_name_closes)
{
    setup(SOCKETIO_SERVER);
    ws_t ws;
    char packet[CLR_SIO_MAX_NSP_NAME + 20];
    memset(packet, 'n', sizeof(packet) - 1);
    memcpy(packet, "40/", 3);
    packet[sizeof(packet) - 1] = '\0';
    ws_open(&ws, "/socket.io");
    ws_text(&ws, packet);
    ws_expect_close(&ws);
    ws_close(&ws);
    teardown();
}

TEST(connect_holds_no_more_than_max_buffered)
{
    fixture_defaults();
    options.max_buffered = 1000;
    setup(SOCKETIO_SERVER);
    ws_t ws;
    ws_open(&ws, "/socket.io");
    ws_text(&ws, "40");
    uint64_t stream = fake_expect(&worker, CLR_FRAME_SIO_CONNECT).stream;
    for (int i = 0; i < 200; i++)
        fake_data(&worker, CLR_FRAME_SIO_SEND, 0, stream, 0, "[\"far too much\"]");
    expect_disconnect(stream, CLR_REASON_TRANSPORT_ERROR);
    ws_expect_close(&ws);
    ws_close(&ws);
    teardown();
}

/* ---- events and acks ---- */

TEST(events_cross_as_they_are)
{
    setup(SOCKETIO_SERVER);
    ws_t ws = {0};
    uint64_t stream = ws_join(&ws, &worker, "/", NULL);
    ws_text(&ws, "42[\"message\",1,\"2\",{\"3\":[true]}]");
    expect_data(CLR_FRAME_SIO_EVENT, stream, CLR_NO_ACK, "[\"message\",1,\"2\",{\"3\":[true]}]",
                NULL);
    ws_text(&ws, "420[\"zero\",12345678901234567890,1.0]");
    expect_data(CLR_FRAME_SIO_EVENT, stream, 0, "[\"zero\",12345678901234567890,1.0]", NULL);
    fake_data(&worker, CLR_FRAME_SIO_SEND, 0, stream, 0, "[\"back\",1]");
    ws_expect(&ws, "42[\"back\",1]");
    fake_data(&worker, CLR_FRAME_SIO_ACK_REPLY, 0, stream, 456, "[1,\"2\"]");
    ws_expect(&ws, "43456[1,\"2\"]");
    ws_close(&ws);
    teardown();
}

TEST(events_with_attachments_wait_for_all_of_them)
{
    setup(SOCKETIO_SERVER);
    ws_t ws = {0};
    uint64_t stream = ws_join(&ws, &worker, "/custom", NULL);
    const char *json =
        "[\"f\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]";
    char packet[200];
    snprintf(packet, sizeof(packet), "452-/custom,7%s", json);
    ws_text(&ws, packet);
    ws_binary(&ws, "\x01\x02\x03");
    ws_text(&ws, "3"); /* of Engine.IO: may come in between */
    fake_expect_nothing(&worker);
    ws_binary(&ws, "\x04\x05\x06");
    expect_data(CLR_FRAME_SIO_EVENT, stream, 7, json, "\x01\x02\x03,\x04\x05\x06");

    size_t at = clr_frame_begin(&worker.out, CLR_FRAME_SIO_ACK_REPLY, 0, stream);
    clr_str_t items[] = {CLR_STR_INIT("ab"), CLR_STR_INIT("cd")};
    clr_buf_append_le(&worker.out, 7, 8);
    clr_write_data(&worker.out, CLR_STR("[1]"), items, 2);
    clr_frame_end(&worker.out, at);
    fake_flush(&worker);
    ws_expect(&ws, "462-/custom,7[1]");
    ws_expect_binary(&ws, "ab");
    ws_expect_binary(&ws, "cd");
    ws_close(&ws);
    teardown();
}

TEST(attachments_of_a_socket_that_went_are_dropped)
{
    setup(SOCKETIO_SERVER);
    ws_t ws = {0};
    uint64_t stream = ws_join(&ws, &worker, "/", NULL);
    ws_text(&ws, "451-[\"f\",{\"_placeholder\":true,\"num\":0}]");
    ws_expect_nothing(&ws);
    fake_simple(&worker, CLR_FRAME_SIO_KICK, stream);
    ws_expect(&ws, "41");
    expect_disconnect(stream, CLR_REASON_SERVER_DISCONNECT);
    ws_binary(&ws, "late");
    fake_expect_nothing(&worker);
    ws_join(&ws, &worker, "/", NULL); /* the session is fine */
    ws_close(&ws);
    teardown();
}

TEST(acks_find_the_emit_they_answer)
{
    setup(SOCKETIO_SERVER);
    ws_t ws = {0};
    uint64_t stream = ws_join(&ws, &worker, "/", NULL);
    for (int i = 0; i < 20; i++)
        fake_data(&worker, CLR_FRAME_SIO_SEND, CLR_FRAME_ACK, stream, 1000 + i, "[\"q\"]");
    for (int i = 1; i <= 20; i++) {
        char text[20];
        snprintf(text, sizeof(text), "42%d[\"q\"]", i);
        ws_expect(&ws, text);
    }
    static const int order[] = {5, 1, 20, 19, 2, 3, 4, 7, 6};
    for (size_t i = 0; i < clr_array_len(order); i++) {
        char text[20];
        snprintf(text, sizeof(text), "43%d[]", order[i]);
        ws_text(&ws, text);
        expect_data(CLR_FRAME_SIO_ACK, stream, (uint64_t)(999 + order[i]), "[]", NULL);
    }
    ws_text(&ws, "435[]"); /* once only */
    ws_text(&ws, "430[]"); /* never asked */
    ws_text(&ws, "43999[]");
    ws_text(&ws, "461-21[{\"_placeholder\":true,\"num\":0}]");
    ws_binary(&ws, "x");
    fake_expect_nothing(&worker);
    ws_text(&ws, "461-8[{\"_placeholder\":true,\"num\":0}]");
    ws_binary(&ws, "bytes");
    expect_data(CLR_FRAME_SIO_ACK, stream, 1007, "[{\"_placeholder\":true,\"num\":0}]", "bytes");
    ws_close(&ws);
    teardown();
}

TEST(acks_may_be_pending_for_long_while_others_come)
{
    setup(SOCKETIO_SERVER);
    ws_t ws = {0};
    uint64_t stream = ws_join(&ws, &worker, "/", NULL);
    for (int i = 1; i <= 60; i++) {
        char text[20];
        fake_data(&worker, CLR_FRAME_SIO_SEND, CLR_FRAME_ACK, stream, 1000 + (uint64_t)i, "[1]");
        snprintf(text, sizeof(text), "42%d[1]", i);
        ws_expect(&ws, text);
        if (i <= 3)
            continue; /* three are always pending */
        snprintf(text, sizeof(text), "43%d[]", i - 3);
        ws_text(&ws, text);
        expect_data(CLR_FRAME_SIO_ACK, stream, 1000 + (uint64_t)i - 3, "[]", NULL);
    }
    ws_close(&ws);
    teardown();
}

TEST(binary_answers_over_polling_come_in_one_payload)
{
    setup(SOCKETIO_SERVER);
    char sid[CLR_ID_LEN + 1];
    poll_open("/socket.io", sid);
    expect_answer(poll_post("/socket.io", sid, "40"), 200, "ok");
    uint64_t stream = fake_expect(&worker, CLR_FRAME_SIO_CONNECT).stream;
    fake_simple(&worker, CLR_FRAME_SIO_ACCEPT, stream);
    expect_answer(poll_get("/socket.io", sid), 200, NULL);
    const char *json = "[\"f\",{\"_placeholder\":true,\"num\":0}]";
    char body[100];
    snprintf(body, sizeof(body),
             "451-5%s\x1e"
             "bcmF3",
             json);
    expect_answer(poll_post("/socket.io", sid, body), 200, "ok");
    expect_data(CLR_FRAME_SIO_EVENT, stream, 5, json, "raw");
    size_t at = clr_frame_begin(&worker.out, CLR_FRAME_SIO_ACK_REPLY, 0, stream);
    clr_str_t item = CLR_STR_INIT("raw");
    clr_buf_append_le(&worker.out, 5, 8);
    clr_write_data(&worker.out, CLR_STR("[{\"_placeholder\":true,\"num\":0}]"), &item, 1);
    clr_frame_end(&worker.out, at);
    fake_flush(&worker);
    expect_answer(poll_get("/socket.io", sid), 200,
                  "461-5[{\"_placeholder\":true,\"num\":0}]\x1e"
                  "bcmF3");
    teardown();
}

TEST(acks_that_never_come_end_the_session)
{
    setup(SOCKETIO_SERVER);
    ws_t ws = {0};
    uint64_t stream = ws_join(&ws, &worker, "/", NULL);
    for (int i = 0; i <= CLR_SIO_MAX_ACKS; i++) {
        size_t at = clr_frame_begin(&worker.out, CLR_FRAME_SIO_SEND, CLR_FRAME_ACK, stream);
        clr_buf_append_le(&worker.out, 1, 8);
        clr_write_data(&worker.out, CLR_STR("[1]"), NULL, 0);
        clr_frame_end(&worker.out, at);
    }
    fake_flush(&worker);
    expect_disconnect(stream, CLR_REASON_TRANSPORT_ERROR);
    ws_close(&ws);
    teardown();
}

/* ---- what breaks the rules ---- */

static void expect_violation(const char *packet, bool joined)
{
    setup(SOCKETIO_SERVER);
    ws_t ws = {0};
    uint64_t stream = 0;
    if (joined)
        stream = ws_join(&ws, &worker, "/", NULL);
    else
        ws_open(&ws, "/socket.io");
    if (packet[0] == 'b')
        ws_binary(&ws, packet);
    else
        ws_text(&ws, packet);
    ws_expect_close(&ws);
    if (joined)
        expect_disconnect(stream, CLR_REASON_SERVER_DISCONNECT);
    EXPECT_EQ(clr_eio_servers_session_count(&gw), 0);
    ws_close(&ws);
    teardown();
}

TEST(packets_that_break_the_rules_close_at_once)
{
    static const char *const packets[] = {
        "4abc",
        "4",
        "47",
        "42{}",
        "42[]",
        "42[null]",
        "42abc[]",
        "42[\"a\"",
        "42[\"connect\"]",
        "40",
        "40[]",
        "40null",
        "41{}",
        "44{}",
        "42/other,[\"a\"]",
        "43[]",
        "43/x,1[]",
        "45-[\"a\"]",
        "450-[\"a\"]",
        "b binary",
        "451-[\"a\",{\"_placeholder\":true,\"num\":1}]",
        "42[\"disconnect\"]",
    };
    for (size_t i = 0; i < clr_array_len(packets); i++)
        expect_violation(packets[i], true);
}

TEST(packets_before_a_connect_close_at_once)
{
    static const char *const packets[] = {"4abc", "42[\"a\"]", "41", "431[]",
                                          "451-[\"a\",{\"_placeholder\":true,\"num\":0}]"};
    for (size_t i = 0; i < clr_array_len(packets); i++)
        expect_violation(packets[i], false);
}

TEST(text_instead_of_an_attachment_closes)
{
    setup(SOCKETIO_SERVER);
    ws_t ws = {0};
    uint64_t stream = ws_join(&ws, &worker, "/", NULL);
    ws_text(&ws, "451-[\"f\",{\"_placeholder\":true,\"num\":0}]");
    ws_text(&ws, "42[\"a\"]");
    ws_expect_close(&ws);
    expect_disconnect(stream, CLR_REASON_SERVER_DISCONNECT);
    ws_close(&ws);
    teardown();
}

TEST(event_while_connecting_closes)
{
    setup(SOCKETIO_SERVER);
    ws_t ws;
    ws_open(&ws, "/socket.io");
    ws_text(&ws, "40");
    fake_expect(&worker, CLR_FRAME_SIO_CONNECT);
    ws_text(&ws, "42[\"early\"]");
    ws_expect_close(&ws);
    ws_close(&ws);
    teardown();
}

TEST(packets_on_their_way_to_a_kicked_socket_are_ignored)
{
    setup(SOCKETIO_SERVER);
    ws_t ws = {0};
    uint64_t stream = ws_join(&ws, &worker, "/", NULL);
    fake_simple(&worker, CLR_FRAME_SIO_KICK, stream);
    ws_expect(&ws, "41");
    expect_disconnect(stream, CLR_REASON_SERVER_DISCONNECT);
    ws_text(&ws, "42[\"late\"]");
    ws_text(&ws, "41");
    ws_text(&ws, "431[]");
    ws_expect_nothing(&ws);
    fake_expect_nothing(&worker);
    ws_close(&ws);
    teardown();
}

TEST(worker_may_abort_a_client)
{
    setup(SOCKETIO_SERVER);
    ws_t ws = {0};
    uint64_t stream = ws_join(&ws, &worker, "/", NULL);
    fake_text(&worker, CLR_FRAME_SIO_ABORT, 0, stream, "too many digits");
    ws_expect_close(&ws);
    expect_disconnect(stream, CLR_REASON_SERVER_DISCONNECT);
    ws_close(&ws);
    teardown();
}

TEST(upgrade_is_told_for_a_socket)
{
    setup(SOCKETIO_SERVER);
    char sid[CLR_ID_LEN + 1], target[200];
    poll_open("/socket.io", sid);
    expect_answer(poll_post("/socket.io", sid, "40"), 200, "ok");
    uint64_t stream = fake_expect(&worker, CLR_FRAME_SIO_CONNECT).stream;
    ws_t ws;
    snprintf(target, sizeof(target), "/socket.io" WS_URL "&sid=%s", sid);
    ws_connect(&ws, target);
    ws_text(&ws, "2probe");
    ws_expect(&ws, "3probe");
    ws_text(&ws, "5");
    EXPECT_EQ(fake_expect(&worker, CLR_FRAME_TRANSPORT).stream, stream);
    ws_text(&ws, "40/late,");
    clr_frame_t frame = fake_expect(&worker, CLR_FRAME_SIO_CONNECT);
    clr_reader_t r = clr_reader(frame.payload);
    clr_read_u16(&r);
    for (int i = 0; i < 4; i++)
        clr_read_str(&r);
    EXPECT_EQ(clr_read_request(&r).transport, CLR_TRANSPORT_WEBSOCKET);
    ws_close(&ws);
    teardown();
}

TEST_MAIN(T(connect_asks_the_worker_and_replies), T(connect_refused_leaves_the_session_open),
          T(connect_holds_what_is_emitted_before_the_reply),
          T(connect_over_polling_replies_in_the_next_get),
          T(connect_again_after_a_disconnect_gives_a_new_id), T(connect_given_up_before_the_answer),
          T(connect_to_too_many_namespaces_is_refused),
          T(connect_to_a_namespace_of_too_long_a_name_closes),
          T(connect_holds_no_more_than_max_buffered), T(events_cross_as_they_are),
          T(events_with_attachments_wait_for_all_of_them),
          T(attachments_of_a_socket_that_went_are_dropped), T(acks_find_the_emit_they_answer),
          T(acks_may_be_pending_for_long_while_others_come),
          T(binary_answers_over_polling_come_in_one_payload),
          T(acks_that_never_come_end_the_session), T(packets_that_break_the_rules_close_at_once),
          T(packets_before_a_connect_close_at_once), T(text_instead_of_an_attachment_closes),
          T(event_while_connecting_closes), T(packets_on_their_way_to_a_kicked_socket_are_ignored),
          T(worker_may_abort_a_client), T(upgrade_is_told_for_a_socket))
