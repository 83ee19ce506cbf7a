/* tls_context.h: what the TLS connections of a listener share: certificate, key, rules, and the
 * scratch memory in which records are made.
 *
 * Threads:  the loop's.
 * Lifetime: must outlive every stream that was accepted with it. A reload leaves open connections
 * as they are: they hold the old certificate as long as they need it.
 */
#pragma once

#include <stdint.h>

#include "base/error.h"

typedef struct clr_tls_context clr_tls_context_t;

/* What is asked of the client. */
typedef enum clr_tls_verify {
    CLR_TLS_VERIFY_NONE,
    CLR_TLS_VERIFY_OPTIONAL, /* a certificate that is sent must be good */
    CLR_TLS_VERIFY_REQUIRED,
} clr_tls_verify_t;

/* All strings are borrowed as long as the context lives; NULL where not given. */
typedef struct clr_tls_options {
    const char *cert_file;    /* PEM: the certificate, then what leads to its authority */
    const char *key_file;     /* NULL: the key is in cert_file */
    const char *key_password; /* of an encrypted key; nobody is asked for it */
    const char *ca_file;      /* PEM: authorities of the clients' certificates */
    const char *ciphers;      /* OpenSSL's notation; names that begin with TLS_ are of TLS 1.3 */
    clr_tls_verify_t verify;
    uint64_t handshake_timeout_ms; /* from a client's first byte; 0: none */
} clr_tls_options_t;

/* *out is owned. On failure err says which file is wrong, and how. */
CLR_NODISCARD int clr_tls_context_new(clr_tls_context_t **out, const clr_tls_options_t *options,
                                      clr_error_t *err);
void clr_tls_context_free(clr_tls_context_t *c);

/* Reads the files again, for connections to come. On failure everything stays as it was. */
CLR_NODISCARD int clr_tls_context_reload(clr_tls_context_t *c, clr_error_t *err);
