/* Clients with the msgpack parser. */
#include "gateway/sio_client.h"

#include "sio_fixture.h"

static void ws_bytes(ws_t *ws, const char *bytes, size_t n)
{
    ws_send(ws, 0x82, clr_str(bytes, n));
}
#define WS_BYTES(ws, literal) ws_bytes(ws, literal, sizeof(literal) - 1)

#define MSGPACK_SERVER "{\"kind\":\"socketio\",\"path\":\"/socket.io\",\"serializer\":\"msgpack\"}"
#define EVENT_E                                                                                    \
    "\x83\xa4type\x02\xa3nsp\xa1/\xa4"                                                             \
    "data\x92\xa1"                                                                                 \
    "e"
#define NSP "\xa3nsp\xa1/"

/* A binary message that begins so; the rest is returned. */
static clr_str_t ws_expect_start(ws_t *ws, clr_str_t start)
{
    uint8_t first;
    clr_str_t got = ws_receive(ws, &first);
    EXPECT_EQ(first, 0x82);
    EXPECT(clr_str_starts(got, start));
    return clr_str_from(got, start.n);
}

TEST(msgpack_carries_whole_packets)
{
    setup(MSGPACK_SERVER);
    ws_t ws;
    ws_open(&ws, "/socket.io");
    WS_BYTES(&ws, "\x82\xa4type\x00" NSP);
    uint64_t stream = fake_expect(&worker, CLR_FRAME_SIO_CONNECT).stream;
    fake_simple(&worker, CLR_FRAME_SIO_ACCEPT, stream);
    clr_str_t rest = ws_expect_start(&ws, CLR_STR("\x83\xa4type\x00" NSP "\xa4"
                                                  "data\x81\xa3sid"));
    EXPECT_EQ(rest.n, 1 + CLR_ID_LEN + (CLR_ID_LEN > 31));

    WS_BYTES(&ws, EVENT_E "\xc4\x03raw");
    expect_data(CLR_FRAME_SIO_EVENT, stream, CLR_NO_ACK,
                "[\"e\",{\"_placeholder\":true,\"num\":0}]", "raw");
    fake_emit(&worker, 0, "/", NULL, NULL, 0, "[\"e\",{\"_placeholder\":true,\"num\":0}]", "raw");
    rest = ws_expect_start(&ws, CLR_STR(EVENT_E "\xc4\x03raw"));
    EXPECT_EQ(rest.n, 0);
    fake_data(&worker, CLR_FRAME_SIO_ACK_REPLY, 0, stream, 7, "[]");
    uint8_t first;
    clr_str_t ack = ws_receive(&ws, &first);
    EXPECT(memmem(ack.p, ack.n, "\xa2id\x07", 4) != NULL);
    fake_simple(&worker, CLR_FRAME_SIO_KICK, stream);
    rest = ws_expect_start(&ws, CLR_STR("\x82\xa4type\x01" NSP)); /* no data, not even nil */
    EXPECT_EQ(rest.n, 0);
    ws_close(&ws);
    teardown();
}

TEST(msgpack_over_polling_is_base64)
{
    setup(MSGPACK_SERVER);
    char sid[CLR_ID_LEN + 1];
    poll_open("/socket.io", sid);
    expect_answer(poll_post("/socket.io", sid, "bgqR0eXBlAKNuc3ChLw=="), 200, "ok");
    uint64_t stream = fake_expect(&worker, CLR_FRAME_SIO_CONNECT).stream;
    fake_emit(&worker, 0, "/", NULL, NULL, 0, "[\"e\",1]", NULL); /* held */
    fake_simple(&worker, CLR_FRAME_SIO_ACCEPT, stream);
    fake_emit(&worker, 0, "/", NULL, NULL, 0, "[\"e\",1]", NULL);
    response_t r = response(poll_get("/socket.io", sid));
    const char *event = "\x1e"
                        "bg6R0eXBlAqNuc3ChL6RkYXRhkqFlAQ==";
    size_t n = strlen(event);
    EXPECT(r.body.p[0] == 'b' && r.body.n > 2 * n);
    EXPECT_STR_C(clr_str_from(r.body, r.body.n - n), event);
    EXPECT_STR_C(clr_str(r.body.p + r.body.n - 2 * n, n), event);
    response_free(&r);
    teardown();
}

TEST(msgpack_violations_close_at_once)
{
    static const char *const packets[] = {"\xc1", ("\x82\xa4type\x04" NSP), "\x90"};
    for (size_t i = 0; i <= clr_array_len(packets); i++) {
        setup(MSGPACK_SERVER);
        ws_t ws;
        ws_open(&ws, "/socket.io");
        if (i < clr_array_len(packets))
            ws_binary(&ws, packets[i]);
        else
            ws_text(&ws, "40");
        ws_expect_close(&ws);
        ws_close(&ws);
        teardown();
    }
}

TEST_MAIN(T(msgpack_carries_whole_packets), T(msgpack_over_polling_is_base64),
          T(msgpack_violations_close_at_once))
