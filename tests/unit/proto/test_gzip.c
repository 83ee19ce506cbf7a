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

/* ---- in pieces ---- */

static void expect_gunzips(clr_str_t compressed, clr_str_t text, bool complete)
{
    z_stream z = {0};
    clr_buf_t back = {0};
    EXPECT_EQ(inflateInit2(&z, MAX_WBITS + 16), Z_OK);
    z.next_in = (Bytef *)compressed.p;
    z.avail_in = (uInt)compressed.n;
    z.next_out = (Bytef *)clr_buf_reserve(&back, text.n + 1);
    z.avail_out = (uInt)text.n + 1;
    EXPECT_EQ(inflate(&z, Z_SYNC_FLUSH), complete ? Z_STREAM_END : Z_OK);
    EXPECT_EQ(z.avail_in, 0);
    EXPECT_STR(clr_str(back.p, text.n + 1 - z.avail_out), text);
    inflateEnd(&z);
    clr_buf_deinit(&back);
}

static void fill(clr_buf_t *text, size_t n, uint64_t seed)
{
    while (text->n < n)
        clr_buf_printf(text, "%llu bottles, ", (unsigned long long)(test_random(&seed) % 1000));
}

TEST(gzip_pieces_of_every_size)
{
    static const size_t steps[] = {1, 10, 1000, 65536, 1000000};
    clr_gzip_t *g = clr_gzip_new();
    clr_buf_t text = {0}, out = {0};
    fill(&text, 200000, 1);
    for (size_t i = 0; i < clr_array_len(steps); i++) {
        clr_buf_clear(&out);
        for (size_t at = 0; at < text.n; at += steps[i]) {
            size_t n = steps[i] < text.n - at ? steps[i] : text.n - at;
            clr_gzip_write(g, clr_str(text.p + at, n), CLR_GZIP_MORE, &out);
        }
        clr_gzip_write(g, CLR_STR_EMPTY, CLR_GZIP_END, &out);
        EXPECT(out.n < text.n / 2);
        expect_gunzips(clr_buf_str(&out), clr_buf_str(&text), true);
        clr_gzip_reset(g);
    }
    clr_buf_deinit(&text);
    clr_buf_deinit(&out);
    clr_gzip_free(g);
}

TEST(gzip_flush_shows_all_that_was_written)
{
    clr_gzip_t *g = clr_gzip_new();
    clr_buf_t text = {0}, out = {0};
    for (size_t i = 1; i < 100; i++) {
        size_t before = text.n;
        fill(&text, text.n + i * i, i);
        clr_gzip_write(g, clr_str(text.p + before, text.n - before), CLR_GZIP_FLUSH, &out);
        expect_gunzips(clr_buf_str(&out), clr_buf_str(&text), false);
    }
    clr_gzip_write(g, CLR_STR_EMPTY, CLR_GZIP_FLUSH, &out); /* nothing new */
    clr_gzip_write(g, CLR_STR_EMPTY, CLR_GZIP_END, &out);
    expect_gunzips(clr_buf_str(&out), clr_buf_str(&text), true);
    clr_buf_deinit(&text);
    clr_buf_deinit(&out);
    clr_gzip_free(g);
}

TEST(gzip_reset_in_the_middle)
{
    clr_gzip_t *g = clr_gzip_new();
    clr_buf_t text = {0}, out = {0};
    fill(&text, 100000, 1);
    clr_gzip_write(g, clr_buf_str(&text), CLR_GZIP_MORE, &out);
    clr_gzip_reset(g);
    clr_buf_clear(&out);
    clr_gzip_write(g, CLR_STR("short"), CLR_GZIP_END, &out);
    expect_gunzips(clr_buf_str(&out), CLR_STR("short"), true);
    clr_buf_deinit(&text);
    clr_buf_deinit(&out);
    clr_gzip_free(g);
}

TEST_MAIN(T(gzip_pieces_of_every_size), T(gzip_flush_shows_all_that_was_written),
          T(gzip_reset_in_the_middle), T(coding_takes_the_best_that_is_allowed),
          T(coding_is_none_when_none_is_allowed),
          T(coding_quality_is_that_of_the_name_or_of_the_rest), T(gzip_gives_back_what_went_in),
          T(gzip_compresses))
