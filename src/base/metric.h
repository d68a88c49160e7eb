/* Metrics: counters, gauges and histograms in memory that all workers share. Each
 * worker writes its own slot, without locks; whoever reads adds the slots up. What a
 * worker counted outlives it: its successor goes on in the same slot. */
#ifndef MW_BASE_METRIC_H
#define MW_BASE_METRIC_H

#include "base/text.h"

#include <stdint.h>

enum { MW_METRIC_BUCKETS = 24, MW_METRIC_NAME = 96, MW_METRIC_LABELS = 192, MW_METRICS_PER_WORKER = 2048 };
enum mw_metric_kind { MW_COUNTER, MW_GAUGE, MW_HISTOGRAM };

struct mw_metrics; /* the shared memory */
struct mw_metric;  /* one time series of this worker */

/* For that many workers, mapped before they are forked. NULL and errno. */
struct mw_metrics *mw_metrics_new(int workers);
void mw_metrics_free(struct mw_metrics *metrics);

/* This process is that worker from now on. Gauges of its slot begin at 0: what they measured died with the one before. */
void mw_metrics_attach(struct mw_metrics *metrics, int worker);

/* The series of that name and labels, made when there is none. `labels` is written as in the text format,
 * `service="echo",code="200"`, or NULL. `bounds`, ascending, are for histograms. NULL when the slot is full, the name is
 * not a metric's, or it is of another kind already. */
struct mw_metric *mw_metric(struct mw_metrics *metrics, enum mw_metric_kind kind, const char *name, const char *help,
                            const char *labels, const double *bounds, int bound_count);

/* NULL is allowed in all of these, and does nothing. */
void mw_metric_add(struct mw_metric *metric, double amount);    /* counters (never negative) and gauges */
void mw_metric_set(struct mw_metric *metric, double value);     /* gauges */
void mw_metric_observe(struct mw_metric *metric, double value); /* histograms */

/* All metrics, added up over the workers, in the text format of Prometheus (version 0.0.4). */
void mw_metrics_write(const struct mw_metrics *metrics, struct mw_text *text);

#endif
