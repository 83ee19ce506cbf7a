#include "test.h"

#include <errno.h>

#include "base/log.h"

/* What one call writes to stderr. A pipe holds 64 KiB, more than a test writes. */
static char captured[65536];

typedef struct capture {
    int saved;
    int reader;
} capture_t;

static capture_t capture_start(void)
{
    int fds[2];
    EXPECT_EQ(pipe(fds), 0);
    capture_t c = {dup(STDERR_FILENO), fds[0]};
    EXPECT_EQ(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
    close(fds[1]);
    return c;
}

static clr_str_t capture_stop(capture_t c)
{
    dup2(c.saved, STDERR_FILENO); /* the last writer of the pipe */
    close(c.saved);
    size_t n = 0;
    ssize_t got;
    while ((got = read(c.reader, captured + n, sizeof(captured) - n)) > 0)
        n += (size_t)got;
    close(c.reader);
    return clr_str(captured, n);
}

/* Past the time, whose digits differ: what follows "hh:mm:ss.mmm ". */
static clr_str_t after_time(clr_str_t line)
{
    EXPECT(line.n > 13);
    EXPECT(line.p[2] == ':' && line.p[5] == ':' && line.p[8] == '.' && line.p[12] == ' ');
    return clr_str_from(line, 13);
}

TEST(text_lines_have_time_padded_level_module_and_message)
{
    static const struct {
        clr_log_level_t level;
        const char *line;
    } levels[] = {
        {CLR_LOG_DEBUG, "debug gateway: client=7\n"},
        {CLR_LOG_INFO, "info  gateway: client=7\n"},
        {CLR_LOG_WARN, "warn  gateway: client=7\n"},
        {CLR_LOG_ERROR, "error gateway: client=7\n"},
    };
    clr_log_configure(CLR_LOG_DEBUG, false);
    for (size_t i = 0; i < clr_array_len(levels); i++) {
        capture_t c = capture_start();
        clr_log(levels[i].level, "gateway", "client=%d", 7);
        EXPECT_STR_C(after_time(capture_stop(c)), levels[i].line);
    }
}

TEST(text_escapes_control_characters_and_bad_utf8)
{
    capture_t c = capture_start();
    clr_log_info("m", "a\nb\r\t\x1b[31m\x7f\xff\xc2\x85 \xc3\xbc \"q\" \\");
    EXPECT_STR_C(after_time(capture_stop(c)),
                 "info  m: a\\nb\\r\\t\\x1b[31m\\x7f\\xff\\x85 \xc3\xbc \"q\" \\\n");
}

TEST(json_lines_escape_what_json_wants_escaped)
{
    clr_log_configure(CLR_LOG_INFO, true);
    capture_t c = capture_start();
    clr_log_warn("a\"b", "q=\" b=\\ \n\t\x01 \x7f \xff \xed\xa0\x80 \xc3\xbc");
    clr_str_t line = capture_stop(c);
    EXPECT(clr_str_starts(line, CLR_STR("{\"time\":\"20")));
    EXPECT_EQ(line.p[32], 'Z'); /* {"time":"2026-11-23T12:01:03.123Z */
    EXPECT_STR_C(clr_str_from(line, 33),
                 "\",\"level\":\"warn\",\"module\":\"a\\\"b\",\"message\":\"q=\\\" b=\\\\ "
                 "\\n\\t\\u0001 \\u007f \\ufffd \\ufffd\\ufffd\\ufffd \xc3\xbc\"}\n");
}

TEST(levels_below_the_configured_one_are_silent)
{
    capture_t c = capture_start();
    clr_log_configure(CLR_LOG_WARN, false);
    clr_log(CLR_LOG_INFO, "m", "no");
    clr_log_text(CLR_LOG_INFO, "m", CLR_STR("no"));
    clr_log_debug("m", "no");
    clr_log_configure(CLR_LOG_OFF, false);
    clr_log_error("m", "no");
    clr_log(CLR_LOG_OFF, "m", "no");
    EXPECT_EQ(capture_stop(c).n, 0);
    EXPECT(!clr_log_enabled(CLR_LOG_ERROR));
    EXPECT(!clr_log_enabled(CLR_LOG_OFF));
}

TEST(debug_arguments_are_not_evaluated_when_silent)
{
    int calls = 0;
    clr_log_configure(CLR_LOG_INFO, false);
    clr_log_debug("m", "%d", ++calls);
    EXPECT_EQ(calls, 0);
}

TEST(a_text_keeps_its_lines)
{
    capture_t c = capture_start();
    clr_log_text(CLR_LOG_ERROR, "worker", CLR_STR("Traceback\n\tline 1\x1b\nValueError\n\n"));
    EXPECT_STR_C(after_time(capture_stop(c)),
                 "error worker: Traceback\n\tline 1\\x1b\nValueError\n");
}

TEST(a_text_is_one_line_in_json)
{
    clr_log_configure(CLR_LOG_INFO, true);
    capture_t c = capture_start();
    clr_log_text(CLR_LOG_ERROR, "worker", CLR_STR("Traceback\nValueError\n"));
    EXPECT_STR_C(clr_str_from(capture_stop(c), 33), "\",\"level\":\"error\",\"module\":\"worker\","
                                                    "\"message\":\"Traceback\\nValueError\"}\n");
}

TEST(a_message_at_the_cap_is_whole_and_one_past_it_is_cut)
{
    static char text[2049];
    memset(text, 'x', sizeof(text) - 1);
    capture_t c = capture_start();
    clr_log_info("m", "%.2047s", text);
    clr_str_t line = after_time(capture_stop(c));
    EXPECT_EQ(line.n, strlen("info  m: ") + 2047 + 1);
    EXPECT_EQ(line.p[line.n - 2], 'x');
    c = capture_start();
    clr_log_info("m", "%.2048s", text);
    line = after_time(capture_stop(c));
    EXPECT_EQ(line.n, strlen("info  m: ") + 2047 + 1);
    EXPECT_STR_C(clr_str_from(line, line.n - 5), "x...\n");
}

TEST(the_worst_line_fits_its_storage)
{
    static char text[2048];
    static char module[200];
    memset(text, '\x01', sizeof(text) - 1);
    memset(module, '\x02', sizeof(module) - 1);
    clr_log_configure(CLR_LOG_INFO, true);
    capture_t c = capture_start();
    clr_log_info(module, "%s", text);
    clr_str_t line = capture_stop(c);
    EXPECT(line.n > (2047 + 64) * 6);
    EXPECT_STR_C(clr_str_from(line, line.n - 3), "\"}\n");
}

TEST(a_long_text_is_written_whole)
{
    static char text[40000];
    memset(text, 'x', sizeof(text));
    capture_t c = capture_start();
    clr_log_text(CLR_LOG_ERROR, "m", clr_str(text, sizeof(text)));
    EXPECT_EQ(after_time(capture_stop(c)).n, strlen("error m: ") + sizeof(text) + 1);
}

TEST(errno_survives)
{
    capture_t c = capture_start();
    close(STDERR_FILENO); /* the write fails */
    errno = ENOENT;
    clr_log_error("m", "x");
    EXPECT_EQ(errno, ENOENT);
    clr_log_text(CLR_LOG_ERROR, "m", CLR_STR("x"));
    EXPECT_EQ(errno, ENOENT);
    capture_stop(c);
}

TEST_MAIN(T(text_lines_have_time_padded_level_module_and_message),
          T(text_escapes_control_characters_and_bad_utf8),
          T(json_lines_escape_what_json_wants_escaped),
          T(levels_below_the_configured_one_are_silent),
          T(debug_arguments_are_not_evaluated_when_silent), T(a_text_keeps_its_lines),
          T(a_text_is_one_line_in_json), T(a_message_at_the_cap_is_whole_and_one_past_it_is_cut),
          T(the_worst_line_fits_its_storage), T(a_long_text_is_written_whole), T(errno_survives))
