/* fuzz_eio.c: Engine.IO payloads, and the Socket.IO packets in them. What was read is written again
 * and read to the same.
 */
#include "base/assert.h"
#include "base/base64.h"
#include "proto/eio.h"
#include "proto/sio.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void append_packet(clr_buf_t *out, const clr_eio_packet_t *p)
{
    if (p->binary) {
        clr_buf_putc(out, 'b');
        clr_base64_encode(out, p->data.p, p->data.n);
    } else {
        clr_buf_putc(out, p->type);
        clr_buf_append_str(out, p->data);
    }
}

static void check_packet(clr_str_t text)
{
    clr_buf_t scratch = {0}, again = {0}, scratch2 = {0};
    clr_eio_packet_t p, q;
    if (clr_eio_packet_parse(text, &scratch, &p) == 0) {
        CLR_ASSERT(p.data.n < text.n && (!p.binary || p.type == CLR_EIO_MESSAGE));
        append_packet(&again, &p);
        int r = clr_eio_packet_parse(clr_buf_str(&again), &scratch2, &q);
        CLR_ASSERT(r == 0 && q.type == p.type && q.binary == p.binary);
        CLR_ASSERT(clr_str_eq(q.data, p.data));
        clr_sio_packet_t sio;
        const char *why = NULL;
        if (p.type == CLR_EIO_MESSAGE && !p.binary && clr_sio_packet_parse(p.data, &sio, &why) != 0)
            CLR_ASSERT(why != NULL);
    }
    clr_buf_deinit(&scratch);
    clr_buf_deinit(&again);
    clr_buf_deinit(&scratch2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    clr_str_t rest = clr_str((const char *)data, size);
    clr_str_t text;
    size_t total = 0, count = 0;
    while (clr_eio_payload_next(&rest, &text)) {
        check_packet(text);
        total += text.n;
        count++;
    }
    CLR_ASSERT(size == 0 || total + count - 1 == size);
    return 0;
}
