/* eio_session.h: one Engine.IO client: its id, its heartbeat, its transport and the packets for it.
 *
 * A session sends through clr_eio_session_send…() whatever its transport is: over a WebSocket the
 * packets go out at once, otherwise they wait in the polling queue (eio_polling.h) for a GET, or
 * for the WebSocket that takes over.
 *
 * Threads:  the loop's.
 * Lifetime: clr_eio_session_new() … clr_eio_session_close(). A closed session stays readable until
 *           the end of the loop's turn, so that whoever is working on it may return first.
 */
#pragma once

#include "base/random.h"
#include "base/shared.h"
#include "gateway/dispatch.h"
#include "gateway/eio_server.h"
#include "gateway/http_conn.h"
#include "gateway/sio_client.h"
#include "gateway/ws_conn.h"
#include "proto/eio.h"

/* Requests and WebSockets are late by this much and still count as on time, in ms. */
#define CLR_EIO_GRACE_MS 5

/* How long a session whose close has to wait for the next GET lives on. */
#define CLR_EIO_LINGER_MS 30000

typedef enum clr_eio_state {
    CLR_EIO_STATE_OPENING, /* EngineServer: the connect handler has not answered */
    CLR_EIO_STATE_OPEN,
    CLR_EIO_STATE_CLOSING, /* over for the app; the next GET gets what is queued, and the close */
    CLR_EIO_STATE_CLOSED,
} clr_eio_state_t;

/* Why its client is not read. */
enum clr_eio_pause {
    CLR_EIO_PAUSE_CONGESTED = 1, /* its worker is behind */
    CLR_EIO_PAUSE_HELD = 2,      /* too much waits for a worker (eio_held.h) */
};

/* A move to another worker while its own lives (migrate.h). */
typedef enum clr_eio_move {
    CLR_EIO_MOVE_NONE,
    CLR_EIO_MOVE_ASKED, /* the worker shall say whether it may go; events are held meanwhile */
    CLR_EIO_MOVE_BUSY,  /* it may not; the worker will say when */
} clr_eio_move_t;

typedef struct clr_eio_session {
    clr_object_t object;
    uint8_t state;    /* clr_eio_state_t */
    bool awaits_pong; /* beat_at is when it dies, not when the next ping is due */
    bool extended;    /* a packet was taken for a sign of life since the ping */
    bool told;        /* EIO_OPEN was sent: the worker will hear of the end */
    uint8_t paused;   /* enum clr_eio_pause, or-ed */
    uint8_t move;     /* clr_eio_move_t */
    uint8_t strikes;  /* workers that died with a connect handler of it at work (migrate.h) */
    uint8_t
        resuming;  /* accepted before, and not yet by the worker it has now: sockets, or itself */
    uint8_t turns; /* handlers at work that let nothing else of the client begin (sio_socket.h) */
    bool moved;    /* another worker had it before */
    bool innocent; /* of the death of its worker, which had not begun its connect handler */
    uint8_t doom;  /* enum clr_reason for a session in eio->doomed */
    clr_eio_server_t *server;
    clr_worker_t *worker; /* NULL until the first CONNECT */
    clr_list_t node_;     /* the worker's sessions, or those that wait for one */
    clr_list_t end_;      /* eio->doomed or eio->dead */
    clr_timer_t timer;    /* the earlier of beat_at and connect_by */
    uint64_t beat_at;     /* next ping, or the end of the wait for its pong; 0: not yet */
    uint64_t connect_by;  /* a Socket.IO CONNECT, or the app's answer, is due; 0: no limit */
    uint64_t handle;      /* EngineServer: its stream; else 0 */
    clr_ws_conn_t *ws;    /* NULL: polling */
    struct clr_eio_polling *polling; /* NULL while there is no GET, no POST and no queue */
    struct clr_eio_probe *probe;     /* the WebSocket that wants to take over, or NULL */
    struct clr_eio_held *held;       /* events that wait for a worker, or NULL */
    struct clr_affinity_hold *keys;  /* of affinity.h, or NULL */
    uint32_t former;                 /* serial of the worker it was moved away from */
    uint32_t move_to;                /* serial of the worker it shall move to; 0: any */
    clr_shared_t *request;           /* head of the request that began it, as the link carries it */
    clr_shared_t *saved;             /* EngineServer: what the app saved, or NULL */
    clr_sio_client_t sio;            /* Socket.IO servers only */
    const char *doom_why;
    char sid[CLR_ID_LEN];
} clr_eio_session_t;

/* A packet ready for the polling queue; also what waits for a socket's CONNECT reply. `text` is one
 * or more packets in payload form ("4…", "b…"). */
typedef struct clr_eio_item {
    clr_shared_t *text;
    bool whole; /* one packet, whatever separators it contains */
} clr_eio_item_t;

/* Takes request. In state OPENING, without a transport; found by its sid from here on. */
clr_eio_session_t *clr_eio_session_new(clr_eio_server_t *server, clr_shared_t *request);

/* Takes the transports away from it and lets it be freed: for the end of the gateway only. */
void clr_eio_session_abandon(clr_eio_session_t *s);

/* Of one that is closed, from eio->dead. */
void clr_eio_session_free(clr_eio_session_t *s);

clr_eio_session_t *clr_eio_session_find(const clr_eio_server_t *server, clr_str_t sid);

static inline clr_str_t clr_eio_session_sid(const clr_eio_session_t *s)
{
    return clr_str(s->sid, CLR_ID_LEN);
}

/* The handshake is answered: the heartbeat begins. */
void clr_eio_session_open(clr_eio_session_t *s);

/* Appends the OPEN packet, '0' included. */
void clr_eio_session_append_open(const clr_eio_session_t *s, clr_buf_t *out);

/* False, and closes it, when it should have died by now. For each request that names it. */
CLR_NODISCARD bool clr_eio_session_is_alive(clr_eio_session_t *s);

/* A packet from the client, whatever the transport. */
void clr_eio_session_input(clr_eio_session_t *s, const clr_eio_packet_t *packet);

/* Ends it now. `why` is static and for the log. A parked GET is answered with a close packet. */
void clr_eio_session_close(clr_eio_session_t *s, uint8_t reason, const char *why);

/* The same because the client asked: a parked GET is answered with a noop packet. */
void clr_eio_session_close_by_client(clr_eio_session_t *s);

/* The same at the end of this turn: for whoever is in the middle of a list of sessions. */
void clr_eio_session_doom(clr_eio_session_t *s, uint8_t reason, const char *why);

/* Ends it after what is queued was sent. code: of the WebSocket's close frame, 0 for none. */
void clr_eio_session_finish(clr_eio_session_t *s, uint16_t code, const char *why);

/* Sets connect_by that far from now; 0: no limit. */
void clr_eio_session_set_connect_timeout(clr_eio_session_t *s, uint64_t ms);

/* ---- worker ---- */

/* Gives it a worker (clr_affinity_choose), or lets it wait for one. */
void clr_eio_session_place(clr_eio_session_t *s);

/* Takes its worker away: for clr_eio_session_place(), or for the one given next. */
void clr_eio_session_displace(clr_eio_session_t *s);

/* Gives it that worker. It has none. */
void clr_eio_session_assign(clr_eio_session_t *s, clr_worker_t *w);

/* Stops reading its client for one more reason, or for one less. */
void clr_eio_session_pause(clr_eio_session_t *s, enum clr_eio_pause why, bool paused);

/* Tells the worker that the session changed to WebSocket. */
void clr_eio_session_upgraded(clr_eio_session_t *s);

/* ---- output ---- */

/* Queues one text packet, given in two parts and with its type character. */
void clr_eio_session_send_text(clr_eio_session_t *s, clr_str_t head, clr_str_t body);

/* The same for one whose body[from, to) may be appended to the packet before (clr_ws_send_piece).
 */
void clr_eio_session_send_piece(clr_eio_session_t *s, clr_str_t head, clr_str_t body, size_t from,
                                size_t to);

/* Queues a binary message. */
void clr_eio_session_send_binary(clr_eio_session_t *s, clr_str_t bytes);

/* Queues whole WebSocket frames by reference; its transport is one. */
void clr_eio_session_send_frames(clr_eio_session_t *s, clr_shared_t *frames);

/* Queues what waited somewhere else; borrows the item. */
void clr_eio_session_send_item(clr_eio_session_t *s, clr_eio_item_t item);

/* Whether a volatile packet may be sent now. */
bool clr_eio_session_is_writable(const clr_eio_session_t *s);
