/* The command line: values, precedence, what is refused and what is suggested. */
#include "test.h"

#include "cli/options.h"

static clr_options_t options;
static clr_error_t error;

/* parse("--port", "0", "app.py") */
#define parse(...) parse_words((char *[]){"clrun", __VA_ARGS__, NULL})

static int parse_words(char **argv)
{
    int argc = 0;
    while (argv[argc])
        argc++;
    error = (clr_error_t){0};
    return clr_options_parse(&options, argc, argv, &error);
}

#define EXPECT_REFUSED(said, ...)                                                                  \
    do {                                                                                           \
        EXPECT_EQ(parse(__VA_ARGS__), CLR_EINVAL);                                                 \
        EXPECT_STR_C(clr_str_c(error.text), said);                                                 \
    } while (0)

TEST(defaults_are_those_of_the_table)
{
    EXPECT_EQ(parse("app.py"), 0);
    EXPECT_EQ(options.action, CLR_ACTION_RUN);
    EXPECT_STR_C(clr_str_c(options.app), "app.py");
    EXPECT_STR_C(clr_str_c(options.host), "127.0.0.1");
    EXPECT_EQ(options.port, 8000);
    EXPECT_EQ(options.workers, 1);
    EXPECT_EQ(options.max_buffered, 1 << 20);
    EXPECT_EQ(options.graceful_timeout, 10000);
    EXPECT_EQ(options.ping_interval, 0);
    EXPECT_EQ(options.ready_fd, 0);
    EXPECT(!options.uds);
    EXPECT(!options.access_log);
}

TEST(values_come_after_a_space_or_an_equals_sign)
{
    EXPECT_EQ(parse("--port", "0", "--host=::1", "app.py", "--workers", "3"), 0);
    EXPECT_EQ(options.port, 0);
    EXPECT_STR_C(clr_str_c(options.host), "::1");
    EXPECT_EQ(options.workers, 3);
    EXPECT_EQ(parse("--root-path=", "app.py"), 0);
    EXPECT(!options.root_path);
    EXPECT_EQ(parse("--uds", "-x", "app.py"), 0);
    EXPECT_STR_C(clr_str_c(options.uds), "-x");
}

TEST(flags_can_be_negated)
{
    EXPECT_EQ(parse("--access-log", "app.py"), 0);
    EXPECT(options.access_log);
    EXPECT_EQ(parse("--access-log", "--no-access-log", "app.py"), 0);
    EXPECT(!options.access_log);
    EXPECT_EQ(parse("--access-log=off", "app.py"), 0);
    EXPECT(!options.access_log);
    EXPECT_REFUSED("--no-access-log takes no value", "--no-access-log=yes", "app.py");
    EXPECT_REFUSED("unknown option --no-port; did you mean --port?", "--no-port", "app.py");
}

TEST(a_switch_needs_no_value_and_takes_one_after_an_equals_sign_only)
{
    EXPECT_EQ(parse("app.py"), 0);
    EXPECT(!options.watch);
    EXPECT_EQ(parse("--watch", "app.py"), 0);
    EXPECT_STR_C(clr_str_c(options.watch), "refresh");
    EXPECT_STR_C(clr_str_c(options.app), "app.py");
    EXPECT_EQ(parse("--watch=restart", "app.py"), 0);
    EXPECT_STR_C(clr_str_c(options.watch), "restart");
    EXPECT_EQ(parse("--watch", "--no-watch", "app.py"), 0);
    EXPECT(!options.watch);
    setenv("CLRUN_WATCH", "yes", 1);
    EXPECT_EQ(parse("app.py"), 0);
    EXPECT_STR_C(clr_str_c(options.watch), "refresh");
    EXPECT_REFUSED("--watch: 'often' is not one of refresh|restart", "--watch=often", "app.py");
}

TEST(a_list_grows_and_a_flag_beats_the_environment)
{
    char *many[2 * CLR_OPTION_LIST_MAX + 4] = {"clrun"};
    EXPECT_EQ(parse("--watch-dir", "a", "--watch-dir=b", "app.py"), 0);
    EXPECT_EQ(options.watch_dir.count, 2);
    EXPECT_STR_C(clr_str_c(options.watch_dir.items[1]), "b");
    setenv("CLRUN_WATCH_DIR", "c", 1);
    EXPECT_EQ(parse("app.py"), 0);
    EXPECT_EQ(options.watch_dir.count, 1);
    EXPECT_STR_C(clr_str_c(options.watch_dir.items[0]), "c");
    EXPECT_EQ(parse("--watch-dir", "a", "--watch-dir", "b", "app.py"), 0);
    EXPECT_EQ(options.watch_dir.count, 2);
    EXPECT_STR_C(clr_str_c(options.watch_dir.items[0]), "a");
    clr_error_t err = {0};
    for (int i = 1; i <= CLR_OPTION_LIST_MAX + 1; i++)
        many[i] = "--watch-dir=a";
    EXPECT_EQ(clr_options_parse(&options, CLR_OPTION_LIST_MAX + 2, many, &err), CLR_EINVAL);
    EXPECT_STR_C(clr_str_c(err.text), "--watch-dir: given more than 16 times");
}

TEST(durations_have_units)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } rows[] = {{"2", 2000},    {"0.25", 250},     {"300ms", 300}, {"1.5s", 1500},
                {"2m", 120000}, {"0.5h", 1800000}, {"10ms", 10}};
    for (size_t i = 0; i < clr_array_len(rows); i++) {
        EXPECT_EQ(parse("--ping-interval", (char *)rows[i].text, "app.py"), 0);
        EXPECT_EQ(options.ping_interval, rows[i].ms);
    }
}

TEST(sizes_have_units)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } rows[] = {{"4096", 4096}, {"64k", 65536}, {"1.5M", 3 << 19}, {"1G", 1 << 30}, {"8KiB", 8192}};
    for (size_t i = 0; i < clr_array_len(rows); i++) {
        EXPECT_EQ(parse("--max-buffered", (char *)rows[i].text, "app.py"), 0);
        EXPECT_EQ(options.max_buffered, rows[i].bytes);
    }
}

TEST(wrong_values_are_named)
{
    EXPECT_REFUSED("--port: 65536 is above the most, 65535", "--port", "65536", "app.py");
    EXPECT_REFUSED("--port: '80a' is not a number", "--port", "80a", "app.py");
    EXPECT_REFUSED("--port: '-1' is not a number", "--port", "-1", "app.py");
    EXPECT_REFUSED("--workers: 0 is below the least, 1", "--workers", "0", "app.py");
    EXPECT_REFUSED("--workers: '1.5' is not a number", "--workers", "1.5", "app.py");
    EXPECT_REFUSED("--workers: '99999999999999999999' is not a number", "--workers",
                   "99999999999999999999", "app.py");
    EXPECT_REFUSED("--ping-timeout: '5 s' is not a duration such as 500ms, 10s or 2m",
                   "--ping-timeout", "5 s", "app.py");
    EXPECT_REFUSED("--ping-timeout: 25h is above the most, 86400s", "--ping-timeout", "25h",
                   "app.py");
    EXPECT_REFUSED("--max-buffered: '' is not a size such as 512k or 1M",
                   "--max-buffered=", "app.py");
    EXPECT_REFUSED("--loop: 'trio' is not one of asyncio|uvloop", "--loop", "trio", "app.py");
    EXPECT_REFUSED("--access-log: 'maybe' is neither yes nor no", "--access-log=maybe", "app.py");
    EXPECT_REFUSED("--port needs a value, PORT", "app.py", "--port");
}

TEST(unknown_options_get_the_nearest_one)
{
    EXPECT_REFUSED("unknown option --wokers; did you mean --workers?", "--wokers", "2", "app.py");
    EXPECT_REFUSED("unknown option --wrokers; did you mean --workers?", "--wrokers=2", "app.py");
    EXPECT_REFUSED("unknown option --prot; did you mean --port?", "--prot", "app.py");
    EXPECT_REFUSED("unknown option --graceful; did you mean --graceful-timeout?", "--graceful",
                   "app.py");
    EXPECT_REFUSED("unknown option -port; did you mean --port?", "-port", "app.py");
    EXPECT_REFUSED("unknown option --zzzzzz; see clrun --help", "--zzzzzz", "app.py");
    char longer[200];
    memset(longer, 'a', sizeof(longer) - 1);
    memcpy(longer, "--", 2);
    longer[sizeof(longer) - 1] = 0;
    EXPECT_EQ(parse(longer, "app.py"), CLR_EINVAL);
}

TEST(environment_is_between_flags_and_defaults)
{
    setenv("CLRUN_PORT", "9000", 1);
    setenv("CLRUN_ACCESS_LOG", "true", 1);
    setenv("CLRUN_HOST", "", 1);
    EXPECT_EQ(parse("app.py"), 0);
    EXPECT_EQ(options.port, 9000);
    EXPECT(options.access_log);
    EXPECT_STR_C(clr_str_c(options.host), "127.0.0.1");
    EXPECT_EQ(parse("--port", "1", "--no-access-log", "app.py"), 0);
    EXPECT_EQ(options.port, 1);
    EXPECT(!options.access_log);
    setenv("CLRUN_PORT", "many", 1);
    EXPECT_REFUSED("CLRUN_PORT: 'many' is not a number", "app.py");
}

TEST(exactly_one_app)
{
    EXPECT_EQ(clr_options_parse(&options, 1, (char *[]){"clrun", NULL}, &error), CLR_EINVAL);
    EXPECT_STR_C(clr_str_c(error.text), "no APP given; usage: clrun [options] APP");
    EXPECT_REFUSED("one APP is expected, not both a.py and b.py", "a.py", "b.py");
    EXPECT_EQ(parse("--", "--odd.py"), 0);
    EXPECT_STR_C(clr_str_c(options.app), "--odd.py");
}

TEST(actions_need_no_app)
{
    EXPECT_EQ(parse("--help"), 0);
    EXPECT_EQ(options.action, CLR_ACTION_HELP);
    EXPECT_EQ(parse("-h"), 0);
    EXPECT_EQ(options.action, CLR_ACTION_HELP);
    EXPECT_EQ(parse("--version"), 0);
    EXPECT_EQ(options.action, CLR_ACTION_VERSION);
    EXPECT_EQ(parse("--help-markdown"), 0);
    EXPECT_EQ(options.action, CLR_ACTION_HELP_MARKDOWN);
    setenv("CLRUN_PORT", "many", 1);
    EXPECT_EQ(parse("--help"), 0);
}

TEST(table_is_whole)
{
    for (size_t i = 0; i < clr_option_count; i++) {
        const clr_option_t *o = &clr_option_table[i];
        if (o->kind == CLR_OPTION_SECTION)
            continue;
        EXPECT(o->help[strlen(o->help) - 1] == '.');
        for (size_t j = 0; j < i; j++)
            EXPECT(strcmp(o->flag, clr_option_table[j].flag) != 0);
    }
}

/* Everything that print writes. */
static char *printed(void (*print)(FILE *out, unsigned width), unsigned width)
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    print(out, width);
    fclose(out);
    return text;
}

TEST(help_names_every_option_and_keeps_the_width)
{
    for (unsigned width = 60; width <= 120; width += 20) {
        char *text = printed(clr_options_print_help, width);
        for (size_t i = 0; i < clr_option_count; i++)
            EXPECT(strstr(text, clr_option_table[i].flag) != NULL);
        clr_str_t rest = clr_str_c(text), line;
        while (clr_str_split(&rest, '\n', &line))
            EXPECT(line.n <= width);
        free(text);
    }
}

TEST_MAIN(T(defaults_are_those_of_the_table), T(values_come_after_a_space_or_an_equals_sign),
          T(flags_can_be_negated),
          T(a_switch_needs_no_value_and_takes_one_after_an_equals_sign_only),
          T(a_list_grows_and_a_flag_beats_the_environment), T(durations_have_units),
          T(sizes_have_units), T(wrong_values_are_named), T(unknown_options_get_the_nearest_one),
          T(environment_is_between_flags_and_defaults), T(exactly_one_app), T(actions_need_no_app),
          T(table_is_whole), T(help_names_every_option_and_keeps_the_width))
