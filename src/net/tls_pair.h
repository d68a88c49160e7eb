/* A certificate with its key and chain, read from PEM. Inside of the TLS files only. */
#ifndef MW_NET_TLS_PAIR_H
#define MW_NET_TLS_PAIR_H

#include "net/tls.h"

#include <openssl/ssl.h>

struct mw_tls_loaded {
    X509 *certificate;
    STACK_OF(X509) *chain;
    EVP_PKEY *key;
};

/* False with the fault, which names the file; nothing is loaded then. */
bool mw_tls_pair_load(struct mw_tls_loaded *loaded, const struct mw_tls_pair *pair, struct mw_fault *fault);
void mw_tls_pair_unload(struct mw_tls_loaded *loaded);

/* The certificates in a text of authorities go into the store. False with the fault. */
bool mw_tls_authorities_load(X509_STORE *store, STACK_OF(X509_NAME) *names, const char *text, size_t size,
                             const char *file, struct mw_fault *fault);

#endif
