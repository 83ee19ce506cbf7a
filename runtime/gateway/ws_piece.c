/* ws_piece.c: messages to which the next one may be appended, for clients that do not keep up. */
#include "base/assert.h"
#include "gateway/ws_conn_internal.h"

/* A frame that may be appended to has no length of eight bytes. */
static size_t head_len_of(const char *frame)
{
    return ((uint8_t)frame[1] & 0x7f) < 126 ? 2 : 4;
}

/* Puts the text into the frame, before what follows it in both messages. */
static void grow(clr_ws_conn_t *ws, char *frame, clr_str_t text, clr_str_t after)
{
    size_t head_len = head_len_of(frame), n = ws->piece - head_len;
    char head[CLR_WS_HEAD_MAX];
    size_t new_len = clr_ws_frame_head(head, CLR_WS_TEXT, n + text.n);
    char *end = frame + new_len + n - after.n;
    memmove(frame + new_len, frame + head_len, n - after.n);
    memcpy(frame, head, new_len);
    if (text.n > 0)
        memcpy(end, text.p, text.n);
    if (after.n > 0)
        memcpy(end + text.n, after.p, after.n);
    size_t more = new_len + text.n - head_len;
    clr_stream_commit(ws->stream, more);
    ws->piece += (uint32_t)more;
}

static bool append_piece(clr_ws_conn_t *ws, clr_str_t head, clr_str_t body, size_t from, size_t to)
{
    clr_str_t before = clr_str(body.p, from), after = clr_str_from(body, to);
    size_t around = head.n + before.n + after.n;
    if (ws->piece == 0 || ws->piece + (to - from) > UINT16_MAX)
        return false;
    char *frame = clr_stream_reopen(ws->stream, ws->piece, to - from + 2);
    if (!frame)
        return false;
    clr_str_t old = clr_str(frame + head_len_of(frame), ws->piece - head_len_of(frame));
    if (old.n < around || !clr_str_starts(old, head) ||
        !clr_str_starts(clr_str_from(old, head.n), before) ||
        !clr_str_eq(clr_str_from(old, old.n - after.n), after))
        return false;
    grow(ws, frame, clr_str(body.p + from, to - from), after);
    return true;
}

void clr_ws_send_piece(clr_ws_conn_t *ws, clr_str_t head, clr_str_t body, size_t from, size_t to)
{
    CLR_ASSERT(from <= to && to <= body.n);
    if (append_piece(ws, head, body, from, to))
        return;
    char *at = clr_ws_reserve(ws, CLR_WS_TEXT, head.n + body.n);
    memcpy(at, head.p, head.n);
    memcpy(at + head.n, body.p, body.n);
    uint32_t frame = ws->reserved;
    clr_ws_commit(ws);
    /* Compressed messages do not grow. */
    ws->piece = ws->deflate_bits || ws->close_sent || frame > UINT16_MAX ? 0 : frame;
}
