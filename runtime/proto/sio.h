/* sio.h: Socket.IO v5 packets (reference: Socket.IO protocol, revision 5). Pure functions.
 *
 * A packet is parsed up to its JSON text, which is validated and stays as it is.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"

enum clr_sio_type {
    CLR_SIO_CONNECT = 0,
    CLR_SIO_DISCONNECT = 1,
    CLR_SIO_EVENT = 2,
    CLR_SIO_ACK = 3,
    CLR_SIO_CONNECT_ERROR = 4,
    CLR_SIO_BINARY_EVENT = 5,
    CLR_SIO_BINARY_ACK = 6,
};

#define CLR_SIO_MAX_ID          ((UINT64_C(1) << 53) - 1)
#define CLR_SIO_MAX_ATTACHMENTS 64
#define CLR_SIO_NO_ID           UINT64_MAX

typedef struct clr_sio_packet {
    uint8_t type;         /* enum clr_sio_type */
    uint32_t attachments; /* 0 unless BINARY_* */
    clr_str_t nsp;        /* "/" when absent */
    uint64_t id;          /* CLR_SIO_NO_ID when absent */
    clr_str_t json;       /* valid JSON of the type's shape; empty when absent */
} clr_sio_packet_t;

/* Parses and validates the text after Engine.IO's '4' as sent by a client: types, counts, id, JSON
 * and its shape (EVENT: non-empty array whose first element is a string or number and no reserved
 * name; ACK: array and an id; CONNECT: object or nothing; DISCONNECT: nothing; CONNECT_ERROR:
 * refused), and for BINARY_* that every {"_placeholder":true} object has an integer num within the
 * attachments. CLR_EPROTO with a static text in *why. */
CLR_NODISCARD int clr_sio_packet_parse(clr_str_t text, clr_sio_packet_t *out, const char **why);

/* The second half of it, for a packet that came another way (msgpack.h): shape, name and
 * placeholders. The json must be valid. */
CLR_NODISCARD int clr_sio_packet_check(const clr_sio_packet_t *p, const char **why);

/* Appends "<type>[<attachments>-][<nsp>,][<id>]": what precedes the JSON. */
void clr_sio_packet_head(clr_buf_t *out, uint8_t type, uint32_t attachments, clr_str_t nsp,
                         uint64_t id);
