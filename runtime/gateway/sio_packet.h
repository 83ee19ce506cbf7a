/* sio_packet.h: a Socket.IO packet on its way out, encoded at most once per form however many
 * clients get it: as WebSocket frames that all connections share, and as the text of a polling
 * payload.
 *
 * Threads:  the loop's.
 * Lifetime: on the caller's stack: init … deinit. Borrows nsp, json and attachments in between.
 */
#pragma once

#include "gateway/eio_session.h"
#include "proto/sio.h"

typedef struct clr_sio_packet_out {
    clr_eio_server_t *server;
    uint8_t type; /* without BINARY_: that follows from the attachments */
    clr_str_t nsp;
    clr_str_t json; /* may be empty */
    clr_strs_t attachments;
    size_t from, to; /* the part of json that may be appended to the packet before; none: 0, 0 */
    clr_shared_t *frames;  /* WebSocket, of the packet without id; NULL: not made yet */
    clr_shared_t *payload; /* polling, likewise */
    clr_shared_t *deflated[CLR_DEFLATE_BITS_MAX - CLR_DEFLATE_BITS_MIN + 1]; /* by window */
} clr_sio_packet_out_t;

void clr_sio_packet_out_init(clr_sio_packet_out_t *p, clr_eio_server_t *server, uint8_t type,
                             clr_str_t nsp, const clr_data_t *data);
void clr_sio_packet_out_deinit(clr_sio_packet_out_t *p);

/* To one client, with that id or CLR_SIO_NO_ID. */
void clr_sio_packet_out_send(clr_sio_packet_out_t *p, clr_eio_session_t *s, uint64_t id);

/* To one of many: without id, and shared. */
void clr_sio_packet_out_share(clr_sio_packet_out_t *p, clr_eio_session_t *s);

/* For a queue: returns owned. */
clr_shared_t *clr_sio_packet_out_text(clr_sio_packet_out_t *p, uint64_t id);

/* Whether what a worker sent may go out as the JSON of an event or ack. */
bool clr_sio_packet_out_is_valid(const clr_data_t *data);
