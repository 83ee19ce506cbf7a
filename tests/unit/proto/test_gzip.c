#include "proto/gzip.h"

#include <zlib.h>

#include "test.h"

static clr_coding_t negotiate(const char *header)
{
    return clr_coding_negotiate(clr_str_c(header));
}

TEST(coding_takes_the_best_that_is_allowed)
{
    EXPECT_EQ(negotiate("gzip, deflate, br"), CLR_CODING_GZIP);
    EXPECT_EQ(negotiate("deflate, GZIP"), CLR_CODING_GZIP);
    EXPECT_EQ(negotiate("deflate"), CLR_CODING_DEFLATE);
    EXPECT_EQ(negotiate("gzip;q=0.5, deflate;q=0.8"), CLR_CODING_DEFLATE);
    EXPECT_EQ(negotiate("gzip;q=0, *"), CLR_CODING_DEFLATE);
    EXPECT_EQ(negotiate("*"), CLR_CODING_GZIP);
    EXPECT_EQ(negotiate("x-gzip ; q=1.000"), CLR_CODING_GZIP);
}

TEST(coding_is_none_when_none_is_allowed)
{
    EXPECT_EQ(negotiate(""), CLR_CODING_IDENTITY);
    EXPECT_EQ(negotiate("br, zstd"), CLR_CODING_IDENTITY);
    EXPECT_EQ(negotiate("identity"), CLR_CODING_IDENTITY);
    EXPECT_EQ(negotiate("gzip;q=0"), CLR_CODING_IDENTITY);
    EXPECT_EQ(negotiate("gzip;q=0.000, *;q=0"), CLR_CODING_IDENTITY);
    EXPECT_EQ(negotiate("gzip;q=2"), CLR_CODING_IDENTITY);
    EXPECT_EQ(negotiate("gzip;q=1.1"), CLR_CODING_IDENTITY);
    EXPECT_EQ(negotiate("gzip;q=abc"), CLR_CODING_IDENTITY);
    EXPECT_EQ(negotiate("gzip;q="), CLR_CODING_IDENTITY);
    EXPECT_EQ(negotiate(",,;,=;q"), CLR_CODING_IDENTITY);
}

TEST(coding_quality_is_that_of_the_name_or_of_the_rest)
{
    EXPECT_EQ(clr_coding_quality(CLR_STR("gzip, BR;q=0.25"), CLR_STR("br")), 250);
    EXPECT_EQ(clr_coding_quality(CLR_STR("gzip, br"), CLR_STR("br")), 1000);
    EXPECT_EQ(clr_coding_quality(CLR_STR("gzip"), CLR_STR("br")), 0);
    EXPECT_EQ(clr_coding_quality(CLR_STR("*;q=0.1, gzip"), CLR_STR("br")), 100);
    EXPECT_EQ(clr_coding_quality(CLR_STR("*, br;q=0"), CLR_STR("br")), 0);
    EXPECT_EQ(clr_coding_quality(CLR_STR(""), CLR_STR("br")), 0);
}

static void expect_round_trip(clr_coding_t coding, clr_str_t text)
{
    clr_buf_t out = {0}, back = {0};
    clr_buf_append_str(&out, CLR_STR("before"));
    EXPECT_EQ(clr_gzip_append(&out, coding, text), 0);
    z_stream z = {0};
    EXPECT_EQ(inflateInit2(&z, coding == CLR_CODING_GZIP ? MAX_WBITS + 16 : MAX_WBITS), Z_OK);
    z.next_in = (Bytef *)out.p + 6;
    z.avail_in = (uInt)(out.n - 6);
    z.next_out = (Bytef *)clr_buf_reserve(&back, text.n + 1);
    z.avail_out = (uInt)text.n + 1;
    EXPECT_EQ(inflate(&z, Z_FINISH), Z_STREAM_END);
    EXPECT_EQ(z.avail_in, 0);
    back.n = z.total_out;
    EXPECT_STR(clr_buf_str(&back), text);
    inflateEnd(&z);
    clr_buf_deinit(&out);
    clr_buf_deinit(&back);
}

TEST(gzip_gives_back_what_went_in)
{
    char text[5000];
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)(i * i >> 3);
    expect_round_trip(CLR_CODING_GZIP, clr_str(text, sizeof(text)));
    expect_round_trip(CLR_CODING_DEFLATE, clr_str(text, sizeof(text)));
    expect_round_trip(CLR_CODING_GZIP, CLR_STR_EMPTY);
}

TEST(gzip_compresses)
{
    clr_buf_t out = {0};
    char text[5000];
    memset(text, 'x', sizeof(text));
    EXPECT_EQ(clr_gzip_append(&out, CLR_CODING_GZIP, clr_str(text, sizeof(text))), 0);
    EXPECT(out.n < 100);
    clr_buf_deinit(&out);
}

TEST_MAIN(T(coding_takes_the_best_that_is_allowed), T(coding_is_none_when_none_is_allowed),
          T(coding_quality_is_that_of_the_name_or_of_the_rest), T(gzip_gives_back_what_went_in),
          T(gzip_compresses))
