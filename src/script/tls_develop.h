/* A certificate for trying things out, signed by itself, so that nobody trusts it who was not told to: for localhost, the
 * machine's own name, 127.0.0.1 and ::1. */
#ifndef MW_SCRIPT_TLS_DEVELOP_H
#define MW_SCRIPT_TLS_DEVELOP_H

#include "base/fault.h"

/* PEM texts. */
struct mw_tls_development {
    char certificate[4096], key[1024];
};

/* False with the fault. */
bool mw_tls_develop(struct mw_tls_development *made, struct mw_fault *fault);

#endif
