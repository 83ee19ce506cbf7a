/* asgi_internal.h: what the files of the ASGI application share: asgi.c (calls),
 * asgi_incoming.c (frames in), asgi_report.c, asgi_scope.c, asgi_message.c (what the application
 * sends, checked), asgi_http.c, asgi_response.c (a response on its way out), asgi_file.c,
 * asgi_websocket.c, asgi_wait.c (awaitables).
 */
#pragma once

#include "worker_link.h"

/* Interned names: keys, and the types of messages. */
#define CLR_ASGI_NAMES(X)                                                                          \
    X(asgi, "asgi")                                                                                \
    X(body, "body")                                                                                \
    X(bytes, "bytes")                                                                              \
    X(client, "client")                                                                            \
    X(code, "code")                                                                                \
    X(count, "count")                                                                              \
    X(disconnect, "http.disconnect")                                                               \
    X(early_hint, "http.response.early_hint")                                                      \
    X(extensions, "extensions")                                                                    \
    X(file, "file")                                                                                \
    X(headers, "headers")                                                                          \
    X(http, "http")                                                                                \
    X(http_1_0, "1.0")                                                                             \
    X(http_1_1, "1.1")                                                                             \
    X(http_version, "http_version")                                                                \
    X(https, "https")                                                                              \
    X(links, "links")                                                                              \
    X(method, "method")                                                                            \
    X(more_body, "more_body")                                                                      \
    X(more_trailers, "more_trailers")                                                              \
    X(offset, "offset")                                                                            \
    X(path, "path")                                                                                \
    X(pathsend, "http.response.pathsend")                                                          \
    X(query_string, "query_string")                                                                \
    X(raw_path, "raw_path")                                                                        \
    X(reason, "reason")                                                                            \
    X(request, "http.request")                                                                     \
    X(root_path, "root_path")                                                                      \
    X(scheme, "scheme")                                                                            \
    X(server, "server")                                                                            \
    X(state, "state")                                                                              \
    X(status, "status")                                                                            \
    X(subprotocol, "subprotocol")                                                                  \
    X(subprotocols, "subprotocols")                                                                \
    X(text, "text")                                                                                \
    X(trailers, "trailers")                                                                        \
    X(trailers_extension, "http.response.trailers")                                                \
    X(type, "type")                                                                                \
    X(websocket, "websocket")                                                                      \
    X(websocket_connect, "websocket.connect")                                                      \
    X(websocket_disconnect, "websocket.disconnect")                                                \
    X(websocket_receive, "websocket.receive")                                                      \
    X(websocket_response, "websocket.http.response")                                               \
    X(ws, "ws")                                                                                    \
    X(wss, "wss")                                                                                  \
    X(zerocopysend, "http.response.zerocopysend")

typedef struct clr_asgi_consts {
#define CLR_ASGI_FIELD(name, text) PyObject *name;
    CLR_ASGI_NAMES(CLR_ASGI_FIELD)
#undef CLR_ASGI_FIELD
    PyObject *no_bytes; /* b"" */
} clr_asgi_consts_t;

/* What the application may send. X(name, text) */
#define CLR_ASGI_MESSAGES(X)                                                                       \
    X(START, "http.response.start")                                                                \
    X(BODY, "http.response.body")                                                                  \
    X(WS_SEND, "websocket.send")                                                                   \
    X(WS_ACCEPT, "websocket.accept")                                                               \
    X(WS_CLOSE, "websocket.close")                                                                 \
    X(WS_START, "websocket.http.response.start")                                                   \
    X(WS_BODY, "websocket.http.response.body")                                                     \
    X(TRAILERS, "http.response.trailers")                                                          \
    X(HINT, "http.response.early_hint")                                                            \
    X(PATHSEND, "http.response.pathsend")                                                          \
    X(ZEROCOPYSEND, "http.response.zerocopysend")

typedef enum clr_asgi_message {
#define CLR_ASGI_ENUM(name, text) CLR_ASGI_##name,
    CLR_ASGI_MESSAGES(CLR_ASGI_ENUM)
#undef CLR_ASGI_ENUM
        CLR_ASGI_UNKNOWN,
} clr_asgi_message_t;

/* A response:
 *
 *   START ── start ──► HELD ── body, or the end of the turn ──► BODY ── last body ──► DONE
 *                                                                 └──► TRAILERS ─────►┘
 */
typedef enum clr_asgi_response_state {
    RESPONSE_START,    /* nothing was sent */
    RESPONSE_HELD,     /* the head waits for the first of the body, to go with it in one frame */
    RESPONSE_BODY,     /* the head is out */
    RESPONSE_TRAILERS, /* the body is complete; the application owes the trailers */
    RESPONSE_DONE,
} clr_asgi_response_state_t;

typedef struct clr_asgi_response {
    uint8_t state;
    bool has_body;       /* some of it was sent */
    bool wants_trailers; /* the application announced them */
    bool sends_trailers; /* and the client takes them */
    bool is_sending;     /* `rest`, or a file, is on its way: whoever sends has to wait */
    bool more;           /* behind it */
    int64_t length;      /* what Content-Length leaves; -1: anything may come */
    clr_buf_t head;      /* HELD: status and headers as in HTTP_START; TRAILERS: the headers */
    clr_list_t node;     /* HELD: in link->asgi.held */
    Py_buffer rest;      /* of a body, beyond the window; obj NULL: none */
    size_t rest_from;
    int file;            /* our duplicate of the descriptor that is being sent, or -1 */
    bool file_moves;     /* its position is to be moved past what was sent */
    int64_t file_end;    /* to here */
    uint32_t file_error; /* errno, for the application that waits */
} clr_asgi_response_t;

#define CLR_ASGI_CODE_RESTART 1012 /* of WebSockets when the worker stops */

/* A WebSocket: CONNECTING ─► OPEN ─► CLOSED, or CONNECTING ─► DENYING (a response) ─► CLOSED */
typedef enum clr_asgi_ws_state {
    WS_CONNECTING,
    WS_OPEN,
    WS_DENYING,
    WS_CLOSED,
} clr_asgi_ws_state_t;

/* Pieces of a body that wait for the application and that are not joined, since it would be another
 * copy; how large those are that follow another. */
#define CLR_ASGI_PIECES    4
#define CLR_ASGI_PIECE_MIN (16u << 10)

typedef struct clr_asgi_call {
    PyObject_HEAD clr_wlink_t *link; /* owned until the stream is closed and the application over */
    clr_state_t *st;
    uint64_t stream;  /* 0: closed: complete, refused or gone */
    clr_list_t waits; /* clr_asgi_wait_t: awaited receives and sends; borrowed */
    PyObject *method; /* owned str, for the log; NULL: a WebSocket */
    PyObject *path;   /* owned bytes, for the log: as the client sent it */
    int64_t window;   /* bytes that may be sent; a WebSocket's message may go beyond it */
    bool is_websocket;
    bool is_gone; /* the client is, or the gateway */
    bool is_over; /* the application's call has ended */
    bool is_head; /* HEAD: no body is missed */
    uint8_t http_minor;

    /* What came and was not taken yet. */
    PyObject *pieces[CLR_ASGI_PIECES]; /* of a body: bytes, the first of them */
    uint8_t piece_count;
    clr_buf_t in;     /* what follows; of a WebSocket: u8 binary, u32 length, bytes, and so on */
    size_t in_from;   /* before here it was taken */
    size_t in_count;  /* messages in there */
    size_t unread;    /* bytes of a body or of messages that were not taken */
    uint32_t taken;   /* bytes that were and that the gateway was not told of */
    bool in_end;      /* the body is complete */
    bool in_done;     /* and the application has it */
    bool in_continue; /* the client waits for 100 Continue */
    bool has_connect; /* websocket.connect was received */

    uint8_t ws;       /* clr_asgi_ws_state_t */
    uint16_t code;    /* CLOSED: why */
    PyObject *reason; /* CLOSED: owned str, or NULL */

    clr_asgi_response_t response;
} clr_asgi_call_t;

/* ---- asgi.c ---- */

/* The call of a new stream, which the link holds until clr_asgi_close(). NULL with an exception,
 * also when there is such a stream already. */
clr_asgi_call_t *clr_asgi_call_new(clr_wlink_t *link, uint64_t stream, bool is_websocket);

/* The application is called. What it raises is reported. */
void clr_asgi_run(clr_asgi_call_t *call, const clr_request_head_t *head);

/* The stream is closed: no frame goes out or is taken any more; whoever waits is woken. May drop
 * the link's reference to the call. */
void clr_asgi_close(clr_asgi_call_t *call);

/* Gives the application the client's disconnect, and OSError from `send`. */
void clr_asgi_gone(clr_asgi_call_t *call);

/* Part of the request was taken by the application: the gateway may send more. */
void clr_asgi_take(clr_asgi_call_t *call, size_t n);

/* Whether what was sent last has to go out before the next may be sent. */
bool clr_asgi_is_busy(const clr_asgi_call_t *call);

/* Cuts the connection, because of the application. */
void clr_asgi_abort(clr_asgi_call_t *call, clr_str_t why);

/* ---- asgi_report.c ---- */

/* A line for the log that says whose fault it was: "text: GET /path". */
void clr_asgi_complain(clr_asgi_call_t *call, const char *text) CLR_COLD;

/* An exception that came out of the application, to the log; but not our own ClientDisconnected. */
void clr_asgi_report(clr_asgi_call_t *call, PyObject *error) CLR_COLD;

/* ---- asgi_scope.c ---- */

/* The templates. 0, or -1 with an exception. */
CLR_NODISCARD int clr_asgi_make_templates(clr_wlink_t *link);

/* A fresh scope; keeps in the call what it needs of it. NULL with an exception. */
PyObject *clr_asgi_scope(clr_asgi_call_t *call, const clr_request_head_t *head);

/* ---- asgi_message.c ---- */

/* Which message it is. UNKNOWN with an exception: not a dict, or no type; without one: of a type
 * that nobody knows. */
clr_asgi_message_t clr_asgi_message_type(const clr_asgi_consts_t *n, PyObject *message);

/* The text of the type, for errors. Borrowed. */
PyObject *clr_asgi_type_text(const clr_asgi_consts_t *n, PyObject *message);

/* message[key], borrowed; NULL when it is not there or None. *failed is set with an exception. */
PyObject *clr_asgi_field(PyObject *message, PyObject *key, bool *failed);

/* A bool of the message, false when it is not there; -1 with an exception. */
int clr_asgi_flag(PyObject *message, PyObject *key);

/* What response headers say that concerns us. */
typedef struct clr_asgi_fields {
    int64_t length; /* Content-Length, -1: none */
} clr_asgi_fields_t;

typedef enum clr_asgi_where { IN_RESPONSE, IN_TRAILERS, IN_ACCEPT } clr_asgi_where_t;

/* Appends the headers of the message as list<str>, or to the one that begins at `at`, if that is
 * not SIZE_MAX. Runs Python code. 0, or -1 with TypeError or ValueError. */
CLR_NODISCARD int clr_asgi_write_headers(const clr_asgi_consts_t *n, clr_buf_t *out, size_t at,
                                         PyObject *message, clr_asgi_where_t where,
                                         clr_asgi_fields_t *fields);

/* One more header for the list<str> that begins at `at`. 0, or -1 with ValueError. */
CLR_NODISCARD int clr_asgi_write_field(clr_buf_t *out, size_t at, clr_str_t name, clr_str_t value);

/* A view of bytes-like data, TypeError for anything else. Release with PyBuffer_Release(). */
CLR_NODISCARD int clr_asgi_view(PyObject *value, const char *what, Py_buffer *view);

/* ---- asgi_http.c ---- */

/* As clr_asgi_receive(). */
int clr_asgi_http_receive(clr_asgi_call_t *call, PyObject **result);

/* Sends a message. 0, or -1 with an exception. */
CLR_NODISCARD int clr_asgi_http_send(clr_asgi_call_t *call, clr_asgi_message_t type,
                                     PyObject *message);

/* More of the body came. 0 or CLR_EPROTO. */
CLR_NODISCARD int clr_asgi_http_body(clr_asgi_call_t *call, clr_str_t body, bool end);

/* Drops what the application did not take of the body. */
void clr_asgi_http_drop(clr_asgi_call_t *call);

/* The application has ended; error is the exception it raised, borrowed, or NULL. */
void clr_asgi_http_end(clr_asgi_call_t *call, PyObject *error);

/* ---- asgi_response.c ---- */

CLR_NODISCARD int clr_asgi_response_start(clr_asgi_call_t *call, PyObject *message);
CLR_NODISCARD int clr_asgi_response_body(clr_asgi_call_t *call, PyObject *message);
CLR_NODISCARD int clr_asgi_response_trailers(clr_asgi_call_t *call, PyObject *message);
CLR_NODISCARD int clr_asgi_response_hint(clr_asgi_call_t *call, PyObject *message);

/* The window was opened: goes on with the rest. */
void clr_asgi_response_continue(clr_asgi_call_t *call);

/* The head goes out now, alone. */
void clr_asgi_response_release(clr_asgi_call_t *call);

/* A part of the body is out: what comes next. */
void clr_asgi_response_advance(clr_asgi_call_t *call, bool more);

/* Whether a body may be sent now; -1 with RuntimeError. */
CLR_NODISCARD int clr_asgi_response_check_body(clr_asgi_call_t *call);

/* Answers 500, if nothing is out, else cuts the connection. */
void clr_asgi_response_fail(clr_asgi_call_t *call, clr_str_t why);

/* Drops what is held or on its way. */
void clr_asgi_response_drop(clr_asgi_call_t *call);

/* ---- asgi_file.c ---- */

CLR_NODISCARD int clr_asgi_file_pathsend(clr_asgi_call_t *call, PyObject *message);
CLR_NODISCARD int clr_asgi_file_zerocopysend(clr_asgi_call_t *call, PyObject *message);

/* HTTP_FILE_DONE. 0 or CLR_EPROTO. */
CLR_NODISCARD int clr_asgi_file_done(clr_asgi_call_t *call, uint32_t error);

/* Closes the descriptor. */
void clr_asgi_file_close(clr_asgi_response_t *response);

/* ---- asgi_websocket.c ---- */

int clr_asgi_ws_receive(clr_asgi_call_t *call, PyObject **result);
CLR_NODISCARD int clr_asgi_ws_send(clr_asgi_call_t *call, clr_asgi_message_t type,
                                   PyObject *message);
CLR_NODISCARD int clr_asgi_ws_message(clr_asgi_call_t *call, clr_str_t data, bool binary);
void clr_asgi_ws_gone(clr_asgi_call_t *call, uint16_t code, clr_str_t reason);
void clr_asgi_ws_end(clr_asgi_call_t *call, PyObject *error);

/* Closes it, if it is open, with this code. */
void clr_asgi_ws_close(clr_asgi_call_t *call, uint16_t code);

/* ---- asgi_wait.c ---- */

typedef enum clr_asgi_wait_kind {
    WAIT_RECEIVE,
    WAIT_SEND,
} clr_asgi_wait_kind_t;

/* The awaitable of a receive or of a send that has to wait; message is what it still has to send,
 * borrowed, or NULL. Returns a new reference, or NULL with an exception. */
PyObject *clr_asgi_wait_new(clr_asgi_call_t *call, clr_asgi_wait_kind_t kind, PyObject *message);

/* Wakes those who wait for this. */
void clr_asgi_wake(clr_asgi_call_t *call, clr_asgi_wait_kind_t kind);

/* What an awaitable of its kind does in a step: 1 with *result, 0 when it has to wait, -1 with an
 * exception. (asgi.c) */
int clr_asgi_receive(clr_asgi_call_t *call, PyObject **result);
int clr_asgi_go_on(clr_asgi_call_t *call, PyObject **message, PyObject **result);

CLR_NODISCARD int clr_asgi_init_waits(PyObject *module, clr_state_t *st);
