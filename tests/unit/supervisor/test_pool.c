/* The life of worker processes, with a program that speaks the link and misbehaves on demand. */
#include <signal.h>

#include "base/clock.h"
#include "clrun/exit.h"
#include "clrun/version.h"
#include "supervisor/pool.h"
#include "temp.h"

#define DEADLINE_MS 60000 /* of a whole test: nothing here waits for it unless it fails */

/* What it does is named by the app. */
static const char worker_program[] =
    "import json, os, signal, socket, struct, sys\n"
    "link = socket.socket(fileno=3)\n"
    "def send(number, payload=b''):\n"
    "    link.sendall(struct.pack('<IBBHQ', len(payload), number, 0, 0, 0) + payload)\n"
    "def receive():\n"
    "    head = link.recv(16, socket.MSG_WAITALL)\n"
    "    if len(head) < 16:\n"
    "        sys.exit(0)\n"
    "    n, number = struct.unpack('<IB', head[:5])\n"
    "    return number, link.recv(n, socket.MSG_WAITALL) if n else b''\n"
    "def text(s):\n"
    "    return struct.pack('<I', len(s)) + s\n"
    "config = json.loads(receive()[1][4:])\n"
    "mode, first = config['app'], config['worker'] == 1\n"
    "if mode == 'early':\n"
    "    sys.exit(5)\n"
    "send(64, struct.pack('<II', VERSION, os.getpid()) + text(b'3') + text(b'0'))\n"
    "if mode.startswith('second_') and not first:\n"
    "    open('gate').read()\n"
    "if mode == 'fails' or mode == 'second_fails' and not first:\n"
    "    send(67, b'\\x03' + text(b'Traceback\\nboom'))\n"
    "    sys.exit(3)\n"
    "if mode == 'missing':\n"
    "    send(67, b'\\x01' + text(b'no module'))\n"
    "    sys.exit(3)\n"
    "if mode == 'crashes' or mode == 'second_crashes' and not first:\n"
    "    os.kill(os.getpid(), signal.SIGSEGV)\n"
    "if mode == 'stubborn':\n"
    "    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "if os.path.exists('died'):\n"
    "    open('again', 'w').close()\n"
    "send(66)\n"
    "if mode in ('dies', 'breaks') and not os.path.exists('died'):\n"
    "    open('died', 'w').close()\n"
    "    if mode == 'dies':\n"
    "        os.kill(os.getpid(), signal.SIGKILL)\n"
    "    link.sendall(b'\\xff' * 64)\n"
    "while True:\n"
    "    number, payload = receive()\n"
    "    if number == 2 and mode != 'stubborn':\n"
    "        send(86)\n"
    "        sys.exit(0)\n";

typedef struct fixture {
    clr_loop_t loop;
    clr_gateway_t gw;
    clr_gateway_options_t gateway_options;
    clr_app_t app;
    clr_python_t python;
    clr_home_t home;
    clr_pool_t *pool;
    clr_timer_t check;
    clr_timer_t deadline;
    unsigned want_ready;   /* then `act` is done; 0: at the first on_ready */
    const char *want_file; /* and this one is there */
    void (*act)(struct fixture *f);
    uint64_t acted_ms;
    int ready, failed, stopped, status;
    char text[256];
} fixture_t;

static void stop_gently(fixture_t *f)
{
    clr_pool_stop(f->pool, 10000);
}

static void stop_soon(fixture_t *f)
{
    clr_pool_stop(f->pool, 400);
}

static void stop_and_kill(fixture_t *f)
{
    clr_pool_stop(f->pool, 10000);
    clr_pool_kill(f->pool);
}

/* One worker is ready, the others wait at the gate. */
static void open_gate(fixture_t *f)
{
    if (f->act != open_gate)
        return;
    EXPECT_EQ(f->ready, 0);
    int gate = open("gate", O_WRONLY | O_CLOEXEC); /* blocks until the second worker reads */
    EXPECT(gate >= 0);
    close(gate);
    f->want_ready = 2;
    f->act = stop_gently;
    clr_loop_timer_start(&f->loop, &f->check, 0);
}

/* Acts once enough workers are ready. */
static void on_check(clr_timer_t *t)
{
    fixture_t *f = clr_container_of(t, fixture_t, check);
    bool there = !f->want_file || access(f->want_file, F_OK) == 0;
    if (clr_pool_ready_count(f->pool) < f->want_ready || !there) {
        clr_loop_timer_start(&f->loop, t, 5);
        return;
    }
    void (*act)(fixture_t *) = f->act;
    f->acted_ms = clr_loop_now(&f->loop);
    act(f);
    act(f); /* a second time changes nothing */
}

static void on_deadline(clr_timer_t *t)
{
    (void)t;
    TEST_FAIL_("not done in time");
}

static void on_ready(clr_pool_t *pool, void *ctx)
{
    fixture_t *f = ctx;
    (void)pool;
    f->ready++;
    EXPECT_EQ(f->failed, 0);
}

static void on_failed(clr_pool_t *pool, int status, clr_str_t text, void *ctx)
{
    fixture_t *f = ctx;
    (void)pool;
    f->failed++;
    f->status = status;
    snprintf(f->text, sizeof(f->text), "%.*s", CLR_STR_ARG(text));
}

static void on_stopped(clr_pool_t *pool, void *ctx)
{
    fixture_t *f = ctx;
    (void)pool;
    f->stopped++;
    clr_loop_stop(&f->loop);
}

static const clr_pool_ops_t ops = {
    .on_ready = on_ready, .on_failed = on_failed, .on_stopped = on_stopped};

/* Runs `workers` of them until the pool has stopped. act is done when want_ready are ready. */
static void run(fixture_t *f, const char *mode, unsigned workers, unsigned want_ready,
                void (*act)(fixture_t *f))
{
    temp_enter();
    EXPECT_EQ(mkfifo("gate", 0600), 0);
    if (!f->home.worker) {
        clr_buf_t program = {0};
        clr_buf_printf(&program, "#!/usr/bin/env python3\nVERSION = %d\n%s", CLR_LINK_VERSION,
                       worker_program);
        clr_buf_putc(&program, 0);
        temp_file("worker", 0755, program.p);
        clr_buf_deinit(&program);
        f->home.worker = "./worker";
    }
    f->home.package = "unused";
    f->app.target = (char *)mode;
    f->python.executable = "unused";
    f->want_ready = want_ready;
    f->act = act;
    f->gateway_options.http = (clr_http_limits_t){8192, 50, 1 << 20};
    EXPECT_EQ(clr_loop_init(&f->loop), 0);
    clr_gateway_init(&f->gw, &f->loop, &f->gateway_options);
    clr_pool_options_t options = {.workers = workers,
                                  .app = &f->app,
                                  .python = &f->python,
                                  .home = &f->home,
                                  .loop = "asyncio",
                                  .log_level = "info"};
    f->pool = clr_pool_new(&f->gw, &options, &ops, f);
    clr_pool_start(f->pool);
    clr_timer_init(&f->check, on_check);
    clr_timer_init(&f->deadline, on_deadline);
    if (act)
        clr_loop_timer_start(&f->loop, &f->check, 0);
    clr_loop_timer_start(&f->loop, &f->deadline, DEADLINE_MS);
    clr_loop_run(&f->loop);
    EXPECT_EQ(f->stopped, 1);
    EXPECT_EQ(clr_pool_ready_count(f->pool), 0);
    clr_timer_stop(&f->check);
    clr_timer_stop(&f->deadline);
    clr_pool_free(f->pool);
    clr_gateway_deinit(&f->gw);
    clr_loop_deinit(&f->loop);
}

TEST(workers_start_and_stop)
{
    fixture_t f = {0};
    run(&f, "serves", 3, 3, stop_gently);
    EXPECT_EQ(f.ready, 1);
    EXPECT_EQ(f.failed, 0);
}

TEST(stop_while_starting)
{
    fixture_t f = {0};
    run(&f, "serves", 2, 0, stop_gently);
    EXPECT_EQ(f.failed, 0);
}

#define EXPECT_FAILED(f, status_, text_)                                                           \
    do {                                                                                           \
        EXPECT_EQ((f).failed, 1);                                                                  \
        EXPECT_EQ((f).ready, 0);                                                                   \
        EXPECT_EQ((f).status, status_);                                                            \
        EXPECT_STR_C(clr_str_c((f).text), text_);                                                  \
    } while (0)

TEST(app_that_fails_to_load_is_final)
{
    fixture_t f = {0};
    run(&f, "fails", 2, 0, NULL);
    EXPECT_FAILED(f, CLR_EXIT_APP, "Traceback\nboom");
}

TEST(app_that_is_missing_is_a_usage_error)
{
    fixture_t f = {0};
    run(&f, "missing", 1, 0, NULL);
    EXPECT_FAILED(f, CLR_EXIT_USAGE, "no module");
}

TEST(death_before_the_first_ready_is_final)
{
    fixture_t f = {0};
    run(&f, "crashes", 1, 0, NULL);
    EXPECT_FAILED(f, CLR_EXIT_APP,
                  "worker 1 died: signal 11 (Segmentation fault) before the app was loaded");
}

TEST(exit_before_hello_is_final)
{
    fixture_t f = {0};
    run(&f, "early", 1, 0, NULL);
    EXPECT_FAILED(f, CLR_EXIT_APP, "worker 1 ended with exit status 5 before the app was loaded");
}

TEST(program_that_cannot_be_started)
{
    fixture_t f = {.home.worker = "/nowhere/clrun-worker"};
    run(&f, "serves", 1, 0, NULL);
    EXPECT_FAILED(
        f, CLR_EXIT_RUNTIME,
        "worker 1 could not be started: No such file or directory before the app was loaded");
}

TEST(ready_when_every_worker_is)
{
    fixture_t f = {0};
    run(&f, "second_waits", 2, 1, open_gate);
    EXPECT_EQ(f.ready, 1);
    EXPECT_EQ(f.failed, 0);
}

TEST(failure_of_the_last_worker_is_final)
{
    fixture_t f = {0};
    run(&f, "second_fails", 2, 1, open_gate);
    EXPECT_FAILED(f, CLR_EXIT_APP, "Traceback\nboom");
}

TEST(death_of_the_last_worker_is_final)
{
    fixture_t f = {0};
    run(&f, "second_crashes", 2, 1, open_gate);
    EXPECT_FAILED(f, CLR_EXIT_APP,
                  "worker 2 died: signal 11 (Segmentation fault) before the app was loaded");
}

TEST(dead_worker_is_started_again)
{
    fixture_t f = {.want_file = "again"};
    run(&f, "dies", 1, 1, stop_gently);
    EXPECT_EQ(f.ready, 1);
    EXPECT_EQ(f.failed, 0);
}

TEST(worker_that_breaks_the_protocol_is_started_again)
{
    fixture_t f = {.want_file = "again"};
    run(&f, "breaks", 1, 1, stop_gently);
    EXPECT_EQ(f.ready, 1);
    EXPECT_EQ(f.failed, 0);
}

TEST(stubborn_worker_is_gone_at_the_deadline)
{
    fixture_t f = {0};
    run(&f, "stubborn", 2, 2, stop_soon);
    uint64_t took = clr_clock_now_ms() - f.acted_ms;
    EXPECT(took >= 400 && took < DEADLINE_MS);
}

TEST(kill_waits_for_nothing)
{
    fixture_t f = {0};
    run(&f, "stubborn", 2, 2, stop_and_kill);
    EXPECT(clr_clock_now_ms() - f.acted_ms < DEADLINE_MS);
}

TEST_MAIN(T(workers_start_and_stop), T(stop_while_starting), T(app_that_fails_to_load_is_final),
          T(app_that_is_missing_is_a_usage_error), T(death_before_the_first_ready_is_final),
          T(exit_before_hello_is_final), T(program_that_cannot_be_started),
          T(ready_when_every_worker_is), T(failure_of_the_last_worker_is_final),
          T(death_of_the_last_worker_is_final), T(dead_worker_is_started_again),
          T(worker_that_breaks_the_protocol_is_started_again),
          T(stubborn_worker_is_gone_at_the_deadline), T(kill_waits_for_nothing))
