/* fuzz_deflate.c: offers of permessage-deflate, compressed messages of a client, and what we
 * compress. */
#include "base/assert.h"
#include "proto/deflate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_MESSAGE 5000

static void offer(clr_str_t header)
{
    clr_deflate_params_t params;
    if (!clr_deflate_negotiate(header, &params))
        return;
    CLR_ASSERT(params.server_bits >= CLR_DEFLATE_BITS_MIN &&
               params.server_bits <= CLR_DEFLATE_BITS_MAX);
    clr_buf_t answer = {0};
    clr_deflate_append_answer(&params, &answer);
    CLR_ASSERT(answer.n > 2 && answer.p[answer.n - 1] == '\n');
    clr_buf_deinit(&answer);
}

static void decode(clr_str_t message)
{
    clr_deflate_t *d = clr_deflate_new();
    clr_str_t out;
    int first = clr_deflate_decode(d, message, MAX_MESSAGE, &out);
    CLR_ASSERT(first == 0 || first == CLR_EPROTO || first == CLR_ETOOBIG);
    CLR_ASSERT(out.n <= MAX_MESSAGE);
    clr_buf_t copy = {0};
    clr_buf_append_str(&copy, out);
    CLR_ASSERT(clr_deflate_decode(d, message, MAX_MESSAGE, &out) == first); /* nothing is left */
    CLR_ASSERT(clr_str_eq(out, clr_buf_str(&copy)));
    clr_buf_deinit(&copy);
    clr_deflate_free(d);
}

static void round_trip(clr_str_t message, uint8_t bits)
{
    clr_deflate_t *d = clr_deflate_new();
    clr_str_t encoded, decoded;
    clr_buf_t text = {0};
    while (text.n < CLR_DEFLATE_LEAST)
        clr_buf_append_str(&text, message);
    if (clr_deflate_applies(text.n) && clr_deflate_encode(d, bits, clr_buf_str(&text), &encoded)) {
        CLR_ASSERT(encoded.n < text.n);
        CLR_ASSERT(clr_deflate_decode(d, encoded, text.n, &decoded) == 0);
        CLR_ASSERT(clr_str_eq(decoded, clr_buf_str(&text)));
    }
    clr_buf_deinit(&text);
    clr_deflate_free(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    clr_str_t in = clr_str((const char *)data + 1, size - 1);
    if (data[0] < 85)
        offer(in);
    else if (data[0] < 170)
        decode(in);
    else
        round_trip(in, (uint8_t)(CLR_DEFLATE_BITS_MIN + data[0] % 7));
    return 0;
}
