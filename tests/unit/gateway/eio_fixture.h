/* eio_fixture.h: a gateway with Engine.IO servers, workers that the test plays over a socket pair,
 * and clients that speak polling and WebSocket over loopback connections.
 */
#pragma once

#include "clrun/version.h"
#include "fixture.h"
#include "gateway/dispatch.h"
#include "gateway/eio_server.h"
#include "gateway/eio_session.h"
#include "link/arena.h"

#define SOCKETIO_SERVER                                                                            \
    "{\"kind\":\"socketio\",\"path\":\"/socket.io\",\"ping_interval_ms\":25000,"                   \
    "\"ping_timeout_ms\":20000,\"max_payload\":100000,\"cors\":\"*\"}"
#define ENGINEIO_SERVER                                                                            \
    "{\"kind\":\"engineio\",\"path\":\"/engine.io\",\"ping_interval_ms\":25000,"                   \
    "\"ping_timeout_ms\":20000,\"max_payload\":100000}"

/* ---- a worker ---- */

typedef struct fake {
    clr_worker_t *w;
    int fd;
    clr_buf_t in;
    size_t taken; /* bytes of the frame returned last */
    clr_buf_t out;
    clr_page_t *page;  /* where a worker counts the frames that it began */
    const char *arena; /* NULL: the gateway has no loans */
    bool gone;
    int gone_reason;
    bool is_ready;
    int given_up;
} fake_t;

static void fake_on_gone(clr_worker_t *w, int reason, void *ctx)
{
    fake_t *f = ctx;
    EXPECT(f->w == w);
    f->gone = true;
    f->gone_reason = reason;
}

static void fake_on_ready(clr_worker_t *w, void *ctx)
{
    fake_t *f = ctx;
    EXPECT(f->w == w);
    f->is_ready = true;
    if (!gw.ready)
        clr_gateway_set_ready(&gw);
}

static void fake_on_given_up(clr_worker_t *w, void *ctx)
{
    fake_t *f = ctx;
    EXPECT(f->w == w);
    f->given_up++;
}

static const clr_worker_ops_t fake_ops = {
    .on_ready = fake_on_ready, .on_given_up = fake_on_given_up, .on_gone = fake_on_gone};

/* Sends what was built in f->out. */
static void fake_flush(fake_t *f)
{
    loopback_send(&loop, f->fd, clr_buf_str(&f->out));
    clr_buf_clear(&f->out);
    loopback_turn(&loop);
}

/* The next frame; its payload is valid until the next call. */
CLR_UNUSED static clr_frame_t fake_frame(fake_t *f)
{
    clr_frame_t frame = {0};
    clr_buf_consume(&f->in, f->taken);
    f->taken = 0;
    int64_t size = 0;
    LOOPBACK_UNTIL(&loop, f->fd,
                   (size = clr_frame_decode(clr_buf_str(&f->in), 'G', &frame, NULL)) != 0 ||
                       (loopback_receive(f->fd, &f->in), false));
    EXPECT(size > 0);
    f->taken = (size_t)size;
    return frame;
}

CLR_UNUSED static clr_frame_t fake_expect(fake_t *f, uint8_t type)
{
    clr_frame_t frame = fake_frame(f);
    if (frame.type != type)
        TEST_FAIL_("frame %s, expected %s", clr_frame_name(frame.type), clr_frame_name(type));
    return frame;
}

/* Some turns later there is still no frame. */
CLR_UNUSED static void fake_expect_nothing(fake_t *f)
{
    clr_frame_t frame;
    clr_buf_consume(&f->in, f->taken);
    f->taken = 0;
    for (int i = 0; i < 20; i++)
        loopback_turn(&loop);
    loopback_receive(f->fd, &f->in);
    if (clr_frame_decode(clr_buf_str(&f->in), 'G', &frame, NULL) > 0)
        TEST_FAIL_("frame %s, expected none", clr_frame_name(frame.type));
}

CLR_UNUSED static void fake_simple(fake_t *f, uint8_t type, uint64_t stream)
{
    clr_frame_end(&f->out, clr_frame_begin(&f->out, type, 0, stream));
    fake_flush(f);
}

CLR_UNUSED static void fake_text(fake_t *f, uint8_t type, uint8_t flags, uint64_t stream,
                                 const char *text)
{
    size_t at = clr_frame_begin(&f->out, type, flags, stream);
    clr_write_str(&f->out, clr_str_c(text));
    clr_frame_end(&f->out, at);
    fake_flush(f);
}

CLR_UNUSED static void fake_credit(fake_t *f, uint32_t count)
{
    size_t at = clr_frame_begin(&f->out, CLR_FRAME_CREDIT, 0, 0);
    clr_buf_append_le(&f->out, count, 4);
    clr_frame_end(&f->out, at);
    fake_flush(f);
}

/* It begins so many more of the frames that cost credit. */
CLR_UNUSED static void fake_begin(fake_t *f, int count)
{
    for (int i = 0; i < count; i++)
        clr_page_begin(f->page);
}

CLR_UNUSED static void fake_server(fake_t *f, uint16_t number, const char *json)
{
    size_t at = clr_frame_begin(&f->out, CLR_FRAME_SERVER, 0, 0);
    clr_buf_append_le(&f->out, number, 2);
    clr_write_str(&f->out, clr_str_c(json));
    clr_frame_end(&f->out, at);
    fake_flush(f);
}

/* An event for one socket (SIO_SEND) or the answer to one (SIO_ACK_REPLY). */
CLR_UNUSED static void fake_data(fake_t *f, uint8_t type, uint8_t flags, uint64_t stream,
                                 uint64_t number, const char *json)
{
    size_t at = clr_frame_begin(&f->out, type, flags, stream);
    clr_buf_append_le(&f->out, number, 8);
    clr_write_data(&f->out, clr_str_c(json), NULL, 0);
    clr_frame_end(&f->out, at);
    fake_flush(f);
}

/* rooms and except: comma-separated, NULL for none. */
static void fake_list(fake_t *f, const char *list)
{
    clr_str_t rest = clr_str_c(list);
    clr_str_t items[16] = {CLR_STR_EMPTY}; /* gcc -O2 does not see that count bounds the use */
    uint16_t count = 0;
    while (list && count < 16 && clr_str_split(&rest, ',', &items[count]))
        count++;
    clr_write_strs(&f->out, items, count);
}

CLR_UNUSED static void fake_emit(fake_t *f, uint8_t flags, const char *nsp, const char *rooms,
                                 const char *except, uint64_t token, const char *json,
                                 const char *attachment)
{
    clr_str_t bytes = clr_str_c(attachment);
    size_t at = clr_frame_begin(&f->out, CLR_FRAME_SIO_EMIT, flags, 0);
    clr_buf_append_le(&f->out, 0, 2);
    clr_write_str(&f->out, clr_str_c(nsp));
    fake_list(f, rooms);
    fake_list(f, except);
    clr_buf_append_le(&f->out, token, 8);
    clr_write_data(&f->out, clr_str_c(json), &bytes, attachment ? 1 : 0);
    clr_frame_end(&f->out, at);
    fake_flush(f);
}

static void fake_hello(fake_t *f)
{
    size_t at = clr_frame_begin(&f->out, CLR_FRAME_HELLO, 0, 0);
    clr_buf_append_le(&f->out, CLR_LINK_VERSION, 4);
    clr_buf_append_le(&f->out, 4711, 4);
    clr_write_str(&f->out, CLR_STR("3.11"));
    clr_write_str(&f->out, CLR_STR("test"));
    clr_frame_end(&f->out, at);
    fake_flush(f);
}

CLR_UNUSED static void fake_attach(fake_t *f, unsigned number)
{
    int fds[2];
    *f = (fake_t){0};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    f->fd = fds[0];
    EXPECT_EQ(clr_worker_attach(&f->w, &gw, fds[1], number, CLR_STR("{}"), &fake_ops, f), 0);
    f->page = clr_page_private();
    loopback_turn(&loop);
    ssize_t n = clr_page_receive(f->fd, clr_buf_reserve(&f->in, 1024), 1024, &f->page, &f->arena);
    EXPECT(n > 0);
    f->in.n += (size_t)n;
    fake_expect(f, CLR_FRAME_CONFIG);
}

/* Attached, with one server, ready, with that much credit. */
CLR_UNUSED static void fake_open(fake_t *f, unsigned number, const char *server, uint32_t credit)
{
    fake_attach(f, number);
    fake_hello(f);
    fake_server(f, 0, server);
    fake_simple(f, CLR_FRAME_READY, 0);
    fake_credit(f, credit);
    LOOPBACK_UNTIL(&loop, -1, f->is_ready);
}

CLR_UNUSED static void fake_wait_gone(fake_t *f)
{
    LOOPBACK_UNTIL(&loop, -1, f->gone);
}

CLR_UNUSED static void fake_close(fake_t *f)
{
    close(f->fd);
    fake_wait_gone(f);
    clr_page_drop(f->page);
    clr_arena_unmap(f->arena);
    clr_buf_deinit(&f->in);
    clr_buf_deinit(&f->out);
}

/* ---- an HTTP client ---- */

typedef struct response {
    int status;
    clr_str_t head;
    clr_str_t body;
    clr_buf_t bytes;
} response_t;

static bool response_is_whole(response_t *r)
{
    char *end = r->bytes.n ? memmem(r->bytes.p, r->bytes.n, "\r\n\r\n", 4) : NULL;
    if (!end)
        return false;
    r->head = clr_str(r->bytes.p, (size_t)(end - r->bytes.p) + 2);
    r->body = clr_str_from(clr_buf_str(&r->bytes), r->head.n + 2);
    r->status = atoi(r->bytes.p + 9);
    const char *length = memmem(r->head.p, r->head.n, "Content-Length: ", 16);
    return r->body.n >= (length ? (size_t)atoi(length + 16) : 0);
}

/* Sends and does not wait. Returns the connection. */
CLR_UNUSED static int request(const char *method, const char *target, const char *headers,
                              const char *body)
{
    clr_buf_t out = {0};
    int fd = fixture_connect();
    clr_buf_printf(&out, "%s %s HTTP/1.1\r\nHost: h\r\n%s", method, target, headers);
    if (body)
        clr_buf_printf(&out, "Content-Length: %zu\r\n", strlen(body));
    clr_buf_printf(&out, "\r\n%s", body ? body : "");
    loopback_send(&loop, fd, clr_buf_str(&out));
    clr_buf_deinit(&out);
    return fd;
}

/* Waits for the answer and closes the connection; response_free() it. */
CLR_UNUSED static response_t response(int fd)
{
    response_t r = {0};
    int open = 1;
    LOOPBACK_UNTIL(&loop, fd, !(open = loopback_receive(fd, &r.bytes)) || response_is_whole(&r));
    EXPECT(response_is_whole(&r));
    close(fd);
    return r;
}

CLR_UNUSED static void response_free(response_t *r)
{
    clr_buf_deinit(&r->bytes);
}

CLR_UNUSED static bool head_has(const response_t *r, const char *line)
{
    return memmem(r->head.p, r->head.n, line, strlen(line)) != NULL;
}

/* Status and, if not NULL, body. */
CLR_UNUSED static void expect_answer(int fd, int status, const char *body)
{
    response_t r = response(fd);
    EXPECT_EQ(r.status, status);
    if (body)
        EXPECT_STR_C(r.body, body);
    response_free(&r);
}

#define POLL_URL "?EIO=4&transport=polling"
#define WS_URL   "?EIO=4&transport=websocket"

/* The value of "sid" in an OPEN packet or CONNECT reply. */
static void copy_sid(clr_str_t text, char sid[CLR_ID_LEN + 1])
{
    const char *at = memmem(text.p, text.n, "\"sid\":\"", 7);
    EXPECT(at != NULL);
    memcpy(sid, at + 7, CLR_ID_LEN);
    sid[CLR_ID_LEN] = '\0';
}

/* A polling session; sid has room for the id and NUL. */
CLR_UNUSED static void poll_open(const char *path, char sid[CLR_ID_LEN + 1])
{
    char target[200];
    snprintf(target, sizeof(target), "%s" POLL_URL, path);
    response_t r = response(request("GET", target, "", NULL));
    EXPECT_EQ(r.status, 200);
    EXPECT(r.body.p[0] == '0');
    copy_sid(r.body, sid);
    response_free(&r);
}

CLR_UNUSED static int poll_get(const char *path, const char *sid)
{
    char target[200];
    snprintf(target, sizeof(target), "%s" POLL_URL "&sid=%s", path, sid);
    int fd = request("GET", target, "", NULL);
    for (int i = 0; i < 5; i++)
        loopback_turn(&loop);
    return fd;
}

CLR_UNUSED static int poll_post(const char *path, const char *sid, const char *body)
{
    char target[200];
    snprintf(target, sizeof(target), "%s" POLL_URL "&sid=%s", path, sid);
    return request("POST", target, "Content-Type: text/plain;charset=UTF-8\r\n", body);
}

/* ---- a WebSocket client ---- */

typedef struct ws {
    int fd;
    clr_buf_t in;
    size_t taken; /* bytes of the message returned last */
    char sid[CLR_ID_LEN + 1];
} ws_t;

static void ws_send(ws_t *ws, uint8_t first, clr_str_t payload)
{
    static const char mask[4] = {0x12, 0x34, 0x56, 0x78};
    clr_buf_t out = {0};
    clr_buf_putc(&out, (char)first);
    if (payload.n < 126) {
        clr_buf_putc(&out, (char)(0x80 | payload.n));
    } else if (payload.n < 65536) {
        clr_buf_putc(&out, (char)(0x80 | 126));
        clr_buf_putc(&out, (char)(payload.n >> 8));
        clr_buf_putc(&out, (char)payload.n);
    } else {
        clr_buf_putc(&out, (char)(0x80 | 127));
        for (int i = 7; i >= 0; i--)
            clr_buf_putc(&out, (char)((uint64_t)payload.n >> (8 * i)));
    }
    clr_buf_append(&out, mask, 4);
    for (size_t i = 0; i < payload.n; i++)
        clr_buf_putc(&out, (char)(payload.p[i] ^ mask[i % 4]));
    loopback_send(&loop, ws->fd, clr_buf_str(&out));
    clr_buf_deinit(&out);
}

CLR_UNUSED static void ws_text(ws_t *ws, const char *text)
{
    ws_send(ws, 0x81, clr_str_c(text));
}

CLR_UNUSED static void ws_binary(ws_t *ws, const char *text)
{
    ws_send(ws, 0x82, clr_str_c(text));
}

static bool ws_cut(ws_t *ws, uint8_t *first, clr_str_t *payload)
{
    const uint8_t *p = (const uint8_t *)ws->in.p;
    if (ws->in.n < 2)
        return false;
    size_t head = 2, n = p[1];
    if (n == 126) {
        head = 4;
        n = ws->in.n >= 4 ? (size_t)p[2] << 8 | p[3] : 0;
    } else if (n == 127) {
        head = 10;
        n = 0;
        for (int i = 2; ws->in.n >= 10 && i < 10; i++)
            n = n << 8 | p[i];
    }
    if (ws->in.n < head + n)
        return false;
    *first = p[0];
    *payload = clr_str(ws->in.p + head, n);
    ws->taken = head + n;
    return true;
}

/* The next frame; first is 0 when the connection ended instead. Valid until the next call. */
static clr_str_t ws_receive(ws_t *ws, uint8_t *first)
{
    clr_str_t payload = CLR_STR_EMPTY;
    int open = 1;
    clr_buf_consume(&ws->in, ws->taken);
    ws->taken = 0;
    *first = 0;
    LOOPBACK_UNTIL(&loop, ws->fd,
                   ws_cut(ws, first, &payload) || !open ||
                       (open = loopback_receive(ws->fd, &ws->in), false));
    return payload;
}

CLR_UNUSED static void ws_expect(ws_t *ws, const char *text)
{
    uint8_t first;
    clr_str_t payload = ws_receive(ws, &first);
    EXPECT_STR_C(payload, text);
    EXPECT_EQ(first, 0x81);
}

CLR_UNUSED static void ws_expect_binary(ws_t *ws, const char *text)
{
    uint8_t first;
    clr_str_t payload = ws_receive(ws, &first);
    EXPECT_EQ(first, 0x82);
    EXPECT_STR_C(payload, text);
}

/* A close frame, at once: no timer of the gateway's is as short as the limit here. */
CLR_UNUSED static void ws_expect_close(ws_t *ws)
{
    uint8_t first;
    uint64_t began = clr_clock_now_ms();
    ws_receive(ws, &first);
    EXPECT_EQ(first, 0x88);
    EXPECT(clr_clock_now_ms() - began < 15000);
}

CLR_UNUSED static void ws_expect_nothing(ws_t *ws)
{
    uint8_t first;
    clr_str_t payload;
    clr_buf_consume(&ws->in, ws->taken);
    ws->taken = 0;
    for (int i = 0; i < 20; i++)
        loopback_turn(&loop);
    loopback_receive(ws->fd, &ws->in);
    if (ws_cut(ws, &first, &payload))
        TEST_FAIL_("received \"%.*s\", expected nothing", CLR_STR_ARG(payload));
}

/* Opens a connection; the 101 is read, what follows is not. */
CLR_UNUSED static void ws_connect(ws_t *ws, const char *target)
{
    *ws = (ws_t){0};
    ws->fd = request("GET", target,
                     "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
                     NULL);
    EXPECT(loopback_read_text(&loop, ws->fd, &ws->in, "\r\n\r\n"));
    EXPECT(buf_has(&ws->in, "HTTP/1.1 101 "));
    const char *end = memmem(ws->in.p, ws->in.n, "\r\n\r\n", 4);
    clr_buf_consume(&ws->in, (size_t)(end - ws->in.p) + 4);
}

/* The same, and reads the OPEN packet. */
CLR_UNUSED static void ws_open(ws_t *ws, const char *path)
{
    char target[200];
    snprintf(target, sizeof(target), "%s" WS_URL, path);
    ws_connect(ws, target);
    uint8_t first;
    clr_str_t open = ws_receive(ws, &first);
    EXPECT_EQ(first, 0x81);
    EXPECT(open.n > 0 && open.p[0] == '0');
    copy_sid(open, ws->sid);
}

CLR_UNUSED static void ws_close(ws_t *ws)
{
    close(ws->fd);
    clr_buf_deinit(&ws->in);
}

/* A WebSocket client connected to a namespace; returns its stream, and its id in sid if not NULL.
 */
CLR_UNUSED static uint64_t ws_join(ws_t *ws, fake_t *f, const char *nsp, char *sid)
{
    bool root = strcmp(nsp, "/") == 0;
    char packet[100];
    snprintf(packet, sizeof(packet), "40%s%s", root ? "" : nsp, root ? "" : ",");
    if (!ws->fd)
        ws_open(ws, "/socket.io");
    ws_text(ws, packet);
    uint64_t stream = fake_expect(f, CLR_FRAME_SIO_CONNECT).stream;
    fake_simple(f, CLR_FRAME_SIO_ACCEPT, stream);
    uint8_t first;
    clr_str_t reply = ws_receive(ws, &first);
    EXPECT(clr_str_starts(reply, clr_str_c(packet)));
    char scratch[CLR_ID_LEN + 1];
    copy_sid(reply, sid ? sid : scratch);
    return stream;
}
