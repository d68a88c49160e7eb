#include "proc/router.h"

#include "base/log.h"
#include "base/metric.h"

#include <stdio.h>

static const double TELL_SECONDS = 60;

enum { PENDING_MOST = 8 * 1024 * 1024 /* bytes that may wait for one worker before it misses what is published */ };

static void count_missed(const struct mw_worker *worker) {
    char labels[MW_METRIC_LABELS];
    snprintf(labels, sizeof labels, "worker=\"%d\"", worker->number);
    mw_metric_add(mw_metric(worker->workers->metrics, MW_COUNTER, "moonwire_bus_dropped_total",
                            "Messages of the bus that were dropped for want of room.", labels, NULL, 0),
                  1);
}

/* At the first one, and then for all of a minute. */
static void tell_of_missed(struct mw_worker *worker) {
    double now = mw_loop_now(worker->workers->loop);
    if (now >= worker->tell_missed) {
        mw_log(MW_LOG_WARN, "worker %d does not keep up with the bus: %zu messages to it were dropped", worker->number,
               worker->missed);
        worker->missed = 0;
        worker->tell_missed = now + TELL_SECONDS;
    }
}

void mw_router_pass(struct mw_workers *workers, const struct mw_worker *from, const char *bytes, size_t size) {
    const struct mw_text text = {.bytes = (char *)bytes, .size = size};
    for (int i = 0; i < workers->count; i++) {
        struct mw_worker *worker = &workers->list[i];
        if (worker == from || !worker->process || worker->state == MW_WORKER_DOWN) {
            continue;
        }
        if (mw_offspring_pending(worker->process) > PENDING_MOST) {
            worker->missed++;
            count_missed(worker);
        } else {
            mw_offspring_tell(worker->process, MW_ORDER_PUBLISH, &text, NULL, 0);
        }
        if (worker->missed > 0) {
            tell_of_missed(worker);
        }
    }
}
