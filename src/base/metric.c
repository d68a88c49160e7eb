#include "base/metric_internal.h"

#include "base/shared.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

struct mw_metrics *mw_metrics_new(int workers) {
    struct mw_metrics *metrics = calloc(1, sizeof *metrics);
    if (!metrics) {
        return NULL;
    }
    metrics->count = workers + 1;
    metrics->size = (size_t)metrics->count * sizeof *metrics->slots;
    metrics->slots = mw_shared_map(metrics->size);
    if (!metrics->slots || !mw_hash_key_draw(&metrics->key)) {
        mw_metrics_free(metrics);
        return NULL;
    }
    metrics->own = metrics->slots;
    return metrics;
}

void mw_metrics_free(struct mw_metrics *metrics) {
    if (metrics) {
        mw_shared_unmap(metrics->slots, metrics->size);
        free(metrics);
    }
}

double mw_metric_load(const _Atomic uint64_t *number) {
    uint64_t bits = atomic_load_explicit(number, memory_order_relaxed);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void store(_Atomic uint64_t *number, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    atomic_store_explicit(number, bits, memory_order_relaxed);
}

/* The place in the table where that series is, or where it belongs. */
static uint16_t *find_place(struct mw_metrics *metrics, uint64_t hash, const char *name, const char *labels) {
    for (uint64_t at = hash;; at++) {
        uint16_t *place = &metrics->places[at % MW_METRIC_PLACES];
        if (*place == 0) {
            return place;
        }
        const struct mw_metric *metric = &metrics->own->series[*place - 1];
        if (metric->hash == hash && strcmp(metric->name, name) == 0 && strcmp(metric->labels, labels) == 0) {
            return place;
        }
    }
}

void mw_metrics_attach(struct mw_metrics *metrics, int worker) {
    metrics->own = &metrics->slots[worker];
    memset(metrics->places, 0, sizeof metrics->places);
    uint32_t count = atomic_load_explicit(&metrics->own->count, memory_order_acquire);
    for (uint32_t i = 0; i < count; i++) {
        struct mw_metric *metric = &metrics->own->series[i];
        *find_place(metrics, metric->hash, metric->name, metric->labels) = (uint16_t)(i + 1);
        if (metric->kind == MW_GAUGE) {
            store(&metric->value, 0);
        }
    }
}

/* False when they are too long to be anybody's. */
static bool hash_of(const struct mw_metrics *metrics, const char *name, const char *labels, uint64_t *hash) {
    char subject[MW_METRIC_NAME + MW_METRIC_LABELS];
    size_t name_size = strlen(name) + 1, label_size = strlen(labels) + 1;
    if (name_size > MW_METRIC_NAME || label_size > MW_METRIC_LABELS) {
        return false;
    }
    memcpy(subject, name, name_size);
    memcpy(subject + name_size, labels, label_size);
    *hash = mw_hash(&metrics->key, subject, name_size + label_size);
    return true;
}

/* -1: there is none. */
static int find_index(struct mw_metrics *metrics, const char *name, const char *labels) {
    uint64_t hash;
    return hash_of(metrics, name, labels, &hash) ? *find_place(metrics, hash, name, labels) - 1 : -1;
}

struct mw_metric *mw_metric_find(struct mw_metrics *metrics, const char *name, const char *labels) {
    int index = find_index(metrics, name, labels ? labels : "");
    return index >= 0 ? &metrics->own->series[index] : NULL;
}

static bool is_meant(const struct mw_metric *metric, const char *name, const char *labels, size_t length) {
    return (!name || strcmp(metric->name, name) == 0) && strncmp(metric->labels, labels, length) == 0;
}

size_t mw_metrics_count(const struct mw_metrics *metrics, const char *name, const char *labels) {
    size_t found = 0, length = strlen(labels);
    uint32_t count = atomic_load_explicit(&metrics->own->count, memory_order_relaxed);
    for (uint32_t i = 0; i < count; i++) {
        found += is_meant(&metrics->own->series[i], name, labels, length);
    }
    return found;
}

static bool bounds_fit(const double *bounds, int count) {
    if (count < 1 || count > MW_METRIC_BUCKETS) {
        return false;
    }
    for (int i = 0; i < count; i++) {
        if (!(bounds[i] - bounds[i] == 0) || (i > 0 && bounds[i] <= bounds[i - 1])) {
            return false;
        }
    }
    return true;
}

static bool has_bounds(const struct mw_metric *metric, const double *bounds, int count) {
    bool same = atomic_load_explicit(&metric->bound_count, memory_order_relaxed) == (uint32_t)count;
    for (int i = 0; same && i < count; i++) {
        same = mw_metric_load(&metric->bounds[i]) == bounds[i];
    }
    return same;
}

/* Who reads meanwhile may see a mixture, once. */
static void begin_anew(struct mw_metric *metric, const double *bounds, int count) {
    for (int i = 0; i <= MW_METRIC_BUCKETS; i++) {
        atomic_store_explicit(&metric->buckets[i], 0, memory_order_relaxed);
    }
    for (int i = 0; i < count; i++) {
        store(&metric->bounds[i], bounds[i]);
    }
    store(&metric->value, 0);
    atomic_store_explicit(&metric->bound_count, (uint32_t)count, memory_order_relaxed);
}

void mw_metrics_set_bounds(struct mw_metrics *metrics, const char *name, const char *labels, const double *bounds,
                           int bound_count) {
    size_t length = strlen(labels);
    uint32_t count = atomic_load_explicit(&metrics->own->count, memory_order_relaxed);
    for (uint32_t i = 0; i < count && bounds_fit(bounds, bound_count); i++) {
        struct mw_metric *metric = &metrics->own->series[i];
        if (metric->kind == MW_HISTOGRAM && is_meant(metric, name, labels, length) &&
            !has_bounds(metric, bounds, bound_count)) {
            begin_anew(metric, bounds, bound_count);
        }
    }
}

/* A series of the same name; NULL: there is none. */
static const struct mw_metric *find_sibling(const struct mw_metrics *metrics, const char *name) {
    uint32_t count = atomic_load_explicit(&metrics->own->count, memory_order_relaxed);
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(metrics->own->series[i].name, name) == 0) {
            return &metrics->own->series[i];
        }
    }
    return NULL;
}

int mw_metrics_kind(const struct mw_metrics *metrics, const char *name) {
    const struct mw_metric *metric = find_sibling(metrics, name);
    return metric ? (int)metric->kind : -1;
}

/* As much of the help as there is room for, without half a character at its end. */
static void copy_help(char copy[MW_METRIC_HELP], const char *help) {
    size_t length = 0, left = strlen(help);
    for (size_t step; left > 0; left -= step) {
        step = mw_utf8_length(help + length, left);
        step = step ? step : 1;
        if (length + step >= MW_METRIC_HELP) {
            break;
        }
        length += step;
    }
    memcpy(copy, help, length);
    copy[length] = '\0';
}

static struct mw_metric *create(struct mw_metrics *metrics, const struct mw_metric *like, const char *help,
                                const double *bounds, int bound_count) {
    uint32_t count = atomic_load_explicit(&metrics->own->count, memory_order_relaxed);
    const struct mw_metric *sibling = find_sibling(metrics, like->name);
    if (count == MW_METRICS_PER_WORKER || mw_metric_name_problem(like->kind, like->name) ||
        !mw_metric_labels_fit(like->labels) || (sibling && sibling->kind != like->kind)) {
        return NULL;
    }
    struct mw_metric *metric = &metrics->own->series[count];
    *metric = *like;
    copy_help(metric->help, sibling ? sibling->help : help ? help : "");
    begin_anew(metric, bounds, like->kind == MW_HISTOGRAM ? bound_count : 0);
    *find_place(metrics, metric->hash, metric->name, metric->labels) = (uint16_t)(count + 1);
    atomic_store_explicit(&metrics->own->count, count + 1, memory_order_release);
    return metric;
}

struct mw_metric *mw_metric(struct mw_metrics *metrics, enum mw_metric_kind kind, const char *name, const char *help,
                            const char *labels, const double *bounds, int bound_count) {
    labels = labels ? labels : "";
    int index = find_index(metrics, name, labels);
    if (kind == MW_HISTOGRAM && !bounds_fit(bounds, bound_count)) {
        return NULL;
    }
    if (index < 0) {
        struct mw_metric like = {.kind = kind};
        if (!hash_of(metrics, name, labels, &like.hash)) {
            return NULL;
        }
        memcpy(like.name, name, strlen(name) + 1);
        memcpy(like.labels, labels, strlen(labels) + 1);
        return create(metrics, &like, help, bounds, bound_count);
    }
    struct mw_metric *metric = &metrics->own->series[index];
    if (metric->kind != kind) {
        return NULL;
    }
    if (kind == MW_HISTOGRAM && !has_bounds(metric, bounds, bound_count)) {
        begin_anew(metric, bounds, bound_count);
    }
    return metric;
}

void mw_metric_add(struct mw_metric *metric, double amount) {
    if (metric && amount == amount && (amount >= 0 || metric->kind == MW_GAUGE)) {
        store(&metric->value, mw_metric_load(&metric->value) + amount);
    }
}

void mw_metric_set(struct mw_metric *metric, double value) {
    if (metric && value == value) {
        store(&metric->value, value);
    }
}

void mw_metric_observe(struct mw_metric *metric, double value) {
    if (metric && value == value) {
        uint32_t bucket = 0, count = atomic_load_explicit(&metric->bound_count, memory_order_relaxed);
        while (bucket < count && value > mw_metric_load(&metric->bounds[bucket])) {
            bucket++;
        }
        uint64_t seen = atomic_load_explicit(&metric->buckets[bucket], memory_order_relaxed);
        atomic_store_explicit(&metric->buckets[bucket], seen + 1, memory_order_relaxed);
        store(&metric->value, mw_metric_load(&metric->value) + value);
    }
}
