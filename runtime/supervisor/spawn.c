/* spawn.c: one worker process. */
#include "supervisor/spawn.h"

#include <stdio.h>
#include <unistd.h>

#include "clrun/version.h"
#include "proto/json.h"

void clr_spawn_bootstrap(clr_buf_t *out, const char *package, const char *entry)
{
    clr_buf_append_str(out, CLR_STR("import os, sys; sys.path.insert(0, os.fsdecode(b'"));
    for (const unsigned char *p = (const unsigned char *)package; *p; p++) {
        if (*p < 0x20 || *p >= 0x7f || *p == '\'' || *p == '\\')
            clr_buf_printf(out, "\\x%02x", *p);
        else
            clr_buf_putc(out, (char)*p);
    }
    clr_buf_printf(out, "')); from clrun.%s", entry);
}

static void append_member(clr_buf_t *out, const char *name, const char *value)
{
    clr_buf_printf(out, ",\"%s\":", name);
    if (value)
        clr_json_append_string(out, clr_str_c(value));
    else
        clr_buf_append_str(out, CLR_STR("null"));
}

void clr_spawn_config(clr_buf_t *out, const clr_pool_options_t *options, unsigned number)
{
    clr_buf_printf(out, "{\"worker\":%u,\"workers\":%u", number, options->workers);
    append_member(out, "app", options->app->target);
    append_member(out, "attr", options->app->attr);
    append_member(out, "loop", options->loop);
    append_member(out, "log_level", options->log_level);
    append_member(out, "root_path", options->root_path);
    append_member(out, "lifespan", options->lifespan);
    append_member(out, "ui", options->ui);
    clr_buf_printf(out, ",\"factory\":%s", options->factory ? "true" : "false");
    append_member(out, "version", CLR_VERSION);
    clr_buf_printf(out, ",\"graceful_timeout_ms\":%llu,\"spin_us\":%u",
                   (unsigned long long)options->graceful_timeout_ms, options->spin_us);
    if (options->watch)
        clr_buf_append_str(out, CLR_STR(",\"watch\":true"));
    clr_buf_printf(out, ",\"block_warn_ms\":%llu", (unsigned long long)options->block_warn_ms);
    clr_buf_putc(out, '}');
}

/* Starts the worker program with these as its descriptors from 3 on; the second may be -1. */
static int spawn(uv_loop_t *loop, uv_process_t *process, const clr_pool_options_t *options,
                 const char *entry, const int fds[2], uv_exit_cb on_exit)
{
    char parent[16];
    clr_buf_t bootstrap = {0};
    clr_spawn_bootstrap(&bootstrap, options->home->package, entry);
    clr_buf_putc(&bootstrap, 0);
    snprintf(parent, sizeof(parent), "%d", (int)getpid());
    char *library = options->python->library;
    char *args[] = {options->home->worker,       parent,      library ? library : "",
                    options->python->executable, bootstrap.p, NULL};
    /* A worker reading the terminal from its own process group would be stopped by the kernel. */
    uv_stdio_container_t stdio[] = {
        {.flags = UV_IGNORE},
        {.flags = UV_INHERIT_FD, .data.fd = STDOUT_FILENO},
        {.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO},
        {.flags = UV_INHERIT_FD, .data.fd = fds[0]},
        {.flags = UV_INHERIT_FD, .data.fd = fds[1]},
    };
    uv_process_options_t spawn_options = {
        .file = options->home->worker,
        .args = args,
        .cwd = options->app->work_dir,
        .stdio = stdio,
        .stdio_count = (int)clr_array_len(stdio) - (fds[1] < 0),
        .exit_cb = on_exit,
    };
    int rc = uv_spawn(loop, process, &spawn_options);
    clr_buf_deinit(&bootstrap);
    return rc;
}

int clr_spawn_process(uv_loop_t *loop, uv_process_t *process, const clr_pool_options_t *options,
                      int link_fd, int watch_fd, uv_exit_cb on_exit)
{
    return spawn(loop, process, options, "_worker import main; main(3, 4)",
                 (int[2]){link_fd, watch_fd}, on_exit);
}

int clr_spawn_zygote(uv_loop_t *loop, uv_process_t *process, const clr_pool_options_t *options,
                     int control_fd, uv_exit_cb on_exit)
{
    return spawn(loop, process, options, "_preload import main; main(3)", (int[2]){control_fd, -1},
                 on_exit);
}
