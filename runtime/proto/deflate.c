/* deflate.c: permessage-deflate over zlib. */
#include "proto/deflate.h"

#include <limits.h>
#include <stdlib.h>
#define ZLIB_CONST /* next_in is const */
#include <zlib.h>

#include "base/assert.h"
#include "base/mem.h"

/* Level 2 compresses JSON to 59% at 1 KiB and 44% at 16 KiB, at 51 and 93 MB/s; level 6 to 59% and
 * 42%, at 45 and 50 (2026-11-23, EPYC). A smaller hash table than the default saves no time even
 * for the smallest messages. */
#define LEVEL  2
#define MEMORY 8

/* A buffer above this is given back after the message. */
#define KEEP_BYTES (256 * 1024)

/* Least room for decompressed bytes. */
#define PIECE 4096

/* What a sender leaves out at the end of a message: the rest of an empty stored block. */
static const uint8_t tail[4] = {0x00, 0x00, 0xff, 0xff};

/* ---- negotiation ---- */

static bool is_token_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

static bool take_char(clr_str_t *s, char c)
{
    *s = clr_str_trim(*s);
    if (s->n == 0 || s->p[0] != c)
        return false;
    *s = clr_str_from(*s, 1);
    return true;
}

/* Empty when there is none. */
static clr_str_t take_token(clr_str_t *s)
{
    *s = clr_str_trim(*s);
    size_t n = 0;
    while (n < s->n && is_token_char(s->p[n]))
        n++;
    clr_str_t token = clr_str(s->p, n);
    *s = clr_str_from(*s, n);
    return token;
}

/* After "=": a token, or a quoted one. Empty when it is neither. */
static clr_str_t take_value(clr_str_t *s)
{
    if (!take_char(s, '"'))
        return take_token(s);
    clr_str_t value = take_token(s);
    return take_char(s, '"') ? value : CLR_STR_EMPTY;
}

/* 8 to 15 as the RFC writes them; 0 for anything else. */
static uint8_t parse_bits(clr_str_t value)
{
    uint64_t bits;
    if (value.n == 0 || value.p[0] == '0' || !clr_str_to_u64(value, CLR_DEFLATE_BITS_MAX, &bits))
        return 0;
    return bits >= 8 ? (uint8_t)bits : 0;
}

enum {
    SERVER_NO_TAKEOVER = 1,
    CLIENT_NO_TAKEOVER = 2,
    SERVER_BITS = 4,
    CLIENT_BITS = 8,
};

static unsigned parse_name(clr_str_t name)
{
    static const struct {
        clr_str_t name;
        unsigned flag;
    } names[] = {{CLR_STR_INIT("server_no_context_takeover"), SERVER_NO_TAKEOVER},
                 {CLR_STR_INIT("client_no_context_takeover"), CLIENT_NO_TAKEOVER},
                 {CLR_STR_INIT("server_max_window_bits"), SERVER_BITS},
                 {CLR_STR_INIT("client_max_window_bits"), CLIENT_BITS}};
    for (size_t i = 0; i < clr_array_len(names); i++) {
        if (clr_str_ieq(name, names[i].name))
            return names[i].flag;
    }
    return 0;
}

/* One parameter of an offer. value.p is NULL without one. False declines the offer. */
static bool apply(clr_deflate_params_t *params, unsigned *seen, clr_str_t name, clr_str_t value)
{
    unsigned flag = parse_name(name);
    if (flag == 0 || *seen & flag)
        return false;
    *seen |= flag;
    if (flag == SERVER_BITS) {
        params->server_bits = parse_bits(value);
        params->name_server_bits = true;
        return params->server_bits >= CLR_DEFLATE_BITS_MIN;
    }
    if (flag == CLIENT_BITS && value.p) {
        params->client_bits = parse_bits(value);
        return params->client_bits > 0;
    }
    return !value.p; /* the others take none */
}

/* One extension with its parameters off the list. False when the list is not well-formed. */
static bool take_offer(clr_str_t *rest, bool *acceptable, clr_deflate_params_t *params)
{
    clr_str_t extension = take_token(rest);
    if (extension.n == 0)
        return false;
    *params = (clr_deflate_params_t){.server_bits = CLR_DEFLATE_BITS_MAX};
    *acceptable = clr_str_ieq(extension, CLR_STR("permessage-deflate"));
    unsigned seen = 0;
    while (take_char(rest, ';')) {
        clr_str_t name = take_token(rest), value = {0};
        if (name.n == 0)
            return false;
        if (take_char(rest, '=')) {
            value = take_value(rest);
            if (value.n == 0)
                return false;
        }
        *acceptable = *acceptable && apply(params, &seen, name, value);
    }
    return true;
}

bool clr_deflate_negotiate(clr_str_t header, clr_deflate_params_t *out)
{
    bool found = false;
    do {
        bool acceptable = false;
        clr_deflate_params_t params;
        if (!take_offer(&header, &acceptable, &params))
            return false;
        if (acceptable && !found) {
            *out = params;
            found = true;
        }
    } while (take_char(&header, ','));
    return found && header.n == 0;
}

void clr_deflate_append_answer(const clr_deflate_params_t *params, clr_buf_t *out)
{
    clr_buf_append_str(out, CLR_STR("Sec-WebSocket-Extensions: permessage-deflate; "
                                    "server_no_context_takeover; client_no_context_takeover"));
    if (params->name_server_bits)
        clr_buf_printf(out, "; server_max_window_bits=%u", params->server_bits);
    if (params->client_bits)
        clr_buf_printf(out, "; client_max_window_bits=%u", params->client_bits);
    clr_buf_append_str(out, CLR_STR("\r\n"));
}

/* ---- life ---- */

struct clr_deflate {
    z_stream *deflaters[CLR_DEFLATE_BITS_MAX - CLR_DEFLATE_BITS_MIN + 1]; /* by window */
    z_stream *inflater;
    clr_buf_t encoded;
    clr_buf_t decoded;
};

clr_deflate_t *clr_deflate_new(void)
{
    return clr_xcalloc(1, sizeof(clr_deflate_t));
}

void clr_deflate_free(clr_deflate_t *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < clr_array_len(d->deflaters); i++) {
        if (d->deflaters[i])
            deflateEnd(d->deflaters[i]);
        free(d->deflaters[i]);
    }
    if (d->inflater)
        inflateEnd(d->inflater);
    free(d->inflater);
    clr_buf_deinit(&d->encoded);
    clr_buf_deinit(&d->decoded);
    free(d);
}

/* Ready for a message; NULL without memory. */
static z_stream *deflater(clr_deflate_t *d, uint8_t bits)
{
    CLR_ASSERT(bits >= CLR_DEFLATE_BITS_MIN && bits <= CLR_DEFLATE_BITS_MAX);
    z_stream **at = &d->deflaters[bits - CLR_DEFLATE_BITS_MIN];
    if (*at) {
        deflateReset(*at);
        return *at;
    }
    z_stream *z = clr_xcalloc(1, sizeof(*z));
    if (deflateInit2(z, LEVEL, Z_DEFLATED, -bits, MEMORY, Z_DEFAULT_STRATEGY) != Z_OK) {
        free(z);
        return NULL;
    }
    return *at = z;
}

/* Clients may use any window, whatever they promised: this reads them all. */
static z_stream *inflater(clr_deflate_t *d)
{
    if (d->inflater) {
        inflateReset(d->inflater);
        return d->inflater;
    }
    z_stream *z = clr_xcalloc(1, sizeof(*z));
    if (inflateInit2(z, -CLR_DEFLATE_BITS_MAX) != Z_OK) {
        free(z);
        return NULL;
    }
    return d->inflater = z;
}

static void recycle(clr_buf_t *b)
{
    if (b->cap > KEEP_BYTES)
        clr_buf_deinit(b);
    clr_buf_clear(b);
}

/* ---- compression ---- */

/* Whether the bytes are unevenly distributed. Media and archives are not, and are not worth an
 * attempt: this takes 1 µs, compressing the 1,024 bytes that it looks at 20. */
static bool looks_compressible(clr_str_t in)
{
    enum { RUNS = 4, RUN = 256, SAMPLE = RUNS * RUN };
    uint16_t counts[256] = {0};
    CLR_ASSERT(in.n >= SAMPLE);
    for (size_t i = 0; i < RUNS; i++) {
        const char *run = in.p + (in.n - RUN) / (RUNS - 1) * i;
        for (size_t j = 0; j < RUN; j++)
            counts[(uint8_t)run[j]]++;
    }
    uint32_t pairs = 0;
    for (size_t i = 0; i < 256; i++)
        pairs += (uint32_t)counts[i] * (counts[i] - (counts[i] > 0));
    return pairs > SAMPLE * (SAMPLE - 1) / 256 * 5 / 4; /* a quarter above what chance gives */
}

bool clr_deflate_encode(clr_deflate_t *d, uint8_t bits, clr_str_t in, clr_str_t *out)
{
    CLR_ASSERT(clr_deflate_applies(in.n));
    recycle(&d->encoded);
    z_stream *z = looks_compressible(in) ? deflater(d, bits) : NULL;
    if (!z)
        return false;
    /* One byte less than the message, and the tail. zlib is done for sure only when it leaves room.
     */
    size_t room = in.n - 1 + sizeof(tail) + 1;
    z->next_in = (const Bytef *)in.p;
    z->avail_in = (uInt)in.n;
    z->next_out = (Bytef *)clr_buf_reserve(&d->encoded, room);
    z->avail_out = (uInt)room;
    if (deflate(z, Z_SYNC_FLUSH) != Z_OK || z->avail_out == 0)
        return false;
    size_t n = room - z->avail_out - sizeof(tail);
    CLR_ASSERT(memcmp(d->encoded.p + n, tail, sizeof(tail)) == 0);
    *out = clr_str(d->encoded.p, n);
    return true;
}

/* ---- decompression ---- */

/* All of `in` into d->decoded; *ended when it stops at the end of a deflate stream. */
static int inflate_part(clr_deflate_t *d, clr_str_t in, size_t max, bool *ended)
{
    z_stream *z = d->inflater;
    clr_buf_t *out = &d->decoded;
    z->next_in = (const Bytef *)in.p;
    z->avail_in = (uInt)in.n;
    do {
        /* Room for one byte too many shows that there are too many. */
        size_t step = out->n > 4 * in.n + PIECE ? out->n : 4 * in.n + PIECE;
        step = step < max - out->n ? step : max - out->n + 1;
        z->next_out = (Bytef *)clr_buf_reserve(out, step);
        z->avail_out = (uInt)step;
        int rc = inflate(z, Z_SYNC_FLUSH);
        out->n += step - z->avail_out;
        if (out->n > max)
            return CLR_ETOOBIG;
        if (rc == Z_MEM_ERROR)
            return CLR_EFATAL;
        if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
            return CLR_EPROTO;
        *ended = rc == Z_STREAM_END;
        if (*ended) /* some senders end a stream where others flush it: go on with the next */
            inflateReset(z);
    } while (z->avail_in > 0 || z->avail_out == 0);
    return 0;
}

int clr_deflate_decode(clr_deflate_t *d, clr_str_t in, size_t max, clr_str_t *out)
{
    recycle(&d->decoded);
    *out = CLR_STR_EMPTY;
    if (in.n == 0) /* a flush without anything new, as some senders understand it */
        return 0;
    if (in.n > UINT_MAX)
        return CLR_ETOOBIG;
    max = max < UINT_MAX - 1 ? max : UINT_MAX - 1;
    if (!inflater(d))
        return CLR_EFATAL;
    bool ended = false;
    int rc = inflate_part(d, in, max, &ended);
    if (rc == 0 && !ended) {
        rc = inflate_part(d, clr_str((const char *)tail, sizeof(tail)), max, &ended);
        bool between_blocks = !ended && (d->inflater->data_type & 128) != 0;
        if (rc == 0 && !between_blocks)
            rc = CLR_EPROTO;
    }
    if (rc != 0)
        return rc;
    *out = clr_buf_str(&d->decoded);
    return 0;
}
