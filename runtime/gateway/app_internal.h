/* app_internal.h: a request as the app_*.c files see it: app_request.c (life, queue, placement),
 * app_body.c (from the client), app_response.c (to the client), app_websocket.c, app_frames.c (what
 * the worker says).
 */
#pragma once

#include "gateway/app_request.h"
#include "gateway/ws_conn.h"

/* A request whose body is longer does not wait for the rest of it. */
#define CLR_APP_GATHER_MAX (64u << 10)

/* Requests that wait for a worker, and how long they may while none is ready; beyond: 503. */
#define CLR_APP_WAITING_MAX 10000
#define CLR_APP_WAIT_MS     30000

/* Bytes of a response, or of messages, that a worker may send before the client has taken some. */
#define CLR_APP_WINDOW (256u << 10)

typedef enum clr_app_state {
    CLR_APP_GATHERING,  /* the client sends; no worker knows of it */
    CLR_APP_WAITING,    /* in the queue */
    CLR_APP_ASKED,      /* a worker has it */
    CLR_APP_RESPONDING, /* HTTP_START came */
    CLR_APP_OPEN,       /* a WebSocket, accepted */
    CLR_APP_CLOSED,     /* it is closed, and the worker did not take its last messages yet */
} clr_app_state_t;

typedef struct clr_app_request {
    clr_object_t object;
    uint8_t state;                           /* clr_app_state_t */
    uint8_t tries;                           /* workers that had it */
    unsigned is_websocket : 1, complete : 1, /* its body is */
        end_sent : 1,                        /* to the worker */
        continue_due : 1,                    /* the client waits for 100 */
        kept : 1,    /* `body` is what the worker has, for another if it does not take it */
        unbegun : 1, /* by its worker, which is gone */
        split : 1,   /* the worker has more of the body than is kept */
        parked : 1,  /* it waits for its worker's credit, or did: more may not overtake it */
        drains : 1, sends_file : 1, file_ends : 1, /* the response */
        told : 1,    /* the worker knows that it is gone, or will when it has the messages before */
        closing : 1, /* the application closed the WebSocket */
        pinged : 1;  /* and no answer yet */
    uint64_t handle;
    clr_list_t node_; /* app->waiting, or the worker's requests */
    clr_list_t all_;  /* app->all; the free list */
    clr_gateway_t *gw;
    clr_worker_t *worker;
    clr_exchange_t *x; /* NULL once it is a WebSocket */
    clr_ws_conn_t *ws;
    clr_buf_t body; /* the gathered body; then what waits for the window: more of it, or messages */
    uint64_t since_ms; /* waiting */
    uint32_t untaken;  /* bytes the worker has and did not take */
    uint32_t used;     /* bytes it sent since the last HTTP_WINDOW */
    size_t ping_mark;  /* bytes pending when the ping was sent */
    clr_timer_t timer; /* pings */
} clr_app_request_t;

struct clr_app_requests {
    clr_gateway_t *gw;
    bool known;
    clr_list_t all;
    clr_list_t waiting;
    clr_list_t spare; /* to be used again */
    uint32_t count;
    uint32_t waiting_count;
    uint32_t spare_count;
    uint64_t unready_ms; /* since when no worker is ready */
    clr_timer_t expiry;  /* of those that wait meanwhile */
    clr_buf_t headers;   /* scratch: used within one function */
};

static inline clr_app_request_t *clr_app_of(const clr_exchange_t *x)
{
    return x->ctx;
}

/* ---- app_request.c ---- */

/* Frees it; its exchange or WebSocket is somebody else's matter. */
void clr_app_free(clr_app_request_t *r);

/* Into the queue, or straight to a worker; `more` of the body comes along (borrowed). */
void clr_app_place(clr_app_request_t *r, clr_str_t more);

/* The worker will not answer it. */
void clr_app_leave_worker(clr_app_request_t *r);

/* Another worker may have it, if it can be sent again; else 503. */
void clr_app_rejected(clr_app_request_t *r);

/* 503 with Retry-After, and the end of the request. */
void clr_app_refuse(clr_app_request_t *r, const char *why);

uint32_t clr_app_window(const clr_gateway_t *gw);

/* HTTP_GONE or WS_GONE, once, if a worker has it. */
void clr_app_tell_gone(clr_app_request_t *r, uint16_t code, clr_str_t reason);
void clr_app_send_gone(clr_app_request_t *r, uint16_t code, clr_str_t reason);

/* "GET /path", for logs. */
typedef struct clr_app_name {
    char text[120];
} clr_app_name_t;
clr_app_name_t clr_app_name(const clr_app_request_t *r);

/* ---- app_body.c ---- */

void clr_app_on_body(clr_exchange_t *x, clr_str_t piece);
void clr_app_on_end(clr_exchange_t *x);

/* More of the body, which just came, to the worker that has the request. */
void clr_app_send_more(clr_app_request_t *r, clr_str_t piece);

/* The worker took so much. */
CLR_NODISCARD int clr_app_take(clr_app_request_t *r, uint32_t bytes);

/* Reads the client, or not, as the windows are. */
void clr_app_update_reading(clr_app_request_t *r);

/* The copy kept for another worker is needed no more. */
void clr_app_drop_kept(clr_app_request_t *r);

/* ---- app_response.c ---- */

CLR_NODISCARD int clr_app_start(clr_app_request_t *r, uint8_t flags, uint16_t status,
                                clr_strs_t headers, clr_str_t body);
CLR_NODISCARD int clr_app_data(clr_app_request_t *r, bool end, clr_str_t body);
CLR_NODISCARD int clr_app_trailers(clr_app_request_t *r, clr_strs_t headers);
CLR_NODISCARD int clr_app_hint(clr_app_request_t *r, clr_strs_t headers);
void clr_app_send_file(clr_app_request_t *r, bool end, clr_str_t path, uint64_t offset,
                       uint64_t count);

/* Cuts it off without a proper end. */
void clr_app_cut(clr_app_request_t *r);

/* Counts what the worker sent; CLR_EPROTO when the window was used up before. */
CLR_NODISCARD int clr_app_count_sent(clr_app_request_t *r, size_t bytes);

/* The client took what there was: the worker may send as much again. */
void clr_app_grant(clr_app_request_t *r);

/* ---- app_websocket.c ---- */

CLR_NODISCARD int clr_app_accept(clr_app_request_t *r, clr_str_t subprotocol, clr_strs_t headers);
CLR_NODISCARD int clr_app_send(clr_app_request_t *r, bool binary, clr_str_t message);
CLR_NODISCARD int clr_app_close(clr_app_request_t *r, uint16_t code, clr_str_t reason);

/* Messages that waited, as far as the window allows. May free it. */
void clr_app_flush_messages(clr_app_request_t *r);

/* The gateway ends it, and its worker hears of it now if it is still there. */
void clr_app_end_websocket(clr_app_request_t *r, uint16_t code, clr_str_t reason);
