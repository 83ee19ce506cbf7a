/* acks.c: answers that clients owe. */
#include "acks.h"

#include <stdlib.h>

#include "base/mem.h"
#include "server.h"

void clr_acks_init(clr_acks_t *acks)
{
    *acks = (clr_acks_t){0};
    clr_list_init(&acks->many);
}

static void ack_free(clr_acks_t *acks, clr_ack_t *ack)
{
    clr_idmap_remove(&acks->map, ack->token);
    clr_list_remove(&ack->node);
    acks->many_count -= ack->is_many;
    Py_DECREF(ack->target);
    free(ack);
}

void clr_acks_deinit(clr_acks_t *acks)
{
    size_t at = 0;
    clr_ack_t *ack;
    while ((ack = clr_idmap_next(&acks->map, &at)) != NULL) {
        Py_DECREF(ack->target);
        free(ack);
    }
    clr_idmap_deinit(&acks->map);
}

uint64_t clr_acks_add(clr_host_t *host, PyObject *target, bool is_callback, clr_socket_t *socket)
{
    clr_acks_t *acks = &host->link->acks;
    clr_ack_t *ack = clr_xmalloc(sizeof(*ack));
    *ack = (clr_ack_t){.host = host,
                       .token = ++acks->last_token,
                       .target = Py_NewRef(target),
                       .socket = socket,
                       .is_callback = is_callback,
                       .is_many = socket == NULL};
    clr_list_push_back(socket ? &socket->acks : &acks->many, &ack->node);
    bool added = clr_idmap_add(&acks->map, ack->token, ack);
    CLR_ASSERT(added);
    acks->many_count += ack->is_many;
    if (acks->many_count > CLR_ACKS_MANY)
        ack_free(acks, clr_container_of(acks->many.next, clr_ack_t, node));
    return acks->last_token;
}

clr_ack_t *clr_acks_find(clr_wlink_t *link, uint64_t token)
{
    return clr_idmap_get(&link->acks.map, token);
}

void clr_acks_forget(clr_wlink_t *link, uint64_t token)
{
    clr_ack_t *ack = clr_acks_find(link, token);
    if (!ack)
        return;
    clr_socket_t *s = ack->socket;
    ack_free(&link->acks, ack);
    if (s)
        clr_moves_check(s->session);
}

void clr_acks_forget_socket(clr_wlink_t *link, clr_socket_t *socket)
{
    while (!clr_list_is_empty(&socket->acks))
        ack_free(&link->acks, clr_container_of(socket->acks.next, clr_ack_t, node));
}

/* ---- what arrives ---- */

static void run_callback(clr_wlink_t *link, clr_socket_t *s, PyObject *callback, PyObject *args)
{
    clr_event_t event = {.kind = CLR_EVENT_CALLBACK,
                         .socket = s ? clr_socket_ref(s) : NULL,
                         .handler = Py_NewRef(callback)};
    clr_carriers_run(link, &event, callback, args);
}

static void set_future(clr_wlink_t *link, PyObject *future, PyObject *value)
{
    PyObject *done = PyObject_CallMethodObjArgs(future, link->st->n.done, NULL);
    PyObject *set = done == Py_False
                        ? PyObject_CallMethodObjArgs(future, link->st->n.set_result, value, NULL)
                        : NULL;
    if (PyErr_Occurred())
        clr_report(link, "An answer cannot be delivered");
    Py_XDECREF(done);
    Py_XDECREF(set);
}

int clr_acks_on_answer(clr_wlink_t *link, const clr_frame_t *frame)
{
    clr_reader_t r = clr_reader(frame->payload);
    uint64_t token = clr_read_u64(&r);
    clr_data_t data = clr_read_data(&r);
    if (clr_reader_done(&r) != 0)
        return CLR_EPROTO;
    clr_socket_t *s = clr_idmap_get(&link->streams, frame->stream);
    clr_ack_t *ack = clr_acks_find(link, token);
    if (!ack)
        return 0;
    clr_items_t items;
    if (clr_packet_decode((clr_server_t *)ack->host->app, &data, &items) < 0) {
        /* To a broadcast another worker's client may answer, whose stream is not ours to close. */
        if (s)
            clr_incoming_abort(link, frame->stream);
        PyErr_Clear();
        return 0;
    }
    PyObject *args = clr_items_tuple(&items, 0, NULL, 0);
    clr_items_clear(&items);
    PyObject *target = Py_NewRef(ack->target);
    bool is_callback = ack->is_callback;
    if (!ack->is_many || !is_callback) /* call() takes the first answer */
        clr_acks_forget(link, token);
    if (!args)
        clr_report(link, "An answer cannot be delivered");
    else if (is_callback)
        run_callback(link, s, target, args);
    else
        set_future(link, target, args);
    Py_XDECREF(args);
    Py_DECREF(target);
    return 0;
}

/* The gateway's own answer to a token. */
static void answer_future(clr_wlink_t *link, uint64_t token, PyObject *value)
{
    clr_ack_t *ack = clr_acks_find(link, token);
    if (!ack || ack->is_callback)
        return;
    PyObject *future = Py_NewRef(ack->target);
    clr_acks_forget(link, token);
    set_future(link, future, value);
    Py_DECREF(future);
}

int clr_acks_on_reply(clr_wlink_t *link, const clr_frame_t *frame)
{
    clr_reader_t r = clr_reader(frame->payload);
    bool is_found = clr_read_u8(&r);
    if (clr_reader_done(&r) != 0)
        return CLR_EPROTO;
    answer_future(link, frame->stream, is_found ? Py_True : Py_False);
    return 0;
}

int clr_acks_on_state(clr_wlink_t *link, const clr_frame_t *frame)
{
    clr_reader_t r = clr_reader(frame->payload);
    bool is_found = clr_read_u8(&r);
    clr_str_t saved = clr_read_str(&r);
    clr_str_t request = clr_read_str(&r);
    if (clr_reader_done(&r) != 0)
        return CLR_EPROTO;
    PyObject *state = is_found ? Py_BuildValue("(y#y#)", saved.p, (Py_ssize_t)saved.n, request.p,
                                               (Py_ssize_t)request.n)
                               : Py_NewRef(Py_None);
    if (state)
        answer_future(link, frame->stream, state);
    else
        clr_report(link, "An answer cannot be delivered");
    Py_XDECREF(state);
    return 0;
}
