/* OCSP responses that are sent along with a certificate (RFC 6066 section 8). Inside of the TLS files only. */
#ifndef MW_NET_TLS_STAPLE_H
#define MW_NET_TLS_STAPLE_H

#include "net/tls.h"

#include <openssl/ssl.h>

struct mw_tls_staple;

/* Whether the pair has none, or a good one of this certificate; else false with the fault. */
bool mw_tls_staple_check(const struct mw_tls_pair *pair, X509 *certificate, struct mw_fault *fault);

/* Adds a copy of the pair's to the list, if it has one. It is found by the pointer to the certificate. False when memory
 * is out. */
bool mw_tls_staple_keep(struct mw_tls_staple **list, X509 *certificate, const struct mw_tls_pair *pair);

/* Sends that of the certificate that is shown, unless its time is over: clients refuse one that is too old, but do without.
 * Returns what the callback of OpenSSL has to. */
int mw_tls_staple_send(const struct mw_tls_staple *list, SSL *ssl);

void mw_tls_staples_free(struct mw_tls_staple **list);

#endif
