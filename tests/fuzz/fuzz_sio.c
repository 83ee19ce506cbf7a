/* fuzz_sio.c: Socket.IO packets and the JSON scanner. */
#include "base/assert.h"
#include "proto/json.h"
#include "proto/sio.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_json(clr_str_t s)
{
    int64_t n = clr_json_skip(s);
    CLR_ASSERT(n == CLR_EPROTO || (n > 0 && (size_t)n <= s.n));
    bool valid = clr_json_is_valid(s);
    CLR_ASSERT(!valid || n > 0);
    if (n > 0) {
        clr_str_t value = clr_str(s.p, (size_t)n);
        CLR_ASSERT(clr_json_is_valid(value) && clr_json_skip(value) == n);
    }
    clr_buf_t string = {0};
    clr_json_append_string(&string, s);
    CLR_ASSERT(clr_json_is_valid(clr_buf_str(&string)));
    clr_buf_deinit(&string);
}

static void check_again(const clr_sio_packet_t *p)
{
    clr_buf_t text = {0};
    clr_sio_packet_head(&text, p->type, p->attachments, p->nsp, p->id);
    clr_buf_append_str(&text, p->json);
    clr_sio_packet_t q;
    const char *why = NULL;
    int r = clr_sio_packet_parse(clr_buf_str(&text), &q, &why);
    CLR_ASSERT(r == 0 && q.type == p->type && q.attachments == p->attachments && q.id == p->id);
    CLR_ASSERT(clr_str_eq(q.nsp, p->nsp) && clr_str_eq(q.json, p->json));
    clr_buf_deinit(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    clr_str_t in = clr_str((const char *)data, size);
    check_json(in);
    clr_sio_packet_t p;
    const char *why = NULL;
    if (clr_sio_packet_parse(in, &p, &why) != 0) {
        CLR_ASSERT(why != NULL);
        return 0;
    }
    CLR_ASSERT(p.type <= CLR_SIO_BINARY_ACK && p.type != CLR_SIO_CONNECT_ERROR);
    CLR_ASSERT((p.attachments > 0) == (p.type >= CLR_SIO_BINARY_EVENT));
    CLR_ASSERT(p.id <= CLR_SIO_MAX_ID || p.id == CLR_SIO_NO_ID);
    CLR_ASSERT(p.json.n == 0 || clr_json_is_valid(p.json));
    check_again(&p);
    return 0;
}
