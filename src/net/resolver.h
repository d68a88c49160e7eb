/* Names to addresses and records: the hosts file, then name servers through
 * c-ares, on the loop. Answers are kept as long as their time to live allows,
 * and equal questions that are asked at the same time share one query. */
#ifndef MW_NET_RESOLVER_H
#define MW_NET_RESOLVER_H

#include "base/addr.h"
#include "base/fault.h"
#include "loop/loop.h"
#include "net/records.h"

struct mw_resolver;
struct mw_lookup; /* one question of one caller, until its callback is called */

/* What is 0 or NULL has its default. */
struct mw_resolver_options {
    const char *servers;     /* "127.0.0.1:5353,[::1]:53", at most 8; default: those of resolv.conf */
    const char *resolv_conf; /* path; default: /etc/resolv.conf. Read anew when it changes */
    double timeout;          /* seconds a server has in the first round, doubled in each; default 2 */
    unsigned tries;          /* rounds through all servers; default 2 */
    unsigned entries;        /* answers kept at most; default 1024 */
};

/* Name servers in a list; addresses of a name, of which others are left out. */
enum { MW_SERVERS_MAX = 8, MW_ADDRESSES_MAX = 64 };

/* The answer, valid during the call: at least one address, in the order of
 * RFC 6724, with the port asked for; or a fault, and then list is NULL. */
typedef void mw_addresses_callback(void *context, const struct mw_addr *list, size_t count,
                                   const struct mw_fault *fault);

/* The answer, valid during the call: at least one record; or a fault, and then list is NULL. */
typedef void mw_records_callback(void *context, const struct mw_record *list, size_t count,
                                 const struct mw_fault *fault);

/* `options` may be NULL: all defaults. NULL, with a fault, when memory is out or
 * the servers are no list of addresses. Where resolv.conf cannot be read or
 * names no server it is 127.0.0.1. The loop must outlive the resolver. */
struct mw_resolver *mw_resolver_new(struct mw_loop *loop, const struct mw_resolver_options *options,
                                    struct mw_fault *fault);

/* Other settings from now on, those that are absent at their defaults. What was
 * learned is forgotten, and what is being looked up is asked anew. False, with
 * a fault as above, when it cannot be; nothing has changed then. */
bool mw_resolver_configure(struct mw_resolver *resolver, const struct mw_resolver_options *options,
                           struct mw_fault *fault);

/* Cancels all lookups: no callback is called, and their handles are gone. Not
 * to be called from within a callback of this resolver or of a connector. */
void mw_resolver_free(struct mw_resolver *resolver);

/* Looks up the addresses of a host: AF_INET, AF_INET6, or AF_UNSPEC for both. A
 * numeric address is its own answer. A name without a dot, or one that does
 * not exist, is tried in the domains of the search list too; one that ends in
 * a dot is not.
 *
 * The callback is called once, from the loop, never from within this call;
 * the handle is gone by then. NULL when memory is out: no callback then. Fault
 * codes: "not_found", "timeout", "unavailable" (no name server gave an answer:
 * they refuse, fail or cannot be reached), "invalid" (the name), "descriptors",
 * "memory". */
struct mw_lookup *mw_resolver_addresses(struct mw_resolver *resolver, const char *name, size_t length,
                                        uint16_t port, int family, mw_addresses_callback *callback,
                                        void *context);

/* Looks up records; as above, but name servers only, and the name is taken as
 * complete: the search list is for hosts. For MW_RECORD_PTR the name may be a
 * numeric address. */
struct mw_lookup *mw_resolver_records(struct mw_resolver *resolver, const char *name, size_t length,
                                      enum mw_record_type type, mw_records_callback *callback, void *context);

/* The callback will not be called; the handle is gone. */
void mw_lookup_cancel(struct mw_lookup *lookup);

#endif
