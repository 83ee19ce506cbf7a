#include "proto/msgpack.h"

#include "golden.h"
#include "proto/json.h"

static void print_packet(const clr_sio_packet_t *p, const clr_str_t *attachments, clr_buf_t *output)
{
    clr_buf_printf(output, "%d nsp=%.*s", p->type, CLR_STR_ARG(p->nsp));
    if (p->id != CLR_SIO_NO_ID)
        clr_buf_printf(output, " id=%" PRIu64, p->id);
    if (p->attachments > 0)
        clr_buf_printf(output, " attachments=%" PRIu32, p->attachments);
    if (p->json.n > 0)
        clr_buf_printf(output, " json=");
    golden_escape(output, p->json);
    for (uint32_t i = 0; i < p->attachments; i++) {
        clr_buf_printf(output, " <");
        golden_escape(output, attachments[i]);
        clr_buf_putc(output, '>');
    }
}

static void run_read(clr_str_t input, clr_buf_t *output)
{
    clr_buf_t scratch = {0};
    clr_sio_packet_t p;
    clr_str_t attachments[CLR_SIO_MAX_ATTACHMENTS];
    const char *why = NULL;
    char *copy = malloc(input.n); /* so that a read past the end is seen */

    if (input.n > 0)
        memcpy(copy, input.p, input.n);
    int r = clr_msgpack_parse(clr_str(copy, input.n), &scratch, &p, attachments, &why);
    if (r == 0)
        print_packet(&p, attachments, output);
    else
        clr_buf_printf(output, "error %s", why);
    free(copy);
    clr_buf_deinit(&scratch);
}

TEST(msgpack_read_golden)
{
    golden_run_cases("msgpack-read", run_read);
}

static bool is_word(clr_str_t s, char first, char last)
{
    return s.n > 0 && s.p[0] >= first && s.p[0] <= last;
}

/* "type nsp [id] [<attachment> …] [json]" */
static void run_write(clr_str_t input, clr_buf_t *output)
{
    clr_sio_packet_t p = {.id = CLR_SIO_NO_ID};
    clr_str_t attachments[4], part;
    EXPECT(clr_str_split(&input, ' ', &part));
    p.type = (uint8_t)(part.p[0] - '0');
    EXPECT(clr_str_split(&input, ' ', &p.nsp));
    if (input.p && is_word(input, '0', '9') && clr_str_split(&input, ' ', &part))
        EXPECT(clr_str_to_u64(part, CLR_SIO_MAX_ID, &p.id));
    while (input.p && is_word(input, '<', '<') && clr_str_split(&input, ' ', &part))
        attachments[p.attachments++] = clr_str(part.p + 1, part.n - 2);
    p.json = input.p ? input : CLR_STR_EMPTY;

    clr_buf_t out = {0}, scratch = {0};
    clr_buf_putc(&out, '!');
    int r = clr_msgpack_append(&out, &scratch, &p, attachments);
    EXPECT(r == 0 || (r == CLR_EPROTO && out.n == 1));
    if (r == 0)
        golden_escape(output, clr_str_from(clr_buf_str(&out), 1));
    else
        clr_buf_printf(output, "error");
    clr_buf_deinit(&out);
    clr_buf_deinit(&scratch);
}

TEST(msgpack_write_golden)
{
    golden_run_cases("msgpack-write", run_write);
}

/* Reads what was written, and expects the same JSON text. */
static void expect_round_trip(clr_str_t json)
{
    clr_buf_t bytes = {0}, scratch = {0};
    clr_str_t attachments[CLR_SIO_MAX_ATTACHMENTS];
    clr_sio_packet_t p = {
        .type = CLR_SIO_ACK, .nsp = CLR_STR("/x"), .id = 5, .json = json, .attachments = 0};
    clr_sio_packet_t q;
    const char *why = "";
    EXPECT_EQ(clr_msgpack_append(&bytes, &scratch, &p, NULL), 0);
    if (clr_msgpack_parse(clr_buf_str(&bytes), &scratch, &q, attachments, &why) != 0)
        TEST_FAIL_("%s", why);
    EXPECT_STR(q.json, json);
    EXPECT_STR_C(q.nsp, "/x");
    EXPECT_EQ(q.id, 5);
    clr_buf_deinit(&bytes);
    clr_buf_deinit(&scratch);
}

/* Around every change of the form of a length: 15/16, 31/32, 255/256, 65535/65536. */
TEST(msgpack_round_trip_of_all_lengths)
{
    static const size_t lengths[] = {0, 1, 15, 16, 31, 32, 255, 256, 65535, 65536, 70000};
    for (size_t i = 0; i < clr_array_len(lengths); i++) {
        clr_buf_t array = {0}, string = {0}, map = {0};
        clr_buf_printf(&array, "[");
        clr_buf_printf(&string, "[\"");
        clr_buf_printf(&map, "[{");
        for (size_t k = 0; k < lengths[i]; k++) {
            clr_buf_printf(&array, k ? ",%zu" : "%zu", k);
            clr_buf_putc(&string, 'x');
            clr_buf_printf(&map, k ? ",\"%zu\":null" : "\"%zu\":null", k);
        }
        clr_buf_printf(&array, "]");
        clr_buf_printf(&string, "\"]");
        clr_buf_printf(&map, "}]");
        expect_round_trip(clr_buf_str(&array));
        expect_round_trip(clr_buf_str(&string));
        expect_round_trip(clr_buf_str(&map));
        clr_buf_deinit(&array);
        clr_buf_deinit(&string);
        clr_buf_deinit(&map);
    }
}

TEST(msgpack_depth_at_the_limit_and_one_past_it)
{
    for (int extra = 0; extra < 2; extra++) {
        clr_buf_t bytes = {0}, scratch = {0};
        clr_str_t head = CLR_STR("\x84\xa4type\x03\xa3nsp\xa1/\xa2id\x01\xa4"
                                 "data");
        clr_buf_append_str(&bytes, head);
        for (int i = 0; i < CLR_JSON_MAX_DEPTH - 1 + extra; i++)
            clr_buf_putc(&bytes, (char)0x91);
        clr_buf_putc(&bytes, (char)0x90);
        clr_sio_packet_t p;
        clr_str_t attachments[CLR_SIO_MAX_ATTACHMENTS];
        const char *why = NULL;
        int r = clr_msgpack_parse(clr_buf_str(&bytes), &scratch, &p, attachments, &why);
        EXPECT_EQ(r, extra ? CLR_EPROTO : 0);
        if (r == 0)
            expect_round_trip(p.json);
        clr_buf_deinit(&bytes);
        clr_buf_deinit(&scratch);
    }
}

TEST(msgpack_attachments_at_the_limit_and_one_past_it)
{
    for (uint8_t extra = 0; extra < 2; extra++) {
        clr_buf_t bytes = {0}, scratch = {0}, again = {0};
        clr_buf_append_str(&bytes, CLR_STR("\x83\xa4type\x02\xa3nsp\xa1/\xa4"
                                           "data\xdc\x00"));
        clr_buf_putc(&bytes, (char)(CLR_SIO_MAX_ATTACHMENTS + 1 + extra));
        clr_buf_append_str(&bytes, CLR_STR("\xa1s"));
        for (int i = 0; i < CLR_SIO_MAX_ATTACHMENTS + extra; i++)
            clr_buf_append_str(&bytes, CLR_STR("\xc4\x01!"));
        clr_sio_packet_t p;
        clr_str_t attachments[CLR_SIO_MAX_ATTACHMENTS];
        const char *why = NULL;
        int r = clr_msgpack_parse(clr_buf_str(&bytes), &scratch, &p, attachments, &why);
        EXPECT_EQ(r, extra ? CLR_EPROTO : 0);
        if (r == 0) {
            clr_buf_t counts = {0};
            EXPECT_EQ(p.attachments, CLR_SIO_MAX_ATTACHMENTS);
            EXPECT_EQ(clr_msgpack_append(&again, &counts, &p, attachments), 0);
            EXPECT_STR(clr_buf_str(&again), clr_buf_str(&bytes));
            clr_buf_deinit(&counts);
        }
        clr_buf_deinit(&bytes);
        clr_buf_deinit(&scratch);
        clr_buf_deinit(&again);
    }
}

TEST_MAIN(T(msgpack_read_golden), T(msgpack_write_golden), T(msgpack_round_trip_of_all_lengths),
          T(msgpack_depth_at_the_limit_and_one_past_it),
          T(msgpack_attachments_at_the_limit_and_one_past_it))
