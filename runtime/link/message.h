/* message.h: the payloads of the frames, field by field. Encoders append to a buffer between
 * clr_frame_begin() and clr_frame_end(); decoders check every length and leave views.
 *
 * Threads:  pure functions.
 * Lifetime: decoded views live as long as the frame's bytes.
 */
#pragma once

#include "link/frame.h"

/* A cursor over a payload. After any failed read `bad` is set, and all later reads give zeros, so
 * that a decoder reads its fields in a row and checks once with clr_reader_done(). */
typedef struct clr_reader {
    clr_str_t rest;
    bool bad;
} clr_reader_t;

static inline clr_reader_t clr_reader(clr_str_t payload)
{
    return (clr_reader_t){payload, false};
}

uint8_t clr_read_u8(clr_reader_t *r);
uint16_t clr_read_u16(clr_reader_t *r);
uint32_t clr_read_u32(clr_reader_t *r);
uint64_t clr_read_u64(clr_reader_t *r);
clr_str_t clr_read_str(clr_reader_t *r);

/* 0 when all was read and nothing is left over, else CLR_EPROTO. */
CLR_NODISCARD int clr_reader_done(const clr_reader_t *r);

void clr_write_str(clr_buf_t *out, clr_str_t s);

/* list<str>. The items are views found by walking `bytes`; iterate with clr_strs_next(). */
typedef struct clr_strs {
    uint16_t count;
    clr_str_t bytes; /* the encoded items: `count` times u32 length and bytes, already validated */
} clr_strs_t;

clr_strs_t clr_read_strs(clr_reader_t *r);
bool clr_strs_next(clr_strs_t *it, clr_str_t *out); /* consumes *it; false at the end */
void clr_write_strs(clr_buf_t *out, const clr_str_t *items, uint16_t count);

/* data: JSON text and attachments. */
typedef struct clr_data {
    clr_str_t json;
    clr_strs_t attachments;
} clr_data_t;

clr_data_t clr_read_data(clr_reader_t *r);
void clr_write_data(clr_buf_t *out, clr_str_t json, const clr_str_t *attachments, uint16_t count);

/* request: the head of an HTTP request.
 *   u8 transport (enum clr_transport, 0 for plain HTTP), u8 secure, u8 http_minor, str method,
 *   str target (raw, with query), str peer_host ("" for a Unix socket), u16 peer_port,
 *   str local_host, u16 local_port, list<str> headers: name, value, name, value, …
 * Names are lower-cased, in order, duplicates kept. */
typedef struct clr_request_head {
    uint8_t transport;
    uint8_t secure;
    uint8_t http_minor;
    clr_str_t method;
    clr_str_t target;
    clr_str_t peer_host;
    uint16_t peer_port;
    clr_str_t local_host;
    uint16_t local_port;
    clr_strs_t headers; /* 2 × number of headers */
} clr_request_head_t;

clr_request_head_t clr_read_request(clr_reader_t *r);

/* Encodes all but the headers' list; the caller appends that with clr_write_strs(). */
void clr_write_request(clr_buf_t *out, const clr_request_head_t *head);

/* Whether the payload is exactly what the table says for the frame's type: decodes it to its end,
 * with the ranges of its enumerations. Returns 0 or CLR_EPROTO. For tests, fuzzers and frames that
 * are rare; a hot handler that reads every field and ends with clr_reader_done() has checked the
 * same but for the ranges it does not use. */
CLR_NODISCARD int clr_message_check(const clr_frame_t *frame);
