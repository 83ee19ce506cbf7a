#include "net/tls_context.h"

#include <fcntl.h>
#include <openssl/ssl.h>

#include "certificate.h"
#include "net/tls_internal.h"

static certificate_t own, other;
static clr_tls_context_t *context;
static clr_error_t err;

static void expect_refused(const clr_tls_options_t *options, const char *said)
{
    EXPECT(clr_tls_context_new(&context, options, &err) < 0);
    if (!strstr(err.text, said))
        TEST_FAIL_("\"%s\" does not say \"%s\"", err.text, said);
    EXPECT(!strchr(err.text, '\n'));
    EXPECT(!context);
}

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    fputs(text, f);
    fclose(f);
}

TEST(tls_context_names_the_file_that_is_wrong)
{
    certificate_make(&own, "own");
    certificate_make(&other, "other");
    expect_refused(&(clr_tls_options_t){.cert_file = "/nowhere/cert.pem"},
                   "cannot load the certificate /nowhere/cert.pem: No such file");
    expect_refused(&(clr_tls_options_t){.cert_file = own.dir}, "cannot load the certificate");
    expect_refused(&(clr_tls_options_t){.cert_file = own.key}, "there is none in it");
    expect_refused(&(clr_tls_options_t){.cert_file = own.cert}, "cannot load the key");
    expect_refused(&(clr_tls_options_t){.cert_file = own.cert, .key_file = other.key},
                   "it does not belong to the certificate");
    expect_refused(
        &(clr_tls_options_t){.cert_file = own.cert, .key_file = own.key, .ca_file = own.key},
        "cannot load the authorities");
    write_text(other.cert, "garbage\n");
    expect_refused(&(clr_tls_options_t){.cert_file = other.cert}, other.cert);
    certificate_remove(&own);
    certificate_remove(&other);
}

TEST(tls_context_asks_nobody_for_a_password)
{
    certificate_make(&own, "own");
    certificate_write(&own, "own", "secret");
    clr_tls_options_t options = {.cert_file = own.cert, .key_file = own.key};
    expect_refused(&options, "it is encrypted and no password was given");
    options.key_password = "wrong";
    expect_refused(&options, "the password is wrong");
    options.key_password = "secret";
    EXPECT_EQ(clr_tls_context_new(&context, &options, &err), 0);
    clr_tls_context_free(context);
    certificate_remove(&own);
}

TEST(tls_context_takes_ciphers_of_both_versions)
{
    certificate_make(&own, "own");
    clr_tls_options_t options = {.cert_file = own.cert, .key_file = own.key};
    options.ciphers = "no-such-cipher";
    expect_refused(&options, "no-such-cipher");
    options.ciphers = "TLS_NO_SUCH";
    expect_refused(&options, "TLS_NO_SUCH");
    options.ciphers = "TLS_CHACHA20_POLY1305_SHA256:ECDHE-ECDSA-AES256-GCM-SHA384";
    EXPECT_EQ(clr_tls_context_new(&context, &options, &err), 0);
    STACK_OF(SSL_CIPHER) *list = SSL_CTX_get_ciphers(context->ssl_ctx);
    EXPECT_EQ(sk_SSL_CIPHER_num(list), 2);
    EXPECT_STR_C(clr_str_c(SSL_CIPHER_get_name(sk_SSL_CIPHER_value(list, 0))),
                 "TLS_CHACHA20_POLY1305_SHA256");
    clr_tls_context_free(context);
    certificate_remove(&own);
}

TEST(tls_context_reload_takes_all_or_nothing)
{
    certificate_make(&own, "one");
    clr_tls_options_t options = {.cert_file = own.cert, .key_file = own.key};
    EXPECT_EQ(clr_tls_context_new(&context, &options, &err), 0);
    SSL_CTX *before = context->ssl_ctx;
    certificate_make(&other, "two");
    EXPECT_EQ(rename(other.cert, own.cert), 0); /* the key is still the old one */
    EXPECT(clr_tls_context_reload(context, &err) < 0);
    EXPECT(strstr(err.text, "it does not belong to the certificate"));
    EXPECT(context->ssl_ctx == before);
    EXPECT_EQ(rename(other.key, own.key), 0);
    EXPECT_EQ(clr_tls_context_reload(context, &err), 0);
    char name[16];
    X509_NAME_get_text_by_NID(X509_get_subject_name(SSL_CTX_get0_certificate(context->ssl_ctx)),
                              NID_commonName, name, sizeof(name));
    EXPECT_STR_C(clr_str_c(name), "two");
    clr_tls_context_free(context);
    certificate_remove(&own);
    rmdir(other.dir);
}

TEST_MAIN(T(tls_context_names_the_file_that_is_wrong), T(tls_context_asks_nobody_for_a_password),
          T(tls_context_takes_ciphers_of_both_versions), T(tls_context_reload_takes_all_or_nothing))
