/* tls_internal.h: the context as its connections see it: tls_context.c (files and rules), tls.c
 * (records), stream_tls.c (writes).
 */
#pragma once

#include <openssl/bio.h>
#include <openssl/ssl.h>

#include "base/buf.h"
#include "net/tls_context.h"

/* Plaintext of a full record. */
#define CLR_TLS_RECORD SSL3_RT_MAX_PLAIN_LENGTH

struct clr_tls_context {
    clr_tls_options_t options;
    SSL_CTX *ssl_ctx;
    BIO_METHOD *bio;            /* between OpenSSL and the stream's bytes (tls.c) */
    clr_buf_t records;          /* of the write being made; meaningless between two flushes */
    char plain[CLR_TLS_RECORD]; /* small pieces that are to share a record */
};

/* The text of the first of OpenSSL's errors, the cause of the others; all are forgotten. Borrowed
 * until the next call. */
const char *clr_tls_error_text(void);

BIO_METHOD *clr_tls_bio_new(void);
