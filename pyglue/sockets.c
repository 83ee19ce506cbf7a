/* sockets.c: hosts, spaces, sessions and sockets. */
#include "sockets.h"

#include <stdlib.h>

#include "base/mem.h"
#include "worker_link.h"

static bool utf8_of(PyObject *s, clr_str_t *out)
{
    Py_ssize_t n;
    const char *p = PyUnicode_Check(s) ? PyUnicode_AsUTF8AndSize(s, &n) : NULL;
    if (!p) {
        PyErr_Clear();
        return false;
    }
    *out = clr_str(p, (size_t)n);
    return true;
}

clr_space_t *clr_space_find(const clr_host_t *host, PyObject *name)
{
    clr_str_t key;
    return utf8_of(name, &key) ? clr_map_get(&host->spaces, key) : NULL;
}

clr_socket_t *clr_socket_find(const clr_space_t *space, PyObject *sid)
{
    clr_str_t key;
    return utf8_of(sid, &key) ? clr_map_get(&space->sids, key) : NULL;
}

/* ---- spaces ---- */

PyObject *clr_space_sids(const clr_space_t *space)
{
    PyObject *list = PyList_New(0);
    clr_map_entry_t entry;
    size_t at = 0;
    while (list && space && clr_map_next(&space->sids, &at, &entry)) {
        clr_socket_t *s = entry.value;
        if (clr_socket_is_connected(s) && PyList_Append(list, s->sid) < 0)
            Py_CLEAR(list);
    }
    return list;
}

static clr_space_t *space_get(clr_host_t *host, clr_str_t name)
{
    clr_space_t *space = clr_map_get(&host->spaces, name);
    if (space)
        return space;
    PyObject *s = clr_str_eq(name, CLR_STR("/"))
                      ? Py_NewRef(host->link->st->slash)
                      : PyUnicode_DecodeUTF8(name.p, (Py_ssize_t)name.n, NULL);
    clr_str_t key;
    if (!s || !utf8_of(s, &key)) {
        Py_XDECREF(s);
        return NULL;
    }
    space = clr_xcalloc(1, sizeof(*space));
    space->host = host;
    space->name = s;
    clr_map_init(&space->sids, host->link->seed);
    clr_map_put(&host->spaces, key, space);
    return space;
}

static void space_release(clr_space_t *space)
{
    clr_str_t key;
    if (--space->refs > 0)
        return;
    CLR_ASSERT(space->sids.count == 0);
    if (utf8_of(space->name, &key))
        clr_map_remove(&space->host->spaces, key);
    clr_map_deinit(&space->sids);
    Py_DECREF(space->name);
    free(space);
}

/* ---- sessions ---- */

static clr_session_t *session_get(clr_wlink_t *link, clr_str_t sid, clr_str_t request)
{
    clr_session_t *session = clr_map_get(&link->sessions, sid);
    if (session) {
        session->refs++;
        return session;
    }
    session = clr_xmalloc(sizeof(*session) + sid.n + request.n);
    *session = (clr_session_t){
        .link = link, .refs = 1, .head_n = (uint32_t)request.n, .sid_n = (uint16_t)sid.n};
    clr_list_init(&session->sockets);
    memcpy(session->bytes_, sid.p, sid.n);
    memcpy(session->bytes_ + sid.n, request.p, request.n);
    session->transport = request.n ? (uint8_t)request.p[0] : 0;
    clr_map_put(&link->sessions, clr_session_sid(session), session);
    return session;
}

void clr_session_unref(clr_session_t *session)
{
    if (--session->refs > 0)
        return;
    clr_map_remove(&session->link->sessions, clr_session_sid(session));
    clr_buf_deinit(&session->backlog);
    Py_XDECREF(session->environ);
    free(session);
}

/* ---- sockets ---- */

clr_socket_t *clr_socket_open(clr_host_t *host, uint64_t stream, clr_str_t eio_sid, clr_str_t sid,
                              clr_str_t nsp, clr_str_t request)
{
    clr_wlink_t *link = host->link;
    if (eio_sid.n > UINT16_MAX || clr_idmap_get(&link->streams, stream))
        return NULL;
    PyObject *text = PyUnicode_DecodeUTF8(sid.p, (Py_ssize_t)sid.n, NULL);
    clr_str_t key;
    clr_space_t *space = text && utf8_of(text, &key) ? space_get(host, nsp) : NULL;
    if (!space || clr_map_get(&space->sids, key)) {
        Py_XDECREF(text);
        return NULL;
    }
    space->refs++;
    clr_socket_t *s = clr_xmalloc(sizeof(*s));
    *s = (clr_socket_t){.stream = stream, .sid = text, .space = space, .refs = 1};
    clr_list_init(&s->acks);
    s->session = session_get(link, eio_sid, request);
    clr_list_push_back(&s->session->sockets, &s->node);
    clr_map_put(&space->sids, key, s);
    bool added = clr_idmap_add(&link->streams, stream, s);
    CLR_ASSERT(added);
    return s;
}

void clr_socket_detach(clr_socket_t *s)
{
    if (s->stream)
        clr_idmap_remove(&s->space->host->link->streams, s->stream);
    s->stream = 0;
    clr_acks_forget_socket(s->space->host->link, s);
}

void clr_socket_drop(clr_socket_t *s)
{
    if (s->state == CLR_SOCKET_GONE)
        return;
    clr_socket_detach(s);
    clr_list_remove(&s->node);
    s->state = CLR_SOCKET_GONE;
    clr_str_t key;
    if (utf8_of(s->sid, &key))
        clr_map_remove(&s->space->sids, key);
    Py_CLEAR(s->data);
    Py_CLEAR(s->rooms);
    clr_socket_unref(s);
}

void clr_socket_unref(clr_socket_t *s)
{
    CLR_ASSERT(s->refs > 0);
    if (--s->refs > 0)
        return;
    CLR_ASSERT(s->state == CLR_SOCKET_GONE);
    space_release(s->space);
    clr_session_unref(s->session);
    Py_DECREF(s->sid);
    free(s);
}

/* The sockets of all spaces, each with a reference more. Returns owned memory. */
static clr_socket_t **all_sockets(const clr_host_t *host, size_t *count)
{
    size_t at = 0, cap = 0, n = 0;
    clr_map_entry_t space, socket;
    clr_socket_t **all = NULL;
    while (clr_map_next(&host->spaces, &at, &space)) {
        const clr_map_t *sids = &((clr_space_t *)space.value)->sids;
        size_t i = 0;
        cap += sids->count;
        all = clr_xrealloc(all, (cap + 1) * sizeof(*all));
        while (clr_map_next(sids, &i, &socket))
            all[n++] = clr_socket_ref(socket.value);
    }
    *count = n;
    return all;
}

void clr_host_drop_all(clr_host_t *host)
{
    size_t n;
    clr_socket_t **all = all_sockets(host, &n);
    for (size_t i = 0; i < n; i++) {
        clr_socket_drop(all[i]);
        clr_socket_unref(all[i]);
    }
    free(all);
}

int clr_socket_join(clr_socket_t *s, PyObject *room)
{
    if (!s->rooms && !(s->rooms = PySet_New(NULL)))
        return -1;
    clr_socket_t *named = clr_socket_find(s->space, room);
    if (named && named != s)
        named->is_alias = true;
    return PySet_Add(s->rooms, room);
}

void clr_host_free(clr_host_t *host)
{
    CLR_ASSERT(host->spaces.count == 0);
    clr_map_deinit(&host->spaces);
    Py_XDECREF((PyObject *)host->app);
    free(host);
}
