/* load_scenarios.h: what the load generator can do to a server.
 *
 * A rate scenario keeps its clients busy and counts; the driver warms up, then measures several
 * runs over the same connections. `idle` only holds connections open; `start` measures how long a
 * server takes from its spawn to its first answer.
 */
#pragma once

#include "load_conn.h"
#include "load_stats.h"

typedef struct load_options {
    struct sockaddr_in server;
    const char *path;   /* NULL: the scenario's default */
    const char *method; /* http */
    uint32_t body;      /* http: bytes of the request's body */
    uint32_t clients;   /* 0: the scenario's default */
    uint32_t inflight;  /* events of one client that wait for their ack */
    uint32_t bytes;     /* text in each echoed event */
    uint32_t burst; /* events, broadcasts or tokens asked for at once; 0: the scenario's default */
    uint32_t pace;  /* chat: milliseconds from token to token */
    double seconds;
    double warmup;
    uint32_t runs;
    char **command; /* start: the server to spawn, NULL-terminated */
} load_options_t;

typedef struct load_run {
    const load_options_t *options;
    load_loop_t loop;
    uint32_t ready; /* clients that are connected */
    uint64_t count; /* what the scenario counts, in this run */
    uint64_t now;   /* when this turn of the loop began */
    char *message;  /* echo: the event, its id at message + 2 */
    size_t message_len;
    struct load_chat *chats; /* chat: one a client */
    load_histogram_t latency;
} load_run_t;

typedef struct load_scenario {
    const char *name;
    const char *unit; /* what is counted, each second */
    load_ops_t ops;
    uint32_t clients;
    uint32_t burst;
    void (*start)(load_run_t *run); /* all clients are ready */
    bool opens_itself;              /* start opens the connections */
    bool has_latency;
    bool plain; /* nothing above WebSocket */
} load_scenario_t;

extern const load_scenario_t load_chat_scenario;

/* NULL: no such scenario. */
const load_scenario_t *load_scenario_find(const char *name);

/* Measures and prints one line of JSON. */
void load_scenario_run(const load_scenario_t *scenario, const load_options_t *options);

/* Opens options->clients connections, prints a line, and holds them until stdin ends. */
void load_idle_run(const load_options_t *options);

/* Spawns options->command options->runs times and times the first acknowledged event of each. */
void load_start_run(const load_options_t *options);

/* The same until the first page, options->path, has been served. */
void load_start_page_run(const load_options_t *options);
