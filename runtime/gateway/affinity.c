/* affinity.c: see affinity.h. */
#include "gateway/affinity.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/random.h"
#include "gateway/sio_socket.h"
#include "proto/json.h"
#include "proto/url.h"

enum { SOURCE_AUTH, SOURCE_QUERY, SOURCE_COOKIE, SOURCE_HEADER };

static const clr_str_t kinds[] = {
    [SOURCE_AUTH] = CLR_STR_INIT("auth"),
    [SOURCE_QUERY] = CLR_STR_INIT("query"),
    [SOURCE_COOKIE] = CLR_STR_INIT("cookie"),
    [SOURCE_HEADER] = CLR_STR_INIT("header"),
};

typedef struct clr_affinity_key {
    clr_list_t idle_; /* a->idle while no session holds it, the longest first */
    uint64_t idle_since;
    uint32_t sessions; /* that hold it */
    uint32_t serial;   /* of its worker */
    size_t len;
    char text[];
} clr_affinity_key_t;

/* The keys that a session holds. */
typedef struct clr_affinity_hold {
    size_t count;
    clr_affinity_key_t *list[CLR_AFFINITY_SOURCES];
} clr_affinity_hold_t;

struct clr_affinity {
    clr_gateway_t *gw;
    const clr_affinity_keys_t *keys;
    clr_map_t map; /* text → clr_affinity_key_t */
    clr_list_t idle;
    size_t idle_count;
    clr_buf_t text;   /* of the keys found; used within one function */
    bool has_headers; /* among the sources */
};

/* ---- sources ---- */

static int parse_source(struct clr_affinity_source *out, clr_str_t item, clr_error_t *err)
{
    clr_str_t kind;
    clr_str_t whole = item;
    (void)clr_str_split(&item, ':', &kind);
    for (uint8_t i = 0; i < clr_array_len(kinds); i++) {
        if (clr_str_eq(kind, kinds[i]) && item.n > 0) {
            *out = (struct clr_affinity_source){i, item};
            return 0;
        }
    }
    return clr_error_set(err, CLR_EINVAL,
                         "\"%.*s\": expected auth:NAME, query:NAME, cookie:NAME or header:NAME",
                         CLR_STR_ARG(whole));
}

int clr_affinity_keys_parse(clr_affinity_keys_t *out, const char *list, clr_error_t *err)
{
    clr_str_t rest = clr_str_c(list), item;
    out->count = 0;
    while (clr_str_split(&rest, ',', &item)) {
        item = clr_str_trim(item);
        if (item.n == 0)
            continue;
        if (out->count == CLR_AFFINITY_SOURCES)
            return clr_error_set(err, CLR_EINVAL, "at most %d sources", CLR_AFFINITY_SOURCES);
        int rc = parse_source(&out->list[out->count], item, err);
        if (rc != 0)
            return rc;
        out->count++;
    }
    return 0;
}

/* ---- finding keys ---- */

/* The keys of one client, as places in a->text. */
typedef struct found {
    size_t count;
    struct {
        size_t from, n;
    } list[CLR_AFFINITY_SOURCES];
} found_t;

static clr_str_t found_at(const clr_affinity_t *a, const found_t *f, size_t i)
{
    return clr_str(a->text.p + f->list[i].from, f->list[i].n);
}

/* What was appended to a->text from there on is a key, unless it is none or there already. */
static void add(clr_affinity_t *a, found_t *f, size_t from)
{
    clr_str_t key = clr_str(a->text.p + from, a->text.n - from);
    bool is_new = key.n > 0 && key.n <= CLR_AFFINITY_KEY_MAX && f->count < CLR_AFFINITY_SOURCES;
    for (size_t i = 0; i < f->count && is_new; i++)
        is_new = !clr_str_eq(found_at(a, f, i), key);
    if (!is_new) {
        a->text.n = from;
        return;
    }
    f->list[f->count].from = from;
    f->list[f->count++].n = key.n;
}

static void add_plain(clr_affinity_t *a, found_t *f, clr_str_t value)
{
    size_t from = a->text.n;
    if (value.n > CLR_AFFINITY_KEY_MAX)
        return;
    clr_buf_append_str(&a->text, value);
    add(a, f, from);
}

static void add_query(clr_affinity_t *a, found_t *f, clr_str_t query, clr_str_t name)
{
    size_t from = a->text.n;
    clr_str_t raw = clr_query_get(query, name);
    if (raw.n == 0 || raw.n > 3 * CLR_AFFINITY_KEY_MAX)
        return;
    clr_url_decode(&a->text, raw, true);
    add(a, f, from);
}

static void add_cookie(clr_affinity_t *a, found_t *f, clr_str_t cookies, clr_str_t name)
{
    for (clr_str_t pair, key; clr_str_split(&cookies, ';', &pair);) {
        pair = clr_str_trim(pair);
        if (clr_str_split(&pair, '=', &key) && clr_str_eq(key, name))
            add_plain(a, f, pair);
    }
}

/* The value of a member of a JSON object, validated before. */
static clr_str_t member(clr_str_t object, clr_str_t name)
{
    object = clr_str_trim(object);
    if (clr_json_kind(object) != '{')
        return CLR_STR_EMPTY;
    clr_str_t rest = clr_str_trim(clr_str_from(object, 1));
    while (rest.n > 0 && rest.p[0] == '"') {
        size_t n = clr_json_string_length(rest);
        bool is_it = clr_json_string_is(clr_str(rest.p, n), name);
        rest = clr_str_trim(clr_str_from(rest, n));
        rest = clr_str_trim(clr_str_from(rest, 1)); /* ':' */
        int64_t size = clr_json_skip(rest);
        if (size <= 0)
            break;
        if (is_it)
            return clr_str(rest.p, (size_t)size);
        rest = clr_str_trim(clr_str_from(rest, (size_t)size));
        rest = rest.n > 0 ? clr_str_trim(clr_str_from(rest, 1)) : rest; /* ',' or '}' */
    }
    return CLR_STR_EMPTY;
}

static void add_auth(clr_affinity_t *a, found_t *f, const clr_shared_t *auth, clr_str_t name)
{
    size_t from = a->text.n;
    clr_str_t value = auth ? member(clr_shared_str(auth), name) : CLR_STR_EMPTY;
    if (value.n == 0 || value.p[0] != '"' || value.n > 6 * CLR_AFFINITY_KEY_MAX)
        return;
    clr_json_unescape(&a->text, clr_str(value.p, clr_json_string_length(value)));
    add(a, f, from);
}

static void add_header(clr_affinity_t *a, found_t *f, const struct clr_affinity_source *source,
                       clr_str_t name, clr_str_t value)
{
    if (source->kind == SOURCE_COOKIE && clr_str_eq(name, CLR_STR("cookie")))
        add_cookie(a, f, value, source->name);
    else if (source->kind == SOURCE_HEADER && clr_str_ieq(name, source->name))
        add_plain(a, f, value);
}

static clr_str_t query_of(clr_str_t target)
{
    clr_str_t path;
    (void)clr_str_split(&target, '?', &path);
    return target;
}

static void find_in_session(clr_affinity_t *a, const clr_eio_session_t *s, found_t *f)
{
    clr_reader_t r = clr_reader(clr_shared_str(s->request));
    clr_request_head_t head = clr_read_request(&r);
    *f = (found_t){0};
    clr_buf_clear(&a->text);
    for (size_t i = 0; i < a->keys->count; i++) {
        const struct clr_affinity_source *source = &a->keys->list[i];
        if (source->kind == SOURCE_AUTH) {
            for (clr_sio_socket_t *at = s->sio.sockets; at; at = at->next_)
                add_auth(a, f, at->auth, source->name);
        } else if (source->kind == SOURCE_QUERY) {
            add_query(a, f, query_of(head.target), source->name);
        }
        clr_strs_t headers = head.headers;
        for (clr_str_t name, value; clr_strs_next(&headers, &name);) {
            if (clr_strs_next(&headers, &value))
                add_header(a, f, source, name, value);
        }
    }
}

static void find_in_request(clr_affinity_t *a, const clr_http_head_t *head, found_t *f)
{
    *f = (found_t){0};
    clr_buf_clear(&a->text);
    for (size_t i = 0; i < a->keys->count; i++) {
        const struct clr_affinity_source *source = &a->keys->list[i];
        if (source->kind == SOURCE_QUERY)
            add_query(a, f, head->query, source->name);
        for (size_t h = 0; h < head->header_count; h++)
            add_header(a, f, source, head->headers[h].name, head->headers[h].value);
    }
}

/* ---- the keys known ---- */

static uint64_t now_ms(const clr_affinity_t *a)
{
    return clr_loop_now(a->gw->loop);
}

static bool is_expired(const clr_affinity_t *a, const clr_affinity_key_t *key)
{
    return key->sessions == 0 && now_ms(a) - key->idle_since > CLR_AFFINITY_IDLE_MS;
}

static void drop_key(clr_affinity_t *a, clr_affinity_key_t *key)
{
    CLR_ASSERT(key->sessions == 0);
    clr_list_remove(&key->idle_);
    a->idle_count--;
    clr_map_remove(&a->map, clr_str(key->text, key->len));
    free(key);
}

static void set_idle(clr_affinity_t *a, clr_affinity_key_t *key)
{
    key->idle_since = now_ms(a);
    clr_list_push_back(&a->idle, &key->idle_);
    a->idle_count++;
    while (!clr_list_is_empty(&a->idle)) {
        clr_affinity_key_t *first = clr_container_of(a->idle.next, clr_affinity_key_t, idle_);
        if (a->idle_count <= CLR_AFFINITY_IDLE_MAX && !is_expired(a, first))
            break;
        drop_key(a, first);
    }
}

static void unset_idle(clr_affinity_t *a, clr_affinity_key_t *key)
{
    clr_list_remove(&key->idle_);
    a->idle_count--;
}

/* Its worker, if that is ready, or may be one that retires. */
static clr_worker_t *worker_of(const clr_affinity_t *a, clr_str_t text, bool may_retire)
{
    const clr_affinity_key_t *key = clr_map_get(&a->map, text);
    clr_worker_t *w = key && !is_expired(a, key) ? clr_dispatch_worker(a->gw, key->serial) : NULL;
    clr_worker_state_t state = w ? clr_worker_state(w) : CLR_WORKER_GONE;
    bool takes = state == CLR_WORKER_READY || (may_retire && state == CLR_WORKER_RETIRING);
    return takes ? w : NULL;
}

static clr_worker_t *first_worker(const clr_affinity_t *a, const found_t *f, bool may_retire)
{
    for (size_t i = 0; i < f->count; i++) {
        clr_worker_t *w = worker_of(a, found_at(a, f, i), may_retire);
        if (w)
            return w;
    }
    return NULL;
}

/* The key, made if it is new, with one session more. */
static clr_affinity_key_t *take_key(clr_affinity_t *a, clr_str_t text)
{
    clr_affinity_key_t *key = clr_map_get(&a->map, text);
    if (key) {
        if (key->sessions++ == 0)
            unset_idle(a, key);
        return key;
    }
    key = clr_xcalloc(1, sizeof(*key) + text.n);
    clr_list_init(&key->idle_);
    key->sessions = 1;
    key->len = text.n;
    memcpy(key->text, text.p, text.n);
    clr_map_put(&a->map, clr_str(key->text, key->len), key);
    return key;
}

static void release_key(clr_affinity_t *a, clr_affinity_key_t *key)
{
    if (--key->sessions == 0)
        set_idle(a, key);
}

/* ---- sessions ---- */

clr_worker_t *clr_affinity_choose(const clr_eio_session_t *s)
{
    clr_affinity_t *a = s->server->gw->affinity;
    clr_worker_t *w = NULL;
    if (a->keys->count > 0) {
        found_t f;
        find_in_session(a, s, &f);
        w = first_worker(a, &f, false);
        if (!w && !s->worker && !s->moved)
            w = first_worker(a, &f, true);
    }
    return w ? w : clr_dispatch_choose(s->server->gw);
}

static bool holds(const clr_affinity_hold_t *hold, const clr_affinity_key_t *key)
{
    for (size_t i = 0; i < hold->count; i++) {
        if (hold->list[i] == key)
            return true;
    }
    return false;
}

static void hold_key(clr_affinity_t *a, clr_eio_session_t *s, clr_str_t text)
{
    clr_affinity_key_t *key = take_key(a, text);
    if (!s->keys)
        s->keys = clr_xcalloc(1, sizeof(*s->keys));
    if (holds(s->keys, key) || s->keys->count == CLR_AFFINITY_SOURCES)
        release_key(a, key);
    else
        s->keys->list[s->keys->count++] = key;
    /* Another client's worker keeps it while that lives. */
    if (key->sessions <= 1 || !worker_of(a, text, false))
        key->serial = clr_worker_serial(s->worker);
}

void clr_affinity_bind(clr_eio_session_t *s)
{
    clr_affinity_t *a = s->server->gw->affinity;
    found_t f;
    if (a->keys->count == 0)
        return;
    find_in_session(a, s, &f);
    for (size_t i = 0; i < f.count; i++)
        hold_key(a, s, found_at(a, &f, i));
}

void clr_affinity_leave(clr_eio_session_t *s)
{
    if (!s->keys)
        return;
    for (size_t i = 0; i < s->keys->count; i++)
        release_key(s->server->gw->affinity, s->keys->list[i]);
    free(s->keys);
    s->keys = NULL;
}

/* ---- requests ---- */

clr_worker_t *clr_affinity_find(clr_gateway_t *gw, const clr_exchange_t *x)
{
    clr_affinity_t *a = gw->affinity;
    found_t f;
    if (a->map.count == 0 || !x->head)
        return NULL;
    find_in_request(a, x->head, &f);
    return first_worker(a, &f, true);
}

static void learn(clr_affinity_t *a, const clr_worker_t *w, clr_str_t name, clr_str_t value)
{
    for (size_t i = 0; i < a->keys->count; i++) {
        const struct clr_affinity_source *source = &a->keys->list[i];
        if (source->kind != SOURCE_HEADER || !clr_str_ieq(source->name, name) || value.n == 0 ||
            value.n > CLR_AFFINITY_KEY_MAX)
            continue;
        clr_affinity_key_t *key = take_key(a, value);
        if (key->sessions == 1)
            key->serial = clr_worker_serial(w);
        release_key(a, key);
    }
}

void clr_affinity_learn(clr_gateway_t *gw, const clr_worker_t *w, clr_strs_t headers)
{
    if (!gw->affinity->has_headers)
        return;
    for (clr_str_t name, value; clr_strs_next(&headers, &name);) {
        if (clr_strs_next(&headers, &value))
            learn(gw->affinity, w, name, value);
    }
}

size_t clr_affinity_count(const clr_gateway_t *gw)
{
    return gw->affinity->map.count;
}

/* ---- life ---- */

clr_affinity_t *clr_affinity_new(clr_gateway_t *gw, const clr_affinity_keys_t *keys)
{
    static const clr_affinity_keys_t none = {.count = 0};
    clr_affinity_t *a = clr_xcalloc(1, sizeof(*a));
    a->gw = gw;
    a->keys = keys ? keys : &none;
    for (size_t i = 0; i < a->keys->count; i++)
        a->has_headers |= a->keys->list[i].kind == SOURCE_HEADER;
    clr_map_init(&a->map, clr_random_u64());
    clr_list_init(&a->idle);
    return a;
}

void clr_affinity_free(clr_affinity_t *a)
{
    for (clr_list_t *node; (node = a->idle.next) != &a->idle;)
        drop_key(a, clr_container_of(node, clr_affinity_key_t, idle_));
    CLR_ASSERT(a->map.count == 0); /* the sessions are gone */
    clr_map_deinit(&a->map);
    clr_buf_deinit(&a->text);
    free(a);
}
