/* fuzz_ws.c: a WebSocket stream. The outcome must not depend on how the bytes are cut. */
#include "base/assert.h"
#include "base/utf8.h"
#include "proto/ws.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_MESSAGE 300

static void add(clr_buf_t *log, char kind, uint16_t code, clr_str_t payload)
{
    clr_buf_printf(log, "%c %u %zu ", kind, code, payload.n);
    clr_buf_append_str(log, payload);
}

static int on_message(uint8_t opcode, clr_str_t payload, void *ctx)
{
    CLR_ASSERT(payload.n <= MAX_MESSAGE);
    CLR_ASSERT(opcode == CLR_WS_BINARY || (opcode == CLR_WS_TEXT && clr_utf8_is_valid(payload)));
    add(ctx, 'm', opcode, payload);
    return payload.n > 0 && payload.p[0] == 'S'; /* some owners stop */
}

static int on_ping(clr_str_t payload, void *ctx)
{
    CLR_ASSERT(payload.n <= 125);
    add(ctx, 'p', 0, payload);
    return 0;
}

static int on_pong(clr_str_t payload, void *ctx)
{
    CLR_ASSERT(payload.n <= 125);
    add(ctx, 'P', 0, payload);
    return 0;
}

static int on_close(uint16_t code, clr_str_t reason, void *ctx)
{
    CLR_ASSERT(code == CLR_WS_NO_STATUS || clr_ws_code_is_sendable(code));
    CLR_ASSERT(clr_utf8_is_valid(reason) && reason.n <= 123);
    add(ctx, 'c', code, reason);
    return 0;
}

static clr_buf_t run(clr_str_t in, size_t step, clr_deflate_t *deflate)
{
    static const clr_ws_parser_ops_t ops = {on_message, on_ping, on_pong, on_close};
    clr_buf_t log = {0};
    clr_ws_parser_t *p = clr_ws_parser_new();
    clr_ws_parser_set_deflate(p, deflate);
    int r = 0;
    while (r == 0 && in.n > 0) {
        size_t n = step < in.n ? step : in.n;
        uint16_t code = 0;
        r = clr_ws_parser_feed(p, clr_str(in.p, n), MAX_MESSAGE, &ops, &log, &code);
        CLR_ASSERT(r <= 0);
        if (r != 0)
            clr_buf_printf(&log, "error %d %u\n", r, code);
        in = clr_str_from(in, n);
    }
    clr_buf_printf(&log, "%d", clr_ws_parser_is_idle(p));
    clr_ws_parser_free(p);
    return log;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    clr_str_t in = clr_str((const char *)data + 1, size - 1);
    clr_deflate_t *deflate = data[0] & 1 ? clr_deflate_new() : NULL;
    clr_buf_t whole = run(in, SIZE_MAX, deflate);
    clr_buf_t bytes = run(in, 1, deflate);
    clr_buf_t pieces = run(in, data[0] + 1u, deflate);
    clr_deflate_free(deflate);
    CLR_ASSERT(clr_str_eq(clr_buf_str(&whole), clr_buf_str(&bytes)));
    CLR_ASSERT(clr_str_eq(clr_buf_str(&whole), clr_buf_str(&pieces)));
    clr_buf_deinit(&whole);
    clr_buf_deinit(&bytes);
    clr_buf_deinit(&pieces);
    return 0;
}
