/* test.h: the unit tests' frame. Each test runs in a process of its own, so that a crash or a leak
 * cannot hide; assertions print both values and never compile away.
 *
 *   TEST(frame_decode_rejects_length_past_cap) { EXPECT_EQ(clr_frame_decode(…), CLR_EPROTO); }
 *   TEST_MAIN(T(frame_decode_rejects_length_past_cap), T(…))
 */
#pragma once

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"

typedef struct test_case {
    const char *name;
    void (*run)(void);
} test_case_t;

#define TEST(name) static void test_##name(void)
#define T(name)                                                                                    \
    {                                                                                              \
#name, test_##name                                                                         \
    }

#define TEST_FAIL_(...)                                                                            \
    do {                                                                                           \
        fprintf(stderr, "%s:%d: ", __FILE__, __LINE__);                                            \
        fprintf(stderr, __VA_ARGS__);                                                              \
        fputc('\n', stderr);                                                                       \
        exit(1);                                                                                   \
    } while (0)

#define EXPECT(expr)                                                                               \
    do {                                                                                           \
        if (!(expr))                                                                               \
            TEST_FAIL_("expected %s", #expr);                                                      \
    } while (0)

#define EXPECT_EQ(actual, expected)                                                                \
    do {                                                                                           \
        int64_t a_ = (int64_t)(actual), e_ = (int64_t)(expected);                                  \
        if (a_ != e_)                                                                              \
            TEST_FAIL_("%s is %" PRId64 ", expected %s = %" PRId64, #actual, a_, #expected, e_);   \
    } while (0)

/* Views against views; use EXPECT_STR_C for a literal. */
#define EXPECT_STR(actual, expected)                                                               \
    do {                                                                                           \
        clr_str_t a_ = (actual), e_ = (expected);                                                  \
        if (!clr_str_eq(a_, e_))                                                                   \
            TEST_FAIL_("%s is \"%.*s\", expected \"%.*s\"", #actual, CLR_STR_ARG(a_),              \
                       CLR_STR_ARG(e_));                                                           \
    } while (0)

#define EXPECT_STR_C(actual, literal) EXPECT_STR(actual, clr_str_c(literal))

/* The statement breaks an invariant of ours: a CLR_ASSERT in it fails. */
#define EXPECT_ABORT(statement)                                                                    \
    do {                                                                                           \
        fflush(NULL);                                                                              \
        pid_t pid_ = fork();                                                                       \
        if (pid_ == 0) {                                                                           \
            dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);                          \
            statement;                                                                             \
            _exit(0);                                                                              \
        }                                                                                          \
        int status_ = 0;                                                                           \
        waitpid(pid_, &status_, 0);                                                                \
        if (!WIFSIGNALED(status_) || WTERMSIG(status_) != SIGABRT)                                 \
            TEST_FAIL_("expected an abort in %s", #statement);                                     \
    } while (0)

/* Numbers for tests that try many cases: the same ones in each run. */
static inline uint64_t test_random(uint64_t *state)
{
    uint64_t v = *state += UINT64_C(0x9e3779b97f4a7c15);
    v = (v ^ v >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    v = (v ^ v >> 27) * UINT64_C(0x94d049bb133111eb);
    return v ^ v >> 31;
}

/* A test that hangs is a failure with a name, not a build that never ends. */
#define TEST_SECONDS 120

static inline int test_run(const test_case_t *t)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(TEST_SECONDS);
        t->run();
        exit(0); /* runs LeakSanitizer */
    }
    int status = 0;
    waitpid(pid, &status, 0);
    if (status == 0)
        return 0;
    fprintf(stderr, "FAIL %s (%s %d)\n", t->name, WIFSIGNALED(status) ? "signal" : "exit",
            WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    return 1;
}

static inline int test_main(const test_case_t *tests, size_t count, int argc, char **argv)
{
    int failed = 0, ran = 0;
    for (size_t i = 0; i < count; i++) {
        if (argc > 1 && strcmp(argv[1], tests[i].name) != 0)
            continue;
        ran++;
        failed += test_run(&tests[i]);
    }
    printf("%d passed, %d failed\n", ran - failed, failed);
    return failed || ran == 0;
}

#define TEST_MAIN(...)                                                                             \
    int main(int argc, char **argv)                                                                \
    {                                                                                              \
        static const test_case_t tests[] = {__VA_ARGS__};                                          \
        return test_main(tests, sizeof(tests) / sizeof(tests[0]), argc, argv);                     \
    }
