/* app_ws_fixture.h: a WebSocket client of the application, and what its worker is told. */
#pragma once

#include "app_fixture.h"

#define APP_UPGRADE                                                                                \
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"                   \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

/* Asks; the handshake is not answered yet. */
CLR_UNUSED static asked_t app_ws_ask(fake_t *f, ws_t *ws, const char *headers)
{
    char all[500];
    *ws = (ws_t){0};
    snprintf(all, sizeof(all), APP_UPGRADE "%s", headers);
    ws->fd = request("GET", "/chat?x=1", all, NULL);
    return app_taken(f);
}

CLR_UNUSED static void app_ws_read_accept(ws_t *ws, clr_buf_t *head)
{
    EXPECT(loopback_read_text(&loop, ws->fd, &ws->in, "\r\n\r\n"));
    EXPECT(buf_has(&ws->in, "HTTP/1.1 101 Switching Protocols\r\n"));
    const char *end = memmem(ws->in.p, ws->in.n, "\r\n\r\n", 4);
    size_t n = (size_t)(end - ws->in.p) + 4;
    if (head)
        clr_buf_append(head, ws->in.p, n);
    clr_buf_consume(&ws->in, n);
}

/* An open WebSocket; returns its stream. */
CLR_UNUSED static uint64_t app_ws_open(fake_t *f, ws_t *ws)
{
    uint64_t stream = app_ws_ask(f, ws, "").stream;
    app_accept(f, stream, "", NULL);
    app_ws_read_accept(ws, NULL);
    return stream;
}

CLR_UNUSED static void app_expect_gone(fake_t *f, uint64_t stream, uint16_t code,
                                       const char *reason)
{
    clr_frame_t frame = fake_expect(f, CLR_FRAME_WS_GONE);
    clr_reader_t r = clr_reader(frame.payload);
    EXPECT_EQ(frame.stream, stream);
    EXPECT_EQ(clr_read_u16(&r), code);
    EXPECT_STR_C(clr_read_str(&r), reason);
    EXPECT_EQ(clr_reader_done(&r), 0);
}

CLR_UNUSED static void app_ws_send_close(ws_t *ws, uint16_t code, const char *reason)
{
    char payload[125];
    payload[0] = (char)(code >> 8);
    payload[1] = (char)(code & 255);
    memcpy(payload + 2, reason, strlen(reason));
    ws_send(ws, 0x88, clr_str(payload, 2 + strlen(reason)));
}

/* The close frame that comes next. */
CLR_UNUSED static void app_ws_expect_close(ws_t *ws, uint16_t code, const char *reason)
{
    uint8_t first;
    clr_str_t payload = ws_receive(ws, &first);
    EXPECT_EQ(first, 0x88);
    EXPECT(payload.n >= 2);
    EXPECT_EQ((uint8_t)payload.p[0] << 8 | (uint8_t)payload.p[1], code);
    EXPECT_STR_C(clr_str_from(payload, 2), reason);
}

CLR_UNUSED static void app_ws_finish(fake_t *f, ws_t *ws)
{
    ws_close(ws);
    LOOPBACK_UNTIL(&loop, -1, app_count() == 0);
    app_teardown(f);
}
