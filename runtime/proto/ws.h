/* ws.h: WebSocket (RFC 6455), bytes in and messages out, over wslay's frame layer.
 *
 * The parser reassembles fragmented messages, checks UTF-8, masks, reserved bits and lengths. It is
 * needed only while a frame or message is partial: clr_ws_parser_is_idle() says that it may serve
 * another connection, which is how idle connections go without one (gateway/ws_conn.c).
 *
 * Threads:  one at a time.
 * Lifetime: clr_ws_parser_new() … free(). Message payloads are borrowed for the callback.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "proto/deflate.h"

enum clr_ws_opcode {
    CLR_WS_TEXT = 1,
    CLR_WS_BINARY = 2,
    CLR_WS_CLOSE = 8,
    CLR_WS_PING = 9,
    CLR_WS_PONG = 10,
};

enum clr_ws_code { /* RFC 6455 section 7.4.1 */
                   CLR_WS_NORMAL = 1000,
                   CLR_WS_GOING_AWAY = 1001,
                   CLR_WS_PROTOCOL_ERROR = 1002,
                   CLR_WS_NO_STATUS = 1005,
                   CLR_WS_ABNORMAL = 1006,
                   CLR_WS_BAD_DATA = 1007,
                   CLR_WS_POLICY = 1008,
                   CLR_WS_TOO_BIG = 1009,
                   CLR_WS_INTERNAL = 1011,
                   CLR_WS_RESTART = 1012,
};

typedef struct clr_ws_parser clr_ws_parser_t;

/* Any callback may return non-zero to stop: feed() then returns CLR_ECLOSED at once. */
typedef struct clr_ws_parser_ops {
    int (*on_message)(uint8_t opcode, clr_str_t payload,
                      void *ctx); /* TEXT (valid UTF-8) or BINARY */
    int (*on_ping)(clr_str_t payload, void *ctx);
    int (*on_pong)(clr_str_t payload, void *ctx);
    int (*on_close)(uint16_t code, clr_str_t reason, void *ctx); /* CLR_WS_NO_STATUS without code */
} clr_ws_parser_ops_t;

clr_ws_parser_t *clr_ws_parser_new(void);
void clr_ws_parser_free(clr_ws_parser_t *p);
void clr_ws_parser_reset(clr_ws_parser_t *p);

/* No byte of a frame and no fragment is held, and no close frame or error has ended the stream. */
bool clr_ws_parser_is_idle(const clr_ws_parser_t *p);

/* Of an idle parser: compressed messages are allowed from now on, until the reset, and decompressed
 * by that codec, which is borrowed. NULL: they are not. */
void clr_ws_parser_set_deflate(clr_ws_parser_t *p, clr_deflate_t *deflate);

/* Feeds all of `in`. 0, or negative with the close code to send in *close_code: CLR_EPROTO (1002),
 * CLR_EUTF8 (1007), CLR_EINVAL (1007, a compressed message is corrupt), CLR_ETOOBIG (1009, a
 * message over max_message bytes, decompressed), CLR_EFATAL (1011, no memory to decompress),
 * CLR_ECLOSED (a callback stopped; no code to send). After one of these, and after on_close, input
 * is dropped until the reset. */
CLR_NODISCARD int clr_ws_parser_feed(clr_ws_parser_t *p, clr_str_t in, size_t max_message,
                                     const clr_ws_parser_ops_t *ops, void *ctx,
                                     uint16_t *close_code);

/* RSV1, to be added to the opcode of a message that is compressed. */
#define CLR_WS_COMPRESSED 0x40

/* Writes the head of an unmasked, unfragmented frame (server to client). Returns its 2, 4 or 10
 * bytes. */
#define CLR_WS_HEAD_MAX 10
size_t clr_ws_frame_head(char out[CLR_WS_HEAD_MAX], uint8_t opcode, size_t payload_len);

/* The value of Sec-WebSocket-Accept for a key; key must be 24 characters of base64 of 16 bytes. */
#define CLR_WS_ACCEPT_LEN 28
bool clr_ws_key_is_valid(clr_str_t key);
void clr_ws_accept(clr_str_t key, char out[CLR_WS_ACCEPT_LEN]);

/* Whether a peer may send this close code (and so whether an application may). */
bool clr_ws_code_is_sendable(uint16_t code);
