/* python_ask.c: one short run of an interpreter, which prints what it is. */
#include "supervisor/python.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "supervisor/path.h"

#define ANSWER_TIMEOUT_MS                                                                          \
    10000 /* a cold disk is slow; a program that waits for us is not Python                        \
           */
#define ANSWER_MAX 16384

/* Kept to what every Python 3 understands, so that an old one can say how old it is. The library is
 * the one that this very process runs from: no list of build variables is as sure, and none is read
 * as fast. */
static const char script[] =
    "import sys\n"
    "f = sys.getfilesystemencoding()\n"
    "def say(k, v):\n"
    "    sys.stdout.buffer.write(('%s=%s\\n' % (k, v)).encode(f, 'surrogateescape'))\n"
    "say('implementation', sys.implementation.name)\n"
    "say('version', '%d.%d.%d' % sys.version_info[:3])\n"
    "say('abiflags', getattr(sys, 'abiflags', ''))\n"
    "say('executable', sys.executable)\n"
    "say('base', sys.base_exec_prefix)\n"
    "say('multiarch', getattr(sys.implementation, '_multiarch', ''))\n"
    "try:\n"
    "    for line in open('/proc/self/maps', encoding=f, errors='surrogateescape'):\n"
    "        path = line.rstrip('\\n').split(None, 5)[5:]\n"
    "        if path and '/libpython' in path[0] and '.so' in path[0]:\n"
    "            say('library', path[0])\n"
    "            break\n"
    "except (OSError, ValueError):\n"
    "    pass\n"
    "say('end', 1)\n";

/* Starts it with standard output and error in a pipe. Returns 0 or -errno. */
static int start(const char *path, pid_t *pid, int *fd)
{
    char *const argv[] = {(char *)path, "-I", "-S", "-c", (char *)script, NULL};
    int pipes[2];
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t defaults;
    if (pipe2(pipes, O_CLOEXEC) != 0)
        return -errno;
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, pipes[1], 1);
    posix_spawn_file_actions_adddup2(&actions, pipes[1], 2);
    int rc = -posix_spawn(pid, path, &actions, &attributes, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    close(pipes[1]);
    *fd = pipes[0];
    if (rc < 0)
        close(pipes[0]);
    return rc;
}

/* Reads until the end, the limit or the deadline. Returns false at the deadline. */
static bool read_answer(int fd, clr_buf_t *out)
{
    uint64_t deadline = clr_clock_now_ms() + ANSWER_TIMEOUT_MS;
    for (;;) {
        uint64_t now = clr_clock_now_ms();
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int ready = now < deadline ? poll(&p, 1, (int)(deadline - now)) : 0;
        if (ready == 0)
            return false;
        if (ready < 0 && errno == EINTR)
            continue;
        char *to = clr_buf_reserve(out, 4096);
        ssize_t n = read(fd, to, 4096);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0 || out->n > ANSWER_MAX)
            return true;
        out->n += (size_t)n;
    }
}

/* The value of a line "key=value"; p is NULL when there is none. */
static clr_str_t get(const clr_buf_t *answer, const char *key)
{
    clr_str_t rest = clr_buf_str(answer), line;
    size_t n = strlen(key);
    while (clr_str_split(&rest, '\n', &line)) {
        if (clr_str_starts(line, clr_str(key, n)) && line.n > n && line.p[n] == '=')
            return clr_str_from(line, n + 1);
    }
    return (clr_str_t){0};
}

static int not_python(const char *path, const clr_buf_t *answer, int status, clr_error_t *err)
{
    clr_str_t rest = clr_buf_str(answer), line;
    (void)clr_str_split(&rest, '\n', &line);
    if (line.n > 200)
        line.n = 200;
    return clr_error_set(err, CLR_EINVAL,
                         "%s does not answer as CPython 3.11 or newer would (%s %d)%s%.*s", path,
                         WIFSIGNALED(status) ? "signal" : "exit status",
                         WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
                         line.n ? ": " : "", CLR_STR_ARG(line));
}

/* "3.11.2" */
static bool parse_version(clr_str_t version, uint64_t *major, uint64_t *minor)
{
    clr_str_t part;
    return clr_str_split(&version, '.', &part) && clr_str_to_u64(part, 99, major) &&
           clr_str_split(&version, '.', &part) && clr_str_to_u64(part, 99, minor);
}

static int check(const char *path, const clr_buf_t *answer, int status, clr_error_t *err)
{
    clr_str_t implementation = get(answer, "implementation"), version = get(answer, "version");
    char text[32];
    uint64_t major = 0, minor = 0;
    snprintf(text, sizeof(text), "%.*s", CLR_STR_ARG(version));
    if (status != 0 || !get(answer, "end").p || !parse_version(version, &major, &minor))
        return not_python(path, answer, status, err);
    if (!clr_str_eq(implementation, CLR_STR("cpython")))
        return clr_error_set(err, CLR_EINVAL, "%s is %.*s; clrun needs CPython", path,
                             CLR_STR_ARG(implementation));
    if (major < 3 || (major == 3 && minor < 11))
        return clr_error_set(err, CLR_EINVAL, "%s is Python %s; clrun needs CPython 3.11 or newer",
                             path, text);
    if (clr_str_chr(get(answer, "abiflags"), 't') >= 0)
        return clr_error_set(err, CLR_EINVAL,
                             "%s is a free-threaded build, which has no stable ABI; use another",
                             path);
    return 0;
}

/* base/lib[/multiarch]/libpython3.11.so.1.0: a library that was installed beside a program that
 * does without. Returns owned, or NULL. */
static char *installed_library(const clr_buf_t *answer)
{
    clr_str_t base = get(answer, "base"), arch = get(answer, "multiarch");
    clr_str_t version = get(answer, "version"), flags = get(answer, "abiflags");
    static const char *const dirs[] = {"lib", "lib64"};
    while (version.n && version.p[version.n - 1] != '.') /* 3.11.2 to 3.11 */
        version.n--;
    version.n -= version.n > 0;
    for (size_t i = 0; i < 2 * clr_array_len(dirs); i++) {
        clr_buf_t path = {0};
        clr_buf_printf(&path, "%.*s/%s", CLR_STR_ARG(base), dirs[i / 2]);
        if (i % 2 == 0 && arch.n)
            clr_buf_printf(&path, "/%.*s", CLR_STR_ARG(arch));
        clr_buf_printf(&path, "/libpython%.*s%.*s.so.1.0", CLR_STR_ARG(version),
                       CLR_STR_ARG(flags));
        clr_buf_putc(&path, 0);
        if (clr_path_is(path.p, S_IFREG))
            return path.p;
        clr_buf_deinit(&path);
    }
    return NULL;
}

static int fill(clr_python_t *out, const char *path, clr_python_mode_t mode,
                const clr_buf_t *answer, clr_error_t *err)
{
    clr_str_t executable = get(answer, "executable"), library = get(answer, "library");
    /* A launcher (pyenv, asdf) starts another program: the interpreter knows its own path. */
    out->executable = clr_xstrdup(executable.n ? executable : clr_str_c(path));
    out->version = clr_xstrdup(get(answer, "version"));
    if (mode != CLR_PYTHON_PROGRAM && library.n) {
        out->library = clr_xstrdup(library);
        if (!clr_path_is(out->library, S_IFREG)) { /* replaced while it ran: start the program */
            free(out->library);
            out->library = NULL;
        }
    }
    if (mode == CLR_PYTHON_LIBRARY && !out->library)
        out->library = installed_library(answer);
    if (mode == CLR_PYTHON_LIBRARY && !out->library)
        return clr_error_set(err, CLR_ENOTFOUND, "%s has no shared library", out->executable);
    return 0;
}

int clr_python_ask(clr_python_t *out, const char *path, clr_python_mode_t mode, clr_error_t *err)
{
    pid_t pid = 0;
    int fd = -1, status = 0;
    int rc = start(path, &pid, &fd);
    if (rc < 0)
        return clr_error_set(err, rc, "cannot run %s: %s", path, strerror(-rc));
    clr_buf_t answer = {0};
    bool in_time = read_answer(fd, &answer);
    if (!in_time || answer.n > ANSWER_MAX)
        kill(pid, SIGKILL);
    close(fd);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (!in_time)
        rc = clr_error_set(err, CLR_EINVAL, "%s did not answer within %d s: not Python?", path,
                           ANSWER_TIMEOUT_MS / 1000);
    else
        rc = check(path, &answer, status, err);
    if (rc == 0)
        rc = fill(out, path, mode, &answer, err);
    clr_buf_deinit(&answer);
    return rc;
}
