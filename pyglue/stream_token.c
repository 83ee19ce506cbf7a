/* stream_token.c: Server._stream_token(), which sends the chat's most frequent event without the
 * objects that emit() is given for others: it is written as JSON into the link's output when it is
 * called. What it returns to be awaited is nearly always one object that is done already.
 */
#include "coroutine.h"
#include "server.h"

/* So many tokens later their sender lets the loop turn once: code that streams and waits for
 * nothing else leaves others their share, may be cancelled, and its tokens are on their way. */
#define TOKENS_A_TURN 64

typedef struct clr_token {
    PyObject *sid, *id, *text; /* borrowed */
    bool is_sequence, is_input;
} clr_token_t;

/* ---- what is awaited to let the loop turn ---- */

typedef struct clr_turn {
    PyObject_HEAD bool is_over;
} clr_turn_t;

static PySendResult turn_am_send(PyObject *self, PyObject *value, PyObject **result)
{
    (void)value;
    clr_turn_t *turn = (clr_turn_t *)self;
    *result = Py_NewRef(Py_None);
    if (turn->is_over)
        return PYGEN_RETURN;
    turn->is_over = true;
    return PYGEN_NEXT;
}

static PyObject *turn_throw(PyObject *self, PyObject *args)
{
    ((clr_turn_t *)self)->is_over = true;
    clr_coroutine_raise(args);
    return NULL;
}

static PyObject *turn_close(PyObject *self, PyObject *unused)
{
    (void)unused;
    ((clr_turn_t *)self)->is_over = true;
    Py_RETURN_NONE;
}

static PyMethodDef turn_methods[] = {
    {"send", clr_coroutine_send, METH_O, NULL},
    {"throw", turn_throw, METH_VARARGS, NULL},
    {"close", turn_close, METH_NOARGS, NULL},
    {0},
};

static PyType_Slot turn_slots[] = {
    {Py_tp_doc, "Lets the event loop turn once."},
    CLR_SLOT(Py_tp_iter, clr_coroutine_self),
    CLR_SLOT(Py_tp_iternext, clr_coroutine_next),
    CLR_SLOT(Py_am_await, clr_coroutine_self),
    CLR_SLOT(Py_am_send, turn_am_send),
    {Py_tp_methods, turn_methods},
    {0, NULL},
};

static PyType_Spec turn_spec = {
    .name = "_clrun.Turn",
    .basicsize = sizeof(clr_turn_t),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = turn_slots,
};

int clr_stream_token_init_type(PyObject *module, clr_state_t *st)
{
    st->turn_type = PyType_FromModuleAndSpec(module, &turn_spec, NULL);
    return st->turn_type ? 0 : -1;
}

/* Returns a new reference, or NULL with an exception. */
static PyObject *to_await(clr_wlink_t *link)
{
    if (link->is_congested && link->loop)
        return clr_wlink_wait(link);
    if (++link->tokens % TOKENS_A_TURN == 0)
        return PyType_GenericAlloc((PyTypeObject *)link->st->turn_type, 0);
    return Py_NewRef(link->st->asgi_sent);
}

/* ---- the event ---- */

static void put(clr_buf_t *out, clr_str_t text)
{
    clr_buf_append_str(out, text);
}

/* The event as JSON, and where in it the text lies: between its quotes. */
static int encode(clr_state_t *st, clr_buf_t *out, const clr_token_t *token, size_t *from,
                  size_t *to)
{
    PyObject *attachments = NULL; /* strings have none */
    put(out, CLR_STR("[\"stream_token\",{\"id\":"));
    if (clr_values_encode(st, out, token->id, &attachments) < 0)
        return -1;
    put(out, CLR_STR(",\"token\":"));
    *from = out->n + 1;
    if (clr_values_encode(st, out, token->text, &attachments) < 0)
        return -1;
    *to = token->is_sequence ? *from : out->n - 1; /* what replaces a text is appended to none */
    put(out, CLR_STR(",\"isSequence\":"));
    put(out, token->is_sequence ? CLR_STR("true") : CLR_STR("false"));
    put(out, CLR_STR(",\"isInput\":"));
    put(out, token->is_input ? CLR_STR("true}]") : CLR_STR("false}]"));
    return 0;
}

static void write_frame(clr_wlink_t *link, uint64_t stream, clr_str_t json, size_t from, size_t to)
{
    clr_buf_t *out = clr_wlink_out(link);
    size_t begun = clr_frame_begin(out, CLR_FRAME_SIO_TOKEN, 0, stream);
    clr_buf_append_le(out, from, 4);
    clr_buf_append_le(out, to, 4);
    clr_write_str(out, json);
    clr_frame_end(out, begun);
    clr_wlink_sent(link);
}

static int send_token(clr_server_t *server, clr_socket_t *socket, const clr_token_t *token)
{
    clr_wlink_t *link = server->app.link;
    size_t from, to;
    clr_packet_t packet = {.attachments = NULL};
    packet.json = clr_wlink_scratch(link, &packet.own_);
    int status = encode(server->app.st, packet.json, token, &from, &to);
    if (status == 0)
        status = clr_packet_check(&packet);
    if (status == 0 && socket->stream != 0) /* else it is gone: nobody gets it */
        write_frame(link, socket->stream, clr_buf_str(packet.json), from, to);
    clr_packet_clear(&packet, server);
    return status;
}

/* To a client that is not here, or whose sid names others as well. */
static PyObject *emit(PyObject *self, const clr_token_t *token)
{
    PyObject *data = Py_BuildValue("{sOsOsOsO}", "id", token->id, "token", token->text,
                                   "isSequence", token->is_sequence ? Py_True : Py_False, "isInput",
                                   token->is_input ? Py_True : Py_False);
    if (!data)
        return NULL;
    PyObject *args[] = {((clr_app_t *)self)->st->n.stream_token, data, token->sid};
    PyObject *sending = clr_server_emit(self, args, 3, NULL);
    Py_DECREF(data);
    return sending;
}

static int take_args(clr_token_t *token, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 5) {
        PyErr_SetString(PyExc_TypeError, "_stream_token(sid, id, token, is_sequence, is_input)");
        return -1;
    }
    if (!PyUnicode_Check(args[1]) || !PyUnicode_Check(args[2])) {
        PyErr_SetString(PyExc_TypeError, "the id of a message and a token are str");
        return -1;
    }
    int is_sequence = PyObject_IsTrue(args[3]), is_input = PyObject_IsTrue(args[4]);
    if (is_sequence < 0 || is_input < 0)
        return -1;
    *token = (clr_token_t){args[0], args[1], args[2], is_sequence, is_input};
    return 0;
}

PyObject *clr_server_stream_token(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    clr_server_t *server = (clr_server_t *)self;
    clr_token_t token;
    if (take_args(&token, args, nargs) < 0 || clr_app_check(&server->app) < 0)
        return NULL;
    clr_space_t *space = clr_space_find(server->app.host, server->app.st->slash);
    clr_socket_t *socket = space ? clr_socket_find(space, token.sid) : NULL;
    if (!socket || socket->is_alias)
        return emit(self, &token);
    return send_token(server, socket, &token) < 0 ? NULL : to_await(server->app.link);
}
