/* The workers that a reload leads, at the same pace: all take a step, and the next comes
 * when all have answered. */
#ifndef MW_PROC_COHORT_H
#define MW_PROC_COHORT_H

#include "proc/workers.h"

/* From now on leads those that serve, or, the first time, that are there, to the services. */
void mw_cohort_bring(struct mw_workers *workers, struct mw_services *services, bool first);

/* Each takes the step, as mw_worker_step. */
void mw_cohort_step(struct mw_workers *workers, enum mw_order step);

/* As mw_worker_commit. */
void mw_cohort_commit(struct mw_workers *workers, double share);

/* They stay with what they serve, and are led no more. */
void mw_cohort_forget(struct mw_workers *workers);

/* The first that has not answered the present step; NULL: all have. */
const struct mw_worker *mw_cohort_silent(const struct mw_workers *workers);

/* Kills those that have not answered; their successors begin with what is current. */
void mw_cohort_replace_silent(struct mw_workers *workers);

#endif
