/* The probe: a child that judges config and scripts, so that nothing in them can hurt
 * the supervisor. */
#ifndef MW_PROC_PROBE_H
#define MW_PROC_PROBE_H

#include "loop/loop.h"
#include "proc/plan.h"

struct mw_probe;

/* Starts `main` with `config` and `service` (NULL: all) in a child, which has `seconds`. Then on_answer is told, once: the plan, which is the
 * owner's to free, and the fault, NULL when there is none. With a fault there may be no plan. The probe is gone by then. NULL and errno when it cannot be started. */
struct mw_probe *mw_probe_start(struct mw_loop *loop,
                                int (*main)(const char *config, const char *service, int channel), const char *config,
                                const char *service, double seconds,
                                void (*on_answer)(void *owner, struct mw_plan *plan, const char *fault), void *owner);

/* Nobody wants to know any more. */
void mw_probe_cancel(struct mw_probe *probe);

#endif
