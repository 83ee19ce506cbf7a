#include "test.h"

#include <time.h>

#include "base/clock.h"

static int64_t parse(const char *text)
{
    return clr_clock_parse_http_date(text, strlen(text));
}

TEST(now_never_goes_back)
{
    uint64_t before = clr_clock_now_ms();
    for (int i = 0; i < 1000; i++) {
        uint64_t now = clr_clock_now_ms();
        EXPECT(now >= before);
        before = now;
    }
    EXPECT(clr_clock_wall_ms() > UINT64_C(1700000000000));
}

TEST(formats_the_example_of_the_rfc)
{
    char text[CLR_HTTP_DATE_SIZE];
    clr_clock_http_date(784111777000, text);
    EXPECT_STR_C(clr_str_c(text), "Sun, 06 Nov 1994 08:49:37 GMT");
    clr_clock_http_date(0, text);
    EXPECT_STR_C(clr_str_c(text), "Thu, 01 Jan 1970 00:00:00 GMT");
}

TEST(parses_what_it_formats_on_every_day)
{
    for (int64_t day = 0; day < 365 * 200; day++) {
        char text[CLR_HTTP_DATE_SIZE];
        int64_t ms = (day * 86400 + day * 7919 % 86400) * 1000;
        clr_clock_http_date((uint64_t)ms, text);
        EXPECT_EQ(parse(text), ms);
    }
}

TEST(fractions_of_a_second_are_dropped)
{
    char text[CLR_HTTP_DATE_SIZE];
    clr_clock_http_date(784111777999, text);
    EXPECT_EQ(parse(text), 784111777000);
}

TEST(refuses_what_is_no_date)
{
    static const char *const bad[] = {
        "",
        "Sun, 06 Nov 1994 08:49:37 GM",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Mon, 06 Nov 1994 08:49:37 GMT", /* it was a Sunday */
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:60 GMT",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Thu, 29 Feb 2100 00:00:00 GMT",
        "Wed, 00 Nov 1994 08:49:37 GMT",
        "Wed, 31 Dec 1969 23:59:59 GMT",
        "Sun, -6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08-49-37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994     ",
    };
    for (size_t i = 0; i < clr_array_len(bad); i++) {
        if (parse(bad[i]) != -1)
            TEST_FAIL_("\"%s\" was accepted", bad[i]);
    }
    EXPECT_EQ(clr_clock_parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT", 28), -1);
}

TEST(leap_days_are_dates)
{
    EXPECT_EQ(parse("Tue, 29 Feb 2000 12:00:00 GMT"), 951825600000);
    EXPECT_EQ(parse("Thu, 29 Feb 2024 00:00:00 GMT"), 1709164800000);
}

TEST_MAIN(T(now_never_goes_back), T(formats_the_example_of_the_rfc),
          T(parses_what_it_formats_on_every_day), T(fractions_of_a_second_are_dropped),
          T(refuses_what_is_no_date), T(leap_days_are_dates))
