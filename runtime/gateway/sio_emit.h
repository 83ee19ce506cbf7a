/* sio_emit.h: one event for many: the sockets of rooms, or of a namespace, less those of other
 * rooms. Each gets it once.
 *
 * Threads: the loop's.
 */
#pragma once

#include "gateway/sio_socket.h"

typedef struct clr_sio_emit {
    clr_sio_nsp_t *nsp;
    clr_strs_t rooms; /* rooms or ids of sockets; none: the whole namespace */
    clr_strs_t except;
    bool is_volatile;
    const clr_worker_t *asker; /* wants acks, with the token; NULL: nobody does */
    uint64_t token;
} clr_sio_emit_t;

void clr_sio_emit(const clr_sio_emit_t *emit, clr_sio_packet_out_t *packet);
