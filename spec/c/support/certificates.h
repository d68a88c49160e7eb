/* Certificates for one test, made on the spot: no file with a date that passes lies in the repository. */
#ifndef SUPPORT_CERTIFICATES_H
#define SUPPORT_CERTIFICATES_H

#include "net/tls.h"

#include <openssl/x509.h>

struct identity {
    X509 *certificate;
    EVP_PKEY *key;
    char *certificate_text, *key_text; /* PEM */
};

struct identity_wish {
    const char *common_name;
    const char *names;             /* "DNS:localhost,IP:127.0.0.1"; NULL: none */
    const struct identity *issuer; /* NULL: signed by itself */
    bool authority, rsa;
    long from, until; /* seconds from now; both 0: from an hour ago for a day */
};

/* Fails the test when it cannot. */
void identity_make(struct identity *identity, const struct identity_wish *wish);
void identity_free(struct identity *identity); /* a zeroed one is left alone */

/* The pair as a context takes it; valid as long as the identity. */
struct mw_tls_pair identity_pair(const struct identity *identity);

/* The key in PEM, encrypted; free() it. */
char *identity_encrypted_key(const struct identity *identity);

/* An OCSP response (DER) of `issuer` that says the certificate is good for so many seconds from now on, which may be fewer
 * than none; OPENSSL_free it. */
unsigned char *identity_staple(const struct identity *identity, const struct identity *issuer, long seconds,
                               size_t *size);

#endif
