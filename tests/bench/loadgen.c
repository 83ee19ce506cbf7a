/* loadgen.c: the load generator of scripts/bench; its command line.
 *
 * Drives any Socket.IO server that knows the events of tests/bench/servers and prints one line of
 * JSON. It takes a small part of one core at the rates that it is there to measure, and prints how
 * much (load_cpu), so that a result can be checked for having measured the server.
 */
#include "load_http.h"
#include "load_scenarios.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: clr_loadgen SCENARIO --port PORT [options] [-- COMMAND…]\n"
    "  SCENARIO        echo, latency, events-out, broadcast, connect, idle, start; ws-echo; http;\n"
    "                  chat, start-page\n"
    "  --host ADDR     IPv4 address (127.0.0.1)\n"
    "  --path PATH     Socket.IO path (/socket.io/); http, ws-echo and start-page: the\n"
    "                  request's (/); chat: /ws/socket.io/\n"
    "  --method NAME   http: of the request (GET)\n"
    "  --body N        http: bytes of the request's body (0)\n"
    "  --clients N     connections\n"
    "  --inflight N    echo, ws-echo: unanswered events of one client (16)\n"
    "  --bytes N       echo, ws-echo: text in an event (100)\n"
    "  --burst N       events-out, broadcast, chat: how many events or tokens are asked for at "
    "once\n"
    "  --pace MS       chat: from token to token (0)\n"
    "  --seconds S     length of a run (3)\n"
    "  --warmup S      before the first run (1)\n"
    "  --runs N        how many (1)\n"
    "start and start-page spawn COMMAND and time its first answer.\n";

static const struct option flags[] = {
    {"host", required_argument, NULL, 'h'},
    {"port", required_argument, NULL, 'p'},
    {"path", required_argument, NULL, 'P'},
    {"clients", required_argument, NULL, 'c'},
    {"inflight", required_argument, NULL, 'i'},
    {"bytes", required_argument, NULL, 'b'},
    {"burst", required_argument, NULL, 'B'},
    {"seconds", required_argument, NULL, 's'},
    {"warmup", required_argument, NULL, 'w'},
    {"runs", required_argument, NULL, 'r'},
    {"method", required_argument, NULL, 'm'},
    {"body", required_argument, NULL, 'y'},
    {"pace", required_argument, NULL, 'a'},
    {"help", no_argument, NULL, 'H'},
    {NULL, 0, NULL, 0},
};

static uint32_t number(const char *text)
{
    return (uint32_t)strtoul(text, NULL, 10);
}

static void set(load_options_t *o, int flag, const char *value)
{
    switch (flag) {
    case 'h':
        if (inet_pton(AF_INET, value, &o->server.sin_addr) != 1) {
            load_die("--host takes an IPv4 address");
        }
        break;
    case 'p':
        o->server.sin_port = htons((uint16_t)number(value));
        break;
    case 'P':
        o->path = value;
        break;
    case 'm':
        o->method = value;
        break;
    case 'y':
        o->body = number(value);
        break;
    case 'c':
        o->clients = number(value);
        break;
    case 'i':
        o->inflight = number(value);
        break;
    case 'b':
        o->bytes = number(value);
        break;
    case 'B':
        o->burst = number(value);
        break;
    case 'a':
        o->pace = number(value);
        break;
    case 's':
        o->seconds = strtod(value, NULL);
        break;
    case 'w':
        o->warmup = strtod(value, NULL);
        break;
    case 'r':
        o->runs = number(value);
        break;
    case 'H':
        fputs(usage, stdout);
        exit(0);
    default:
        fputs(usage, stderr);
        exit(2);
    }
}

/* What is no scenario of rates, by name. */
static const struct {
    const char *name;
    void (*run)(const load_options_t *options);
} runners[] = {
    {"http", load_http_run},
    {"start", load_start_run},
    {"start-page", load_start_page_run},
    {"idle", load_idle_run},
};

static const char *default_path(const char *name)
{
    bool is_page = strcmp(name, "http") == 0 || strcmp(name, "start-page") == 0;
    if (is_page || strcmp(name, "ws-echo") == 0) {
        return "/";
    }
    return strcmp(name, "chat") == 0 ? "/ws/socket.io/" : "/socket.io/";
}

static void run(const char *name, load_options_t *o)
{
    for (size_t i = 0; i < sizeof(runners) / sizeof(runners[0]); i++) {
        if (strcmp(runners[i].name, name) == 0) {
            runners[i].run(o);
            return;
        }
    }
    if (strcmp(name, "latency") == 0) {
        name = "echo";
        o->clients = o->inflight = 1;
    }
    const load_scenario_t *scenario = load_scenario_find(name);
    if (scenario == NULL) {
        load_die("no scenario %s", name);
    }
    load_scenario_run(scenario, o);
}

int main(int argc, char **argv)
{
    load_options_t o = {
        .method = "GET", .inflight = 16, .bytes = 100, .seconds = 3, .warmup = 1, .runs = 1};
    o.server.sin_family = AF_INET;
    o.server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (argc < 2 || argv[1][0] == '-') {
        fputs(usage, argc == 2 && strcmp(argv[1], "--help") == 0 ? stdout : stderr);
        return argc == 2 ? 0 : 2;
    }
    const char *name = argv[1];
    int flag;
    while ((flag = getopt_long(argc - 1, argv + 1, "+", flags, NULL)) != -1) {
        set(&o, flag, optarg);
    }
    o.command = optind + 1 < argc ? argv + optind + 1 : NULL;
    if (o.path == NULL) {
        o.path = default_path(name);
    }
    signal(SIGPIPE, SIG_IGN);
    run(name, &o);
    return 0;
}
