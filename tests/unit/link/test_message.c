#include "samples.h"

static int check(uint8_t type, clr_str_t payload)
{
    clr_frame_t frame = {.type = type, .payload = payload};
    return clr_message_check(&frame);
}

TEST(integers_are_little_endian)
{
    clr_reader_t r =
        clr_reader(CLR_STR("\x01\x02\x01\x04\x03\x02\x01\x08\x07\x06\x05\x04\x03\x02\x01"));
    EXPECT_EQ(clr_read_u8(&r), 1);
    EXPECT_EQ(clr_read_u16(&r), 0x0102);
    EXPECT_EQ(clr_read_u32(&r), 0x01020304);
    EXPECT_EQ(clr_read_u64(&r), 0x0102030405060708);
    EXPECT_EQ(clr_reader_done(&r), 0);
}

TEST(after_a_failed_read_all_else_is_zero)
{
    clr_reader_t r = clr_reader(CLR_STR("\x01\x02\x03"));
    EXPECT_EQ(clr_read_u32(&r), 0);
    EXPECT(r.bad);
    EXPECT_EQ(clr_read_u8(&r), 0); /* though a byte was there */
    EXPECT_EQ(clr_read_u16(&r), 0);
    EXPECT_EQ(clr_read_u64(&r), 0);
    EXPECT_STR_C(clr_read_str(&r), "");
    EXPECT_EQ(clr_read_strs(&r).count, 0);
    EXPECT_EQ(clr_reader_done(&r), CLR_EPROTO);
}

TEST(bytes_left_over_are_an_error)
{
    clr_reader_t r = clr_reader(CLR_STR("\x01\x02"));
    EXPECT_EQ(clr_read_u8(&r), 1);
    EXPECT(!r.bad);
    EXPECT_EQ(clr_reader_done(&r), CLR_EPROTO);
}

TEST(an_empty_payload_has_nothing_to_read)
{
    clr_reader_t r = clr_reader(clr_str(NULL, 0));
    EXPECT_EQ(clr_reader_done(&r), 0);
    EXPECT_EQ(clr_read_u8(&r), 0);
    EXPECT_EQ(clr_reader_done(&r), CLR_EPROTO);
}

TEST(a_string_longer_than_the_payload_is_refused)
{
    static const clr_str_t bad[] = {
        CLR_STR_INIT("\x04\0\0\0abc"),
        CLR_STR_INIT("\xff\xff\xff\xff"
                     "abc"),
        CLR_STR_INIT("\xfc\xff\xff\xff"
                     "abc"),
        CLR_STR_INIT("\0\0\0\x80"
                     "abc"),
        CLR_STR_INIT("\x03\0\0"),
    };
    for (size_t i = 0; i < clr_array_len(bad); i++) {
        clr_reader_t r = clr_reader(bad[i]);
        EXPECT_EQ(clr_read_str(&r).n, 0);
        EXPECT(r.bad);
    }
    clr_reader_t r = clr_reader(CLR_STR("\x03\0\0\0abc"));
    EXPECT_STR_C(clr_read_str(&r), "abc");
    EXPECT_EQ(clr_reader_done(&r), 0);
}

TEST(a_count_that_lies_is_refused)
{
    static const clr_str_t bad[] = {
        CLR_STR_INIT("\x02\0\x01\0\0\0a"),   /* says two, has one */
        CLR_STR_INIT("\xff\xff\x01\0\0\0a"), /* says 65535 */
        CLR_STR_INIT("\x01\0\x02\0\0\0a"),   /* the item is cut short */
        CLR_STR_INIT("\x02\0\x01\0\0\0a\xff\xff\xff\xff"),
        CLR_STR_INIT("\x01"),
    };
    for (size_t i = 0; i < clr_array_len(bad); i++) {
        clr_reader_t r = clr_reader(bad[i]);
        clr_strs_t it = clr_read_strs(&r);
        clr_str_t item;
        EXPECT(r.bad);
        EXPECT(!clr_strs_next(&it, &item)); /* nothing half-read to iterate over */
    }
    clr_reader_t r = clr_reader(CLR_STR("\x01\0\x01\0\0\0ab"));
    (void)clr_read_strs(&r); /* says one, has one and a byte */
    EXPECT(!r.bad);
    EXPECT_EQ(clr_reader_done(&r), CLR_EPROTO);
}

TEST(a_list_holds_as_many_items_as_its_count_can_say)
{
    static clr_str_t items[UINT16_MAX];
    for (size_t i = 0; i < UINT16_MAX; i++)
        items[i] = CLR_STR("x");
    clr_buf_t b = {0};
    clr_write_strs(&b, items, UINT16_MAX);
    clr_reader_t r = clr_reader(clr_buf_str(&b));
    clr_strs_t it = clr_read_strs(&r);
    EXPECT_EQ(clr_reader_done(&r), 0);
    sample_check_strs(it, items, UINT16_MAX);
    clr_buf_deinit(&b);
}

/* Each type, cut at each byte, in memory that ends there. */
TEST(every_payload_cut_at_any_byte_is_refused)
{
    for (size_t i = 0; i < clr_array_len(sample_types); i++) {
        for (uint64_t seed = 1; seed <= 5; seed++) {
            clr_buf_t b = {0};
            sample_t s = {.out = &b, .random = seed};
            sample_payload(&s, sample_types[i]);
            for (size_t n = 0; n < b.n; n++) {
                char *exact = malloc(n ? n : 1);
                memcpy(exact, b.p, n);
                EXPECT_EQ(check(sample_types[i], clr_str(exact, n)), CLR_EPROTO);
                free(exact);
            }
            clr_buf_putc(&b, 0);
            EXPECT_EQ(check(sample_types[i], clr_buf_str(&b)), CLR_EPROTO);
            clr_buf_deinit(&b);
        }
    }
}

TEST(payloads_with_flipped_bits_are_read_without_harm)
{
    uint64_t random = 1;
    for (size_t i = 0; i < clr_array_len(sample_types); i++) {
        for (uint64_t seed = 1; seed <= 20; seed++) {
            clr_buf_t b = {0};
            sample_t s = {.out = &b, .random = seed};
            sample_payload(&s, sample_types[i]);
            for (int k = 0; k < 50 && b.n; k++) {
                char *exact = malloc(b.n);
                memcpy(exact, b.p, b.n);
                exact[test_random(&random) % b.n] ^= (char)(1 << test_random(&random) % 8);
                int result = check(sample_types[i], clr_str(exact, b.n));
                EXPECT(result == 0 || result == CLR_EPROTO);
                free(exact);
            }
            clr_buf_deinit(&b);
        }
    }
}

TEST(check_refuses_unknown_types)
{
    EXPECT_EQ(check(0, CLR_STR_EMPTY), CLR_EPROTO);
    EXPECT_EQ(check(63, CLR_STR_EMPTY), CLR_EPROTO);
    EXPECT_EQ(check(255, CLR_STR_EMPTY), CLR_EPROTO);
    EXPECT_EQ(check(CLR_FRAME_READY, CLR_STR_EMPTY), 0);
}

static void expect_u8_range(uint8_t type, clr_str_t rest, int low, int high)
{
    for (int v = 0; v < 256; v++) {
        clr_buf_t b = {0};
        clr_buf_putc(&b, (char)v);
        clr_buf_append_str(&b, rest);
        EXPECT_EQ(check(type, clr_buf_str(&b)), v >= low && v <= high ? 0 : CLR_EPROTO);
        clr_buf_deinit(&b);
    }
}

TEST(small_integers_stay_in_their_ranges)
{
    expect_u8_range(CLR_FRAME_REPLY, CLR_STR_EMPTY, 0, 1);
    expect_u8_range(CLR_FRAME_ORIGIN_RESULT, CLR_STR_EMPTY, 0, 1);
    expect_u8_range(CLR_FRAME_SIO_DISCONNECT, CLR_STR_EMPTY, 1, 5);
    expect_u8_range(CLR_FRAME_EIO_GONE, CLR_STR_EMPTY, 1, 5);
    expect_u8_range(CLR_FRAME_SIO_ROOM, CLR_STR("\0\0\0\0"), 1, 3);
    expect_u8_range(CLR_FRAME_TRANSPORT, CLR_STR_EMPTY, 1, 2);
    expect_u8_range(CLR_FRAME_FAILED, CLR_STR("\0\0\0\0"), 1, 3);
    expect_u8_range(CLR_FRAME_LOG, CLR_STR("\0\0\0\0\0\0\0\0"), 0, 3);
}

static int check_event_ack(uint64_t ack)
{
    clr_buf_t b = {0};
    clr_buf_append_le(&b, ack, 8);
    clr_write_data(&b, CLR_STR("[\"x\"]"), NULL, 0);
    int result = check(CLR_FRAME_SIO_EVENT, clr_buf_str(&b));
    clr_buf_deinit(&b);
    return result;
}

TEST(ack_ids_are_integers_that_javascript_holds)
{
    EXPECT_EQ(check_event_ack(0), 0);
    EXPECT_EQ(check_event_ack((UINT64_C(1) << 53) - 1), 0);
    EXPECT_EQ(check_event_ack(UINT64_C(1) << 53), CLR_EPROTO);
    EXPECT_EQ(check_event_ack(UINT64_MAX - 1), CLR_EPROTO);
    EXPECT_EQ(check_event_ack(CLR_NO_ACK), 0);
}

TEST(a_request_needs_a_value_to_each_header_and_a_known_transport)
{
    static const clr_str_t headers[] = {CLR_STR_INIT("host"), CLR_STR_INIT("a"),
                                        CLR_STR_INIT("origin")};
    for (uint8_t transport = 0; transport < 4; transport++) {
        for (uint16_t count = 0; count <= 3; count++) {
            clr_request_head_t head = {
                .transport = transport,
                .method = CLR_STR("GET"),
                .target = CLR_STR("/socket.io/?EIO=4"),
                .peer_host = CLR_STR("::1"),
                .local_host = CLR_STR(""),
            };
            clr_buf_t b = {0};
            clr_write_request(&b, &head);
            clr_write_strs(&b, headers, count);
            clr_reader_t r = clr_reader(clr_buf_str(&b));
            (void)clr_read_request(&r);
            EXPECT_EQ(clr_reader_done(&r), transport < 3 && count % 2 == 0 ? 0 : CLR_EPROTO);
            clr_buf_deinit(&b);
        }
    }
}

TEST(an_event_lies_on_the_wire_as_documented)
{
    static const clr_str_t attachment = CLR_STR_INIT("\xff\x00");
    clr_buf_t b = {0};
    clr_buf_append_le(&b, 5, 8);
    clr_write_data(&b, CLR_STR("[1]"), &attachment, 1);
    EXPECT_STR(clr_buf_str(&b), CLR_STR("\x05\0\0\0\0\0\0\0\x03\0\0\0[1]\x01\0\x02\0\0\0\xff\0"));
    EXPECT_EQ(check(CLR_FRAME_SIO_EVENT, clr_buf_str(&b)), 0);
    clr_buf_deinit(&b);
}

TEST_MAIN(T(integers_are_little_endian), T(after_a_failed_read_all_else_is_zero),
          T(bytes_left_over_are_an_error), T(an_empty_payload_has_nothing_to_read),
          T(a_string_longer_than_the_payload_is_refused), T(a_count_that_lies_is_refused),
          T(a_list_holds_as_many_items_as_its_count_can_say),
          T(every_payload_cut_at_any_byte_is_refused),
          T(payloads_with_flipped_bits_are_read_without_harm), T(check_refuses_unknown_types),
          T(small_integers_stay_in_their_ranges), T(ack_ids_are_integers_that_javascript_holds),
          T(a_request_needs_a_value_to_each_header_and_a_known_transport),
          T(an_event_lies_on_the_wire_as_documented))
