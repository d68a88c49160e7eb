/* Metrics: counters, gauges and histograms in memory that all workers share. Each
 * worker writes its own slot, without locks; whoever reads adds the slots up. What a
 * worker counted outlives it: its successor goes on in the same slot. */
#ifndef MW_BASE_METRIC_H
#define MW_BASE_METRIC_H

#include "base/text.h"

#include <stdint.h>

enum {
    MW_METRIC_BUCKETS = 24,
    MW_METRIC_NAME = 96,
    MW_METRIC_HELP = 128, /* what is longer is cut */
    MW_METRIC_LABELS = 192,
    MW_METRICS_PER_WORKER = 2048,
};
enum mw_metric_kind { MW_COUNTER, MW_GAUGE, MW_HISTOGRAM };

struct mw_metrics; /* the shared memory, as one process sees it */
struct mw_metric;  /* one time series of this worker; it stays as long as the memory */

/* For that many workers, mapped before they are forked. A process that is not attached, such as the supervisor, has a
 * slot of its own. Each slot takes 1.7 MiB, of which only what is used is really there. NULL and errno. */
struct mw_metrics *mw_metrics_new(int workers);
void mw_metrics_free(struct mw_metrics *metrics);

/* This process is that worker, from 1, from now on. Gauges of its slot begin at 0: what they measured died with the one
 * before. */
void mw_metrics_attach(struct mw_metrics *metrics, int worker);

/* Why that cannot be the name of a metric of that kind; NULL: it can. Counters end in _total and nothing else does, and
 * none has an ending that histograms give to their parts. */
const char *mw_metric_name_problem(enum mw_metric_kind kind, const char *name);

/* The same for the name of a label. */
const char *mw_metric_label_problem(const char *name);

/* Appends a label to a text of labels, with `value` escaped; what is no UTF-8 becomes U+FFFD. False when there is not
 * enough room: the text is as it was. */
bool mw_metric_label(char labels[MW_METRIC_LABELS], const char *name, const char *value, size_t length);

/* The series of that name and labels, made when there is none. `labels` is written as in the text format,
 * `service="echo",code="200"`, or NULL. `bounds`, ascending, are for histograms; one that has others begins anew. A help
 * that a series of that name has already stands. NULL when the slot is full, the name or labels are not a metric's, or
 * the name is of another kind already. */
struct mw_metric *mw_metric(struct mw_metrics *metrics, enum mw_metric_kind kind, const char *name, const char *help,
                            const char *labels, const double *bounds, int bound_count);

/* The same series if it is there. Takes no more than a look into a table. */
struct mw_metric *mw_metric_find(struct mw_metrics *metrics, const char *name, const char *labels);

/* The kind that name has in this worker; -1: there is none such. */
int mw_metrics_kind(const struct mw_metrics *metrics, const char *name);

/* How many series this worker has of that name (NULL: of any) whose labels begin with `labels`. Looks at all. */
size_t mw_metrics_count(const struct mw_metrics *metrics, const char *name, const char *labels);

/* Histograms of that name, whose labels begin with `labels`, that have other bounds begin anew with these. */
void mw_metrics_set_bounds(struct mw_metrics *metrics, const char *name, const char *labels, const double *bounds,
                           int bound_count);

/* NULL is allowed in all of these, and does nothing; nor does a value that is not a number. */
void mw_metric_add(struct mw_metric *metric, double amount);    /* counters (never negative) and gauges */
void mw_metric_set(struct mw_metric *metric, double value);     /* gauges */
void mw_metric_observe(struct mw_metric *metric, double value); /* histograms */

/* All metrics, added up over the workers, in the text format of Prometheus (version 0.0.4), sorted. */
void mw_metrics_write(const struct mw_metrics *metrics, struct mw_text *text);

#endif
