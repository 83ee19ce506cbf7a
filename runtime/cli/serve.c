/* serve.c: starts everything in order, and stops it in order. */
#include "cli/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "cli/limits.h"
#include "cli/listen.h"
#include "clrun/exit.h"
#include "clrun/version.h"
#include "gateway/affinity.h"
#include "gateway/admin.h"
#include "gateway/eio_server.h"
#include "gateway/http_conn.h"
#include "gateway/loans.h"
#include "supervisor/develop.h"
#include "supervisor/notify.h"
#include "supervisor/pool.h"

#define LOG "clrun"

#define DRAIN_CHECK_MS 10 /* while stopping: how often to look whether all clients are gone */
#define DRAIN_LEAST_MS                                                                             \
    1000 /* what the last bytes to clients may take when the app took its time                     \
          */

static const struct {
    int number;
    const char *name;
} stop_signals[] = {{SIGINT, "Ctrl-C"}, {SIGTERM, "SIGTERM"}, {SIGHUP, "SIGHUP"}};

typedef struct serve {
    const clr_options_t *options;
    clr_app_t app;
    clr_home_t home;
    clr_python_t python;
    char *public_dir;
    clr_proxy_t *proxy; /* NULL: none is trusted */
    clr_affinity_keys_t affinity;
    clr_listen_t listen;
    clr_buf_t url;  /* of the first listener */
    clr_buf_t urls; /* of all */
    clr_loop_t loop;
    clr_gateway_t gw;
    clr_pool_t *pool;
    clr_develop_t *develop; /* NULL: nothing is watched */
    clr_admin_t *admin;     /* NULL: none is wanted */
    clr_notify_t *notify;   /* NULL: no service manager asks */
    uv_signal_t signals[clr_array_len(stop_signals)];
    clr_timer_t drain_timer;
    uint64_t drain_until_ms;
    uint64_t open_files;
    bool has_terminal; /* a hangup then means that the terminal is gone */
    bool stopping;
    int status;
} serve_t;

/* One line that does not depend on the log level; a log line where machines read. */
static int complain(const serve_t *s, int status, clr_str_t text)
{
    if (strcmp(s->options->log_format, "json") == 0)
        clr_log_text(CLR_LOG_ERROR, LOG, text);
    else
        fprintf(stderr, "clrun: %.*s\n", CLR_STR_ARG(text));
    return status;
}

static int complain_error(const serve_t *s, int status, const clr_error_t *err)
{
    return complain(s, status, clr_str_c(err->text));
}

/* ---- options ---- */

static void configure_log(const clr_options_t *o)
{
    static const struct {
        const char *name;
        clr_log_level_t level;
    } levels[] = {{"debug", CLR_LOG_DEBUG},
                  {"info", CLR_LOG_INFO},
                  {"warn", CLR_LOG_WARN},
                  {"error", CLR_LOG_ERROR},
                  {"off", CLR_LOG_OFF}};
    clr_log_level_t level = CLR_LOG_INFO;
    for (size_t i = 0; i < clr_array_len(levels); i++) {
        if (strcmp(o->log_level, levels[i].name) == 0)
            level = levels[i].level;
    }
    clr_log_configure(level, strcmp(o->log_format, "json") == 0);
}

static clr_gateway_options_t gateway_options(const serve_t *s)
{
    const clr_options_t *o = s->options;
    return (clr_gateway_options_t){
        .root_path = o->root_path ? o->root_path : "",
        .proxy = s->proxy,
        .affinity = &s->affinity,
        .public_dir = s->public_dir,
        .socketio_path = o->socketio_path,
        .cors_allowed_origins = o->cors_allowed_origins,
        .ping_interval_ms = o->ping_interval,
        .ping_timeout_ms = o->ping_timeout,
        .max_payload = o->max_payload,
        .max_buffered = (size_t)o->max_buffered,
        .connect_timeout_ms = o->connect_timeout,
        .http = {.head_bytes = (size_t)o->max_header_size,
                 .headers = (size_t)o->max_headers,
                 .body_bytes = o->max_body},
        .header_timeout_ms = o->header_timeout,
        .body_timeout_ms = o->body_timeout,
        .idle_timeout_ms = o->keep_alive_timeout,
        .graceful_timeout_ms = o->graceful_timeout,
        .limit_concurrency = o->limit_concurrency,
        .ws_ping_interval_ms = o->ws_ping_interval,
        .ws_ping_timeout_ms = o->ws_ping_timeout,
        .ws_max_size = (size_t)o->ws_max_size,
        .handler_timeout_ms = o->handler_timeout,
        .access_log = o->access_log,
        .ws_deflate = o->ws_per_message_deflate,
        .gzip = o->gzip,
        .node_tag = (uint16_t)(clr_random_u64() & 0xfff),
    };
}

static int find_python(serve_t *s)
{
    const clr_options_t *o = s->options;
    clr_error_t err = {0};
    clr_python_query_t query = {
        .option = o->python,
        .app_dir = s->app.dir,
        .work_dir = s->app.work_dir ? s->app.work_dir : ".",
        .mode = strcmp(o->python_mode, "library") == 0   ? CLR_PYTHON_LIBRARY
                : strcmp(o->python_mode, "program") == 0 ? CLR_PYTHON_PROGRAM
                                                         : CLR_PYTHON_AUTO,
    };
    if (clr_python_find(&s->python, &query, &err) < 0)
        return complain_error(s, CLR_EXIT_USAGE, &err);
    clr_log_debug(LOG, "Python %s at %s, library %s", s->python.version, s->python.executable,
                  s->python.library ? s->python.library : "none");
    return CLR_EXIT_OK;
}

static int prepare_proxy(serve_t *s)
{
    const char *list = s->options->forwarded_allow_ips;
    clr_error_t err = {0};
    if (!s->options->proxy_headers || !list || clr_proxy_new(&s->proxy, list, &err) == 0)
        return CLR_EXIT_OK;
    clr_error_wrap(&err, "--forwarded-allow-ips");
    return complain_error(s, CLR_EXIT_USAGE, &err);
}

static int prepare_affinity(serve_t *s)
{
    clr_error_t err = {0};
    const char *list = s->options->affinity;
    if (clr_affinity_keys_parse(&s->affinity, list ? list : "", &err) == 0)
        return CLR_EXIT_OK;
    clr_error_wrap(&err, "--affinity");
    return complain_error(s, CLR_EXIT_USAGE, &err);
}

static int check_preload(const serve_t *s)
{
    if (!s->options->preload || !s->options->watch)
        return CLR_EXIT_OK;
    return complain(s, CLR_EXIT_USAGE,
                    CLR_STR("--preload: not with --watch, which loads the app in each worker"));
}

static int check_root_path(const serve_t *s)
{
    const char *path = s->options->root_path;
    if (!path || path[0] == '/')
        return CLR_EXIT_OK;
    return complain(s, CLR_EXIT_USAGE, CLR_STR("--root-path: it must start with a slash"));
}

/* Workers must not keep the reader of --ready-fd waiting for its end. */
static int check_ready_fd(const serve_t *s)
{
    int fd = (int)s->options->ready_fd;
    if (fd <= STDERR_FILENO)
        return CLR_EXIT_OK;
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) == 0)
        return CLR_EXIT_OK;
    clr_error_t err = {0};
    clr_error_set(&err, -errno, "--ready-fd: descriptor %d is not open", fd);
    return complain_error(s, CLR_EXIT_USAGE, &err);
}

/* ---- listening ---- */

static bool on_connection(uv_stream_t *handle, void *ctx)
{
    serve_t *s = ctx;
    return clr_http_conn_accept(&s->gw, handle);
}

static void on_room(void *ctx)
{
    serve_t *s = ctx;
    clr_listen_retry(&s->listen);
}

static int listen_now(serve_t *s)
{
    clr_error_t err = {0};
    if (clr_listen_open(&s->listen, &s->loop, s->options, on_connection, s, &err) < 0)
        return complain_error(s, CLR_EXIT_LISTEN, &err);
    clr_listener_url(s->listen.listeners[0], &s->url);
    clr_listen_urls(&s->listen, &s->urls);
    return CLR_EXIT_OK;
}

static bool worker_status(size_t index, clr_worker_status_t *out, void *ctx)
{
    const serve_t *s = ctx;
    return s->pool && clr_pool_worker_status(s->pool, index, out);
}

static int open_admin(serve_t *s)
{
    clr_error_t err = {0};
    if (!s->options->admin)
        return CLR_EXIT_OK;
    if (clr_admin_open(&s->admin, &s->gw, s->options->admin, worker_status, s, &err) < 0)
        return complain_error(s, err.code == CLR_EINVAL ? CLR_EXIT_USAGE : CLR_EXIT_LISTEN, &err);
    clr_buf_t url = {0};
    clr_admin_url(s->admin, &url);
    clr_log_info(LOG, "metrics and health at %.*s", CLR_STR_ARG(clr_buf_str(&url)));
    clr_buf_deinit(&url);
    return CLR_EXIT_OK;
}

static int open_develop(serve_t *s)
{
    const clr_options_t *o = s->options;
    clr_error_t err = {0};
    clr_develop_options_t options = {.app = &s->app,
                                     .trees = o->watch_dir.items,
                                     .tree_count = o->watch_dir.count,
                                     .poll = o->watch_poll,
                                     .restart = o->watch && strcmp(o->watch, "restart") == 0};
    if (!o->watch || clr_develop_open(&s->develop, &s->gw, &options, &err) == 0)
        return CLR_EXIT_OK;
    return complain_error(s, CLR_EXIT_USAGE, &err);
}

/* ---- the workers ---- */

static void print_start_line(const serve_t *s)
{
    const clr_options_t *o = s->options;
    char line[1024];
    snprintf(line, sizeof(line), "clrun %s · %.*s · %u worker%s · Python %s (%s)", CLR_VERSION,
             CLR_STR_ARG(clr_buf_str(&s->urls)), (unsigned)o->workers, o->workers == 1 ? "" : "s",
             s->python.version, s->python.origin);
    if (strcmp(o->log_format, "json") == 0) {
        clr_log_info(LOG, "%s", line);
    } else if (clr_log_enabled(CLR_LOG_INFO)) {
        puts(line);
        fflush(stdout);
    }
}

static void write_ready_fd(const serve_t *s)
{
    int fd = (int)s->options->ready_fd;
    if (fd == 0)
        return;
    clr_buf_t line = {0};
    clr_buf_append_str(&line, clr_buf_str(&s->url));
    clr_buf_putc(&line, '\n');
    ssize_t n = write(fd, line.p, line.n); /* less than a pipe takes at once */
    if (n != (ssize_t)line.n)
        clr_log_warn(LOG, "--ready-fd: %s", strerror(errno));
    clr_buf_deinit(&line);
    if (fd > STDERR_FILENO)
        close(fd);
}

static void notify_ready(const serve_t *s)
{
    char status[512];
    snprintf(status, sizeof(status), "%u worker%s at %.*s", (unsigned)s->options->workers,
             s->options->workers == 1 ? "" : "s", CLR_STR_ARG(clr_buf_str(&s->urls)));
    clr_notify_ready(s->notify, status);
}

static void on_ready(clr_pool_t *pool, void *ctx)
{
    serve_t *s = ctx;
    (void)pool;
    clr_gateway_set_ready(&s->gw);
    print_start_line(s);
    write_ready_fd(s);
    notify_ready(s);
}

static void on_replacing(clr_pool_t *pool, bool begins, void *ctx)
{
    const serve_t *s = ctx;
    (void)pool;
    if (begins)
        clr_notify_reloading(s->notify, "new workers start");
    else
        notify_ready(s);
}

/* ---- stopping ---- */

static void close_signals(serve_t *s)
{
    for (size_t i = 0; i < clr_array_len(s->signals); i++) {
        if (!uv_is_closing((uv_handle_t *)&s->signals[i]))
            uv_close((uv_handle_t *)&s->signals[i], NULL);
    }
}

/* No new clients; the ones that are here get their answers, or a close that makes them reconnect
 * elsewhere. */
static void stop_clients(serve_t *s)
{
    clr_listen_stop(&s->listen);
    clr_eio_servers_shutdown(&s->gw);
    clr_gateway_drain(&s->gw);
}

static void stop(serve_t *s, const char *why)
{
    if (s->stopping)
        return;
    s->stopping = true;
    if (why)
        clr_log_info(LOG, "%s: stopping; a second one stops at once", why);
    s->drain_until_ms = clr_loop_now(&s->loop) + s->options->graceful_timeout;
    clr_notify_stopping(s->notify, s->options->graceful_timeout);
    stop_clients(s);
    clr_pool_stop(s->pool, s->options->graceful_timeout);
}

static void on_failed(clr_pool_t *pool, int status, clr_str_t text, void *ctx)
{
    serve_t *s = ctx;
    (void)pool;
    clr_buf_t message = {0};
    /* A traceback stands on lines of its own. */
    bool lines = clr_str_chr(text, '\n') >= 0;
    if (lines)
        clr_buf_printf(&message, "%s cannot be loaded\n", s->app.target);
    while (text.n && text.p[text.n - 1] == '\n')
        text.n--;
    clr_buf_append_str(&message, text);
    /* Mostly the package is there, and the Python is not the one that it was installed for. */
    static const char missing[] = "\nModuleNotFoundError: ";
    if (memmem(text.p, text.n, missing, sizeof(missing) - 1))
        clr_buf_printf(&message, "\nThis is Python %s at %s, found by %s; --python names another",
                       s->python.version, s->python.executable, s->python.why);
    s->status = complain(s, status, clr_buf_str(&message));
    clr_buf_deinit(&message);
    stop(s, NULL);
}

/* What was written to the clients may still be on its way. */
static void on_drain_timer(clr_timer_t *t)
{
    serve_t *s = clr_container_of(t, serve_t, drain_timer);
    if (clr_gateway_is_idle(&s->gw))
        clr_admin_close(s->admin); /* it can be asked until the last client is gone */
    if (clr_gateway_is_idle(&s->gw) && clr_admin_is_closed(s->admin)) {
        clr_loop_stop(&s->loop);
        return;
    }
    if (clr_loop_now(&s->loop) >= s->drain_until_ms)
        clr_gateway_kill_clients(&s->gw);
    clr_loop_timer_start(&s->loop, t, DRAIN_CHECK_MS);
}

static void on_stopped(clr_pool_t *pool, void *ctx)
{
    serve_t *s = ctx;
    (void)pool;
    stop(s, NULL);
    uint64_t least = clr_loop_now(&s->loop) + DRAIN_LEAST_MS;
    if (s->drain_until_ms < least)
        s->drain_until_ms = least;
    clr_loop_timer_start(&s->loop, &s->drain_timer, 0);
}

static void on_replaced(clr_pool_t *pool, bool ok, clr_str_t text, void *ctx)
{
    const serve_t *s = ctx;
    (void)pool;
    if (s->develop)
        clr_develop_replaced(s->develop, ok, text);
}

static void reload_certificate(serve_t *s)
{
    clr_error_t err = {0};
    if (!s->listen.tls)
        return;
    if (clr_tls_context_reload(s->listen.tls, &err) < 0)
        clr_log_error(LOG, "SIGHUP: %s; the former certificate stays in use", err.text);
    else
        clr_log_info(LOG, "SIGHUP: new connections get the certificate that was read again");
}

/* A hangup without a terminal is a deploy: what can be read anew is, and new workers take over.
 * What is wrong stays as it was. */
static void on_hangup(serve_t *s)
{
    reload_certificate(s);
    clr_pool_replace_all(s->pool, "SIGHUP");
}

static void on_signal(uv_signal_t *handle, int number)
{
    serve_t *s = handle->data;
    const char *name = stop_signals[handle - s->signals].name;
    if (number == SIGHUP && !s->has_terminal) {
        if (!s->stopping)
            on_hangup(s);
    } else if (!s->stopping) {
        stop(s, name);
    } else {
        clr_log_info(LOG, "%s again: stopping at once", name);
        s->drain_until_ms = 0;
        clr_pool_kill(s->pool);
    }
}

static const clr_pool_ops_t pool_ops = {
    .on_replacing = on_replacing,
    .on_ready = on_ready,
    .on_failed = on_failed,
    .on_stopped = on_stopped,
    .on_replaced = on_replaced,
};

/* ---- the order of things ---- */

static void start_signals(serve_t *s)
{
    for (size_t i = 0; i < clr_array_len(stop_signals); i++) {
        int rc = uv_signal_init(&s->loop.uv, &s->signals[i]);
        CLR_ASSERT(rc == 0);
        s->signals[i].data = s;
        struct sigaction now;
        /* nohup, and shells that start us in the background, ignore signals on purpose. */
        if (sigaction(stop_signals[i].number, NULL, &now) == 0 && now.sa_handler == SIG_IGN)
            continue;
        rc = uv_signal_start(&s->signals[i], on_signal, stop_signals[i].number);
        CLR_ASSERT(rc == 0);
    }
    s->has_terminal = isatty(STDERR_FILENO) || isatty(STDIN_FILENO);
}

static unsigned processors(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

/* Polling pays for a process that has a processor to itself. */
static void allow_spin(serve_t *s, clr_pool_options_t *options)
{
    unsigned limit = (unsigned)s->options->spin;
    clr_loop_set_spin(&s->loop, processors() > 1 ? limit : 0);
    options->spin_us = processors() > options->workers ? limit : 0;
}

/* What is to be replaced for it is reported before. */
static uint64_t block_warn_ms(const clr_options_t *o)
{
    bool replaces_first = o->handler_timeout && o->handler_timeout < o->block_warn;
    return replaces_first || !o->block_warn ? o->handler_timeout : o->block_warn;
}

static void run(serve_t *s)
{
    clr_pool_options_t options = {
        .workers = (unsigned)s->options->workers,
        .app = &s->app,
        .python = &s->python,
        .home = &s->home,
        .loop = s->options->loop,
        .log_level = s->options->log_level,
        .root_path = s->gw.options.root_path,
        .lifespan = s->options->lifespan,
        .factory = s->options->factory,
        .ui = s->options->ui,
        .graceful_timeout_ms = s->options->graceful_timeout,
        .watch = s->develop != NULL,
        .preload = s->options->preload,
        .drain_timeout_ms = s->options->drain_timeout,
        .max_sessions_per_worker = (uint64_t)s->options->max_sessions_per_worker,
        .worker_max_rss = s->options->worker_max_rss,
        .worker_max_age_ms = s->options->worker_max_age,
        .block_warn_ms = block_warn_ms(s->options),
    };
    allow_spin(s, &options);
    start_signals(s);
    clr_timer_init(&s->drain_timer, on_drain_timer);
    s->pool = clr_pool_new(&s->gw, &options, &pool_ops, s);
    if (s->develop)
        clr_develop_set_pool(s->develop, s->pool);
    clr_pool_start(s->pool);
    clr_loop_run(&s->loop);
    close_signals(s);
    clr_pool_free(s->pool);
}

/* Everything between the loop's first and last breath. */
static int serve_on_loop(serve_t *s)
{
    clr_gateway_options_t options = gateway_options(s);
    clr_gateway_init(&s->gw, &s->loop, &options);
    clr_loans_open(&s->gw);
    uint32_t connections = clr_limits_connections(s->open_files, (unsigned)s->options->workers,
                                                  (uint64_t)s->options->max_connections);
    s->notify = clr_notify_open(&s->loop);
    bool is_wanted = connections == s->options->max_connections;
    clr_capacity_init(&s->gw.capacity, connections,
                      is_wanted ? "--max-connections" : "the limit of open files (ulimit -n)",
                      on_room, s);
    s->status = listen_now(s);
    if (s->status == CLR_EXIT_OK)
        s->status = find_python(s);
    if (s->status == CLR_EXIT_OK)
        s->status = open_admin(s);
    if (s->status == CLR_EXIT_OK)
        s->status = open_develop(s);
    if (s->status == CLR_EXIT_OK)
        run(s);
    clr_develop_close(s->develop);
    clr_listen_stop(&s->listen);
    clr_admin_free(s->admin);
    clr_notify_close(s->notify);
    clr_gateway_deinit(&s->gw);
    return s->status;
}

/* What is wrong with the command is said before anything is started. */
static int prepare(serve_t *s)
{
    clr_error_t err = {0};
    int status = check_ready_fd(s);
    if (status == CLR_EXIT_OK)
        status = check_root_path(s);
    if (status == CLR_EXIT_OK)
        status = check_preload(s);
    if (status == CLR_EXIT_OK)
        status = prepare_proxy(s);
    if (status == CLR_EXIT_OK)
        status = prepare_affinity(s);
    if (status != CLR_EXIT_OK)
        return status;
    if (clr_listen_prepare(&s->listen, s->options, &err) < 0)
        return complain_error(s, CLR_EXIT_USAGE, &err);
    if (clr_app_resolve(&s->app, s->options->app, s->options->app_dir, &err) < 0)
        return complain_error(s, CLR_EXIT_USAGE, &err);
    if (clr_home_find(&s->home, &err) < 0)
        return complain_error(s, CLR_EXIT_RUNTIME, &err);
    s->public_dir = clr_app_public_dir(&s->app);
    return CLR_EXIT_OK;
}

int clr_serve(const clr_options_t *options)
{
    serve_t *s = clr_xcalloc(1, sizeof(*s));
    s->options = options;
    configure_log(options);
    s->open_files = clr_limits_raise_open_files();
    int status = prepare(s);
    if (status == CLR_EXIT_OK && clr_loop_init(&s->loop) == 0) {
        status = serve_on_loop(s);
        clr_loop_deinit(&s->loop);
    } else if (status == CLR_EXIT_OK) {
        status = complain(s, CLR_EXIT_RUNTIME, CLR_STR("cannot start an event loop"));
    }
    clr_listen_deinit(&s->listen);
    clr_buf_deinit(&s->url);
    clr_buf_deinit(&s->urls);
    clr_python_deinit(&s->python);
    clr_home_deinit(&s->home);
    clr_app_deinit(&s->app);
    clr_proxy_free(s->proxy);
    free(s->public_dir);
    free(s);
    return status;
}
