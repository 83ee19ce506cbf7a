#include "proto/eio.h"

#include "golden.h"

static const char *type_name(const clr_eio_packet_t *p)
{
    static const char *const names[] = {"open",    "close",   "ping", "pong",
                                        "message", "upgrade", "noop"};
    return p->binary ? "binary" : names[p->type - '0'];
}

static void run_payload(clr_str_t input, clr_buf_t *output)
{
    clr_buf_t scratch = {0};
    clr_str_t text;
    int r = 0;
    for (bool first = true; r == 0 && clr_eio_payload_next(&input, &text); first = false) {
        clr_eio_packet_t p;
        r = clr_eio_packet_parse(text, &scratch, &p);
        clr_buf_printf(output, "%s%s", first ? "" : " | ", r == 0 ? type_name(&p) : "error");
        if (r != 0)
            break;
        clr_buf_putc(output, ' ');
        golden_escape(output, p.data);
    }
    clr_buf_deinit(&scratch);
}

TEST(eio_golden)
{
    golden_run_cases("engineio", run_payload);
}

TEST(eio_open_json)
{
    clr_buf_t out = {0};
    clr_eio_open_json(&out, CLR_STR("abc-_1"), true, 25000, 20000, 1000000);
    EXPECT_STR_C(clr_buf_str(&out), "{\"sid\":\"abc-_1\",\"upgrades\":[\"websocket\"],"
                                    "\"pingInterval\":25000,\"pingTimeout\":20000,"
                                    "\"maxPayload\":1000000}");
    clr_buf_clear(&out);
    clr_buf_putc(&out, '0');
    clr_eio_open_json(&out, CLR_STR("x"), false, 300, 200, 4294967296);
    EXPECT_STR_C(clr_buf_str(&out), "0{\"sid\":\"x\",\"upgrades\":[],\"pingInterval\":300,"
                                    "\"pingTimeout\":200,\"maxPayload\":4294967296}");
    clr_buf_deinit(&out);
}

TEST(eio_errors)
{
    EXPECT_EQ(clr_eio_error_status(CLR_EIO_ERROR_UNKNOWN_SID), 400);
    EXPECT_EQ(clr_eio_error_status(CLR_EIO_ERROR_FORBIDDEN), 403);
    EXPECT_STR_C(clr_str_c(clr_eio_error_message(CLR_EIO_ERROR_UNKNOWN_TRANSPORT)),
                 "Transport unknown");
    EXPECT_STR_C(clr_str_c(clr_eio_error_message(CLR_EIO_ERROR_UNSUPPORTED_PROTOCOL)),
                 "Unsupported protocol version");
}

TEST_MAIN(T(eio_golden), T(eio_open_json), T(eio_errors))
