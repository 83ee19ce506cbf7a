/* frame.c: frames of the link, bytes in and out. */
#include "link/frame.h"

#include <endian.h>

#include "base/assert.h"

typedef struct frame_kind {
    char name[16];
    char from; /* 'G', 'W', or 0 for a number that is no type */
} frame_kind_t;

static const frame_kind_t kinds[256] = {
#define FRAME_KIND(number, name, direction, payload, meaning) [number] = {#name, #direction[0]},
    CLR_FRAME_MAP(FRAME_KIND)
#undef FRAME_KIND
};

/* The flags a type may carry; any other bit is a protocol violation. */
static const uint8_t allowed_flags[256] = {
    [CLR_FRAME_SIO_CONNECT] = CLR_FRAME_TURN,
    [CLR_FRAME_SIO_EVENT] = CLR_FRAME_TURN,
    [CLR_FRAME_SIO_RESUME] = CLR_FRAME_TURN,
    [CLR_FRAME_EIO_MESSAGE] = CLR_FRAME_BINARY,
    [CLR_FRAME_EIO_SEND] = CLR_FRAME_BINARY,
    [CLR_FRAME_SIO_SEND] = CLR_FRAME_ACK | CLR_FRAME_VOLATILE,
    [CLR_FRAME_SIO_EMIT] = CLR_FRAME_ACK | CLR_FRAME_VOLATILE,
    [CLR_FRAME_HTTP_REQUEST] = CLR_FRAME_END | CLR_FRAME_CONTINUE,
    [CLR_FRAME_HTTP_BODY] = CLR_FRAME_END,
    [CLR_FRAME_HTTP_PIECE] = CLR_FRAME_END,
    [CLR_FRAME_WS_MESSAGE] = CLR_FRAME_BINARY,
    [CLR_FRAME_HTTP_START] = CLR_FRAME_END | CLR_FRAME_TRAILERS,
    [CLR_FRAME_HTTP_DATA] = CLR_FRAME_END,
    [CLR_FRAME_HTTP_FILE] = CLR_FRAME_END,
    [CLR_FRAME_WS_SEND] = CLR_FRAME_BINARY,
};

/* The head as it lies on the wire; every field is little-endian. */
typedef struct wire_head {
    uint32_t length;
    uint8_t type;
    uint8_t flags;
    uint16_t zero;
    uint64_t stream;
} wire_head_t;

_Static_assert(sizeof(wire_head_t) == CLR_FRAME_HEAD_SIZE, "the head has no padding");

int64_t clr_frame_decode(clr_str_t in, char from, clr_frame_t *out, size_t *need)
{
    wire_head_t head;
    if (in.n < sizeof(head)) {
        if (need)
            *need = sizeof(head);
        return 0;
    }
    memcpy(&head, in.p, sizeof(head));
    size_t length = le32toh(head.length);
    if (kinds[head.type].from != from || (head.flags & ~allowed_flags[head.type]) != 0 ||
        head.zero != 0 || length > CLR_FRAME_MAX)
        return CLR_EPROTO;
    if (in.n - sizeof(head) < length) {
        if (need)
            *need = sizeof(head) + length;
        return 0;
    }
    out->type = head.type;
    out->flags = head.flags;
    out->stream = le64toh(head.stream);
    out->payload = clr_str(in.p + sizeof(head), length);
    return (int64_t)(sizeof(head) + length);
}

void clr_frame_head(char out[CLR_FRAME_HEAD_SIZE], uint8_t type, uint8_t flags, uint64_t stream,
                    uint32_t length)
{
    CLR_ASSERT(length <= CLR_FRAME_MAX);
    CLR_DCHECK(kinds[type].from && (flags & ~allowed_flags[type]) == 0);
    wire_head_t head = {
        .length = htole32(length),
        .type = type,
        .flags = flags,
        .stream = htole64(stream),
    };
    memcpy(out, &head, sizeof(head));
}

size_t clr_frame_begin(clr_buf_t *out, uint8_t type, uint8_t flags, uint64_t stream)
{
    size_t begun = out->n;
    clr_frame_head(clr_buf_reserve(out, CLR_FRAME_HEAD_SIZE), type, flags, stream, 0);
    out->n += CLR_FRAME_HEAD_SIZE;
    return begun;
}

void clr_frame_end(clr_buf_t *out, size_t begun)
{
    CLR_ASSERT(out->n >= begun + CLR_FRAME_HEAD_SIZE);
    size_t length = out->n - begun - CLR_FRAME_HEAD_SIZE;
    CLR_ASSERT(length <= CLR_FRAME_MAX);
    uint32_t wire = htole32((uint32_t)length);
    memcpy(out->p + begun, &wire, sizeof(wire));
}

bool clr_frame_is_creditable(uint8_t type)
{
    switch (type) {
    case CLR_FRAME_SIO_CONNECT:
    case CLR_FRAME_SIO_RESUME:
    case CLR_FRAME_SIO_EVENT:
    case CLR_FRAME_SIO_ACK:
    case CLR_FRAME_EIO_OPEN:
    case CLR_FRAME_EIO_RESUME:
    case CLR_FRAME_EIO_MESSAGE:
    case CLR_FRAME_ORIGIN_CHECK:
    case CLR_FRAME_HTTP_REQUEST:
    case CLR_FRAME_WS_OPEN:
        return true;
    default:
        return false;
    }
}

bool clr_frame_passes(uint8_t type)
{
    switch (type) {
    case CLR_FRAME_CONFIG:
    case CLR_FRAME_REPLY:
    case CLR_FRAME_STATE:
    case CLR_FRAME_HTTP_BODY:
    case CLR_FRAME_HTTP_PIECE:
    case CLR_FRAME_HTTP_WINDOW:
    case CLR_FRAME_HTTP_GONE:
    case CLR_FRAME_HTTP_FILE_DONE:
    case CLR_FRAME_WS_MESSAGE:
    case CLR_FRAME_WS_GONE:
        return true;
    default:
        return false;
    }
}

const char *clr_frame_name(uint8_t type)
{
    return kinds[type].from ? kinds[type].name : "?";
}

const char *clr_reason_name(uint8_t reason)
{
    switch (reason) {
#define REASON_CASE(number, name, text)                                                            \
    case CLR_REASON_##name:                                                                        \
        return text;
        CLR_REASON_MAP(REASON_CASE)
#undef REASON_CASE
    default:
        return "";
    }
}
