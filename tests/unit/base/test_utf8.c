#include "test.h"

#include "base/utf8.h"

typedef struct sample {
    clr_str_t text;
    bool valid;
} sample_t;

static const sample_t samples[] = {
    {CLR_STR_INIT(""), true},
    {CLR_STR_INIT("plain ASCII that is longer than thirty-two bytes, for the fast path"), true},
    {CLR_STR_INIT("\0\x7f"), true},
    {CLR_STR_INIT("\xc2\x80"), true},
    {CLR_STR_INIT("\xdf\xbf"), true},
    {CLR_STR_INIT("\xe0\xa0\x80"), true},
    {CLR_STR_INIT("\xed\x9f\xbf"), true},
    {CLR_STR_INIT("\xee\x80\x80"), true},
    {CLR_STR_INIT("\xef\xbf\xbf"), true},
    {CLR_STR_INIT("\xf0\x90\x80\x80"), true},
    {CLR_STR_INIT("\xf4\x8f\xbf\xbf"), true},
    {CLR_STR_INIT("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80 and on with ASCII again"),
     true},
    {CLR_STR_INIT("\x80"), false}, /* a continuation alone */
    {CLR_STR_INIT("\xbf"), false},
    {CLR_STR_INIT("\xc0\x80"), false}, /* overlong */
    {CLR_STR_INIT("\xc1\xbf"), false},
    {CLR_STR_INIT("\xe0\x9f\xbf"), false},
    {CLR_STR_INIT("\xf0\x8f\xbf\xbf"), false},
    {CLR_STR_INIT("\xed\xa0\x80"), false}, /* surrogates */
    {CLR_STR_INIT("\xed\xbf\xbf"), false},
    {CLR_STR_INIT("\xf4\x90\x80\x80"), false}, /* past U+10FFFF */
    {CLR_STR_INIT("\xf5\x80\x80\x80"), false},
    {CLR_STR_INIT("\xfe"), false},
    {CLR_STR_INIT("\xff"), false},
    {CLR_STR_INIT("\xc2"), false}, /* cut short */
    {CLR_STR_INIT("\xe2\x82"), false},
    {CLR_STR_INIT("\xf0\x9f\x98"), false},
    {CLR_STR_INIT("\xc2\x41"), false},
    {CLR_STR_INIT("\xe2\x82\xc2\x80"), false},
    {CLR_STR_INIT("\xf0\x9f\x98\xff"), false},
    {CLR_STR_INIT("0123456789012345678901234567890\xff"), false},
    {CLR_STR_INIT("01234567890123456789012345678901234567\x80"), false},
};

TEST(each_sample_has_its_verdict)
{
    for (size_t i = 0; i < clr_array_len(samples); i++) {
        if (clr_utf8_is_valid(samples[i].text) != samples[i].valid)
            TEST_FAIL_("sample %zu", i);
    }
}

static bool feed_two(clr_str_t s, size_t at)
{
    clr_utf8_state_t state = 0;
    return clr_utf8_feed(&state, clr_str(s.p, at)) && clr_utf8_feed(&state, clr_str_from(s, at)) &&
           state == 0;
}

TEST(pieces_split_at_any_point_give_the_same_verdict)
{
    for (size_t i = 0; i < clr_array_len(samples); i++) {
        for (size_t at = 0; at <= samples[i].text.n; at++) {
            if (feed_two(samples[i].text, at) != samples[i].valid)
                TEST_FAIL_("sample %zu split at %zu", i, at);
        }
    }
}

TEST(byte_by_byte_gives_the_same_verdict)
{
    for (size_t i = 0; i < clr_array_len(samples); i++) {
        clr_utf8_state_t state = 0;
        bool ok = true;
        for (size_t at = 0; ok && at < samples[i].text.n; at++)
            ok = clr_utf8_feed(&state, clr_str(samples[i].text.p + at, 1));
        EXPECT_EQ(ok && state == 0, samples[i].valid);
    }
}

TEST(an_invalid_byte_fails_at_once)
{
    clr_utf8_state_t state = 0;
    EXPECT(clr_utf8_feed(&state, CLR_STR("\xe2")));
    EXPECT(!clr_utf8_feed(&state, CLR_STR("\x28")));
}

/* The other way to say what is valid: by decoding, and looking at the number. */
static bool decodes_to_scalar(const unsigned char *p, size_t n)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t want = p[0] < 0x80       ? 1
                  : p[0] >> 5 == 6  ? 2
                  : p[0] >> 4 == 14 ? 3
                  : p[0] >> 3 == 30 ? 4
                                    : 0;
    if (want != n)
        return false;
    uint32_t point = n == 1 ? p[0] : p[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if (p[i] >> 6 != 2)
            return false;
        point = point << 6 | (p[i] & 0x3fu);
    }
    return point >= least[n] && point <= 0x10ffff && (point < 0xd800 || point > 0xdfff);
}

TEST(all_pairs_and_many_longer_sequences_match_the_arithmetic)
{
    unsigned char p[4];
    for (uint32_t v = 0; v < 0x10000; v++) {
        p[0] = (unsigned char)(v >> 8);
        p[1] = (unsigned char)v;
        bool expected = decodes_to_scalar(p, 2) || (p[0] < 0x80 && p[1] < 0x80);
        EXPECT_EQ(clr_utf8_is_valid(clr_str((char *)p, 2)), expected);
    }
    for (uint32_t v = 0; v < 0x10000; v++) {
        p[0] = (unsigned char)(0xe0 | (v & 0x1f));
        p[1] = (unsigned char)(0x70 + (v >> 5 & 0x5f));
        p[2] = (unsigned char)(v & 1 ? 0x80 : 0xbf);
        p[3] = (unsigned char)(v & 2 ? 0x80 : 0xbf);
        for (size_t n = 3; n <= 4; n++) {
            bool expected = decodes_to_scalar(p, n);
            EXPECT_EQ(clr_utf8_is_valid(clr_str((char *)p, n)), expected);
        }
    }
}

TEST(char_len_measures_one_whole_character)
{
    EXPECT_EQ(clr_utf8_char_len(CLR_STR("")), 0);
    EXPECT_EQ(clr_utf8_char_len(CLR_STR("a\xff")), 1);
    EXPECT_EQ(clr_utf8_char_len(CLR_STR("\xc3\xbcx")), 2);
    EXPECT_EQ(clr_utf8_char_len(CLR_STR("\xe2\x82\xac")), 3);
    EXPECT_EQ(clr_utf8_char_len(CLR_STR("\xf0\x9f\x98\x80\x80")), 4);
    EXPECT_EQ(clr_utf8_char_len(CLR_STR("\xe2\x82")), 0);
    EXPECT_EQ(clr_utf8_char_len(CLR_STR("\xed\xa0\x80")), 0);
    EXPECT_EQ(clr_utf8_char_len(CLR_STR("\x80")), 0);
    EXPECT_EQ(clr_utf8_char_len(CLR_STR("\xff")), 0);
}

TEST_MAIN(T(each_sample_has_its_verdict), T(pieces_split_at_any_point_give_the_same_verdict),
          T(byte_by_byte_gives_the_same_verdict), T(an_invalid_byte_fails_at_once),
          T(all_pairs_and_many_longer_sequences_match_the_arithmetic),
          T(char_len_measures_one_whole_character))
