/* worker_input.h: fuzz input as what a worker says. A frame is made from the notation in the frame
 * table itself (clrun/frames.h), so that most of what comes out gets past the codec to the handler
 * behind it, and a new frame is covered as soon as it is in the table.
 */
#pragma once

#include <stdlib.h>

#include "clrun/frames.h"
#include "link/message.h"

typedef struct input {
    const uint8_t *p;
    size_t n;
} input_t;

static uint8_t input_u8(input_t *in)
{
    if (in->n == 0)
        return 0;
    in->n--;
    return *in->p++;
}

static clr_str_t input_bytes(input_t *in, size_t n)
{
    n = n < in->n ? n : in->n;
    clr_str_t bytes = clr_str((const char *)in->p, n);
    in->p += n;
    in->n -= n;
    return bytes;
}

/* Small ones in one byte, then those where something changes, or any. */
static uint64_t input_number(input_t *in)
{
    static const uint64_t edges[] = {
        200,        204,           304,
        404,        1000,          4000,
        65535,      UINT32_MAX,    1u << 31,
        100000,     CLR_FRAME_MAX, (UINT64_C(1) << 53) - 1,
        1ull << 53, INT64_MAX,     CLR_NO_ACK - 1,
        CLR_NO_ACK,
    };
    uint64_t number = input_u8(in);
    if (number < 128)
        return number;
    if (number < 255)
        return edges[number % (sizeof(edges) / sizeof(edges[0]))];
    clr_str_t bytes = input_bytes(in, 8);
    number = 0;
    for (size_t i = 0; i < bytes.n; i++)
        number = number << 8 | (uint8_t)bytes.p[i];
    return number;
}

/* Literal bytes, a word that means something to a handler, or a long run. */
static void put_str(clr_buf_t *out, input_t *in, const clr_str_t *words, size_t count)
{
    uint8_t n = input_u8(in);
    if (n < 128) {
        clr_write_str(out, input_bytes(in, n));
    } else if (n < 250) {
        clr_write_str(out, words[(n - 128u) % count]);
    } else {
        size_t length = ((size_t)input_u8(in) + 1) * 128;
        clr_buf_append_le(out, length, 4);
        memset(clr_buf_reserve(out, length), n, length);
        out->n += length;
    }
}

static void put_list(clr_buf_t *out, input_t *in, const clr_str_t *words, size_t count)
{
    uint16_t length = input_u8(in) % 16;
    clr_buf_append_le(out, length, 2);
    for (int i = 0; i < length; i++)
        put_str(out, in, words, count);
}

/* One item of the notation; the name after its type does not matter. */
static void put_item(clr_buf_t *out, input_t *in, clr_str_t item, const clr_str_t *words,
                     size_t count)
{
    while (clr_str_starts(item, CLR_STR(" ")))
        item = clr_str_from(item, 1);
    if (clr_str_starts(item, CLR_STR("u")))
        clr_buf_append_le(out, input_number(in), (size_t)strtol(item.p + 1, NULL, 10) / 8);
    else if (clr_str_starts(item, CLR_STR("list")))
        put_list(out, in, words, count);
    else if (item.n > 0)
        put_str(out, in, words, count);
    if (clr_str_starts(item, CLR_STR("data")))
        put_list(out, in, words, count);
}

/* The payload's notation, of the first frame of a worker's with this number or a greater one. */
static const char *frame_notation(uint8_t *type)
{
#define ROW(number, name, direction, payload, meaning) {number, #direction[0], payload},
    static const struct {
        uint8_t type;
        char direction;
        const char *payload;
    } rows[] = {CLR_FRAME_MAP(ROW)};
#undef ROW
    for (;; ++*type)
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
            if (rows[i].type == *type && rows[i].direction == 'W')
                return rows[i].payload;
}

/* A whole frame; its type and flags are the input's next two bytes. Flags that the type may not
 * have would end the worker at once: they are left out, but for those of an input that insists. */
static void put_frame(clr_buf_t *out, input_t *in, uint64_t stream, const clr_str_t *words,
                      size_t count)
{
    uint8_t type = input_u8(in), flags = input_u8(in);
    clr_str_t rest = clr_str_c(frame_notation(&type)), item;
    size_t at = clr_frame_begin(out, type, 0, stream);
    while (clr_str_split(&rest, ',', &item))
        put_item(out, in, item, words, count);
    clr_frame_end(out, at);
    clr_frame_t frame;
    char *flags_at = out->p + at + 5;
    *flags_at = (char)(flags & 127);
    if (flags < 128 && clr_frame_decode(clr_str_from(clr_buf_str(out), at), 'W', &frame, NULL) < 0)
        *flags_at = 0;
}
