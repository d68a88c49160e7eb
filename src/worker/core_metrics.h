/* What a worker measures of itself, as metrics. Nothing is counted for them where
 * it happens: whoever wants them up to date passes the numbers that are there. */
#ifndef MW_WORKER_CORE_METRICS_H
#define MW_WORKER_CORE_METRICS_H

#include "base/metric.h"
#include "net/admission.h"

#include <stddef.h>
#include <stdint.h>

struct mw_core_metrics;

/* `worker` is its number. `metrics` must be attached and outlive it. NULL when memory is out. */
struct mw_core_metrics *mw_core_metrics_new(struct mw_metrics *metrics, int worker);
void mw_core_metrics_free(struct mw_core_metrics *core);

/* Of the process. Memory, processor time and open descriptors are not here: they are asked of the kernel. */
struct mw_worker_numbers {
    uint64_t generation;
    uint64_t turns; /* of the loop, so far */
    uint64_t published, dropped; /* messages of the bus, so far (script/bus.h) */
    uint64_t store_used, store_most; /* bytes of the default store; 0: it has none open that is a file */
};

/* Of one generation of a service in this worker, since it began. What counts may begin anew: what was counted before
 * stays in the metrics. */
struct mw_service_numbers {
    const char *name;
    uint64_t generation;
    uint64_t connections, tasks, memory; /* now; memory of Lua, in bytes */
    uint64_t accepted, errors, received, sent; /* so far; the last two in bytes */
    uint64_t refused[MW_REFUSED_RATE + 1]; /* so far, by enum mw_admission_verdict */
    uint64_t handshakes, failed_handshakes; /* of TLS, so far: those that were completed, and those that came to nothing */
};

/* Brings the metrics up to date; `services` are all there are, each generation on its own. One that is not among them
 * any more is forgotten: what it counted since the last time is lost, so update before it goes. False when memory is
 * out: some are not up to date, and will be the next time. */
bool mw_core_metrics_update(struct mw_core_metrics *core, const struct mw_worker_numbers *worker,
                            const struct mw_service_numbers *services, size_t count);

#endif
