/* admin.c: see admin.h. */
#include "gateway/admin.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/mem.h"
#include "gateway/dispatch.h"
#include "gateway/router.h"
#include "gateway/worker_health.h"
#include "net/listener.h"

#define DEFAULT_HOST "127.0.0.1"

#define BODY_MAX        1024 /* of a request, which has none that is looked at */
#define CONNECTIONS_MAX 64   /* more wait */

struct clr_admin {
    clr_gateway_t *watched;
    clr_gateway_t gw; /* its own */
    clr_listener_t *listener;
    clr_admin_worker_cb worker;
    void *ctx;
};

/* --- answers --- */

static void respond(clr_exchange_t *x, int status, const char *type, clr_str_t body)
{
    char headers[128];
    int n =
        snprintf(headers, sizeof(headers), "Content-Type: %s\r\nCache-Control: no-store\r\n", type);
    clr_exchange_respond(x, status, clr_str(headers, (size_t)n), body);
}

/* The loop turns, or nobody would answer. */
static void respond_health(clr_exchange_t *x, const clr_admin_t *a)
{
    (void)a;
    respond(x, 200, "text/plain; charset=utf-8", CLR_STR("ok\n"));
}

static const char *yes_no(bool b)
{
    return b ? "true" : "false";
}

static void append_worker(clr_buf_t *out, const clr_worker_status_t *w)
{
    clr_buf_printf(out,
                   "{\"number\":%u,\"role\":\"%s\",\"generation\":%u,\"state\":\"%s\",\"pid\":%d"
                   ",\"age_ms\":%" PRIu64 ",\"restarts\":%" PRIu64 ",\"restart_in_ms\":%" PRIu64
                   ",\"failing\":%s,\"blocked\":%s,\"sockets\":%" PRIu32 "}",
                   w->number, clr_worker_role_name(w->role), w->generation, w->state, w->pid,
                   w->age_ms, w->restarts, w->restart_in_ms, yes_no(w->failing),
                   yes_no(w->worker && clr_health_figures(clr_worker_health(w->worker)).blocked),
                   w->worker ? clr_worker_sockets(w->worker) : 0);
}

static void respond_ready(clr_exchange_t *x, const clr_admin_t *a)
{
    const clr_gateway_t *gw = a->watched;
    bool ready = clr_dispatch_ready_count(gw) > 0 && gw->ready && !gw->draining;
    clr_buf_t body = {0};
    clr_buf_printf(&body, "{\"ready\":%s,\"draining\":%s,\"workers\":[", yes_no(ready),
                   yes_no(gw->draining));
    clr_worker_status_t w;
    for (size_t i = 0; a->worker(i, &w, a->ctx); i++) {
        if (i > 0)
            clr_buf_putc(&body, ',');
        append_worker(&body, &w);
    }
    clr_buf_append_str(&body, CLR_STR("]}\n"));
    respond(x, ready ? 200 : 503, "application/json", clr_buf_str(&body));
    clr_buf_deinit(&body);
}

static void respond_metrics(clr_exchange_t *x, const clr_admin_t *a)
{
    size_t count = 0, cap = 4;
    clr_worker_status_t *workers = clr_xmalloc(cap * sizeof(*workers));
    while (a->worker(count, &workers[count], a->ctx)) {
        if (++count == cap) {
            cap *= 2;
            workers = clr_xrealloc(workers, cap * sizeof(*workers));
        }
    }
    clr_buf_t body = {0};
    clr_metrics_append(a->watched, workers, count, &body);
    respond(x, 200, "text/plain; version=0.0.4; charset=utf-8", clr_buf_str(&body));
    clr_buf_deinit(&body);
    free(workers);
}

/* --- requests --- */

static const struct {
    clr_str_t path;
    void (*respond)(clr_exchange_t *x, const clr_admin_t *a);
} pages[] = {
    {CLR_STR_INIT("/healthz"), respond_health},
    {CLR_STR_INIT("/readyz"), respond_ready},
    {CLR_STR_INIT("/metrics"), respond_metrics},
};

static void on_head(clr_exchange_t *x)
{
    clr_str_t method = x->head->method;
    if (!clr_str_eq(method, CLR_STR("GET")) && !clr_str_eq(method, CLR_STR("HEAD"))) {
        clr_exchange_respond(x, 405, CLR_STR("Allow: GET, HEAD\r\n"), CLR_STR_EMPTY);
        return;
    }
    for (size_t i = 0; i < clr_array_len(pages); i++) {
        if (clr_str_eq(x->head->path, pages[i].path)) {
            pages[i].respond(x, x->ctx);
            return;
        }
    }
    clr_exchange_error(x, 404, NULL); /* below a page */
}

static const clr_handler_t handler = {.on_head = on_head, .kind = CLR_HANDLER_ADMIN};

static bool on_connection(uv_stream_t *handle, void *ctx)
{
    clr_admin_t *a = ctx;
    return clr_http_conn_accept(&a->gw, handle);
}

static void on_room(void *ctx)
{
    clr_admin_t *a = ctx;
    if (a->listener)
        clr_listener_retry(a->listener);
}

/* --- life --- */

/* "HOST:PORT" or "PORT"; the host is copied to host. */
static int parse_address(const char *address, char host[256], uint16_t *port, clr_error_t *err)
{
    const char *colon = strrchr(address, ':');
    clr_str_t name = colon ? clr_str(address, (size_t)(colon - address)) : CLR_STR(DEFAULT_HOST);
    uint64_t number;
    if (!clr_str_to_u64(clr_str_c(colon ? colon + 1 : address), UINT16_MAX, &number) ||
        name.n >= 256)
        return clr_error_set(err, CLR_EINVAL, "'%s' is not HOST:PORT or unix:PATH", address);
    memcpy(host, name.p, name.n);
    host[name.n] = '\0';
    *port = (uint16_t)number;
    return 0;
}

static int open_listener(clr_admin_t *a, const char *address, clr_error_t *err)
{
    clr_loop_t *loop = a->gw.loop;
    clr_listener_spec_t spec = {.kind = CLR_LISTENER_TCP};
    char host[256];
    if (clr_str_starts(clr_str_c(address), CLR_STR("unix:"))) {
        spec.kind = CLR_LISTENER_UNIX;
        spec.path = address + strlen("unix:");
    } else {
        int rc = parse_address(address, host, &spec.port, err);
        if (rc < 0)
            return rc;
        spec.host = host;
    }
    return clr_listener_open(&a->listener, loop, &spec, on_connection, a, err);
}

int clr_admin_open(clr_admin_t **out, clr_gateway_t *gw, const char *address,
                   clr_admin_worker_cb worker, void *ctx, clr_error_t *err)
{
    clr_admin_t *a = clr_xcalloc(1, sizeof(*a));
    clr_gateway_options_t options = {
        .root_path = "",
        .http = gw->options.http,
        .header_timeout_ms = gw->options.header_timeout_ms,
        .body_timeout_ms = gw->options.body_timeout_ms,
        .idle_timeout_ms = gw->options.idle_timeout_ms,
    };
    options.http.body_bytes = BODY_MAX;
    a->watched = gw;
    a->worker = worker;
    a->ctx = ctx;
    clr_gateway_init(&a->gw, gw->loop, &options);
    clr_capacity_init(&a->gw.capacity, CONNECTIONS_MAX, "--admin", on_room, a);
    int rc = open_listener(a, address, err);
    if (rc < 0) {
        clr_gateway_deinit(&a->gw);
        free(a);
        return clr_error_wrap(err, "--admin");
    }
    for (size_t i = 0; i < clr_array_len(pages); i++)
        clr_router_add(&a->gw, pages[i].path, &handler, a);
    clr_gateway_set_ready(&a->gw);
    *out = a;
    return 0;
}

void clr_admin_url(const clr_admin_t *a, clr_buf_t *out)
{
    clr_listener_url(a->listener, out);
}

void clr_admin_close(clr_admin_t *a)
{
    if (!a || !a->listener)
        return;
    clr_listener_close(a->listener);
    a->listener = NULL;
    clr_gateway_kill_clients(&a->gw);
}

bool clr_admin_is_closed(const clr_admin_t *a)
{
    return !a || (!a->listener && clr_gateway_is_idle(&a->gw));
}

void clr_admin_free(clr_admin_t *a)
{
    if (!a)
        return;
    clr_gateway_deinit(&a->gw);
    free(a);
}
