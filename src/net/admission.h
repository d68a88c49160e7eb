/* Who may connect to a service: networks, how many at once, how many from one
 * address, how fast. Counts are shared by all workers: each keeps its own in shared
 * memory, where the others add them up, so that a worker's death takes back what
 * it held, and no lock can be left behind. */
#ifndef MW_NET_ADMISSION_H
#define MW_NET_ADMISSION_H

#include "base/addr.h"

#include <stdint.h>

struct mw_admissions; /* the shared memory */
struct mw_admission;  /* of one service in one worker */

/* Shared memory for that many workers (and MW_ADMISSION_SERVICES services), mapped before they are forked. NULL and errno. */
enum { MW_ADMISSION_SERVICES = 256 };
struct mw_admissions *mw_admissions_new(int workers);
void mw_admissions_free(struct mw_admissions *admissions);

/* A worker is gone: what it held is free again. In the supervisor, before its successor starts. */
void mw_admissions_reset(struct mw_admissions *admissions, int worker);

/* A network: "10.0.0.0/8", "::1", "fe80::/10". */
struct mw_network {
    uint8_t bytes[16]; /* IPv4 as mapped */
    uint8_t bits;      /* of these, 0 to 128 */
};
bool mw_network_parse(struct mw_network *network, const char *text, size_t length, const char **why);

struct mw_admission_rules {
    uint64_t connections, per_address; /* at once; 0: any number */
    double rate;                       /* connections a second, of all workers together; 0: any */
    double burst;                      /* that may come at once */
    struct mw_network *allow, *deny;   /* the more specific one decides; none fits: allowed, unless `allow` has any */
    unsigned allows, denies;
};

/* The rules are copied. NULL when memory is out or there are too many services. `name` is the service's: the same
 * name has the same counts, in all workers and generations. */
struct mw_admission *mw_admission_new(struct mw_admissions *admissions, int worker, const char *name,
                                      const struct mw_admission_rules *rules);
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
 * no internet address (Unix socket) has no address to be judged by. */
enum mw_admission_verdict mw_admission_enter(struct mw_admission *admission, const struct mw_addr *peer, double now);
void mw_admission_leave(struct mw_admission *admission, const struct mw_endpoint *peer);

#endif
