/* Handshakes that come to nothing, in the log: a flood of strangers must not become one of entries. */
#ifndef MW_SCRIPT_TLS_REFUSALS_H
#define MW_SCRIPT_TLS_REFUSALS_H

#include "base/addr.h"
#include "base/fault.h"

#include <stdint.h>

/* Zeroed: nothing was refused yet. */
struct mw_tls_refusals {
    uint64_t total;
    uint64_t silent; /* since the last entry, without one */
    double next;     /* the clock from which on there may be another */
};

/* Counts one, and tells the log of it, once a second. `peer` may be NULL, `service` names whose it is. */
void mw_tls_refusals_note(struct mw_tls_refusals *refusals, double now, const char *service, const struct mw_addr *peer,
                          const struct mw_fault *fault);

#endif
