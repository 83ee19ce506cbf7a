/* fuzz_worker.c: a worker that says anything, to a gateway with live clients.
 *
 * The first bytes of the input choose what there is for the worker to talk about; then come steps:
 * frames that are well-formed (worker_input.h), frames that are not, any bytes, and what clients,
 * the watchdog and the supervisor do meanwhile. Beyond the sanitizers it checks that the gateway
 * says nothing malformed to any worker, that a client of another worker is served all along, that
 * nothing stays behind when the worker is gone, and that all memory is freed.
 */
#define LOOPBACK_SLEEP_MS 0

#include <signal.h>

#include "base/assert.h"
#include "base/log.h"
#include "gateway/app_ws_fixture.h"
#include "gateway/loans.h"
#include "gateway/migrate.h"
#include "gateway/refresh.h"
#include "worker_input.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SERVER_ASKING "{\"kind\":\"socketio\",\"path\":\"/asking\",\"cors\":{\"callable\":true}}"

enum { STEPS_MAX = 100, STREAMS_MAX = 32, CLIENTS_MAX = 16, SPOKEN_MAX = 256 << 10 };

/* What the first two bytes of the input ask for. */
enum scene {
    SCENE_ACKS = 1,
    SCENE_POLLING = 2,
    SCENE_CONNECTING = 4,
    SCENE_REQUEST = 8,
    SCENE_UPLOAD = 16,
    SCENE_WEBSOCKET = 32,
    SCENE_HANDSHAKE = 64,
    SCENE_MOVE = 128,
    SCENE_ENGINEIO = 256,
    SCENE_ORIGIN = 512,
    SCENE_ENGINEIO_ASKED = 1024,
    SCENE_REFRESH = 2048,
    SCENE_WATCHDOG = 4096,
    SCENE_LOADING = 8192, /* the worker has said nothing yet, and has no client */
    SCENE_COMPRESS = 16384,
};

typedef struct client {
    ws_t ws;
    bool is_websocket;
} client_t;

/* One run. */
typedef struct play {
    fake_t bad;  /* says what the input says */
    fake_t good; /* another worker, and its client */
    ws_t witness;
    client_t clients[CLIENTS_MAX];
    size_t client_count;
    uint64_t streams[STREAMS_MAX]; /* that the bad worker was told of */
    size_t stream_count;
    char sids[4][CLR_ID_LEN + 1];
    int watchdog;  /* -1: none */
    size_t spoken; /* bytes */
} play_t;

static void turn(int count)
{
    for (int i = 0; i < count; i++)
        loopback_turn(&loop);
}

/* ---- what the workers are told ---- */

static void say(fake_t *f, uint8_t type, uint64_t stream)
{
    clr_frame_end(&f->out, clr_frame_begin(&f->out, type, 0, stream));
}

static void say_number(fake_t *f, uint8_t type, uint64_t stream, uint64_t number, size_t bytes)
{
    size_t at = clr_frame_begin(&f->out, type, 0, stream);
    clr_buf_append_le(&f->out, number, bytes);
    clr_frame_end(&f->out, at);
}

static void answer_event(fake_t *f, const clr_frame_t *frame)
{
    clr_reader_t r = clr_reader(frame->payload);
    uint64_t ack = clr_read_u64(&r);
    if (ack != CLR_NO_ACK) {
        size_t at = clr_frame_begin(&f->out, CLR_FRAME_SIO_ACK_REPLY, 0, frame->stream);
        clr_buf_append_le(&f->out, ack, 8);
        clr_write_data(&f->out, CLR_STR("[]"), NULL, 0);
        clr_frame_end(&f->out, at);
    }
}

static void answer_request(fake_t *f, uint64_t stream)
{
    size_t at = clr_frame_begin(&f->out, CLR_FRAME_HTTP_START, CLR_FRAME_END, stream);
    clr_buf_append_le(&f->out, 200, 2);
    clr_write_strs(&f->out, NULL, 0);
    clr_write_str(&f->out, CLR_STR("ok"));
    clr_frame_end(&f->out, at);
}

static void answer_refresh(fake_t *f, const clr_frame_t *frame)
{
    clr_reader_t r = clr_reader(frame->payload);
    size_t at = clr_frame_begin(&f->out, CLR_FRAME_REFRESHED, 0, 0);
    clr_buf_append_le(&f->out, clr_read_u32(&r), 4);
    clr_buf_append_le(&f->out, 1, 1);
    clr_write_str(&f->out, CLR_STR_EMPTY);
    clr_buf_append_le(&f->out, 0, 4);
    clr_write_str(&f->out, CLR_STR_EMPTY);
    clr_frame_end(&f->out, at);
}

/* As a sound worker does, whose handlers end at once. */
static void answer(fake_t *f, const clr_frame_t *frame)
{
    if (clr_frame_is_creditable(frame->type)) {
        clr_page_begin(f->page);
        say_number(f, CLR_FRAME_CREDIT, 0, 1, 4);
    }
    switch (frame->type) {
    case CLR_FRAME_SIO_CONNECT:
    case CLR_FRAME_SIO_RESUME:
        say(f, CLR_FRAME_SIO_ACCEPT, frame->stream);
        break;
    case CLR_FRAME_SIO_EVENT:
        answer_event(f, frame);
        break;
    case CLR_FRAME_EIO_OPEN:
    case CLR_FRAME_EIO_RESUME:
        say(f, CLR_FRAME_EIO_ACCEPT, frame->stream);
        break;
    case CLR_FRAME_ORIGIN_CHECK:
        say_number(f, CLR_FRAME_ORIGIN_RESULT, frame->stream, 1, 1);
        break;
    case CLR_FRAME_HTTP_REQUEST:
        answer_request(f, frame->stream);
        break;
    case CLR_FRAME_WS_OPEN:
        say_number(f, CLR_FRAME_WS_ACCEPT, frame->stream, 0, 6);
        break;
    case CLR_FRAME_HTTP_PIECE:
        clr_page_count_copy(f->page);
        break;
    case CLR_FRAME_MOVE:
        say_number(f, CLR_FRAME_IDLE, frame->stream, 1, 1);
        break;
    case CLR_FRAME_REFRESH:
        answer_refresh(f, frame);
        break;
    default:
        break;
    }
    if (frame->flags & CLR_FRAME_TURN)
        say(f, CLR_FRAME_SIO_NEXT, frame->stream);
}

static void remember(play_t *p, uint64_t stream)
{
    for (size_t i = 0; i < p->stream_count; i++)
        if (p->streams[i] == stream)
            return;
    if (stream != 0 && p->stream_count < STREAMS_MAX)
        p->streams[p->stream_count++] = stream;
}

/* Reads what there is, all of which must be sound, and answers it or lets it be. */
static void take(play_t *p, fake_t *f, bool answers)
{
    clr_frame_t frame;
    int64_t n;
    loopback_receive(f->fd, &f->in);
    clr_str_t rest = clr_str_from(clr_buf_str(&f->in), f->taken);
    f->taken = 0;
    while ((n = clr_frame_decode(rest, 'G', &frame, NULL)) > 0) {
        if (clr_message_check(&frame) != 0)
            TEST_FAIL_("the gateway sent a malformed %s", clr_frame_name(frame.type));
        if (f == &p->bad)
            remember(p, frame.stream);
        if (answers)
            answer(f, &frame);
        rest = clr_str_from(rest, (size_t)n);
    }
    clr_buf_consume(&f->in, f->in.n - rest.n);
    EXPECT(n == 0);
    if (f->out.n > 0)
        fake_flush(f);
}

/* The other worker serves its client: it gets what begins with that. */
static bool is_served(play_t *p, const char *text)
{
    uint8_t first;
    clr_str_t payload;
    take(p, &p->good, true);
    if (!loopback_receive(p->witness.fd, &p->witness.in))
        TEST_FAIL_("the client of another worker lost its connection");
    for (;;) {
        clr_buf_consume(&p->witness.in, p->witness.taken);
        p->witness.taken = 0;
        if (!ws_cut(&p->witness, &first, &payload))
            return false;
        EXPECT(first == 0x81 || first == 0x82);
        if (clr_str_starts(payload, clr_str_c(text)))
            return true;
    }
}

/* ---- the scene ---- */

static ws_t *add_client(play_t *p, bool is_websocket)
{
    EXPECT(p->client_count < CLIENTS_MAX);
    client_t *c = &p->clients[p->client_count++];
    c->is_websocket = is_websocket;
    return &c->ws;
}

static void add_fd(play_t *p, int fd)
{
    add_client(p, false)->fd = fd;
    turn(3);
}

static void open_worker(fake_t *f, unsigned number)
{
    fake_attach(f, number);
    fake_hello(f);
    fake_server(f, 0, SOCKETIO_SERVER);
    fake_server(f, 1, ENGINEIO_SERVER);
    fake_server(f, 2, SERVER_ASKING);
    fake_text(f, CLR_FRAME_APP, 0, 0, "{}");
    fake_simple(f, CLR_FRAME_READY, 0);
    fake_credit(f, 1000);
    LOOPBACK_UNTIL(&loop, -1, f->is_ready);
}

/* Each of these is open when it returns, and nothing else is under way meanwhile. */
static void open_settled(play_t *p, unsigned scene)
{
    fake_t *f = &p->bad;
    /* The first is always there: so the other worker is the one with the fewest clients, and gets
     * the witness. */
    ws_t *ws = add_client(p, true);
    uint64_t stream = ws_join(ws, f, "/", p->sids[0]);
    memcpy(p->sids[3], ws->sid, sizeof(p->sids[3]));
    remember(p, stream);
    fake_text(f, CLR_FRAME_SIO_JOIN, 0, stream, "r");
    if (scene & SCENE_ACKS) {
        stream = ws_join(add_client(p, true), f, "/a", p->sids[1]);
        fake_data(f, CLR_FRAME_SIO_SEND, CLR_FRAME_ACK, stream, 5, "[\"question\"]");
        remember(p, stream);
    }
    if (scene & SCENE_POLLING) {
        poll_open("/socket.io", p->sids[2]);
        expect_answer(poll_post("/socket.io", p->sids[2], "40"), 200, "ok");
        stream = fake_expect(f, CLR_FRAME_SIO_CONNECT).stream;
        fake_simple(f, CLR_FRAME_SIO_ACCEPT, stream);
        add_fd(p, poll_get("/socket.io", p->sids[2]));
        remember(p, stream);
    }
    if (scene & SCENE_ENGINEIO) {
        add_client(p, true)->fd = request("GET", "/engine.io" WS_URL, APP_UPGRADE, NULL);
        stream = fake_expect(f, CLR_FRAME_EIO_OPEN).stream;
        fake_simple(f, CLR_FRAME_EIO_ACCEPT, stream);
        remember(p, stream);
    }
    /* Nothing is owed now: a worker that is silent gets no requests. */
    int handled = (int)p->stream_count;
    fake_begin(f, handled);
    fake_credit(f, (uint32_t)handled);
    if (scene & SCENE_WEBSOCKET)
        remember(p, app_ws_open(f, add_client(p, true)));
    fake_credit(f, scene & SCENE_WEBSOCKET ? 1 : 0);
    if (scene & SCENE_HANDSHAKE)
        remember(p, app_ws_ask(f, add_client(p, true), "").stream);
}

static void upload(play_t *p)
{
    static const char body[40000];
    int fd = request("POST", "/", "Content-Length: 1000000\r\n", NULL);
    loopback_send(&loop, fd, CLR_STR("ab"));
    turn(2);
    loopback_send(&loop, fd, clr_str(body, sizeof(body)));
    add_fd(p, fd);
}

/* What waits for the worker's word. */
static void open_pending(play_t *p, unsigned scene)
{
    if (scene & SCENE_REQUEST)
        add_fd(p, request("GET", "/", "Accept-Encoding: gzip\r\n", NULL));
    if (scene & SCENE_UPLOAD)
        upload(p);
    ws_text(&p->clients[0].ws, "42[\"e\"]");
    if (scene & SCENE_ACKS)
        ws_text(&p->clients[1].ws, "42/a,7[\"e\"]");
    if (scene & SCENE_CONNECTING) {
        ws_t *ws = add_client(p, true);
        ws_open(ws, "/socket.io");
        ws_text(ws, "40");
    }
    if (scene & SCENE_ORIGIN)
        add_fd(p, request("GET", "/asking" POLL_URL, "Origin: https://a\r\n", NULL));
    if (scene & SCENE_ENGINEIO_ASKED)
        add_fd(p, request("GET", "/engine.io" POLL_URL, "", NULL));
}

static void on_sources(clr_str_t directory, uint64_t since_ns, void *ctx)
{
    (void)since_ns;
    EXPECT(ctx == &gw && directory.n < CLR_FRAME_MAX);
}

static void begin_refresh(void)
{
    clr_str_t file = CLR_STR("app.py");
    clr_refresh_begin(&gw, &file, 1, 1);
}

static void open_watchdog(play_t *p)
{
    int fds[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    EXPECT_EQ(clr_worker_watch(p->bad.w, fds[1], 4711), 0);
    p->watchdog = fds[0];
}

static void open_bad(play_t *p, unsigned scene)
{
    fake_t *f = &p->bad;
    if (scene & SCENE_LOADING) {
        fake_attach(f, 1);
        return;
    }
    open_worker(f, 1);
    open_settled(p, scene);
    open_pending(p, scene);
}

static void open_play(play_t *p, unsigned scene)
{
    static const clr_refresh_ops_t refresh_ops = {on_sources};
    fixture_defaults();
    options.ws_max_size = 1 << 20;
    options.handler_timeout_ms = 60000;
    /* Whatever the bad worker declares, the witness keeps the server it has. */
    options.ping_interval_ms = 25000;
    options.ping_timeout_ms = 20000;
    options.max_payload = 100000;
    options.http.body_bytes = 2 << 20;
    options.gzip = scene & SCENE_COMPRESS;
    options.ws_deflate = scene & SCENE_COMPRESS;
    fixture_open(false);
    clr_loans_open(&gw);
    if (scene & SCENE_REFRESH)
        clr_refresh_open(&gw, &refresh_ops, &gw);
    p->watchdog = -1;
    open_bad(p, scene);
    open_worker(&p->good, 2);
    ws_open(&p->witness, "/socket.io");
    ws_text(&p->witness, "40");
    LOOPBACK_UNTIL(&loop, -1, is_served(p, "40{"));
    if (scene & SCENE_WATCHDOG)
        open_watchdog(p);
    if (scene & SCENE_REFRESH)
        begin_refresh();
    if ((scene & SCENE_MOVE) && !(scene & SCENE_LOADING)) {
        clr_eio_server_t *server = clr_eio_server_find(&gw, 0);
        clr_session_move(clr_eio_session_find(server, clr_str(p->sids[3], CLR_ID_LEN)), p->good.w);
    }
    turn(2);
    take(p, &p->bad, false);
}

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
    size_t n = 0;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        out[n++] = clr_str_c(words[i]);
    for (size_t i = 0; i < 4; i++)
        out[n++] = clr_str_c(p->sids[i]);
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
