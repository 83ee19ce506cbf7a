/* load_scenarios.c: the scenarios that measure a rate. */
#include "load_scenarios.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPENING_MAX  200u /* connections in their handshakes at once */
#define INFLIGHT_MAX 100u /* ids are two digits */
#define RUNS_MAX     100u

static load_run_t *run_of(load_conn_t *c)
{
    return c->loop->ctx;
}

static void count_ready(load_conn_t *c)
{
    run_of(c)->ready++;
}

static uint64_t now_of(const load_run_t *run)
{
    /* One client has one event per turn, whose moment matters; with many the turn's will do. */
    return run->loop.conn_count == 1 ? load_now() : run->now;
}

/* -- echo: 42NN["echo","xxx"] -> 43NN["xxx"], NN counting the events in flight */

#define ECHO_HEAD "42NN[\"echo\",\""
#define ECHO_TAIL "\"]"

static void echo_send(load_run_t *run, load_conn_t *c, uint32_t id)
{
    run->message[2] = (char)('0' + id / 10);
    run->message[3] = (char)('0' + id % 10);
    c->sent_at[id] = now_of(run);
    load_conn_send(c, run->message, run->message_len);
}

static char *new_message(size_t len)
{
    char *message = malloc(len + 1);
    if (message == NULL) {
        load_die("out of memory");
    }
    memset(message, 'x', len);
    return message;
}

static void echo_start(load_run_t *run)
{
    const load_options_t *o = run->options;
    size_t head = sizeof(ECHO_HEAD) - 1;
    run->message_len = head + o->bytes + sizeof(ECHO_TAIL) - 1;
    run->message = new_message(run->message_len);
    memcpy(run->message, ECHO_HEAD, head);
    memcpy(run->message + head + o->bytes, ECHO_TAIL, sizeof(ECHO_TAIL));
    for (uint32_t i = 0; i < run->loop.conn_count; i++) {
        load_conn_t *c = &run->loop.conns[i];
        c->sent_at = calloc(INFLIGHT_MAX, sizeof(*c->sent_at));
        for (uint32_t id = 0; c->sent_at != NULL && id < o->inflight; id++) {
            /* Ids from 10 on, so that their length does not vary: leading zeros are not kept. */
            echo_send(run, c, 10 + id);
        }
    }
}

static void echo_message(load_conn_t *c, const char *text, size_t len)
{
    load_run_t *run = run_of(c);
    /* The reply is "43NN" and ["xxx"]: the event less its name. */
    if (len != run->options->bytes + 8 || memcmp(text, "43", 2) != 0) {
        load_die("unexpected answer: %.*s", (int)(len < 80 ? len : 80), text);
    }
    uint32_t id = (uint32_t)(text[2] - '0') * 10 + (uint32_t)(text[3] - '0');
    if (id >= INFLIGHT_MAX || c->sent_at[id] == 0) {
        load_die("an ack that nobody waits for: %u", id);
    }
    load_histogram_add(&run->latency, now_of(run) - c->sent_at[id]);
    c->sent_at[id] = 0;
    run->count++;
    echo_send(run, c, id);
}

/* -- ws-echo: a text comes back; they keep their order */

static void ws_echo_send(load_run_t *run, load_conn_t *c, uint32_t slot)
{
    c->sent_at[slot] = now_of(run);
    load_conn_send(c, run->message, run->message_len);
}

static void ws_echo_start(load_run_t *run)
{
    const load_options_t *o = run->options;
    run->message_len = o->bytes;
    run->message = new_message(o->bytes);
    for (uint32_t i = 0; i < run->loop.conn_count; i++) {
        load_conn_t *c = &run->loop.conns[i];
        c->sent_at = calloc(INFLIGHT_MAX, sizeof(*c->sent_at));
        for (uint32_t slot = 0; c->sent_at != NULL && slot < o->inflight; slot++) {
            ws_echo_send(run, c, slot);
        }
    }
}

static void ws_echo_message(load_conn_t *c, const char *text, size_t len)
{
    load_run_t *run = run_of(c);
    if (len != run->message_len || c->sent_at == NULL) {
        load_die("unexpected message: %.*s", (int)(len < 80 ? len : 80), text);
    }
    uint32_t slot = (uint32_t)(c->got++ % run->options->inflight);
    load_histogram_add(&run->latency, now_of(run) - c->sent_at[slot]);
    run->count++;
    ws_echo_send(run, c, slot);
}

/* -- events-out: 42["burst",N] -> N times 42["tick",…] */

static void burst_ask(load_conn_t *c)
{
    char text[48];
    int len = snprintf(text, sizeof(text), "42[\"burst\",%u]", run_of(c)->options->burst);
    c->got = 0;
    load_conn_send(c, text, (size_t)len);
}

static void burst_start(load_run_t *run)
{
    for (uint32_t i = 0; i < run->loop.conn_count; i++) {
        burst_ask(&run->loop.conns[i]);
    }
}

static void burst_message(load_conn_t *c, const char *text, size_t len)
{
    load_run_t *run = run_of(c);
    if (len < 9 || memcmp(text, "42[\"tick\"", 9) != 0) {
        load_die("unexpected event: %.*s", (int)(len < 80 ? len : 80), text);
    }
    run->count++;
    if (++c->got == run->options->burst) {
        burst_ask(c);
    }
}

/* -- broadcast: 42["broadcast",N] from the first -> N times 42["news",…] to everybody */

static void broadcast_ask(load_run_t *run)
{
    char text[48];
    int len = snprintf(text, sizeof(text), "42[\"broadcast\",%u]", run->options->burst);
    run->ready = 0; /* from now on: clients that have the whole round */
    load_conn_send(&run->loop.conns[0], text, (size_t)len);
}

static void broadcast_message(load_conn_t *c, const char *text, size_t len)
{
    load_run_t *run = run_of(c);
    if (len < 9 || memcmp(text, "42[\"news\"", 9) != 0) {
        load_die("unexpected event: %.*s", (int)(len < 80 ? len : 80), text);
    }
    run->count++;
    if (++c->got == run->options->burst) {
        c->got = 0;
        if (++run->ready == run->loop.conn_count) {
            broadcast_ask(run);
        }
    }
}

/* -- connect: TCP, WebSocket, CONNECT, goodbye, again */

static void connect_start(load_run_t *run)
{
    for (uint32_t i = 0; i < run->loop.conn_count; i++) {
        load_conn_open(&run->loop.conns[i]);
    }
}

static void connect_ready(load_conn_t *c)
{
    run_of(c)->count++;
    load_conn_finish(c);
}

static void connect_closed(load_conn_t *c)
{
    load_conn_open(c);
}

static void ignore_message(load_conn_t *c, const char *text, size_t len)
{
    (void)c;
    (void)text;
    (void)len;
}

static const load_scenario_t scenarios[] = {
    {"echo",
     "events",
     {count_ready, echo_message, NULL, NULL},
     50,
     0,
     echo_start,
     false,
     true,
     false},
    {"ws-echo",
     "messages",
     {count_ready, ws_echo_message, NULL, NULL},
     50,
     0,
     ws_echo_start,
     false,
     true,
     true},
    {"events-out",
     "events",
     {count_ready, burst_message, NULL, NULL},
     50,
     2000,
     burst_start,
     false,
     false,
     false},
    {"broadcast",
     "deliveries",
     {count_ready, broadcast_message, NULL, NULL},
     1000,
     10,
     broadcast_ask,
     false,
     false,
     false},
    {"connect",
     "connects",
     {connect_ready, ignore_message, connect_closed, NULL},
     50,
     0,
     connect_start,
     true,
     false,
     false},
    {"idle",
     "clients",
     {count_ready, ignore_message, NULL, NULL},
     5000,
     0,
     NULL,
     false,
     false,
     false},
};

const load_scenario_t *load_scenario_find(const char *name)
{
    for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
        if (strcmp(scenarios[i].name, name) == 0) {
            return &scenarios[i];
        }
    }
    return strcmp(name, load_chat_scenario.name) == 0 ? &load_chat_scenario : NULL;
}

/* -- driving */

static void turn(load_run_t *run, int timeout_ms)
{
    run->now = load_now();
    load_loop_turn(&run->loop, timeout_ms);
}

static void open_all(load_run_t *run)
{
    uint32_t opened = 0;
    while (run->ready < run->loop.conn_count) {
        while (opened < run->loop.conn_count && opened - run->ready < OPENING_MAX) {
            load_conn_open(&run->loop.conns[opened++]);
        }
        turn(run, 1000);
    }
}

static void drive(load_run_t *run, double seconds)
{
    uint64_t end = load_now() + (uint64_t)(seconds * 1e9);
    do {
        turn(run, 10);
    } while (run->now < end);
}

static void print_result(const load_scenario_t *s, const load_run_t *run, double *rates, double cpu)
{
    const load_options_t *o = run->options;
    printf("{\"scenario\":\"%s\",\"unit\":\"%s/s\",\"clients\":%u,\"runs\":[", s->name, s->unit,
           run->loop.conn_count);
    for (uint32_t i = 0; i < o->runs; i++) {
        printf("%s%.1f", i ? "," : "", rates[i]);
    }
    printf("],\"rate\":%.1f,\"load_cpu\":%.3f", load_median(rates, o->runs), cpu);
    if (s->has_latency) {
        printf(",\"inflight\":%u,\"bytes\":%u,\"p50_us\":%.1f,\"p99_us\":%.1f", o->inflight,
               o->bytes, (double)load_histogram_percentile(&run->latency, 0.5) / 1e3,
               (double)load_histogram_percentile(&run->latency, 0.99) / 1e3);
    }
    puts("}");
}

static load_run_t *new_run(const load_scenario_t *s, const load_options_t *options)
{
    load_run_t *run = calloc(1, sizeof(*run));
    if (run == NULL) {
        load_die("out of memory");
    }
    run->options = options;
    load_loop_init(&run->loop, &options->server, options->path, &s->ops, run,
                   options->clients ? options->clients : s->clients);
    run->loop.plain = s->plain;
    return run;
}

static void free_run(load_run_t *run)
{
    load_loop_deinit(&run->loop);
    free(run->message);
    free(run->chats);
    free(run);
}

void load_scenario_run(const load_scenario_t *s, const load_options_t *options)
{
    load_options_t o = *options;
    o.burst = o.burst ? o.burst : s->burst;
    if (o.inflight == 0 || o.inflight > INFLIGHT_MAX - 10 || o.runs == 0 || o.runs > RUNS_MAX) {
        load_die("in flight: 1 to %u; runs: 1 to %u", INFLIGHT_MAX - 10, RUNS_MAX);
    }
    load_run_t *run = new_run(s, &o);
    double rates[RUNS_MAX];
    double cpu = 0;
    if (!s->opens_itself) {
        open_all(run);
    }
    s->start(run);
    drive(run, o.warmup);
    load_histogram_clear(&run->latency);
    for (uint32_t i = 0; i < o.runs; i++) {
        run->count = 0;
        uint64_t began = load_now();
        uint64_t cpu_began = load_cpu();
        drive(run, o.seconds);
        double elapsed = (double)(load_now() - began);
        rates[i] = (double)run->count * 1e9 / elapsed;
        cpu += (double)(load_cpu() - cpu_began) / elapsed / o.runs;
    }
    print_result(s, run, rates, cpu);
    free_run(run);
}

static bool stdin_ended(void)
{
    fd_set set;
    FD_ZERO(&set);
    FD_SET(0, &set);
    struct timeval now = {0, 0};
    return select(1, &set, NULL, NULL, &now) > 0 && fgetc(stdin) == EOF;
}

void load_idle_run(const load_options_t *options)
{
    const load_scenario_t *s = load_scenario_find("idle");
    load_run_t *run = new_run(s, options);
    uint64_t began = load_now();
    open_all(run);
    printf("{\"scenario\":\"idle\",\"clients\":%u,\"seconds\":%.3f}\n", run->loop.conn_count,
           (double)(load_now() - began) / 1e9);
    fflush(stdout);
    while (!stdin_ended()) {
        turn(run, 50);
    }
    free_run(run);
}
