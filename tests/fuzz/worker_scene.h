/* worker_scene.h: what fuzz_worker.c plays in: a gateway with an innocent worker and its client,
 * one worker that will say what the input says, and what the input's first bytes ask for besides:
 * clients, requests, an upload, a move. Until it is set both workers answer as they should.
 */
#pragma once

#include "gateway/app_ws_fixture.h"
#include "gateway/loans.h"
#include "gateway/migrate.h"
#include "gateway/refresh.h"

#define SERVER_ASKING "{\"kind\":\"socketio\",\"path\":\"/asking\",\"cors\":{\"callable\":true}}"

enum { STREAMS_MAX = 32, CLIENTS_MAX = 16 };

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
    case CLR_FRAME_CLEAR:
        say(f, CLR_FRAME_CLEARED, frame->stream);
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
