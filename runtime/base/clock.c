/* clock.c: time, and the date format of HTTP. */
#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/str.h"

static const char day_names[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char month_names[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

static uint64_t read_clock(clockid_t id)
{
    struct timespec ts;
    int err = clock_gettime(id, &ts);
    CLR_ASSERT(err == 0);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

uint64_t clr_clock_now_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t clr_clock_now_ms(void)
{
    return read_clock(CLOCK_MONOTONIC) / 1000000;
}

uint64_t clr_clock_wall_ms(void)
{
    return read_clock(CLOCK_REALTIME) / 1000000;
}

void clr_clock_http_date(uint64_t wall_ms, char out[CLR_HTTP_DATE_SIZE])
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;
    char text[64]; /* the compiler cannot know that the numbers below are short */
    gmtime_r(&seconds, &tm);
    snprintf(text, sizeof(text), "%s, %02d %s %04d %02d:%02d:%02d GMT", day_names[tm.tm_wday],
             tm.tm_mday, month_names[tm.tm_mon], (tm.tm_year + 1900) % 10000, tm.tm_hour, tm.tm_min,
             tm.tm_sec);
    memcpy(out, text, CLR_HTTP_DATE_SIZE - 1);
    out[CLR_HTTP_DATE_SIZE - 1] = '\0';
}

static int64_t digits(const char *p, size_t n)
{
    uint64_t value = 0;
    return clr_str_to_u64(clr_str(p, n), 9999, &value) ? (int64_t)value : -1;
}

static int month_index(const char *p)
{
    for (int i = 0; i < 12; i++) {
        if (memcmp(p, month_names[i], 3) == 0)
            return i;
    }
    return -1;
}

/* Days since 1970-01-01 of a date in the Gregorian calendar from that day on. The year is taken to
 * start in March, so that the leap day is its last. */
static int64_t days_since_epoch(int64_t year, int month, int64_t day)
{
    int64_t march_year = month >= 2 ? year : year - 1;
    int64_t march_month = (month + 10) % 12;
    int64_t leap_days = march_year / 4 - march_year / 100 + march_year / 400;
    int64_t day_of_year = (153 * march_month + 2) / 5 + day - 1;
    return march_year * 365 + leap_days + day_of_year - 719468;
}

int64_t clr_clock_parse_http_date(const char *p, size_t n)
{
    if (n != CLR_HTTP_DATE_SIZE - 1)
        return -1;
    int64_t day = digits(p + 5, 2);
    int month = month_index(p + 8);
    int64_t year = digits(p + 12, 4);
    int64_t hour = digits(p + 17, 2);
    int64_t minute = digits(p + 20, 2);
    int64_t second = digits(p + 23, 2);
    if (day < 0 || month < 0 || year < 1970 || hour < 0 || minute < 0 || second < 0)
        return -1;
    int64_t seconds =
        days_since_epoch(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
    if (seconds < 0)
        return -1;

    /* Separators, the weekday and the ranges hold when formatting gives the same text back. */
    char again[CLR_HTTP_DATE_SIZE];
    clr_clock_http_date((uint64_t)seconds * 1000, again);
    return memcmp(again, p, n) == 0 ? seconds * 1000 : -1;
}
