/* ws.c: WebSocket messages over wslay's frame layer.
 *
 * The bytes of a frame's head are looked at while they pass on to wslay, so that a forbidden frame
 * is refused at its second byte and an oversized one before its payload. A whole, unfragmented
 * message that lies in the input, which nearly all are, is unmasked straight into the message
 * buffer.
 */
#include "proto/ws.h"

#include <stdlib.h>
#include <wslay/wslay.h>

#include "base/assert.h"
#include "base/base64.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "proto/sha1.h"

#define CONTROL_MAX 125
#define HEAD_MAX    14

/* A parser is pooled: a message buffer above this is given back after the message. */
#define KEEP_BYTES (256 * 1024)

struct clr_ws_parser {
    wslay_frame_context_ptr frames;
    clr_str_t in; /* what wslay has not taken; during feed only */
    size_t max_message;
    uint8_t head[HEAD_MAX]; /* of the current frame, unless head_len is 0 */
    uint8_t head_len;
    bool in_payload; /* head is complete */
    bool closed;     /* by a close frame, an error or a callback: input is dropped */
    uint64_t left;   /* payload bytes that wslay has not taken */
    uint64_t unread; /* payload bytes that it has not returned */
    uint8_t opcode;  /* of the message in progress, 0 when none */
    bool compressed; /* that message is */
    clr_deflate_t *deflate;
    clr_utf8_state_t utf8;
    clr_buf_t message; /* its fragments so far */
    char control[CONTROL_MAX];
    uint8_t control_len;
    int error;
    uint16_t code;
};

/* --- the head of a frame
 * ------------------------------------------------------------------------------ */

static bool is_control(uint8_t opcode)
{
    return (opcode & 8) != 0;
}

/* Bytes of the head (masked), as far as its first n bytes tell. */
static size_t head_size(const uint8_t *head, size_t n)
{
    if (n < 2)
        return 2;
    uint8_t len = head[1] & 0x7f;
    return (size_t)(len < 126 ? 6 : len == 126 ? 8 : 14);
}

static uint64_t head_length(const uint8_t *head)
{
    uint64_t len = head[1] & 0x7f;
    size_t bytes = len < 126 ? 0 : len == 126 ? 2 : 8;
    if (bytes > 0)
        len = 0;
    for (size_t i = 0; i < bytes; i++)
        len = len << 8 | head[2 + i];
    return len;
}

/* The rules on the first two bytes (RFC 6455 section 5.2). */
static bool head_is_allowed(const uint8_t *head, bool in_message, bool deflate)
{
    uint8_t opcode = head[0] & 0x0f;
    bool fin = (head[0] & 0x80) != 0;
    uint8_t reserved = head[0] & 0x70;
    bool masked = (head[1] & 0x80) != 0;
    if (reserved == CLR_WS_COMPRESSED && deflate &&
        (opcode == CLR_WS_TEXT || opcode == CLR_WS_BINARY))
        reserved = 0;
    if (reserved != 0 || !masked)
        return false;
    if (is_control(opcode))
        return fin && opcode <= CLR_WS_PONG && (head[1] & 0x7f) <= CONTROL_MAX;
    return opcode <= CLR_WS_BINARY && (opcode == 0) == in_message;
}

/* The shortest form must be used, and the top bit must be clear. */
static bool head_length_is_minimal(const uint8_t *head)
{
    uint64_t len = head_length(head);
    switch (head[1] & 0x7f) {
    case 126:
        return len > 125;
    case 127:
        return len > UINT16_MAX && len >> 63 == 0;
    default:
        return true;
    }
}

static int fail(clr_ws_parser_t *p, int error, uint16_t code)
{
    p->closed = true;
    p->error = error;
    p->code = code;
    return error;
}

/* Of the message in progress on the wire. */
static size_t message_limit(const clr_ws_parser_t *p)
{
    return p->compressed ? clr_deflate_bound(p->max_message) : p->max_message;
}

static int check_head(clr_ws_parser_t *p)
{
    if (p->head_len == 2) {
        if (!head_is_allowed(p->head, p->opcode != 0, p->deflate != NULL))
            return fail(p, CLR_EPROTO, CLR_WS_PROTOCOL_ERROR);
        if (!is_control(p->head[0]) && p->opcode == 0)
            p->compressed = (p->head[0] & CLR_WS_COMPRESSED) != 0;
    }
    if (p->head_len < head_size(p->head, p->head_len))
        return 0;
    if (!head_length_is_minimal(p->head))
        return fail(p, CLR_EPROTO, CLR_WS_PROTOCOL_ERROR);
    p->left = p->unread = head_length(p->head);
    p->in_payload = true;
    size_t limit = message_limit(p);
    CLR_ASSERT(p->message.n <= limit || p->opcode == 0);
    if (!is_control(p->head[0]) && p->left > limit - p->message.n)
        return fail(p, CLR_ETOOBIG, CLR_WS_TOO_BIG);
    return 0;
}

/* Gives wslay what it asks for, never past the end of a head or a frame. */
static ssize_t on_recv(uint8_t *buf, size_t len, int flags, void *ctx)
{
    (void)flags;
    clr_ws_parser_t *p = ctx;
    size_t n = len < p->in.n ? len : p->in.n;
    if (p->in_payload && n > p->left)
        n = (size_t)p->left;
    size_t wanted = p->in_payload ? 0 : head_size(p->head, p->head_len) - p->head_len;
    if (!p->in_payload && n > wanted)
        n = wanted;
    if (n == 0)
        return -1;
    memcpy(buf, p->in.p, n);
    p->in = clr_str_from(p->in, n);
    if (p->in_payload) {
        p->left -= n;
        return (ssize_t)n;
    }
    memcpy(p->head + p->head_len, buf, n);
    for (size_t i = 0; i < n; i++) {
        p->head_len++;
        if (check_head(p) != 0)
            return -1;
    }
    return (ssize_t)n;
}

/* --- life
 * ------------------------------------------------------------------------------------------ */

static void open_frames(clr_ws_parser_t *p)
{
    static const struct wslay_frame_callbacks callbacks = {.recv_callback = on_recv};
    int r = wslay_frame_context_init(&p->frames, &callbacks, p);
    CLR_ASSERT(r == 0);
}

clr_ws_parser_t *clr_ws_parser_new(void)
{
    clr_ws_parser_t *p = clr_xcalloc(1, sizeof *p);
    open_frames(p);
    return p;
}

void clr_ws_parser_free(clr_ws_parser_t *p)
{
    if (!p)
        return;
    wslay_frame_context_free(p->frames);
    clr_buf_deinit(&p->message);
    free(p);
}

void clr_ws_parser_reset(clr_ws_parser_t *p)
{
    if (p->message.cap > KEEP_BYTES)
        clr_buf_deinit(&p->message);
    clr_buf_clear(&p->message);
    if (p->head_len > 0) { /* wslay is inside a frame and cannot be turned back */
        wslay_frame_context_free(p->frames);
        open_frames(p);
    }
    *p = (clr_ws_parser_t){.frames = p->frames, .message = p->message};
}

void clr_ws_parser_set_deflate(clr_ws_parser_t *p, clr_deflate_t *deflate)
{
    CLR_ASSERT(clr_ws_parser_is_idle(p));
    p->deflate = deflate;
}

bool clr_ws_parser_is_idle(const clr_ws_parser_t *p)
{
    return p->head_len == 0 && p->opcode == 0 && !p->closed;
}

/* --- messages
 * ---------------------------------------------------------------------------------------- */

static int stop(clr_ws_parser_t *p)
{
    return fail(p, CLR_ECLOSED, CLR_WS_NO_STATUS);
}

/* Decompresses the message; the result is borrowed from the codec. */
static int decompress(clr_ws_parser_t *p, clr_str_t *payload)
{
    switch (clr_deflate_decode(p->deflate, *payload, p->max_message, payload)) {
    case 0:
        break;
    case CLR_ETOOBIG:
        return fail(p, CLR_ETOOBIG, CLR_WS_TOO_BIG);
    case CLR_EPROTO:
        return fail(p, CLR_EINVAL, CLR_WS_BAD_DATA);
    default:
        return fail(p, CLR_EFATAL, CLR_WS_INTERNAL);
    }
    if (p->opcode == CLR_WS_TEXT && !clr_utf8_is_valid(*payload))
        return fail(p, CLR_EUTF8, CLR_WS_BAD_DATA);
    return 0;
}

/* The message is complete. The parser is idle already while its owner handles it. */
static int deliver(clr_ws_parser_t *p, clr_str_t payload, const clr_ws_parser_ops_t *ops, void *ctx)
{
    if (p->compressed && decompress(p, &payload) != 0)
        return p->error;
    uint8_t opcode = p->opcode;
    p->opcode = 0;
    p->compressed = false;
    p->utf8 = 0;
    int r = ops->on_message(opcode, payload, ctx);
    clr_buf_clear(&p->message);
    if (p->message.cap > KEEP_BYTES)
        clr_buf_deinit(&p->message);
    return r == 0 ? 0 : stop(p);
}

/* A piece of a data frame, the last of the frame or of the message perhaps. */
static int on_data(clr_ws_parser_t *p, clr_str_t piece, bool last, const clr_ws_parser_ops_t *ops,
                   void *ctx)
{
    bool is_text = p->opcode == CLR_WS_TEXT && !p->compressed;
    if (is_text && !clr_utf8_feed(&p->utf8, piece))
        return fail(p, CLR_EUTF8, CLR_WS_BAD_DATA);
    if (last && p->utf8 != 0)
        return fail(p, CLR_EUTF8, CLR_WS_BAD_DATA);
    if (last && p->message.n == 0)
        return deliver(p, piece, ops, ctx);
    clr_buf_append_str(&p->message, piece);
    return last ? deliver(p, clr_buf_str(&p->message), ops, ctx) : 0;
}

static int on_close(clr_ws_parser_t *p, const clr_ws_parser_ops_t *ops, void *ctx)
{
    clr_str_t reason = clr_str(p->control, p->control_len);
    uint16_t code = CLR_WS_NO_STATUS;
    if (reason.n > 0) {
        code = (uint16_t)((uint8_t)reason.p[0] << 8 | (uint8_t)(reason.n > 1 ? reason.p[1] : 0));
        if (reason.n == 1 || !clr_ws_code_is_sendable(code))
            return fail(p, CLR_EPROTO, CLR_WS_PROTOCOL_ERROR);
        reason = clr_str_from(reason, 2);
        if (!clr_utf8_is_valid(reason))
            return fail(p, CLR_EUTF8, CLR_WS_BAD_DATA);
    }
    p->closed = true;
    return ops->on_close(code, reason, ctx) == 0 ? 0 : stop(p);
}

static int on_control(clr_ws_parser_t *p, uint8_t opcode, clr_str_t piece, bool last,
                      const clr_ws_parser_ops_t *ops, void *ctx)
{
    CLR_ASSERT(piece.n <= sizeof p->control - p->control_len);
    if (piece.n > 0)
        memcpy(p->control + p->control_len, piece.p, piece.n);
    p->control_len = (uint8_t)(p->control_len + piece.n);
    if (!last)
        return 0;
    if (opcode == CLR_WS_CLOSE)
        return on_close(p, ops, ctx);
    clr_str_t payload = clr_str(p->control, p->control_len);
    int r = (opcode == CLR_WS_PING ? ops->on_ping : ops->on_pong)(payload, ctx);
    p->control_len = 0;
    return r == 0 ? 0 : stop(p);
}

/* What wslay returned: the next piece of the current frame. */
static int on_piece(clr_ws_parser_t *p, const struct wslay_frame_iocb *frame,
                    const clr_ws_parser_ops_t *ops, void *ctx)
{
    CLR_ASSERT(p->in_payload && frame->data_length <= p->unread);
    clr_str_t piece = clr_str((const char *)frame->data, frame->data_length);
    p->unread -= frame->data_length;
    bool end = p->unread == 0;
    if (end) {
        p->head_len = 0;
        p->in_payload = false;
    }
    if (is_control(frame->opcode))
        return on_control(p, frame->opcode, piece, end, ops, ctx);
    if (frame->opcode != WSLAY_CONTINUATION_FRAME)
        p->opcode = frame->opcode;
    return on_data(p, piece, end && frame->fin, ops, ctx);
}

/* --- whole messages in the input
 * ------------------------------------------------------------------------- */

/* 8 bytes a step: 0.1 ns a byte, where the way through wslay takes 1.8 (2026-11-23, EPYC). */
static void unmask(char *to, const char *from, size_t n, const uint8_t key[4])
{
    uint32_t mask32;
    memcpy(&mask32, key, sizeof mask32);
    uint64_t mask = (uint64_t)mask32 << 32 | mask32;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t v;
        memcpy(&v, from + i, sizeof v);
        v ^= mask;
        memcpy(to + i, &v, sizeof v);
    }
    for (; i < n; i++)
        to[i] = (char)(from[i] ^ (char)key[i & 3]);
}

/* Takes one whole unfragmented message off the input: 1, or 0 when there is none and wslay has to
 * look, or negative. What is not as it should be is left for it too. */
static int take_whole(clr_ws_parser_t *p, const clr_ws_parser_ops_t *ops, void *ctx)
{
    const uint8_t *head = (const uint8_t *)p->in.p;
    size_t size = head_size(head, p->in.n);
    if (p->in.n < size || !(head[0] & 0x80) || is_control(head[0]) ||
        !head_is_allowed(head, false, p->deflate != NULL) || !head_length_is_minimal(head))
        return 0;
    uint64_t len = head_length(head);
    p->compressed = (head[0] & CLR_WS_COMPRESSED) != 0;
    if (len > p->in.n - size || len > message_limit(p))
        return 0;
    size_t n = (size_t)len;
    p->opcode = head[0] & 0x0f;
    unmask(clr_buf_reserve(&p->message, n + 1), p->in.p + size, n, head + size - 4);
    p->in = clr_str_from(p->in, size + n);
    clr_str_t payload = clr_str(p->message.p, n);
    if (p->opcode == CLR_WS_TEXT && !p->compressed && !clr_utf8_is_valid(payload))
        return fail(p, CLR_EUTF8, CLR_WS_BAD_DATA);
    int r = deliver(p, payload, ops, ctx);
    return r == 0 ? 1 : r;
}

static int feed(clr_ws_parser_t *p, const clr_ws_parser_ops_t *ops, void *ctx)
{
    while (p->in.n > 0 && !p->closed) {
        if (p->head_len == 0 && p->opcode == 0) {
            int r = take_whole(p, ops, ctx);
            if (r < 0)
                return r;
            if (r > 0)
                continue;
        }
        size_t before = p->in.n;
        struct wslay_frame_iocb frame = {0};
        ssize_t r = wslay_frame_recv(p->frames, &frame);
        if (p->error != 0)
            return p->error;
        if (r < 0 && r != WSLAY_ERR_WANT_READ)
            return fail(p, CLR_EPROTO, CLR_WS_PROTOCOL_ERROR);
        if (r >= 0 && on_piece(p, &frame, ops, ctx) != 0)
            return p->error;
        CLR_ASSERT(r >= 0 || p->in.n < before || p->in.n == 0);
    }
    return 0;
}

int clr_ws_parser_feed(clr_ws_parser_t *p, clr_str_t in, size_t max_message,
                       const clr_ws_parser_ops_t *ops, void *ctx, uint16_t *close_code)
{
    *close_code = CLR_WS_NO_STATUS;
    p->in = in;
    p->max_message = max_message;
    int r = feed(p, ops, ctx);
    p->in = CLR_STR_EMPTY;
    if (r != 0)
        *close_code = p->code;
    return r;
}

/* --- the rest
 * ------------------------------------------------------------------------------------------- */

size_t clr_ws_frame_head(char out[CLR_WS_HEAD_MAX], uint8_t opcode, size_t payload_len)
{
    CLR_ASSERT((opcode & ~CLR_WS_COMPRESSED) <= 0x0f);
    size_t bytes = payload_len < 126 ? 0 : payload_len <= UINT16_MAX ? 2 : 8;
    out[0] = (char)(0x80 | opcode);
    out[1] = (char)(bytes == 0 ? payload_len : bytes == 2 ? 126 : 127);
    for (size_t i = 0; i < bytes; i++)
        out[2 + i] = (char)((uint64_t)payload_len >> (8 * (bytes - 1 - i)));
    return 2 + bytes;
}

bool clr_ws_key_is_valid(clr_str_t key)
{
    if (key.n != 24 || key.p[22] != '=' || key.p[23] != '=')
        return false;
    for (size_t i = 0; i < 22; i++) {
        char c = key.p[i];
        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
              c == '+' || c == '/'))
            return false;
    }
    return true;
}

void clr_ws_accept(clr_str_t key, char out[CLR_WS_ACCEPT_LEN])
{
    uint8_t digest[CLR_SHA1_SIZE];
    clr_sha1(key, CLR_STR("258EAFA5-E914-47DA-95CA-C5AB0DC85B11"), digest);
    clr_buf_t text = {0};
    clr_base64_encode(&text, digest, sizeof digest);
    CLR_ASSERT(text.n == CLR_WS_ACCEPT_LEN);
    memcpy(out, text.p, CLR_WS_ACCEPT_LEN);
    clr_buf_deinit(&text);
}

bool clr_ws_code_is_sendable(uint16_t code)
{
    if (code >= 3000 && code <= 4999)
        return true;
    return code >= 1000 && code <= 1014 && code != 1004 && code != CLR_WS_NO_STATUS &&
           code != CLR_WS_ABNORMAL;
}
