/* load_start.c: from the spawn of a server to its first acknowledged event or its first page. */
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

static const load_ops_t ops = {on_ready, on_message, on_closed, NULL};

static pid_t spawn(const load_options_t *o)
{
    pid_t pid;
    if (posix_spawnp(&pid, o->command[0], NULL, NULL, o->command, environ) != 0) {
        load_die("cannot start %s", o->command[0]);
    }
    return pid;
}

/* Ends the program when the server has ended or takes too long. */
static void check_progress(const load_options_t *o, pid_t pid, uint64_t began)
{
    if (load_now() - began > START_MAX_S * 1000000000ull || waitpid(pid, NULL, WNOHANG) == pid) {
        load_die("%s gave no answer", o->command[0]);
    }
}

static double until_event(const load_options_t *o, pid_t pid, uint64_t began)
{
    load_first_t first = {false, true};
    load_loop_t loop;
    load_loop_init(&loop, &o->server, o->path, &ops, &first, 1);
    loop.fatal_refused = false;
    while (!first.answered) {
        check_progress(o, pid, began);
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
    return elapsed_ms;
}

/* One request, read to the end of the connection. False when nobody listens yet. */
static bool get_page(const load_options_t *o)
{
    char text[16384];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (const struct sockaddr *)&o->server, sizeof(o->server)) < 0) {
        close(fd);
        return false;
    }
    int len = snprintf(text, sizeof(text),
                       "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nAccept: text/html\r\n"
                       "Connection: close\r\n\r\n",
                       o->path, ntohs(o->server.sin_port));
    if (len < 0 || (size_t)len >= sizeof(text) ||
        send(fd, text, (size_t)len, MSG_NOSIGNAL) != len) {
        load_die("cannot ask for %s", o->path);
    }
    char head[13] = "";
    size_t got = 0;
    ssize_t n;
    while ((n = recv(fd, text, sizeof(text), 0)) > 0) {
        if (got < 12) {
            size_t some = (size_t)n < 12 - got ? (size_t)n : 12 - got;
            memcpy(head + got, text, some);
        }
        got += (size_t)n;
    }
    close(fd);
    if (n < 0 || strcmp(head, "HTTP/1.1 200") != 0) {
        load_die("unexpected answer: %s", head);
    }
    return true;
}

static double until_page(const load_options_t *o, pid_t pid, uint64_t began)
{
    while (!get_page(o)) {
        check_progress(o, pid, began);
        usleep(RETRY_US);
    }
    return (double)(load_now() - began) / 1e6;
}

typedef double (*until_fn)(const load_options_t *o, pid_t pid, uint64_t began);

static void time_starts(const load_options_t *o, const char *name, until_fn until)
{
    double times[RUNS_MAX];
    if (o->command == NULL || o->runs == 0 || o->runs > RUNS_MAX) {
        load_die("%s: 1 to %u runs, and the command after --", name, RUNS_MAX);
    }
    for (uint32_t i = 0; i < o->runs; i++) {
        uint64_t began = load_now();
        pid_t pid = spawn(o);
        times[i] = until(o, pid, began);
        kill(pid, SIGTERM);
        waitpid(pid, NULL, 0);
    }
    printf("{\"scenario\":\"%s\",\"unit\":\"ms\",\"runs\":[", name);
    for (uint32_t i = 0; i < o->runs; i++) {
        printf("%s%.1f", i ? "," : "", times[i]);
    }
    printf("],\"ms\":%.1f}\n", load_median(times, o->runs));
}

void load_start_run(const load_options_t *o)
{
    time_starts(o, "start", until_event);
}

void load_start_page_run(const load_options_t *o)
{
    time_starts(o, "start-page", until_page);
}
