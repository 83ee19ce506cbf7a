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
