/* message.c: the payloads of the frames, field by field. */
#include "link/message.h"

#include <endian.h>

#include "base/assert.h"

/* n bytes off the front of the payload, or NULL with the reader gone bad. */
static const char *take(clr_reader_t *r, size_t n)
{
    if (CLR_UNLIKELY(r->bad || r->rest.n < n)) {
        *r = (clr_reader_t){CLR_STR_EMPTY, true};
        return NULL;
    }
    const char *p = r->rest.p;
    r->rest.p += n;
    r->rest.n -= n;
    return p;
}

uint8_t clr_read_u8(clr_reader_t *r)
{
    const char *p = take(r, 1);
    return p ? (uint8_t)*p : 0;
}

uint16_t clr_read_u16(clr_reader_t *r)
{
    uint16_t v = 0;
    const char *p = take(r, sizeof(v));
    if (p)
        memcpy(&v, p, sizeof(v));
    return le16toh(v);
}

uint32_t clr_read_u32(clr_reader_t *r)
{
    uint32_t v = 0;
    const char *p = take(r, sizeof(v));
    if (p)
        memcpy(&v, p, sizeof(v));
    return le32toh(v);
}

uint64_t clr_read_u64(clr_reader_t *r)
{
    uint64_t v = 0;
    const char *p = take(r, sizeof(v));
    if (p)
        memcpy(&v, p, sizeof(v));
    return le64toh(v);
}

clr_str_t clr_read_str(clr_reader_t *r)
{
    size_t n = clr_read_u32(r);
    const char *p = take(r, n);
    return p ? clr_str(p, n) : CLR_STR_EMPTY;
}

int clr_reader_done(const clr_reader_t *r)
{
    return r->bad || r->rest.n ? CLR_EPROTO : 0;
}

/* A str without the growth check; returns where the next byte goes. */
static char *put_str(char *to, clr_str_t s)
{
    uint32_t n = htole32((uint32_t)s.n);
    memcpy(to, &n, sizeof(n));
    if (s.n)
        memcpy(to + sizeof(n), s.p, s.n);
    return to + sizeof(n) + s.n;
}

void clr_write_str(clr_buf_t *out, clr_str_t s)
{
    CLR_ASSERT(s.n <= CLR_FRAME_MAX);
    put_str(clr_buf_reserve(out, sizeof(uint32_t) + s.n), s);
    out->n += sizeof(uint32_t) + s.n;
}

clr_strs_t clr_read_strs(clr_reader_t *r)
{
    uint16_t count = clr_read_u16(r);
    const char *start = r->rest.p;
    for (uint16_t i = 0; i < count && !r->bad; i++)
        (void)clr_read_str(r);
    if (r->bad)
        return (clr_strs_t){0, CLR_STR_EMPTY};
    return (clr_strs_t){count, clr_str(start, (size_t)(r->rest.p - start))};
}

bool clr_strs_next(clr_strs_t *it, clr_str_t *out)
{
    if (it->count == 0)
        return false;
    clr_reader_t r = clr_reader(it->bytes);
    *out = clr_read_str(&r);
    CLR_ASSERT(!r.bad); /* clr_read_strs() walked these bytes before */
    it->count--;
    it->bytes = r.rest;
    return true;
}

void clr_write_strs(clr_buf_t *out, const clr_str_t *items, uint16_t count)
{
    clr_buf_append_le(out, count, sizeof(count));
    for (uint16_t i = 0; i < count; i++)
        clr_write_str(out, items[i]);
}

clr_data_t clr_read_data(clr_reader_t *r)
{
    clr_data_t data;
    data.json = clr_read_str(r);
    data.attachments = clr_read_strs(r);
    return data;
}

void clr_write_data(clr_buf_t *out, clr_str_t json, const clr_str_t *attachments, uint16_t count)
{
    clr_write_str(out, json);
    clr_write_strs(out, attachments, count);
}

clr_request_head_t clr_read_request(clr_reader_t *r)
{
    clr_request_head_t head;
    head.transport = clr_read_u8(r);
    head.secure = clr_read_u8(r);
    head.http_minor = clr_read_u8(r);
    head.method = clr_read_str(r);
    head.target = clr_read_str(r);
    head.peer_host = clr_read_str(r);
    head.peer_port = clr_read_u16(r);
    head.local_host = clr_read_str(r);
    head.local_port = clr_read_u16(r);
    head.headers = clr_read_strs(r);
    if (head.headers.count % 2 != 0 || head.transport > CLR_TRANSPORT_WEBSOCKET)
        *r = (clr_reader_t){CLR_STR_EMPTY, true};
    return head;
}

void clr_write_request(clr_buf_t *out, const clr_request_head_t *head)
{
    clr_buf_append_le(out, head->transport, 1);
    clr_buf_append_le(out, head->secure, 1);
    clr_buf_append_le(out, head->http_minor, 1);
    clr_write_str(out, head->method);
    clr_write_str(out, head->target);
    clr_write_str(out, head->peer_host);
    clr_buf_append_le(out, head->peer_port, 2);
    clr_write_str(out, head->local_host);
    clr_buf_append_le(out, head->local_port, 2);
}

/* What the small integers of the table may be, by the names it gives them. */
typedef struct value_range {
    char name[12];
    uint8_t low;
    uint8_t high;
} value_range_t;

static const value_range_t ranges[] = {
    {"found", 0, 1},
    {"idle", 0, 1},
    {"blocked", 0, 1},
    {"allowed", 0, 1},
    {"ok", 0, 1},
    {"op", CLR_ROOM_JOIN, CLR_ROOM_KICK},
    {"reason", CLR_REASON_CLIENT_DISCONNECT, CLR_REASON_TRANSPORT_ERROR},
    {"transport", CLR_TRANSPORT_POLLING, CLR_TRANSPORT_WEBSOCKET},
    {"kind", CLR_FAILED_NOT_FOUND, CLR_FAILED_ERROR},
    {"level", 0, 3}, /* clr_log_level_t, less CLR_LOG_OFF */
};

static bool in_range(clr_str_t name, uint8_t value)
{
    for (size_t i = 0; i < clr_array_len(ranges); i++) {
        if (clr_str_eq(name, clr_str_c(ranges[i].name)))
            return value >= ranges[i].low && value <= ranges[i].high;
    }
    return true;
}

/* Client ids of acks are integers that JavaScript holds exactly. */
static bool is_ack_id(uint64_t ack)
{
    return ack == CLR_NO_ACK || ack < UINT64_C(1) << 53;
}

/* Reads one field of the table's notation, such as "u8 reason". */
static void read_field(clr_reader_t *r, clr_str_t type, clr_str_t name)
{
    bool ok = true;
    if (clr_str_eq(type, CLR_STR("u8")))
        ok = in_range(name, clr_read_u8(r));
    else if (clr_str_eq(type, CLR_STR("u16")))
        (void)clr_read_u16(r);
    else if (clr_str_eq(type, CLR_STR("u32")))
        (void)clr_read_u32(r);
    else if (clr_str_eq(type, CLR_STR("u64")))
        ok = is_ack_id(clr_read_u64(r)) || !clr_str_eq(name, CLR_STR("ack"));
    else if (clr_str_eq(type, CLR_STR("str")) || clr_str_eq(type, CLR_STR("json")))
        (void)clr_read_str(r);
    else if (clr_str_eq(type, CLR_STR("list<str>")))
        (void)clr_read_strs(r);
    else if (clr_str_eq(type, CLR_STR("data")))
        (void)clr_read_data(r);
    else if (clr_str_eq(type, CLR_STR("request")))
        (void)clr_read_request(r);
    else
        CLR_ASSERT(!"a notation that frames.h does not define");
    if (!ok)
        r->bad = true;
}

static const char *const notations[256] = {
#define NOTATION(number, name, direction, payload, meaning) [number] = (payload),
    CLR_FRAME_MAP(NOTATION)
#undef NOTATION
};

int clr_message_check(const clr_frame_t *frame)
{
    const char *notation = notations[frame->type];
    if (!notation)
        return CLR_EPROTO;
    clr_reader_t r = clr_reader(frame->payload);
    clr_str_t fields = clr_str_c(notation);
    clr_str_t field;
    while (fields.n && clr_str_split(&fields, ',', &field)) {
        clr_str_t name = clr_str_trim(field);
        clr_str_t type;
        (void)clr_str_split(&name, ' ', &type);
        read_field(&r, type, name);
    }
    return clr_reader_done(&r);
}
