#include "gateway/static_request.h"

#include "base/clock.h"
#include "test.h"

/* 2001-09-09 01:46:40 */
static const clr_static_file_t file = {.size = 10, .mtime_s = 1000000000, .etag = "\"e\""};

static clr_http_header_t headers[2];

static clr_http_head_t head_with(const char *name, const char *value)
{
    headers[0] = (clr_http_header_t){clr_str_c(name), clr_str_c(value)};
    return (clr_http_head_t){.method = CLR_STR("GET"), .headers = headers, .header_count = 1};
}

static clr_http_head_t head_with_two(const char *name, const char *value, const char *name2,
                                     const char *value2)
{
    clr_http_head_t head = head_with(name, value);
    headers[1] = (clr_http_header_t){clr_str_c(name2), clr_str_c(value2)};
    head.header_count = 2;
    return head;
}

#define BEFORE "Sun, 09 Sep 2001 01:46:39 GMT"
#define EXACT  "Sun, 09 Sep 2001 01:46:40 GMT"

TEST(static_conditions_hold_or_not)
{
    static const struct {
        const char *name, *value;
        int status;
    } cases[] = {
        {"if-match", "\"e\"", 0},
        {"if-match", "*", 0},
        {"if-match", "\"x\" , \"e\"", 0},
        {"if-match", "\"x\"", 412},
        {"if-match", "W/\"e\"", 412},
        {"if-match", "", 412},
        {"if-unmodified-since", EXACT, 0},
        {"if-unmodified-since", BEFORE, 412},
        {"if-unmodified-since", "whenever", 0},
        {"if-none-match", "\"e\"", 304},
        {"if-none-match", "W/\"e\"", 304},
        {"if-none-match", "\"x\",\"e\"", 304},
        {"if-none-match", "*", 304},
        {"if-none-match", "\"x\"", 0},
        {"if-none-match", "e", 0},
        {"if-modified-since", EXACT, 304},
        {"if-modified-since", BEFORE, 0},
        {"if-modified-since", "whenever", 0},
        {"accept", "*", 0},
    };
    for (size_t i = 0; i < clr_array_len(cases); i++) {
        clr_http_head_t head = head_with(cases[i].name, cases[i].value);
        int status = clr_static_check_conditions(&head, &file);
        if (status != cases[i].status)
            TEST_FAIL_("%s: %s gives %d", cases[i].name, cases[i].value, status);
    }
}

TEST(static_conditions_have_an_order)
{
    /* ETags count before dates, and what protects before what saves. */
    clr_http_head_t head = head_with_two("if-match", "*", "if-unmodified-since", BEFORE);
    EXPECT_EQ(clr_static_check_conditions(&head, &file), 0);
    head = head_with_two("if-none-match", "\"x\"", "if-modified-since", EXACT);
    EXPECT_EQ(clr_static_check_conditions(&head, &file), 0);
    head = head_with_two("if-none-match", "\"e\"", "if-match", "\"x\"");
    EXPECT_EQ(clr_static_check_conditions(&head, &file), 412);
    head = head_with_two("if-none-match", "\"x\"", "if-none-match", "\"e\"");
    EXPECT_EQ(clr_static_check_conditions(&head, &file), 304);
}

static int parse(const char *value, uint64_t size, clr_static_range_t *out)
{
    return clr_static_parse_ranges(clr_str_c(value), size, out);
}

TEST(static_range_grammar)
{
    clr_static_range_t r[CLR_STATIC_RANGES_MAX];
    static const struct {
        const char *value;
        uint64_t size;
        int count;
        uint64_t first, last;
    } cases[] = {
        {"bytes=0-0", 10, 1, 0, 0},   {"bytes=2-4", 10, 1, 2, 4},
        {"bytes=-100", 10, 1, 0, 9},  {"bytes=-1", 10, 1, 9, 9},
        {"bytes=9-", 10, 1, 9, 9},    {"bytes=5-99", 10, 1, 5, 9},
        {"Bytes=1-1", 10, 1, 1, 1},   {"bytes= 1-1 ", 10, 1, 1, 1},
        {"bytes=,1-1,", 10, 1, 1, 1}, {"bytes=99-,1-1", 10, 1, 1, 1},
        {"bytes=0-", 0, -1, 0, 0},    {"bytes=-0", 10, -1, 0, 0},
        {"bytes=10-", 10, -1, 0, 0},  {"bytes=10-,11-12", 10, -1, 0, 0},
    };
    for (size_t i = 0; i < clr_array_len(cases); i++) {
        int count = parse(cases[i].value, cases[i].size, r);
        if (count != cases[i].count ||
            (count == 1 && (r[0].first != cases[i].first || r[0].last != cases[i].last)))
            TEST_FAIL_("%s gives %d", cases[i].value, count);
    }
    static const char *const ignored[] = {"",
                                          "bytes",
                                          "bytes=",
                                          "bytes=-",
                                          "bytes=a-b",
                                          "bytes=5-4",
                                          "lines=1-2",
                                          "bytes 1-2",
                                          "bytes=1",
                                          "bytes=1--2",
                                          "bytes=0x1-2",
                                          "bytes=-1-2",
                                          "bytes=,",
                                          "bytes=1-2;3",
                                          "bytes=1 -2",
                                          "bytes=1-2,x-",
                                          "bytes=+1-2",
                                          "bytes=1-99999999999999999999999"};
    for (size_t i = 0; i < clr_array_len(ignored); i++) {
        if (parse(ignored[i], 10, r) != 0)
            TEST_FAIL_("%s is not ignored", ignored[i]);
    }
}

TEST(static_ranges_are_bounded)
{
    clr_static_range_t r[CLR_STATIC_RANGES_MAX];
    EXPECT_EQ(parse("bytes=0-1,4-5, -2", 10, r), 3);
    EXPECT_EQ(r[2].first, 8);
    char value[200] = "bytes=";
    for (int i = 0; i < CLR_STATIC_RANGES_MAX; i++)
        snprintf(value + strlen(value), 10, "%s%d-%d", i ? "," : "", i, i);
    EXPECT_EQ(parse(value, 100, r), CLR_STATIC_RANGES_MAX);
    EXPECT_EQ(r[CLR_STATIC_RANGES_MAX - 1].last, CLR_STATIC_RANGES_MAX - 1);
    strcat(value, ",50-50");
    EXPECT_EQ(parse(value, 100, r), 0);
    EXPECT_EQ(parse("bytes=0-9,0-9", 19, r), 0);
    EXPECT_EQ(parse("bytes=0-9,0-9", 20, r), 2);
    EXPECT_EQ(parse("bytes=0-18446744073709551613,0-18446744073709551613", INT64_MAX, r), 0);
}

TEST(static_ranges_apply_to_the_file_that_the_client_has)
{
    clr_static_range_t r[CLR_STATIC_RANGES_MAX];
    static const struct {
        const char *value;
        int count;
    } cases[] = {{"\"e\"", 1}, {"\"x\"", 0}, {"W/\"e\"", 0}, {EXACT, 1}, {BEFORE, 0}, {"x", 0}};
    for (size_t i = 0; i < clr_array_len(cases); i++) {
        clr_http_head_t head = head_with_two("range", "bytes=1-1", "if-range", cases[i].value);
        EXPECT_EQ(clr_static_get_ranges(&head, &file, r), cases[i].count);
    }
    clr_http_head_t head = head_with("range", "bytes=1-1");
    EXPECT_EQ(clr_static_get_ranges(&head, &file, r), 1);
    head.method = CLR_STR("HEAD");
    EXPECT_EQ(clr_static_get_ranges(&head, &file, r), 0);
}

TEST(static_dates_do_not_tell_versions_of_the_same_second_apart)
{
    clr_static_range_t r[CLR_STATIC_RANGES_MAX];
    clr_static_file_t fresh = file;
    fresh.mtime_s = clr_clock_wall_ms() / 1000;
    char date[CLR_HTTP_DATE_SIZE];
    clr_clock_http_date(fresh.mtime_s * 1000, date);
    clr_http_head_t head = head_with_two("range", "bytes=1-1", "if-range", date);
    EXPECT_EQ(clr_static_get_ranges(&head, &fresh, r), 0);
}

/* Mostly well-formed: up to six ranges, with a character spoilt now and then. */
static size_t random_ranges(uint64_t *seed, char *out, size_t size)
{
    size_t n = (size_t)snprintf(out, size, "bytes=");
    for (uint64_t left = 1 + test_random(seed) % 6; left > 0; left--) {
        uint64_t first = test_random(seed) % 1100, last = first + test_random(seed) % 100;
        if (test_random(seed) % 8 == 0)
            n += (size_t)snprintf(out + n, size - n, "-%u", (unsigned)last);
        else if (test_random(seed) % 8 == 0)
            n += (size_t)snprintf(out + n, size - n, "%u-", (unsigned)first);
        else
            n += (size_t)snprintf(out + n, size - n, "%u-%u", (unsigned)first, (unsigned)last);
        if (left > 1)
            out[n++] = ',';
    }
    if (test_random(seed) % 4 == 0)
        out[test_random(seed) % n] = "0-,= x"[test_random(seed) % 6];
    return n;
}

TEST(static_ranges_of_any_text_stay_within_the_file)
{
    clr_static_range_t r[CLR_STATIC_RANGES_MAX];
    unsigned found[3] = {0};
    uint64_t seed = 1;
    for (int i = 0; i < 100000; i++) {
        char value[128];
        size_t n = random_ranges(&seed, value, sizeof(value));
        uint64_t size = test_random(&seed) % 1000, total = 0;
        int count = clr_static_parse_ranges(clr_str(value, n), size, r);
        EXPECT(count >= -1 && count <= 6);
        for (int k = 0; k < count; k++) {
            EXPECT(r[k].first <= r[k].last && r[k].last < size);
            total += r[k].last - r[k].first + 1;
        }
        EXPECT(total <= size);
        found[count < 0 ? 0 : count == 0 ? 1 : 2]++;
    }
    EXPECT(found[0] > 1000 && found[1] > 1000 && found[2] > 1000);
}

TEST_MAIN(T(static_conditions_hold_or_not), T(static_conditions_have_an_order),
          T(static_range_grammar), T(static_ranges_are_bounded),
          T(static_ranges_apply_to_the_file_that_the_client_has),
          T(static_ranges_of_any_text_stay_within_the_file),
          T(static_dates_do_not_tell_versions_of_the_same_second_apart))
