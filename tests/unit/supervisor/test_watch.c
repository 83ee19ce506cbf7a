/* Which saved files the watcher reports. Each case runs once with inotify and once by looking,
 * since both must say the same. */
#include "supervisor/watch.h"

#include <stdio.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "temp.h"

static clr_loop_t loop;
static clr_watch_t *watch;
static char cwd[4096];
static char seen[65536]; /* "name name\n" for each report */
static unsigned begins;  /* of reports */
static unsigned reports;
static size_t last_total;
static bool poll_now;
static unsigned max_watches;

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void on_change(const clr_str_t *files, size_t count, size_t total, void *ctx)
{
    char *names[16];
    EXPECT(ctx == &loop && count > 0 && count <= total && count < 16);
    for (size_t i = 0; i < count; i++)
        names[i] = clr_xstrdup(files[i]);
    qsort(names, count, sizeof(names[0]), by_text);
    for (size_t i = 0; i < count; i++) {
        EXPECT(strlen(seen) + strlen(names[i]) + 2 < sizeof(seen));
        strcat(seen, names[i]);
        strcat(seen, i + 1 < count ? " " : "\n");
        free(names[i]);
    }
    last_total = total;
    reports++;
    EXPECT_EQ(begins, reports);
    clr_loop_stop(&loop);
}

static void on_begin(void *ctx)
{
    EXPECT(ctx == &loop);
    begins++;
}

static const clr_watch_ops_t ops = {on_begin, on_change};

static void setup(void)
{
    temp_enter();
    EXPECT(getcwd(cwd, sizeof(cwd)) != NULL);
    EXPECT_EQ(clr_loop_init(&loop), 0);
    clr_watch_options_t options = {.base = ".", .poll = poll_now, .max_watches = max_watches};
    watch = clr_watch_open(&loop, &options, &ops, &loop);
    seen[0] = '\0';
    begins = reports = 0;
}

static void teardown(void)
{
    clr_watch_close(watch);
    clr_loop_deinit(&loop);
}

static void add_sources(const char *name)
{
    char path[8192];
    snprintf(path, sizeof(path), "%s%s%s", cwd, *name ? "/" : "", name);
    clr_watch_sources(watch, clr_str_c(path), UINT64_MAX);
}

static void add_tree(const char *name)
{
    clr_error_t err = {0};
    EXPECT_EQ(clr_watch_tree(watch, name, &err), 0);
}

/* Waits for one report, which must name these. */
static void expect_report(const char *names)
{
    seen[0] = '\0';
    unsigned before = reports;
    clr_loop_run(&loop);
    EXPECT_EQ(reports, before + 1);
    EXPECT_STR_C(clr_str_c(seen), names);
}

/* Two tests of one body. */
#define BOTH_WAYS(name, body)                                                                      \
    TEST(name)                                                                                     \
    {                                                                                              \
        body();                                                                                    \
    }                                                                                              \
    TEST(name##_polling)                                                                           \
    {                                                                                              \
        poll_now = true;                                                                           \
        body();                                                                                    \
    }

/* Contents of a length of their own, since a stamp may be no newer than the last. */
static void save(const char *path)
{
    static int length = 1;
    char text[512];
    length = length % 500 + 1;
    memset(text, 'x', (size_t)length);
    text[length] = '\0';
    temp_file(path, 0644, text);
}

static void sources(void)
{
    setup();
    save("app.py");
    save("notes.txt");
    add_sources("");
    save("notes.txt");
    save(".hidden.py");
    save("#app.py");
    save("app.py~");
    save("app.py");
    expect_report("app.py\n");
    save("new.py");
    expect_report("new.py\n");
    save("other.tmp");
    EXPECT_EQ(rename("other.tmp", "app.py"), 0);
    expect_report("app.py\n");
    EXPECT_EQ(unlink("app.py"), 0);
    expect_report("app.py\n");
    teardown();
}

BOTH_WAYS(python_sources_of_a_directory_count, sources)

static void settings(void)
{
    setup();
    EXPECT_EQ(mkdir(".chainlit", 0755), 0);
    EXPECT_EQ(mkdir(".chainlit/translations", 0755), 0);
    add_sources("");
    add_sources(".chainlit");
    add_sources(".chainlit/translations");
    save("config.toml");
    save("README.md");
    save("package.json");
    save(".chainlit/other.toml");
    save(".chainlit/translations/notes.txt");
    save("clrun.toml");
    expect_report("clrun.toml\n");
    save("chainlit_de.md");
    expect_report("chainlit_de.md\n");
    save(".chainlit/config.toml");
    expect_report(".chainlit/config.toml\n");
    save(".chainlit/translations/de-DE.json");
    expect_report(".chainlit/translations/de-DE.json\n");
    teardown();
}

BOTH_WAYS(settings_of_a_chat_count, settings)

static void links(void)
{
    setup();
    temp_dir("src");
    save("one");
    save("two");
    EXPECT_EQ(symlink("../one", "src/app.py"), 0);
    add_sources("src");
    EXPECT_EQ(symlink("../two", "src/tmp"), 0);
    EXPECT_EQ(rename("src/tmp", "src/app.py"), 0);
    expect_report("src/app.py\n");
    EXPECT_EQ(link("one", "src/hard.py"), 0);
    expect_report("src/hard.py\n");
    EXPECT_EQ(symlink("../one", "src/soft.py"), 0);
    expect_report("src/soft.py\n");
    teardown();
}

BOTH_WAYS(a_link_that_is_put_in_place_counts, links)

static void tree(void)
{
    setup();
    temp_dir("t");
    temp_dir("t/a");
    temp_dir("t/node_modules");
    temp_dir("t/env");
    temp_dir("t/.git");
    save("t/env/pyvenv.cfg");
    save("t/env/x.html");
    save("t/a/x.html");
    save("t/.git/index");
    add_tree("t");
    save("t/node_modules/x.js");
    save("t/env/x.html");
    save("t/.git/index");
    save("t/a/x.html");
    expect_report("t/a/x.html\n");
    temp_dir("t/a/b");
    temp_dir("t/a/b/c");
    save("t/a/b/c/y.css");
    expect_report("t/a/b/c/y.css\n");
    save("t/a/b/c/y.css");
    expect_report("t/a/b/c/y.css\n");
    teardown();
}

BOTH_WAYS(a_tree_has_all_files_and_new_directories, tree)

static void moving(void)
{
    setup();
    temp_dir("t");
    temp_dir("t/a");
    temp_dir("t/a/in");
    save("t/a/in/x");
    add_tree("t");
    EXPECT_EQ(rename("t/a", "t/b"), 0);
    do { /* by looking, the old name may be missed in an earlier report */
        seen[0] = '\0';
        clr_loop_run(&loop);
    } while (!strstr(seen, "t/b/in/x"));
    save("t/b/in/x");
    expect_report("t/b/in/x\n");
    teardown();
}

BOTH_WAYS(a_directory_that_moves_within_a_tree_has_its_new_name, moving)

/* More than the kernel keeps for us: something was saved, but what? */
TEST(lost_events_are_a_report)
{
    char text[32] = {0};
    int fd = open("/proc/sys/fs/inotify/max_queued_events", O_RDONLY | O_CLOEXEC);
    EXPECT(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0);
    close(fd);
    setup();
    temp_dir("t");
    save("a.py");
    add_sources("");
    add_tree("t");
    for (long n = strtol(text, NULL, 10); n > 0; n -= 2) {
        EXPECT_EQ(rename("a.py", "b.py"), 0);
        EXPECT_EQ(rename("b.py", "a.py"), 0);
    }
    temp_dir("t/new");
    expect_report("* a.py b.py t/*\n");
    save("t/new/file");
    expect_report("t/new/file\n");
    teardown();
}

static void vanishing(void)
{
    setup();
    temp_dir("src");
    save("src/app.py");
    add_sources("src");
    EXPECT_EQ(rename("src", "gone"), 0);
    temp_dir("src");
    save("src/app.py");
    expect_report("src/app.py\n");
    save("src/app.py");
    expect_report("src/app.py\n");
    teardown();
}

BOTH_WAYS(a_directory_that_is_replaced_is_found_again, vanishing)

/* The directory was heard of after the file was saved. */
TEST(what_was_saved_before_the_directory_was_known_is_reported)
{
    setup();
    save("app.py");
    clr_watch_sources(watch, clr_str_c(cwd), clr_clock_wall_ms() * 1000000u);
    expect_report("app.py\n");
    teardown();
}

TEST(many_files_are_counted_and_some_named)
{
    char name[32];
    setup();
    add_sources("");
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "f%02d.py", i);
        save(name);
    }
    seen[0] = '\0';
    clr_loop_run(&loop);
    EXPECT_STR_C(clr_str_c(seen), "f00.py f01.py f02.py f03.py f04.py\n");
    EXPECT_EQ(last_total, 100);
    EXPECT_EQ(reports, 1);
    teardown();
}

/* With one watch the second directory is looked at, and nothing is missed. */
TEST(watches_that_run_out_are_no_end)
{
    max_watches = 1;
    setup();
    clr_log_configure(CLR_LOG_OFF, false);
    temp_dir("a");
    temp_dir("b");
    save("a/x.py");
    save("b/y.py");
    add_sources("a");
    add_sources("b");
    save("b/y.py");
    expect_report("b/y.py\n");
    save("a/x.py");
    expect_report("a/x.py\n");
    teardown();
}

/* No descriptor is left for inotify. */
TEST(no_inotify_is_no_end)
{
    struct rlimit old, none;
    temp_enter();
    EXPECT(getcwd(cwd, sizeof(cwd)) != NULL);
    EXPECT_EQ(clr_loop_init(&loop), 0);
    clr_log_configure(CLR_LOG_OFF, false);
    EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
    none = old;
    none.rlim_cur = 0;
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    clr_watch_options_t options = {.base = "."};
    watch = clr_watch_open(&loop, &options, &ops, &loop);
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
    save("app.py");
    add_sources("");
    save("app.py");
    expect_report("app.py\n");
    teardown();
}

TEST(a_tree_must_exist)
{
    clr_error_t err = {0};
    setup();
    EXPECT(clr_watch_tree(watch, "nowhere", &err) < 0);
    save("file");
    EXPECT_EQ(clr_watch_tree(watch, "file", &err), CLR_EINVAL);
    teardown();
}

TEST_MAIN(T(settings_of_a_chat_count), T(settings_of_a_chat_count_polling),
          T(python_sources_of_a_directory_count), T(python_sources_of_a_directory_count_polling),
          T(a_link_that_is_put_in_place_counts), T(a_link_that_is_put_in_place_counts_polling),
          T(a_tree_has_all_files_and_new_directories),
          T(a_tree_has_all_files_and_new_directories_polling),
          T(a_directory_that_is_replaced_is_found_again),
          T(a_directory_that_is_replaced_is_found_again_polling),
          T(what_was_saved_before_the_directory_was_known_is_reported),
          T(a_directory_that_moves_within_a_tree_has_its_new_name),
          T(a_directory_that_moves_within_a_tree_has_its_new_name_polling),
          T(lost_events_are_a_report), T(many_files_are_counted_and_some_named),
          T(watches_that_run_out_are_no_end), T(no_inotify_is_no_end), T(a_tree_must_exist))
