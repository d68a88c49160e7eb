/* What stands in a certificate (RFC 5280), in plain words. */
#ifndef MW_NET_TLS_CERTIFICATE_H
#define MW_NET_TLS_CERTIFICATE_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

enum { MW_TLS_FINGERPRINT = 32 };

/* Texts end with NUL; they are UTF-8 where the certificate's are, with control bytes escaped. */
struct mw_tls_certificate {
    char *subject, *issuer; /* "CN=example.org,O=Example" (RFC 2253, in the order of the certificate) */
    char *common_name;      /* of the subject; NULL: none */
    char **names;           /* of hosts, addresses, "mailto:…" and "https://…", NULL behind the last */
    char *serial;           /* hexadecimal, upper case */
    time_t not_before, not_after; /* seconds since 1970 */
    unsigned char fingerprint[MW_TLS_FINGERPRINT]; /* SHA-256 of the DER */
    char *pem;
    unsigned char *der;
    size_t der_size;
};

/* Reads `x509`, the `certificate` of mw_tls_facts. False when memory is out or the certificate is beyond reading;
 * nothing is to be freed then. */
bool mw_tls_certificate_read(struct mw_tls_certificate *certificate, void *x509);

void mw_tls_certificate_free(struct mw_tls_certificate *certificate);

#endif
