/* msgpack_read.c: from MessagePack to JSON text and attachments. */
#include "proto/msgpack.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/assert.h"
#include "base/utf8.h"
#include "proto/json.h"

typedef enum kind {
    KIND_NIL,
    KIND_UNDEFINED,
    KIND_FALSE,
    KIND_TRUE,
    KIND_UINT,
    KIND_INT,
    KIND_FLOAT,
    KIND_DATE,
    KIND_STR,
    KIND_BIN,
    KIND_ARRAY,
    KIND_MAP,
} kind_t;

/* One token: a scalar with its value, or the head of an array or map. */
typedef struct item {
    kind_t kind;
    uint64_t u; /* UINT; count of ARRAY and MAP */
    int64_t i;  /* INT (negative); DATE in ms since 1970 */
    double f;
    clr_str_t bytes; /* STR, BIN */
} item_t;

typedef struct level {
    uint32_t left; /* entries to come */
    bool map;
} level_t;

typedef struct reader {
    clr_str_t rest;
    clr_buf_t *out;
    clr_str_t *attachments;
    uint32_t attachment_count;
    const char *why;
    size_t depth;
    level_t levels[CLR_JSON_MAX_DEPTH];
} reader_t;

static bool refuse(reader_t *r, const char *why)
{
    r->why = why;
    return false;
}

/* --- tokens
 * ------------------------------------------------------------------------------------------- */

static bool take_bytes(reader_t *r, uint64_t n, clr_str_t *bytes)
{
    if (n > r->rest.n)
        return refuse(r, "message ends too early");
    *bytes = clr_str(r->rest.p, (size_t)n);
    r->rest = clr_str_from(r->rest, (size_t)n);
    return true;
}

/* A big-endian number of 1 to 8 bytes. */
static bool take_number(reader_t *r, size_t n, uint64_t *v)
{
    clr_str_t bytes;
    CLR_ASSERT(n <= 8);
    if (!take_bytes(r, n, &bytes))
        return false;
    *v = 0;
    for (size_t i = 0; i < n; i++)
        *v = *v << 8 | (uint8_t)bytes.p[i];
    return true;
}

static bool take_sized(reader_t *r, item_t *it, kind_t kind, size_t length_bytes)
{
    uint64_t n = 0;
    it->kind = kind;
    return take_number(r, length_bytes, &n) && take_bytes(r, n, &it->bytes);
}

static bool take_signed(reader_t *r, item_t *it, size_t n)
{
    uint64_t v = 0;
    if (!take_number(r, n, &v))
        return false;
    unsigned shift = (unsigned)(64 - 8 * n);
    it->i = (int64_t)(v << shift) >> shift;
    it->u = v;
    it->kind = it->i < 0 ? KIND_INT : KIND_UINT;
    return true;
}

static bool take_float(reader_t *r, item_t *it, size_t n)
{
    uint64_t v = 0;
    if (!take_number(r, n, &v))
        return false;
    it->kind = KIND_FLOAT;
    if (n == 8) {
        memcpy(&it->f, &v, sizeof it->f);
    } else {
        uint32_t bits = (uint32_t)v;
        float f;
        memcpy(&f, &bits, sizeof f);
        it->f = (double)f;
    }
    return true;
}

static uint64_t big_endian(clr_str_t s)
{
    uint64_t v = 0;
    for (size_t i = 0; i < s.n; i++)
        v = v << 8 | (uint8_t)s.p[i];
    return v;
}

/* The timestamp of the MessagePack specification: seconds in 4 bytes, with nanoseconds in 8, or 12.
 */
static bool read_timestamp(reader_t *r, item_t *it, clr_str_t data)
{
    uint64_t v = big_endian(clr_str(data.p, data.n < 8 ? data.n : 8));
    int64_t seconds = (int64_t)v;
    uint64_t ns = 0;
    if (data.n == 8) {
        ns = v >> 34;
        seconds = (int64_t)(v & ((UINT64_C(1) << 34) - 1));
    } else if (data.n == 12) {
        ns = v >> 32;
        seconds = (int64_t)big_endian(clr_str_from(data, 4));
    }
    bool sized = data.n == 4 || data.n == 8 || data.n == 12;
    if (!sized || ns > 999999999 || seconds > INT64_C(1) << 40 || seconds < -(INT64_C(1) << 40))
        return refuse(r, "bad timestamp");
    it->kind = KIND_DATE;
    it->i = seconds * 1000 + (int64_t)(ns / 1000000);
    return true;
}

/* `fixed`: in one of the forms with the length in the first byte, which the JavaScript library uses
 * for other things of the same type 0. */
static bool take_ext(reader_t *r, item_t *it, uint64_t n, bool fixed)
{
    uint64_t type = 0;
    if (!take_number(r, 1, &type) || !take_bytes(r, n, &it->bytes))
        return false;
    if (type == 0xff)
        return read_timestamp(r, it, it->bytes);
    if (type != 0 || (fixed && n != 1 && n != 8))
        return refuse(r, "unknown extension");
    it->kind = !fixed ? KIND_BIN : n == 1 ? KIND_UNDEFINED : KIND_DATE;
    if (it->kind == KIND_DATE)
        it->i = (int64_t)big_endian(it->bytes);
    return true;
}

static bool take_counted_ext(reader_t *r, item_t *it, size_t length_bytes)
{
    uint64_t n = 0;
    return take_number(r, length_bytes, &n) && take_ext(r, it, n, false);
}

static bool take_count(reader_t *r, item_t *it, kind_t kind, size_t n)
{
    it->kind = kind;
    return take_number(r, n, &it->u);
}

/* First bytes from 0xc0 to 0xdf. */
static bool take_typed(reader_t *r, item_t *it, uint8_t b)
{
    switch (b) {
    case 0xc0:
        it->kind = KIND_NIL;
        return true;
    case 0xc2:
    case 0xc3:
        it->kind = b == 0xc2 ? KIND_FALSE : KIND_TRUE;
        return true;
    case 0xc4:
    case 0xc5:
    case 0xc6:
        return take_sized(r, it, KIND_BIN, (size_t)1 << (b - 0xc4));
    case 0xc7:
    case 0xc8:
    case 0xc9:
        return take_counted_ext(r, it, (size_t)1 << (b - 0xc7));
    case 0xca:
    case 0xcb:
        return take_float(r, it, b == 0xca ? 4 : 8);
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf:
        return take_count(r, it, KIND_UINT, (size_t)1 << (b - 0xcc));
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3:
        return take_signed(r, it, (size_t)1 << (b - 0xd0));
    case 0xd4:
    case 0xd5:
    case 0xd6:
    case 0xd7:
    case 0xd8:
        return take_ext(r, it, UINT64_C(1) << (b - 0xd4), true);
    case 0xd9:
    case 0xda:
    case 0xdb:
        return take_sized(r, it, KIND_STR, (size_t)1 << (b - 0xd9));
    case 0xdc:
    case 0xdd:
        return take_count(r, it, KIND_ARRAY, b == 0xdc ? 2 : 4);
    case 0xde:
    case 0xdf:
        return take_count(r, it, KIND_MAP, b == 0xde ? 2 : 4);
    default:
        return refuse(r, "bad first byte");
    }
}

static bool take_item(reader_t *r, item_t *it)
{
    uint64_t first = 0;
    if (!take_number(r, 1, &first))
        return false;
    uint8_t b = (uint8_t)first;
    *it = (item_t){.kind = KIND_UINT, .u = b};
    if (b < 0x80)
        return true;
    if (b < 0xa0) {
        it->kind = b < 0x90 ? KIND_MAP : KIND_ARRAY;
        it->u = b & 0x0f;
        return true;
    }
    if (b < 0xc0) {
        it->kind = KIND_STR;
        return take_bytes(r, b & 0x1f, &it->bytes);
    }
    if (b >= 0xe0) {
        it->kind = KIND_INT;
        it->i = (int64_t)b - 256;
        return true;
    }
    return take_typed(r, it, b);
}

/* --- JSON
 * -------------------------------------------------------------------------------------------- */

/* The shortest of the texts that read back as the same number, marked as a float. JSON has no word
 * for what is not finite; JSON.stringify() says null. */
static void put_float(clr_buf_t *out, double f)
{
    char text[40];
    if (!__builtin_isfinite(f)) {
        clr_buf_append_str(out, CLR_STR("null"));
        return;
    }
    int n = 0;
    for (int digits = 15; digits <= 17; digits++) {
        n = snprintf(text, sizeof text, "%.*g", digits, f);
        if (strtod(text, NULL) == f)
            break;
    }
    CLR_ASSERT(n > 0 && n < (int)sizeof text);
    clr_buf_append(out, text, (size_t)n);
    if (strspn(text, "-0123456789") == (size_t)n)
        clr_buf_append_str(out, CLR_STR(".0"));
}

/* As Date.toJSON() has it, for the years of four digits. */
static bool put_date(reader_t *r, int64_t ms)
{
    int64_t seconds = ms / 1000 - (ms % 1000 < 0);
    time_t t = (time_t)seconds;
    struct tm tm;
    if (!gmtime_r(&t, &tm) || tm.tm_year < -1900 || tm.tm_year > 8099)
        return refuse(r, "date out of range");
    clr_buf_printf(r->out, "\"%04d-%02d-%02dT%02d:%02d:%02d.%03dZ\"", tm.tm_year + 1900,
                   tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                   (int)(ms - seconds * 1000));
    return true;
}

static bool put_string(reader_t *r, clr_str_t s)
{
    if (!clr_utf8_is_valid(s))
        return refuse(r, "text is not UTF-8");
    clr_json_append_string(r->out, s);
    return true;
}

static bool put_attachment(reader_t *r, clr_str_t bytes)
{
    if (r->attachment_count == CLR_SIO_MAX_ATTACHMENTS)
        return refuse(r, "too many attachments");
    clr_buf_append_str(r->out, CLR_STR("{\"_placeholder\":true,\"num\":"));
    clr_buf_append_u64(r->out, r->attachment_count);
    clr_buf_putc(r->out, '}');
    r->attachments[r->attachment_count++] = bytes;
    return true;
}

static bool open_level(reader_t *r, const item_t *it)
{
    if (r->depth == CLR_JSON_MAX_DEPTH)
        return refuse(r, "nested too deeply");
    bool map = it->kind == KIND_MAP;
    r->levels[r->depth++] = (level_t){.left = (uint32_t)it->u, .map = map};
    clr_buf_putc(r->out, map ? '{' : '[');
    return true;
}

static bool put_item(reader_t *r, const item_t *it)
{
    switch (it->kind) {
    case KIND_NIL:
    case KIND_UNDEFINED:
        clr_buf_append_str(r->out, CLR_STR("null"));
        return true;
    case KIND_FALSE:
        clr_buf_append_str(r->out, CLR_STR("false"));
        return true;
    case KIND_TRUE:
        clr_buf_append_str(r->out, CLR_STR("true"));
        return true;
    case KIND_UINT:
        clr_buf_append_u64(r->out, it->u);
        return true;
    case KIND_INT:
        clr_buf_putc(r->out, '-');
        clr_buf_append_u64(r->out, -(uint64_t)it->i);
        return true;
    case KIND_FLOAT:
        put_float(r->out, it->f);
        return true;
    case KIND_DATE:
        return put_date(r, it->i);
    case KIND_STR:
        return put_string(r, it->bytes);
    case KIND_BIN:
        return put_attachment(r, it->bytes);
    default:
        return open_level(r, it);
    }
}

/* The comma and the key before the next entry of what is open. */
static bool put_entry_start(reader_t *r, level_t *level)
{
    char last = r->out->p[r->out->n - 1];
    level->left--;
    if (last != '[' && last != '{')
        clr_buf_putc(r->out, ',');
    if (!level->map)
        return true;
    item_t key;
    if (!take_item(r, &key))
        return false;
    if (key.kind != KIND_STR)
        return refuse(r, "key is not a string");
    if (!put_string(r, key.bytes))
        return false;
    clr_buf_putc(r->out, ':');
    return true;
}

/* Transcodes the value that begins with *it. */
static bool put_value(reader_t *r, item_t *it)
{
    r->depth = 0;
    if (!put_item(r, it))
        return false;
    while (r->depth > 0) {
        level_t *level = &r->levels[r->depth - 1];
        if (level->left == 0) {
            clr_buf_putc(r->out, level->map ? '}' : ']');
            r->depth--;
            continue;
        }
        size_t before = r->out->n;
        if (!put_entry_start(r, level) || !take_item(r, it))
            return false;
        if (level->map && it->kind == KIND_UNDEFINED)
            r->out->n = before; /* {a: undefined} is {} */
        else if (!put_item(r, it))
            return false;
    }
    return true;
}

/* --- the packet
 * ------------------------------------------------------------------------------------------ */

enum { SEEN_TYPE = 1, SEEN_NSP = 2, SEEN_DATA = 4, SEEN_ID = 8 };

static unsigned field_of(clr_str_t key)
{
    return clr_str_eq(key, CLR_STR("type"))   ? SEEN_TYPE
           : clr_str_eq(key, CLR_STR("nsp"))  ? SEEN_NSP
           : clr_str_eq(key, CLR_STR("data")) ? SEEN_DATA
           : clr_str_eq(key, CLR_STR("id"))   ? SEEN_ID
                                              : 0;
}

static bool read_type(reader_t *r, const item_t *it, clr_sio_packet_t *out)
{
    if (it->kind != KIND_UINT || it->u >= CLR_SIO_CONNECT_ERROR)
        return refuse(r, "unknown packet type");
    out->type = (uint8_t)it->u;
    return true;
}

/* A comma would end it in a text packet. */
static bool read_nsp(reader_t *r, const item_t *it, clr_sio_packet_t *out)
{
    out->nsp = it->bytes;
    if (it->kind != KIND_STR || !clr_str_starts(it->bytes, CLR_STR("/")) ||
        clr_str_chr(it->bytes, ',') >= 0 || !clr_utf8_is_valid(it->bytes))
        return refuse(r, "bad namespace");
    return true;
}

static bool read_id(reader_t *r, const item_t *it, clr_sio_packet_t *out)
{
    if (it->kind == KIND_UNDEFINED)
        return true;
    if (it->kind != KIND_UINT || it->u > CLR_SIO_MAX_ID)
        return refuse(r, "bad packet id");
    out->id = it->u;
    return true;
}

/* No data is said in three ways: by no key, by undefined (JavaScript) and by nil (Python). */
static bool read_data(reader_t *r, item_t *it)
{
    if (it->kind == KIND_NIL || it->kind == KIND_UNDEFINED)
        return true;
    return put_value(r, it);
}

/* What else is in the map is read and forgotten; the JavaScript client puts its options there. */
static bool skip_value(reader_t *r, item_t *it)
{
    size_t length = r->out->n;
    uint32_t count = r->attachment_count;
    bool ok = put_value(r, it);
    r->out->n = length;
    r->attachment_count = count;
    return ok;
}

static bool read_field(reader_t *r, unsigned *seen, clr_sio_packet_t *out)
{
    item_t key, value;
    if (!take_item(r, &key))
        return false;
    if (key.kind != KIND_STR)
        return refuse(r, "key is not a string");
    unsigned field = field_of(key.bytes);
    if (*seen & field)
        return refuse(r, "field twice");
    *seen |= field;
    if (!take_item(r, &value))
        return false;
    switch (field) {
    case SEEN_TYPE:
        return read_type(r, &value, out);
    case SEEN_NSP:
        return read_nsp(r, &value, out);
    case SEEN_ID:
        return read_id(r, &value, out);
    case SEEN_DATA:
        return read_data(r, &value);
    default:
        return skip_value(r, &value);
    }
}

static bool read_packet(reader_t *r, clr_sio_packet_t *out)
{
    item_t map;
    unsigned seen = 0;
    if (!take_item(r, &map))
        return false;
    if (map.kind != KIND_MAP)
        return refuse(r, "packet is not a map");
    for (uint64_t i = 0; i < map.u; i++)
        if (!read_field(r, &seen, out))
            return false;
    if (r->rest.n > 0)
        return refuse(r, "bytes after the packet");
    if (!(seen & SEEN_TYPE) || !(seen & SEEN_NSP))
        return refuse(r, "packet without type or namespace");
    return true;
}

int clr_msgpack_parse(clr_str_t bytes, clr_buf_t *scratch, clr_sio_packet_t *out,
                      clr_str_t attachments[CLR_SIO_MAX_ATTACHMENTS], const char **why)
{
    reader_t r;
    r.rest = bytes;
    r.out = scratch;
    r.attachments = attachments;
    r.attachment_count = 0;
    r.why = NULL;
    r.depth = 0;
    clr_buf_clear(scratch);
    *out = (clr_sio_packet_t){.id = CLR_SIO_NO_ID};
    if (!read_packet(&r, out)) {
        *why = r.why;
        return CLR_EPROTO;
    }
    out->json = clr_buf_str(scratch);
    out->attachments = r.attachment_count;
    if (out->attachments > 0) {
        if (out->type != CLR_SIO_EVENT && out->type != CLR_SIO_ACK) {
            *why = "bytes outside of an event";
            return CLR_EPROTO;
        }
        out->type = out->type == CLR_SIO_EVENT ? CLR_SIO_BINARY_EVENT : CLR_SIO_BINARY_ACK;
    }
    CLR_DCHECK(out->json.n == 0 || clr_json_is_valid(out->json));
    return clr_sio_packet_check(out, why);
}
