/* msgpack.h: Socket.IO packets as socket.io-msgpack-parser writes them: one MessagePack map {type,
 * nsp, data, id?} in one binary message, bytes embedded. They are turned into what sio.h reads, so
 * that nothing behind this knows of it.
 *
 * Integers stay exact and floats stay floats (1.0 is not 1). Of extensions those are known that the
 * JavaScript library writes: undefined, dates (which become their ISO text, as in JSON) and typed
 * arrays.
 *
 * Threads:  pure functions.
 */
#pragma once

#include "proto/sio.h"

/* Parses and validates a message of a client, as strictly as clr_sio_packet_parse(). With bytes
 * inside, the type is BINARY_EVENT or BINARY_ACK, the JSON has placeholders, and attachments[] gets
 * views into `bytes`. The JSON is written to *scratch, whose former contents go; it is at most 6
 * times as long as `bytes`, and 40 bytes more for each attachment. CLR_EPROTO with a static text in
 * *why. */
CLR_NODISCARD int clr_msgpack_parse(clr_str_t bytes, clr_buf_t *scratch, clr_sio_packet_t *out,
                                    clr_str_t attachments[CLR_SIO_MAX_ATTACHMENTS],
                                    const char **why);

/* Appends a packet with attachments[0 … packet->attachments - 1] in place of its placeholders,
 * which must be spelled
 * {"_placeholder":true,"num":N}. Types 5 and 6 are written as 2 and 3; empty json as no data.
 * *scratch is used and left with anything. CLR_EPROTO when the json is not valid or names an
 * attachment that is not there: out is as before. */
CLR_NODISCARD int clr_msgpack_append(clr_buf_t *out, clr_buf_t *scratch,
                                     const clr_sio_packet_t *packet, const clr_str_t *attachments);
