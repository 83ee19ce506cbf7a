/* Streams that speak TLS, against OpenSSL's client. */
#include "net/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "certificate.h"
#include "net/stream_internal.h"
#include "stream_fixture.h"

static clr_tls_context_t *context;
static certificate_t certificate;

static int fd = -1;
static SSL_CTX *client_ctx;
static SSL *client;
static int records; /* of application data, as the client saw them */

static bool on_connection(uv_stream_t *handle, void *ctx)
{
    (void)ctx;
    EXPECT_EQ(clr_stream_accept(&stream, &loop, handle, &ops), 0);
    EXPECT(clr_stream_is_secure(&stream));
    clr_stream_read_start(&stream);
    accepted++;
    return true;
}

/* --- the fixture --- */

static void on_message(int sent, int version, int type, const void *bytes, size_t n, SSL *ssl,
                       void *ctx)
{
    (void)version;
    (void)ssl;
    (void)ctx;
    if (!sent && type == SSL3_RT_HEADER && n > 0 &&
        *(const unsigned char *)bytes == SSL3_RT_APPLICATION_DATA)
        records++;
}

/* A listener with TLS and a connected socket, which has not sent anything. */
static void setup(uint64_t handshake_timeout_ms)
{
    clr_error_t err = {0};
    certificate_make(&certificate, "localhost");
    clr_tls_options_t options = {.cert_file = certificate.cert,
                                 .key_file = certificate.key,
                                 .handshake_timeout_ms = handshake_timeout_ms};
    EXPECT_EQ(clr_loop_init(&loop), 0);
    EXPECT_EQ(clr_tls_context_new(&context, &options, &err), 0);
    clr_listener_spec_t spec = {.kind = CLR_LISTENER_TCP, .host = "127.0.0.1", .tls = context};
    EXPECT_EQ(clr_listener_open(&listener, &loop, &spec, on_connection, NULL, &err), 0);
    fd = loopback_connect(clr_listener_port(listener));
    LOOPBACK_UNTIL(&loop, -1, accepted);
    client_ctx = SSL_CTX_new(TLS_client_method());
}

static const clr_tls_t *tls_of(void)
{
    return (const clr_tls_t *)(const void *)stream.tls_;
}

static void handshake(int max_version)
{
    client = SSL_new(client_ctx);
    SSL_set_max_proto_version(client, max_version);
    SSL_set_fd(client, fd);
    SSL_set_connect_state(client);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    LOOPBACK_UNTIL(&loop, fd, SSL_do_handshake(client) == 1);
    LOOPBACK_UNTIL(&loop, -1, tls_of()->state == CLR_TLS_OPEN);
    SSL_set_msg_callback(client, on_message);
}

static void teardown(void)
{
    clr_stream_close(&stream);
    clr_listener_close(listener);
    LOOPBACK_UNTIL(&loop, -1, closed);
    clr_loop_deinit(&loop);
    clr_tls_context_free(context);
    SSL_free(client);
    SSL_CTX_free(client_ctx);
    clr_buf_deinit(&received);
    certificate_remove(&certificate);
    EXPECT_EQ(closed, 1);
    close(fd);
}

/* What there is to read is appended. False at the end or an error. */
static bool client_receive(clr_buf_t *out)
{
    char chunk[30000];
    size_t n = 0;
    while (SSL_read_ex(client, chunk, sizeof(chunk), &n))
        clr_buf_append(out, chunk, n);
    return SSL_want_read(client) && !(SSL_get_shutdown(client) & SSL_RECEIVED_SHUTDOWN);
}

static void client_read(clr_buf_t *out, size_t n)
{
    LOOPBACK_UNTIL(&loop, fd, !client_receive(out) || out->n >= n);
}

static void client_send(clr_str_t bytes)
{
    size_t n;
    SSL_set_mode(client, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    uint64_t until = clr_clock_now_ms() + LOOPBACK_DEADLINE_MS;
    while (bytes.n > 0 && clr_clock_now_ms() < until) {
        if (SSL_write_ex(client, bytes.p, bytes.n, &n))
            bytes = clr_str_from(bytes, n);
        loopback_turn(&loop);
    }
    EXPECT_EQ(bytes.n, 0);
}

static char *pattern(size_t n)
{
    char *bytes = malloc(n);
    uint64_t state = 1;
    for (size_t i = 0; i < n; i++)
        bytes[i] = (char)(test_random(&state) >> 56);
    return bytes;
}

/* --- data --- */

static void exchange_data(int version)
{
    enum { SIZE = 3 << 20 };
    setup(0);
    handshake(version);
    char *bytes = pattern(SIZE);
    client_send(clr_str(bytes, SIZE));
    LOOPBACK_UNTIL(&loop, -1, received.n == SIZE);
    EXPECT(memcmp(received.p, bytes, SIZE) == 0);

    clr_buf_t got = {0};
    clr_shared_t *shared = clr_shared_new(SIZE / 2);
    memcpy(shared->data, bytes + SIZE / 2, SIZE / 2);
    shared->len = SIZE / 2;
    clr_stream_write(&stream, clr_str(bytes, 7));
    clr_stream_write(&stream, clr_str(bytes + 7, SIZE / 2 - 7));
    clr_stream_write_shared(&stream, shared, 0, shared->len);
    clr_stream_reserve(&stream, 50000);
    clr_stream_commit(&stream, 0);
    EXPECT_EQ(clr_stream_pending(&stream), SIZE);
    client_read(&got, SIZE);
    EXPECT_EQ(got.n, SIZE);
    EXPECT(memcmp(got.p, bytes, SIZE) == 0);
    EXPECT(records <= SIZE / 16384 + 10); /* full ones */
    LOOPBACK_UNTIL(&loop, -1, clr_stream_pending(&stream) == 0);
    EXPECT(clr_shared_is_sole(shared));
    clr_shared_unref(shared);
    clr_buf_deinit(&got);
    free(bytes);
    teardown();
}

TEST(tls_1_3_carries_data_both_ways)
{
    exchange_data(TLS1_3_VERSION);
}

TEST(tls_1_2_carries_data_both_ways)
{
    exchange_data(TLS1_2_VERSION);
}

TEST(tls_gathers_the_pieces_of_a_turn_in_one_record)
{
    setup(0);
    handshake(TLS1_2_VERSION);
    clr_buf_t got = {0}, expected = {0};
    clr_shared_t *shared = clr_shared_new(1000);
    memset(shared->data, 's', 1000);
    shared->len = 1000;
    for (int i = 0; i < 10; i++) {
        clr_stream_write(&stream, CLR_STR("small"));
        clr_stream_write_shared(&stream, shared, 0, 1000);
        clr_buf_append_str(&expected, CLR_STR("small"));
        clr_buf_append_str(&expected, clr_shared_str(shared));
    }
    client_read(&got, expected.n);
    EXPECT_STR(clr_buf_str(&got), clr_buf_str(&expected));
    EXPECT_EQ(records, 1);
    clr_shared_unref(shared);
    clr_buf_deinit(&got);
    clr_buf_deinit(&expected);
    teardown();
}

TEST(tls_sends_files)
{
    enum { SIZE = 500000 };
    setup(0);
    handshake(TLS1_3_VERSION);
    char *bytes = pattern(SIZE);
    clr_buf_t got = {0};
    FILE *file = tmpfile();
    EXPECT_EQ(fwrite(bytes, 1, SIZE, file), SIZE);
    EXPECT_EQ(fflush(file), 0);
    clr_stream_write(&stream, CLR_STR("head"));
    clr_stream_write_file(&stream, dup(fileno(file)), 100, SIZE - 100);
    clr_stream_write(&stream, CLR_STR("tail"));
    client_read(&got, SIZE - 100 + 8);
    EXPECT(memcmp(got.p, "head", 4) == 0);
    EXPECT(memcmp(got.p + 4, bytes + 100, SIZE - 100) == 0);
    EXPECT(memcmp(got.p + 4 + SIZE - 100, "tail", 4) == 0);
    fclose(file);
    free(bytes);
    clr_buf_deinit(&got);
    teardown();
}

/* Plaintext is put where ciphertext was: a record that began in an earlier read must not push it
 * over what has not been read yet. */
TEST(tls_input_may_be_cut_anywhere)
{
    enum { SIZE = 160000 };
    static const size_t cuts[] = {1, 4, 5, 6, 16383, 16406, 16407, 16410, 32000};
    setup(0);
    handshake(TLS1_3_VERSION);
    char *bytes = pattern(SIZE);
    BIO *wire = BIO_new(BIO_s_mem());
    SSL_set0_wbio(client, wire);
    for (size_t i = 0; i < clr_array_len(cuts); i++) {
        char *sealed;
        size_t n;
        EXPECT(SSL_write_ex(client, bytes, SIZE, &n));
        size_t total = (size_t)BIO_get_mem_data(wire, &sealed);
        clr_buf_clear(&received);
        loopback_send(&loop, fd, clr_str(sealed, cuts[i]));
        for (int turn = 0; turn < 3; turn++)
            loopback_turn(&loop);
        /* All in one read, if the socket takes it at once. */
        loopback_send(&loop, fd, clr_str(sealed + cuts[i], total - cuts[i]));
        LOOPBACK_UNTIL(&loop, -1, received.n >= SIZE);
        EXPECT_EQ(received.n, SIZE);
        EXPECT(memcmp(received.p, bytes, SIZE) == 0);
        (void)BIO_reset(wire);
    }
    EXPECT_EQ(ended, 0);
    free(bytes);
    teardown();
}

TEST(tls_reports_a_stalled_reader_and_its_recovery)
{
    setup(0);
    handshake(TLS1_3_VERSION);
    static char block[100000];
    size_t total = 0;
    while (stalls == 0 || clr_stream_pending(&stream) < sizeof(block)) {
        clr_stream_write(&stream, clr_str(block, sizeof(block)));
        total += sizeof(block);
        loopback_turn(&loop);
    }
    clr_stream_write(&stream, CLR_STR("tail"));
    loopback_turn(&loop);
    EXPECT(clr_stream_pending(&stream) > 4);
    EXPECT_EQ(drains, 0);
    clr_buf_t got = {0};
    client_read(&got, total + 4);
    EXPECT(memcmp(got.p + total, "tail", 4) == 0);
    LOOPBACK_UNTIL(&loop, -1, drains == 1);
    clr_buf_deinit(&got);
    teardown();
}

TEST(tls_idle_holds_no_buffer)
{
    setup(0);
    handshake(TLS1_3_VERSION);
    clr_buf_t got = {0};
    client_send(CLR_STR("ping"));
    LOOPBACK_UNTIL(&loop, -1, received.n == 4);
    clr_stream_write(&stream, CLR_STR("pong"));
    client_read(&got, 4);
    const clr_tls_t *tls = tls_of();
    EXPECT_EQ(tls->state, CLR_TLS_OPEN);
    EXPECT_EQ(tls->held.cap, 0);
    EXPECT(clr_outq_is_empty(&stream.out_));
    clr_buf_deinit(&got);
    teardown();
}

/* --- ends --- */

TEST(tls_close_flushed_says_that_nothing_follows)
{
    enum { SIZE = 1 << 20 };
    setup(0);
    handshake(TLS1_3_VERSION);
    char *bytes = pattern(SIZE);
    clr_stream_write(&stream, clr_str(bytes, SIZE));
    clr_stream_close_flushed(&stream, 10000);
    clr_buf_t got = {0};
    client_read(&got, SIZE + 1);
    EXPECT_EQ(got.n, SIZE);
    EXPECT(SSL_get_shutdown(client) & SSL_RECEIVED_SHUTDOWN);
    EXPECT_EQ(closed, 0); /* waits for our end of file */
    EXPECT_EQ(send(fd, "dropped", 7, 0), 7);
    shutdown(fd, SHUT_WR);
    LOOPBACK_UNTIL(&loop, -1, closed);
    EXPECT_EQ(ended, 0);
    free(bytes);
    clr_buf_deinit(&got);
    teardown();
}

TEST(tls_peers_close_is_an_end_of_file)
{
    setup(0);
    handshake(TLS1_3_VERSION);
    size_t n;
    EXPECT(SSL_write_ex(client, "bye", 3, &n));
    SSL_shutdown(client);
    LOOPBACK_UNTIL(&loop, -1, ended);
    EXPECT_EQ(end_status, 0);
    EXPECT_STR_C(clr_buf_str(&received), "bye");
    clr_stream_write(&stream, CLR_STR("good bye"));
    clr_stream_close_flushed(&stream, 10000);
    clr_buf_t got = {0};
    client_read(&got, 100);
    EXPECT_STR_C(clr_buf_str(&got), "good bye");
    shutdown(fd, SHUT_WR);
    LOOPBACK_UNTIL(&loop, -1, closed);
    EXPECT_EQ(ended, 1);
    clr_buf_deinit(&got);
    teardown();
}

TEST(tls_bare_end_of_file_is_one)
{
    setup(0);
    handshake(TLS1_3_VERSION);
    shutdown(fd, SHUT_WR);
    LOOPBACK_UNTIL(&loop, -1, ended);
    EXPECT_EQ(end_status, 0);
    teardown();
}

TEST(tls_broken_record_ends_the_stream)
{
    setup(0);
    handshake(TLS1_3_VERSION);
    size_t n;
    EXPECT(SSL_write_ex(client, "good", 4, &n));
    EXPECT_EQ(send(fd, "\x17\x03\x03\x00\x20not what the keys would have made", 37, 0), 37);
    LOOPBACK_UNTIL(&loop, -1, ended);
    EXPECT_EQ(end_status, 0); /* for the alert to go out */
    EXPECT_STR_C(clr_buf_str(&received), "good");
    EXPECT_EQ(send(fd, "more", 4, 0), 4);
    loopback_turn(&loop);
    EXPECT_EQ(ended, 1);
    teardown();
}

/* --- who does not speak TLS as we do --- */

/* Sends bytes instead of a handshake; what comes back until the end. */
static clr_buf_t send_raw(clr_str_t bytes)
{
    clr_buf_t got = {0};
    setup(10000);
    loopback_send(&loop, fd, bytes);
    LOOPBACK_UNTIL(&loop, -1, ended);
    EXPECT_EQ(end_status, 0);
    clr_stream_close_flushed(&stream, 10000);
    /* Still sending, as who knows nothing of the refusal: no reset may come of it. */
    loopback_send(&loop, fd, CLR_STR("and more\r\n\r\n"));
    loopback_read_all(&loop, fd, &got);
    shutdown(fd, SHUT_WR);
    LOOPBACK_UNTIL(&loop, -1, closed);
    EXPECT_EQ(ended, 1);
    EXPECT_EQ(received.n, 0);
    teardown();
    return got;
}

TEST(tls_answers_plain_http_in_plain_http)
{
    clr_buf_t got = send_raw(CLR_STR("GET / HTTP/1.1\r\nHost: x\r\n"));
    EXPECT(clr_str_starts(clr_buf_str(&got), CLR_STR("HTTP/1.1 400 Bad Request\r\n")));
    EXPECT(memmem(got.p, got.n, "https", 5));
    clr_buf_deinit(&got);
}

TEST(tls_answers_garbage_with_an_alert)
{
    clr_buf_t got = send_raw(CLR_STR("\x16\x03\x01\x00\x10garbage in a record"));
    EXPECT_EQ(got.n, 7);
    EXPECT_EQ(got.p[0], SSL3_RT_ALERT);
    clr_buf_deinit(&got);
}

TEST(tls_refuses_old_versions)
{
    setup(0);
    client = SSL_new(client_ctx);
    SSL_set_security_level(client, 0);
    SSL_set_min_proto_version(client, TLS1_VERSION);
    SSL_set_max_proto_version(client, TLS1_1_VERSION);
    SSL_set_fd(client, fd);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    EXPECT(SSL_connect(client) < 0 && SSL_want_read(client));
    LOOPBACK_UNTIL(&loop, -1, ended);
    EXPECT_EQ(end_status, 0);
    clr_stream_close_flushed(&stream, 10000);
    int rc;
    LOOPBACK_UNTIL(&loop, fd,
                   SSL_get_error(client, rc = SSL_connect(client)) != SSL_ERROR_WANT_READ);
    EXPECT(rc <= 0);
    EXPECT_EQ(ERR_GET_REASON(ERR_peek_error()), SSL_R_TLSV1_ALERT_PROTOCOL_VERSION);
    teardown();
}

TEST(tls_half_a_handshake_times_out)
{
    setup(30);
    for (int turn = 0; turn < 5; turn++)
        loopback_turn(&loop);
    const clr_tls_t *tls = tls_of();
    EXPECT_EQ(tls->state, CLR_TLS_NEW); /* a silent client is the owner's to watch */
    EXPECT(!tls->ssl_);
    EXPECT_EQ(send(fd, "\x16\x03\x01\x02\x00\x01", 6, 0), 6);
    LOOPBACK_UNTIL(&loop, -1, ended);
    EXPECT_EQ(end_status, UV_ETIMEDOUT);
    teardown();
}

TEST(tls_handshake_in_time_is_left_alone)
{
    setup(60000);
    handshake(TLS1_3_VERSION);
    EXPECT_EQ(clr_wheel_next(&loop.wheel, clr_loop_now(&loop)), -1);
    teardown();
}

TEST(tls_renegotiation_is_refused)
{
    setup(0);
    handshake(TLS1_2_VERSION);
    clr_buf_t got = {0};
    EXPECT_EQ(SSL_renegotiate(client), 1);
    int rc;
    LOOPBACK_UNTIL(&loop, fd,
                   (rc = SSL_do_handshake(client)) != 1 &&
                       SSL_get_error(client, rc) != SSL_ERROR_WANT_READ);
    EXPECT_EQ(ERR_GET_REASON(ERR_peek_error()), SSL_R_NO_RENEGOTIATION);
    EXPECT_EQ(received.n, 0);
    clr_buf_deinit(&got);
    teardown();
}

/* Asks for new keys again and again and reads no answer. */
TEST(tls_questions_of_who_reads_nothing_cost_a_bounded_answer)
{
    setup(0);
    handshake(TLS1_3_VERSION);
    const clr_tls_t *tls = tls_of();
    for (int i = 0; i < 2000 && !ended; i++) {
        SSL_key_update(client, SSL_KEY_UPDATE_REQUESTED);
        SSL_do_handshake(client);
        loopback_turn(&loop);
        EXPECT(tls->held.n <= (300u << 10));
    }
    teardown();
}

TEST_MAIN(T(tls_1_3_carries_data_both_ways), T(tls_1_2_carries_data_both_ways),
          T(tls_gathers_the_pieces_of_a_turn_in_one_record), T(tls_sends_files),
          T(tls_input_may_be_cut_anywhere), T(tls_reports_a_stalled_reader_and_its_recovery),
          T(tls_idle_holds_no_buffer), T(tls_close_flushed_says_that_nothing_follows),
          T(tls_peers_close_is_an_end_of_file), T(tls_bare_end_of_file_is_one),
          T(tls_broken_record_ends_the_stream), T(tls_answers_plain_http_in_plain_http),
          T(tls_answers_garbage_with_an_alert), T(tls_refuses_old_versions),
          T(tls_half_a_handshake_times_out), T(tls_handshake_in_time_is_left_alone),
          T(tls_renegotiation_is_refused),
          T(tls_questions_of_who_reads_nothing_cost_a_bounded_answer))
