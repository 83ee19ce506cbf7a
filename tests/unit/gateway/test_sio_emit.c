#include "gateway/sio_emit.h"

#include "eio_fixture.h"

#define CLIENTS 4

static fake_t worker, other;
static ws_t clients[CLIENTS];
static uint64_t streams[CLIENTS];
static char sids[CLIENTS][CLR_ID_LEN + 1];

static void setup(void)
{
    fixture_open(false);
    fake_open(&worker, 1, SOCKETIO_SERVER, 100000);
    for (int i = 0; i < CLIENTS; i++)
        streams[i] = ws_join(&clients[i], &worker, "/", sids[i]);
}

static void teardown(void)
{
    for (int i = 0; i < CLIENTS; i++)
        ws_close(&clients[i]);
    fake_close(&worker);
    fixture_close();
}

static void join(int client, const char *room)
{
    fake_text(&worker, CLR_FRAME_SIO_JOIN, 0, streams[client], room);
}

/* Emits and checks who gets it: "0110" the second and the third client. */
static void expect_emit(const char *rooms, const char *except, const char *who)
{
    fake_emit(&worker, 0, "/", rooms, except, 0, "[\"e\"]", NULL);
    for (int i = 0; i < CLIENTS; i++) {
        if (who[i] == '1')
            ws_expect(&clients[i], "42[\"e\"]");
        ws_expect_nothing(&clients[i]); /* and once only */
    }
}

static clr_sio_nsp_t *root(void)
{
    return clr_sio_nsp_find(clr_eio_server_find(&gw, 0), CLR_STR("/"));
}

TEST(emit_reaches_the_namespace_and_no_other)
{
    setup();
    ws_t elsewhere = {0};
    ws_join(&elsewhere, &worker, "/other", NULL);
    expect_emit(NULL, NULL, "1111");
    ws_expect_nothing(&elsewhere);
    fake_emit(&worker, 0, "/other", NULL, NULL, 0, "[\"o\"]", NULL);
    ws_expect(&elsewhere, "42/other,[\"o\"]");
    fake_emit(&worker, 0, "/nobody", NULL, NULL, 0, "[\"o\"]", NULL);
    ws_close(&elsewhere);
    teardown();
}

TEST(emit_unites_rooms_and_takes_others_away)
{
    setup();
    join(0, "a");
    join(1, "a");
    join(1, "b");
    join(2, "b");
    expect_emit("a", NULL, "1100");
    expect_emit("a,b", NULL, "1110");
    expect_emit("a,b", "b", "1000");
    expect_emit(NULL, "a", "0011");
    expect_emit("unknown", NULL, "0000");
    expect_emit(sids[3], NULL, "0001");
    char list[100];
    snprintf(list, sizeof(list), "a,%s,%s", sids[3], sids[0]);
    expect_emit(list, NULL, "1101");
    expect_emit(list, sids[3], "1100");
    fake_text(&worker, CLR_FRAME_SIO_LEAVE, 0, streams[1], "a");
    expect_emit("a", NULL, "1000");
    teardown();
}

TEST(emit_to_a_room_named_like_a_socket_reaches_both)
{
    setup();
    join(1, sids[0]);
    expect_emit(sids[0], NULL, "1100");
    join(0, sids[0]); /* it is in that one anyway */
    fake_text(&worker, CLR_FRAME_SIO_LEAVE, 0, streams[0], sids[0]);
    expect_emit(sids[0], NULL, "1100");
    teardown();
}

TEST(emit_with_attachments_keeps_them_together)
{
    setup();
    fake_emit(&worker, 0, "/", NULL, NULL, 0, "[\"f\",{\"_placeholder\":true,\"num\":0}]", "raw");
    fake_emit(&worker, 0, "/", NULL, NULL, 0, "[\"next\"]", NULL);
    for (int i = 0; i < CLIENTS; i++) {
        ws_expect(&clients[i], "451-[\"f\",{\"_placeholder\":true,\"num\":0}]");
        ws_expect_binary(&clients[i], "raw");
        ws_expect(&clients[i], "42[\"next\"]");
    }
    teardown();
}

TEST(emit_with_ack_numbers_each_client_for_itself)
{
    setup();
    fake_data(&worker, CLR_FRAME_SIO_SEND, CLR_FRAME_ACK, streams[0], 1, "[\"one\"]");
    ws_expect(&clients[0], "421[\"one\"]");
    fake_emit(&worker, CLR_FRAME_ACK, "/", NULL, sids[3], 77, "[\"q\"]", NULL);
    ws_expect(&clients[0], "422[\"q\"]");
    ws_expect(&clients[1], "421[\"q\"]");
    ws_text(&clients[1], "431[true]");
    clr_frame_t frame = fake_expect(&worker, CLR_FRAME_SIO_ACK);
    clr_reader_t r = clr_reader(frame.payload);
    EXPECT_EQ(frame.stream, streams[1]);
    EXPECT_EQ(clr_read_u64(&r), 77);
    teardown();
}

TEST(emit_with_ack_is_answered_to_the_worker_that_asked)
{
    setup();
    fake_open(&other, 2, SOCKETIO_SERVER, 100);
    fake_emit(&other, CLR_FRAME_ACK, "/", sids[0], NULL, 5, "[\"q\"]", NULL);
    ws_expect(&clients[0], "421[\"q\"]");
    ws_text(&clients[0], "431[]");
    fake_expect(&other, CLR_FRAME_SIO_ACK);
    fake_emit(&other, CLR_FRAME_ACK, "/", sids[0], NULL, 6, "[\"q\"]", NULL);
    ws_expect(&clients[0], "422[\"q\"]");
    fake_close(&other);
    ws_text(&clients[0], "432[]"); /* of no interest to anyone any more */
    fake_expect_nothing(&worker);
    teardown();
}

TEST(emit_volatile_drops_what_cannot_go_now)
{
    setup();
    char sid[CLR_ID_LEN + 1];
    poll_open("/socket.io", sid);
    expect_answer(poll_post("/socket.io", sid, "40"), 200, "ok");
    uint64_t stream = fake_expect(&worker, CLR_FRAME_SIO_CONNECT).stream;
    fake_simple(&worker, CLR_FRAME_SIO_ACCEPT, stream);
    expect_answer(poll_get("/socket.io", sid), 200, NULL);
    fake_emit(&worker, CLR_FRAME_VOLATILE, "/", NULL, NULL, 0, "[\"v1\"]", NULL);
    ws_expect(&clients[0], "42[\"v1\"]");
    int get = poll_get("/socket.io", sid); /* nothing waited for it */
    fake_emit(&worker, CLR_FRAME_VOLATILE, "/", NULL, NULL, 0, "[\"v2\"]", NULL);
    expect_answer(get, 200, "42[\"v2\"]");
    teardown();
}

TEST(emit_stalled_reader_does_not_hold_others)
{
    fixture_defaults();
    options.max_buffered = 100000;
    setup();
    char sid[CLR_ID_LEN + 1], json[3000];
    poll_open("/socket.io", sid);
    expect_answer(poll_post("/socket.io", sid, "40"), 200, "ok");
    uint64_t stream = fake_expect(&worker, CLR_FRAME_SIO_CONNECT).stream;
    fake_simple(&worker, CLR_FRAME_SIO_ACCEPT, stream);
    memset(json, ' ', sizeof(json));
    memcpy(json, "[\"x\"", 4);
    strcpy(json + sizeof(json) - 2, "]");
    for (int i = 0; i < 50; i++) {
        fake_emit(&worker, 0, "/", NULL, NULL, 0, json, NULL);
        uint8_t first;
        EXPECT_EQ(ws_receive(&clients[0], &first).n, strlen(json) + 2);
    }
    clr_frame_t frame = fake_expect(&worker, CLR_FRAME_SIO_DISCONNECT);
    EXPECT_EQ(frame.stream, stream);
    EXPECT_EQ(frame.payload.p[0], CLR_REASON_TRANSPORT_ERROR);
    EXPECT_EQ(root()->count, CLIENTS);
    teardown();
}

/* ---- rooms ---- */

TEST(rooms_vanish_with_their_members)
{
    setup();
    join(0, "a");
    join(0, "a");
    join(0, "b");
    join(0, "c");
    join(1, "b");
    fake_expect_nothing(&worker);
    EXPECT_EQ(root()->rooms.count, 3);
    fake_text(&worker, CLR_FRAME_SIO_LEAVE, 0, streams[0], "a");
    fake_text(&worker, CLR_FRAME_SIO_LEAVE, 0, streams[0], "a");
    fake_expect_nothing(&worker);
    EXPECT_EQ(root()->rooms.count, 2);
    expect_emit("b", NULL, "1100");
    fake_simple(&worker, CLR_FRAME_SIO_KICK, streams[0]);
    ws_expect(&clients[0], "41");
    expect_emit("b", NULL, "0100");
    EXPECT_EQ(root()->rooms.count, 1);
    teardown();
}

TEST(rooms_match_a_model)
{
    setup();
    bool in[CLIENTS][5] = {{false}};
    uint32_t seed = 12345;
    for (int step = 0; step < 400; step++) {
        seed = seed * 1103515245 + 12345;
        int client = (int)(seed >> 16) % CLIENTS, room = (int)(seed >> 20) % 5;
        bool joins = (seed >> 28) & 1;
        char name[2] = {(char)('a' + room), '\0'};
        fake_text(&worker, joins ? CLR_FRAME_SIO_JOIN : CLR_FRAME_SIO_LEAVE, 0, streams[client],
                  name);
        in[client][room] = joins;
    }
    fake_expect_nothing(&worker);
    for (int room = 0; room < 5; room++) {
        char name[2] = {(char)('a' + room), '\0'}, who[CLIENTS + 1] = {0};
        for (int i = 0; i < CLIENTS; i++)
            who[i] = in[i][room] ? '1' : '0';
        expect_emit(name, NULL, who);
    }
    teardown();
}

static void expect_room_frame(fake_t *f, uint64_t stream, uint8_t op, const char *room)
{
    clr_frame_t frame = fake_expect(f, CLR_FRAME_SIO_ROOM);
    clr_reader_t r = clr_reader(frame.payload);
    EXPECT_EQ(frame.stream, stream);
    EXPECT_EQ(clr_read_u8(&r), op);
    EXPECT_STR_C(clr_read_str(&r), room);
    EXPECT_EQ(clr_reader_done(&r), 0);
}

static void send_remote(fake_t *f, const char *sid, uint8_t op, const char *room, uint64_t token)
{
    size_t at = clr_frame_begin(&f->out, CLR_FRAME_SIO_REMOTE, 0, 0);
    clr_buf_append_le(&f->out, 0, 2);
    clr_write_str(&f->out, CLR_STR("/"));
    clr_write_str(&f->out, clr_str_c(sid));
    clr_buf_append_le(&f->out, op, 1);
    clr_write_str(&f->out, clr_str_c(room));
    clr_buf_append_le(&f->out, token, 8);
    clr_frame_end(&f->out, at);
    fake_flush(f);
}

static void expect_reply(fake_t *f, uint64_t token, uint8_t found)
{
    clr_frame_t frame = fake_expect(f, CLR_FRAME_REPLY);
    EXPECT_EQ(frame.stream, token);
    EXPECT_EQ(frame.payload.n, 1);
    EXPECT_EQ(frame.payload.p[0], found);
}

TEST(remote_room_changes_are_told_to_the_owner)
{
    setup();
    fake_open(&other, 2, SOCKETIO_SERVER, 100);
    send_remote(&other, sids[0], CLR_ROOM_JOIN, "r", 31);
    expect_reply(&other, 31, 1);
    expect_room_frame(&worker, streams[0], CLR_ROOM_JOIN, "r");
    expect_emit("r", NULL, "1000");
    send_remote(&other, sids[0], CLR_ROOM_LEAVE, "r", 0); /* wants no reply */
    expect_room_frame(&worker, streams[0], CLR_ROOM_LEAVE, "r");
    expect_emit("r", NULL, "0000");
    send_remote(&other, "nobody", CLR_ROOM_JOIN, "r", 32);
    expect_reply(&other, 32, 0);
    send_remote(&worker, sids[0], CLR_ROOM_JOIN, "r", 33); /* its own: it knows */
    expect_reply(&worker, 33, 1);
    send_remote(&other, sids[1], CLR_ROOM_KICK, "", 34);
    expect_reply(&other, 34, 1);
    ws_expect(&clients[1], "41");
    clr_frame_t frame = fake_expect(&worker, CLR_FRAME_SIO_DISCONNECT);
    EXPECT_EQ(frame.stream, streams[1]);
    EXPECT_EQ(frame.payload.p[0], CLR_REASON_SERVER_DISCONNECT);
    fake_close(&other);
    teardown();
}

static void send_close_room(fake_t *f, const char *room)
{
    size_t at = clr_frame_begin(&f->out, CLR_FRAME_SIO_CLOSE_ROOM, 0, 0);
    clr_buf_append_le(&f->out, 0, 2);
    clr_write_str(&f->out, CLR_STR("/"));
    clr_write_str(&f->out, clr_str_c(room));
    clr_frame_end(&f->out, at);
    fake_flush(f);
}

TEST(close_room_empties_it_and_tells_other_owners)
{
    setup();
    fake_open(&other, 2, SOCKETIO_SERVER, 100);
    join(0, "r");
    join(1, "r");
    fake_expect_nothing(&worker);
    send_close_room(&other, "r");
    uint64_t a = fake_expect(&worker, CLR_FRAME_SIO_ROOM).stream;
    expect_room_frame(&worker, a == streams[0] ? streams[1] : streams[0], CLR_ROOM_LEAVE, "r");
    expect_emit("r", NULL, "0000");
    join(2, "r");
    send_close_room(&worker, "r"); /* its own sockets: it knows */
    send_close_room(&worker, "unknown");
    expect_emit("r", NULL, "0000");
    fake_expect_nothing(&worker);
    fake_close(&other);
    teardown();
}

TEST_MAIN(T(emit_reaches_the_namespace_and_no_other), T(emit_unites_rooms_and_takes_others_away),
          T(emit_to_a_room_named_like_a_socket_reaches_both),
          T(emit_with_attachments_keeps_them_together),
          T(emit_with_ack_numbers_each_client_for_itself),
          T(emit_with_ack_is_answered_to_the_worker_that_asked),
          T(emit_volatile_drops_what_cannot_go_now), T(emit_stalled_reader_does_not_hold_others),
          T(rooms_vanish_with_their_members), T(rooms_match_a_model),
          T(remote_room_changes_are_told_to_the_owner),
          T(close_room_empties_it_and_tells_other_owners))
