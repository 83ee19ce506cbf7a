/* migrate_fixture.h: two workers, clients that go from one to the other, and what the other is told
 * of them.
 */
#pragma once

#include "eio_fixture.h"
#include "gateway/migrate.h"

static fake_t worker, other;

CLR_UNUSED static void open_both(uint32_t credit)
{
    fixture_open(false);
    fake_open(&worker, 1, SOCKETIO_SERVER, credit);
    fake_open(&other, 2, SOCKETIO_SERVER, 1000);
}

CLR_UNUSED static void close_all(ws_t *ws)
{
    ws_close(ws);
    fake_close(&other);
    fixture_close();
}

CLR_UNUSED static void send_events(ws_t *ws, int from, int to)
{
    for (int i = from; i < to; i++) {
        char packet[40];
        snprintf(packet, sizeof(packet), "42[\"e\",%d]", i);
        ws_text(ws, packet);
    }
}

CLR_UNUSED static void expect_events(fake_t *f, uint64_t stream, int from, int to)
{
    for (int i = from; i < to; i++) {
        char json[40];
        snprintf(json, sizeof(json), "[\"e\",%d]", i);
        clr_frame_t frame = fake_expect(f, CLR_FRAME_SIO_EVENT);
        clr_reader_t r = clr_reader(frame.payload);
        EXPECT_EQ(frame.stream, stream);
        EXPECT_EQ(clr_read_u64(&r), CLR_NO_ACK);
        EXPECT_STR_C(clr_read_data(&r).json, json);
        EXPECT_EQ(clr_reader_done(&r), 0);
    }
}

/* What SIO_RESUME says beside the stream; rooms as "a,b,". */
typedef struct resume {
    char sid[CLR_ID_LEN + 1];
    char nsp[40];
    char auth[100];
    char rooms[100];
    char saved[100];
} resume_t;

CLR_UNUSED static void copy(char *out, size_t size, clr_str_t s)
{
    EXPECT(s.n < size);
    memcpy(out, s.p, s.n);
    out[s.n] = '\0';
}

CLR_UNUSED static resume_t expect_resume(fake_t *f, uint64_t stream)
{
    resume_t got = {0};
    clr_frame_t frame = fake_expect(f, CLR_FRAME_SIO_RESUME);
    clr_reader_t r = clr_reader(frame.payload);
    if (stream)
        EXPECT_EQ(frame.stream, stream);
    EXPECT_EQ(clr_read_u16(&r), 0);
    EXPECT_EQ(clr_read_str(&r).n, CLR_ID_LEN);
    copy(got.sid, sizeof(got.sid), clr_read_str(&r));
    copy(got.nsp, sizeof(got.nsp), clr_read_str(&r));
    copy(got.auth, sizeof(got.auth), clr_read_str(&r));
    clr_strs_t rooms = clr_read_strs(&r);
    for (clr_str_t room; clr_strs_next(&rooms, &room);) {
        strncat(got.rooms, room.p, room.n);
        strcat(got.rooms, ",");
    }
    copy(got.saved, sizeof(got.saved), clr_read_str(&r));
    EXPECT_EQ(clr_read_request(&r).headers.count % 2, 0);
    EXPECT_EQ(clr_reader_done(&r), 0);
    return got;
}

CLR_UNUSED static clr_eio_session_t *session_of(const ws_t *ws)
{
    return clr_eio_session_find(clr_eio_server_find(&gw, 0), clr_str(ws->sid, CLR_ID_LEN));
}
