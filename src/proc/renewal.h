/* Certificates that are renewed while the daemon runs: changed files are noticed, read, and given to the workers, which
 * use them for new handshakes. Nothing else changes; what cannot be used is told to the log and stays unused. */
#ifndef MW_PROC_RENEWAL_H
#define MW_PROC_RENEWAL_H

#include "proc/workers.h"

struct mw_renewal;

/* NULL when memory is out. */
struct mw_renewal *mw_renewal_new(struct mw_loop *loop, struct mw_workers *workers);
void mw_renewal_free(struct mw_renewal *renewal); /* NULL is allowed */

/* The services have changed: looks after the files of those that are current by now, and at them. */
void mw_renewal_follow(struct mw_renewal *renewal);

/* A worker has answered RENEWED. */
void mw_renewal_answered(struct mw_renewal *renewal, const struct mw_worker *worker, const struct mw_value *message);

/* A worker serves, after a start of its own: it may have missed what is pending. */
void mw_renewal_serving(struct mw_renewal *renewal, struct mw_worker *worker);

#endif
