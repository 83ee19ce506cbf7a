/* environ.c: a request head to the dict that handlers see. */
#include "server.h"

#define MAX_NAME 200

/* Sets dict[key] = value; takes value, which may be NULL with an exception. */
static int set(clr_state_t *st, PyObject *dict, const char *name, PyObject *value)
{
    PyObject *key = value ? clr_values_string(st, name, strlen(name)) : NULL;
    int status = key ? PyDict_SetItem(dict, key, value) : -1;
    Py_XDECREF(key);
    Py_XDECREF(value);
    return status;
}

static PyObject *text(clr_str_t s)
{
    return PyUnicode_DecodeUTF8(s.p, (Py_ssize_t)s.n, "replace");
}

static PyObject *bytes(clr_str_t s)
{
    return PyBytes_FromStringAndSize(s.p, (Py_ssize_t)s.n);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

PyObject *clr_environ_path(clr_str_t raw)
{
    if (clr_str_chr(raw, '%') < 0)
        return text(raw);
    clr_buf_t out = {0};
    for (size_t i = 0; i < raw.n; i++) {
        int high = raw.p[i] == '%' && i + 2 < raw.n ? hex_digit(raw.p[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(raw.p[i + 2]) : -1;
        clr_buf_putc(&out, low >= 0 ? (char)(high << 4 | low) : raw.p[i]);
        i += low >= 0 ? 2 : 0;
    }
    PyObject *path = text(clr_buf_str(&out));
    clr_buf_deinit(&out);
    return path;
}

/* HTTP_ACCEPT_LANGUAGE; the two headers that CGI knows by their own names. */
static PyObject *header_key(clr_state_t *st, clr_str_t name)
{
    char key[5 + MAX_NAME] = "HTTP_";
    if (name.n > MAX_NAME)
        return NULL;
    bool bare =
        clr_str_ieq(name, CLR_STR("content-type")) || clr_str_ieq(name, CLR_STR("content-length"));
    size_t n = bare ? 0 : 5;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        key[n++] = c == '-' ? '_' : c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
    }
    return n <= CLR_VALUES_CACHED ? clr_values_string(st, key, n) : text(clr_str(key, n));
}

/* One header: into the environ, where repeats are joined, and the scope's list. */
static int add_header(clr_state_t *st, PyObject *env, PyObject *list, clr_str_t name,
                      clr_str_t value)
{
    PyObject *pair =
        Py_BuildValue("(y#y#)", name.p, (Py_ssize_t)name.n, value.p, (Py_ssize_t)value.n);
    int status = pair ? PyList_Append(list, pair) : -1;
    Py_XDECREF(pair);
    if (status < 0)
        return -1;
    PyObject *s = PyUnicode_DecodeUTF8(value.p, (Py_ssize_t)value.n, NULL);
    PyObject *key = s ? header_key(st, name) : NULL;
    if (!key) {
        Py_XDECREF(s);
        PyErr_Clear(); /* not UTF-8: only in the scope */
        return 0;
    }
    PyObject *before = PyDict_GetItemWithError(env, key);
    if (before) {
        PyObject *joined = PyUnicode_FromFormat("%U,%U", before, s);
        Py_DECREF(s);
        s = joined;
    }
    status = s ? PyDict_SetItem(env, key, s) : -1;
    Py_DECREF(key);
    Py_XDECREF(s);
    return status;
}

/* The list of the scope, or NULL with an exception. */
static PyObject *add_headers(clr_state_t *st, PyObject *env, clr_strs_t headers)
{
    PyObject *list = PyList_New(0);
    clr_str_t name, value;
    while (list && clr_strs_next(&headers, &name) && clr_strs_next(&headers, &value)) {
        if (add_header(st, env, list, name, value) < 0)
            Py_CLEAR(list);
    }
    return list;
}

/* (host, port), or None for a Unix socket. */
static PyObject *address(clr_str_t host, uint16_t port)
{
    if (host.n == 0)
        Py_RETURN_NONE;
    return Py_BuildValue("(s#i)", host.p, (Py_ssize_t)host.n, (int)port);
}

static PyObject *scope(clr_state_t *st, const clr_request_head_t *head, clr_str_t path,
                       clr_str_t query, PyObject *headers)
{
    bool websocket = head->transport == CLR_TRANSPORT_WEBSOCKET;
    PyObject *dict = PyDict_New();
    if (!dict)
        return NULL;
    const char *scheme =
        websocket ? (head->secure ? "wss" : "ws") : (head->secure ? "https" : "http");
    int status =
        set(st, dict, "type", PyUnicode_FromString(websocket ? "websocket" : "http")) |
        set(st, dict, "asgi", Py_BuildValue("{ssss}", "version", "3.0", "spec_version", "2.3")) |
        set(st, dict, "http_version", PyUnicode_FromFormat("1.%d", (int)head->http_minor)) |
        set(st, dict, "scheme", PyUnicode_FromString(scheme)) |
        set(st, dict, "path", clr_environ_path(path)) | set(st, dict, "raw_path", bytes(path)) |
        set(st, dict, "query_string", bytes(query)) |
        set(st, dict, "root_path", text(CLR_STR_EMPTY)) |
        set(st, dict, "headers", Py_NewRef(headers)) |
        set(st, dict, "client", address(head->peer_host, head->peer_port)) |
        set(st, dict, "server", address(head->local_host, head->local_port));
    if (websocket)
        status |= set(st, dict, "subprotocols", PyList_New(0));
    else
        status |= set(st, dict, "method", text(head->method));
    if (status < 0)
        Py_CLEAR(dict);
    return dict;
}

static int add_request(clr_state_t *st, PyObject *env, const clr_request_head_t *head,
                       clr_str_t path, clr_str_t query)
{
    PyObject *decoded = clr_environ_path(path);
    PyObject *query_text = text(query);
    PyObject *uri = NULL;
    if (decoded && query_text)
        uri = query.n ? PyUnicode_FromFormat("%U?%U", decoded, query_text) : Py_NewRef(decoded);
    int status =
        set(st, env, "PATH_INFO", decoded) | set(st, env, "QUERY_STRING", query_text) |
        set(st, env, "RAW_URI", uri) | set(st, env, "REQUEST_METHOD", text(head->method)) |
        set(st, env, "SERVER_PROTOCOL", PyUnicode_FromFormat("HTTP/1.%d", (int)head->http_minor)) |
        set(st, env, "REMOTE_ADDR", text(head->peer_host)) |
        set(st, env, "REMOTE_PORT", PyUnicode_FromFormat("%d", (int)head->peer_port)) |
        set(st, env, "SERVER_NAME", text(head->local_host)) |
        set(st, env, "SERVER_PORT", PyUnicode_FromFormat("%d", (int)head->local_port));
    return status < 0 ? -1 : 0;
}

static int add_scheme(clr_state_t *st, PyObject *env, const clr_request_head_t *head)
{
    PyObject *proto = PyDict_GetItemString(env, "HTTP_X_FORWARDED_PROTO");
    return set(st, env, "wsgi.url_scheme",
               proto ? Py_NewRef(proto) : PyUnicode_FromString(head->secure ? "https" : "http"));
}

static int fill(clr_state_t *st, PyObject *env, clr_str_t request)
{
    clr_reader_t r = clr_reader(request);
    clr_request_head_t head = clr_read_request(&r);
    if (clr_reader_done(&r) != 0) {
        PyErr_SetString(PyExc_ValueError, "invalid request head");
        return -1;
    }
    ptrdiff_t mark = clr_str_chr(head.target, '?');
    clr_str_t path = mark < 0 ? head.target : clr_str(head.target.p, (size_t)mark);
    clr_str_t query = mark < 0 ? CLR_STR_EMPTY : clr_str_from(head.target, (size_t)mark + 1);
    if (PyDict_Update(env, st->environ_base) < 0 || add_request(st, env, &head, path, query) < 0)
        return -1;
    PyObject *headers = add_headers(st, env, head.headers);
    int status = headers ? set(st, env, "asgi.scope", scope(st, &head, path, query, headers)) : -1;
    Py_XDECREF(headers);
    return status < 0 ? -1 : add_scheme(st, env, &head);
}

/* clrun._environ, once. */
static int use_environ(clr_state_t *st)
{
    if (st->environ_base)
        return 0;
    PyObject *module = PyImport_ImportModule("clrun._environ");
    PyObject *base = module ? PyObject_CallMethod(module, "base", NULL) : NULL;
    if (base && (st->environ_type = PyObject_GetAttrString(module, "Environ")) != NULL)
        st->environ_base = Py_NewRef(base);
    Py_XDECREF(module);
    Py_XDECREF(base);
    return st->environ_base ? 0 : -1;
}

PyObject *clr_environ_build(clr_wlink_t *link, clr_str_t request)
{
    clr_state_t *st = link->st;
    if (use_environ(st) < 0)
        return NULL;
    PyObject *env = PyObject_CallNoArgs(st->environ_type);
    if (env && fill(st, env, request) < 0)
        Py_CLEAR(env);
    return env;
}

PyObject *clr_environ_get(clr_session_t *session)
{
    if (session->environ)
        return Py_NewRef(session->environ);
    clr_wlink_t *link = session->link;
    PyObject *env = clr_environ_build(link, clr_session_request(session));
    if (!env)
        return NULL;
    clr_str_t sid = clr_session_sid(session);
    PyObject *keep = PyObject_GetAttrString((PyObject *)link, "_keep_environ");
    PyObject *key = keep ? bytes(sid) : NULL;
    PyObject *bound =
        key ? PyObject_CallMethodObjArgs(env, link->st->n._bind, keep, key, NULL) : NULL;
    Py_XDECREF(keep);
    Py_XDECREF(key);
    if (!bound)
        Py_CLEAR(env);
    Py_XDECREF(bound);
    return env;
}
