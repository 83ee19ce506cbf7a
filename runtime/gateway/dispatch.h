/* dispatch.h: the workers as the gateway sees them: credit, queues and who owns which socket.
 *
 * Frames that cost the worker work are creditable (clr_frame_is_creditable()): they are sent only
 * while the worker has credit, and wait in its outbox (outbox.h), in order, otherwise. What a
 * worker sends is decoded here and handed to the module that owns the object.
 *
 * A worker that falls behind is congested: above CLR_DISPATCH_HIGH bytes its clients are not read
 * any more, below CLR_DISPATCH_LOW they are again.
 *
 * One worker is in worker.c, all of them and the choice among them in dispatch.c.
 *
 * Threads:  the loop's.
 * Lifetime: a worker lives from clr_worker_attach() to its on_gone callback.
 */
#pragma once

#include "gateway/gateway.h"
#include "link/frame.h"
#include "link/message.h"

typedef enum clr_worker_state {
    CLR_WORKER_LOADING,  /* connected, app not loaded */
    CLR_WORKER_STANDBY,  /* loaded; takes nothing until clr_worker_enlist() */
    CLR_WORKER_READY,    /* takes sockets */
    CLR_WORKER_RETIRING, /* serves what it has, and who comes back to it, until that has moved */
    CLR_WORKER_STOPPING, /* STOP was sent */
    CLR_WORKER_GONE,
} clr_worker_state_t;

typedef struct clr_worker_ops {
    void (*on_hello)(clr_worker_t *w, uint32_t pid, clr_str_t python, void *ctx);
    void (*on_ready)(clr_worker_t *w, void *ctx);
    void (*on_failed)(clr_worker_t *w, uint8_t kind, clr_str_t text, void *ctx);
    void (*on_stopped)(clr_worker_t *w, void *ctx);
    /* It is blocked for longer than the options allow: its process is to be replaced. */
    void (*on_given_up)(clr_worker_t *w, void *ctx);
    /* The link is down; the worker object is freed when this returns. */
    void (*on_gone)(clr_worker_t *w, int reason, void *ctx);
} clr_worker_ops_t;

/* Takes fd on success. `number` is for logs (1, 2, …). `config` is the JSON of the CONFIG frame,
 * sent at once. Borrows ops and ctx until on_gone; each op may be NULL. */
CLR_NODISCARD int clr_worker_attach(clr_worker_t **out, clr_gateway_t *gw, int fd, unsigned number,
                                    clr_str_t config, const clr_worker_ops_t *ops, void *ctx);

/* Listens to its watchdog (worker_health.h). Takes fd on success; `pid` is for the log. Once. */
CLR_NODISCARD int clr_worker_watch(clr_worker_t *w, int fd, int pid);

/* One that is loading shall stand by when it is ready, so that several may begin in one step. */
void clr_worker_stand_by(clr_worker_t *w);

/* Ends that: it takes clients and requests as soon as it is ready. */
void clr_worker_enlist(clr_worker_t *w);

/* A worker that is ready gets no new clients and requests but those that belong to it, and each of
 * its clients moves to another one when it is idle (migrate.h); at once if one is ready, else as
 * soon as one is. */
void clr_worker_retire(clr_worker_t *w);

/* Moves the clients that it still has now, whatever is under way for them: it is retiring, so that
 * none may come back to it. Its WebSockets, which cannot move, are closed so that their clients
 * come again. */
void clr_worker_move_all(clr_worker_t *w);

/* Asks one that retires, and has no clients, to put away what it keeps for those who may come back;
 * again when there were clients since. Until it has, they come back to it (affinity.h). */
void clr_worker_clear(clr_worker_t *w);

/* It has, or is no worker that retires. */
bool clr_worker_is_clear(const clr_worker_t *w);

/* Asks for a graceful end: queued frames first, then STOP. */
void clr_worker_stop(clr_worker_t *w, uint32_t grace_ms);

/* Closes the link now; on_gone follows. */
void clr_worker_detach(clr_worker_t *w);

clr_worker_state_t clr_worker_state(const clr_worker_t *w);
unsigned clr_worker_number(const clr_worker_t *w);
uint32_t clr_worker_sockets(const clr_worker_t *w);
uint32_t clr_worker_sessions(const clr_worker_t *w);

/* Clients that came to it first, ever. */
uint64_t clr_worker_served(const clr_worker_t *w);
uint32_t clr_worker_requests(const clr_worker_t *w);

/* The ready worker with the fewest sessions, of those that keep up; among equals the one whose loop
 * is the least behind. NULL when none is ready. */
clr_worker_t *clr_dispatch_choose(clr_gateway_t *gw);

/* Live sessions and ready workers, for status lines. */
uint32_t clr_dispatch_ready_count(const clr_gateway_t *gw);

/* ---- inside the gateway ---- */

#define CLR_DISPATCH_HIGH (8u << 20)
#define CLR_DISPATCH_LOW  (4u << 20)

void clr_dispatch_init(clr_gateway_t *gw);

/* After the loop has ended: all workers are gone. Closes what is left of the sessions. */
void clr_dispatch_deinit(clr_gateway_t *gw);

/* What a stream id of the link stands for: the first member of the object. */
enum clr_object_kind {
    CLR_OBJECT_SOCKET = 1,
    CLR_OBJECT_SESSION,
    CLR_OBJECT_ORIGIN,
    CLR_OBJECT_REQUEST,
};

typedef struct clr_object {
    uint8_t kind;
} clr_object_t;

/* A handle for an object; the dispatcher borrows the object until clr_dispatch_remove(). */
uint64_t clr_dispatch_add(clr_gateway_t *gw, clr_object_t *object);
void clr_dispatch_remove(clr_gateway_t *gw, uint64_t handle);

/* NULL when the handle is not live or stands for something else. */
void *clr_dispatch_find(const clr_gateway_t *gw, uint64_t handle, enum clr_object_kind kind);

/* Starts a frame to the worker: append its payload to the buffer returned, then end it. Goes out
 * at once, or waits for credit in the worker's queue. Nothing may be called between the two. */
clr_buf_t *clr_worker_begin(clr_worker_t *w, uint8_t type, uint8_t flags, uint64_t stream);
void clr_worker_end(clr_worker_t *w);

/* For the metrics. */
typedef struct clr_worker_load {
    uint32_t credit;
    size_t waiting; /* bytes of frames that wait for credit */
    size_t unsent;  /* bytes that the kernel has not taken */
} clr_worker_load_t;

void clr_worker_get_load(const clr_worker_t *w, clr_worker_load_t *out);

/* What its watchdog said last; NULL: it has none. */
const struct clr_health *clr_worker_health(const clr_worker_t *w);

/* Grows when it begins to load the app anew, and when it has: odd meanwhile. */
uint64_t clr_worker_loads(const clr_worker_t *w);

/* Calls on_given_up. */
void clr_worker_give_up(clr_worker_t *w);

/* A creditable frame would go out at once. */
bool clr_worker_is_open(const clr_worker_t *w);

/* Its clients are paused. */
bool clr_worker_is_congested(const clr_worker_t *w);

/* A number that no other worker of this gateway ever had, to name one that may be gone by then. */
uint32_t clr_worker_serial(const clr_worker_t *w);
clr_worker_t *clr_dispatch_worker(const clr_gateway_t *gw, uint32_t serial);

/* The workers that were heard of and are not on their way out, one after the other: NULL is before
 * the first, and follows the last. */
clr_worker_t *clr_dispatch_next(const clr_gateway_t *gw, const clr_worker_t *w);

/* The server that it calls by that number: NULL in *server while only it knows that one. 0, or
 * CLR_EPROTO when there is none. */
CLR_NODISCARD int clr_worker_find_server(clr_worker_t *w, uint16_t number,
                                         clr_eio_server_t **server);

/* How far it is with its new code (refresh.h). */
struct clr_refresh_state *clr_worker_refresh(clr_worker_t *w);

/* The sessions a worker owns, by their node_; `is_new` if no other worker had it before. */
void clr_worker_add_session(clr_worker_t *w, clr_list_t *session, bool is_new);
void clr_worker_remove_session(clr_worker_t *w, clr_list_t *session);

/* Sockets and EngineServer sessions it owns, for status lines. */
void clr_worker_count_socket(clr_worker_t *w, int delta);

/* It has an application (APP frame). Takes its folders (folders.h); the list is empty then. */
void clr_worker_set_app(clr_worker_t *w, clr_list_t *folders);

/* The requests it has, by their node. */
void clr_worker_add_request(clr_worker_t *w, clr_list_t *node);
void clr_worker_remove_request(clr_worker_t *w, clr_list_t *node);

/* It has an application and is ready, or retiring: those that belong to it still come. */
bool clr_worker_takes_requests(const clr_worker_t *w);

/* Where the next request goes: of the ready workers that keep up, the one with the fewest requests
 * in progress. NULL: it has to wait, since a worker that does not answer would keep it. */
clr_worker_t *clr_dispatch_choose_app(const clr_gateway_t *gw);

/* A worker with an application is ready. */
bool clr_dispatch_has_app_worker(const clr_gateway_t *gw);

/* Links a session in until a worker is ready (clr_eio_session_place). */
void clr_dispatch_wait(clr_gateway_t *gw, clr_list_t *session);

/* The state that the Engine.IO modules share (eio_server.h). */
struct clr_eio *clr_dispatch_eio(const clr_gateway_t *gw);
