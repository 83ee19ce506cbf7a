#include "proto/json.h"

#include "test.h"

static int64_t skip(const char *text)
{
    return clr_json_skip(clr_str_c(text));
}

TEST(json_skip_finds_the_end_of_the_value)
{
    EXPECT_EQ(skip("1"), 1);
    EXPECT_EQ(skip(" [1, 2] ,3"), 7);
    EXPECT_EQ(skip("\"a\\\"b\"x"), 6);
    EXPECT_EQ(skip("{\"a\":{\"b\":[]}}}"), 14);
    EXPECT_EQ(skip("truex"), 4);
    EXPECT_EQ(skip("-0.5e+10]"), 8);
    EXPECT_EQ(skip("01"), 1);
}

TEST(json_accepts_what_is_valid)
{
    static const char *const texts[] = {
        "0",
        "-0",
        "10",
        "1.25",
        "1e5",
        "1E-5",
        "-1.0e+0",
        "123456789012345678901234567890",
        "\"\"",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\uDE00\\ud800\"",
        "true",
        "false",
        "null",
        "[]",
        "{}",
        "[[],{}]",
        " { \"a\" : 1 , \"b\" : [ 2 , 3 ] } ",
        "[\"a\",\"b\"]",
        "{\"a\":{},\"a\":[]}",
        "\n\t\r [1]\n",
        "\"\x7f\"",
        "\"0123456701234567\\n01234567\"",
    };
    for (size_t i = 0; i < clr_array_len(texts); i++)
        if (!clr_json_is_valid(clr_str_c(texts[i])))
            TEST_FAIL_("refused: %s", texts[i]);
}

TEST(json_refuses_what_is_not)
{
    static const char *const texts[] = {
        "",           " ",         "-",
        "01",         "+1",        ".5",
        "1.",         "1.e5",      "1e",
        "1e+",        "0x1",       "NaN",
        "Infinity",   "-Infinity", "tru",
        "True",       "nul",       "\"",
        "\"\\\"",     "\"\\x41\"", "\"\\u12g4\"",
        "\"\\u123\"", "\"\n\"",    "\"abcdefgh\x1f\"",
        "[",          "]",         "[1",
        "[1,",        "[1,]",      "[,1]",
        "[1 2]",      "{",         "}",
        "{a:1}",      "{\"a\"}",   "{\"a\":}",
        "{\"a\":1,}", "{,}",       "{\"a\":1 \"b\":2}",
        "{1:2}",      "[1}",       "{\"a\":1]",
        "1 2",        "[]]",       "'a'",
        "[1]x",       "/**/1",     "{\"a\":1,2}",
        "[\"a\":1]",  "\v1",
    };
    for (size_t i = 0; i < clr_array_len(texts); i++)
        if (clr_json_is_valid(clr_str_c(texts[i])))
            TEST_FAIL_("accepted: %s", texts[i]);
    EXPECT(!clr_json_is_valid(CLR_STR("\"a\0b\"")));
    EXPECT(!clr_json_is_valid(CLR_STR("1\0")));
}

/* The eight-byte steps must see a special byte at every distance from the start. */
TEST(json_string_of_every_length)
{
    for (size_t n = 0; n < 40; n++) {
        char text[64];
        memset(text, 'a', sizeof text);
        text[0] = '"';
        text[n + 1] = '"';
        EXPECT_EQ(clr_json_skip(clr_str(text, sizeof text)), (int64_t)n + 2);
        EXPECT_EQ(clr_json_skip(clr_str(text, n + 1)), CLR_EPROTO);
        for (size_t at = 1; at <= n; at++) {
            text[at] = '\x1f';
            EXPECT_EQ(clr_json_skip(clr_str(text, sizeof text)), CLR_EPROTO);
            text[at] = '\x80'; /* above ASCII is none of its business */
            EXPECT_EQ(clr_json_skip(clr_str(text, sizeof text)), (int64_t)n + 2);
            text[at] = 'a';
        }
    }
}

TEST(json_depth_at_the_limit_and_one_past_it)
{
    for (int extra = 0; extra < 2; extra++) {
        clr_buf_t text = {0};
        for (int i = 0; i < CLR_JSON_MAX_DEPTH + extra; i++)
            clr_buf_append_str(&text, i % 2 ? CLR_STR("[") : CLR_STR("{\"a\":"));
        clr_buf_putc(&text, '1');
        for (int i = CLR_JSON_MAX_DEPTH + extra - 1; i >= 0; i--)
            clr_buf_putc(&text, i % 2 ? ']' : '}');
        EXPECT_EQ(clr_json_is_valid(clr_buf_str(&text)), extra == 0);
        clr_buf_deinit(&text);
    }
}

TEST(json_kind)
{
    EXPECT_EQ(clr_json_kind(CLR_STR(" \n{}")), '{');
    EXPECT_EQ(clr_json_kind(CLR_STR("-1")), '-');
    EXPECT_EQ(clr_json_kind(CLR_STR("")), 0);
    EXPECT_EQ(clr_json_kind(CLR_STR("  ")), 0);
}

TEST(json_string_is)
{
    EXPECT(clr_json_string_is(CLR_STR("\"num\""), CLR_STR("num")));
    EXPECT(clr_json_string_is(CLR_STR("\"\\u006Eum\""), CLR_STR("num")));
    EXPECT(clr_json_string_is(CLR_STR("\"a\\/b\\n\""), CLR_STR("a/b\n")));
    EXPECT(clr_json_string_is(CLR_STR("\"\""), CLR_STR("")));
    EXPECT(!clr_json_string_is(CLR_STR("\"numb\""), CLR_STR("num")));
    EXPECT(!clr_json_string_is(CLR_STR("\"nu\""), CLR_STR("num")));
    EXPECT(!clr_json_string_is(CLR_STR("\"\\u016eum\""), CLR_STR("num")));
}

static void expect_string(clr_str_t in, const char *json)
{
    clr_buf_t out = {0};
    clr_json_append_string(&out, in);
    EXPECT_STR_C(clr_buf_str(&out), json);
    EXPECT(clr_json_is_valid(clr_buf_str(&out)));
    clr_buf_deinit(&out);
}

TEST(json_append_string)
{
    expect_string(CLR_STR(""), "\"\"");
    expect_string(CLR_STR("plain text, long enough"), "\"plain text, long enough\"");
    expect_string(CLR_STR("a\"b\\c\n\r\t\b\f"), "\"a\\\"b\\\\c\\n\\r\\t\\b\\f\"");
    expect_string(CLR_STR("\0\x1f\x7f"), "\"\\u0000\\u001f\x7f\"");
    expect_string(CLR_STR("caf\xc3\xa9"), "\"caf\xc3\xa9\"");
    expect_string(CLR_STR("a\xff\xc3\xa9\n\xc3"), "\"a\xef\xbf\xbd\xc3\xa9\\n\xef\xbf\xbd\"");
}

TEST_MAIN(T(json_skip_finds_the_end_of_the_value), T(json_accepts_what_is_valid),
          T(json_refuses_what_is_not), T(json_string_of_every_length),
          T(json_depth_at_the_limit_and_one_past_it), T(json_kind), T(json_string_is),
          T(json_append_string))
