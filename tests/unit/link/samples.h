/* samples.h: a frame of every type with arbitrary contents, made from the notation of the frame
 * table, and the reader that compares what comes back. The same seed gives the same contents.
 */
#pragma once

#include "test.h"

#include "link/message.h"

static const uint8_t sample_types[] = {
#define SAMPLE_TYPE(number, name, direction, payload, meaning) CLR_FRAME_##name,
    CLR_FRAME_MAP(SAMPLE_TYPE)
#undef SAMPLE_TYPE
};

static inline char sample_direction(uint8_t type)
{
    switch (type) {
#define SAMPLE_DIRECTION(number, name, direction, payload, meaning)                                \
    case number:                                                                                   \
        return #direction[0];
        CLR_FRAME_MAP(SAMPLE_DIRECTION)
#undef SAMPLE_DIRECTION
    default:
        return 0;
    }
}

static inline const char *sample_notation(uint8_t type)
{
    switch (type) {
#define SAMPLE_NOTATION(number, name, direction, payload, meaning)                                 \
    case number:                                                                                   \
        return payload;
        CLR_FRAME_MAP(SAMPLE_NOTATION)
#undef SAMPLE_NOTATION
    default:
        return "";
    }
}

/* Either writes to `out` or reads from `in` and compares. */
typedef struct sample {
    clr_buf_t *out;
    clr_reader_t *in;
    uint64_t random;
} sample_t;

static inline void sample_u(sample_t *s, size_t bytes, uint64_t value)
{
    if (s->out)
        clr_buf_append_le(s->out, value, bytes);
    else if (bytes == 1)
        EXPECT_EQ(clr_read_u8(s->in), value);
    else if (bytes == 2)
        EXPECT_EQ(clr_read_u16(s->in), value);
    else if (bytes == 4)
        EXPECT_EQ(clr_read_u32(s->in), value);
    else
        EXPECT_EQ(clr_read_u64(s->in), value);
}

static inline clr_str_t sample_bytes(sample_t *s)
{
    static const char bytes[] = "[\"message\",{\"a\":1}]\0\xff\x80 and on to forty";
    size_t from = test_random(&s->random) % 20;
    size_t n = test_random(&s->random) % (sizeof(bytes) - from);
    return clr_str(bytes + from, n);
}

static inline void sample_str(sample_t *s)
{
    clr_str_t value = sample_bytes(s);
    if (s->out)
        clr_write_str(s->out, value);
    else
        EXPECT_STR(clr_read_str(s->in), value);
}

static inline void sample_check_strs(clr_strs_t it, const clr_str_t *items, uint16_t count)
{
    clr_str_t item;
    EXPECT_EQ(it.count, count);
    for (uint16_t i = 0; i < count; i++) {
        EXPECT(clr_strs_next(&it, &item));
        EXPECT_STR(item, items[i]);
    }
    EXPECT(!clr_strs_next(&it, &item));
}

static inline uint16_t sample_items(sample_t *s, clr_str_t items[8])
{
    uint16_t count = (uint16_t)(test_random(&s->random) % 9);
    for (uint16_t i = 0; i < count; i++)
        items[i] = sample_bytes(s);
    return count;
}

static inline void sample_strs(sample_t *s)
{
    clr_str_t items[8];
    uint16_t count = sample_items(s, items);
    if (s->out)
        clr_write_strs(s->out, items, count);
    else
        sample_check_strs(clr_read_strs(s->in), items, count);
}

static inline void sample_data(sample_t *s)
{
    clr_str_t items[8];
    clr_str_t json = sample_bytes(s);
    uint16_t count = sample_items(s, items);
    if (s->out) {
        clr_write_data(s->out, json, items, count);
        return;
    }
    clr_data_t data = clr_read_data(s->in);
    EXPECT_STR(data.json, json);
    sample_check_strs(data.attachments, items, count);
}

static inline void sample_request(sample_t *s)
{
    clr_str_t headers[8];
    uint16_t count = sample_items(s, headers) & ~1u;
    clr_request_head_t head = {
        .transport = (uint8_t)(test_random(&s->random) % 3),
        .secure = (uint8_t)(test_random(&s->random) % 2),
        .http_minor = (uint8_t)(test_random(&s->random) % 2),
        .method = sample_bytes(s),
        .target = sample_bytes(s),
        .peer_host = sample_bytes(s),
        .peer_port = (uint16_t)test_random(&s->random),
        .local_host = sample_bytes(s),
        .local_port = (uint16_t)test_random(&s->random),
    };
    if (s->out) {
        clr_write_request(s->out, &head);
        clr_write_strs(s->out, headers, count);
        return;
    }
    clr_request_head_t got = clr_read_request(s->in);
    EXPECT_EQ(got.transport, head.transport);
    EXPECT_EQ(got.secure, head.secure);
    EXPECT_EQ(got.http_minor, head.http_minor);
    EXPECT_STR(got.method, head.method);
    EXPECT_STR(got.target, head.target);
    EXPECT_STR(got.peer_host, head.peer_host);
    EXPECT_EQ(got.peer_port, head.peer_port);
    EXPECT_STR(got.local_host, head.local_host);
    EXPECT_EQ(got.local_port, head.local_port);
    sample_check_strs(got.headers, headers, count);
}

/* 1 is in the range of every small integer of the table, and an ack id. */
static inline void sample_field(sample_t *s, const char *field)
{
    if (strncmp(field, "u8", 2) == 0)
        sample_u(s, 1, 1);
    else if (strncmp(field, "u16", 3) == 0)
        sample_u(s, 2, test_random(&s->random) & 0xffff);
    else if (strncmp(field, "u32", 3) == 0)
        sample_u(s, 4, test_random(&s->random) & 0xffffffff);
    else if (strncmp(field, "u64 ack", 7) == 0)
        sample_u(s, 8, test_random(&s->random) % 2 ? CLR_NO_ACK : (UINT64_C(1) << 53) - 1);
    else if (strncmp(field, "u64", 3) == 0)
        sample_u(s, 8, test_random(&s->random));
    else if (strncmp(field, "str", 3) == 0 || strncmp(field, "json", 4) == 0)
        sample_str(s);
    else if (strncmp(field, "list<str>", 9) == 0)
        sample_strs(s);
    else if (strncmp(field, "data", 4) == 0)
        sample_data(s);
    else if (strncmp(field, "request", 7) == 0)
        sample_request(s);
    else
        TEST_FAIL_("unknown notation \"%s\"", field);
}

static inline void sample_payload(sample_t *s, uint8_t type)
{
    for (const char *field = sample_notation(type); field && *field;) {
        sample_field(s, field);
        field = strchr(field, ',');
        if (field)
            field += strspn(field, ", ");
    }
}

static inline void sample_frame(clr_buf_t *out, uint8_t type, uint64_t seed)
{
    sample_t s = {.out = out, .random = seed};
    size_t begun = clr_frame_begin(out, type, 0, seed);
    sample_payload(&s, type);
    clr_frame_end(out, begun);
}

static inline void sample_compare(const clr_frame_t *frame, uint64_t seed)
{
    clr_reader_t in = clr_reader(frame->payload);
    sample_t s = {.in = &in, .random = seed};
    sample_payload(&s, frame->type);
    EXPECT_EQ(clr_reader_done(&in), 0);
}
