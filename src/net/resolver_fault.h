/* What went wrong, in words. */
#ifndef MW_NET_RESOLVER_FAULT_H
#define MW_NET_RESOLVER_FAULT_H

#include "net/resolver.h"

/* Fills `fault` from a status of c-ares other than ARES_SUCCESS. `name` is what
 * was asked for, `noun` what of it ("IPv4 address", "MX record"). To be called
 * in the tick of the failure: it looks whether descriptors have run out. */
void mw_resolver_explain(struct mw_fault *fault, int status, const char *name, const char *noun);

/* The same for a resolver that could not be opened: ARES_EBADSTR when the
 * servers are no list of addresses, else memory is out. */
void mw_resolver_explain_opening(struct mw_fault *fault, int status,
                                 const struct mw_resolver_options *options);

#endif
