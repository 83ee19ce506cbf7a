#include "proto/url.h"

#include "test.h"

static void expect_decoded(clr_str_t in, bool plus, clr_str_t expected)
{
    clr_buf_t out = {0};
    clr_url_decode(&out, in, plus);
    EXPECT_STR(clr_buf_str(&out), expected);
    clr_buf_deinit(&out);
}

TEST(url_decode)
{
    expect_decoded(CLR_STR("a%20b+c"), false, CLR_STR("a b+c"));
    expect_decoded(CLR_STR("a%20b+c"), true, CLR_STR("a b c"));
    expect_decoded(CLR_STR("%c3%A9%00"), false, CLR_STR("\xc3\xa9\0"));
    expect_decoded(CLR_STR("%2"), false, CLR_STR("%2"));
    expect_decoded(CLR_STR("%"), false, CLR_STR("%"));
    expect_decoded(CLR_STR("%zz%2541"), false, CLR_STR("%zz%41"));
    expect_decoded(CLR_STR(""), true, CLR_STR(""));
}

TEST(query_get)
{
    clr_str_t q = CLR_STR("EIO=4&transport=polling&t&sid=&sid=x&transport=y&a=b=c");
    EXPECT_STR_C(clr_query_get(q, CLR_STR("EIO")), "4");
    EXPECT_STR_C(clr_query_get(q, CLR_STR("transport")), "polling");
    EXPECT_STR_C(clr_query_get(q, CLR_STR("a")), "b=c");
    EXPECT(clr_query_get(q, CLR_STR("t")).p != NULL);
    EXPECT_EQ(clr_query_get(q, CLR_STR("t")).n, 0);
    EXPECT(clr_query_get(q, CLR_STR("sid")).p != NULL);
    EXPECT_EQ(clr_query_get(q, CLR_STR("sid")).n, 0);
    EXPECT(clr_query_get(q, CLR_STR("trans")).p == NULL);
    EXPECT(clr_query_get(q, CLR_STR("eio")).p == NULL);
    EXPECT(clr_query_get(CLR_STR(""), CLR_STR("a")).p == NULL);
}

static void expect_path(clr_str_t raw, const char *expected)
{
    clr_buf_t out = {0};
    clr_buf_putc(&out, '.');
    bool ok = clr_url_safe_path(&out, raw);
    EXPECT_EQ(ok, expected != NULL);
    clr_buf_putc(&out, '\0');
    EXPECT_STR_C(clr_str_c(out.p + 1), expected ? expected : "");
    clr_buf_deinit(&out);
}

TEST(url_safe_path)
{
    expect_path(CLR_STR("/"), "/");
    expect_path(CLR_STR("/a/b.js"), "/a/b.js");
    expect_path(CLR_STR("/a/"), "/a/");
    expect_path(CLR_STR("//a/./b//c"), "/a/b/c");
    expect_path(CLR_STR("/."), "/");
    expect_path(CLR_STR("/caf%C3%A9%20x"), "/caf\xc3\xa9 x");
    expect_path(CLR_STR("/..."), "/...");
    expect_path(CLR_STR("/a%2fb"), "/a/b");
}

TEST(url_safe_path_refuses_ways_out)
{
    expect_path(CLR_STR(""), NULL);
    expect_path(CLR_STR("a"), NULL);
    expect_path(CLR_STR("*"), NULL);
    expect_path(CLR_STR("/.."), NULL);
    expect_path(CLR_STR("/a/../b"), NULL);
    expect_path(CLR_STR("/%2e%2e/a"), NULL);
    expect_path(CLR_STR("/a%2f..%2fb"), NULL);
    expect_path(CLR_STR("/a\\b"), NULL);
    expect_path(CLR_STR("/a%5c..%5cb"), NULL);
    expect_path(CLR_STR("/a%00"), NULL);
    expect_path(CLR_STR("/%ff"), NULL);
    expect_path(CLR_STR("/%c0%ae%c0%ae/"), NULL);
    expect_path(CLR_STR("/%252e%252e/a"), "/%2e%2e/a"); /* decoded once, never twice */
}

TEST_MAIN(T(url_decode), T(query_get), T(url_safe_path), T(url_safe_path_refuses_ways_out))
