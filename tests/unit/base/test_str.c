#include "test.h"

#include "base/str.h"

TEST(views_compare_by_bytes)
{
    EXPECT(clr_str_eq(CLR_STR("abc"), CLR_STR("abc")));
    EXPECT(!clr_str_eq(CLR_STR("abc"), CLR_STR("abd")));
    EXPECT(!clr_str_eq(CLR_STR("abc"), CLR_STR("ab")));
    EXPECT(clr_str_eq(CLR_STR("a\0b"), clr_str("a\0b", 3)));
    EXPECT(!clr_str_eq(CLR_STR("a\0b"), CLR_STR("a\0c")));
    EXPECT(clr_str_eq(clr_str(NULL, 0), CLR_STR_EMPTY));
    EXPECT(clr_str_eq(clr_str_c(NULL), CLR_STR("")));
}

TEST(ieq_folds_ascii_letters_and_nothing_else)
{
    EXPECT(clr_str_ieq(CLR_STR("Content-LENGTH"), CLR_STR("content-length")));
    EXPECT(!clr_str_ieq(CLR_STR("content-length"), CLR_STR("content-lengths")));
    EXPECT(!clr_str_ieq(CLR_STR("@"), CLR_STR("`")));
    EXPECT(!clr_str_ieq(CLR_STR("["), CLR_STR("{")));
    EXPECT(!clr_str_ieq(CLR_STR("\xc4"), CLR_STR("\xe4")));
}

TEST(starts_and_from_stay_inside)
{
    EXPECT(clr_str_starts(CLR_STR("/socket.io/"), CLR_STR("/socket.io")));
    EXPECT(!clr_str_starts(CLR_STR("/sock"), CLR_STR("/socket.io")));
    EXPECT(clr_str_starts(CLR_STR("x"), CLR_STR_EMPTY));
    EXPECT_STR_C(clr_str_from(CLR_STR("abc"), 1), "bc");
    EXPECT_STR_C(clr_str_from(CLR_STR("abc"), 3), "");
    EXPECT_STR_C(clr_str_from(CLR_STR("abc"), 99), "");
}

TEST(chr_finds_the_first)
{
    EXPECT_EQ(clr_str_chr(CLR_STR("a,b,c"), ','), 1);
    EXPECT_EQ(clr_str_chr(CLR_STR("abc"), ','), -1);
    EXPECT_EQ(clr_str_chr(clr_str(NULL, 0), ','), -1);
    EXPECT_EQ(clr_str_chr(CLR_STR("a\0b"), 'b'), 2);
}

TEST(trim_takes_spaces_and_tabs_of_both_ends)
{
    EXPECT_STR_C(clr_str_trim(CLR_STR(" \t a b\t ")), "a b");
    EXPECT_STR_C(clr_str_trim(CLR_STR(" \t ")), "");
    EXPECT_STR_C(clr_str_trim(CLR_STR("\na\n")), "\na\n");
}

TEST(split_gives_empty_parts_too)
{
    clr_str_t rest = CLR_STR("a,,b");
    clr_str_t part;
    EXPECT(clr_str_split(&rest, ',', &part));
    EXPECT_STR_C(part, "a");
    EXPECT(clr_str_split(&rest, ',', &part));
    EXPECT_STR_C(part, "");
    EXPECT(clr_str_split(&rest, ',', &part));
    EXPECT_STR_C(part, "b");
    EXPECT(!clr_str_split(&rest, ',', &part));
    EXPECT(rest.p == NULL);
}

TEST(split_of_nothing_is_one_empty_part)
{
    clr_str_t rest = CLR_STR("");
    clr_str_t part = CLR_STR("?");
    EXPECT(clr_str_split(&rest, ',', &part));
    EXPECT_EQ(part.n, 0);
    EXPECT(!clr_str_split(&rest, ',', &part));
}

TEST(split_sees_a_separator_at_the_end)
{
    clr_str_t rest = CLR_STR("a,");
    clr_str_t part;
    EXPECT(clr_str_split(&rest, ',', &part));
    EXPECT(clr_str_split(&rest, ',', &part));
    EXPECT_EQ(part.n, 0);
    EXPECT(!clr_str_split(&rest, ',', &part));
}

TEST(token_lists_match_whole_tokens)
{
    EXPECT(clr_str_has_token(CLR_STR("keep-alive, Upgrade"), CLR_STR("upgrade")));
    EXPECT(clr_str_has_token(CLR_STR("upgrade"), CLR_STR("upgrade")));
    EXPECT(clr_str_has_token(CLR_STR(",,\tupgrade ,"), CLR_STR("upgrade")));
    EXPECT(!clr_str_has_token(CLR_STR("upgrades, down"), CLR_STR("upgrade")));
    EXPECT(!clr_str_has_token(CLR_STR(""), CLR_STR("upgrade")));
}

static bool to_u64(const char *s, uint64_t max, uint64_t *out)
{
    return clr_str_to_u64(clr_str_c(s), max, out);
}

TEST(to_u64_is_exact_at_its_bounds)
{
    uint64_t v = 7;
    EXPECT(to_u64("18446744073709551615", UINT64_MAX, &v));
    EXPECT(v == UINT64_MAX);
    EXPECT(!to_u64("18446744073709551616", UINT64_MAX, &v));
    EXPECT(!to_u64("99999999999999999999999", UINT64_MAX, &v));
    EXPECT(to_u64("1000", 1000, &v));
    EXPECT(!to_u64("1001", 1000, &v));
    EXPECT(to_u64("0", 0, &v));
    EXPECT_EQ(v, 0);
    EXPECT(!to_u64("1", 0, &v));
    EXPECT(to_u64("5", 5, &v));
    EXPECT(!to_u64("6", 5, &v));
    EXPECT(to_u64("000000000000000000000000012", 12, &v));
    EXPECT_EQ(v, 12);
}

TEST(to_u64_takes_digits_only_and_leaves_out_alone)
{
    static const char *const bad[] = {"", "-1", "+1", " 1", "1 ", "1x", "0x10", "1.0", "\xb2"};
    for (size_t i = 0; i < clr_array_len(bad); i++) {
        uint64_t v = 7;
        EXPECT(!to_u64(bad[i], UINT64_MAX, &v));
        EXPECT_EQ(v, 7);
    }
}

TEST_MAIN(T(views_compare_by_bytes), T(ieq_folds_ascii_letters_and_nothing_else),
          T(starts_and_from_stay_inside), T(chr_finds_the_first),
          T(trim_takes_spaces_and_tabs_of_both_ends), T(split_gives_empty_parts_too),
          T(split_of_nothing_is_one_empty_part), T(split_sees_a_separator_at_the_end),
          T(token_lists_match_whole_tokens), T(to_u64_is_exact_at_its_bounds),
          T(to_u64_takes_digits_only_and_leaves_out_alone))
