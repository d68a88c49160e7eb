/* Who may connect to a service: networks, how many at once, how many from one
 * address, how fast. Counts are shared by all workers: each keeps its own in shared
 * memory, where the others add them up, so that a worker's death takes back what
 * it held. No worker waits for another when a connection comes or goes. */
#ifndef MW_NET_ADMISSION_H
#define MW_NET_ADMISSION_H

#include "base/addr.h"
#include "net/network.h"

#include <stdint.h>

struct mw_admissions; /* the shared memory */
struct mw_admission;  /* of one service in one worker */

/* Shared memory for that many workers (and MW_ADMISSION_SERVICES services), mapped before they are forked. Each worker
 * takes 768 KiB of it, of which only what is touched is really there. NULL and errno. */
enum { MW_ADMISSION_SERVICES = 256 };
struct mw_admissions *mw_admissions_new(int workers);
void mw_admissions_free(struct mw_admissions *admissions);

/* A worker is gone: what it held is free again. In the supervisor, before its successor starts. */
void mw_admissions_reset(struct mw_admissions *admissions, int worker);

struct mw_admission_rules {
    uint64_t connections, per_address; /* at once; 0: any number */
    double rate;                       /* connections a second, of all workers together; 0: any */
    double burst;                      /* that may come at once; below 1 is 1 */
    struct mw_network *allow, *deny;   /* the more specific one decides; none fits: allowed, unless `allow` has any */
    unsigned allows, denies;
};

/* The rules are copied. `worker` is its number, from 1. `name` is the service's: the same name has the same counts, in
 * all workers and generations. A name that nobody uses any more gives its place to others. NULL when memory is out
 * (errno ENOMEM) or when there are too many services (ENOSPC). */
struct mw_admission *mw_admission_new(struct mw_admissions *admissions, int worker, const char *name,
                                      const struct mw_admission_rules *rules);

/* All that it admitted have left before. */
void mw_admission_free(struct mw_admission *admission);

/* Other rules from now on, e.g. of a new generation. Who is in stays. False when memory is out: nothing has changed. */
bool mw_admission_set(struct mw_admission *admission, const struct mw_admission_rules *rules);

enum mw_admission_verdict {
    MW_ADMITTED,
    MW_REFUSED_NETWORK,
    MW_REFUSED_CONNECTIONS,
    MW_REFUSED_ADDRESS,
    MW_REFUSED_RATE,
};

/* A connection came. MW_ADMITTED counts it until mw_admission_leave. `now`: seconds on the loop's clock. A peer that is
 * no internet address (Unix socket) has no address to be judged by. IPv6 peers of one /64 are one address, but for
 * those of the link (fe80::/10).
 *
 * There are never more than the limit; of two that come to two workers at the same instant for the last place, both may
 * be refused. An address counts at least as many connections as it has: it shares its counters with others, so that it
 * may seem to have more. The odds that it does, among n connections of other addresses at a time, are
 * (1 - e^(-n / 65536))^3: 0.3 % at 10,000, and then mostly by one. Who cannot read our memory cannot choose with whom. */
enum mw_admission_verdict mw_admission_enter(struct mw_admission *admission, const struct mw_addr *peer, double now);
void mw_admission_leave(struct mw_admission *admission, const struct mw_endpoint *peer);

/* A connection that was let in without an address, because its own is a proxy's, has one now: networks and per_address
 * judge it. MW_ADMITTED: it is counted as one of that address from now on, and leaves as such; else it is as before. */
enum mw_admission_verdict mw_admission_name(struct mw_admission *admission, const struct mw_addr *peer);

/* How many are in now, in all workers. */
uint64_t mw_admission_connections(const struct mw_admission *admission);

#endif
