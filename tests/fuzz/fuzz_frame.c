/* fuzz_frame.c: any bytes as a stream of frames, from the gateway and from the worker.
 *
 * Beyond the sanitizers it checks what the two ends rely on: a decoded frame encodes back to the
 * same bytes, every view lies inside its frame, and a frame cut short asks for bytes rather than
 * fails.
 */
#include <stdlib.h>

#include "base/assert.h"
#include "link/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_view(const clr_frame_t *frame, clr_str_t view)
{
    if (view.n == 0)
        return;
    CLR_ASSERT(view.p >= frame->payload.p);
    CLR_ASSERT(view.p + view.n <= frame->payload.p + frame->payload.n);
}

static void check_strs(const clr_frame_t *frame, clr_strs_t it)
{
    uint16_t expected = it.count;
    uint16_t seen = 0;
    clr_str_t item;
    for (; clr_strs_next(&it, &item); seen++)
        check_view(frame, item);
    CLR_ASSERT(seen == expected && it.bytes.n == 0);
}

static void check_data(const clr_frame_t *frame, clr_reader_t *r)
{
    clr_data_t data = clr_read_data(r);
    check_view(frame, data.json);
    check_strs(frame, data.attachments);
}

static void check_request(const clr_frame_t *frame, clr_reader_t *r)
{
    clr_request_head_t head = clr_read_request(r);
    check_view(frame, head.method);
    check_view(frame, head.target);
    check_view(frame, head.peer_host);
    check_view(frame, head.local_host);
    if (!r->bad)
        check_strs(frame, head.headers);
}

/* The readers as the two ends call them, for the types with more than a field or two. */
static void read_payload(const clr_frame_t *frame)
{
    clr_reader_t r = clr_reader(frame->payload);
    switch (frame->type) {
    case CLR_FRAME_SIO_CONNECT:
        (void)clr_read_u16(&r);
        for (int i = 0; i < 4; i++)
            check_view(frame, clr_read_str(&r));
        check_request(frame, &r);
        break;
    case CLR_FRAME_EIO_OPEN:
    case CLR_FRAME_ORIGIN_CHECK:
        (void)clr_read_u16(&r);
        check_view(frame, clr_read_str(&r));
        check_request(frame, &r);
        break;
    case CLR_FRAME_SIO_EMIT:
        (void)clr_read_u16(&r);
        check_view(frame, clr_read_str(&r));
        check_strs(frame, clr_read_strs(&r));
        check_strs(frame, clr_read_strs(&r));
        (void)clr_read_u64(&r);
        check_data(frame, &r);
        break;
    case CLR_FRAME_HTTP_REQUEST:
        (void)clr_read_u32(&r);
        check_view(frame, clr_read_str(&r));
        check_request(frame, &r);
        break;
    case CLR_FRAME_WS_OPEN:
        (void)clr_read_u32(&r);
        check_request(frame, &r);
        break;
    case CLR_FRAME_HTTP_START:
        (void)clr_read_u16(&r);
        check_strs(frame, clr_read_strs(&r));
        check_view(frame, clr_read_str(&r));
        break;
    case CLR_FRAME_SIO_EVENT:
    case CLR_FRAME_SIO_ACK:
    case CLR_FRAME_SIO_SEND:
    case CLR_FRAME_SIO_ACK_REPLY:
        (void)clr_read_u64(&r);
        check_data(frame, &r);
        break;
    default:
        return;
    }
    /* What the whole check accepts, the readers took to the end. */
    CLR_ASSERT(clr_message_check(frame) != 0 || clr_reader_done(&r) == 0);
}

static void check_frame(clr_str_t bytes, const clr_frame_t *frame, char from)
{
    char head[CLR_FRAME_HEAD_SIZE];
    clr_frame_head(head, frame->type, frame->flags, frame->stream, (uint32_t)frame->payload.n);
    CLR_ASSERT(memcmp(head, bytes.p, sizeof(head)) == 0);
    CLR_ASSERT(frame->payload.p == bytes.p + sizeof(head));
    CLR_ASSERT(strcmp(clr_frame_name(frame->type), "?") != 0);

    clr_frame_t again;
    size_t need = 0;
    CLR_ASSERT(clr_frame_decode(clr_str(bytes.p, bytes.n - 1), from, &again, &need) == 0);
    CLR_ASSERT(need > bytes.n - 1 && need <= bytes.n);

    (void)clr_message_check(frame);
    read_payload(frame);
}

static void decode_stream(clr_str_t rest, char from)
{
    clr_frame_t frame;
    size_t need = 0;
    int64_t n;
    while ((n = clr_frame_decode(rest, from, &frame, &need)) > 0) {
        CLR_ASSERT((size_t)n <= rest.n);
        check_frame(clr_str(rest.p, (size_t)n), &frame, from);
        rest = clr_str_from(rest, (size_t)n);
    }
    CLR_ASSERT(n == CLR_EPROTO || (need > rest.n && need <= CLR_FRAME_HEAD_SIZE + CLR_FRAME_MAX));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    clr_str_t bytes = clr_str((const char *)data, size);
    decode_stream(bytes, 'G');
    decode_stream(bytes, 'W');
    return 0;
}
