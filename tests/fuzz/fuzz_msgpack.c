/* fuzz_msgpack.c: Socket.IO packets in MessagePack. What was read is written again and read to the
 * same. */
#include "base/assert.h"
#include "base/utf8.h"
#include "proto/json.h"
#include "proto/msgpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A client may spell placeholders itself; then more bytes are written than were read. */
static bool has_spelt_placeholder(const clr_sio_packet_t *p)
{
    static const char key[] = "\"_placeholder\"";
    uint32_t count = 0;
    clr_str_t rest = p->json;
    const char *at;
    while ((at = memmem(rest.p, rest.n, key, sizeof key - 1)) != NULL) {
        rest = clr_str_from(rest, (size_t)(at - rest.p) + 1);
        count++;
    }
    return count > p->attachments;
}

static void check_again(const clr_sio_packet_t *p, const clr_str_t *attachments)
{
    clr_buf_t bytes = {0}, scratch = {0};
    clr_sio_packet_t q;
    clr_str_t again[CLR_SIO_MAX_ATTACHMENTS];
    const char *why = NULL;
    int r = clr_msgpack_append(&bytes, &scratch, p, attachments);
    CLR_ASSERT(r == 0);
    r = clr_msgpack_parse(clr_buf_str(&bytes), &scratch, &q, again, &why);
    CLR_ASSERT(r == 0 && q.type == p->type && q.id == p->id && clr_str_eq(q.nsp, p->nsp));
    CLR_ASSERT(q.attachments == p->attachments && clr_str_eq(q.json, p->json));
    for (uint32_t i = 0; i < p->attachments; i++)
        CLR_ASSERT(clr_str_eq(again[i], attachments[i]));
    clr_buf_deinit(&bytes);
    clr_buf_deinit(&scratch);
}

/* The other direction, from any text. */
static void check_append(clr_str_t json)
{
    clr_buf_t bytes = {0}, scratch = {0};
    clr_str_t attachments[2] = {CLR_STR_INIT("first"), CLR_STR_INIT("second")};
    clr_sio_packet_t p = {
        .type = CLR_SIO_BINARY_EVENT, .nsp = CLR_STR("/"), .json = json, .attachments = 2};
    int r = clr_msgpack_append(&bytes, &scratch, &p, attachments);
    CLR_ASSERT(r == 0 ? json.n == 0 || clr_json_is_valid(json) : bytes.n == 0);
    clr_buf_deinit(&bytes);
    clr_buf_deinit(&scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    clr_str_t in = clr_str((const char *)data, size);
    clr_buf_t scratch = {0};
    clr_sio_packet_t p;
    clr_str_t attachments[CLR_SIO_MAX_ATTACHMENTS];
    const char *why = NULL;
    if (clr_msgpack_parse(in, &scratch, &p, attachments, &why) == 0) {
        CLR_ASSERT(p.json.n == 0 || (clr_json_is_valid(p.json) && clr_utf8_is_valid(p.json)));
        CLR_ASSERT((p.attachments > 0) == (p.type >= CLR_SIO_BINARY_EVENT));
        CLR_ASSERT(p.json.n <= 6 * size + 40 * (size_t)p.attachments);
        for (uint32_t i = 0; i < p.attachments; i++)
            CLR_ASSERT(attachments[i].n <= size);
        if (!has_spelt_placeholder(&p))
            check_again(&p, attachments);
    } else {
        CLR_ASSERT(why != NULL);
    }
    check_append(in);
    clr_buf_deinit(&scratch);
    return 0;
}
