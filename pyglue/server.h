/* server.h: the C bases of AsyncServer and EngineServer, and the packets they send.
 *
 * Threads:  the loop's (with the interpreter lock).
 * Lifetime: Python objects. A server is bound to a link and a host when it is declared; before that
 *           it can be built and decorated, and sending raises RuntimeError.
 */
#pragma once

#include "worker_link.h"

/* What both kinds of server begin with. */
typedef struct clr_app {
    PyObject_HEAD clr_state_t *st;
    clr_wlink_t *link; /* owned; NULL until declared */
    clr_host_t *host;  /* the link's */
    PyObject *handlers;
} clr_app_t;

typedef struct clr_server {
    clr_app_t app;
    PyObject *namespace_handlers;
    PyObject *namespaces; /* further namespaces that are accepted, or "*" */
    PyObject *json;       /* the app's module, or None */
    char async_handlers;
    char always_connect;
} clr_server_t;

/* Sets RuntimeError and returns -1 when the server was never declared. */
CLR_NODISCARD int clr_app_check(clr_app_t *app);

/* Allocation and the parts of the type that both kinds share. */
PyObject *clr_app_new(PyTypeObject *type, PyObject *args, PyObject *kwargs);
int clr_app_traverse(PyObject *self, visitproc visit, void *arg);
int clr_app_clear(PyObject *self);

/* ---- packet.c ---- */

/* A Socket.IO packet's array, encoded: JSON text and the list of its attachments (NULL: none). */
typedef struct clr_packet {
    clr_buf_t *json;
    clr_buf_t own_;
    PyObject *attachments;
} clr_packet_t;

/* Encodes [event, *args] or, with event NULL, [*args]; args from data: None gives none, a tuple its
 * items, anything else one. 0, or -1 with an exception; clear it in either case. May run Python
 * code. */
CLR_NODISCARD int clr_packet_init(clr_packet_t *p, clr_server_t *server, PyObject *event,
                                  PyObject *data);
void clr_packet_clear(clr_packet_t *p, clr_server_t *server);

/* Whether a frame has room for it: 0, or -1 with ValueError. */
CLR_NODISCARD int clr_packet_check(const clr_packet_t *p);

/* Bytes that clr_packet_write() appends. */
size_t clr_packet_size(const clr_packet_t *p);

/* Appends `data` to the frame being written. */
void clr_packet_write(const clr_packet_t *p, clr_buf_t *out);

/* Decodes the array of a packet, with the server's json module. `server` may be of a kind that has
 * none. 0, or -1 with an exception. */
CLR_NODISCARD int clr_packet_decode(clr_server_t *server, const clr_data_t *data, clr_items_t *out);

/* ---- emit.c ---- */

typedef enum clr_emit_arg {
    CLR_EMIT_EVENT,
    CLR_EMIT_DATA,
    CLR_EMIT_TO,
    CLR_EMIT_ROOM,
    CLR_EMIT_SKIP_SID,
    CLR_EMIT_NAMESPACE,
    CLR_EMIT_CALLBACK,
    CLR_EMIT_IGNORE_QUEUE,
    CLR_EMIT_VOLATILE,
    CLR_EMIT_ARGS,
} clr_emit_arg_t;

/* Server.emit and Server.send: an awaitable that does its work when it is first stepped. */
PyObject *clr_server_emit(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                          PyObject *kwnames);
PyObject *clr_server_send(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                          PyObject *kwnames);

/* EngineServerBase.send: the same for a message to a session. */
PyObject *clr_engine_emit(PyObject *self, PyObject *args, PyObject *kwargs);

/* Server._call(event, data, to, namespace, future) -> token */
PyObject *clr_server_call(PyObject *self, PyObject *const *args, Py_ssize_t nargs);

/* ---- stream_token.c ---- */

/* Server._stream_token(sid, id, token, is_sequence, is_input): the event stream_token of a chat,
 * for that client of the namespace "/". It is sent when this returns; what is returned is awaited
 * as that of emit() is. */
PyObject *clr_server_stream_token(PyObject *self, PyObject *const *args, Py_ssize_t nargs);

/* The str under which the gateway knows a room: rooms named by an int get a name no str has.
 * Returns a new reference, or NULL with TypeError. */
PyObject *clr_room_key(PyObject *room);

/* The room of a name from the gateway. */
PyObject *clr_room_of_key(clr_str_t key);

/* ---- environ.c ---- */

/* The environ of a session's request: the one that the app changed, or a new one. Returns a new
 * reference, or NULL with an exception. */
PyObject *clr_environ_get(clr_session_t *session);

/* One from a request that has no session. */
PyObject *clr_environ_build(clr_wlink_t *link, clr_str_t request);

/* A path as text: its %XX decoded, what is not UTF-8 replaced. Returns a new reference, or NULL
 * with an exception. */
PyObject *clr_environ_path(clr_str_t raw);

/* ---- saved.c ---- */

/* Asks the gateway what it keeps of a client of any worker, or to keep these bytes. nsp is NULL for
 * an EngineServer. Returns a future (of None or (saved, request), or of whether there is such a
 * client), None when nobody can be asked, or NULL with an exception. */
PyObject *clr_saved_ask(clr_app_t *app, PyObject *nsp, PyObject *sid, PyObject *bytes);

/* ---- engine.c ---- */

CLR_NODISCARD int clr_engine_frame(clr_wlink_t *link, const clr_frame_t *frame);

/* Sends data (str, bytes-like, or a list or dict as JSON) to a session; a sid that is gone gets
 * nothing. 0, or -1 with an exception. */
CLR_NODISCARD int clr_engine_send(clr_app_t *app, PyObject *sid, PyObject *data);

void clr_engine_done(clr_wlink_t *link, clr_event_t *event, PyObject *result);
