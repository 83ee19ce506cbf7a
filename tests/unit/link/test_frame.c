#include "samples.h"

/* The bytes of one frame as a peer would send them, head field by head field. */
static void raw_frame(clr_buf_t *out, uint32_t length, uint8_t type, uint8_t flags, uint16_t zero,
                      uint64_t stream)
{
    clr_buf_append_le(out, length, 4);
    clr_buf_append_le(out, type, 1);
    clr_buf_append_le(out, flags, 1);
    clr_buf_append_le(out, zero, 2);
    clr_buf_append_le(out, stream, 8);
}

static int64_t decode_head(uint32_t length, uint8_t type, uint8_t flags, uint16_t zero, char from)
{
    clr_buf_t b = {0};
    clr_frame_t frame;
    raw_frame(&b, length, type, flags, zero, 7);
    int64_t result = clr_frame_decode(clr_buf_str(&b), from, &frame, NULL);
    clr_buf_deinit(&b);
    return result;
}

TEST(the_head_lies_on_the_wire_as_documented)
{
    clr_buf_t b = {0};
    size_t begun = clr_frame_begin(&b, CLR_FRAME_SIO_SEND, CLR_FRAME_ACK, 0x1122334455667788);
    clr_buf_append_str(&b, CLR_STR("abc"));
    clr_frame_end(&b, begun);
    EXPECT_STR(clr_buf_str(&b), CLR_STR("\x03\0\0\0\x47\x02\0\0\x88\x77\x66\x55\x44\x33\x22\x11"
                                        "abc"));
    char head[CLR_FRAME_HEAD_SIZE];
    clr_frame_head(head, CLR_FRAME_SIO_SEND, CLR_FRAME_ACK, 0x1122334455667788, 3);
    EXPECT(memcmp(head, b.p, sizeof(head)) == 0);
    clr_buf_deinit(&b);
}

TEST(every_type_comes_back_as_it_went)
{
    for (size_t i = 0; i < clr_array_len(sample_types); i++) {
        for (uint64_t seed = 1; seed <= 50; seed++) {
            clr_buf_t b = {0};
            clr_frame_t frame;
            sample_frame(&b, sample_types[i], seed);
            EXPECT_EQ(
                clr_frame_decode(clr_buf_str(&b), sample_direction(sample_types[i]), &frame, NULL),
                b.n);
            EXPECT_EQ(frame.type, sample_types[i]);
            EXPECT_EQ(frame.flags, 0);
            EXPECT_EQ(frame.stream, seed);
            sample_compare(&frame, seed);
            EXPECT_EQ(clr_message_check(&frame), 0);
            clr_buf_deinit(&b);
        }
    }
}

TEST(frames_of_one_buffer_come_out_one_by_one)
{
    clr_buf_t b = {0};
    for (uint64_t seed = 0; seed < 100; seed++)
        sample_frame(&b, CLR_FRAME_SIO_EVENT, seed);
    clr_str_t rest = clr_buf_str(&b);
    for (uint64_t seed = 0; seed < 100; seed++) {
        clr_frame_t frame;
        int64_t n = clr_frame_decode(rest, 'G', &frame, NULL);
        EXPECT(n > 0);
        EXPECT_EQ(frame.stream, seed);
        sample_compare(&frame, seed);
        rest = clr_str_from(rest, (size_t)n);
    }
    EXPECT_EQ(rest.n, 0);
    clr_buf_deinit(&b);
}

TEST(a_frame_cut_at_any_byte_says_what_it_needs)
{
    clr_buf_t b = {0};
    sample_frame(&b, CLR_FRAME_SIO_CONNECT, 3);
    EXPECT(b.n > CLR_FRAME_HEAD_SIZE);
    for (size_t n = 0; n < b.n; n++) {
        char *exact = malloc(n ? n : 1); /* so that the sanitizer sees a read past the end */
        clr_frame_t frame;
        size_t need = 0;
        memcpy(exact, b.p, n);
        EXPECT_EQ(clr_frame_decode(clr_str(exact, n), 'G', &frame, &need), 0);
        EXPECT_EQ(need, n < CLR_FRAME_HEAD_SIZE ? CLR_FRAME_HEAD_SIZE : b.n);
        free(exact);
    }
    clr_buf_deinit(&b);
}

TEST(each_type_is_accepted_from_its_own_side_only)
{
    for (int type = 0; type < 256; type++) {
        char from = sample_direction((uint8_t)type);
        EXPECT_EQ(decode_head(0, (uint8_t)type, 0, 0, 'G'), from == 'G' ? 16 : CLR_EPROTO);
        EXPECT_EQ(decode_head(0, (uint8_t)type, 0, 0, 'W'), from == 'W' ? 16 : CLR_EPROTO);
        EXPECT_EQ(decode_head(0, (uint8_t)type, 0, 0, 0), from == 0 ? 16 : CLR_EPROTO);
    }
}

TEST(reserved_bits_are_refused)
{
    for (int bit = 0; bit < 16; bit++)
        EXPECT_EQ(decode_head(0, CLR_FRAME_SIO_EVENT, 0, (uint16_t)(1 << bit), 'G'), CLR_EPROTO);
}

TEST(flags_are_refused_where_they_mean_nothing)
{
    EXPECT_EQ(decode_head(0, CLR_FRAME_EIO_SEND, CLR_FRAME_BINARY, 0, 'W'), 16);
    EXPECT_EQ(decode_head(0, CLR_FRAME_EIO_SEND, CLR_FRAME_ACK, 0, 'W'), CLR_EPROTO);
    EXPECT_EQ(decode_head(0, CLR_FRAME_EIO_MESSAGE, CLR_FRAME_BINARY, 0, 'G'), 16);
    EXPECT_EQ(decode_head(0, CLR_FRAME_SIO_SEND, CLR_FRAME_ACK | CLR_FRAME_VOLATILE, 0, 'W'), 16);
    EXPECT_EQ(decode_head(0, CLR_FRAME_SIO_EMIT, CLR_FRAME_VOLATILE, 0, 'W'), 16);
    EXPECT_EQ(decode_head(0, CLR_FRAME_SIO_EMIT, 8, 0, 'W'), CLR_EPROTO);
    EXPECT_EQ(decode_head(0, CLR_FRAME_READY, CLR_FRAME_BINARY, 0, 'W'), CLR_EPROTO);
}

TEST(a_payload_at_the_cap_is_awaited_and_one_past_it_is_refused_at_once)
{
    EXPECT_EQ(decode_head(CLR_FRAME_MAX, CLR_FRAME_SIO_EVENT, 0, 0, 'G'), 0);
    EXPECT_EQ(decode_head(CLR_FRAME_MAX + 1, CLR_FRAME_SIO_EVENT, 0, 0, 'G'), CLR_EPROTO);
    EXPECT_EQ(decode_head(UINT32_MAX, CLR_FRAME_SIO_EVENT, 0, 0, 'G'), CLR_EPROTO);
}

TEST(the_encoder_refuses_a_payload_past_the_cap)
{
    char head[CLR_FRAME_HEAD_SIZE];
    clr_frame_head(head, CLR_FRAME_SIO_SEND, 0, 1, CLR_FRAME_MAX);
    EXPECT_ABORT(clr_frame_head(head, CLR_FRAME_SIO_SEND, 0, 1, CLR_FRAME_MAX + 1));
    clr_buf_t b = {0};
    size_t begun = clr_frame_begin(&b, CLR_FRAME_SIO_SEND, 0, 1);
    memset(clr_buf_reserve(&b, CLR_FRAME_MAX + 1), 0, CLR_FRAME_MAX + 1);
    b.n += CLR_FRAME_MAX;
    clr_frame_end(&b, begun);
    b.n++;
    EXPECT_ABORT(clr_frame_end(&b, begun));
    clr_buf_deinit(&b);
}

TEST(names_are_for_logs)
{
    EXPECT_STR_C(clr_str_c(clr_frame_name(CLR_FRAME_SIO_EVENT)), "SIO_EVENT");
    EXPECT_STR_C(clr_str_c(clr_frame_name(CLR_FRAME_SIO_CLOSE_ROOM)), "SIO_CLOSE_ROOM");
    EXPECT_STR_C(clr_str_c(clr_frame_name(0)), "?");
    EXPECT_STR_C(clr_str_c(clr_frame_name(255)), "?");
    EXPECT_STR_C(clr_str_c(clr_reason_name(CLR_REASON_PING_TIMEOUT)), "ping timeout");
    EXPECT_STR_C(clr_str_c(clr_reason_name(0)), "");
    EXPECT_STR_C(clr_str_c(clr_reason_name(6)), "");
}

TEST_MAIN(T(the_head_lies_on_the_wire_as_documented), T(every_type_comes_back_as_it_went),
          T(frames_of_one_buffer_come_out_one_by_one),
          T(a_frame_cut_at_any_byte_says_what_it_needs),
          T(each_type_is_accepted_from_its_own_side_only), T(reserved_bits_are_refused),
          T(flags_are_refused_where_they_mean_nothing),
          T(a_payload_at_the_cap_is_awaited_and_one_past_it_is_refused_at_once),
          T(the_encoder_refuses_a_payload_past_the_cap), T(names_are_for_logs))
