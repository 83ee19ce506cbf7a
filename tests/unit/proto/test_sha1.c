#include "proto/sha1.h"

#include "test.h"

static void expect_digest(clr_str_t a, clr_str_t b, const char *hex)
{
    uint8_t out[CLR_SHA1_SIZE];
    char text[2 * CLR_SHA1_SIZE + 1];
    clr_sha1(a, b, out);
    for (size_t i = 0; i < sizeof out; i++)
        snprintf(text + 2 * i, 3, "%02x", out[i]);
    EXPECT_STR_C(clr_str_c(text), hex);
}

/* The examples of FIPS 180-4, and the lengths around a block's padding. */
TEST(sha1_known_answers)
{
    expect_digest(CLR_STR(""), CLR_STR(""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    expect_digest(CLR_STR("a"), CLR_STR("bc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
    expect_digest(CLR_STR("abcdbcdecdefdefgefghfghighij"), CLR_STR("hijkijkljklmklmnlmnomnopnopq"),
                  "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
    char fill[64];
    memset(fill, 'a', sizeof fill);
    expect_digest(clr_str(fill, 55), CLR_STR(""), "c1c8bbdc22796e28c0e15163d20899b65621d65a");
    expect_digest(clr_str(fill, 56), CLR_STR(""), "c2db330f6083854c99d4b5bfb6e8f29f201be699");
    expect_digest(clr_str(fill, 64), CLR_STR(""), "0098ba824b5c16427bd7a1122a5a442a25ec644d");
}

TEST_MAIN(T(sha1_known_answers))
