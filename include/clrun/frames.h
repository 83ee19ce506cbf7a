/* frames.h: the frames of the link between gateway and worker. The one table from which come the
 * enum, the names in logs and the table in docs/link.md.
 *
 * A frame is a 16-byte head and a payload, all integers little-endian:
 *
 *   offset 0  u32  payload length, at most CLR_FRAME_MAX
 *          4  u8   type (below)
 *          5  u8   flags (CLR_FRAME_…)
 *          6  u16  zero
 *          8  u64  stream: the handle of a socket, session or request; 0 for the link itself
 *
 * Payload notation: uN an integer of N bits; str a u32 length and that many bytes; json a str of
 * JSON text; list<t> a u16 count and that many t; data = json, list<str>: JSON text of a Socket.IO
 * packet with the attachments its placeholders name; request = a request head (link/message.h).
 * A socket is one client in one Socket.IO namespace; a session is one Engine.IO client; a request
 * is an HTTP request or a WebSocket that the ASGI application answers.
 *
 * The worker's watchdog has a stream of its own beside the link, in the same format; BLOCKED and
 * STATS come on that one, and only there.
 */
#pragma once

/* X(number, name, direction, payload, meaning). G: from the gateway, W: from the worker. */
#define CLR_FRAME_MAP(X)                                                                           \
    X(1, CONFIG, G, "json", "first frame: what the worker runs and how")                           \
    X(2, STOP, G, "u32 ms", "finish within ms, then send STOPPED and exit")                        \
    X(3, REPLY, G, "u8 found", "answers SIO_REMOTE; stream is its token")                          \
    X(4, SIO_CONNECT, G, "u16 server, str eio_sid, str sid, str nsp, json auth, request",          \
      "a client asks for a namespace; answer SIO_ACCEPT or SIO_REFUSE. auth may be empty. "        \
      "Flag TURN")                                                                                 \
    X(5, SIO_EVENT, G, "u64 ack, data",                                                            \
      "an event; ack is CLR_NO_ACK or wants SIO_ACK_REPLY. Flag TURN")                             \
    X(6, SIO_ACK, G, "u64 token, data", "a client answered an emit that carried this token")       \
    X(7, SIO_DISCONNECT, G, "u8 reason", "the socket is gone (CLR_REASON_MAP)")                    \
    X(8, SIO_ROOM, G, "u8 op, str room", "another worker made this socket join or leave")          \
    X(9, EIO_OPEN, G, "u16 server, str sid, request",                                              \
      "a client of an EngineServer; answer EIO_ACCEPT or EIO_REFUSE")                              \
    X(10, EIO_MESSAGE, G, "str", "a message; flag BINARY")                                         \
    X(11, EIO_GONE, G, "u8 reason", "the session is gone (CLR_REASON_MAP)")                        \
    X(12, ORIGIN_CHECK, G, "u16 server, str origin, request",                                      \
      "asks the server's callable; answer ORIGIN_RESULT with the same stream")                     \
    X(13, TRANSPORT, G, "u8 transport", "the session upgraded; stream is any socket of it")        \
    X(14, HTTP_REQUEST, G, "u32 window, str body, request",                                        \
      "calls the application; body is what is there of it. Flags END, CONTINUE")                   \
    X(15, HTTP_BODY, G, "str", "more of the request's body; flag END")                             \
    X(16, HTTP_WINDOW, G, "u32 bytes", "this much more may be sent for the request")               \
    X(17, HTTP_GONE, G, "", "the client is gone, or the connection is of no use any more")         \
    X(18, HTTP_FILE_DONE, G, "u32 error", "the file of HTTP_FILE is sent; else why not (errno)")   \
    X(19, WS_OPEN, G, "u32 window, request",                                                       \
      "a WebSocket handshake; answer WS_ACCEPT, WS_CLOSE or HTTP_START")                           \
    X(20, WS_MESSAGE, G, "str", "a message of the client; flag BINARY")                            \
    X(21, WS_GONE, G, "u16 code, str reason", "the WebSocket is closed; 1006: without a close")    \
    X(22, SIO_RESUME, G,                                                                           \
      "u16 server, str eio_sid, str sid, str nsp, json auth, list<str> rooms, str saved, request", \
      "SIO_CONNECT for a client that another worker had; answered in the same way. Flag TURN")     \
    X(23, EIO_RESUME, G, "u16 server, str sid, str saved, request",                                \
      "EIO_OPEN for a client that another worker had; answered in the same way")                   \
    X(24, STATE, G, "u8 found, str saved, str request", "answers STATE_ASK; stream is its token")  \
    X(25, SAVED, G, "str saved", "another worker saved the data of this socket or session")        \
    X(26, MOVE, G, "",                                                                             \
      "may the client move? Stream is its session, or any socket of it; answer IDLE")              \
    X(27, DROP, G, "",                                                                             \
      "the client is another worker's now; no handler is told. Stream as for MOVE")                \
    X(28, HTTP_PIECE, G, "u32 at, u32 length",                                                     \
      "HTTP_BODY whose bytes lie in the arena (link/arena.h): copy and count them")                \
    X(29, CLEAR, G, "",                                                                            \
      "it retires and has no client: put away what is kept for those who may return; answer "      \
      "CLEARED with the same stream, a number")                                                    \
    X(32, REFRESH, G, "u32 number", "files of the app were saved: load it anew; answer REFRESHED") \
    X(64, HELLO, W, "u32 version, u32 pid, str python, str clrun", "first frame of a worker")      \
    X(65, SERVER, W, "u16 server, json",                                                           \
      "declares or updates a server, from when the worker serves; numbers count from 0")           \
    X(66, READY, W, "", "the app is loaded; grants nothing by itself")                             \
    X(67, FAILED, W, "u8 kind, str text", "the app did not load (CLR_FAILED_…); exits next")       \
    X(68, CREDIT, W, "u32 count",                                                                  \
      "the first grants this many creditable frames; each later one gives back what was begun")    \
    X(69, SIO_ACCEPT, W, "", "the connect handler accepted the socket")                            \
    X(70, SIO_REFUSE, W, "json", "the connect handler refused; the CONNECT_ERROR object")          \
    X(71, SIO_SEND, W, "u64 token, data", "an event for this socket; flags ACK, VOLATILE")         \
    X(72, SIO_EMIT, W, "u16 server, str nsp, list<str> rooms, list<str> except, u64 token, data",  \
      "an event for rooms or sids (none: the namespace) less those in except")                     \
    X(73, SIO_ACK_REPLY, W, "u64 ack, data", "what the handler of an event returned")              \
    X(74, SIO_KICK, W, "", "disconnect this socket from its namespace")                            \
    X(75, SIO_JOIN, W, "str room", "this socket joins")                                            \
    X(76, SIO_LEAVE, W, "str room", "this socket leaves")                                          \
    X(77, SIO_CLOSE_ROOM, W, "u16 server, str nsp, str room", "all sockets leave")                 \
    X(78, SIO_REMOTE, W, "u16 server, str nsp, str sid, u8 op, str room, u64 token",               \
      "join, leave or kick a socket of any worker; token 0 wants no REPLY")                        \
    X(79, SIO_ABORT, W, "str why", "the client sent what the app cannot decode: close it")         \
    X(80, EIO_ACCEPT, W, "", "the connect handler accepted the session")                           \
    X(81, EIO_REFUSE, W, "json", "the connect handler refused; body of the 401")                   \
    X(82, EIO_SEND, W, "str", "a message for the session; flag BINARY")                            \
    X(83, EIO_CLOSE, W, "", "close the session")                                                   \
    X(84, ORIGIN_RESULT, W, "u8 allowed", "answers ORIGIN_CHECK")                                  \
    X(85, LOG, W, "u8 level, str module, str text", "a line for the gateway's log")                \
    X(86, STOPPED, W, "", "everything is finished; the worker exits")                              \
    X(87, APP, W, "json",                                                                          \
      "the app has an ASGI application, and folders whose files the gateway serves; before READY") \
    X(88, HTTP_START, W, "u16 status, list<str> headers, str body",                                \
      "the response: names and values in turn, the first of the body. Flags END, TRAILERS")        \
    X(89, HTTP_DATA, W, "str", "more of the response's body; flag END")                            \
    X(90, HTTP_TRAILERS, W, "list<str> headers", "the trailers, which end the response")           \
    X(91, HTTP_HINT, W, "list<str> headers", "103 Early Hints; before HTTP_START")                 \
    X(92, HTTP_FILE, W, "str path, u64 offset, u64 count",                                         \
      "part of a file as the body's next; count 2^64-1: to its end. Flag END")                     \
    X(93, HTTP_TAKE, W, "u32 bytes",                                                               \
      "the application took this much of the body or of messages; any asks for 100 Continue")      \
    X(94, HTTP_ABORT, W, "str why", "the application failed: cut the connection")                  \
    X(95, HTTP_REJECT, W, "", "not taken: another worker may have the request")                    \
    X(96, WS_ACCEPT, W, "str subprotocol, list<str> headers", "the handshake is accepted")         \
    X(97, WS_SEND, W, "str", "a message for the client; flag BINARY")                              \
    X(98, WS_CLOSE, W, "u16 code, str reason", "closes; before WS_ACCEPT: answers 403")            \
    X(99, SAVE, W, "str saved", "keep the data that the app saved with this socket or session")    \
    X(100, STATE_ASK, W, "u16 server, str nsp, str sid, u64 token",                                \
      "what is kept of a client of any worker; nsp is empty for an EngineServer")                  \
    X(101, STATE_SAVE, W, "u16 server, str nsp, str sid, str saved, u64 token",                    \
      "SAVE for a client of any worker; answered by REPLY")                                        \
    X(102, IDLE, W, "u8 idle",                                                                     \
      "answers MOVE; 0: handlers or answers are under way, and 1 follows when they are done")      \
    X(103, SIO_NEXT, W, "", "the handler of what came with TURN has ended: the next may come")     \
    X(104, SIO_TOKEN, W, "u32 from, u32 to, json",                                                 \
      "an event; json[from, to) may be appended to the event before, if only that differs")        \
    X(105, CLEARED, W, "", "answers CLEAR: another worker finds what was kept here")               \
    X(106, BLOCKED, W, "u8 blocked, u32 ms, str handler, str place, str stack",                    \
      "watchdog: 1: the loop has not turned for so long, and why; 0: it turns again, after ms")    \
    X(107, STATS, W, "u32 lag, u32 handlers",                                                      \
      "watchdog: microseconds that the loop took to notice a ping; handlers at work")              \
    X(110, SOURCES, W, "u64 since, str directory",                                                 \
      "modules of the app come from here; the first was read at this time (ns, Unix)")             \
    X(111, REFRESHED, W, "u32 number, u8 ok, str file, u32 line, str text",                        \
      "answers REFRESH; else where and what is wrong, and nothing has changed. line may be 0")

#define CLR_FRAME_ENUM(number, name, direction, payload, meaning) CLR_FRAME_##name = (number),
enum clr_frame_type { CLR_FRAME_MAP(CLR_FRAME_ENUM) };
#undef CLR_FRAME_ENUM

#define CLR_FRAME_HEAD_SIZE 16
#define CLR_FRAME_MAX       (64u << 20) /* payload bytes: above any allowed client message */

enum clr_frame_flag {
    CLR_FRAME_BINARY = 1,   /* EIO_MESSAGE, EIO_SEND, WS_MESSAGE, WS_SEND: the bytes are not text */
    CLR_FRAME_ACK = 2,      /* SIO_SEND, SIO_EMIT: the client's ack comes back as SIO_ACK */
    CLR_FRAME_VOLATILE = 4, /* SIO_SEND, SIO_EMIT: drop rather than queue */
    CLR_FRAME_END = 8, /* HTTP_REQUEST, _BODY, _PIECE, _START, _DATA, _FILE: the body is complete */
    CLR_FRAME_CONTINUE = 16, /* HTTP_REQUEST: the client waits for 100 Continue */
    CLR_FRAME_TRAILERS = 32, /* HTTP_START: HTTP_TRAILERS ends the response, not END */
    CLR_FRAME_TURN = 64, /* SIO_CONNECT, _RESUME, _EVENT: the client's next waits for SIO_NEXT */
};

/* SIO_EVENT without an ack id. Client ids stay below 2^53. */
#define CLR_NO_ACK UINT64_MAX

/* HTTP_FILE: to the end of the file. */
#define CLR_FILE_REST UINT64_MAX

/* Of a request's body, or of a WebSocket's messages, the gateway sends this much beyond what
 * HTTP_TAKE gave back, and one message more. */
#define CLR_REQUEST_WINDOW (256u << 10)

/* Why a socket or session is gone. X(number, name, text): the texts are python-socketio's. */
#define CLR_REASON_MAP(X)                                                                          \
    X(1, CLIENT_DISCONNECT, "client disconnect")                                                   \
    X(2, SERVER_DISCONNECT, "server disconnect")                                                   \
    X(3, PING_TIMEOUT, "ping timeout")                                                             \
    X(4, TRANSPORT_CLOSE, "transport close")                                                       \
    X(5, TRANSPORT_ERROR, "transport error")

#define CLR_REASON_ENUM(number, name, text) CLR_REASON_##name = (number),
enum clr_reason { CLR_REASON_MAP(CLR_REASON_ENUM) };
#undef CLR_REASON_ENUM

/* SIO_ROOM and SIO_REMOTE. */
enum clr_room_op { CLR_ROOM_JOIN = 1, CLR_ROOM_LEAVE = 2, CLR_ROOM_KICK = 3 };

/* SIO_CONNECT's request and TRANSPORT. */
enum clr_transport { CLR_TRANSPORT_POLLING = 1, CLR_TRANSPORT_WEBSOCKET = 2 };

/* FAILED. */
enum clr_failed {
    CLR_FAILED_NOT_FOUND = 1, /* no such file or module: usage */
    CLR_FAILED_SYNTAX = 2,    /* SyntaxError, text has the caret */
    CLR_FAILED_ERROR = 3,     /* the module raised, text is the traceback */
};
