/* migrate.h: clients change their worker and see nothing of it.
 *
 * After a death, what the worker never began to handle goes with its clients to other workers
 * (outbox.h), whose connect handlers run for the same sockets. A worker that lives is asked first:
 *
 *            move                     IDLE 1
 *   NONE ───────────► ASKED ─────────────────────────► NONE, on another worker
 *                      │  ▲
 *               IDLE 0 ▼  │ IDLE 1
 *                      BUSY
 *
 * While a client's worker is ASKED, events are held (eio_held.h), so that none is under way when it
 * goes. While it is BUSY they flow as ever.
 *
 * Threads: the loop's.
 */
#pragma once

#include "gateway/eio_session.h"
#include "gateway/outbox.h"

/* Workers that may die with a connect handler of one client at work: the client is then closed. */
#define CLR_MIGRATE_STRIKES 3

/* The worker has died, with these sessions (clr_eio_session_t.node_) and this outbox. They are
 * placed anew, or closed where the app wants that. */
void clr_migrate_lost(clr_gateway_t *gw, clr_worker_t *dead, clr_outbox_t *outbox,
                      clr_list_t *sessions);

/* Moves a client once nothing of it is under way: no handler, no answer awaited. `to` NULL: where
 * a new client would go. Harmless for one that has no worker, or is there already. */
void clr_session_move(clr_eio_session_t *s, clr_worker_t *to);

/* Moves it now. Handlers at work go on without it: what they answer to it is lost. */
void clr_session_move_now(clr_eio_session_t *s, clr_worker_t *to);

/* A socket of it is gone, which may be the one that its worker was asked by: asks by another. */
void clr_migrate_ask_again(clr_eio_session_t *s);

/* IDLE of its worker. */
void clr_migrate_on_idle(clr_eio_session_t *s, bool idle);
