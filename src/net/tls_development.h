/* A certificate for development: signed by itself, for this host, valid for a month. */
#ifndef MW_NET_TLS_DEVELOPMENT_H
#define MW_NET_TLS_DEVELOPMENT_H

#include "net/tls.h"

struct mw_tls_development {
    char *certificate, *key; /* PEM */
    size_t certificate_size, key_size;
};

enum { MW_TLS_DEVELOPMENT_DAYS = 30 };

/* Makes a P-256 pair for localhost, 127.0.0.1, ::1 and the name of the host. False when memory or randomness is out. */
bool mw_tls_development_make(struct mw_tls_development *development, struct mw_fault *fault);

/* Wipes the key. A zeroed one is left alone. */
void mw_tls_development_free(struct mw_tls_development *development);

#endif
