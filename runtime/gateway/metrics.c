/* metrics.c: the page of metrics. A metric that is added here goes into docs/metrics.md as well. */
#include "gateway/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "clrun/frames.h"
#include "clrun/version.h"
#include "gateway/app_request.h"
#include "gateway/dispatch.h"
#include "gateway/gateway.h"
#include "gateway/loans.h"
#include "gateway/worker_health.h"

const char *const clr_worker_states[] = {"gone",  "waiting",  "starting", "loading",
                                         "ready", "draining", "stopping", NULL};

const char *clr_worker_role_name(clr_worker_role_t role)
{
#define ROLE_LABEL(name, label) label,
    static const char *const labels[] = {CLR_WORKER_ROLE_MAP(ROLE_LABEL)};
#undef ROLE_LABEL
    return labels[role];
}

#define HANDLER_LABEL(name, label) label,
static const char *const handler_labels[] = {CLR_HANDLER_MAP(HANDLER_LABEL)};
#undef HANDLER_LABEL

/* --- writing --- */

static void family(clr_buf_t *out, const char *name, const char *type, const char *help)
{
    clr_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void value(clr_buf_t *out, const char *name, uint64_t v)
{
    clr_buf_printf(out, "%s %" PRIu64 "\n", name, v);
}

static void labelled(clr_buf_t *out, const char *name, const char *label, const char *text,
                     uint64_t v)
{
    clr_buf_printf(out, "%s{%s=\"%s\"} %" PRIu64 "\n", name, label, text, v);
}

static void counter(clr_buf_t *out, const char *name, const char *help, uint64_t v)
{
    family(out, name, "counter", help);
    value(out, name, v);
}

static void gauge(clr_buf_t *out, const char *name, const char *help, uint64_t v)
{
    family(out, name, "gauge", help);
    value(out, name, v);
}

static uint64_t sum(const uint64_t *counts, size_t n)
{
    uint64_t total = 0;
    for (size_t i = 0; i < n; i++)
        total += counts[i];
    return total;
}

/* --- process --- */

static void append_process(clr_buf_t *out)
{
    struct rusage use;
    if (getrusage(RUSAGE_SELF, &use) == 0) {
        double seconds = (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
                         (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
        family(out, "process_cpu_seconds_total", "counter", "Processor time of the gateway.");
        clr_buf_printf(out, "process_cpu_seconds_total %.6f\n", seconds);
    }
    size_t rss;
    if (uv_resident_set_memory(&rss) == 0)
        gauge(out, "process_resident_memory_bytes", "Memory of the gateway.", rss);
}

/* --- clients --- */

static void append_reasons(clr_buf_t *out, const char *name, const char *help,
                           const uint64_t counts[CLR_METRICS_REASONS])
{
    family(out, name, "counter", help);
#define REASON(number, id, text) labelled(out, name, "reason", text, counts[number]);
    CLR_REASON_MAP(REASON)
#undef REASON
}

static void append_connections(const clr_gateway_t *gw, clr_buf_t *out)
{
    const clr_metrics_t *m = &gw->metrics;
    const clr_loop_stats_t *stats = &gw->loop->stats;
    uint64_t websockets = m->websockets_opened - m->websockets_closed;
    const char *name = "clrun_connections";
    family(out, name, "gauge", "Connections of clients.");
    labelled(out, name, "protocol", "http",
             m->connections_accepted - m->connections_closed - websockets);
    labelled(out, name, "protocol", "websocket", websockets);
    gauge(out, "clrun_connections_limit", "Connections that there may be at once; 0: no limit.",
          gw->capacity.max);
    counter(out, "clrun_connections_accepted_total", "Connections that were accepted.",
            m->connections_accepted);
    counter(out, "clrun_connections_rejected_total",
            "Connections that could not be accepted, for want of descriptors or memory.",
            m->connections_rejected);
    counter(out, "clrun_client_received_bytes_total",
            "Bytes received on accepted connections, as they came.", stats->received[1]);
    counter(out, "clrun_client_sent_bytes_total",
            "Bytes sent on accepted connections, as they left.", stats->sent[1]);
}

static void append_requests(const clr_gateway_t *gw, clr_buf_t *out)
{
    const char *name = "clrun_http_requests_total";
    family(out, name, "counter", "HTTP requests by who answered and by class of status.");
    for (size_t kind = 0; kind < CLR_HANDLER_KINDS; kind++) {
        for (int i = 0; kind != CLR_HANDLER_ADMIN && i < 5; i++)
            clr_buf_printf(out, "%s{handler=\"%s\",status=\"%dxx\"} %" PRIu64 "\n", name,
                           handler_labels[kind], i + 1, gw->metrics.requests[kind][i]);
    }
    gauge(out, "clrun_app_requests",
          "Requests and WebSockets that the ASGI application answers now.",
          clr_app_request_count(gw));
    gauge(out, "clrun_app_body_pieces",
          "Pieces of request bodies that workers have in the memory they share.",
          clr_loans_count(gw));
}

static void append_sessions(const clr_gateway_t *gw, clr_buf_t *out)
{
    const clr_metrics_t *m = &gw->metrics;
    gauge(out, "clrun_sessions", "Engine.IO sessions.",
          m->sessions_opened - sum(m->sessions_closed, CLR_METRICS_REASONS));
    counter(out, "clrun_sessions_opened_total", "Engine.IO sessions that were begun.",
            m->sessions_opened);
    append_reasons(out, "clrun_sessions_closed_total", "Engine.IO sessions that ended, and why.",
                   m->sessions_closed);
    gauge(out, "clrun_sockets", "Clients in Socket.IO namespaces.",
          m->sockets_opened - m->sockets_refused - sum(m->sockets_closed, CLR_METRICS_REASONS));
    counter(out, "clrun_sockets_opened_total", "Clients that asked for a namespace.",
            m->sockets_opened);
    counter(out, "clrun_sockets_refused_total", "Clients that the app refused.",
            m->sockets_refused);
    append_reasons(out, "clrun_sockets_closed_total", "Clients that left a namespace, and why.",
                   m->sockets_closed);
    counter(out, "clrun_events_received_total", "Events of clients that went to a worker.",
            m->frames_sent[CLR_FRAME_SIO_EVENT]);
    counter(out, "clrun_events_sent_total", "Events to clients; each receiver counts.",
            m->events_sent);
}

/* --- workers --- */

static void append_frames(const char *direction, char letter, const uint64_t counts[256],
                          clr_buf_t *out)
{
#define FRAME(number, id, from, payload, meaning)                                                  \
    if (#from[0] == letter && counts[number] > 0)                                                  \
        clr_buf_printf(out, "clrun_link_frames_total{direction=\"%s\",type=\"%s\"} %" PRIu64 "\n", \
                       direction, #id, counts[number]);
    CLR_FRAME_MAP(FRAME)
#undef FRAME
}

static void append_link(const clr_gateway_t *gw, clr_buf_t *out)
{
    const clr_loop_stats_t *stats = &gw->loop->stats;
    family(out, "clrun_link_frames_total", "counter", "Frames between gateway and workers.");
    append_frames("to_worker", 'G', gw->metrics.frames_sent, out);
    append_frames("from_worker", 'W', gw->metrics.frames_received, out);
    counter(out, "clrun_link_received_bytes_total", "Bytes received from workers.",
            stats->received[0]);
    counter(out, "clrun_link_sent_bytes_total", "Bytes sent to workers.", stats->sent[0]);
}

/* `name{worker="1",role="serving"`, of which more may follow before the brace. */
static void begin_sample(const char *name, const clr_worker_status_t *w, clr_buf_t *out)
{
    clr_buf_printf(out, "%s{worker=\"%u\",role=\"%s\"", name, w->number,
                   clr_worker_role_name(w->role));
}

static void append_states(const clr_worker_status_t *workers, size_t count, clr_buf_t *out)
{
    const char *name = "clrun_worker_state";
    family(out, name, "gauge", "1 for the state that the worker is in.");
    for (size_t i = 0; i < count; i++) {
        for (size_t s = 0; clr_worker_states[s]; s++) {
            begin_sample(name, &workers[i], out);
            clr_buf_printf(out, ",state=\"%s\"} %d\n", clr_worker_states[s],
                           strcmp(workers[i].state, clr_worker_states[s]) == 0);
        }
    }
}

/* One number of each worker. */
static uint64_t get_pid(const clr_worker_status_t *w)
{
    return w->pid > 0 ? (uint64_t)w->pid : 0;
}

static uint64_t get_generation(const clr_worker_status_t *w)
{
    return w->generation;
}

static uint64_t get_restarts(const clr_worker_status_t *w)
{
    return w->restarts;
}

static uint64_t get_failing(const clr_worker_status_t *w)
{
    return w->failing;
}

static uint64_t get_sockets(const clr_worker_status_t *w)
{
    return w->worker ? clr_worker_sockets(w->worker) : 0;
}

static uint64_t get_congested(const clr_worker_status_t *w)
{
    return w->worker ? clr_worker_is_congested(w->worker) : 0;
}

static clr_worker_load_t load_of(const clr_worker_status_t *w)
{
    clr_worker_load_t load = {0};
    if (w->worker)
        clr_worker_get_load(w->worker, &load);
    return load;
}

static uint64_t get_credit(const clr_worker_status_t *w)
{
    return load_of(w).credit;
}

static uint64_t get_waiting(const clr_worker_status_t *w)
{
    return load_of(w).waiting;
}

static uint64_t get_unsent(const clr_worker_status_t *w)
{
    return load_of(w).unsent;
}

static clr_health_figures_t health_of(const clr_worker_status_t *w)
{
    return clr_health_figures(w->worker ? clr_worker_health(w->worker) : NULL);
}

static uint64_t get_blocked(const clr_worker_status_t *w)
{
    return health_of(w).blocked;
}

static uint64_t get_handlers(const clr_worker_status_t *w)
{
    return health_of(w).handlers;
}

/* Without a word of the worker's, which may be blocked. */
static uint64_t get_memory(const clr_worker_status_t *w)
{
    return clr_metrics_memory_of(w->pid);
}

uint64_t clr_metrics_memory_of(int pid)
{
    char path[40];
    unsigned long long pages = 0;
    snprintf(path, sizeof(path), "/proc/%d/statm", pid);
    FILE *file = pid > 0 ? fopen(path, "re") : NULL;
    if (!file)
        return 0;
    if (fscanf(file, "%*u %llu", &pages) != 1)
        pages = 0;
    fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static const struct {
    const char *name, *type, *help;
    uint64_t (*get)(const clr_worker_status_t *w);
    bool of_place; /* only of those that serve */
} worker_metrics[] = {
    {"clrun_worker_pid", "gauge", "The worker's process; 0 while there is none.", get_pid, false},
    {"clrun_worker_generation", "gauge",
     "Which deploy the worker's code is of; 1: that of the start.", get_generation, false},
    {"clrun_worker_restarts_total", "counter", "Times that the worker was started again.",
     get_restarts, true},
    {"clrun_worker_failing", "gauge", "1 while the worker dies again and again.", get_failing,
     true},
    {"clrun_worker_sockets", "gauge", "Sockets and sessions that the worker serves.", get_sockets,
     false},
    {"clrun_worker_congested", "gauge",
     "1 while the worker is behind and its clients are not read.", get_congested, false},
    {"clrun_worker_credit", "gauge", "Events and requests that the worker would take now.",
     get_credit, false},
    {"clrun_worker_waiting_bytes", "gauge", "Frames that wait for the worker's credit.",
     get_waiting, false},
    {"clrun_worker_unsent_bytes", "gauge", "Frames that the worker's link has no room for.",
     get_unsent, false},
    {"clrun_worker_blocked", "gauge", "1 while the worker's loop does not turn.", get_blocked,
     false},
    {"clrun_worker_handlers", "gauge", "Handlers at work, at the watchdog's last look.",
     get_handlers, false},
    {"clrun_worker_resident_memory_bytes", "gauge", "Memory of the worker's process.", get_memory,
     false},
};

static double get_age(const clr_worker_status_t *w)
{
    return (double)w->age_ms / 1e3;
}

static double get_restart(const clr_worker_status_t *w)
{
    return (double)w->restart_in_ms / 1e3;
}

static double get_lag(const clr_worker_status_t *w)
{
    return health_of(w).lag_us / 1e6;
}

static const struct {
    const char *name, *help;
    double (*get)(const clr_worker_status_t *w);
    bool of_place;
} worker_times[] = {
    {"clrun_worker_age_seconds", "How long ago the worker's process was started.", get_age, false},
    {"clrun_worker_restart_seconds", "How long until the dead worker is started again; else 0.",
     get_restart, true},
    {"clrun_worker_loop_lag_seconds", "How long the worker's loop lately took to notice what came.",
     get_lag, false},
};

static void append_numbers(const clr_worker_status_t *workers, size_t count, clr_buf_t *out)
{
    for (size_t m = 0; m < clr_array_len(worker_metrics); m++) {
        const char *name = worker_metrics[m].name;
        family(out, name, worker_metrics[m].type, worker_metrics[m].help);
        for (size_t i = 0; i < count; i++) {
            if (worker_metrics[m].of_place && workers[i].role != CLR_WORKER_ROLE_SERVING)
                continue;
            begin_sample(name, &workers[i], out);
            clr_buf_printf(out, "} %" PRIu64 "\n", worker_metrics[m].get(&workers[i]));
        }
    }
}

static void append_times(const clr_worker_status_t *workers, size_t count, clr_buf_t *out)
{
    for (size_t m = 0; m < clr_array_len(worker_times); m++) {
        const char *name = worker_times[m].name;
        family(out, name, "gauge", worker_times[m].help);
        for (size_t i = 0; i < count; i++) {
            if (worker_times[m].of_place && workers[i].role != CLR_WORKER_ROLE_SERVING)
                continue;
            begin_sample(name, &workers[i], out);
            clr_buf_printf(out, "} %.6f\n", worker_times[m].get(&workers[i]));
        }
    }
}

/* --- loop --- */

static void append_loop(const clr_loop_stats_t *stats, clr_buf_t *out)
{
    const char *name = "clrun_loop_turn_seconds";
    uint64_t count = 0;
    family(out, name, "histogram",
           "How long the gateway's loop was busy before it looked at its sockets again.");
    for (size_t i = 0; i < CLR_LOOP_TURN_CLASSES - 1; i++) {
        count += stats->turns[i];
        clr_buf_printf(out, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", name,
                       clr_loop_turn_bounds[i] / 1e3, count);
    }
    count += stats->turns[CLR_LOOP_TURN_CLASSES - 1];
    clr_buf_printf(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, count);
    clr_buf_printf(out, "%s_sum %.9f\n%s_count %" PRIu64 "\n", name, (double)stats->turn_ns / 1e9,
                   name, count);
}

void clr_metrics_append(const clr_gateway_t *gw, const clr_worker_status_t *workers, size_t count,
                        clr_buf_t *out)
{
    family(out, "clrun_build_info", "gauge", "1, labelled with versions.");
    clr_buf_printf(out, "clrun_build_info{version=\"%s\",libuv=\"%s\"} 1\n", CLR_VERSION,
                   uv_version_string());
    gauge(out, "clrun_ready_workers", "Workers that take clients.", clr_dispatch_ready_count(gw));
    gauge(out, "clrun_draining", "1 while the gateway is stopping.", gw->draining);
    append_process(out);
    append_connections(gw, out);
    append_requests(gw, out);
    append_sessions(gw, out);
    append_states(workers, count, out);
    append_numbers(workers, count, out);
    append_times(workers, count, out);
    append_link(gw, out);
    append_loop(&gw->loop->stats, out);
}
