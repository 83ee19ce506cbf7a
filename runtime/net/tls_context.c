/* tls_context.c: see tls_context.h. */
#include "net/tls_context.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/mem.h"
#include "base/str.h"
#include "net/tls_internal.h"

/* Forward secrecy and authenticated encryption only. */
#define CIPHERS_TLS12 "ECDHE+AESGCM:ECDHE+CHACHA20"

/* AES-128 first: a quarter faster than AES-256, and nobody breaks either. A client without AES in
 * hardware gets ChaCha20 (SSL_OP_PRIORITIZE_CHACHA). */
#define CIPHERS_TLS13 "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

/* --- error texts --- */

const char *clr_tls_error_text(void)
{
    unsigned long code = ERR_peek_error();
    ERR_clear_error();
    if (code == 0)
        return "no reason was given";
    if (ERR_SYSTEM_ERROR(code))
        return strerror(ERR_GET_REASON(code));
    if (ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE)
        return "there is none in it (the format is PEM)";
    const char *text = ERR_reason_error_string(code);
    return text ? text : "an unknown error";
}

static int file_failed(clr_error_t *err, const char *what, const char *path, const char *why)
{
    ERR_clear_error();
    return clr_error_set(err, CLR_EINVAL, "cannot load the %s %s: %s", what, path, why);
}

/* OpenSSL's own words for a file that cannot be read are long and say less. */
static int check_readable(const char *what, const char *path, clr_error_t *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return file_failed(err, what, path, strerror(errno));
    close(fd);
    return 0;
}

/* --- the files --- */

typedef struct password {
    const char *text; /* NULL: none was given */
    bool asked;
} password_t;

/* Instead of OpenSSL's own, which asks on the terminal. */
static int on_password(char *buf, int size, int writing, void *ctx)
{
    password_t *password = ctx;
    (void)writing;
    password->asked = true;
    size_t n = password->text ? strlen(password->text) : 0;
    if (!password->text || n > (size_t)size)
        return -1;
    memcpy(buf, password->text, n);
    return (int)n;
}

static int load_certificate(SSL_CTX *ctx, const clr_tls_options_t *o, clr_error_t *err)
{
    int rc = check_readable("certificate", o->cert_file, err);
    if (rc < 0)
        return rc;
    if (SSL_CTX_use_certificate_chain_file(ctx, o->cert_file) != 1)
        return file_failed(err, "certificate", o->cert_file, clr_tls_error_text());
    return 0;
}

static bool is_mismatch(unsigned long code)
{
    return ERR_GET_LIB(code) == ERR_LIB_X509 &&
           (ERR_GET_REASON(code) == X509_R_KEY_VALUES_MISMATCH ||
            ERR_GET_REASON(code) == X509_R_KEY_TYPE_MISMATCH);
}

static int load_key(SSL_CTX *ctx, const clr_tls_options_t *o, clr_error_t *err)
{
    const char *path = o->key_file ? o->key_file : o->cert_file;
    password_t password = {.text = o->key_password};
    int rc = check_readable("key", path, err);
    if (rc < 0)
        return rc;
    SSL_CTX_set_default_passwd_cb(ctx, on_password);
    SSL_CTX_set_default_passwd_cb_userdata(ctx, &password);
    bool loaded = SSL_CTX_use_PrivateKey_file(ctx, path, SSL_FILETYPE_PEM) == 1;
    SSL_CTX_set_default_passwd_cb_userdata(ctx, NULL);
    if (loaded)
        return 0;
    if (is_mismatch(ERR_peek_last_error()))
        return file_failed(err, "key", path, "it does not belong to the certificate");
    if (password.asked && !password.text)
        return file_failed(err, "key", path, "it is encrypted and no password was given");
    if (password.asked)
        return file_failed(err, "key", path, "the password is wrong");
    return file_failed(err, "key", path, clr_tls_error_text());
}

static int load_authorities(SSL_CTX *ctx, const clr_tls_options_t *o, clr_error_t *err)
{
    if (!o->ca_file)
        return 0;
    int rc = check_readable("authorities", o->ca_file, err);
    if (rc < 0)
        return rc;
    if (SSL_CTX_load_verify_file(ctx, o->ca_file) != 1)
        return file_failed(err, "authorities", o->ca_file, clr_tls_error_text());
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(o->ca_file);
    if (!names)
        return file_failed(err, "authorities", o->ca_file, clr_tls_error_text());
    SSL_CTX_set_client_CA_list(ctx, names); /* takes them */
    return 0;
}

/* --- the rules --- */

/* The option holds names of TLS 1.2 and 1.3 in one list; OpenSSL wants two. */
static void split_ciphers(const char *ciphers, clr_buf_t *old, clr_buf_t *new)
{
    clr_str_t rest = clr_str_c(ciphers), name;
    while (clr_str_split(&rest, ':', &name)) {
        clr_buf_t *list = clr_str_starts(name, CLR_STR("TLS_")) ? new : old;
        if (list->n > 0)
            clr_buf_putc(list, ':');
        clr_buf_append_str(list, name);
    }
    clr_buf_putc(old, '\0');
    clr_buf_putc(new, '\0');
}

static int set_ciphers(SSL_CTX *ctx, const char *ciphers, clr_error_t *err)
{
    clr_buf_t old = {0}, new = {0};
    split_ciphers(ciphers ? ciphers : "", &old, &new);
    bool good = SSL_CTX_set_cipher_list(ctx, old.n > 1 ? old.p : CIPHERS_TLS12) == 1 &&
                SSL_CTX_set_ciphersuites(ctx, new.n > 1 ? new.p : CIPHERS_TLS13) == 1;
    clr_buf_deinit(&old);
    clr_buf_deinit(&new);
    if (good)
        return 0;
    return clr_error_set(err, CLR_EINVAL, "cannot use the ciphers \"%s\": %s", ciphers,
                         clr_tls_error_text());
}

/* A client that names protocols, and not ours, is told so instead of being misunderstood. */
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                   const unsigned char *offered, unsigned offered_len, void *ctx)
{
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned char *chosen = NULL;
    (void)ssl;
    (void)ctx;
    if (SSL_select_next_proto(&chosen, out_len, ours, sizeof(ours) - 1, offered, offered_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static void set_rules(SSL_CTX *ctx, const clr_tls_options_t *o)
{
    static const int modes[] = {
        [CLR_TLS_VERIFY_NONE] = SSL_VERIFY_NONE,
        [CLR_TLS_VERIFY_OPTIONAL] = SSL_VERIFY_PEER,
        [CLR_TLS_VERIFY_REQUIRED] = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
    };
    static const unsigned char id[] = "clrun";
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_verify(ctx, modes[o->verify], NULL);
    SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
    /* Sessions are resumed by tickets, which the clients keep: nothing is stored here. */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_session_id_context(ctx, id, sizeof(id) - 1);
}

/* NULL with the reason in err. */
static SSL_CTX *ssl_ctx_new(const clr_tls_options_t *o, clr_error_t *err)
{
    ERR_clear_error();
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx) {
        clr_error_set(err, CLR_EFATAL, "cannot start OpenSSL: %s", clr_tls_error_text());
        return NULL;
    }
    set_rules(ctx, o);
    if (set_ciphers(ctx, o->ciphers, err) < 0 || load_certificate(ctx, o, err) < 0 ||
        load_key(ctx, o, err) < 0 || load_authorities(ctx, o, err) < 0) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

/* --- life --- */

int clr_tls_context_new(clr_tls_context_t **out, const clr_tls_options_t *options, clr_error_t *err)
{
    clr_error_t ignored;
    err = err ? err : &ignored;
    SSL_CTX *ssl_ctx = ssl_ctx_new(options, err);
    if (!ssl_ctx)
        return err->code;
    clr_tls_context_t *c = clr_xcalloc(1, sizeof(*c));
    c->options = *options;
    c->ssl_ctx = ssl_ctx;
    c->bio = clr_tls_bio_new();
    *out = c;
    return 0;
}

int clr_tls_context_reload(clr_tls_context_t *c, clr_error_t *err)
{
    clr_error_t ignored;
    err = err ? err : &ignored;
    SSL_CTX *fresh = ssl_ctx_new(&c->options, err);
    if (!fresh)
        return err->code;
    SSL_CTX_free(c->ssl_ctx); /* lives on in the connections that have it */
    c->ssl_ctx = fresh;
    return 0;
}

void clr_tls_context_free(clr_tls_context_t *c)
{
    if (!c)
        return;
    SSL_CTX_free(c->ssl_ctx);
    BIO_meth_free(c->bio);
    clr_buf_deinit(&c->records);
    free(c);
}
