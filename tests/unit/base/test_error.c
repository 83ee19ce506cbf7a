#include "test.h"

#include <errno.h>

#include "base/error.h"

TEST(each_of_our_codes_has_its_text)
{
#define CHECK_TEXT(number, name, text)                                                             \
    EXPECT_EQ(name, number);                                                                       \
    EXPECT_STR_C(clr_str_c(clr_strerror(name)), text);
    CLR_ERROR_MAP(CHECK_TEXT)
#undef CHECK_TEXT
}

TEST(system_errors_pass_through)
{
    EXPECT_STR_C(clr_str_c(clr_strerror(-ECONNREFUSED)), strerror(ECONNREFUSED));
    EXPECT_STR_C(clr_str_c(clr_strerror(-EADDRINUSE)), strerror(EADDRINUSE));
    EXPECT_STR_C(clr_str_c(clr_strerror(-4095)), "end of file");
    EXPECT_STR_C(clr_str_c(clr_strerror(-3008)), "no such host or service");
    EXPECT_STR_C(clr_str_c(clr_strerror(0)), "success");
}

TEST(unknown_codes_have_a_text_too)
{
    static const int codes[] = {-150, -250, -3050, -4000, -5000, -5999, INT32_MIN, 7, INT32_MAX};
    for (size_t i = 0; i < clr_array_len(codes); i++)
        EXPECT(strlen(clr_strerror(codes[i])) > 0);
}

TEST(set_fills_and_returns_the_code)
{
    clr_error_t err = {0};
    EXPECT_EQ(clr_error_set(&err, CLR_EINVAL, "port %d", 70000), CLR_EINVAL);
    EXPECT_EQ(err.code, CLR_EINVAL);
    EXPECT_STR_C(clr_str_c(err.text), "port 70000");
    clr_error_set(&err, -ENOENT, "gone");
    EXPECT_STR_C(clr_str_c(err.text), "gone");
}

TEST(wrap_gathers_context_in_front)
{
    clr_error_t err = {0};
    clr_error_set(&err, -ENOENT, "no such file");
    EXPECT_EQ(clr_error_wrap(&err, "cannot read %s", "app.py"), -ENOENT);
    EXPECT_EQ(clr_error_wrap(&err, "worker"), -ENOENT);
    EXPECT_STR_C(clr_str_c(err.text), "worker: cannot read app.py: no such file");
}

TEST(no_error_struct_is_fine)
{
    EXPECT_EQ(clr_error_set(NULL, CLR_EINVAL, "x"), CLR_EINVAL);
    EXPECT_EQ(clr_error_wrap(NULL, "x"), CLR_EFATAL);
}

TEST(wrap_cuts_the_tail_at_the_end_of_the_text)
{
    for (int context = 990; context <= 1010; context++) {
        clr_error_t err = {0};
        clr_error_set(&err, CLR_EPROTO, "%0200d", 1);
        EXPECT_EQ(clr_error_wrap(&err, "%0*d", context, 2), CLR_EPROTO);
        size_t n = strnlen(err.text, sizeof(err.text));
        EXPECT(n < sizeof(err.text));
        EXPECT(n >= sizeof(err.text) - 3);
    }
}

TEST(wrap_is_exact_when_the_texts_just_fit)
{
    clr_error_t err = {0};
    clr_error_set(&err, CLR_EPROTO, "%0500d", 1);
    clr_error_wrap(&err, "%0497d", 2);
    EXPECT_EQ(strlen(err.text), 999);
    EXPECT_EQ(err.text[998], '1'); /* nothing was lost */
    clr_error_set(&err, CLR_EPROTO, "%0500d", 1);
    clr_error_wrap(&err, "%0498d", 2);
    EXPECT_EQ(strlen(err.text), 999);
    EXPECT_EQ(err.text[998], '0'); /* the last digit was */
}

TEST(set_cuts_a_long_text)
{
    clr_error_t err = {0};
    clr_error_set(&err, CLR_EPROTO, "%02000d", 1);
    EXPECT_EQ(strlen(err.text), sizeof(err.text) - 1);
}

TEST_MAIN(T(each_of_our_codes_has_its_text), T(system_errors_pass_through),
          T(unknown_codes_have_a_text_too), T(set_fills_and_returns_the_code),
          T(wrap_gathers_context_in_front), T(no_error_struct_is_fine),
          T(wrap_cuts_the_tail_at_the_end_of_the_text), T(wrap_is_exact_when_the_texts_just_fit),
          T(set_cuts_a_long_text))
