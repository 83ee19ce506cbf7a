/* asgi_scope.c: a request's head to the scope of an application's call. What all scopes have in
 * common is in two templates, of which each scope is a copy: a copied dict is one block, and keys
 * that are there already cost no growth.
 */
#include "asgi_internal.h"
#include "server.h"

#define KEPT_MAX 32 /* longer names of headers are not kept */

/* ---- small values, mostly seen before ---- */

static PyObject *bytes_of(clr_str_t s)
{
    return PyBytes_FromStringAndSize(s.p, (Py_ssize_t)s.n);
}

/* The name of a header as bytes. */
static PyObject *name_of(clr_asgi_t *asgi, clr_str_t s)
{
    if (s.n > KEPT_MAX)
        return bytes_of(s);
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < s.n; i++)
        hash = (hash ^ (unsigned char)s.p[i]) * 16777619u;
    clr_asgi_name_t *slot = &asgi->names[(hash ^ hash >> 15) % CLR_ASGI_NAMES_COUNT];
    if (slot->bytes && slot->n == s.n && memcmp(slot->p, s.p, s.n) == 0)
        return Py_NewRef(slot->bytes);
    PyObject *bytes = bytes_of(s);
    if (!bytes)
        return NULL;
    Py_XDECREF(slot->bytes);
    *slot = (clr_asgi_name_t){PyBytes_AsString(bytes), s.n, Py_NewRef(bytes)};
    return bytes;
}

/* Text that is likely to come again: a method, a host. */
static PyObject *text_of(clr_state_t *st, clr_str_t s)
{
    PyObject *text = NULL;
    if (s.n <= CLR_VALUES_CACHED && (text = clr_values_string(st, s.p, s.n)) != NULL)
        return text;
    PyErr_Clear();
    return PyUnicode_DecodeUTF8(s.p, (Py_ssize_t)s.n, "replace");
}

/* (host, port), or None for a Unix socket. */
static PyObject *address(clr_state_t *st, clr_str_t host, uint16_t port)
{
    if (host.n == 0)
        Py_RETURN_NONE;
    PyObject *pair = PyTuple_New(2);
    PyObject *name = text_of(st, host), *number = PyLong_FromLong(port);
    if (!pair || !name || !number) {
        Py_XDECREF(pair);
        Py_XDECREF(name);
        Py_XDECREF(number);
        return NULL;
    }
    PyTuple_SetItem(pair, 0, name);
    PyTuple_SetItem(pair, 1, number);
    return pair;
}

static bool is_address(PyObject *pair, clr_str_t host, uint16_t port)
{
    Py_ssize_t n;
    if (!pair || pair == Py_None)
        return pair && host.n == 0;
    const char *p = PyUnicode_AsUTF8AndSize(PyTuple_GetItem(pair, 0), &n);
    if (!p)
        PyErr_Clear();
    return p && clr_str_eq(clr_str(p, (size_t)n), host) &&
           PyLong_AsLong(PyTuple_GetItem(pair, 1)) == port;
}

/* Our own address: the same for most requests. */
static PyObject *server_of(clr_wlink_t *link, clr_str_t host, uint16_t port)
{
    clr_asgi_t *asgi = &link->asgi;
    if (is_address(asgi->server, host, port))
        return Py_NewRef(asgi->server);
    PyObject *pair = address(link->st, host, port);
    if (pair) {
        Py_XDECREF(asgi->server);
        asgi->server = Py_NewRef(pair);
    }
    return pair;
}

/* ---- templates ---- */

/* Sets dict[key] = value; takes value, which may be NULL with an exception. */
static int put(PyObject *dict, PyObject *key, PyObject *value)
{
    int status = value ? PyDict_SetItem(dict, key, value) : -1;
    Py_XDECREF(value);
    return status;
}

/* The keys in the order of the specification; those that vary are None until then. */
static PyObject *template(clr_wlink_t *link, bool websocket)
{
    const clr_asgi_consts_t *n = link->st->asgi;
    clr_asgi_t *asgi = &link->asgi;
    PyObject *dict = PyDict_New();
    if (!dict)
        return NULL;
    int status = PyDict_SetItem(dict, n->type, websocket ? n->websocket : n->http) |
                 PyDict_SetItem(dict, n->asgi, Py_None) |
                 PyDict_SetItem(dict, n->http_version, n->http_1_1);
    if (!websocket)
        status |= PyDict_SetItem(dict, n->method, Py_None);
    status |= PyDict_SetItem(dict, n->scheme, websocket ? n->ws : n->http) |
              PyDict_SetItem(dict, n->path, Py_None) | PyDict_SetItem(dict, n->raw_path, Py_None) |
              PyDict_SetItem(dict, n->query_string, n->no_bytes) |
              PyDict_SetItem(dict, n->root_path, asgi->root_path) |
              PyDict_SetItem(dict, n->headers, Py_None) | PyDict_SetItem(dict, n->client, Py_None) |
              PyDict_SetItem(dict, n->server, Py_None);
    if (websocket)
        status |= PyDict_SetItem(dict, n->subprotocols, Py_None);
    if (asgi->state)
        status |= PyDict_SetItem(dict, n->state, Py_None);
    status |= PyDict_SetItem(dict, n->extensions, Py_None);
    if (status < 0)
        Py_CLEAR(dict);
    return dict;
}

int clr_asgi_make_templates(clr_wlink_t *link)
{
    clr_asgi_t *asgi = &link->asgi;
    Py_CLEAR(asgi->http);
    Py_CLEAR(asgi->websocket);
    Py_CLEAR(asgi->versions);
    asgi->versions = Py_BuildValue("{ssss}", "version", "3.0", "spec_version", "2.5");
    asgi->http = template(link, false);
    asgi->websocket = template(link, true);
    return asgi->versions && asgi->http && asgi->websocket ? 0 : -1;
}

/* ---- the parts that vary ---- */

/* The path within the target: without the query, nor scheme and host of an absolute target. */
static clr_str_t path_of(clr_str_t target, clr_str_t *query)
{
    ptrdiff_t mark = clr_str_chr(target, '?');
    *query = mark < 0 ? CLR_STR_EMPTY : clr_str_from(target, (size_t)mark + 1);
    clr_str_t path = mark < 0 ? target : clr_str(target.p, (size_t)mark);
    if (path.n == 0 || path.p[0] == '/' || path.p[0] == '*')
        return path;
    ptrdiff_t colon = clr_str_chr(path, ':');
    if (colon < 0 || !clr_str_starts(clr_str_from(path, (size_t)colon), CLR_STR("://")))
        return path;
    clr_str_t authority = clr_str_from(path, (size_t)colon + 3);
    ptrdiff_t slash = clr_str_chr(authority, '/');
    return slash < 0 ? CLR_STR("/") : clr_str_from(authority, (size_t)slash);
}

/* The path as the application's users see it: a proxy may have taken the root path off. */
static int put_path(clr_asgi_call_t *call, PyObject *scope, clr_str_t path)
{
    const clr_asgi_consts_t *n = call->st->asgi;
    Py_ssize_t size;
    const char *p = PyUnicode_AsUTF8AndSize(call->link->asgi.root_path, &size);
    if (!p)
        return -1;
    clr_str_t root = clr_str(p, (size_t)size);
    bool is_there = clr_str_starts(path, root) && (path.n == root.n || path.p[root.n] == '/');
    clr_buf_t whole = {0};
    if (root.n > 0 && !is_there && path.n > 0 && path.p[0] == '/') {
        clr_buf_append_str(&whole, root);
        clr_buf_append_str(&whole, path);
        path = clr_buf_str(&whole);
    }
    call->path = bytes_of(path);
    int status = put(scope, n->path, clr_environ_path(path)) |
                 put(scope, n->raw_path, Py_XNewRef(call->path));
    clr_buf_deinit(&whole);
    return status;
}

/* What the scope needs to know of the headers. */
typedef struct seen {
    bool takes_trailers;
    PyObject *subprotocols; /* owned list; WebSockets */
} seen_t;

static int add_subprotocols(PyObject *list, clr_str_t value)
{
    clr_str_t part;
    while (clr_str_split(&value, ',', &part)) {
        part = clr_str_trim(part);
        if (part.n == 0)
            continue;
        PyObject *name = PyUnicode_DecodeLatin1(part.p, (Py_ssize_t)part.n, NULL);
        int status = name ? PyList_Append(list, name) : -1;
        Py_XDECREF(name);
        if (status < 0)
            return -1;
    }
    return 0;
}

static int look_at(seen_t *seen, clr_str_t name, clr_str_t value)
{
    if (name.n == 2 && clr_str_eq(name, CLR_STR("te")))
        seen->takes_trailers |= clr_str_has_token(value, CLR_STR("trailers"));
    if (seen->subprotocols && clr_str_eq(name, CLR_STR("sec-websocket-protocol")))
        return add_subprotocols(seen->subprotocols, value);
    return 0;
}

static PyObject *pair_of(clr_asgi_t *asgi, clr_str_t name, clr_str_t value)
{
    PyObject *pair = PyTuple_New(2);
    PyObject *name_bytes = name_of(asgi, name), *value_bytes = bytes_of(value);
    if (!pair || !name_bytes || !value_bytes) {
        Py_XDECREF(pair);
        Py_XDECREF(name_bytes);
        Py_XDECREF(value_bytes);
        return NULL;
    }
    PyTuple_SetItem(pair, 0, name_bytes);
    PyTuple_SetItem(pair, 1, value_bytes);
    return pair;
}

static PyObject *headers_of(clr_asgi_t *asgi, clr_strs_t headers, seen_t *seen)
{
    PyObject *list = PyList_New(headers.count / 2);
    clr_str_t name, value;
    for (Py_ssize_t i = 0; list && clr_strs_next(&headers, &name); i++) {
        bool has_value = clr_strs_next(&headers, &value);
        CLR_ASSERT(has_value); /* the head was checked to have pairs */
        PyObject *pair = look_at(seen, name, value) == 0 ? pair_of(asgi, name, value) : NULL;
        if (pair)
            PyList_SetItem(list, i, pair);
        else
            Py_CLEAR(list);
    }
    return list;
}

/* Only what this connection really has, each a dict of its own. */
static PyObject *extensions_of(const clr_asgi_call_t *call)
{
    const clr_asgi_consts_t *n = call->st->asgi;
    PyObject *dict = PyDict_New();
    if (!dict)
        return NULL;
    int status;
    if (call->is_websocket) {
        status = put(dict, n->websocket_response, PyDict_New());
    } else {
        status = put(dict, n->pathsend, PyDict_New()) | put(dict, n->zerocopysend, PyDict_New());
        if (call->http_minor > 0)
            status |= put(dict, n->early_hint, PyDict_New());
        if (call->response.sends_trailers)
            status |= put(dict, n->trailers_extension, PyDict_New());
    }
    if (status < 0)
        Py_CLEAR(dict);
    return dict;
}

static PyObject *scheme_of(const clr_asgi_call_t *call, bool secure)
{
    const clr_asgi_consts_t *n = call->st->asgi;
    if (call->is_websocket)
        return secure ? n->wss : n->ws;
    return secure ? n->https : n->http;
}

static int fill(clr_asgi_call_t *call, PyObject *scope, const clr_request_head_t *head)
{
    const clr_asgi_consts_t *n = call->st->asgi;
    clr_asgi_t *asgi = &call->link->asgi;
    clr_str_t query;
    clr_str_t path = path_of(head->target, &query);
    seen_t seen = {.subprotocols = call->is_websocket ? PyList_New(0) : NULL};
    int status = put(scope, n->headers, headers_of(asgi, head->headers, &seen)) |
                 put(scope, n->asgi, PyDict_Copy(asgi->versions)) | put_path(call, scope, path) |
                 put(scope, n->client, address(call->st, head->peer_host, head->peer_port)) |
                 put(scope, n->server, server_of(call->link, head->local_host, head->local_port));
    call->response.sends_trailers = seen.takes_trailers && head->http_minor > 0;
    if (query.n > 0)
        status |= put(scope, n->query_string, bytes_of(query));
    if (head->secure)
        status |= PyDict_SetItem(scope, n->scheme, scheme_of(call, true));
    if (head->http_minor == 0)
        status |= PyDict_SetItem(scope, n->http_version, n->http_1_0);
    if (asgi->state)
        status |= put(scope, n->state, PyDict_Copy(asgi->state));
    if (call->is_websocket) {
        status |= put(scope, n->subprotocols, seen.subprotocols);
    } else {
        call->method = text_of(call->st, head->method);
        status |= put(scope, n->method, Py_XNewRef(call->method));
    }
    return status | put(scope, n->extensions, extensions_of(call));
}

PyObject *clr_asgi_scope(clr_asgi_call_t *call, const clr_request_head_t *head)
{
    clr_asgi_t *asgi = &call->link->asgi;
    PyObject *scope = PyDict_Copy(call->is_websocket ? asgi->websocket : asgi->http);
    if (scope && fill(call, scope, head) < 0)
        Py_CLEAR(scope);
    return scope;
}
