/* eio_config.c: the JSON of a SERVER frame, field by field. */
#include "gateway/eio_config.h"

#include <cjson/cJSON.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "clrun/frames.h"
#include "proto/http.h"

/* A message and the head of its frame fit in one frame of the link. */
#define MAX_PAYLOAD_LIMIT ((uint64_t)CLR_FRAME_MAX - (4u << 20))
/* The JSON of a msgpack message, at worst. */
#define MSGPACK_GROWTH 8

#define MAX_DURATION_MS (UINT64_C(1000) * 3600 * 24 * 365)
#define MAX_ORIGINS     1000

static int bad(clr_error_t *err, const char *name, const char *what)
{
    return clr_error_set(err, CLR_EINVAL, "%s: expected %s", name, what);
}

/* Fields that are absent keep the default that *out already has. */
static int get_bool(const cJSON *doc, const char *name, bool *out, clr_error_t *err)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(doc, name);
    if (!item)
        return 0;
    if (!cJSON_IsBool(item))
        return bad(err, name, "true or false");
    *out = cJSON_IsTrue(item);
    return 0;
}

static int get_u64(const cJSON *doc, const char *name, uint64_t max, uint64_t *out,
                   clr_error_t *err)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(doc, name);
    if (!item)
        return 0;
    double v = cJSON_IsNumber(item) ? item->valuedouble : -1;
    if (!(v >= 0) || v > (double)max || v != (double)(uint64_t)v)
        return clr_error_set(err, CLR_EINVAL, "%s: expected an integer from 0 to %llu", name,
                             (unsigned long long)max);
    *out = (uint64_t)v;
    return 0;
}

static int get_kind(const cJSON *doc, clr_eio_config_t *c, clr_error_t *err)
{
    const char *kind = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(doc, "kind"));
    c->is_socketio = kind && strcmp(kind, "socketio") == 0;
    if (!c->is_socketio && (!kind || strcmp(kind, "engineio") != 0))
        return bad(err, "kind", "\"socketio\" or \"engineio\"");
    return 0;
}

/* "socket.io/", "/socket.io" → "/socket.io". Returns owned, or NULL for what no request can name.
 */
static char *normalise_path(clr_str_t path)
{
    while (path.n > 0 && path.p[0] == '/')
        path = clr_str_from(path, 1);
    while (path.n > 0 && path.p[path.n - 1] == '/')
        path.n--;
    for (size_t i = 0; i < path.n; i++) {
        if (path.p[i] <= ' ' || path.p[i] == '?' || path.p[i] == '#' || path.p[i] == 0x7f)
            return NULL;
    }
    if (path.n == 0)
        return clr_xstrdup(path);
    char *out = clr_xmalloc(path.n + 2);
    out[0] = '/';
    memcpy(out + 1, path.p, path.n);
    out[path.n + 1] = '\0';
    return out;
}

static int get_path(const cJSON *doc, clr_eio_config_t *c, clr_error_t *err)
{
    const char *path = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(doc, "path"));
    c->path = path ? normalise_path(clr_str_c(path)) : NULL;
    return c->path ? 0 : bad(err, "path", "a URL path such as \"/socket.io\"");
}

static int get_transports(const cJSON *doc, clr_eio_config_t *c, clr_error_t *err)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(doc, "transports");
    if (!list)
        return 0;
    c->polling = c->websocket = false;
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        const char *name = cJSON_GetStringValue(item);
        c->polling |= name && strcmp(name, "polling") == 0;
        c->websocket |= name && strcmp(name, "websocket") == 0;
    }
    if (!cJSON_IsArray(list) || (!c->polling && !c->websocket))
        return bad(err, "transports", "a list of \"polling\" and \"websocket\"");
    return 0;
}

static void add_origin(clr_eio_config_t *c, clr_str_t origin)
{
    c->origins = clr_xrealloc(c->origins, (c->origin_count + 1) * sizeof(*c->origins));
    c->origins[c->origin_count++] = clr_xstrdup(origin);
}

static int get_origin_list(const cJSON *list, clr_eio_config_t *c, clr_error_t *err)
{
    const cJSON *item;
    c->cors = cJSON_GetArraySize(list) == 0 ? CLR_EIO_CORS_OFF : CLR_EIO_CORS_LIST;
    cJSON_ArrayForEach(item, list)
    {
        const char *origin = cJSON_GetStringValue(item);
        if (!origin || c->origin_count == MAX_ORIGINS)
            return bad(err, "cors", "a list of at most 1000 origins");
        if (strcmp(origin, "*") == 0)
            c->cors = CLR_EIO_CORS_ANY;
        add_origin(c, clr_str_c(origin));
    }
    return 0;
}

static int get_cors(const cJSON *doc, clr_eio_config_t *c, clr_error_t *err)
{
    const cJSON *cors = cJSON_GetObjectItemCaseSensitive(doc, "cors");
    if (!cors || cJSON_IsNull(cors))
        return 0;
    if (cJSON_IsArray(cors))
        return get_origin_list(cors, c, err);
    if (cJSON_IsString(cors)) {
        c->cors = strcmp(cors->valuestring, "*") == 0 ? CLR_EIO_CORS_ANY : CLR_EIO_CORS_LIST;
        add_origin(c, clr_str_c(cors->valuestring));
        return 0;
    }
    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(cors, "callable"))) {
        c->cors = CLR_EIO_CORS_ASK;
        return 0;
    }
    return bad(err, "cors", "null, \"*\", an origin, a list of them or {\"callable\":true}");
}

static int get_cookie(const cJSON *doc, clr_eio_config_t *c, clr_error_t *err)
{
    const cJSON *cookie = cJSON_GetObjectItemCaseSensitive(doc, "cookie");
    if (!cookie || cJSON_IsNull(cookie))
        return 0;
    clr_str_t name =
        clr_str_c(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(cookie, "name")));
    clr_str_t attributes =
        clr_str_c(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(cookie, "attributes")));
    if (!clr_http_is_token(name))
        return bad(err, "cookie.name", "a cookie name");
    if (attributes.n > 0 && (attributes.p[0] != ';' || !clr_http_is_field_value(attributes)))
        return bad(err, "cookie.attributes", "attributes such as \"; Path=/\"");
    c->cookie_name = clr_xstrdup(name);
    c->cookie_attributes = clr_xstrdup(attributes);
    return 0;
}

static int get_serializer(const cJSON *doc, clr_eio_config_t *c, clr_error_t *err)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(doc, "serializer");
    if (!item)
        return 0;
    const char *name = cJSON_GetStringValue(item);
    c->msgpack = name && strcmp(name, "msgpack") == 0;
    if (!c->msgpack && (!name || strcmp(name, "default") != 0))
        return bad(err, "serializer", "\"default\" or \"msgpack\"");
    return 0;
}

static int get_on_worker_loss(const cJSON *doc, clr_eio_config_t *c, clr_error_t *err)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(doc, "on_worker_loss");
    if (!item)
        return 0;
    const char *policy = cJSON_GetStringValue(item);
    c->closes_on_loss = policy && strcmp(policy, "disconnect") == 0;
    if (!c->closes_on_loss && (!policy || strcmp(policy, "resume") != 0))
        return bad(err, "on_worker_loss", "\"resume\" or \"disconnect\"");
    return 0;
}

static int get_all(const cJSON *doc, clr_eio_config_t *c, clr_error_t *err)
{
    uint64_t threshold = 1024;
    bool async_handlers = true;
    int rc = cJSON_IsObject(doc) ? 0 : clr_error_set(err, CLR_EINVAL, "expected a JSON object");
    rc = rc ? rc : get_kind(doc, c, err);
    rc = rc ? rc : get_path(doc, c, err);
    rc = rc ? rc : get_u64(doc, "ping_interval_ms", MAX_DURATION_MS, &c->ping_interval_ms, err);
    rc = rc ? rc : get_u64(doc, "ping_timeout_ms", MAX_DURATION_MS, &c->ping_timeout_ms, err);
    rc = rc ? rc : get_u64(doc, "connect_timeout_ms", MAX_DURATION_MS, &c->connect_timeout_ms, err);
    rc = rc ? rc : get_u64(doc, "max_payload", UINT64_C(1) << 53, &c->max_payload, err);
    rc = rc ? rc : get_u64(doc, "compression_threshold", UINT32_MAX, &threshold, err);
    rc = rc ? rc : get_bool(doc, "allow_upgrades", &c->allow_upgrades, err);
    rc = rc ? rc : get_bool(doc, "cors_credentials", &c->cors_credentials, err);
    rc = rc ? rc : get_bool(doc, "http_compression", &c->http_compression, err);
    rc = rc ? rc : get_bool(doc, "async_handlers", &async_handlers, err);
    rc = rc ? rc : get_bool(doc, "always_connect", &c->accepts_first, err);
    rc = rc ? rc : get_transports(doc, c, err);
    rc = rc ? rc : get_cors(doc, c, err);
    rc = rc ? rc : get_cookie(doc, c, err);
    rc = rc ? rc : get_serializer(doc, c, err);
    rc = rc ? rc : get_on_worker_loss(doc, c, err);
    c->compression_threshold = (uint32_t)threshold;
    c->takes_turns = !async_handlers;
    return rc;
}

/* A session whose ping interval were 0 would do nothing but ping. */
static void clamp(clr_eio_config_t *c)
{
    if (c->ping_interval_ms == 0)
        c->ping_interval_ms = 1;
    if (c->ping_timeout_ms == 0)
        c->ping_timeout_ms = 1;
    uint64_t limit = c->msgpack ? MAX_PAYLOAD_LIMIT / MSGPACK_GROWTH : MAX_PAYLOAD_LIMIT;
    if (c->max_payload > limit) {
        clr_log_warn("eio", "%s: max payload lowered to %llu bytes", c->path,
                     (unsigned long long)limit);
        c->max_payload = limit;
    }
}

int clr_eio_config_parse(clr_eio_config_t *out, clr_str_t json, clr_error_t *err)
{
    *out = (clr_eio_config_t){
        .polling = true,
        .websocket = true,
        .allow_upgrades = true,
        .cors_credentials = true,
        .http_compression = true,
        .ping_interval_ms = 25000,
        .ping_timeout_ms = 20000,
        .max_payload = 1000000,
    };
    cJSON *doc = cJSON_ParseWithLength(json.p, json.n);
    int rc = get_all(doc, out, err);
    cJSON_Delete(doc);
    if (rc != 0)
        clr_eio_config_deinit(out);
    else
        clamp(out);
    return rc;
}

static void free_origins(clr_eio_config_t *c)
{
    for (size_t i = 0; i < c->origin_count; i++)
        free(c->origins[i]);
    free(c->origins);
    c->origins = NULL;
    c->origin_count = 0;
}

void clr_eio_config_deinit(clr_eio_config_t *c)
{
    free_origins(c);
    free(c->path);
    free(c->cookie_name);
    free(c->cookie_attributes);
    *c = (clr_eio_config_t){0};
}

static void override_cors(clr_eio_config_t *c, clr_str_t list)
{
    free_origins(c);
    c->cors = CLR_EIO_CORS_OFF;
    for (clr_str_t part; clr_str_split(&list, ',', &part);) {
        part = clr_str_trim(part);
        if (part.n == 0)
            continue;
        if (c->cors == CLR_EIO_CORS_OFF)
            c->cors = CLR_EIO_CORS_LIST;
        if (clr_str_eq(part, CLR_STR("*")))
            c->cors = CLR_EIO_CORS_ANY;
        add_origin(c, part);
    }
}

void clr_eio_config_override(clr_eio_config_t *c, const clr_gateway_options_t *options, bool first)
{
    if (options->socketio_path && first && c->is_socketio) {
        char *path = normalise_path(clr_str_c(options->socketio_path));
        if (path) {
            free(c->path);
            c->path = path;
        }
    }
    if (options->ping_interval_ms)
        c->ping_interval_ms = options->ping_interval_ms;
    if (options->ping_timeout_ms)
        c->ping_timeout_ms = options->ping_timeout_ms;
    if (options->max_payload)
        c->max_payload = options->max_payload;
    if (!c->connect_timeout_ms)
        c->connect_timeout_ms = options->connect_timeout_ms ? options->connect_timeout_ms : 45000;
    if (options->cors_allowed_origins)
        override_cors(c, clr_str_c(options->cors_allowed_origins));
    clamp(c);
}
