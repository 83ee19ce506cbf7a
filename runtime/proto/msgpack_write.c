/* msgpack_write.c: from JSON text and attachments to MessagePack.
 *
 * Two passes over the text: MessagePack wants the number of entries before the first, so the first
 * pass counts them, one number for each array and object in the order in which they open.
 */
#include "proto/msgpack.h"

#include <stdlib.h>

#include "base/assert.h"
#include "proto/json.h"

typedef struct writer {
    clr_buf_t *out;
    clr_str_t rest;
    const clr_str_t *attachments;
    uint32_t attachment_count;
} writer_t;

static void put_be(clr_buf_t *out, uint8_t first, uint64_t v, size_t n)
{
    clr_buf_putc(out, (char)first);
    for (size_t i = n; i-- > 0;)
        clr_buf_putc(out, (char)(v >> (8 * i)));
}

static void put_uint(clr_buf_t *out, uint64_t v)
{
    if (v < 0x80)
        clr_buf_putc(out, (char)v);
    else if (v <= UINT8_MAX)
        put_be(out, 0xcc, v, 1);
    else if (v <= UINT16_MAX)
        put_be(out, 0xcd, v, 2);
    else if (v <= UINT32_MAX)
        put_be(out, 0xce, v, 4);
    else
        put_be(out, 0xcf, v, 8);
}

static void put_negative(clr_buf_t *out, int64_t v)
{
    CLR_ASSERT(v < 0);
    if (v >= -0x20)
        clr_buf_putc(out, (char)v);
    else if (v >= INT8_MIN)
        put_be(out, 0xd0, (uint64_t)v, 1);
    else if (v >= INT16_MIN)
        put_be(out, 0xd1, (uint64_t)v, 2);
    else if (v >= INT32_MIN)
        put_be(out, 0xd2, (uint64_t)v, 4);
    else
        put_be(out, 0xd3, (uint64_t)v, 8);
}

static void put_float(clr_buf_t *out, double f)
{
    uint64_t bits;
    memcpy(&bits, &f, sizeof bits);
    put_be(out, 0xcb, bits, 8);
}

/* The head of a string of n bytes. */
static void put_str_head(clr_buf_t *out, size_t n)
{
    CLR_ASSERT(n <= UINT32_MAX);
    if (n < 0x20)
        clr_buf_putc(out, (char)(0xa0 | n));
    else if (n <= UINT8_MAX)
        put_be(out, 0xd9, n, 1);
    else if (n <= UINT16_MAX)
        put_be(out, 0xda, n, 2);
    else
        put_be(out, 0xdb, n, 4);
}

static void put_bin(clr_buf_t *out, clr_str_t bytes)
{
    CLR_ASSERT(bytes.n <= UINT32_MAX);
    if (bytes.n <= UINT8_MAX)
        put_be(out, 0xc4, bytes.n, 1);
    else if (bytes.n <= UINT16_MAX)
        put_be(out, 0xc5, bytes.n, 2);
    else
        put_be(out, 0xc6, bytes.n, 4);
    clr_buf_append_str(out, bytes);
}

static void put_count(clr_buf_t *out, bool map, uint32_t n)
{
    if (n < 0x10)
        clr_buf_putc(out, (char)((map ? 0x80 : 0x90) | n));
    else if (n <= UINT16_MAX)
        put_be(out, map ? 0xde : 0xdc, n, 2);
    else
        put_be(out, map ? 0xdf : 0xdd, n, 4);
}

static void put_plain(clr_buf_t *out, clr_str_t s)
{
    put_str_head(out, s.n);
    clr_buf_append_str(out, s);
}

/* --- tokens of valid JSON
 * ---------------------------------------------------------------------------------- */

static const clr_str_t mark = CLR_STR_INIT("{\"_placeholder\":true,\"num\":");

/* Length of the placeholder at s, or 0 when there is none. */
static size_t placeholder_length(clr_str_t s, uint64_t *num)
{
    if (!clr_str_starts(s, mark))
        return 0;
    size_t n = mark.n;
    while (n < s.n && s.p[n] >= '0' && s.p[n] <= '9')
        n++;
    if (n == s.n || s.p[n] != '}' ||
        !clr_str_to_u64(clr_str(s.p + mark.n, n - mark.n), UINT32_MAX, num))
        return 0;
    return n + 1;
}

static size_t number_length(clr_str_t s)
{
    size_t n = 0;
    while (n < s.n && ((s.p[n] >= '0' && s.p[n] <= '9') || strchr("+-.eE", s.p[n])))
        n++;
    return n;
}

/* Appends the counts to *counts. False for an attachment that is not there. */
static bool count_entries(clr_str_t s, uint32_t attachments, clr_buf_t *counts)
{
    uint32_t open[CLR_JSON_MAX_DEPTH] = {0}; /* indices of what is open */
    size_t depth = 0;
    for (size_t n = 1; s.n > 0; s = clr_str_from(s, n), n = 1) {
        uint64_t num = 0;
        char c = s.p[0];
        size_t placeholder = attachments > 0 && c == '{' ? placeholder_length(s, &num) : 0;
        if (placeholder > 0) {
            n = placeholder;
            if (num >= attachments)
                return false;
        } else if (c == '"') {
            n = clr_json_string_length(s);
        } else if (c == '{' || c == '[') {
            char next = clr_json_kind(clr_str_from(s, 1));
            CLR_ASSERT(depth < CLR_JSON_MAX_DEPTH);
            open[depth++] = (uint32_t)(counts->n / sizeof *open);
            uint32_t first = next != '}' && next != ']';
            clr_buf_append(counts, &first, sizeof first);
        } else if (c == '}' || c == ']') {
            depth--;
        } else if (c == ',') {
            CLR_ASSERT(depth > 0);
            char *at = counts->p + open[depth - 1] * sizeof *open;
            uint32_t count;
            memcpy(&count, at, sizeof count);
            count++;
            memcpy(at, &count, sizeof count);
        }
    }
    return true;
}

static void put_string(clr_buf_t *out, clr_str_t string)
{
    clr_str_t inner = clr_str(string.p + 1, string.n - 2);
    if (clr_str_chr(inner, '\\') < 0) {
        put_plain(out, inner);
        return;
    }
    /* The head for the length with escapes is never too small for the length without. */
    size_t head = out->n;
    put_str_head(out, inner.n);
    size_t from = out->n;
    clr_json_unescape(out, string);
    size_t n = out->n - from;
    if (from - head == 1)
        out->p[head] = (char)(0xa0 | n);
    else
        for (size_t i = from; i-- > head + 1; n >>= 8)
            out->p[i] = (char)n;
}

static void put_number(clr_buf_t *out, clr_str_t s)
{
    bool negative = s.p[0] == '-';
    uint64_t v = 0;
    uint64_t max = negative ? UINT64_C(1) << 63 : UINT64_MAX;
    if (clr_str_to_u64(clr_str_from(s, negative), max, &v)) {
        if (negative && v > 0)
            put_negative(out, (int64_t)(0 - v));
        else
            put_uint(out, v);
        return;
    }
    char text[64];
    clr_buf_t copy = {0};
    char *to = s.n < sizeof text ? text : clr_buf_reserve(&copy, s.n + 1);
    memcpy(to, s.p, s.n);
    to[s.n] = '\0';
    put_float(out, strtod(to, NULL));
    clr_buf_deinit(&copy);
}

/* Writes one token and returns its length. */
static size_t put_token(writer_t *w, const char **count)
{
    clr_str_t s = w->rest;
    uint64_t num = 0;
    uint32_t entries;
    size_t n = 1;
    switch (s.p[0]) {
    case '{':
    case '[':
        n = w->attachment_count > 0 ? placeholder_length(s, &num) : 0;
        if (n > 0) {
            put_bin(w->out, w->attachments[num]);
            return n;
        }
        memcpy(&entries, *count, sizeof entries);
        *count += sizeof entries;
        put_count(w->out, s.p[0] == '{', entries);
        return 1;
    case '"':
        n = clr_json_string_length(s);
        put_string(w->out, clr_str(s.p, n));
        return n;
    case 't':
    case 'f':
        clr_buf_putc(w->out, (char)(s.p[0] == 't' ? 0xc3 : 0xc2));
        return s.p[0] == 't' ? 4 : 5;
    case 'n':
        clr_buf_putc(w->out, (char)0xc0);
        return 4;
    case ',':
    case ':':
    case ']':
    case '}':
    case ' ':
    case '\t':
    case '\r':
    case '\n':
        return 1;
    default:
        n = number_length(s);
        put_number(w->out, clr_str(s.p, n));
        return n;
    }
}

int clr_msgpack_append(clr_buf_t *out, clr_buf_t *scratch, const clr_sio_packet_t *packet,
                       const clr_str_t *attachments)
{
    bool has_data = packet->json.n > 0;
    bool has_id = packet->id != CLR_SIO_NO_ID;
    clr_buf_clear(scratch);
    if (has_data && (!clr_json_is_valid(packet->json) ||
                     !count_entries(packet->json, packet->attachments, scratch)))
        return CLR_EPROTO;
    clr_buf_reserve(out, packet->json.n + packet->nsp.n + 32);
    put_count(out, true, 2u + has_data + has_id);
    put_plain(out, CLR_STR("type"));
    put_uint(out, packet->type >= CLR_SIO_BINARY_EVENT ? packet->type - 3u : packet->type);
    put_plain(out, CLR_STR("nsp"));
    put_plain(out, packet->nsp);
    if (has_data) {
        writer_t w = {out, packet->json, attachments, packet->attachments};
        const char *count = scratch->p;
        put_plain(out, CLR_STR("data"));
        while (w.rest.n > 0)
            w.rest = clr_str_from(w.rest, put_token(&w, &count));
    }
    if (has_id) {
        put_plain(out, CLR_STR("id"));
        put_uint(out, packet->id);
    }
    return 0;
}
