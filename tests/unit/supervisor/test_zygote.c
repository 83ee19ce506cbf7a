/* The gateway's side of --preload, with a program that speaks its protocol and misbehaves on
 * demand. */
#include "supervisor/zygote.h"

#include "base/error.h"
#include "base/log.h"
#include "clrun/frames.h"
#include "loopback.h"
#include "temp.h"

/* Forks processes that only wait; what it does beside that is named by the app. */
static const char zygote_program[] =
    "#!/usr/bin/env python3\n"
    "import json, os, signal, socket, struct, sys\n"
    "control = socket.socket(fileno=3)\n"
    "mode = json.loads(control.recv(65536)[1:])['app']\n"
    "if mode == 'dies':\n"
    "    os._exit(5)\n"
    "if mode == 'fails':\n"
    "    control.recv(16)\n"
    "    control.send(b'F\\x03Traceback')\n"
    "    os._exit(3)\n"
    "control.send(b'R')\n"
    "children = 0\n"
    "while message := control.recv(16):\n"
    "    token = message[1:]\n"
    "    if mode == 'cannot':\n"
    "        control.send(b'C' + token + struct.pack('<i', -11))\n"
    "        continue\n"
    "    if mode == 'nonsense' and children:\n"
    "        control.send(b'?')\n"
    "        signal.pause()\n"
    "    children += 1\n"
    "    pid = os.fork()\n"
    "    if pid == 0:\n"
    "        signal.pause()\n"
    "    control.send(b'C' + token + struct.pack('<i', pid))\n"
    "    if mode == 'leaves':\n"
    "        os._exit(0)\n"
    "    if mode != 'nonsense':\n"
    "        _, status = os.waitpid(pid, 0)\n"
    "        control.send(b'X' + struct.pack('<ii', pid, status))\n"
    "        open('reaped', 'w').close()\n";

typedef struct child {
    clr_zygote_child_t c;
    int forked, failed, exited;
    int64_t status;
    int sig;
    uint8_t kind;
    char text[64];
} child_t;

static clr_loop_t loop;
static clr_zygote_t *zygote;
static int closed;
static clr_app_t app;
static clr_python_t python = {.executable = "unused"};
static clr_home_t home = {.worker = "./zygote", .package = "unused"};
static int fds[2];

static void on_closed(void *ctx)
{
    EXPECT(ctx == &closed);
    closed++;
}

static void on_forked(clr_zygote_child_t *c)
{
    child_t *child = clr_container_of(c, child_t, c);
    EXPECT(c->pid > 0);
    child->forked++;
}

static void on_failed(clr_zygote_child_t *c, uint8_t kind, clr_str_t text)
{
    child_t *child = clr_container_of(c, child_t, c);
    child->failed++;
    child->kind = kind;
    snprintf(child->text, sizeof(child->text), "%.*s", CLR_STR_ARG(text));
}

static void on_exit_of(clr_zygote_child_t *c, int64_t status, int sig)
{
    child_t *child = clr_container_of(c, child_t, c);
    EXPECT_EQ(child->exited, 0);
    child->exited++;
    child->status = status;
    child->sig = sig;
}

static void setup(const char *mode)
{
    clr_log_configure(CLR_LOG_OFF, false);
    temp_enter();
    temp_file("zygote", 0755, zygote_program);
    EXPECT_EQ(clr_loop_init(&loop), 0);
    EXPECT_EQ(pipe(fds), 0);
    app.target = (char *)mode;
    clr_pool_options_t options = {.workers = 1,
                                  .app = &app,
                                  .python = &python,
                                  .home = &home,
                                  .loop = "asyncio",
                                  .log_level = "info"};
    zygote = clr_zygote_start(&loop, &options, on_closed, &closed);
    EXPECT(zygote != NULL);
}

static void teardown(void)
{
    clr_zygote_unref(zygote);
    LOOPBACK_UNTIL(&loop, -1, closed == 1);
    clr_loop_deinit(&loop);
    close(fds[0]);
    close(fds[1]);
}

static void ask(child_t *child)
{
    *child =
        (child_t){.c = {.on_forked = on_forked, .on_failed = on_failed, .on_exit = on_exit_of}};
    EXPECT_EQ(clr_zygote_fork(zygote, &child->c, fds[0], fds[1]), 0);
}

TEST(a_worker_is_forked_and_its_end_told)
{
    child_t child;
    setup("forks");
    EXPECT(clr_zygote_is_up(zygote));
    ask(&child); /* it need not be ready yet */
    LOOPBACK_UNTIL(&loop, -1, child.forked == 1);
    EXPECT_EQ(kill(child.c.pid, SIGTERM), 0);
    LOOPBACK_UNTIL(&loop, -1, child.exited == 1);
    EXPECT_EQ(child.sig, SIGTERM);
    child_t next;
    ask(&next);
    LOOPBACK_UNTIL(&loop, -1, next.forked == 1);
    EXPECT(next.c.pid != child.c.pid);
    clr_zygote_forget(&next.c);
    EXPECT_EQ(kill(next.c.pid, SIGKILL), 0);
    teardown();
}

TEST(an_app_that_cannot_be_loaded_is_told_to_all_who_wait)
{
    child_t one, two;
    setup("fails");
    ask(&one);
    ask(&two);
    LOOPBACK_UNTIL(&loop, -1, one.exited && two.exited);
    EXPECT_EQ(one.failed, 1);
    EXPECT_EQ(two.failed, 1);
    EXPECT_EQ(one.kind, CLR_FAILED_ERROR);
    EXPECT_STR_C(clr_str_c(two.text), "Traceback");
    EXPECT_EQ(one.forked + two.forked, 0);
    EXPECT_EQ(one.status, 3);
    EXPECT(!clr_zygote_is_up(zygote));
    teardown();
}

TEST(one_that_dies_ends_all_who_wait)
{
    child_t child;
    setup("dies");
    ask(&child);
    LOOPBACK_UNTIL(&loop, -1, child.exited == 1);
    EXPECT_EQ(child.failed, 0);
    EXPECT_EQ(child.status, 5);
    EXPECT_EQ(clr_zygote_fork(zygote, &child.c, fds[0], fds[1]), CLR_ECLOSED);
    teardown();
}

/* The kernel is told by each worker itself to let it die with its parent; here nobody does. */
TEST(workers_of_one_that_went_count_as_killed)
{
    child_t child;
    setup("leaves");
    ask(&child);
    LOOPBACK_UNTIL(&loop, -1, child.exited == 1);
    EXPECT_EQ(child.forked, 1);
    EXPECT_EQ(child.sig, SIGKILL);
    kill(child.c.pid, SIGKILL);
    teardown();
}

TEST(a_fork_that_fails_ends_that_worker_alone)
{
    child_t one, two;
    setup("cannot");
    ask(&one);
    LOOPBACK_UNTIL(&loop, -1, one.exited == 1);
    EXPECT_EQ(one.status, 11);
    EXPECT_EQ(one.forked, 0);
    ask(&two);
    LOOPBACK_UNTIL(&loop, -1, two.exited == 1);
    EXPECT(clr_zygote_is_up(zygote));
    teardown();
}

TEST(nonsense_is_its_end)
{
    child_t one, two;
    setup("nonsense");
    ask(&one);
    LOOPBACK_UNTIL(&loop, -1, one.forked == 1);
    ask(&two);
    LOOPBACK_UNTIL(&loop, -1, one.exited && two.exited);
    EXPECT_EQ(one.sig, SIGKILL);
    EXPECT_EQ(two.sig, SIGKILL);
    EXPECT(!clr_zygote_is_up(zygote));
    kill(one.c.pid, SIGKILL);
    teardown();
}

TEST(a_worker_that_nobody_wants_any_more_ends_when_it_is_there)
{
    child_t child;
    setup("forks");
    ask(&child);
    clr_zygote_forget(&child.c);
    LOOPBACK_UNTIL(&loop, -1, access("reaped", F_OK) == 0);
    EXPECT_EQ(child.forked + child.exited, 0);
    teardown();
}

TEST(the_last_reference_kills_it)
{
    setup("forks");
    clr_zygote_ref(zygote);
    clr_zygote_unref(zygote);
    loopback_turn(&loop);
    EXPECT(clr_zygote_is_up(zygote));
    teardown();
}

TEST(a_program_that_cannot_be_started_leaves_one_that_is_not_up)
{
    child_t child = {0};
    home.worker = "/nowhere/clrun-worker";
    setup("forks");
    EXPECT(!clr_zygote_is_up(zygote));
    EXPECT_EQ(clr_zygote_fork(zygote, &child.c, fds[0], fds[1]), CLR_ECLOSED);
    teardown();
}

TEST_MAIN(T(a_worker_is_forked_and_its_end_told),
          T(an_app_that_cannot_be_loaded_is_told_to_all_who_wait),
          T(one_that_dies_ends_all_who_wait), T(workers_of_one_that_went_count_as_killed),
          T(a_fork_that_fails_ends_that_worker_alone), T(nonsense_is_its_end),
          T(a_worker_that_nobody_wants_any_more_ends_when_it_is_there),
          T(the_last_reference_kills_it),
          T(a_program_that_cannot_be_started_leaves_one_that_is_not_up))
