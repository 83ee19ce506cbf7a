#include "test.h"

#include "base/buf.h"

TEST(an_empty_buffer_holds_no_memory)
{
    clr_buf_t b;
    clr_buf_init(&b);
    clr_buf_append(&b, NULL, 0);
    EXPECT(b.p == NULL);
    EXPECT_STR_C(clr_buf_str(&b), "");
    clr_buf_deinit(&b);
}

TEST(appends_keep_every_byte_across_growth)
{
    clr_buf_t b = {0};
    for (int i = 0; i < 10000; i++) {
        if (i % 2)
            clr_buf_putc(&b, (char)i);
        else
            clr_buf_append(&b, &(char){(char)i}, 1);
    }
    EXPECT_EQ(b.n, 10000);
    for (int i = 0; i < 10000; i++)
        EXPECT_EQ(b.p[i], (char)i);
    clr_buf_deinit(&b);
    EXPECT(b.p == NULL && b.n == 0 && b.cap == 0);
}

TEST(growth_happens_past_the_capacity_and_not_at_it)
{
    clr_buf_t b = {0};
    clr_buf_reserve(&b, 1);
    size_t cap = b.cap;
    for (size_t i = 0; i < cap; i++)
        clr_buf_putc(&b, 'x');
    EXPECT_EQ(b.cap, cap);
    clr_buf_putc(&b, 'x');
    EXPECT_EQ(b.cap, 2 * cap);
    clr_buf_deinit(&b);
}

TEST(reserve_makes_room_for_all_that_was_asked)
{
    clr_buf_t b = {0};
    clr_buf_append(&b, "ab", 2);
    char *p = clr_buf_reserve(&b, 100000);
    EXPECT(p == b.p + 2);
    EXPECT(b.cap - b.n >= 100000);
    memset(p, 1, 100000);
    clr_buf_deinit(&b);
}

TEST(consume_keeps_the_rest)
{
    clr_buf_t b = {0};
    clr_buf_append_str(&b, CLR_STR("abcdef"));
    clr_buf_consume(&b, 0);
    EXPECT_STR_C(clr_buf_str(&b), "abcdef");
    clr_buf_consume(&b, 2);
    EXPECT_STR_C(clr_buf_str(&b), "cdef");
    clr_buf_consume(&b, 4);
    EXPECT_EQ(b.n, 0);
    EXPECT_ABORT(clr_buf_consume(&b, 1));
    clr_buf_deinit(&b);
}

TEST(clear_keeps_the_memory)
{
    clr_buf_t b = {0};
    clr_buf_append_str(&b, CLR_STR("abc"));
    size_t cap = b.cap;
    clr_buf_clear(&b);
    EXPECT_EQ(b.n, 0);
    EXPECT_EQ(b.cap, cap);
    clr_buf_deinit(&b);
}

TEST(decimal_numbers_of_any_size)
{
    static const uint64_t values[] = {0, 9, 10, 4294967296, UINT64_MAX};
    for (size_t i = 0; i < clr_array_len(values); i++) {
        char expected[32];
        snprintf(expected, sizeof(expected), "%" PRIu64, values[i]);
        clr_buf_t b = {0};
        clr_buf_append_u64(&b, values[i]);
        EXPECT_STR_C(clr_buf_str(&b), expected);
        clr_buf_deinit(&b);
    }
}

TEST(printf_grows_for_texts_of_every_length)
{
    static char text[300];
    memset(text, 'x', sizeof(text));
    for (int n = 0; n < 300; n++) {
        clr_buf_t b = {0};
        clr_buf_append_str(&b, CLR_STR("<"));
        clr_buf_printf(&b, "%.*s", n, text);
        clr_buf_append_str(&b, CLR_STR(">"));
        EXPECT_EQ(b.n, n + 2);
        EXPECT(b.p[0] == '<' && b.p[n + 1] == '>');
        EXPECT(memcmp(b.p + 1, text, (size_t)n) == 0);
        clr_buf_deinit(&b);
    }
}

TEST(little_endian_integers_have_the_asked_width)
{
    clr_buf_t b = {0};
    clr_buf_append_le(&b, 0x1122334455667788, 8);
    clr_buf_append_le(&b, 0x1122334455667788, 4);
    clr_buf_append_le(&b, 0x1122334455667788, 2);
    clr_buf_append_le(&b, 0xff, 1);
    EXPECT_STR(clr_buf_str(&b),
               CLR_STR("\x88\x77\x66\x55\x44\x33\x22\x11\x88\x77\x66\x55\x88\x77\xff"));
    clr_buf_deinit(&b);
}

TEST_MAIN(T(an_empty_buffer_holds_no_memory), T(appends_keep_every_byte_across_growth),
          T(growth_happens_past_the_capacity_and_not_at_it),
          T(reserve_makes_room_for_all_that_was_asked), T(consume_keeps_the_rest),
          T(clear_keeps_the_memory), T(decimal_numbers_of_any_size),
          T(printf_grows_for_texts_of_every_length), T(little_endian_integers_have_the_asked_width))
