/* worker_link.h: the worker's end of the link to the gateway, and what hangs off it: the hosts,
 * sockets, sessions, answers awaited and the tasks of handlers at work.
 *
 * A readable descriptor means one call that reads a large piece, decodes its frames and dispatches
 * them, gives back the credit they took, and writes once what came out of it. What is sent at other
 * times marks the link dirty and is written by one call_soon.
 *
 * Threads:  the loop's (with the interpreter lock).
 * Lifetime: a Python object. After close() or the loss of the gateway it stays as a shell: frames
 *           go nowhere, and every socket is gone.
 */
#pragma once

#include "acks.h"
#include "asgi.h"
#include "base/assert.h"
#include "base/spin.h"
#include "carrier.h"
#include "idmap.h"
#include "link/arena.h"
#include "link/message.h"
#include "link/page.h"
#include "sockets.h"
#include "state.h"
#include "values.h"
#include "watchdog.h"

#define CLR_WLINK_READ    (256u << 10) /* room for one read */
#define CLR_WLINK_NOW     (64u << 10)  /* output beyond this is not kept for the end of the turn */
#define CLR_WLINK_HIGH    (4u << 20)   /* output waiting: from here on senders wait… */
#define CLR_WLINK_LOW     (1u << 20)   /* …until it has come down to this */
#define CLR_WLINK_CREDIT  4096u        /* frames the gateway may have under way to us */
#define CLR_WLINK_BATCH   512          /* frames in one turn of the loop, at most… */
#define CLR_WLINK_TURN_NS 2000000 /* …and time, so that timers and other readers get their turn */
/* …and bytes of bodies: the application is to take them, and free the memory for the next, while it
 * is still in the processor's cache. An upload of 1 MB costs the worker 120 us instead of 290 with
 * no such bound (16 clients, 2026-11-23). */
#define CLR_WLINK_COPIED  (512u << 10)
#define CLR_WLINK_BACKLOG (1u << 20) /* bytes of events that wait for one client's handler */

typedef struct clr_wlink {
    PyObject_HEAD clr_state_t *st;
    int fd;
    bool closed;
    bool in_batch;
    bool flush_is_due; /* a call_soon(flush) is under way */
    bool more_is_due;  /* a call_soon(more) is under way: until then nothing is read */
    bool writer_is_on; /* add_writer: the kernel's buffer was full */
    bool is_congested; /* between the high mark and the low mark */
    uint64_t seed;     /* of hash maps */
    clr_buf_t in;
    size_t in_from;
    clr_buf_t out;
    size_t out_from;
    clr_buf_t scratch; /* see clr_wlink_scratch() */
    bool scratch_is_taken;
    uint32_t tokens;              /* that were streamed (stream_token.c) */
    uint32_t taken;               /* creditable frames since the last CREDIT */
    clr_page_t *page;             /* where the gateway sees which of them were begun */
    const char *arena;            /* of pieces of bodies; NULL: none came */
    size_t copied;                /* bytes of pieces, in this turn of the loop */
    clr_spin_t spin;              /* for clr_wlink_select() */
    _Atomic uint64_t batch_began; /* ns, for the watchdog; 0: no batch is at work */
    clr_watchdog_t *watchdog;     /* NULL: nobody watches */

    PyObject *loop;
    PyObject *call_soon;
    PyObject *readable; /* bound methods given to the loop */
    PyObject *more;
    PyObject *writable;
    PyObject *flush;
    PyObject *config;
    PyObject *on_stop;
    PyObject *on_down;
    PyObject *on_clear;
    PyObject *on_refresh;
    PyObject *waiters; /* list of futures of senders that wait for the low mark */

    clr_carriers_t carriers;
    clr_host_t **hosts;
    size_t host_count;
    clr_idmap_t streams; /* stream → clr_socket_t * */
    clr_map_t sessions;  /* Engine.IO sid → clr_session_t *; keys inside */
    clr_acks_t acks;
    clr_asgi_t asgi;
} clr_wlink_t;

/* ---- the life of the link (worker_link_type.c calls these) ---- */

/* Reads until the first whole frame is there, decodes it into *frame (borrowed until the next
 * read). 0, or -1 with an exception. */
CLR_NODISCARD int clr_wlink_read_first(clr_wlink_t *link, clr_frame_t *frame);

/* The descriptor is readable: one batch. Leaves no exception. */
void clr_wlink_on_readable(clr_wlink_t *link);

/* The loop has turned: the next batch of what was read already. */
void clr_wlink_on_more(clr_wlink_t *link);

/* ---- waiting (worker_link_wait.c) ---- */

/* Waits until something in the epoll set is ready or the time has passed; -1: no limit. Returns 1
 * when nothing is left to look at: the link alone was ready and its batch is done, or nothing was.
 * 0 when others are ready, and maybe the link; nothing was taken then. -1 with an exception. */
CLR_NODISCARD int clr_wlink_select(clr_wlink_t *link, int epoll_fd, int timeout_ms);

/* Methods of Link: wait(epoll fd, seconds or None) -> bool, and set_spin(microseconds). */
PyObject *clr_wlink_method_wait(PyObject *self, PyObject *args);
PyObject *clr_wlink_method_set_spin(PyObject *self, PyObject *microseconds);

/* ---- being watched (worker_link_watch.c) ---- */

/* Methods of Link: watch(fd, warn_ms, describe), current() -> str or None, _on_ping(). */
PyObject *clr_wlink_method_watch(PyObject *self, PyObject *args);
PyObject *clr_wlink_method_current(PyObject *self, PyObject *unused);
PyObject *clr_wlink_method_on_ping(PyObject *self, PyObject *unused);

/* Ends the watchdog, if there is one. */
void clr_wlink_unwatch(clr_wlink_t *link);

/* ---- writing ---- */

/* The kernel takes output again. */
void clr_wlink_on_writable(clr_wlink_t *link);

/* Writes what the kernel takes now. */
void clr_wlink_flush(clr_wlink_t *link);

/* Those who wait for the low mark go on. */
void clr_wlink_release_waiters(clr_wlink_t *link);

/* Leaves the loop and closes the descriptor; every socket is gone. Harmless a second time. */
void clr_wlink_close(clr_wlink_t *link);

/* ---- sending ---- */

/* The buffer to append frames to: clr_frame_begin, payload, clr_frame_end, then clr_wlink_sent().
 * Between begin and end nothing may run Python code. */
static inline clr_buf_t *clr_wlink_out(clr_wlink_t *link)
{
    return &link->out;
}

/* Sees to it that what was appended is written: at the end of the batch, by call_soon or at once.
 * On a closed link it throws the bytes away. Leaves no exception. */
void clr_wlink_sent(clr_wlink_t *link);

/* A frame with no payload. */
void clr_wlink_send_empty(clr_wlink_t *link, uint8_t type, uint64_t stream);

/* A frame with one str of payload. */
void clr_wlink_send_str(clr_wlink_t *link, uint8_t type, uint8_t flags, uint64_t stream,
                        clr_str_t payload);

/* A future that is done when the output is down to its low mark. Returns owned, or NULL with an
 * exception. */
PyObject *clr_wlink_wait(clr_wlink_t *link);

/* A buffer to encode into while Python code may run: empty; give it back. When a nested call has
 * it, a fresh one is made in *own. */
clr_buf_t *clr_wlink_scratch(clr_wlink_t *link, clr_buf_t *own);
void clr_wlink_scratch_done(clr_wlink_t *link, clr_buf_t *scratch);

/* Writes until everything is out or seconds have passed, waiting for the kernel. */
void clr_wlink_write_all(clr_wlink_t *link, int seconds);

/* ---- what arrives (incoming.c, engine.c) ---- */

/* Handles one frame from the gateway. 0, or CLR_EPROTO for a frame that no gateway of ours sends.
 * Leaves no exception. */
CLR_NODISCARD int clr_incoming_frame(clr_wlink_t *link, const clr_frame_t *frame);

/* The handler of an event has ended: answers, cleans up. result is borrowed, and NULL with an
 * exception set when the handler failed. Takes what the event holds. Leaves no exception. */
void clr_incoming_done(clr_wlink_t *link, clr_event_t *event, PyObject *result);

/* The client sent what the app cannot decode, and is closed: the exception that is set, and
 * cleared, says why. */
void clr_incoming_abort(clr_wlink_t *link, uint64_t stream);

/* All sockets are gone: the link is closed. */
void clr_incoming_drop_all(clr_wlink_t *link);

/* ---- moves.c ---- */

/* MOVE and DROP. 0 or CLR_EPROTO. */
CLR_NODISCARD int clr_moves_frame(clr_wlink_t *link, const clr_frame_t *frame);

/* Something of the client has ended: it may be idle now. */
void clr_moves_check(clr_session_t *session);

/* ---- saved.c ---- */

/* The object that an app saved. Returns owned; NULL, without an exception, when there is none or it
 * cannot be read, which is reported. */
PyObject *clr_saved_load(clr_wlink_t *link, clr_str_t saved);

/* SAVED: another worker saved it. 0 or CLR_EPROTO. */
CLR_NODISCARD int clr_saved_on_saved(clr_wlink_t *link, const clr_frame_t *frame);

/* Replaces what the app saved with a socket; bytes (None: they cannot be made) go to the gateway.
 * 0, or -1 with an exception. */
CLR_NODISCARD int clr_saved_keep(clr_socket_t *s, PyObject *session, PyObject *bytes);

/* ---- reporting (report.c) ---- */

/* Sends the exception that is set to the gateway's log, with its traceback, and clears it. The text
 * says what failed. Never fails. */
void clr_report(clr_wlink_t *link, const char *fmt, ...) CLR_COLD;

/* A line for the gateway's log. */
void clr_wlink_log(clr_wlink_t *link, uint8_t level, clr_str_t module, clr_str_t text);
