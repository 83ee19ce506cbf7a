/* eio.c: Engine.IO v4 packets and payloads. */
#include "proto/eio.h"

#include <cjson/cJSON.h>

#include "base/assert.h"
#include "base/base64.h"
#include "base/utf8.h"

int clr_eio_packet_parse(clr_str_t text, clr_buf_t *scratch, clr_eio_packet_t *out)
{
    if (text.n == 0)
        return CLR_EPROTO;
    char type = text.p[0];
    clr_str_t rest = clr_str_from(text, 1);
    if (type >= CLR_EIO_OPEN && type <= CLR_EIO_NOOP) {
        *out = (clr_eio_packet_t){.type = type, .data = rest};
        return 0;
    }
    if (type != 'b')
        return CLR_EPROTO;
    clr_buf_clear(scratch);
    if (!clr_base64_decode(scratch, rest))
        return CLR_EPROTO;
    *out = (clr_eio_packet_t){.type = CLR_EIO_MESSAGE, .binary = true, clr_buf_str(scratch)};
    return 0;
}

bool clr_eio_payload_next(clr_str_t *rest, clr_str_t *packet_text)
{
    return clr_str_split(rest, CLR_EIO_SEPARATOR, packet_text);
}

const char *clr_eio_error_message(int code)
{
#define ERROR_TEXT(number, status, name, message)                                                  \
    case number:                                                                                   \
        return message;
    switch (code) {
        CLR_EIO_ERROR_MAP(ERROR_TEXT)
    default:
        return "Bad request";
    }
}

int clr_eio_error_status(int code)
{
    return code == CLR_EIO_ERROR_FORBIDDEN ? 403 : 400;
}

/* cJSON wants a NUL-terminated text; a session id is ours and short. */
#define SID_MAX 128

void clr_eio_open_json(clr_buf_t *out, clr_str_t sid, bool can_upgrade, uint64_t ping_interval_ms,
                       uint64_t ping_timeout_ms, uint64_t max_payload)
{
    char text[SID_MAX + 1];
    CLR_ASSERT(sid.n <= SID_MAX && clr_utf8_is_valid(sid));
    memcpy(text, sid.p, sid.n);
    text[sid.n] = '\0';

    cJSON *json = cJSON_CreateObject();
    cJSON *upgrades = cJSON_CreateArray();
    if (can_upgrade)
        cJSON_AddItemToArray(upgrades, cJSON_CreateString("websocket"));
    cJSON_AddStringToObject(json, "sid", text);
    cJSON_AddItemToObject(json, "upgrades", upgrades);
    cJSON_AddNumberToObject(json, "pingInterval", (double)ping_interval_ms);
    cJSON_AddNumberToObject(json, "pingTimeout", (double)ping_timeout_ms);
    cJSON_AddNumberToObject(json, "maxPayload", (double)max_payload);

    /* Escapes make at most 6 bytes of one; the keys and three numbers fit in the rest. */
    size_t room = 6 * sid.n + 256;
    char *to = clr_buf_reserve(out, room);
    bool printed = cJSON_PrintPreallocated(json, to, (int)room, false);
    CLR_ASSERT(printed);
    out->n += strlen(to);
    cJSON_Delete(json);
}
