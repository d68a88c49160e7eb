/* How metrics lie in shared memory: for the files of the metrics only. */
#ifndef MW_BASE_METRIC_INTERNAL_H
#define MW_BASE_METRIC_INTERNAL_H

#include "base/hash.h"
#include "base/metric.h"

#include <stdatomic.h>

enum { MW_METRIC_PLACES = 4096 }; /* of the table by which series are found: never more than half full */

/* What has no atomic type is written before the series is shown, and never again. Doubles lie in atomics by their bits. */
struct mw_metric {
    uint64_t hash;
    enum mw_metric_kind kind;
    char name[MW_METRIC_NAME], labels[MW_METRIC_LABELS], help[MW_METRIC_HELP];
    _Atomic uint64_t value; /* of a histogram: the sum */
    _Atomic uint32_t bound_count;
    _Atomic uint64_t bounds[MW_METRIC_BUCKETS];
    _Atomic uint64_t buckets[MW_METRIC_BUCKETS + 1];
};

/* Only series before `count` are there for others. */
struct mw_metric_slot {
    _Alignas(4096) _Atomic uint32_t count;
    struct mw_metric series[MW_METRICS_PER_WORKER];
};

struct mw_metrics {
    struct mw_metric_slot *slots; /* shared; the first is of processes that are not attached */
    size_t size;
    int count;
    struct mw_metric_slot *own;
    struct mw_hash_key key;
    uint16_t places[MW_METRIC_PLACES]; /* of the own slot: index of a series + 1; 0: free */
};

double mw_metric_load(const _Atomic uint64_t *number);

/* Whether that is a text of labels as it must be written. */
bool mw_metric_labels_fit(const char *labels);

#endif
