/* certificate.h: keys and self-signed certificates for a test, in a folder of its own. */
#pragma once

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "test.h"

typedef struct certificate {
    char dir[64];
    char cert[96]; /* paths */
    char key[96];
} certificate_t;

CLR_UNUSED static X509 *certificate_sign(EVP_PKEY *key, const char *name)
{
    X509 *x = X509_new();
    X509_NAME *subject = X509_get_subject_name(x);
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, key);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(x, subject);
    EXPECT(X509_sign(x, key, EVP_sha256()) > 0);
    return x;
}

/* Writes the files; an existing folder is used again. password: of the key, or NULL. */
CLR_UNUSED static void certificate_write(certificate_t *c, const char *name, const char *password)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = certificate_sign(key, name);
    FILE *f = fopen(c->cert, "w");
    PEM_write_X509(f, x);
    fclose(f);
    f = fopen(c->key, "w");
    PEM_write_PrivateKey(f, key, password ? EVP_aes_128_cbc() : NULL,
                         (const unsigned char *)password, password ? (int)strlen(password) : 0,
                         NULL, NULL);
    fclose(f);
    X509_free(x);
    EVP_PKEY_free(key);
}

CLR_UNUSED static void certificate_make(certificate_t *c, const char *name)
{
    snprintf(c->dir, sizeof(c->dir), "/tmp/clr-certificate-XXXXXX");
    EXPECT(mkdtemp(c->dir));
    snprintf(c->cert, sizeof(c->cert), "%s/cert.pem", c->dir);
    snprintf(c->key, sizeof(c->key), "%s/key.pem", c->dir);
    certificate_write(c, name, NULL);
}

CLR_UNUSED static void certificate_remove(const certificate_t *c)
{
    unlink(c->cert);
    unlink(c->key);
    EXPECT_EQ(rmdir(c->dir), 0);
}
