/* app_headers.c: see app_headers.h. */
#include "gateway/app_headers.h"

#include "proto/http.h"

/* What happens to a header. */
typedef enum fate {
    FATE_KEPT,
    FATE_DROPPED,
    FATE_DROPPED_IN_ACCEPT,
    FATE_CONNECTION,
    FATE_LENGTH,
    FATE_DATE,
} fate_t;

static const struct {
    clr_str_t name;
    fate_t fate;
} fates[] = {
    {CLR_STR_INIT("connection"), FATE_CONNECTION},
    {CLR_STR_INIT("content-length"), FATE_LENGTH},
    {CLR_STR_INIT("date"), FATE_DATE},
    {CLR_STR_INIT("keep-alive"), FATE_DROPPED},
    {CLR_STR_INIT("proxy-connection"), FATE_DROPPED},
    {CLR_STR_INIT("transfer-encoding"), FATE_DROPPED},
    {CLR_STR_INIT("upgrade"), FATE_DROPPED},
    {CLR_STR_INIT("sec-websocket-accept"), FATE_DROPPED_IN_ACCEPT},
    {CLR_STR_INIT("sec-websocket-extensions"), FATE_DROPPED_IN_ACCEPT},
    {CLR_STR_INIT("sec-websocket-protocol"), FATE_DROPPED_IN_ACCEPT},
};

static fate_t fate_of(clr_str_t name)
{
    for (size_t i = 0; i < clr_array_len(fates); i++) {
        if (name.n == fates[i].name.n && clr_str_ieq(name, fates[i].name))
            return fates[i].fate;
    }
    return FATE_KEPT;
}

static void note_length(clr_app_head_t *head, clr_str_t value)
{
    uint64_t length;
    if (!clr_str_to_u64(value, UINT64_MAX >> 1, &length) ||
        (head->length != UINT64_MAX && head->length != length))
        head->bad_length = true;
    else
        head->length = length;
}

/* Whether the line is for the client. */
static bool note(clr_app_head_t *head, enum clr_app_headers_kind kind, clr_str_t name,
                 clr_str_t value)
{
    switch (fate_of(name)) {
    case FATE_KEPT:
        return true;
    case FATE_DROPPED:
        return false;
    case FATE_DROPPED_IN_ACCEPT:
        return kind != CLR_APP_HEADERS_ACCEPT;
    case FATE_CONNECTION:
        head->close |= clr_str_has_token(value, CLR_STR("close"));
        return false;
    case FATE_LENGTH:
        note_length(head, value);
        return false;
    case FATE_DATE:
        head->has_date = true;
        return true;
    }
    return true;
}

static void append_line(clr_buf_t *out, clr_str_t name, clr_str_t value)
{
    char *at = clr_buf_reserve(out, name.n + value.n + 4);
    memcpy(at, name.p, name.n);
    at += name.n;
    *at++ = ':';
    *at++ = ' ';
    if (value.n > 0)
        memcpy(at, value.p, value.n);
    at += value.n;
    *at++ = '\r';
    *at++ = '\n';
    out->n += name.n + value.n + 4;
}

int clr_app_headers_format(clr_strs_t list, enum clr_app_headers_kind kind, clr_app_head_t *head,
                           clr_buf_t *out)
{
    *head = (clr_app_head_t){.length = UINT64_MAX};
    for (clr_str_t name, value; clr_strs_next(&list, &name);) {
        if (!clr_strs_next(&list, &value))
            return CLR_EPROTO;
        value = clr_str_trim(value);
        if (!clr_http_is_token(name) || !clr_http_is_field_value(value))
            return CLR_EPROTO;
        if (note(head, kind, name, value))
            append_line(out, name, value);
    }
    return 0;
}
