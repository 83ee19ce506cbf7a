/* ws_conn_internal.h: what a WebSocket connection is made of; for ws_conn.c and its test. An idle
 * client holds one of these and a stream, so each field is paid for by the thousand.
 */
#pragma once

#include "gateway/ws_conn.h"
#include "net/stream.h"

struct clr_ws_conn {
    clr_stream_t *stream; /* owned; its owner pointer leads back here */
    clr_gateway_t *gw;
    clr_list_t node;         /* gw->ws_conns */
    const clr_ws_ops_t *ops; /* NULL: on_closed was called */
    void *ctx;
    clr_ws_parser_t *parser; /* leased while a message is partial */
    struct clr_ws_extra *extra;
    const char *why;
    size_t max_message;
    uint32_t reserved; /* between reserve and commit */
    uint32_t piece;    /* the last frame that was queued, if more may be appended to it; else 0 */
    uint16_t code;
    uint8_t deflate_bits; /* the window that was negotiated; 0: no compression */
    uint8_t deflating;    /* opcode, between reserve and commit of a message to compress */
    unsigned ended : 1, clean : 1, close_sent : 1, paced : 1;
};
