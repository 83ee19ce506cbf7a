/* load_start.c: from the spawn of a server to its first acknowledged event. */
#include "load_scenarios.h"

#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define RETRY_US    250
#define START_MAX_S 30
#define RUNS_MAX    100u

extern char **environ;

static const char ping[] = "420[\"echo\",\"x\"]";

typedef struct load_first {
    bool answered;
    bool lost;
} load_first_t;

static load_first_t *first_of(load_conn_t *c)
{
    return c->loop->ctx;
}

static void on_ready(load_conn_t *c)
{
    load_conn_send(c, ping, sizeof(ping) - 1);
}

static void on_message(load_conn_t *c, const char *text, size_t len)
{
    first_of(c)->answered = len > 3 && memcmp(text, "430", 3) == 0;
}

static void on_closed(load_conn_t *c)
{
    first_of(c)->lost = true;
}

static const load_ops_t ops = {on_ready, on_message, on_closed};

static double time_start(const load_options_t *o)
{
    load_first_t first = {false, true};
    load_loop_t loop;
    load_loop_init(&loop, &o->server, o->path, &ops, &first, 1);
    loop.fatal_refused = false;
    uint64_t began = load_now();
    pid_t pid;
    if (posix_spawnp(&pid, o->command[0], NULL, NULL, o->command, environ) != 0) {
        load_die("cannot start %s", o->command[0]);
    }
    while (!first.answered) {
        if (load_now() - began > START_MAX_S * 1000000000ull ||
            waitpid(pid, NULL, WNOHANG) == pid) {
            load_die("%s gave no answer", o->command[0]);
        }
        if (first.lost) {
            first.lost = !load_conn_open(&loop.conns[0]);
        }
        if (first.lost) {
            usleep(RETRY_US);
        } else {
            load_loop_turn(&loop, 1);
        }
    }
    double elapsed_ms = (double)(load_now() - began) / 1e6;
    load_loop_deinit(&loop);
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
    return elapsed_ms;
}

void load_start_run(const load_options_t *o)
{
    double times[RUNS_MAX];
    if (o->command == NULL || o->runs == 0 || o->runs > RUNS_MAX) {
        load_die("start: 1 to %u runs, and the command after --", RUNS_MAX);
    }
    for (uint32_t i = 0; i < o->runs; i++) {
        times[i] = time_start(o);
    }
    printf("{\"scenario\":\"start\",\"unit\":\"ms\",\"runs\":[");
    for (uint32_t i = 0; i < o->runs; i++) {
        printf("%s%.1f", i ? "," : "", times[i]);
    }
    printf("],\"ms\":%.1f}\n", load_median(times, o->runs));
}
