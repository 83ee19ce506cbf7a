/* sio.c: Socket.IO v5 packets. */
#include "proto/sio.h"

#include "base/assert.h"
#include "proto/json.h"
#include "proto/placeholder.h"

/* Names that a client may not send: they would reach the application's life-cycle handlers. */
static const clr_str_t reserved_names[] = {
    CLR_STR_INIT("connect"),       CLR_STR_INIT("connect_error"), CLR_STR_INIT("disconnect"),
    CLR_STR_INIT("disconnecting"), CLR_STR_INIT("newListener"),   CLR_STR_INIT("removeListener"),
};

/* The name as a JSON string. */
static bool is_reserved(clr_str_t name)
{
    for (size_t i = 0; i < clr_array_len(reserved_names); i++)
        if (clr_json_string_is(name, reserved_names[i]))
            return true;
    return false;
}

static int refuse(const char **why, const char *text)
{
    *why = text;
    return CLR_EPROTO;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Cuts a run of digits off *s. False when it is above max. */
static bool take_number(clr_str_t *s, uint64_t max, uint64_t *out)
{
    size_t n = 0;
    while (n < s->n && is_digit(s->p[n]))
        n++;
    bool ok = clr_str_to_u64(clr_str(s->p, n), max, out);
    *s = clr_str_from(*s, n);
    return ok;
}

static bool is_binary(uint8_t type)
{
    return type == CLR_SIO_BINARY_EVENT || type == CLR_SIO_BINARY_ACK;
}

static int take_attachments(clr_str_t *s, clr_sio_packet_t *out, const char **why)
{
    uint64_t count = 0;
    if (!take_number(s, CLR_SIO_MAX_ATTACHMENTS, &count) || count == 0)
        return refuse(why, "bad number of attachments");
    if (s->n == 0 || s->p[0] != '-')
        return refuse(why, "bad number of attachments");
    *s = clr_str_from(*s, 1);
    out->attachments = (uint32_t)count;
    return 0;
}

static void take_namespace(clr_str_t *s, clr_sio_packet_t *out)
{
    out->nsp = CLR_STR("/");
    if (s->n == 0 || s->p[0] != '/')
        return;
    ptrdiff_t comma = clr_str_chr(*s, ',');
    size_t n = comma < 0 ? s->n : (size_t)comma;
    out->nsp = clr_str(s->p, n);
    *s = clr_str_from(*s, n + 1);
}

/* --- the shape of the JSON text, which is valid
 * ------------------------------------------------------ */

static clr_str_t skip_space(clr_str_t s)
{
    while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\n' || s.p[0] == '\r' || s.p[0] == '\t'))
        s = clr_str_from(s, 1);
    return s;
}

/* The first element of an array, as text; empty when the array is. */
static clr_str_t first_element(clr_str_t json)
{
    clr_str_t rest = skip_space(clr_str_from(skip_space(json), 1));
    if (rest.n == 0 || rest.p[0] == ']')
        return CLR_STR_EMPTY;
    int64_t n = clr_json_skip(rest);
    return n < 0 ? CLR_STR_EMPTY : clr_str(rest.p, (size_t)n);
}

static int check_event(clr_str_t json, const char **why)
{
    if (clr_json_kind(json) != '[')
        return refuse(why, "event is not an array");
    clr_str_t name = first_element(json);
    if (name.n > 0 && (name.p[0] == '-' || is_digit(name.p[0])))
        return 0;
    if (name.n == 0 || name.p[0] != '"')
        return refuse(why, "event without a name");
    return is_reserved(name) ? refuse(why, "reserved event name") : 0;
}

static int check_shape(const clr_sio_packet_t *p, const char **why)
{
    bool has_id = p->id != CLR_SIO_NO_ID;
    switch (p->type) {
    case CLR_SIO_CONNECT:
        if (has_id || (p->json.n > 0 && clr_json_kind(p->json) != '{'))
            return refuse(why, "auth is not an object");
        return 0;
    case CLR_SIO_DISCONNECT:
        return has_id || p->json.n > 0 ? refuse(why, "disconnect with a payload") : 0;
    case CLR_SIO_EVENT:
    case CLR_SIO_BINARY_EVENT:
        return check_event(p->json, why);
    default:
        CLR_ASSERT(p->type == CLR_SIO_ACK || p->type == CLR_SIO_BINARY_ACK);
        if (!has_id || clr_json_kind(p->json) != '[')
            return refuse(why, "ack is not an array with an id");
        return 0;
    }
}

int clr_sio_packet_check(const clr_sio_packet_t *p, const char **why)
{
    if (check_shape(p, why) != 0)
        return CLR_EPROTO;
    if (is_binary(p->type) && !clr_placeholders_are_valid(p->json, p->attachments))
        return refuse(why, "bad placeholder");
    return 0;
}

int clr_sio_packet_parse(clr_str_t text, clr_sio_packet_t *out, const char **why)
{
    if (text.n == 0 || text.p[0] < '0' || text.p[0] > '6')
        return refuse(why, "unknown packet type");
    *out = (clr_sio_packet_t){.type = (uint8_t)(text.p[0] - '0'), .id = CLR_SIO_NO_ID};
    if (out->type == CLR_SIO_CONNECT_ERROR)
        return refuse(why, "connect error from a client");
    clr_str_t rest = clr_str_from(text, 1);
    if (is_binary(out->type) && take_attachments(&rest, out, why) != 0)
        return CLR_EPROTO;
    take_namespace(&rest, out);
    if (rest.n > 0 && is_digit(rest.p[0]) && !take_number(&rest, CLR_SIO_MAX_ID, &out->id))
        return refuse(why, "bad packet id");
    out->json = rest;
    if (rest.n > 0 && !clr_json_is_valid(rest))
        return refuse(why, "bad JSON");
    return clr_sio_packet_check(out, why);
}

void clr_sio_packet_head(clr_buf_t *out, uint8_t type, uint32_t attachments, clr_str_t nsp,
                         uint64_t id)
{
    CLR_ASSERT(type <= CLR_SIO_BINARY_ACK);
    clr_buf_putc(out, (char)('0' + type));
    if (is_binary(type)) {
        clr_buf_append_u64(out, attachments);
        clr_buf_putc(out, '-');
    }
    if (!clr_str_eq(nsp, CLR_STR("/"))) {
        clr_buf_append_str(out, nsp);
        clr_buf_putc(out, ',');
    }
    if (id != CLR_SIO_NO_ID)
        clr_buf_append_u64(out, id);
}
