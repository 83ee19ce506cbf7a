#include "gateway/affinity.h"

#include "eio_fixture.h"

#define WORKERS 8

static fake_t workers[WORKERS];
static clr_affinity_keys_t keys;

static void open_workers(int count, const char *list)
{
    clr_error_t err = {0};
    EXPECT_EQ(clr_affinity_keys_parse(&keys, list, &err), 0);
    fixture_defaults();
    options.affinity = &keys;
    fixture_open(false);
    for (int i = 0; i < count; i++)
        fake_open(&workers[i], (unsigned)i + 1, SOCKETIO_SERVER, 4000);
}

static void close_workers(int count)
{
    for (int i = 0; i < count; i++) {
        if (!workers[i].gone)
            fake_close(&workers[i]);
    }
    fixture_close();
}

static int index_of(const clr_worker_t *w)
{
    for (int i = 0; i < WORKERS; i++) {
        if (w && workers[i].w == w && !workers[i].gone)
            return i;
    }
    return -1;
}

static clr_eio_session_t *session_of(const ws_t *ws)
{
    return clr_eio_session_find(clr_eio_server_find(&gw, 0), clr_str(ws->sid, CLR_ID_LEN));
}

static int worker_of(const ws_t *ws)
{
    LOOPBACK_UNTIL(&loop, -1, session_of(ws)->worker != NULL);
    return index_of(session_of(ws)->worker);
}

/* A client that sends this CONNECT packet; returns its worker. */
static int join(ws_t *ws, const char *packet)
{
    ws_open(ws, "/socket.io");
    ws_text(ws, packet);
    return worker_of(ws);
}

/* One whose handshake has this query and these headers. */
static int join_with(ws_t *ws, const char *query, const char *headers)
{
    char target[200], lines[400];
    uint8_t first;
    *ws = (ws_t){0};
    snprintf(target, sizeof(target), "/socket.io" WS_URL "%s", query);
    snprintf(lines, sizeof(lines),
             "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s",
             headers);
    ws->fd = request("GET", target, lines, NULL);
    EXPECT(loopback_read_text(&loop, ws->fd, &ws->in, "\r\n\r\n"));
    const char *end = memmem(ws->in.p, ws->in.n, "\r\n\r\n", 4);
    clr_buf_consume(&ws->in, (size_t)(end - ws->in.p) + 4);
    copy_sid(ws_receive(ws, &first), ws->sid);
    ws_text(ws, "40");
    return worker_of(ws);
}

static int find(const char *query, const char *name, const char *value)
{
    clr_http_header_t header = {clr_str_c(name), clr_str_c(value)};
    clr_http_head_t head = {
        .query = clr_str_c(query), .headers = &header, .header_count = name ? 1 : 0};
    clr_exchange_t x = {.head = &head};
    return index_of(clr_affinity_find(&gw, &x));
}

static void learn(int worker, const char *name, const char *value)
{
    clr_buf_t out = {0};
    clr_str_t items[] = {clr_str_c("content-type"), clr_str_c("x"), clr_str_c(name),
                         clr_str_c(value)};
    clr_write_strs(&out, items, 4);
    clr_reader_t r = clr_reader(clr_buf_str(&out));
    clr_affinity_learn(&gw, workers[worker].w, clr_read_strs(&r));
    clr_buf_deinit(&out);
}

TEST(sources_are_parsed)
{
    clr_affinity_keys_t out;
    clr_error_t err = {0};
    EXPECT_EQ(clr_affinity_keys_parse(&out, "auth:a, query:b ,cookie:c,header:d", &err), 0);
    EXPECT_EQ(out.count, 4);
    EXPECT_STR_C(out.list[1].name, "b");
    EXPECT_EQ(clr_affinity_keys_parse(&out, "", &err), 0);
    EXPECT_EQ(out.count, 0);
    static const char *const bad[] = {"auth", "auth:", "body:x", "a:x,auth:x"};
    for (size_t i = 0; i < clr_array_len(bad); i++)
        EXPECT(clr_affinity_keys_parse(&out, bad[i], &err) < 0);
    clr_buf_t many = {0};
    for (int i = 0; i <= CLR_AFFINITY_SOURCES; i++)
        clr_buf_printf(&many, "query:q%d,", i);
    clr_buf_putc(&many, '\0');
    EXPECT(clr_affinity_keys_parse(&out, many.p, &err) < 0);
    clr_buf_deinit(&many);
}

TEST(clients_with_a_key_share_a_worker)
{
    open_workers(4, "auth:sessionId");
    ws_t a = {0}, b = {0}, c = {0}, d = {0};
    int first = join(&a, "40{\"x\":[{\"sessionId\":\"no\"}],\"session\\u0049d\":\"k\\u0031\"}");
    int second = join(&b, "40{\"sessionId\":\"k2\"}");
    EXPECT(first != second);
    EXPECT_EQ(join(&c, "40{\"sessionId\":\"k1\"}"), first);
    EXPECT(join(&d, "40") != first);
    EXPECT_EQ(clr_affinity_count(&gw), 2);
    ws_close(&a);
    ws_close(&b);
    ws_close(&c);
    ws_close(&d);
    close_workers(4);
}

TEST(auth_that_has_no_key_is_none)
{
    static const char *const packets[] = {"40",
                                          "40{}",
                                          "40{\"sessionId\":1}",
                                          "40{\"sessionId\":\"\"}",
                                          "40{\"a\":{\"sessionId\":\"x\"}}",
                                          "40{\"a\":\"sessionId\",\"b\":null}"};
    open_workers(2, "auth:sessionId");
    for (size_t i = 0; i < clr_array_len(packets); i++) {
        ws_t ws = {0};
        join(&ws, packets[i]);
        ws_close(&ws);
    }
    EXPECT_EQ(clr_affinity_count(&gw), 0);
    close_workers(2);
}

TEST(keys_are_found_in_query_cookies_and_headers)
{
    open_workers(4, "auth:id,query:sid2,cookie:c,header:X-Key");
    ws_t a = {0}, b = {0}, c = {0}, d = {0};
    int first = join_with(&a, "&sid2=one%2B", "");
    EXPECT_EQ(join_with(&b, "", "Cookie: a=1; c=one+; d=2\r\n"), first);
    EXPECT_EQ(join_with(&c, "", "x-key: one+\r\n"), first);
    EXPECT_EQ(join(&d, "40{\"id\":\"one+\"}"), first);
    EXPECT_EQ(find("sid2=one%2B", NULL, ""), first);
    EXPECT_EQ(find("sid2=one", NULL, ""), -1);
    EXPECT_EQ(find("", "cookie", "c=one+"), first);
    EXPECT_EQ(find("", "x-key", "one+"), first);
    EXPECT_EQ(find("", "x-key", "two"), -1);
    ws_close(&a);
    ws_close(&b);
    ws_close(&c);
    ws_close(&d);
    close_workers(4);
}

TEST(requests_find_the_worker_also_when_the_client_has_left)
{
    open_workers(3, "auth:sessionId,query:session_id");
    ws_t a = {0}, b = {0};
    join(&b, "40");
    int worker = join(&a, "40{\"sessionId\":\"k\"}");
    EXPECT_EQ(find("session_id=k", NULL, ""), worker);
    ws_close(&a);
    LOOPBACK_UNTIL(&loop, -1, clr_eio_servers_session_count(&gw) == 1);
    EXPECT_EQ(find("session_id=k", NULL, ""), worker);
    ws_t again = {0};
    EXPECT_EQ(join(&again, "40{\"sessionId\":\"k\"}"), worker);
    ws_close(&again);
    ws_close(&b);
    close_workers(3);
}

TEST(clients_with_a_key_stay_together_when_their_worker_dies)
{
    open_workers(3, "auth:sessionId,query:session_id");
    ws_t a[4] = {{0}};
    int worker = -1;
    for (int i = 0; i < 4; i++)
        worker = join(&a[i], "40{\"sessionId\":\"k\"}");
    fake_close(&workers[worker]);
    int next = worker_of(&a[0]);
    EXPECT(next != worker);
    for (int i = 0; i < 4; i++)
        EXPECT_EQ(worker_of(&a[i]), next);
    EXPECT_EQ(find("session_id=k", NULL, ""), next);
    for (int i = 0; i < 4; i++)
        ws_close(&a[i]);
    close_workers(3);
}

TEST(who_comes_back_to_a_worker_that_retires_goes_there_and_moves_on)
{
    open_workers(2, "auth:sessionId,query:session_id");
    ws_t a = {0}, again = {0}, stranger = {0};
    int old = join(&a, "40{\"sessionId\":\"k\"}");
    fake_t *f = &workers[old], *next = &workers[1 - old];
    fake_simple(f, CLR_FRAME_SIO_ACCEPT, fake_expect(f, CLR_FRAME_SIO_CONNECT).stream);
    ws_close(&a);
    fake_expect(f, CLR_FRAME_SIO_DISCONNECT);
    clr_worker_retire(f->w);
    EXPECT_EQ(join(&stranger, "40{\"sessionId\":\"other\"}"), 1 - old);
    EXPECT_EQ(join(&again, "40{\"sessionId\":\"k\"}"), old);
    uint64_t stream = fake_expect(f, CLR_FRAME_SIO_CONNECT).stream;
    EXPECT_EQ(fake_expect(f, CLR_FRAME_MOVE).stream, stream);
    fake_simple(f, CLR_FRAME_SIO_ACCEPT, stream);
    size_t at = clr_frame_begin(&f->out, CLR_FRAME_IDLE, 0, stream);
    clr_buf_append_le(&f->out, 1, 1);
    clr_frame_end(&f->out, at);
    fake_flush(f);
    fake_expect(f, CLR_FRAME_DROP);
    fake_expect(next, CLR_FRAME_SIO_CONNECT); /* the stranger's */
    EXPECT_EQ(fake_expect(next, CLR_FRAME_SIO_RESUME).stream, stream);
    EXPECT_EQ(find("session_id=k", NULL, ""), 1 - old);
    ws_close(&again);
    ws_close(&stranger);
    close_workers(2);
}

TEST(a_later_namespace_may_bring_a_key)
{
    open_workers(2, "auth:sessionId,query:session_id");
    ws_t ws = {0};
    int worker = join(&ws, "40");
    ws_text(&ws, "40/b,{\"sessionId\":\"k\"}");
    LOOPBACK_UNTIL(&loop, -1, find("session_id=k", NULL, "") == worker);
    ws_close(&ws);
    close_workers(2);
}

TEST(responses_give_keys_out)
{
    open_workers(2, "header:mcp-session-id");
    learn(1, "MCP-Session-Id", "m");
    learn(0, "x-other", "n");
    EXPECT_EQ(find("", "mcp-session-id", "m"), 1);
    EXPECT_EQ(find("", "mcp-session-id", "n"), -1);
    EXPECT_EQ(clr_affinity_count(&gw), 1);
    close_workers(2);
}

TEST(keys_that_nobody_holds_are_bounded)
{
    char value[CLR_AFFINITY_KEY_MAX + 2];
    open_workers(1, "header:k");
    for (int i = 0; i < CLR_AFFINITY_IDLE_MAX + 100; i++) {
        snprintf(value, sizeof(value), "%d", i);
        learn(0, "k", value);
    }
    EXPECT_EQ(clr_affinity_count(&gw), CLR_AFFINITY_IDLE_MAX);
    EXPECT_EQ(find("", "k", "0"), -1); /* the oldest went */
    EXPECT_EQ(find("", "k", value), 0);
    memset(value, 'x', sizeof(value) - 1);
    value[CLR_AFFINITY_KEY_MAX + 1] = '\0';
    learn(0, "k", value);
    EXPECT_EQ(find("", "k", value), -1); /* too long */
    value[CLR_AFFINITY_KEY_MAX] = '\0';
    learn(0, "k", value);
    EXPECT_EQ(find("", "k", value), 0);
    close_workers(1);
}

TEST(sessions_are_spread_evenly)
{
    static ws_t clients[800];
    uint64_t random = 7;
    open_workers(WORKERS, "auth:sessionId");
    for (int i = 0; i < 800; i++) {
        char packet[60];
        snprintf(packet, sizeof(packet), "40{\"sessionId\":\"s%d\"}", i);
        join(&clients[i], packet);
        if (test_random(&random) % 4 == 0) { /* and some come again */
            ws_close(&clients[i]);
            LOOPBACK_UNTIL(&loop, -1, clr_eio_servers_session_count(&gw) == (size_t)i);
            snprintf(packet, sizeof(packet), "40{\"sessionId\":\"again%d\"}", i);
            join(&clients[i], packet);
        }
    }
    uint32_t least = UINT32_MAX, most = 0;
    for (int i = 0; i < WORKERS; i++) {
        uint32_t n = clr_worker_sessions(workers[i].w);
        least = n < least ? n : least;
        most = n > most ? n : most;
    }
    EXPECT(10 * most <= 11 * least);
    for (int i = 0; i < 800; i++)
        ws_close(&clients[i]);
    close_workers(WORKERS);
}

TEST_MAIN(T(sources_are_parsed), T(clients_with_a_key_share_a_worker),
          T(auth_that_has_no_key_is_none), T(keys_are_found_in_query_cookies_and_headers),
          T(requests_find_the_worker_also_when_the_client_has_left),
          T(clients_with_a_key_stay_together_when_their_worker_dies),
          T(who_comes_back_to_a_worker_that_retires_goes_there_and_moves_on),
          T(a_later_namespace_may_bring_a_key), T(responses_give_keys_out),
          T(keys_that_nobody_holds_are_bounded), T(sessions_are_spread_evenly))
