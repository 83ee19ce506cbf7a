/* load_conn.h: WebSocket and Socket.IO clients for the load generator, and the loop they run in.
 *
 * A connection goes by itself through TCP, the WebSocket handshake, the Engine.IO OPEN and the
 * Socket.IO CONNECT (in a plain loop: WebSocket alone); then it is ready and belongs to the
 * scenario. It answers pings. It reads only
 * what a well-behaved server sends: anything else ends the program, since a benchmark of a broken
 * server measures nothing. Frames are gathered and written once per turn of the loop, so that the
 * generator costs far less than the servers it drives.
 *
 * Threads:  one.
 * Lifetime: load_loop_init() … load_loop_deinit(), which closes all connections.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct load_loop load_loop_t;
typedef struct load_conn load_conn_t;

/* What a scenario does. Called from load_loop_turn(); text is borrowed for the call. */
typedef struct load_ops {
    void (*on_ready)(load_conn_t *c);
    void (*on_message)(load_conn_t *c, const char *text, size_t len);
    void (*on_closed)(load_conn_t *c); /* NULL: a close ends the program */
    /* Writes the payload of CONNECT. NULL: none */
    size_t (*auth)(load_conn_t *c, char *out, size_t room);
} load_ops_t;

enum load_state {
    LOAD_IDLE, /* no socket */
    LOAD_CONNECTING,
    LOAD_HTTP,    /* waiting for the 101 */
    LOAD_OPEN,    /* waiting for the OPEN packet */
    LOAD_CONNECT, /* waiting for the CONNECT reply */
    LOAD_READY,
    LOAD_CLOSING, /* the close frame is on its way */
};

struct load_conn {
    load_loop_t *loop;
    int fd;
    enum load_state state;
    uint32_t index;
    bool dirty;
    bool want_write;
    uint64_t mask; /* the masking key, twice */
    uint8_t *out;  /* bytes to write, from out_start to out_end */
    size_t out_start;
    size_t out_end;
    size_t out_cap;
    uint8_t *tail; /* the beginning of a frame whose end has not come */
    size_t tail_len;
    size_t tail_cap;
    uint64_t got;      /* for the scenario */
    uint64_t *sent_at; /* for the scenario; freed with the connection */
};

struct load_loop {
    int epoll;
    struct sockaddr_in server;
    const char *path;
    bool plain; /* nothing above WebSocket; set after load_loop_init() */
    const load_ops_t *ops;
    void *ctx; /* the scenario's */
    load_conn_t *conns;
    uint32_t conn_count;
    load_conn_t **dirty;
    uint32_t dirty_count;
    uint8_t *scratch;   /* what one read brings, after the tail of its connection */
    uint32_t source;    /* counts source addresses, so that ports do not run out */
    bool fatal_refused; /* a refused connection ends the program */
};

/* Borrows path and ops until deinit. conns get their indices; none is opened. */
void load_loop_init(load_loop_t *loop, const struct sockaddr_in *server, const char *path,
                    const load_ops_t *ops, void *ctx, uint32_t conn_count);
void load_loop_deinit(load_loop_t *loop);

/* Waits up to timeout_ms for something to read or write, handles it, and writes what is queued. */
void load_loop_turn(load_loop_t *loop, int timeout_ms);

/* Starts connecting. False: the server refused at once (only when not fatal_refused). */
bool load_conn_open(load_conn_t *c);

/* Queues a text message. */
void load_conn_send(load_conn_t *c, const char *text, size_t len);

/* Says goodbye; on_closed follows when the server has closed as well. */
void load_conn_finish(load_conn_t *c);

/* Closes the socket and forgets what was queued; no callback. */
void load_conn_reset(load_conn_t *c);

/* Prints a line and ends the program with status 1. */
__attribute__((noreturn, format(printf, 1, 2))) void load_die(const char *format, ...);
