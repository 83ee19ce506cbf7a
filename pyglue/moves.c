/* moves.c: a client that goes to another worker while this one lives. It may go when it is idle: no
 * handler at work for it, no answer of it awaited. Then it is dropped without a word to the app:
 * for the app as a whole it is still there. */
#include "server.h"

static bool is_idle(const clr_session_t *session)
{
    if (session->busy > 0 || session->backlog.n > 0)
        return false;
    clr_list_each(node, &session->sockets)
    {
        const clr_socket_t *s = clr_container_of(node, clr_socket_t, node);
        if (s->state == CLR_SOCKET_LEAVING)
            continue; /* its disconnect handler is ours */
        if (s->state != CLR_SOCKET_CONNECTED || s->refs > 1 || !clr_list_is_empty(&s->acks))
            return false;
    }
    return true;
}

/* The stream of any socket of it that the gateway knows, or 0. */
static uint64_t stream_of(const clr_session_t *session)
{
    clr_list_each(node, &session->sockets)
    {
        const clr_socket_t *s = clr_container_of(node, clr_socket_t, node);
        if (s->stream)
            return s->stream;
    }
    return 0;
}

/* Asks a server that has a method _leaves(sid): it may save now what its client needs elsewhere, or
 * return False, when the client is not idle for it, and call _check_move() later. It must not
 * disconnect anybody. */
static bool server_agrees(clr_socket_t *s)
{
    PyObject *server = (PyObject *)s->space->host->app;
    PyObject *leaves = PyObject_GetAttrString(server, "_leaves");
    if (!leaves) {
        PyErr_Clear();
        return true;
    }
    PyObject *result = PyObject_CallFunctionObjArgs(leaves, s->sid, NULL);
    if (!result)
        clr_report(s->session->link, "Exception while client %U went to another worker", s->sid);
    bool agrees = result != Py_False;
    Py_XDECREF(result);
    Py_DECREF(leaves);
    return agrees;
}

static bool servers_agree(clr_session_t *session)
{
    bool agree = true;
    PyObject *pending = clr_err_take();
    session->refs++;
    clr_list_each(node, &session->sockets)
    {
        clr_socket_t *s = clr_container_of(node, clr_socket_t, node);
        if (s->state == CLR_SOCKET_CONNECTED && !server_agrees(s))
            agree = false;
    }
    clr_session_unref(session);
    if (pending)
        clr_err_give(pending);
    return agree;
}

static void send_idle(clr_session_t *session, bool idle)
{
    clr_wlink_t *link = session->link;
    uint64_t stream = stream_of(session);
    if (!stream)
        return;
    clr_buf_t *out = clr_wlink_out(link);
    size_t begun = clr_frame_begin(out, CLR_FRAME_IDLE, 0, stream);
    clr_buf_append_le(out, idle, 1);
    clr_frame_end(out, begun);
    clr_wlink_sent(link);
}

void clr_moves_check(clr_session_t *session)
{
    if (!session->wants_move || !is_idle(session) || !servers_agree(session))
        return;
    session->wants_move = false;
    send_idle(session, true);
}

/* A socket that goes along, or NULL. */
static clr_socket_t *next_to_drop(const clr_session_t *session)
{
    clr_list_each(node, &session->sockets)
    {
        clr_socket_t *s = clr_container_of(node, clr_socket_t, node);
        if (s->state != CLR_SOCKET_LEAVING)
            return s;
    }
    return NULL;
}

static void drop_all(clr_session_t *session)
{
    session->wants_move = false;
    session->refs++;
    for (clr_socket_t *s; (s = next_to_drop(session));)
        clr_socket_drop(s); /* may run code of the app's, which may drop others */
    clr_session_unref(session);
}

int clr_moves_frame(clr_wlink_t *link, const clr_frame_t *frame)
{
    if (frame->payload.n > 0)
        return CLR_EPROTO;
    clr_socket_t *s = clr_idmap_get(&link->streams, frame->stream);
    if (!s)
        return 0;
    if (frame->type == CLR_FRAME_DROP) {
        drop_all(s->session);
        return 0;
    }
    bool idle = is_idle(s->session) && servers_agree(s->session);
    s->session->wants_move = !idle;
    send_idle(s->session, idle);
    return 0;
}
