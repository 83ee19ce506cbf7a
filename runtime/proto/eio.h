/* eio.h: Engine.IO v4 packets and payloads (reference: Engine.IO protocol, revision 4). Pure
 * functions. */
#pragma once

#include "base/buf.h"
#include "base/error.h"

enum clr_eio_type {
    CLR_EIO_OPEN = '0',
    CLR_EIO_CLOSE = '1',
    CLR_EIO_PING = '2',
    CLR_EIO_PONG = '3',
    CLR_EIO_MESSAGE = '4',
    CLR_EIO_UPGRADE = '5',
    CLR_EIO_NOOP = '6',
};

#define CLR_EIO_SEPARATOR '\x1e'

typedef struct clr_eio_packet {
    char type;   /* enum clr_eio_type */
    bool binary; /* MESSAGE only: data is raw bytes */
    clr_str_t data;
} clr_eio_packet_t;

/* A text frame or one element of a payload, "b…" base64 included (decoded into *scratch, whose
 * former contents go; data then points into it). CLR_EPROTO for the empty text, an unknown type or
 * bad base64. */
CLR_NODISCARD int clr_eio_packet_parse(clr_str_t text, clr_buf_t *scratch, clr_eio_packet_t *out);

/* Cuts the next packet text off a payload; false at the end. An empty payload has one empty text,
 * unless rest->p is NULL. */
bool clr_eio_payload_next(clr_str_t *rest, clr_str_t *packet_text);

/* Error bodies of the handshake. X(code, http status, name, message) */
#define CLR_EIO_ERROR_MAP(X)                                                                       \
    X(0, 400, UNKNOWN_TRANSPORT, "Transport unknown")                                              \
    X(1, 400, UNKNOWN_SID, "Session ID unknown")                                                   \
    X(2, 400, BAD_HANDSHAKE_METHOD, "Bad handshake method")                                        \
    X(3, 400, BAD_REQUEST, "Bad request")                                                          \
    X(4, 403, FORBIDDEN, "Forbidden")                                                              \
    X(5, 400, UNSUPPORTED_PROTOCOL, "Unsupported protocol version")

#define CLR_EIO_ERROR_ENUM(code, status, name, message) CLR_EIO_ERROR_##name = (code),
enum clr_eio_error { CLR_EIO_ERROR_MAP(CLR_EIO_ERROR_ENUM) };
#undef CLR_EIO_ERROR_ENUM

const char *clr_eio_error_message(int code);
int clr_eio_error_status(int code);

/* {"sid":…,"upgrades":[…],"pingInterval":…,"pingTimeout":…,"maxPayload":…} without the leading '0';
 * a sid has at most 128 bytes.
 */
void clr_eio_open_json(clr_buf_t *out, clr_str_t sid, bool can_upgrade, uint64_t ping_interval_ms,
                       uint64_t ping_timeout_ms, uint64_t max_payload);
