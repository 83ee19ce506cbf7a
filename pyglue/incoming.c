/* incoming.c: what each frame from the gateway does, and what follows when a handler has ended. */
#include <stdlib.h>

#include "base/mem.h"
#include "handlers.h"
#include "refresh.h"
#include "server.h"

static clr_server_t *server_of(const clr_socket_t *s)
{
    return (clr_server_t *)s->space->host->app;
}

/* The host of a number, if it is of that kind. */
static clr_host_t *host_of(clr_wlink_t *link, uint16_t number, bool is_engine)
{
    clr_host_t *host = number < link->host_count ? link->hosts[number] : NULL;
    return host && host->is_engine == is_engine ? host : NULL;
}

void clr_incoming_abort(clr_wlink_t *link, uint64_t stream)
{
    PyObject *exc = clr_err_take();
    PyObject *why = exc ? PyObject_Str(exc) : NULL;
    Py_ssize_t n = 0;
    const char *p = why ? PyUnicode_AsUTF8AndSize(why, &n) : NULL;
    PyErr_Clear();
    clr_str_t text = p ? clr_str(p, n > 500 ? 500 : (size_t)n) : CLR_STR("cannot be decoded");
    clr_wlink_send_str(link, CLR_FRAME_SIO_ABORT, 0, stream, text);
    Py_XDECREF(why);
    Py_XDECREF(exc);
}

/* Starts a method of the server object, such as _run_connect, for an event. Takes what the event
 * holds and args (NULL with an exception fails the event). */
static void run_method(clr_wlink_t *link, clr_event_t *event, PyObject *object, PyObject *name,
                       PyObject *args)
{
    PyObject *method = args ? PyObject_GetAttr(object, name) : NULL;
    if (method) {
        event->handler = Py_NewRef(method);
        clr_carriers_run(link, event, method, args);
    } else {
        clr_incoming_done(link, event, NULL);
    }
    Py_XDECREF(method);
    Py_XDECREF(args);
}

/* ---- what waits behind a handler ---- */

/* Keeps the frame back, if one is at work for this client that holds up what comes behind. */
static bool is_held_up(clr_wlink_t *link, clr_socket_t *s, const clr_frame_t *frame)
{
    clr_session_t *session = s->session;
    if (session->busy == 0)
        return false;
    if (session->backlog.n - session->drained > CLR_WLINK_BACKLOG) {
        PyErr_SetString(PyExc_ValueError, "too many events wait for a handler");
        clr_incoming_abort(link, frame->stream);
        return true;
    }
    size_t begun = clr_frame_begin(&session->backlog, frame->type, frame->flags, frame->stream);
    clr_buf_append_str(&session->backlog, frame->payload);
    clr_frame_end(&session->backlog, begun);
    return true;
}

/* Puts back what is left from there on, before what came meanwhile. Takes all. */
static void keep_rest(clr_session_t *session, clr_buf_t *all, size_t from)
{
    if (from == all->n) {
        clr_buf_deinit(all);
        return;
    }
    if (from > all->n / 2) { /* each byte moves a few times at the most, however many frames wait */
        clr_buf_consume(all, from);
        from = 0;
    }
    clr_buf_append_str(all, clr_buf_str(&session->backlog));
    clr_buf_deinit(&session->backlog);
    session->backlog = *all;
    session->drained = (uint32_t)from;
}

static void drain(clr_session_t *session, clr_wlink_t *link)
{
    if (session->draining || session->backlog.n == 0)
        return;
    session->draining = true;
    session->refs++;
    clr_buf_t all = session->backlog; /* held, since a frame is borrowed while it is handled */
    size_t from = session->drained;
    clr_buf_init(&session->backlog);
    session->drained = 0;
    while (session->busy == 0 && from < all.n) {
        clr_frame_t frame;
        int64_t n = clr_frame_decode(clr_str_from(clr_buf_str(&all), from), 'G', &frame, NULL);
        CLR_ASSERT(n > 0); /* we wrote it */
        from += (size_t)n;
        int status = clr_incoming_frame(link, &frame);
        CLR_ASSERT(status == 0); /* it was checked when it came */
    }
    keep_rest(session, &all, from);
    session->draining = false;
    clr_session_unref(session);
}

/* The gateway may send what waits there for the end of this handler. */
static void pass_turn(clr_wlink_t *link, uint64_t stream)
{
    if (stream)
        clr_wlink_send_empty(link, CLR_FRAME_SIO_NEXT, stream);
}

static void hold_up(clr_event_t *event)
{
    event->is_blocking = true;
    event->socket->session->busy++;
}

/* ---- connecting ---- */

static void start_disconnect(clr_wlink_t *link, clr_socket_t *s, uint8_t reason)
{
    clr_server_t *server = server_of(s);
    s->state = CLR_SOCKET_LEAVING;
    clr_socket_detach(s);
    if (!clr_handlers_exist(server, s->space->name, server->app.st->n.disconnect)) {
        clr_socket_drop(s);
        return;
    }
    clr_event_t event = {.kind = CLR_EVENT_DISCONNECT,
                         .socket = clr_socket_ref(s),
                         .name = Py_NewRef(server->app.st->n.disconnect)};
    PyObject *args = Py_BuildValue("(OOs)", s->sid, s->space->name, clr_reason_name(reason));
    run_method(link, &event, (PyObject *)server, server->app.st->n._run_disconnect, args);
}

static void accept_socket(clr_wlink_t *link, clr_socket_t *s)
{
    if (!s->accepted && s->stream)
        clr_wlink_send_empty(link, CLR_FRAME_SIO_ACCEPT, s->stream);
    s->accepted = true;
}

/* Sends a CONNECT_ERROR object, or kicks a client that was told already that it is in. */
static void refuse_socket(clr_wlink_t *link, clr_socket_t *s, PyObject *error)
{
    if (s->stream && s->accepted) {
        clr_wlink_send_empty(link, CLR_FRAME_SIO_KICK, s->stream);
    } else if (s->stream) {
        clr_buf_t json = {0};
        PyObject *attachments = NULL;
        if (!error || clr_values_encode(link->st, &json, error, &attachments) < 0 || attachments) {
            if (PyErr_Occurred())
                clr_report(link, "The refusal of %U cannot be sent", s->sid);
            json.n = 0;
            clr_buf_printf(&json, "{\"message\":\"Internal server error\"}");
        }
        clr_wlink_send_str(link, CLR_FRAME_SIO_REFUSE, 0, s->stream, clr_buf_str(&json));
        clr_buf_deinit(&json);
        Py_XDECREF(attachments);
    }
    clr_socket_drop(s);
}

static void refuse_namespace(clr_wlink_t *link, uint64_t stream)
{
    clr_wlink_send_str(link, CLR_FRAME_SIO_REFUSE, 0, stream,
                       CLR_STR("{\"message\":\"Invalid namespace\"}"));
}

static PyObject *decode_auth(clr_server_t *server, clr_str_t json)
{
    if (json.n == 0)
        Py_RETURN_NONE;
    if (!server->json || server->json == Py_None)
        return clr_values_decode(server->app.st, json, NULL);
    return PyObject_CallMethod(server->json, "loads", "s#", json.p, (Py_ssize_t)json.n);
}

/* The app's connect handler decides. */
static void run_connect(clr_wlink_t *link, clr_socket_t *s, PyObject *auth, bool in_turn)
{
    clr_server_t *server = server_of(s);
    clr_event_t event = {.kind = CLR_EVENT_CONNECT,
                         .has_turn = in_turn,
                         .socket = clr_socket_ref(s),
                         .name = Py_NewRef(server->app.st->n.connect)};
    if (server->always_connect) {
        accept_socket(link, s);
        hold_up(&event);
    } else if (!server->async_handlers) {
        hold_up(&event);
    }
    PyObject *env = clr_environ_get(s->session);
    PyObject *args = env ? PyTuple_Pack(4, s->sid, s->space->name, env, auth) : NULL;
    Py_XDECREF(env);
    run_method(link, &event, (PyObject *)server, server->app.st->n._run_connect, args);
}

/* What the client brings from the worker that had it before. */
static void restore(clr_wlink_t *link, clr_socket_t *s, clr_strs_t rooms, clr_str_t saved)
{
    for (clr_str_t name; clr_strs_next(&rooms, &name);) {
        PyObject *room = clr_room_of_key(name);
        if (!room || clr_socket_join(s, room) < 0)
            PyErr_Clear(); /* a name that is not UTF-8: no app can ask for it */
        Py_XDECREF(room);
    }
    s->data = clr_saved_load(link, saved);
}

/* SIO_CONNECT and SIO_RESUME. */
static int on_connect(clr_wlink_t *link, const clr_frame_t *frame)
{
    clr_reader_t r = clr_reader(frame->payload);
    clr_host_t *host = host_of(link, clr_read_u16(&r), false);
    clr_str_t eio_sid = clr_read_str(&r), sid = clr_read_str(&r);
    clr_str_t nsp = clr_read_str(&r), auth = clr_read_str(&r);
    bool resumes = frame->type == CLR_FRAME_SIO_RESUME;
    clr_strs_t rooms = resumes ? clr_read_strs(&r) : (clr_strs_t){0, CLR_STR_EMPTY};
    clr_str_t saved = resumes ? clr_read_str(&r) : CLR_STR_EMPTY;
    clr_str_t request = r.rest;
    (void)clr_read_request(&r);
    if (clr_reader_done(&r) != 0 || !host || frame->stream == 0 || sid.n == 0)
        return CLR_EPROTO;
    clr_server_t *server = (clr_server_t *)host->app;
    PyObject *name = PyUnicode_DecodeUTF8(nsp.p, (Py_ssize_t)nsp.n, NULL);
    bool accepted = name && clr_handlers_accept(server, name);
    PyErr_Clear();
    Py_XDECREF(name);
    if (!accepted) {
        refuse_namespace(link, frame->stream);
        return 0;
    }
    PyObject *data = decode_auth(server, auth);
    if (!data) {
        clr_incoming_abort(link, frame->stream);
        return 0;
    }
    clr_socket_t *s = clr_socket_open(host, frame->stream, eio_sid, sid, nsp, request);
    if (!s) {
        PyErr_Clear();
        Py_DECREF(data);
        return CLR_EPROTO;
    }
    restore(link, s, rooms, saved);
    bool in_turn = frame->flags & CLR_FRAME_TURN;
    if (clr_handlers_exist(server, s->space->name, server->app.st->n.connect)) {
        run_connect(link, s, data, in_turn);
    } else {
        accept_socket(link, s);
        s->state = CLR_SOCKET_CONNECTED;
        if (in_turn)
            pass_turn(link, s->stream);
    }
    Py_DECREF(data);
    return 0;
}

static void connect_done(clr_wlink_t *link, clr_socket_t *s, PyObject *result)
{
    if (s->state != CLR_SOCKET_CONNECTING)
        return; /* the handler itself disconnected it, or the link is closed */
    if (!result && s->accepted)
        result = Py_None; /* always_connect: an error does not undo it */
    if (result != Py_None) {
        refuse_socket(link, s, result);
        return;
    }
    accept_socket(link, s);
    s->state = CLR_SOCKET_CONNECTED;
    if (s->reason)
        start_disconnect(link, s, s->reason);
}

/* ---- events ---- */

static void run_event(clr_wlink_t *link, clr_socket_t *s, uint64_t ack, clr_items_t *items,
                      bool in_turn)
{
    clr_server_t *server = server_of(s);
    clr_handler_t f;
    if (!clr_handlers_find(server, s, items->v[0], &f)) {
        if (PyErr_Occurred())
            clr_report(link, "No handler for an event of %U", s->sid);
        if (in_turn)
            pass_turn(link, s->stream);
        return; /* no handler: no answer either */
    }
    clr_event_t event = {.kind = CLR_EVENT_MESSAGE,
                         .has_turn = in_turn,
                         .number = ack,
                         .socket = clr_socket_ref(s),
                         .name = Py_NewRef(items->v[0]),
                         .handler = f.handler};
    if (!server->async_handlers)
        hold_up(&event);
    PyObject *args = clr_items_tuple(items, 1, f.prefix, f.count);
    Py_INCREF(f.handler); /* the event's reference may go before the call ends */
    if (args)
        clr_carriers_run(link, &event, f.handler, args);
    else
        clr_incoming_done(link, &event, NULL);
    Py_DECREF(f.handler);
    Py_XDECREF(args);
}

static bool is_event_name(clr_state_t *st, PyObject *name)
{
    if (!PyUnicode_Check(name))
        return PyLong_Check(name) || PyFloat_Check(name);
    return PyUnicode_Compare(name, st->n.connect) != 0 &&
           PyUnicode_Compare(name, st->n.disconnect) != 0;
}

static int on_event(clr_wlink_t *link, const clr_frame_t *frame)
{
    clr_reader_t r = clr_reader(frame->payload);
    uint64_t ack = clr_read_u64(&r);
    clr_data_t data = clr_read_data(&r);
    if (clr_reader_done(&r) != 0)
        return CLR_EPROTO;
    clr_socket_t *s = clr_idmap_get(&link->streams, frame->stream);
    if (!s || s->space->host->is_engine || is_held_up(link, s, frame))
        return 0;
    clr_items_t items;
    if (clr_packet_decode(server_of(s), &data, &items) < 0) {
        clr_incoming_abort(link, frame->stream);
        return 0;
    }
    if (items.n > 0 && is_event_name(link->st, items.v[0])) {
        run_event(link, s, ack, &items, frame->flags & CLR_FRAME_TURN);
    } else {
        PyErr_SetString(PyExc_ValueError, "invalid event name");
        clr_incoming_abort(link, frame->stream);
    }
    clr_items_clear(&items);
    return 0;
}

static void send_ack_reply(clr_wlink_t *link, clr_socket_t *s, uint64_t ack, PyObject *result)
{
    clr_packet_t packet;
    clr_server_t *server = server_of(s);
    if (clr_packet_init(&packet, server, NULL, result) < 0) {
        clr_report(link, "The answer to %U cannot be sent", s->sid);
    } else if (s->stream) {
        clr_buf_t *out = clr_wlink_out(link);
        size_t begun = clr_frame_begin(out, CLR_FRAME_SIO_ACK_REPLY, 0, s->stream);
        clr_buf_append_le(out, ack, 8);
        clr_packet_write(&packet, out);
        clr_frame_end(out, begun);
        clr_wlink_sent(link);
    }
    clr_packet_clear(&packet, server);
}

/* ---- the rest ---- */

static int on_disconnect(clr_wlink_t *link, const clr_frame_t *frame)
{
    clr_reader_t r = clr_reader(frame->payload);
    uint8_t reason = clr_read_u8(&r);
    if (clr_reader_done(&r) != 0 || !*clr_reason_name(reason))
        return CLR_EPROTO;
    clr_socket_t *s = clr_idmap_get(&link->streams, frame->stream);
    if (!s || s->space->host->is_engine)
        return 0;
    if (s->session->backlog.n > 0 && is_held_up(link, s, frame))
        return 0; /* it came behind events that wait */
    if (s->state == CLR_SOCKET_CONNECTING) {
        s->reason = reason; /* its connect handler is still at work */
        clr_socket_detach(s);
    } else {
        start_disconnect(link, s, reason);
    }
    return 0;
}

static int on_room(clr_wlink_t *link, const clr_frame_t *frame)
{
    clr_reader_t r = clr_reader(frame->payload);
    uint8_t op = clr_read_u8(&r);
    clr_str_t name = clr_read_str(&r);
    if (clr_reader_done(&r) != 0 || (op != CLR_ROOM_JOIN && op != CLR_ROOM_LEAVE))
        return CLR_EPROTO;
    clr_socket_t *s = clr_idmap_get(&link->streams, frame->stream);
    PyObject *room = s ? clr_room_of_key(name) : NULL;
    int status = room ? 0 : -1;
    if (room && op == CLR_ROOM_JOIN)
        status = clr_socket_join(s, room);
    else if (room && s->rooms)
        status = PySet_Discard(s->rooms, room);
    if (status < 0)
        PyErr_Clear(); /* a name that is not UTF-8: no app can ask for it */
    Py_XDECREF(room);
    return 0;
}

static int on_transport(clr_wlink_t *link, const clr_frame_t *frame)
{
    clr_reader_t r = clr_reader(frame->payload);
    uint8_t transport = clr_read_u8(&r);
    if (clr_reader_done(&r) != 0 ||
        (transport != CLR_TRANSPORT_POLLING && transport != CLR_TRANSPORT_WEBSOCKET))
        return CLR_EPROTO;
    clr_socket_t *s = clr_idmap_get(&link->streams, frame->stream);
    if (s)
        s->session->transport = transport;
    return 0;
}

static int on_origin(clr_wlink_t *link, const clr_frame_t *frame)
{
    clr_reader_t r = clr_reader(frame->payload);
    uint16_t number = clr_read_u16(&r);
    clr_str_t origin = clr_read_str(&r);
    clr_str_t request = r.rest;
    (void)clr_read_request(&r);
    if (clr_reader_done(&r) != 0 || number >= link->host_count)
        return CLR_EPROTO;
    PyObject *env = clr_environ_build(link, request);
    PyObject *args = NULL;
    if (env)
        args = Py_BuildValue("(s#O)", origin.p, (Py_ssize_t)origin.n, env);
    Py_XDECREF(env);
    clr_event_t event = {.kind = CLR_EVENT_ORIGIN, .number = frame->stream};
    run_method(link, &event, (PyObject *)link->hosts[number]->app, link->st->n._origin_allowed,
               args);
    return 0;
}

static void origin_done(clr_wlink_t *link, uint64_t stream, PyObject *result)
{
    bool allowed = result && PyObject_IsTrue(result) == 1;
    PyErr_Clear();
    size_t begun = clr_frame_begin(&link->out, CLR_FRAME_ORIGIN_RESULT, 0, stream);
    clr_buf_append_le(&link->out, allowed, 1);
    clr_frame_end(&link->out, begun);
    clr_wlink_sent(link);
}

static int on_stop(clr_wlink_t *link, const clr_frame_t *frame)
{
    clr_reader_t r = clr_reader(frame->payload);
    uint32_t ms = clr_read_u32(&r);
    if (clr_reader_done(&r) != 0)
        return CLR_EPROTO;
    clr_asgi_drain(link);
    if (link->on_stop && link->on_stop != Py_None) {
        PyObject *done = PyObject_CallFunction(link->on_stop, "k", (unsigned long)ms);
        if (!done)
            clr_report(link, "on_stop failed");
        Py_XDECREF(done);
    }
    return 0;
}

static int on_clear(clr_wlink_t *link, const clr_frame_t *frame)
{
    if (frame->payload.n > 0)
        return CLR_EPROTO;
    if (link->on_clear && link->on_clear != Py_None) {
        PyObject *done =
            PyObject_CallFunction(link->on_clear, "K", (unsigned long long)frame->stream);
        if (!done)
            clr_report(link, "on_clear failed");
        Py_XDECREF(done);
    }
    return 0;
}

int clr_incoming_frame(clr_wlink_t *link, const clr_frame_t *frame)
{
    switch (frame->type) {
    case CLR_FRAME_SIO_EVENT:
        return on_event(link, frame);
    case CLR_FRAME_SIO_ACK:
        return clr_acks_on_answer(link, frame);
    case CLR_FRAME_SIO_CONNECT:
    case CLR_FRAME_SIO_RESUME:
        return on_connect(link, frame);
    case CLR_FRAME_SIO_DISCONNECT:
        return on_disconnect(link, frame);
    case CLR_FRAME_SIO_ROOM:
        return on_room(link, frame);
    case CLR_FRAME_SAVED:
        return clr_saved_on_saved(link, frame);
    case CLR_FRAME_MOVE:
    case CLR_FRAME_DROP:
        return clr_moves_frame(link, frame);
    case CLR_FRAME_EIO_OPEN:
    case CLR_FRAME_EIO_RESUME:
    case CLR_FRAME_EIO_MESSAGE:
    case CLR_FRAME_EIO_GONE:
        return clr_engine_frame(link, frame);
    case CLR_FRAME_ORIGIN_CHECK:
        return on_origin(link, frame);
    case CLR_FRAME_TRANSPORT:
        return on_transport(link, frame);
    case CLR_FRAME_HTTP_REQUEST:
    case CLR_FRAME_HTTP_BODY:
    case CLR_FRAME_HTTP_PIECE:
    case CLR_FRAME_HTTP_WINDOW:
    case CLR_FRAME_HTTP_GONE:
    case CLR_FRAME_HTTP_FILE_DONE:
    case CLR_FRAME_WS_OPEN:
    case CLR_FRAME_WS_MESSAGE:
    case CLR_FRAME_WS_GONE:
        return clr_asgi_frame(link, frame);
    case CLR_FRAME_REPLY:
        return clr_acks_on_reply(link, frame);
    case CLR_FRAME_STATE:
        return clr_acks_on_state(link, frame);
    case CLR_FRAME_STOP:
        return on_stop(link, frame);
    case CLR_FRAME_CLEAR:
        return on_clear(link, frame);
    case CLR_FRAME_REFRESH:
        return clr_refresh_frame(link, frame);
    default:
        return CLR_EPROTO; /* CONFIG comes once, before the loop */
    }
}

/* Reports the exception of a handler. Cancelling one is no error: true then. */
static bool report_failure(clr_wlink_t *link, const clr_event_t *event)
{
    if (link->st->cancelled_error && PyErr_ExceptionMatches(link->st->cancelled_error)) {
        PyErr_Clear();
        return true;
    }
    PyObject *what = event->name ? event->name : link->st->n.callback;
    if (event->socket && event->socket->space->host->is_engine)
        clr_report(link, "Exception in the handler of %R, client %U", what, event->socket->sid);
    else if (event->socket)
        clr_report(link, "Exception in the handler of %R, client %U in namespace %U", what,
                   event->socket->sid, event->socket->space->name);
    else
        clr_report(link, "Exception in a %s",
                   event->kind == CLR_EVENT_ORIGIN ? "function that checks origins" : "callback");
    return false;
}

/* The event's reference; its client may be idle without it. */
static void release(clr_socket_t *s)
{
    clr_session_t *session = s->session;
    session->refs++;
    clr_socket_unref(s);
    clr_moves_check(session);
    clr_session_unref(session);
}

void clr_incoming_done(clr_wlink_t *link, clr_event_t *event, PyObject *result)
{
    clr_socket_t *s = event->socket;
    if (event->kind == CLR_EVENT_ASGI)
        clr_asgi_done(link, event, result);
    else if (!result && report_failure(link, event) && event->kind == CLR_EVENT_MESSAGE)
        result = Py_None;
    switch (event->kind) {
    case CLR_EVENT_MESSAGE:
        if (result && event->number != CLR_NO_ACK)
            send_ack_reply(link, s, event->number, result);
        break;
    case CLR_EVENT_CONNECT:
        connect_done(link, s, result);
        break;
    case CLR_EVENT_DISCONNECT:
        clr_socket_drop(s);
        break;
    case CLR_EVENT_ORIGIN:
        origin_done(link, event->number, result);
        break;
    case CLR_EVENT_CALLBACK:
    case CLR_EVENT_ASGI:
        break;
    default:
        clr_engine_done(link, event, result);
        break;
    }
    if (event->is_blocking) {
        s->session->busy--;
        drain(s->session, link);
    }
    uint64_t turn = event->has_turn ? s->stream : 0;
    if (s)
        release(s);
    pass_turn(link, turn); /* a client that shall move goes before its next event */
    Py_CLEAR(event->name);
    Py_CLEAR(event->handler);
    Py_CLEAR(event->call);
    CLR_DCHECK(!PyErr_Occurred());
}

void clr_incoming_drop_all(clr_wlink_t *link)
{
    clr_asgi_drop_all(link);
    for (size_t i = 0; i < link->host_count; i++)
        clr_host_drop_all(link->hosts[i]);
}
