#include "proto/deflate.h"

#include <zlib.h>

#include "golden.h"

/* ---- negotiation ---- */

static void print_answer(clr_str_t header, clr_buf_t *output)
{
    clr_deflate_params_t params;
    if (!clr_deflate_negotiate(header, &params)) {
        clr_buf_append_str(output, CLR_STR("declined"));
        return;
    }
    clr_buf_t line = {0};
    clr_deflate_append_answer(&params, &line);
    clr_str_t answer = clr_buf_str(&line),
              always = CLR_STR("Sec-WebSocket-Extensions: permessage-deflate; "
                               "server_no_context_takeover; client_no_context_takeover");
    EXPECT(clr_str_starts(answer, always));
    EXPECT_STR_C(clr_str(answer.p + answer.n - 2, 2), "\r\n");
    clr_buf_append_str(output, CLR_STR("no"));
    clr_buf_append(output, answer.p + always.n, answer.n - always.n - 2);
    clr_buf_deinit(&line);
}

TEST(deflate_golden_offers)
{
    golden_run_cases("deflate", print_answer);
}

/* ---- a peer that uses zlib in its own way ---- */

static void fill_text(clr_buf_t *out, size_t n, uint64_t seed)
{
    static const char *const words[] = {"{\"event\":", "\"message\"", ",",         "[1,2,3]",
                                        "true",        " the ",       "\"user\":", "null",
                                        "}",           "caf\xc3\xa9"};
    while (out->n < n)
        clr_buf_append_str(out, clr_str_c(words[test_random(&seed) % clr_array_len(words)]));
    out->n = n;
}

static void fill_noise(clr_buf_t *out, size_t n, uint64_t seed)
{
    while (out->n < n)
        clr_buf_putc(out, (char)test_random(&seed));
}

static void peer_open(z_stream *z, int bits)
{
    *z = (z_stream){0};
    EXPECT_EQ(deflateInit2(z, 6, Z_DEFLATED, -bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
}

/* Appends `in` to the message. */
static void peer_write(z_stream *z, clr_str_t in, int flush, clr_buf_t *out)
{
    size_t room = in.n + in.n / 4 + 100000; /* and what was held back */
    z->next_in = (Bytef *)in.p;
    z->avail_in = (uInt)in.n;
    z->next_out = (Bytef *)clr_buf_reserve(out, room);
    z->avail_out = (uInt)room;
    int rc = deflate(z, flush);
    EXPECT(rc == Z_OK || rc == Z_STREAM_END || (rc == Z_BUF_ERROR && in.n == 0));
    EXPECT(z->avail_out > 0);
    out->n += room - z->avail_out;
}

static void peer_end(clr_buf_t *message)
{
    EXPECT(message->n >= 4);
    EXPECT_STR(clr_str(message->p + message->n - 4, 4), CLR_STR("\x00\x00\xff\xff"));
    message->n -= 4;
}

static void peer_encode(int bits, clr_str_t in, clr_buf_t *out)
{
    z_stream z;
    peer_open(&z, bits);
    peer_write(&z, in, Z_SYNC_FLUSH, out);
    peer_end(out);
    deflateEnd(&z);
}

/* Decodes with a window of just the agreed size. */
static void expect_encodes(clr_deflate_t *d, uint8_t bits, clr_str_t text)
{
    clr_str_t encoded;
    EXPECT(clr_deflate_encode(d, bits, text, &encoded));
    EXPECT(encoded.n < text.n);
    z_stream z = {0};
    EXPECT_EQ(inflateInit2(&z, -bits), Z_OK);
    clr_buf_t in = {0}, out = {0};
    clr_buf_append_str(&in, encoded);
    clr_buf_append(&in, "\x00\x00\xff\xff", 4);
    z.next_in = (Bytef *)in.p;
    z.avail_in = (uInt)in.n;
    z.next_out = (Bytef *)clr_buf_reserve(&out, text.n + 1);
    z.avail_out = (uInt)text.n + 1;
    EXPECT_EQ(inflate(&z, Z_SYNC_FLUSH), Z_OK);
    EXPECT_EQ(z.avail_in, 0);
    EXPECT_STR(clr_str(out.p, text.n + 1 - z.avail_out), text);
    inflateEnd(&z);
    clr_buf_deinit(&in);
    clr_buf_deinit(&out);
}

static void expect_decodes(clr_deflate_t *d, const clr_buf_t *message, clr_str_t text)
{
    clr_str_t decoded;
    EXPECT_EQ(clr_deflate_decode(d, clr_buf_str(message), text.n, &decoded), 0);
    EXPECT_STR(decoded, text);
    EXPECT(message->n <= clr_deflate_bound(text.n));
    if (text.n > 0 && message->n > 0)
        EXPECT_EQ(clr_deflate_decode(d, clr_buf_str(message), text.n - 1, &decoded), CLR_ETOOBIG);
}

static const size_t sizes[] = {0,    1,    16,    64,    256,   1023,   1024,   3834,
                               3835, 4096, 16384, 32768, 65536, 131072, 262144, 1048576};

TEST(deflate_encodes_every_size_in_every_window)
{
    clr_deflate_t *d = clr_deflate_new();
    for (size_t i = 0; i < clr_array_len(sizes); i++) {
        clr_buf_t text = {0};
        fill_text(&text, sizes[i], i);
        for (uint8_t bits = CLR_DEFLATE_BITS_MIN; bits <= CLR_DEFLATE_BITS_MAX; bits++) {
            if (clr_deflate_applies(text.n))
                expect_encodes(d, bits, clr_buf_str(&text));
        }
        clr_buf_deinit(&text);
    }
    clr_deflate_free(d);
}

TEST(deflate_decodes_every_size_in_every_window)
{
    clr_deflate_t *d = clr_deflate_new();
    for (size_t i = 0; i < clr_array_len(sizes); i++) {
        clr_buf_t text = {0}, noise = {0}, message = {0};
        fill_text(&text, sizes[i], i);
        fill_noise(&noise, sizes[i], i);
        for (int bits = 9; bits <= 15; bits++) {
            clr_buf_clear(&message);
            peer_encode(bits, clr_buf_str(&text), &message);
            expect_decodes(d, &message, clr_buf_str(&text));
            clr_buf_clear(&message);
            peer_encode(bits, clr_buf_str(&noise), &message);
            expect_decodes(d, &message, clr_buf_str(&noise));
        }
        clr_buf_deinit(&text);
        clr_buf_deinit(&noise);
        clr_buf_deinit(&message);
    }
    clr_deflate_free(d);
}

TEST(deflate_sizes_that_are_sent_as_they_are)
{
    EXPECT(!clr_deflate_applies(0));
    EXPECT(!clr_deflate_applies(CLR_DEFLATE_LEAST - 1));
    EXPECT(clr_deflate_applies(CLR_DEFLATE_LEAST));
    EXPECT(clr_deflate_applies(CLR_DEFLATE_MOST));
    EXPECT(!clr_deflate_applies(CLR_DEFLATE_MOST + 1));
}

TEST(deflate_leaves_noise_alone)
{
    clr_deflate_t *d = clr_deflate_new();
    clr_buf_t noise = {0};
    for (size_t n = CLR_DEFLATE_LEAST; n < 40000; n = n * 3 / 2) {
        clr_str_t encoded;
        clr_buf_clear(&noise);
        fill_noise(&noise, n, n);
        EXPECT(!clr_deflate_encode(d, 15, clr_buf_str(&noise), &encoded));
    }
    clr_buf_deinit(&noise);
    clr_deflate_free(d);
}

/* Bytes that look as if they could be compressed and cannot. */
TEST(deflate_gives_up_on_what_does_not_become_smaller)
{
    clr_deflate_t *d = clr_deflate_new();
    clr_buf_t noise = {0};
    fill_noise(&noise, 600000, 1);
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < 256; j++) /* 7 bits a byte in each place that is looked at */
            noise.p[(noise.n - 256) / 3 * i + j] &= 0x7f;
    clr_str_t encoded;
    EXPECT(!clr_deflate_encode(d, 9, clr_buf_str(&noise), &encoded));
    clr_buf_clear(&noise);
    fill_text(&noise, 6000, 1);
    EXPECT(clr_deflate_encode(d, 9, clr_buf_str(&noise), &encoded));
    clr_buf_deinit(&noise);
    clr_deflate_free(d);
}

/* ---- messages of odd senders ---- */

static void expect_result(clr_str_t in, int expected, const char *text)
{
    clr_deflate_t *d = clr_deflate_new();
    clr_str_t out;
    EXPECT_EQ(clr_deflate_decode(d, in, 100, &out), expected);
    EXPECT_STR_C(out, text);
    clr_deflate_free(d);
}

static void expect_decoded(clr_str_t in, const char *text)
{
    expect_result(in, 0, text);
}

static void expect_corrupt(clr_str_t in)
{
    expect_result(in, CLR_EPROTO, "");
}

TEST(deflate_examples_of_the_rfc)
{
    expect_decoded(CLR_STR("\xf2\x48\xcd\xc9\xc9\x07\x00"), "Hello");                 /* 7.2.3.1 */
    expect_decoded(CLR_STR("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"), "Hello"); /* .3 */
    expect_decoded(CLR_STR("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), "Hello");             /* .4 */
    expect_decoded(CLR_STR("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"),
                   "Hello");             /* .5 */
    expect_decoded(CLR_STR("\x00"), ""); /* .6 */
}

TEST(deflate_other_ends_of_a_message)
{
    expect_decoded(CLR_STR(""), "");
    expect_decoded(CLR_STR("\x02\x00"), ""); /* an empty fixed block first */
    expect_decoded(CLR_STR("\xf3\x48\xcd\xc9\xc9\x07\x00"), "Hello"); /* final, and nothing after */
    expect_decoded(CLR_STR("\xf3\x48\xcd\xc9\xc9\x07\x00\xf3\x48\xcd\xc9\xc9\x07\x00\x00"),
                   "HelloHello");
}

TEST(deflate_corrupt_messages)
{
    expect_corrupt(CLR_STR("\xff"));             /* a block of type 3 */
    expect_corrupt(CLR_STR("Hello, world"));     /* not compressed at all */
    expect_corrupt(CLR_STR("\xf2\x48\xcd"));     /* cut */
    expect_corrupt(CLR_STR("\xf2\x00\x11\x00")); /* a distance before the beginning */
    expect_corrupt(CLR_STR("\x00\x05\x00\xfa\xfe\x48\x65\x6c\x6c\x6f\x00"));
    expect_corrupt(CLR_STR("\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff")); /* with its tail */
}

/* A client may not refer to its last message after our answer. */
TEST(deflate_refuses_a_context_that_was_taken_over)
{
    clr_deflate_t *d = clr_deflate_new();
    clr_buf_t text = {0}, message = {0};
    fill_text(&text, 2000, 7);
    z_stream z;
    peer_open(&z, 15);
    peer_write(&z, clr_buf_str(&text), Z_SYNC_FLUSH, &message);
    peer_end(&message);
    expect_decodes(d, &message, clr_buf_str(&text));
    clr_buf_clear(&message);
    peer_write(&z, clr_buf_str(&text), Z_SYNC_FLUSH, &message);
    peer_end(&message);
    clr_str_t out;
    EXPECT_EQ(clr_deflate_decode(d, clr_buf_str(&message), 2000, &out), CLR_EPROTO);
    deflateEnd(&z);

    clr_buf_clear(&message); /* and the codec is as good as new */
    peer_encode(15, clr_buf_str(&text), &message);
    expect_decodes(d, &message, clr_buf_str(&text));
    clr_buf_deinit(&text);
    clr_buf_deinit(&message);
    clr_deflate_free(d);
}

TEST(deflate_flushes_within_a_message)
{
    static const int flushes[] = {Z_NO_FLUSH, Z_PARTIAL_FLUSH, Z_SYNC_FLUSH, Z_FULL_FLUSH, Z_BLOCK};
    clr_deflate_t *d = clr_deflate_new();
    clr_buf_t text = {0}, message = {0};
    fill_text(&text, 50000, 3);
    for (size_t i = 0; i < clr_array_len(flushes); i++) {
        z_stream z;
        peer_open(&z, 15);
        clr_buf_clear(&message);
        for (size_t at = 0; at < text.n; at += 1000)
            peer_write(&z, clr_str(text.p + at, 1000), flushes[i], &message);
        peer_write(&z, CLR_STR_EMPTY, Z_SYNC_FLUSH, &message);
        if (flushes[i] == Z_SYNC_FLUSH || flushes[i] == Z_FULL_FLUSH) /* nothing new to flush */
            EXPECT(message.n >= 4);
        peer_end(&message);
        expect_decodes(d, &message, clr_buf_str(&text));
        deflateEnd(&z);
    }
    clr_buf_deinit(&text);
    clr_buf_deinit(&message);
    clr_deflate_free(d);
}

/* 1,000 times its size: no more than the limit is ever decompressed. */
TEST(deflate_bomb)
{
    clr_deflate_t *d = clr_deflate_new();
    clr_buf_t zeros = {0}, message = {0};
    memset(clr_buf_reserve(&zeros, 10 << 20), 0, 10 << 20);
    zeros.n = 10 << 20;
    peer_encode(15, clr_buf_str(&zeros), &message);
    EXPECT(message.n < 12000);
    clr_str_t out;
    EXPECT_EQ(clr_deflate_decode(d, clr_buf_str(&message), 100000, &out), CLR_ETOOBIG);
    EXPECT_EQ(clr_deflate_decode(d, clr_buf_str(&message), 0, &out), CLR_ETOOBIG);
    EXPECT_EQ(clr_deflate_decode(d, clr_buf_str(&message), zeros.n, &out), 0);
    EXPECT_EQ(out.n, zeros.n);
    clr_buf_deinit(&zeros);
    clr_buf_deinit(&message);
    clr_deflate_free(d);
}

/* Ends of streams without any content, as many as fit. */
TEST(deflate_empty_streams)
{
    clr_deflate_t *d = clr_deflate_new();
    clr_buf_t message = {0};
    for (size_t i = 0; i < 500000; i++)
        clr_buf_append(&message, "\x03\x00", 2);
    clr_str_t out;
    EXPECT_EQ(clr_deflate_decode(d, clr_buf_str(&message), 100, &out), 0);
    EXPECT_EQ(out.n, 0);
    clr_buf_deinit(&message);
    clr_deflate_free(d);
}

TEST_MAIN(T(deflate_golden_offers), T(deflate_encodes_every_size_in_every_window),
          T(deflate_decodes_every_size_in_every_window), T(deflate_sizes_that_are_sent_as_they_are),
          T(deflate_leaves_noise_alone), T(deflate_gives_up_on_what_does_not_become_smaller),
          T(deflate_examples_of_the_rfc), T(deflate_other_ends_of_a_message),
          T(deflate_corrupt_messages), T(deflate_refuses_a_context_that_was_taken_over),
          T(deflate_flushes_within_a_message), T(deflate_bomb), T(deflate_empty_streams))
