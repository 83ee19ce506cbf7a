/* fuzz_worker.c: a worker that says anything, to a gateway with live clients.
 *
 * The first bytes of the input choose what there is for the worker to talk about (worker_scene.h);
 * then come steps: frames that are well-formed (worker_input.h), frames that are not, any bytes,
 * and what clients, the watchdog and the supervisor do meanwhile. Beyond the sanitizers it checks
 * that the gateway says nothing malformed to any worker, that a client of another worker is served
 * all along, that nothing stays behind when the worker is gone, and that all memory is freed.
 */
#define LOOPBACK_SLEEP_MS 0

#include <signal.h>

#include "base/assert.h"
#include "base/log.h"
#include "worker_input.h"
#include "worker_scene.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STEPS_MAX = 100, SPOKEN_MAX = 256 << 10 };

/* ---- the steps ---- */

/* What is worth saying in a string; the witness has no name here, or it could be told to go. */
static size_t get_words(const play_t *p, clr_str_t out[64])
{
    static const char *const words[] = {
        "",
        "/",
        "/a",
        "r",
        "[\"e\"]",
        "[]",
        "{}",
        "{\"message\":\"no\"}",
        "[\"e\",{\"_placeholder\":true,\"num\":0}]",
        "[\"token\",\"abc\"]",
        "[1e999,\"\xff\"]",
        SOCKETIO_SERVER,
        ENGINEIO_SERVER,
        SERVER_ASKING,
        "{\"kind\":\"socketio\",\"path\":\"/new\"}",
        "/proc/self/exe",
        "/dev/null",
        "/nowhere",
        "/proc/self/cmdline",
        "content-length",
        "content-type",
        "transfer-encoding",
        "connection",
        "content-encoding",
        "sec-websocket-protocol",
        "5",
        "1000000",
        "chunked",
        "close",
        "text/plain",
        "gzip",
        "a\r\nb: c",
        "upgrade",
        "set-cookie",
        "link",
        "date",
        "vary",
    };
    static const char *const more[] = {
        "{\"folders\":{\"/assets\":\"/proc/self\",\"/a\":\"/\"}}",
        "{\"folders\":{\"/assets\":\"/etc\"}}",
        "{\"folders\":{\"/../a\":\"/\"}}",
    };
    size_t n = 0;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        out[n++] = clr_str_c(words[i]);
    for (size_t i = 0; i < 4; i++)
        out[n++] = clr_str_c(p->sids[i]);
    for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++)
        out[n++] = clr_str_c(more[i]);
    return n;
}

static uint64_t pick_stream(const play_t *p, input_t *in)
{
    uint8_t which = input_u8(in);
    if (which == 0)
        return 0;
    if (which == 255 || p->stream_count == 0)
        return input_number(in);
    return p->streams[(which - 1u) % p->stream_count];
}

static void step_frame(play_t *p, input_t *in, clr_buf_t *out)
{
    clr_str_t words[64];
    size_t count = get_words(p, words);
    uint64_t stream = pick_stream(p, in);
    put_frame(out, in, stream, words, count);
}

/* A frame that is spoiled in one place. */
static void step_spoiled(play_t *p, input_t *in)
{
    clr_buf_t *out = &p->bad.out;
    size_t at = out->n;
    step_frame(p, in, out);
    size_t where = input_u8(in);
    out->p[at + where % (out->n - at)] ^= (char)(input_u8(in) | 1);
}

/* A head that is true, and any payload. */
static void step_payload(play_t *p, input_t *in)
{
    uint64_t stream = pick_stream(p, in);
    uint8_t type = input_u8(in), flags = input_u8(in);
    clr_str_t payload = input_bytes(in, input_u8(in));
    frame_notation(&type);
    size_t at = clr_frame_begin(&p->bad.out, type, 0, stream);
    clr_buf_append_str(&p->bad.out, payload);
    clr_frame_end(&p->bad.out, at);
    p->bad.out.p[at + 5] = (char)flags;
}

static void step_client(play_t *p, input_t *in)
{
    static const char *const packets[] = {
        "42[\"e\"]",
        "42/a,8[\"e\"]",
        "430[1]",
        "43/a,0[1]",
        "41",
        "41/a,",
        "40",
        "40/b,{}",
        "451-[\"e\",{\"_placeholder\":true,\"num\":0}]",
        "3",
        "2",
        "1",
        "hello",
    };
    if (p->client_count == 0)
        return;
    client_t *c = &p->clients[input_u8(in) % p->client_count];
    uint8_t what = input_u8(in);
    if (c->ws.fd < 0)
        return;
    if (what >= 250) {
        ws_close(&c->ws);
        c->ws = (ws_t){.fd = -1};
    } else if (c->is_websocket && what >= 200) {
        ws_binary(&c->ws, "abc");
    } else if (c->is_websocket) {
        ws_text(&c->ws, packets[what % (sizeof(packets) / sizeof(packets[0]))]);
    } else {
        static const char body[30000];
        loopback_send(&loop, c->ws.fd, clr_str(body, what * 100u));
    }
}

/* The page is the worker's to write: it may say there what it likes, too. */
static void step_page(play_t *p, input_t *in)
{
    clr_page_t *page = p->bad.page;
    uint8_t which = input_u8(in);
    uint64_t number = input_number(in);
    atomic_store(which % 3 == 0   ? &page->begun
                 : which % 3 == 1 ? &page->copied
                                  : &page->loads,
                 number);
}

static void step_watchdog(play_t *p, input_t *in)
{
    if (p->watchdog < 0)
        return;
    clr_buf_t out = {0};
    if (input_u8(in) % 4)
        step_frame(p, in, &out);
    else
        clr_buf_append_str(&out, input_bytes(in, input_u8(in)));
    loopback_send(&loop, p->watchdog, clr_buf_str(&out));
    clr_buf_deinit(&out);
}

/* Somebody reads what a folder of the application may have. */
static void read_file(play_t *p, input_t *in)
{
    static const char *const targets[] = {"/assets/status",   "/a/etc/hostname",
                                          "/assets/hostname", "/a/proc/self/maps",
                                          "/assets/../x",     "/assets/none"};
    size_t which = input_u8(in) % (sizeof(targets) / sizeof(targets[0]));
    if (p->client_count < CLIENTS_MAX)
        add_fd(p, request("GET", targets[which], "", NULL));
}

/* What the supervisor does with workers. */
static void step_supervisor(play_t *p, input_t *in)
{
    clr_worker_t *w = p->bad.w;
    switch (input_u8(in) % 8) {
    case 0:
        clr_worker_retire(w);
        break;
    case 1:
        clr_worker_retire(w);
        clr_worker_move_all(w);
        break;
    case 2:
        clr_worker_stop(w, 1000);
        break;
    case 3:
        if (clr_worker_state(w) == CLR_WORKER_LOADING)
            clr_worker_stand_by(w);
        break;
    case 4:
        clr_worker_enlist(w);
        break;
    case 5:
        if (gw.refresh)
            begin_refresh();
        break;
    case 6:
        read_file(p, in);
        break;
    default:
        clr_worker_detach(w);
        break;
    }
}

/* False when the worker is no more. */
static bool step(play_t *p, input_t *in)
{
    uint8_t what = input_u8(in);
    fake_t *f = &p->bad;
    switch (what % 16) {
    case 0:
        clr_buf_append_str(&f->out, input_bytes(in, input_u8(in)));
        break;
    case 1:
        step_payload(p, in);
        break;
    case 2:
        step_spoiled(p, in);
        break;
    case 3:
        step_client(p, in);
        break;
    case 4:
        step_page(p, in);
        break;
    case 5:
        step_watchdog(p, in);
        break;
    case 6:
        step_supervisor(p, in);
        break;
    case 7:
        turn(2);
        take(p, f, true);
        break;
    case 8:
        take(p, &p->good, true);
        break;
    default:
        step_frame(p, in, &f->out);
        break;
    }
    /* Several frames may come in one read. */
    if (what < 128 && f->out.n > 0) {
        p->spoken += f->out.n;
        fake_flush(f);
        turn(1);
    }
    if (!f->gone)
        take(p, f, false);
    return !f->gone && clr_worker_state(f->w) != CLR_WORKER_GONE && p->spoken < SPOKEN_MAX;
}

/* ---- the end ---- */

static void expect_echo(play_t *p)
{
    ws_text(&p->witness, "421[\"echo\"]");
    LOOPBACK_UNTIL(&loop, -1, is_served(p, "431[]"));
    EXPECT(!p->good.gone);
}

static void close_worker(fake_t *f)
{
    close(f->fd);
    LOOPBACK_UNTIL(&loop, -1, f->gone);
    clr_page_drop(f->page);
    clr_arena_unmap(f->arena);
    clr_buf_deinit(&f->in);
    clr_buf_deinit(&f->out);
}

static void close_play(play_t *p)
{
    expect_echo(p);
    close_worker(&p->bad);
    if (p->watchdog >= 0)
        close(p->watchdog);
    expect_echo(p);
    for (size_t i = 0; i < p->client_count; i++)
        if (p->clients[i].ws.fd >= 0)
            ws_close(&p->clients[i].ws);
    LOOPBACK_UNTIL(&loop, -1, (take(p, &p->good, true), app_count() == 0));
    ws_close(&p->witness);
    close_worker(&p->good);
    EXPECT_EQ(clr_loans_count(&gw), 0);
    if (gw.refresh)
        clr_refresh_close(&gw);
    fixture_close();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    clr_log_configure(CLR_LOG_OFF, false);
    signal(SIGPIPE, SIG_IGN);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input_t in = {data, size};
    play_t play = {0};
    unsigned scene = input_u8(&in);
    scene |= (unsigned)input_u8(&in) << 8;
    open_play(&play, scene);
    for (int i = 0; i < STEPS_MAX && in.n > 0 && step(&play, &in); i++)
        ;
    close_play(&play);
    return 0;
}
