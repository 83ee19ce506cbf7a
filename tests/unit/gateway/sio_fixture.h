/* sio_fixture.h: a Socket.IO server whose worker the test plays. */
#pragma once

#include "eio_fixture.h"
#include "gateway/sio_socket.h"

static fake_t worker; /* what the test plays */

static void setup(const char *server)
{
    fixture_open(false);
    fake_open(&worker, 1, server, 100000);
}

static void teardown(void)
{
    fake_close(&worker);
    fixture_close();
}

CLR_UNUSED static void expect_data(uint8_t type, uint64_t stream, uint64_t number, const char *json,
                                   const char *attachments)
{
    clr_frame_t frame = fake_expect(&worker, type);
    clr_reader_t r = clr_reader(frame.payload);
    EXPECT_EQ(frame.stream, stream);
    EXPECT(clr_read_u64(&r) == number);
    clr_data_t data = clr_read_data(&r);
    EXPECT_EQ(clr_reader_done(&r), 0);
    EXPECT_STR_C(data.json, json);
    clr_str_t rest = clr_str_c(attachments), expected, item;
    while (attachments && clr_str_split(&rest, ',', &expected)) {
        EXPECT(clr_strs_next(&data.attachments, &item));
        EXPECT_STR(item, expected);
    }
    EXPECT(!clr_strs_next(&data.attachments, &item));
}

CLR_UNUSED static void expect_disconnect(uint64_t stream, uint8_t reason)
{
    clr_frame_t frame = fake_expect(&worker, CLR_FRAME_SIO_DISCONNECT);
    EXPECT_EQ(frame.stream, stream);
    EXPECT_EQ(frame.payload.p[0], reason);
}
