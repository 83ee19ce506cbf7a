#include "gateway/ws_deflate.h"

#include "eio_fixture.h"
#include "gateway/sio_packet.h"
#include "gateway/ws_conn_internal.h"

#define MAX_MESSAGE 100000
#define OFFER(rest) "Sec-WebSocket-Extensions: permessage-deflate" rest "\r\n"

/* ---- an echo ---- */

static clr_ws_conn_t *conn;
static uint16_t close_code;
static bool by_reserve;

static void on_message(clr_ws_conn_t *ws, uint8_t opcode, clr_str_t payload)
{
    if (!by_reserve) {
        clr_ws_send(ws, opcode, payload);
        return;
    }
    memcpy(clr_ws_reserve(ws, opcode, payload.n), payload.p, payload.n);
    clr_ws_commit(ws);
}

static void on_closed(clr_ws_conn_t *ws, uint16_t code, bool clean, const char *why)
{
    (void)ws;
    EXPECT(!clean && *why);
    close_code = code;
}

static void on_head(clr_exchange_t *x)
{
    static const clr_ws_ops_t ops = {.on_message = on_message, .on_closed = on_closed};
    conn = clr_ws_upgrade(x, CLR_STR_EMPTY, MAX_MESSAGE, &ops, NULL);
    EXPECT(conn);
}

/* Connects with these headers; the answer's extensions must be `answer`, or none if that is NULL.
 */
static void client_open(ws_t *ws, const char *target, const char *headers, const char *answer)
{
    char all[500];
    snprintf(all, sizeof(all),
             "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s",
             headers);
    *ws = (ws_t){.fd = request("GET", target, all, NULL)};
    EXPECT(loopback_read_text(&loop, ws->fd, &ws->in, "\r\n\r\n"));
    EXPECT(buf_has(&ws->in, "HTTP/1.1 101 "));
    EXPECT_EQ(buf_count(&ws->in, "Sec-WebSocket-Extensions"), answer ? 1 : 0);
    if (answer)
        EXPECT(buf_has(&ws->in, answer));
    const char *end = memmem(ws->in.p, ws->in.n, "\r\n\r\n", 4);
    clr_buf_consume(&ws->in, (size_t)(end - ws->in.p) + 4);
}

#define ANSWER(rest)                                                                               \
    "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "                   \
    "client_no_context_takeover" rest "\r\n"

static void setup_gateway(bool enabled)
{
    static const clr_handler_t handler = {.on_head = on_head};
    fixture_defaults();
    options.ws_deflate = enabled;
    fixture_open(true);
    clr_router_add(&gw, CLR_STR("/ws"), &handler, &gw);
}

static void setup(ws_t *ws)
{
    setup_gateway(true);
    client_open(ws, "/ws", OFFER("; client_max_window_bits"), ANSWER(""));
}

static void teardown(ws_t *ws)
{
    ws_close(ws);
    fixture_close();
}

/* ---- the client's codec ---- */

static void fill(clr_buf_t *out, size_t n)
{
    for (size_t i = 0; out->n < n; i++)
        clr_buf_printf(out, "{\"number\":%zu,\"text\":\"a message\"},", i * i);
    out->n = n;
}

static void send_compressed(ws_t *ws, uint8_t first, clr_str_t text)
{
    clr_deflate_t *d = clr_deflate_new();
    clr_str_t encoded;
    EXPECT(clr_deflate_encode(d, 15, text, &encoded));
    ws_send(ws, first, encoded);
    clr_deflate_free(d);
}

/* The next frame is the compressed text. */
static void expect_compressed(ws_t *ws, uint8_t expected_first, clr_str_t text)
{
    uint8_t first;
    clr_deflate_t *d = clr_deflate_new();
    clr_str_t payload = ws_receive(ws, &first), decoded;
    EXPECT_EQ(first, expected_first);
    EXPECT(payload.n < text.n);
    EXPECT_EQ(clr_deflate_decode(d, payload, text.n, &decoded), 0);
    EXPECT_STR(decoded, text);
    clr_deflate_free(d);
}

static void expect_as_is(ws_t *ws, uint8_t expected_first, clr_str_t text)
{
    uint8_t first;
    clr_str_t payload = ws_receive(ws, &first);
    EXPECT_EQ(first, expected_first);
    EXPECT_STR(payload, text);
}

static void expect_closed(ws_t *ws, uint16_t code)
{
    uint8_t first;
    clr_str_t payload = ws_receive(ws, &first);
    EXPECT_EQ(first, 0x88);
    EXPECT(payload.n >= 2);
    EXPECT_EQ((uint8_t)payload.p[0] << 8 | (uint8_t)payload.p[1], code);
    EXPECT_EQ(close_code, code);
}

/* ---- the handshake ---- */

TEST(ws_deflate_is_not_negotiated_without_the_option)
{
    ws_t ws;
    setup_gateway(false);
    client_open(&ws, "/ws", OFFER(""), NULL);
    EXPECT_EQ(clr_ws_deflate_bits(conn), 0);
    ws_send(&ws, 0xc1, CLR_STR("\xf2\x48\xcd\xc9\xc9\x07\x00"));
    expect_closed(&ws, CLR_WS_PROTOCOL_ERROR);
    teardown(&ws);
}

TEST(ws_deflate_is_not_negotiated_without_an_offer)
{
    ws_t ws;
    setup_gateway(true);
    client_open(&ws, "/ws", "Sec-WebSocket-Extensions: x-webkit-deflate-frame\r\n", NULL);
    EXPECT_EQ(clr_ws_deflate_bits(conn), 0);
    ws_send(&ws, 0xc1, CLR_STR("\xf2\x48\xcd\xc9\xc9\x07\x00"));
    expect_closed(&ws, CLR_WS_PROTOCOL_ERROR);
    teardown(&ws);
}

TEST(ws_deflate_takes_the_offer_from_any_header)
{
    ws_t ws;
    setup_gateway(true);
    client_open(&ws, "/ws",
                "Sec-WebSocket-Extensions: something-else\r\n" OFFER("; wrong")
                    OFFER("; server_max_window_bits=10") OFFER(""),
                ANSWER("; server_max_window_bits=10"));
    EXPECT_EQ(clr_ws_deflate_bits(conn), 10);
    teardown(&ws);
}

/* ---- messages ---- */

static void expect_echoes(void)
{
    ws_t ws;
    clr_buf_t text = {0};
    setup(&ws);
    for (size_t n = 5000; n < 90000; n *= 4) {
        clr_buf_clear(&text);
        fill(&text, n);
        send_compressed(&ws, 0xc1, clr_buf_str(&text));
        expect_compressed(&ws, 0xc1, clr_buf_str(&text));
        send_compressed(&ws, 0xc2, clr_buf_str(&text));
        expect_compressed(&ws, 0xc2, clr_buf_str(&text));
        ws_send(&ws, 0x81, clr_buf_str(&text));
        expect_compressed(&ws, 0xc1, clr_buf_str(&text));
    }
    clr_str_t small = clr_str(text.p, CLR_DEFLATE_LEAST - 1);
    ws_send(&ws, 0x81, small);
    expect_as_is(&ws, 0x81, small);
    ws_send(&ws, 0xc1, CLR_STR("\xf2\x48\xcd\xc9\xc9\x07\x00"));
    expect_as_is(&ws, 0x81, CLR_STR("Hello"));
    ws_send(&ws, 0xc1, CLR_STR_EMPTY);
    expect_as_is(&ws, 0x81, CLR_STR_EMPTY);
    ws_send(&ws, 0x89, CLR_STR("ping"));
    expect_as_is(&ws, 0x8a, CLR_STR("ping"));
    EXPECT(!conn->parser); /* nothing is kept */
    clr_buf_deinit(&text);
    teardown(&ws);
}

TEST(ws_deflate_echo)
{
    expect_echoes();
}

TEST(ws_deflate_echo_of_what_the_owner_writes)
{
    by_reserve = true;
    expect_echoes();
}

TEST(ws_deflate_noise_goes_as_it_is)
{
    ws_t ws;
    clr_buf_t noise = {0};
    uint64_t seed = 1;
    setup(&ws);
    while (noise.n < 5000)
        clr_buf_putc(&noise, (char)test_random(&seed));
    ws_send(&ws, 0x82, clr_buf_str(&noise));
    expect_as_is(&ws, 0x82, clr_buf_str(&noise));
    by_reserve = true;
    ws_send(&ws, 0x82, clr_buf_str(&noise));
    expect_as_is(&ws, 0x82, clr_buf_str(&noise));
    clr_buf_deinit(&noise);
    teardown(&ws);
}

TEST(ws_deflate_a_parser_that_served_a_compressed_connection_serves_others)
{
    ws_t ws, plain;
    clr_buf_t text = {0};
    setup(&ws);
    fill(&text, 3000);
    send_compressed(&ws, 0xc1, clr_buf_str(&text));
    expect_compressed(&ws, 0xc1, clr_buf_str(&text));
    client_open(&plain, "/ws", "", NULL);
    send_compressed(&plain, 0xc1, clr_buf_str(&text));
    expect_closed(&plain, CLR_WS_PROTOCOL_ERROR);
    clr_buf_deinit(&text);
    ws_close(&plain);
    teardown(&ws);
}

TEST(ws_deflate_corrupt_message)
{
    ws_t ws;
    setup(&ws);
    ws_send(&ws, 0xc1, CLR_STR("not compressed"));
    expect_closed(&ws, CLR_WS_BAD_DATA);
    teardown(&ws);
}

TEST(ws_deflate_bomb)
{
    ws_t ws;
    clr_buf_t zeros = {0};
    setup(&ws);
    memset(clr_buf_reserve(&zeros, 1000000), 0, 1000000);
    zeros.n = 1000000;
    send_compressed(&ws, 0xc2, clr_buf_str(&zeros));
    expect_closed(&ws, CLR_WS_TOO_BIG);
    clr_buf_deinit(&zeros);
    teardown(&ws);
}

TEST(ws_deflate_nothing_follows_a_close_frame)
{
    ws_t ws;
    clr_buf_t text = {0};
    setup(&ws);
    fill(&text, 3000);
    clr_ws_close(conn, 1000, CLR_STR_EMPTY);
    clr_ws_send(conn, CLR_WS_TEXT, clr_buf_str(&text));
    memcpy(clr_ws_reserve(conn, CLR_WS_TEXT, text.n), text.p, text.n);
    clr_ws_commit(conn);
    expect_as_is(&ws, 0x88, CLR_STR("\x03\xe8"));
    ws_expect_nothing(&ws);
    clr_buf_deinit(&text);
    teardown(&ws);
}

/* ---- broadcasts ---- */

#define CLIENTS 5
static fake_t worker;
static ws_t clients[CLIENTS]; /* windows of 15, 15, 10 and 10 bits, and one without */

static void setup_clients(void)
{
    static const char *const offers[CLIENTS] = {OFFER("; client_max_window_bits"), OFFER(""),
                                                OFFER("; server_max_window_bits=10"),
                                                OFFER("; server_max_window_bits=10"), ""};
    static const char *const answers[CLIENTS] = {ANSWER(""), ANSWER(""),
                                                 ANSWER("; server_max_window_bits=10"),
                                                 ANSWER("; server_max_window_bits=10"), NULL};
    fixture_defaults();
    options.ws_deflate = true;
    fixture_open(false);
    fake_open(&worker, 1, SOCKETIO_SERVER, 100000);
    for (int i = 0; i < CLIENTS; i++) {
        uint8_t first;
        client_open(&clients[i], "/socket.io" WS_URL, offers[i], answers[i]);
        copy_sid(ws_receive(&clients[i], &first), clients[i].sid);
        ws_join(&clients[i], &worker, "/", NULL);
    }
}

static void teardown_clients(void)
{
    for (int i = 0; i < CLIENTS; i++)
        ws_close(&clients[i]);
    fake_close(&worker);
    fixture_close();
}

/* ["…"], as large as that. */
static void fill_json(clr_buf_t *out, size_t n)
{
    clr_buf_append_str(out, CLR_STR("42[\""));
    while (out->n < n)
        clr_buf_printf(out, "event %zu ", out->n);
    clr_buf_append_str(out, CLR_STR("\"]"));
    clr_buf_putc(out, '\0');
    out->n--;
}

TEST(ws_deflate_broadcast)
{
    clr_buf_t packet = {0};
    setup_clients();
    fill_json(&packet, 20000);
    fake_emit(&worker, 0, "/", NULL, NULL, 0, packet.p + 2, NULL);
    fake_emit(&worker, 0, "/", NULL, NULL, 0, "[\"small\"]", NULL);
    for (int i = 0; i < 4; i++)
        expect_compressed(&clients[i], 0xc1, clr_buf_str(&packet));
    ws_expect(&clients[4], packet.p);
    for (int i = 0; i < CLIENTS; i++)
        ws_expect(&clients[i], "42[\"small\"]");
    clr_buf_deinit(&packet);
    teardown_clients();
}

/* Each frame of a packet for itself: a small one is left as it is. */
TEST(ws_deflate_broadcast_with_an_attachment)
{
    clr_buf_t packet = {0};
    setup_clients();
    fill_json(&packet, 70000);
    const char *json = "[\"f\",{\"_placeholder\":true,\"num\":0}]";
    fake_emit(&worker, 0, "/", NULL, NULL, 0, json, packet.p);
    for (int i = 0; i < CLIENTS; i++) {
        ws_expect(&clients[i], "451-[\"f\",{\"_placeholder\":true,\"num\":0}]");
        if (i < 4)
            expect_compressed(&clients[i], 0xc2, clr_buf_str(&packet));
        else
            ws_expect_binary(&clients[i], packet.p);
    }
    clr_buf_deinit(&packet);
    teardown_clients();
}

TEST(ws_deflate_broadcast_is_compressed_once_for_a_window)
{
    clr_buf_t json = {0};
    setup_clients();
    fill_json(&json, 5000);
    clr_eio_server_t *server = clr_eio_server_find(&gw, 0);
    clr_data_t data = {.json = clr_str_from(clr_buf_str(&json), 2)};
    clr_sio_packet_out_t packet;
    clr_sio_packet_out_init(&packet, server, CLR_SIO_EVENT, CLR_STR("/"), &data);
    for (int i = 0; i < CLIENTS; i++)
        clr_sio_packet_out_share(&packet,
                                 clr_eio_session_find(server, clr_str(clients[i].sid, CLR_ID_LEN)));
    size_t made = 0;
    for (size_t i = 0; i < clr_array_len(packet.deflated); i++) {
        made += packet.deflated[i] != NULL;
        if (packet.deflated[i]) /* two queues and the packet */
            EXPECT_EQ(packet.deflated[i]->refs_, 3);
    }
    EXPECT_EQ(made, 2);
    EXPECT_EQ(packet.frames->refs_, 2);
    clr_sio_packet_out_deinit(&packet);
    for (int i = 0; i < 4; i++)
        expect_compressed(&clients[i], 0xc1, clr_buf_str(&json));
    clr_buf_deinit(&json);
    teardown_clients();
}

TEST_MAIN(T(ws_deflate_is_not_negotiated_without_the_option),
          T(ws_deflate_is_not_negotiated_without_an_offer),
          T(ws_deflate_takes_the_offer_from_any_header), T(ws_deflate_echo),
          T(ws_deflate_echo_of_what_the_owner_writes), T(ws_deflate_noise_goes_as_it_is),
          T(ws_deflate_a_parser_that_served_a_compressed_connection_serves_others),
          T(ws_deflate_corrupt_message), T(ws_deflate_bomb),
          T(ws_deflate_nothing_follows_a_close_frame), T(ws_deflate_broadcast),
          T(ws_deflate_broadcast_with_an_attachment),
          T(ws_deflate_broadcast_is_compressed_once_for_a_window))
