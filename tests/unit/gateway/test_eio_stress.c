/* Random clients and random workers, some of them broken: nothing leaks, nothing is used after it
 * is gone, and in the end nothing is left.
 */
#include "base/log.h"
#include "eio_fixture.h"

#define CLIENTS 6
#define WORKERS 2

static uint32_t seed;
static fake_t workers[WORKERS];
static uint64_t streams[WORKERS][64]; /* handles the worker saw last */
static uint32_t seen[WORKERS];

typedef struct client {
    ws_t ws;
    bool is_polling;
    int requests[3]; /* open connections of a polling client */
} client_t;

static client_t clients[CLIENTS];

static uint32_t pick(uint32_t n)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % n;
}

static void turn(void)
{
    loopback_turn(&loop);
}

/* ---- clients ---- */

static const char *const packets[] = {
    "40",
    "40/a,",
    "41",
    "41/a",
    "42[\"e\",1]",
    "42/a,7[\"e\",{}]",
    "421[\"e\"]",
    "431[]",
    "43/a,2[true]",
    "3",
    "3",
    "40{\"t\":1}",
    "6",
    "451-[\"b\",{\"_placeholder\":true,\"num\":0}]",
};
static const char *const bad_packets[] = {"1", "2", "42{}", "x", "", "5", "0", "44{}", "45-[]"};

static const char *pick_packet(void)
{
    if (pick(40) == 0)
        return bad_packets[pick(clr_array_len(bad_packets))];
    return packets[pick(clr_array_len(packets))];
}

static void close_client(client_t *c)
{
    for (size_t i = 0; i < clr_array_len(c->requests); i++) {
        if (c->requests[i] > 0)
            close(c->requests[i]);
    }
    if (c->ws.fd > 0)
        ws_close(&c->ws);
    *c = (client_t){0};
}

static void open_client(client_t *c)
{
    if (pick(2)) {
        ws_open(&c->ws, "/socket.io");
        return;
    }
    c->is_polling = true;
    poll_open("/socket.io", c->ws.sid);
}

static void send_request(client_t *c)
{
    int *slot = &c->requests[pick(clr_array_len(c->requests))];
    if (*slot > 0)
        close(*slot);
    if (pick(3) == 0) {
        char body[200];
        snprintf(body, sizeof(body), "%s\x1e%s", pick_packet(), pick(3) ? pick_packet() : "bYWJj");
        *slot = poll_post("/socket.io", c->ws.sid, body);
    } else {
        *slot = poll_get("/socket.io", c->ws.sid);
    }
}

/* Opens a WebSocket for a polling session; from then on the client writes packets there. */
static void start_upgrade(client_t *c)
{
    char target[200];
    snprintf(target, sizeof(target), "/socket.io" WS_URL "&sid=%s", c->ws.sid);
    c->ws.fd = request("GET", target,
                       "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
                       NULL);
    turn();
    if (pick(4))
        ws_text(&c->ws, "2probe");
    if (pick(4))
        ws_text(&c->ws, "5");
}

static void step_client(client_t *c)
{
    if (c->ws.sid[0] == '\0') {
        open_client(c);
    } else if (pick(30) == 0) {
        close_client(c);
    } else if (c->ws.fd == 0) {
        if (pick(10) == 0)
            start_upgrade(c);
        else
            send_request(c);
    } else if (pick(12) == 0) {
        ws_binary(&c->ws, "abc");
    } else {
        ws_text(&c->ws, pick_packet());
    }
    if (c->ws.fd > 0) {
        loopback_receive(c->ws.fd, &c->ws.in);
        clr_buf_clear(&c->ws.in);
        c->ws.taken = 0;
    }
}

/* ---- workers ---- */

static void read_frames(int i)
{
    fake_t *f = &workers[i];
    clr_frame_t frame;
    int64_t size;
    uint32_t credit = 0;
    size_t at = 0;
    loopback_receive(f->fd, &f->in);
    while ((size = clr_frame_decode(clr_str_from(clr_buf_str(&f->in), at), 'G', &frame, NULL)) >
           0) {
        at += (size_t)size;
        credit++;
        if (frame.type == CLR_FRAME_SIO_CONNECT)
            streams[i][seen[i]++ % 64] = frame.stream;
    }
    EXPECT_EQ(size, 0);
    clr_buf_consume(&f->in, at);
    if (credit)
        fake_credit(f, credit);
}

/* A frame that a sound worker may send at any time: late ones are normal. */
static void send_frame(int i)
{
    static const char *const rooms[] = {NULL, "r", "s", "r,s"};
    fake_t *f = &workers[i];
    uint64_t stream = streams[i][pick(64)];
    switch (pick(12)) {
    case 0:
    case 1:
    case 2:
        fake_simple(f, CLR_FRAME_SIO_ACCEPT, stream);
        break;
    case 3:
        fake_text(f, CLR_FRAME_SIO_REFUSE, 0, stream, "{\"message\":\"no\"}");
        break;
    case 4:
        fake_data(f, CLR_FRAME_SIO_SEND, (uint8_t)(pick(4) * 2), stream, 5, "[\"s\"]");
        break;
    case 5:
        fake_data(f, CLR_FRAME_SIO_ACK_REPLY, 0, stream, 7, "[]");
        break;
    case 6:
        fake_simple(f, CLR_FRAME_SIO_KICK, stream);
        break;
    case 7:
        fake_text(f, CLR_FRAME_SIO_JOIN, 0, stream, pick(2) ? "r" : "s");
        break;
    case 8:
        fake_text(f, CLR_FRAME_SIO_LEAVE, 0, stream, pick(2) ? "r" : "s");
        break;
    case 9:
        fake_text(f, CLR_FRAME_SIO_ABORT, 0, stream, "why");
        break;
    default:
        fake_emit(f, (uint8_t)(pick(4) * 2), pick(2) ? "/" : "/a", rooms[pick(4)],
                  pick(3) ? NULL : "s", 9, "[\"all\"]", pick(3) ? NULL : "attached");
        break;
    }
}

static void step_worker(int i)
{
    read_frames(i);
    send_frame(i);
    if (pick(300) == 0) { /* dies, and is started again */
        fake_close(&workers[i]);
        fake_open(&workers[i], (unsigned)i + 1, SOCKETIO_SERVER, pick(30));
    }
}

static void finish(void)
{
    for (int i = 0; i < CLIENTS; i++)
        close_client(&clients[i]);
    for (int i = 0; i < WORKERS; i++)
        fake_close(&workers[i]);
    clr_eio_servers_shutdown(&gw);
    fixture_close();
}

TEST(random_clients_and_workers_leave_nothing_behind)
{
    clr_log_configure(CLR_LOG_OFF, false);
    for (seed = 1; seed < 4;) {
        uint32_t round = seed;
        fixture_open(false);
        for (int i = 0; i < WORKERS; i++)
            fake_open(&workers[i], (unsigned)i + 1, SOCKETIO_SERVER, 20);
        for (int step = 0; step < 6000; step++) {
            step_client(&clients[pick(CLIENTS)]);
            step_worker((int)pick(WORKERS));
        }
        finish();
        seed = round + 1;
    }
}

/* Valid frames with a few bytes changed: refused or done, and harmless either way. */
TEST(damaged_frames_of_a_worker_are_harmless)
{
    clr_log_configure(CLR_LOG_OFF, false);
    seed = 99;
    fixture_open(false);
    fake_open(&workers[1], 2, SOCKETIO_SERVER, 1000);
    for (int round = 0; round < 400; round++) {
        fake_t *f = &workers[0];
        fake_open(f, 1, SOCKETIO_SERVER, 1000);
        for (int i = 0; i < 20 && !f->gone; i++) {
            size_t at = clr_frame_begin(&f->out, CLR_FRAME_SIO_EMIT, 0, pick(3));
            f->out.p[at + 4] = (char)(CLR_FRAME_HELLO + pick(CLR_FRAME_STOPPED - 63));
            f->out.p[at + 5] = (char)(pick(4) ? 0 : pick(8));
            clr_buf_append_le(&f->out, pick(3), 2);
            clr_write_str(&f->out, pick(2) ? CLR_STR("/") : CLR_STR("x"));
            clr_write_strs(&f->out, NULL, 0);
            clr_write_strs(&f->out, NULL, 0);
            clr_buf_append_le(&f->out, pick(3), 8);
            clr_write_data(&f->out, CLR_STR("[\"e\"]"), NULL, 0);
            clr_frame_end(&f->out, at);
            for (uint32_t n = pick(3); n > 0; n--)
                f->out.p[CLR_FRAME_HEAD_SIZE + pick((uint32_t)f->out.n - CLR_FRAME_HEAD_SIZE)] ^=
                    (char)(1 << pick(8));
            fake_flush(f);
        }
        fake_close(f);
    }
    EXPECT(!workers[1].gone);
    fake_close(&workers[1]);
    fixture_close();
}

TEST_MAIN(T(random_clients_and_workers_leave_nothing_behind),
          T(damaged_frames_of_a_worker_are_harmless))
