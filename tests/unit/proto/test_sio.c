#include "proto/sio.h"

#include "golden.h"

static void run_packet(clr_str_t input, clr_buf_t *output)
{
    clr_sio_packet_t p;
    const char *why = NULL;
    int r = clr_sio_packet_parse(input, &p, &why);
    if (r != 0) {
        EXPECT_EQ(r, CLR_EPROTO);
        clr_buf_printf(output, "error %s", why);
        return;
    }
    clr_buf_printf(output, "%d nsp=", p.type);
    golden_escape(output, p.nsp);
    if (p.id != CLR_SIO_NO_ID)
        clr_buf_printf(output, " id=%" PRIu64, p.id);
    if (p.attachments > 0)
        clr_buf_printf(output, " attachments=%" PRIu32, p.attachments);
    if (p.json.n > 0)
        clr_buf_printf(output, " json=");
    golden_escape(output, p.json);
}

TEST(sio_golden)
{
    golden_run_cases("socketio", run_packet);
}

static void expect_head(const char *text, uint8_t type, uint32_t attachments, const char *nsp,
                        uint64_t id)
{
    clr_buf_t out = {0};
    clr_sio_packet_head(&out, type, attachments, clr_str_c(nsp), id);
    EXPECT_STR_C(clr_buf_str(&out), text);
    clr_buf_deinit(&out);
}

TEST(sio_head)
{
    expect_head("2", CLR_SIO_EVENT, 0, "/", CLR_SIO_NO_ID);
    expect_head("20", CLR_SIO_EVENT, 0, "/", 0);
    expect_head("3/admin,12", CLR_SIO_ACK, 0, "/admin", 12);
    expect_head("52-/a,9007199254740991", CLR_SIO_BINARY_EVENT, 2, "/a", CLR_SIO_MAX_ID);
    expect_head("61-3", CLR_SIO_BINARY_ACK, 1, "/", 3);
    expect_head("0/admin,", CLR_SIO_CONNECT, 0, "/admin", CLR_SIO_NO_ID);
}

/* As deep as the scanner goes, and one deeper. */
TEST(sio_depth_at_the_limit_and_one_past_it)
{
    for (int extra = 0; extra < 2; extra++) {
        clr_buf_t text = {0};
        clr_buf_printf(&text, "51-[\"a\",");
        for (int i = 0; i < 511 + extra; i++)
            clr_buf_putc(&text, '[');
        for (int i = 0; i < 512 + extra; i++)
            clr_buf_putc(&text, ']');
        clr_sio_packet_t p;
        const char *why = NULL;
        EXPECT_EQ(clr_sio_packet_parse(clr_buf_str(&text), &p, &why), extra ? CLR_EPROTO : 0);
        clr_buf_deinit(&text);
    }
}

TEST_MAIN(T(sio_golden), T(sio_head), T(sio_depth_at_the_limit_and_one_past_it))
