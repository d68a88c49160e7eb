/* Addresses of a host, out of what c-ares found. */
#ifndef MW_NET_RESOLVER_ADDRESSES_H
#define MW_NET_RESOLVER_ADDRESSES_H

#include "base/addr.h"
#include "net/resolver_cache.h"

#include <ares.h>

struct mw_address_list {
    struct mw_addr *items; /* one block from malloc; NULL when there is none */
    size_t count;
    int ttl; /* seconds, the shortest of addresses and aliases; 0 for the hosts file */
};

/* Copies at most MW_ADDRESSES_MAX addresses in the order given. ARES_SUCCESS,
 * or ARES_ENODATA when there is none, ARES_ENOMEM; then the list is empty. */
int mw_addresses_copy(struct mw_address_list *list, const struct ares_addrinfo *info);

/* The answer of a numeric address. NULL when memory is out. */
struct mw_answer *mw_addresses_answer(const struct mw_addr *addr);

/* Sets the port of all; the list. */
struct mw_addr *mw_addresses_with_port(struct mw_addr *list, size_t count, uint16_t port);

#endif
