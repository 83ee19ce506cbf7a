#include "test.h"

#include "base/base64.h"

static const struct {
    const char *plain;
    const char *coded;
} vectors[] = {
    /* RFC 4648 section 10 */
    {"", ""},
    {"f", "Zg=="},
    {"fo", "Zm8="},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="},
    {"fooba", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
    {"\xfb\xff\xbf", "+/+/"},
};

TEST(encodes_the_vectors_of_the_rfc)
{
    for (size_t i = 0; i < clr_array_len(vectors); i++) {
        clr_buf_t out = {0};
        clr_base64_encode(&out, vectors[i].plain, strlen(vectors[i].plain));
        EXPECT_STR_C(clr_buf_str(&out), vectors[i].coded);
        clr_buf_deinit(&out);
    }
}

TEST(decodes_with_and_without_padding)
{
    for (size_t i = 0; i < clr_array_len(vectors); i++) {
        clr_buf_t out = {0};
        clr_str_t coded = clr_str_c(vectors[i].coded);
        EXPECT(clr_base64_decode(&out, coded));
        EXPECT_STR_C(clr_buf_str(&out), vectors[i].plain);
        clr_buf_clear(&out);
        while (coded.n && coded.p[coded.n - 1] == '=')
            coded.n--;
        EXPECT(clr_base64_decode(&out, coded));
        EXPECT_STR_C(clr_buf_str(&out), vectors[i].plain);
        clr_buf_deinit(&out);
    }
}

TEST(refuses_what_is_not_base64_and_leaves_out_alone)
{
    static const char *const bad[] = {
        "Z",        "Zg=",      "Zm9vY", "=",          "==",    "====",  "Z===",
        "Zg==Zg==", "Zm8=Zm8=", "Zm9=",  "Zm9v=",      "Zg= =", "Zm 9v", "Zm9v\n",
        "Zm-_",     "Zm9vYmF=", "Zh==",  "\xc3\xbcZZ", "Zh",    "Zm9",   "Z=g=",
    };
    for (size_t i = 0; i < clr_array_len(bad); i++) {
        clr_buf_t out = {0};
        clr_buf_append_str(&out, CLR_STR("before"));
        if (clr_base64_decode(&out, clr_str_c(bad[i])))
            TEST_FAIL_("\"%s\" was accepted", bad[i]);
        EXPECT_STR_C(clr_buf_str(&out), "before");
        clr_buf_deinit(&out);
    }
}

TEST(every_length_comes_back)
{
    unsigned char bytes[300];
    uint64_t random = 1;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)test_random(&random);
    for (size_t n = 0; n <= sizeof(bytes); n++) {
        clr_buf_t coded = {0}, plain = {0};
        clr_base64_encode(&coded, bytes, n);
        EXPECT_EQ(coded.n, (n + 2) / 3 * 4);
        EXPECT(clr_base64_decode(&plain, clr_buf_str(&coded)));
        EXPECT_STR(clr_buf_str(&plain), clr_str((char *)bytes, n));
        clr_buf_deinit(&coded);
        clr_buf_deinit(&plain);
    }
}

TEST(every_byte_outside_the_alphabet_is_refused)
{
    int accepted = 0;
    for (int c = 0; c < 256; c++) {
        clr_buf_t out = {0};
        char text[4] = {'A', 'A', (char)c, 'A'};
        accepted += clr_base64_decode(&out, clr_str(text, 4));
        clr_buf_deinit(&out);
    }
    EXPECT_EQ(accepted, 64);
}

TEST_MAIN(T(encodes_the_vectors_of_the_rfc), T(decodes_with_and_without_padding),
          T(refuses_what_is_not_base64_and_leaves_out_alone), T(every_length_comes_back),
          T(every_byte_outside_the_alphabet_is_refused))
