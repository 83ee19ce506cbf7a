/* tls.c: see tls.h. OpenSSL reads and writes through a BIO of ours, which knows the connection. */
#include "net/tls.h"

#include <string.h>

#include <openssl/err.h>

#include "base/assert.h"
#include "base/log.h"
#include "net/tls_internal.h"

#define LOG "tls"

/* --- between OpenSSL and the bytes --- */

static int on_bio_read(BIO *bio, char *out, size_t cap, size_t *n)
{
    clr_tls_t *t = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (t->in_.n == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    *n = cap < t->in_.n ? cap : t->in_.n;
    memcpy(out, t->in_.p, *n);
    t->in_ = clr_str_from(t->in_, *n);
    return 1;
}

static int on_bio_write(BIO *bio, const char *p, size_t len, size_t *n)
{
    clr_tls_t *t = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    clr_buf_append(t->out_, p, len);
    *n = len;
    return 1;
}

static long on_bio_ctrl(BIO *bio, int command, long number, void *ctx)
{
    (void)bio;
    (void)number;
    (void)ctx;
    return command == BIO_CTRL_FLUSH;
}

static int on_bio_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

BIO_METHOD *clr_tls_bio_new(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "clrun stream");
    CLR_ASSERT(method); /* out of memory */
    BIO_meth_set_read_ex(method, on_bio_read);
    BIO_meth_set_write_ex(method, on_bio_write);
    BIO_meth_set_ctrl(method, on_bio_ctrl);
    BIO_meth_set_create(method, on_bio_create);
    return method;
}

/* --- life --- */

void clr_tls_init(clr_tls_t *t, clr_tls_context_t *context)
{
    memset(t, 0, sizeof(*t));
    t->context = context;
    t->out_ = &t->held;
}

void clr_tls_deinit(clr_tls_t *t)
{
    SSL_free(t->ssl_);
    t->ssl_ = NULL;
    clr_buf_deinit(&t->held);
}

/* --- input --- */

static int failed(clr_tls_t *t, const char *what)
{
    /* Reading the error forgets it, which must be done in any case. */
    const char *why = clr_tls_error_text();
    clr_log_debug(LOG, "%s: %s", what, why);
    t->state = CLR_TLS_FAILED;
    return CLR_EPROTO;
}

/* The connection's first byte: a TLS client sends the type of a handshake record, 22. */
static bool is_plain_http(clr_str_t input)
{
    return input.p[0] >= 'A' && input.p[0] <= 'Z';
}

static int refuse_plain_http(clr_tls_t *t)
{
    static const char body[] = "400 Bad Request: this port speaks https, not http\n";
    clr_buf_printf(&t->held,
                   "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
                   "Content-Length: %zu\r\nConnection: close\r\n\r\n%s",
                   sizeof(body) - 1, body);
    clr_log_debug(LOG, "a plain HTTP request came to the TLS port");
    t->state = CLR_TLS_FAILED;
    return CLR_EPROTO;
}

static int begin(clr_tls_t *t, clr_str_t input)
{
    if (is_plain_http(input))
        return refuse_plain_http(t);
    BIO *bio = BIO_new(t->context->bio);
    t->ssl_ = SSL_new(t->context->ssl_ctx);
    if (!bio || !t->ssl_) {
        BIO_free(bio);
        return failed(t, "no connection state");
    }
    BIO_set_data(bio, t);
    SSL_set_bio(t->ssl_, bio, bio); /* takes it */
    SSL_set_accept_state(t->ssl_);
    t->state = CLR_TLS_HANDSHAKE;
    return 0;
}

/* 0 when done or more input is needed. */
static int handshake(clr_tls_t *t)
{
    ERR_clear_error();
    int rc = SSL_do_handshake(t->ssl_);
    if (rc == 1) {
        t->state = CLR_TLS_OPEN;
        return 0;
    }
    return SSL_get_error(t->ssl_, rc) == SSL_ERROR_WANT_READ ? 0 : failed(t, "handshake");
}

static int read_records(clr_tls_t *t, char *plain, size_t cap, size_t *n)
{
    while (t->in_.n > 0) {
        size_t got = 0;
        CLR_ASSERT(*n < cap);
        ERR_clear_error();
        int rc = SSL_read_ex(t->ssl_, plain + *n, cap - *n, &got);
        *n += got;
        if (rc == 1)
            continue;
        switch (SSL_get_error(t->ssl_, rc)) {
        case SSL_ERROR_WANT_READ:
            break;
        case SSL_ERROR_ZERO_RETURN:
            return CLR_ECLOSED;
        default:
            return failed(t, "record");
        }
    }
    return 0;
}

int clr_tls_decrypt(clr_tls_t *t, clr_str_t input, char *plain, size_t cap, size_t *n)
{
    int rc = 0;
    *n = 0;
    if (t->state == CLR_TLS_FAILED || input.n == 0)
        return t->state == CLR_TLS_FAILED ? CLR_EPROTO : 0;
    t->in_ = input;
    if (t->state == CLR_TLS_NEW)
        rc = begin(t, input);
    if (rc == 0 && t->state == CLR_TLS_HANDSHAKE)
        rc = handshake(t);
    if (rc == 0 && t->state != CLR_TLS_HANDSHAKE)
        rc = read_records(t, plain, cap, n);
    t->in_ = CLR_STR_EMPTY;
    return rc;
}

/* --- output --- */

int clr_tls_encrypt(clr_tls_t *t, clr_str_t plain, clr_buf_t *out)
{
    CLR_ASSERT(t->state == CLR_TLS_OPEN && plain.n <= CLR_TLS_RECORD);
    size_t n = 0;
    ERR_clear_error();
    t->out_ = out;
    int rc = SSL_write_ex(t->ssl_, plain.p, plain.n, &n);
    t->out_ = &t->held;
    return rc == 1 && n == plain.n ? 0 : failed(t, "write");
}

void clr_tls_close(clr_tls_t *t, clr_buf_t *out)
{
    CLR_ASSERT(t->state == CLR_TLS_OPEN);
    ERR_clear_error();
    t->out_ = out;
    int rc = SSL_shutdown(t->ssl_);
    t->out_ = &t->held;
    t->state = rc < 0 ? CLR_TLS_FAILED : CLR_TLS_CLOSED;
}
