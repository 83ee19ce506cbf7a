/* Which interpreter is chosen, and what is said about one that cannot be used. The real ones are
 * the matter of tests/integration/test_python_finder.py; here programs answer as interpreters
 * would. */
#include "supervisor/python.h"
#include "temp.h"

static clr_python_t python;
static clr_error_t error;

static int find(const char *option)
{
    clr_python_query_t query = {.option = option, .app_dir = "app", .work_dir = "."};
    error = (clr_error_t){0};
    return clr_python_find(&python, &query, &error);
}

/* A program that answers like the interpreter of that version and place. */
static void fake_python(const char *path, const char *name, const char *version, const char *flags)
{
    char text[1024], cwd[512];
    EXPECT(getcwd(cwd, sizeof(cwd)) != NULL);
    snprintf(text, sizeof(text),
             "#!/bin/sh\necho implementation=%s\necho version=%s\necho abiflags=%s\n"
             "echo executable=$0\necho base=%s\necho multiarch=\necho end=1\n",
             name, version, flags, cwd);
    temp_file(path, 0755, text);
}

static void fake_venv(const char *dir, const char *version)
{
    char path[256];
    temp_dir(dir);
    snprintf(path, sizeof(path), "%s/bin", dir);
    temp_dir(path);
    snprintf(path, sizeof(path), "%s/pyvenv.cfg", dir);
    temp_file(path, 0644, "home = /usr/bin\n");
    snprintf(path, sizeof(path), "%s/bin/python", dir);
    fake_python(path, "cpython", version, "");
}

static void enter(void)
{
    char path[600], cwd[512];
    temp_enter();
    temp_dir("app");
    temp_dir("path");
    fake_python("path/python3", "cpython", "3.11.9", "");
    EXPECT(getcwd(cwd, sizeof(cwd)) != NULL);
    snprintf(path, sizeof(path), "%s/path:/bin:/usr/bin", cwd);
    setenv("PATH", path, 1);
    unsetenv("VIRTUAL_ENV");
    unsetenv("CONDA_PREFIX");
}

#define EXPECT_FOUND(option, version_, origin_)                                                    \
    do {                                                                                           \
        int rc_ = find(option);                                                                    \
        EXPECT_STR_C(clr_str_c(error.text), "");                                                   \
        EXPECT_EQ(rc_, 0);                                                                         \
        EXPECT_STR_C(clr_str_c(python.version), version_);                                         \
        EXPECT(strstr(python.origin, origin_) != NULL);                                            \
        EXPECT(python.executable[0] == '/');                                                       \
        clr_python_deinit(&python);                                                                \
    } while (0)

#define EXPECT_REFUSED(option, ...)                                                                \
    do {                                                                                           \
        static const char *const said_[] = {__VA_ARGS__};                                          \
        EXPECT(find(option) < 0);                                                                  \
        for (size_t i_ = 0; i_ < clr_array_len(said_); i_++) {                                     \
            if (!strstr(error.text, said_[i_]))                                                    \
                TEST_FAIL_("\"%s\" does not say \"%s\"", error.text, said_[i_]);                   \
        }                                                                                          \
        clr_python_deinit(&python);                                                                \
    } while (0)

TEST(each_place_beats_the_next)
{
    enter();
    EXPECT_FOUND(NULL, "3.11.9", "path/python3");
    temp_dir("conda");
    temp_dir("conda/bin");
    fake_python("conda/bin/python", "cpython", "3.12.1", "");
    setenv("CONDA_PREFIX", "conda", 1);
    EXPECT_FOUND(NULL, "3.12.1", "conda");
    fake_venv("venv", "3.12.2");
    EXPECT_FOUND(NULL, "3.12.2", "venv");
    fake_venv(".venv", "3.12.3");
    EXPECT_FOUND(NULL, "3.12.3", ".venv");
    fake_venv("app/venv", "3.12.4");
    EXPECT_FOUND(NULL, "3.12.4", "venv");
    fake_venv("app/.venv", "3.12.5");
    EXPECT_FOUND(NULL, "3.12.5", ".venv");
    fake_venv("mine", "3.13.0");
    setenv("VIRTUAL_ENV", "mine", 1);
    EXPECT_FOUND(NULL, "3.13.0", "mine");
    EXPECT_FOUND("app/.venv", "3.12.5", "app/.venv");
    EXPECT_FOUND("app/.venv/bin/python", "3.12.5", "app/.venv");
    EXPECT_FOUND("python3", "3.11.9", "python3");
}

TEST(places_that_do_not_count)
{
    enter();
    temp_dir("app/.venv"); /* without a pyvenv.cfg */
    temp_dir("stale");
    setenv("VIRTUAL_ENV", "stale", 1);
    setenv("CONDA_PREFIX", "stale", 1);
    EXPECT_FOUND(NULL, "3.11.9", "path/python3");
}

TEST(interpreters_that_cannot_be_used)
{
    enter();
    fake_python("old", "cpython", "3.10.12", "");
    fake_python("pypy", "pypy", "3.11.2", "");
    fake_python("free", "cpython", "3.13.0", "t");
    fake_python("strange", "cpython", "three", "");
    temp_file("fails", 0755, "#!/bin/sh\necho 'cannot load libpython' >&2\nexit 127\n");
    temp_file("text", 0644, "print()\n");
    temp_file("chatty", 0755,
              "#!/bin/sh\nwhile true; do echo 0123456789012345678901234567890; done\n");
    EXPECT_REFUSED("./old", "/old is Python 3.10.12; clrun needs CPython 3.11 or newer");
    EXPECT_REFUSED("./pypy", "/pypy is pypy; clrun needs CPython");
    EXPECT_REFUSED("./free", "free-threaded");
    EXPECT_REFUSED("./strange", "does not answer as CPython");
    EXPECT_REFUSED("./fails", "(exit status 127)", "cannot load libpython");
    EXPECT_REFUSED("./text", "cannot run ", "Permission denied");
    EXPECT_REFUSED("./chatty", "does not answer as CPython", "(signal 9)");
    EXPECT_REFUSED("./nothing", "cannot run ", "No such file");
    EXPECT_REFUSED("/bin/true", "does not answer as CPython", "(exit status 0)");
    EXPECT_REFUSED("nothing", "--python: there is no nothing on PATH");
    EXPECT_REFUSED("app", "--python: there is no bin/python in app");
    setenv("PATH", "/nowhere", 1);
    EXPECT_REFUSED(NULL, "there is no python3 on PATH");
}

TEST(a_broken_venv_is_not_passed_over)
{
    enter();
    fake_venv(".venv", "3.12.0");
    EXPECT_EQ(unlink(".venv/bin/python"), 0);
    EXPECT_EQ(symlink("/nowhere/python3", ".venv/bin/python"), 0);
    EXPECT_REFUSED(NULL, ".venv has no working bin/python, or none that ", "create it again");
    EXPECT_EQ(unlink(".venv/bin/python"), 0);
    fake_python(".venv/bin/python", "cpython", "3.9.1", "");
    EXPECT_REFUSED(NULL, "found by .venv: ", "is Python 3.9.1");
}

TEST(library_mode_takes_the_one_beside_a_program)
{
    enter();
    clr_python_query_t query = {.app_dir = "app", .work_dir = ".", .mode = CLR_PYTHON_LIBRARY};
    EXPECT(clr_python_find(&python, &query, &error) < 0);
    EXPECT(strstr(error.text, "has no shared library") != NULL);
    clr_python_deinit(&python);
    temp_dir("lib");
    temp_file("lib/libpython3.11.so.1.0", 0644, "");
    EXPECT_EQ(clr_python_find(&python, &query, &error), 0);
    EXPECT(strstr(python.library, "/lib/libpython3.11.so.1.0") != NULL);
    clr_python_deinit(&python);
    query.mode = CLR_PYTHON_AUTO;
    EXPECT_EQ(clr_python_find(&python, &query, &error), 0);
    EXPECT(!python.library);
    clr_python_deinit(&python);
}

TEST_MAIN(T(each_place_beats_the_next), T(places_that_do_not_count),
          T(interpreters_that_cannot_be_used), T(a_broken_venv_is_not_passed_over),
          T(library_mode_takes_the_one_beside_a_program))
