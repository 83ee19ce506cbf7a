/* refresh.c: new code for workers that go on. */
#include "gateway/refresh.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "gateway/sio_emit.h"
#include "proto/json.h"

#define LOG "refresh"

/* A refresh that takes longer is worth a line. */
#define SLOW_MS 2000

/* A failure is reported when nothing was saved for so long after it. */
#define SETTLE_MS 50

/* More is no path and no traceback. */
#define PATH_BYTES 4096
#define TEXT_BYTES (64u << 10)

struct clr_refresh {
    clr_gateway_t *gw;
    const clr_refresh_ops_t *ops;
    void *ctx;
    uint32_t number; /* of the last refresh; 0: none yet */
    bool reported;   /* that one was */
    uint64_t begun_ns;
    bool expected; /* the next one begins soon */
    clr_timer_t slow;
    clr_timer_t settle; /* a failure is about to be reported */
    clr_buf_t file;     /* and where … */
    uint32_t line;
    clr_buf_t text;  /* … and what is wrong */
    clr_buf_t names; /* "app.py, lib/x.py and 3 more" */
    clr_buf_t list;  /* the same as a JSON array */
};

/* ---- telling the clients ---- */

static void emit_to(clr_sio_nsp_t *nsp, clr_str_t json)
{
    clr_data_t data = {.json = json};
    clr_sio_emit_t emit = {.nsp = nsp};
    clr_sio_packet_out_t packet;
    clr_sio_packet_out_init(&packet, nsp->server, CLR_SIO_EVENT, clr_sio_nsp_name(nsp), &data);
    clr_sio_emit(&emit, &packet);
    clr_sio_packet_out_deinit(&packet);
}

static void tell_clients(const clr_refresh_t *r, clr_str_t json)
{
    clr_list_each(node, &r->gw->servers)
    {
        clr_eio_server_t *server = clr_container_of(node, clr_eio_server_t, node_);
        clr_sio_nsp_t *nsp =
            server->config.is_socketio ? clr_sio_nsp_find(server, CLR_STR("/")) : NULL;
        if (nsp)
            emit_to(nsp, json);
    }
}

/* ---- reporting ---- */

static void report_success(const clr_refresh_t *r)
{
    clr_buf_t json = {0};
    unsigned ms = (unsigned)((uv_hrtime() - r->begun_ns) / 1000000);
    clr_log_info(LOG, "refreshed %.*s in %u ms", CLR_STR_ARG(clr_buf_str(&r->names)), ms);
    clr_buf_printf(&json, "[\"clrun:refresh\",{\"ok\":true,\"files\":%.*s}]",
                   CLR_STR_ARG(clr_buf_str(&r->list)));
    tell_clients(r, clr_buf_str(&json));
    clr_buf_deinit(&json);
}

static void log_failure(const clr_refresh_t *r, clr_str_t text)
{
    clr_buf_t out = {0};
    clr_buf_printf(&out, "%.*s: the app goes on as it was\n", CLR_STR_ARG(clr_buf_str(&r->names)));
    clr_buf_append_str(&out, text);
    clr_log_text(CLR_LOG_ERROR, LOG, clr_buf_str(&out));
    clr_buf_deinit(&out);
}

static void tell_failure(const clr_refresh_t *r, clr_str_t file, uint32_t line, clr_str_t text)
{
    clr_buf_t out = {0};
    clr_buf_append_str(&out, CLR_STR("[\"clrun:refresh\",{\"ok\":false,\"file\":"));
    clr_json_append_string(&out, file);
    clr_buf_printf(&out, ",\"line\":%u,\"text\":", line);
    clr_json_append_string(&out, text);
    clr_buf_append_str(&out, CLR_STR("}]"));
    tell_clients(r, clr_buf_str(&out));
    clr_buf_deinit(&out);
}

/* How many workers the refresh is still under way in. */
static unsigned count_behind(const clr_refresh_t *r)
{
    unsigned n = 0;
    for (clr_worker_t *w = NULL; (w = clr_dispatch_next(r->gw, w));)
        n += clr_worker_refresh(w)->answered != clr_worker_refresh(w)->asked;
    return n;
}

static void check_done(clr_refresh_t *r)
{
    if (r->reported || r->expected || count_behind(r) > 0)
        return;
    clr_timer_stop(&r->slow);
    r->reported = true;
    report_success(r);
}

static void on_settle(clr_timer_t *t)
{
    const clr_refresh_t *r = clr_container_of(t, clr_refresh_t, settle);
    log_failure(r, clr_buf_str(&r->text));
    tell_failure(r, clr_buf_str(&r->file), r->line, clr_buf_str(&r->text));
}

/* The first worker that says so is enough. */
static void fail(clr_refresh_t *r, clr_str_t file, uint32_t line, clr_str_t text)
{
    clr_timer_stop(&r->slow);
    r->reported = true;
    clr_buf_clear(&r->file);
    clr_buf_append_str(&r->file, file);
    r->line = line;
    clr_buf_clear(&r->text);
    clr_buf_append_str(&r->text, text);
    clr_loop_timer_start(r->gw->loop, &r->settle, SETTLE_MS);
}

static void on_slow(clr_timer_t *t)
{
    const clr_refresh_t *r = clr_container_of(t, clr_refresh_t, slow);
    clr_log_warn(LOG, "%.*s: %u worker%s busy, the new code is for later",
                 CLR_STR_ARG(clr_buf_str(&r->names)), count_behind(r),
                 count_behind(r) == 1 ? " is" : "s are");
}

/* ---- asking ---- */

static void ask(const clr_refresh_t *r, clr_worker_t *w)
{
    clr_refresh_state_t *state = clr_worker_refresh(w);
    if (state->asked != state->answered || clr_worker_state(w) >= CLR_WORKER_STOPPING)
        return;
    state->asked = r->number;
    clr_buf_append_le(clr_worker_begin(w, CLR_FRAME_REFRESH, 0, 0), r->number, 4);
    clr_worker_end(w);
}

static void name_files(clr_refresh_t *r, const clr_str_t *files, size_t count, size_t total)
{
    clr_buf_clear(&r->names);
    clr_buf_clear(&r->list);
    for (size_t i = 0; i < count; i++) {
        clr_buf_append_str(&r->names, i ? CLR_STR(", ") : CLR_STR_EMPTY);
        clr_buf_append_str(&r->names, files[i]);
        clr_buf_putc(&r->list, i ? ',' : '[');
        clr_json_append_string(&r->list, files[i]);
    }
    if (total > count)
        clr_buf_printf(&r->names, " and %zu more", total - count);
    clr_buf_append_str(&r->list, count ? CLR_STR("]") : CLR_STR("[]"));
}

void clr_refresh_begin(clr_gateway_t *gw, const clr_str_t *files, size_t count, size_t total)
{
    clr_refresh_t *r = gw->refresh;
    clr_refresh_begin_elsewhere(gw, files, count, total);
    clr_timer_stop(&r->settle);
    r->number++;
    r->reported = r->expected = false;
    clr_loop_timer_start(gw->loop, &r->slow, SLOW_MS);
    for (clr_worker_t *w = NULL; (w = clr_dispatch_next(gw, w));)
        ask(r, w);
    check_done(r);
}

void clr_refresh_expect(clr_gateway_t *gw)
{
    clr_timer_stop(&gw->refresh->settle);
    gw->refresh->expected = true;
}

void clr_refresh_begin_elsewhere(clr_gateway_t *gw, const clr_str_t *files, size_t count,
                                 size_t total)
{
    name_files(gw->refresh, files, count, total);
    gw->refresh->begun_ns = uv_hrtime();
}

void clr_refresh_conclude(clr_gateway_t *gw, bool ok, clr_str_t text)
{
    if (ok)
        report_success(gw->refresh);
    else
        tell_failure(gw->refresh, CLR_STR_EMPTY, 0, text);
}

/* ---- answers ---- */

static int on_sources(const clr_refresh_t *r, const clr_frame_t *frame)
{
    clr_reader_t reader = clr_reader(frame->payload);
    uint64_t since = clr_read_u64(&reader);
    clr_str_t directory = clr_read_str(&reader);
    if (clr_reader_done(&reader) != 0 || directory.n == 0 || directory.n >= PATH_BYTES ||
        directory.p[0] != '/' || clr_str_chr(directory, '\0') >= 0)
        return CLR_EPROTO;
    r->ops->on_sources(directory, since, r->ctx);
    return 0;
}

static int on_refreshed(clr_refresh_t *r, clr_worker_t *w, const clr_frame_t *frame)
{
    clr_refresh_state_t *state = clr_worker_refresh(w);
    clr_reader_t reader = clr_reader(frame->payload);
    uint32_t number = clr_read_u32(&reader);
    uint8_t ok = clr_read_u8(&reader);
    clr_str_t file = clr_read_str(&reader);
    uint32_t line = clr_read_u32(&reader);
    clr_str_t text = clr_read_str(&reader);
    if (clr_reader_done(&reader) != 0 || ok > 1 || file.n > PATH_BYTES || text.n > TEXT_BYTES ||
        number != state->asked || state->asked == state->answered)
        return CLR_EPROTO;
    state->answered = number;
    if (number != r->number) {
        ask(r, w); /* something was saved meanwhile: what comes of that counts */
        return 0;
    }
    if (!ok && !r->reported && !r->expected)
        fail(r, file, line, text);
    check_done(r);
    return 0;
}

int clr_refresh_frame(clr_gateway_t *gw, clr_worker_t *w, const clr_frame_t *frame)
{
    if (!gw->refresh)
        return CLR_EPROTO;
    if (frame->type == CLR_FRAME_SOURCES)
        return on_sources(gw->refresh, frame);
    return on_refreshed(gw->refresh, w, frame);
}

void clr_refresh_worker_gone(clr_gateway_t *gw)
{
    if (gw->refresh && gw->refresh->number)
        check_done(gw->refresh);
}

/* ---- life ---- */

void clr_refresh_open(clr_gateway_t *gw, const clr_refresh_ops_t *ops, void *ctx)
{
    clr_refresh_t *r = clr_xcalloc(1, sizeof(*r));
    r->gw = gw;
    r->ops = ops;
    r->ctx = ctx;
    r->reported = true;
    clr_timer_init(&r->slow, on_slow);
    clr_timer_init(&r->settle, on_settle);
    gw->refresh = r;
}

void clr_refresh_close(clr_gateway_t *gw)
{
    clr_refresh_t *r = gw->refresh;
    if (!r)
        return;
    clr_timer_stop(&r->slow);
    clr_timer_stop(&r->settle);
    clr_buf_deinit(&r->file);
    clr_buf_deinit(&r->text);
    clr_buf_deinit(&r->names);
    clr_buf_deinit(&r->list);
    free(r);
    gw->refresh = NULL;
}
