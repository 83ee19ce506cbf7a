/* What the app keeps with its clients. */
#include "gateway/worker_state.h"

#include "migrate_fixture.h"

static void state_frame(fake_t *f, uint8_t type, const char *sid, const char *saved, uint64_t token)
{
    size_t at = clr_frame_begin(&f->out, type, 0, 0);
    clr_buf_append_le(&f->out, 0, 2);
    clr_write_str(&f->out, CLR_STR("/"));
    clr_write_str(&f->out, clr_str_c(sid));
    if (saved)
        clr_write_str(&f->out, clr_str_c(saved));
    clr_buf_append_le(&f->out, token, 8);
    clr_frame_end(&f->out, at);
    fake_flush(f);
}

static void expect_state(fake_t *f, uint64_t token, bool found, const char *saved)
{
    clr_frame_t frame = fake_expect(f, CLR_FRAME_STATE);
    clr_reader_t r = clr_reader(frame.payload);
    EXPECT_EQ(frame.stream, token);
    EXPECT_EQ(clr_read_u8(&r), found);
    EXPECT_STR_C(clr_read_str(&r), saved);
    EXPECT_EQ(clr_read_str(&r).n > 0, found);
    EXPECT_EQ(clr_reader_done(&r), 0);
}

TEST(any_worker_sees_and_saves_what_is_kept)
{
    open_both(1000);
    ws_t ws = {0};
    char sid[CLR_ID_LEN + 1];
    uint64_t stream = ws_join(&ws, &worker, "/", sid);
    fake_text(&worker, CLR_FRAME_SAVE, 0, stream, "mine");
    state_frame(&other, CLR_FRAME_STATE_ASK, sid, NULL, 5);
    expect_state(&other, 5, true, "mine");
    state_frame(&other, CLR_FRAME_STATE_SAVE, sid, "theirs", 6);
    EXPECT_EQ(fake_expect(&other, CLR_FRAME_REPLY).payload.p[0], 1);
    clr_frame_t saved = fake_expect(&worker, CLR_FRAME_SAVED);
    EXPECT_EQ(saved.stream, stream);
    EXPECT_STR_C(clr_str_from(saved.payload, 4), "theirs");
    state_frame(&other, CLR_FRAME_STATE_ASK, "nobody", NULL, 7);
    expect_state(&other, 7, false, "");
    state_frame(&other, CLR_FRAME_STATE_SAVE, "nobody", "x", 8);
    EXPECT_EQ(fake_expect(&other, CLR_FRAME_REPLY).payload.p[0], 0);
    fake_close(&worker);
    EXPECT_STR_C(clr_str_c(expect_resume(&other, stream).saved), "theirs");
    close_all(&ws);
}

TEST(too_much_to_keep_is_refused)
{
    open_both(1000);
    ws_t ws = {0};
    uint64_t stream = ws_join(&ws, &worker, "/", NULL);
    clr_buf_t big = {0};
    memset(clr_buf_reserve(&big, (1u << 20) + 2), 'x', (1u << 20) + 1);
    big.p[1u << 20] = '\0';
    fake_text(&worker, CLR_FRAME_SAVE, 0, stream, big.p);
    for (int i = 0; i < 20; i++)
        loopback_turn(&loop);
    EXPECT(!worker.gone);
    big.p[1u << 20] = 'x';
    big.p[(1u << 20) + 1] = '\0';
    fake_text(&worker, CLR_FRAME_SAVE, 0, stream, big.p);
    fake_wait_gone(&worker);
    clr_buf_deinit(&big);
    fake_close(&worker);
    close_all(&ws);
}

TEST_MAIN(T(any_worker_sees_and_saves_what_is_kept), T(too_much_to_keep_is_refused))
