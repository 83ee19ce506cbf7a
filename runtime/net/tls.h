/* tls.h: the records of one TLS connection, server side: ciphertext in, plaintext out, and back. No
 * I/O: a stream moves the bytes (stream_tls.c).
 *
 * An idle connection holds OpenSSL's own state and nothing else: input is decrypted straight from
 * the read buffer, records are made in the context's scratch memory.
 *
 * Threads:  the loop's.
 * Lifetime: embedded in its owner; clr_tls_init() … clr_tls_deinit(). Borrows its context until
 * then.
 */
#pragma once

#include "base/buf.h"
#include "net/tls_context.h"

typedef enum clr_tls_state {
    CLR_TLS_NEW,       /* no byte came yet; holds nothing */
    CLR_TLS_HANDSHAKE, /* nothing can be sent */
    CLR_TLS_OPEN,
    CLR_TLS_CLOSED, /* we said that nothing follows; input is still understood */
    CLR_TLS_FAILED, /* neither way any more, but what is in `held` is to be sent */
} clr_tls_state_t;

typedef struct clr_tls {
    clr_tls_context_t *context;
    struct ssl_st *ssl_; /* NULL while new */
    clr_tls_state_t state;
    clr_str_t in_;   /* ciphertext not yet read */
    clr_buf_t *out_; /* where records go: held, or the records of a flush */
    clr_buf_t held;  /* made while reading (the handshake); the owner sends it first */
} clr_tls_t;

void clr_tls_init(clr_tls_t *t, clr_tls_context_t *context);
void clr_tls_deinit(clr_tls_t *t);

/* Bytes of a partial record that OpenSSL may have kept from earlier input: a limit. */
#define CLR_TLS_HEADROOM (20u << 10)

/* Takes input, all of it, and puts the plaintext to `plain`, where cap bytes are. `plain` may
 * overlap the input if it begins at least CLR_TLS_HEADROOM before; cap is then to the input's end.
 *
 * 0, or CLR_ECLOSED when the peer said that nothing follows, or another negative code after which
 * the state is failed; *n counts in each case. The peer's mistake is logged at debug. */
CLR_NODISCARD int clr_tls_decrypt(clr_tls_t *t, clr_str_t input, char *plain, size_t cap,
                                  size_t *n);

/* Appends the records of up to CLR_TLS_RECORD bytes to *out. Only when open. On failure the state
 * is failed. */
CLR_NODISCARD int clr_tls_encrypt(clr_tls_t *t, clr_str_t plain, clr_buf_t *out);

/* Appends the record that says that nothing follows. Only when open. */
void clr_tls_close(clr_tls_t *t, clr_buf_t *out);
