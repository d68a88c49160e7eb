/* Metrics as text: what may be written, and the exposition of all. */
#include "base/metric_internal.h"

#include "base/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

static const char REPLACEMENT[] = "\xef\xbf\xbd";

static bool ends_in(const char *name, const char *ending) {
    size_t length = strlen(name), ending_length = strlen(ending);
    return length >= ending_length && strcmp(name + length - ending_length, ending) == 0;
}

static bool is_word(const char *name, const char *first, const char *further) {
    return *name && strchr(first, *name) && !name[1 + strspn(name + 1, further)];
}

const char *mw_metric_name_problem(enum mw_metric_kind kind, const char *name) {
    static const char *const parts[] = {"_bucket", "_sum", "_count"};
    if (!is_word(name, LETTERS "_:", LETTERS DIGITS "_:")) {
        return "letters, digits, _ and : expected, and no digit first";
    }
    if (strlen(name) >= MW_METRIC_NAME) {
        return "a name is at most 95 bytes long";
    }
    if (ends_in(name, "_total") != (kind == MW_COUNTER)) {
        return kind == MW_COUNTER ? "a counter's name ends in _total" : "only a counter's name ends in _total";
    }
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (ends_in(name, parts[i])) {
            return "names that end in _bucket, _sum or _count are of the parts of histograms";
        }
    }
    return NULL;
}

const char *mw_metric_label_problem(const char *name) {
    if (!is_word(name, LETTERS "_", LETTERS DIGITS "_")) {
        return "a label's name has letters, digits and _, and no digit first";
    }
    if (strncmp(name, "__", 2) == 0 || strcmp(name, "le") == 0 || strcmp(name, "quantile") == 0) {
        return "labels are not named le or quantile, nor begin with __";
    }
    return NULL;
}

/* The length of a character of a value, or of one that is escaped; 0: it may not stand there. */
static size_t piece_length(const char *at) {
    if (*at == '\\') {
        return at[1] && strchr("\\\"n", at[1]) ? 2 : 0;
    }
    return !*at || *at == '\n' ? 0 : mw_utf8_length(at, strlen(at));
}

/* The length of the label at `at`, `name="value"`; 0: there is none as it must be. */
static size_t label_length(const char *at) {
    char name[MW_METRIC_LABELS];
    size_t length = strspn(at, LETTERS DIGITS "_");
    if (length >= sizeof name || at[length] != '=' || at[length + 1] != '"') {
        return 0;
    }
    memcpy(name, at, length);
    name[length] = '\0';
    if (mw_metric_label_problem(name)) {
        return 0;
    }
    for (length += 2; at[length] != '"';) {
        size_t step = piece_length(at + length);
        if (step == 0) {
            return 0;
        }
        length += step;
    }
    return length + 1;
}

/* Whether the label at `at` is the first of its name. */
static bool is_new_label(const char *labels, const char *at) {
    size_t name = strcspn(at, "=") + 1;
    for (const char *before = labels; before < at; before += label_length(before) + 1) {
        if (strncmp(before, at, name) == 0) {
            return false;
        }
    }
    return true;
}

bool mw_metric_labels_fit(const char *labels) {
    const char *at = labels;
    while (*at) {
        size_t length = label_length(at);
        if (!length || !is_new_label(labels, at) || (at[length] != ',' && at[length])) {
            return false;
        }
        at += length;
        if (*at == ',' && !*++at) {
            return false;
        }
    }
    return true;
}

/* How a piece of a value is written, and its length; `*step` is how many bytes it stands for. */
static const char *escape(const char *value, size_t left, size_t *step, size_t *length) {
    static const char special[] = "\\\"\n";
    static const char *const written[] = {"\\\\", "\\\"", "\\n"};
    const char *found = *value ? strchr(special, *value) : NULL;
    *step = mw_utf8_length(value, left);
    if (!*step || !*value) {
        *step = 1;
        *length = sizeof REPLACEMENT - 1;
        return REPLACEMENT;
    }
    *length = found ? 2 : *step;
    return found ? written[found - special] : value;
}

/* Adds a piece, if there is room for it and a NUL. Returns where it would end. */
static size_t append(char labels[MW_METRIC_LABELS], size_t at, const char *piece, size_t length) {
    if (at + length < MW_METRIC_LABELS) {
        memcpy(labels + at, piece, length);
    }
    return at + length;
}

bool mw_metric_label(char labels[MW_METRIC_LABELS], const char *name, const char *value, size_t length) {
    size_t before = strlen(labels);
    size_t at = append(labels, before, ",", before ? 1 : 0);
    at = append(labels, at, name, strlen(name));
    at = append(labels, at, "=\"", 2);
    while (at < MW_METRIC_LABELS && length > 0) {
        size_t step, written;
        const char *piece = escape(value, length, &step, &written);
        at = append(labels, at, piece, written);
        value += step;
        length -= step;
    }
    bool fits = at + sizeof "\"" <= MW_METRIC_LABELS;
    if (fits) {
        labels[at++] = '"';
    }
    labels[fits ? at : before] = '\0';
    return fits;
}

static int compare(const void *one, const void *other) {
    const struct mw_metric *a = *(const struct mw_metric *const *)one, *b = *(const struct mw_metric *const *)other;
    int order = strcmp(a->name, b->name);
    return order ? order : strcmp(a->labels, b->labels);
}

/* The shortest decimal that reads back as the same number. */
static void write_number(struct mw_text *text, double value) {
    char digits[32];
    if (value - value != 0) {
        mw_text_puts(text, value != value ? "NaN" : value > 0 ? "+Inf" : "-Inf");
        return;
    }
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, value);
        if (strtod(digits, NULL) == value) {
            break;
        }
    }
    mw_text_puts(text, digits);
}

static void write_help(struct mw_text *text, const struct mw_metric *metric) {
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    if (*metric->help) {
        mw_text_format(text, "# HELP %s ", metric->name);
        for (const char *at = metric->help; *at; at++) {
            mw_text_add(text, *at == '\n' ? "\\n" : *at == '\\' ? "\\\\" : at, *at == '\n' || *at == '\\' ? 2 : 1);
        }
        mw_text_puts(text, "\n");
    }
    mw_text_format(text, "# TYPE %s %s\n", metric->name, kinds[metric->kind]);
}

static void write_name(struct mw_text *text, const struct mw_metric *metric, const char *ending) {
    mw_text_format(text, *metric->labels ? "%s%s{%s} " : "%s%s%s ", metric->name, ending, metric->labels);
}

static double sum_values(const struct mw_metric *const *same, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += mw_metric_load(&same[i]->value);
    }
    return sum;
}

/* Those whose bounds are others begin anew soon, see mw_metric. */
static bool has_same_bounds(const struct mw_metric *a, const struct mw_metric *b) {
    uint32_t count = atomic_load_explicit(&a->bound_count, memory_order_relaxed);
    bool same = count == atomic_load_explicit(&b->bound_count, memory_order_relaxed);
    for (uint32_t i = 0; same && i < count; i++) {
        same = mw_metric_load(&a->bounds[i]) == mw_metric_load(&b->bounds[i]);
    }
    return same;
}

static void write_bucket(struct mw_text *text, const struct mw_metric *metric, uint32_t bucket, uint64_t below) {
    const char *comma = *metric->labels ? "," : "";
    mw_text_format(text, "%s_bucket{%s%sle=\"", metric->name, metric->labels, comma);
    if (bucket < atomic_load_explicit(&metric->bound_count, memory_order_relaxed)) {
        write_number(text, mw_metric_load(&metric->bounds[bucket]));
    } else {
        mw_text_puts(text, "+Inf");
    }
    mw_text_format(text, "\"} %" PRIu64 "\n", below);
}

static void write_histogram(struct mw_text *text, const struct mw_metric **same, size_t count) {
    uint64_t below = 0;
    size_t fitting = 0;
    for (size_t i = 0; i < count; i++) {
        if (has_same_bounds(same[0], same[i])) {
            same[fitting++] = same[i];
        }
    }
    uint32_t bounds = atomic_load_explicit(&same[0]->bound_count, memory_order_relaxed);
    for (uint32_t bucket = 0; bucket <= bounds; bucket++) {
        for (size_t i = 0; i < fitting; i++) {
            below += atomic_load_explicit(&same[i]->buckets[bucket], memory_order_relaxed);
        }
        write_bucket(text, same[0], bucket, below);
    }
    write_name(text, same[0], "_sum");
    write_number(text, sum_values(same, fitting));
    mw_text_puts(text, "\n");
    write_name(text, same[0], "_count");
    mw_text_format(text, "%" PRIu64 "\n", below);
}

static void write_series(struct mw_text *text, const struct mw_metric **same, size_t count) {
    if (same[0]->kind == MW_HISTOGRAM) {
        write_histogram(text, same, count);
        return;
    }
    write_name(text, same[0], "");
    write_number(text, sum_values(same, count));
    mw_text_puts(text, "\n");
}

/* Series of all slots. Once memory is out, none. */
static const struct mw_metric **gather(const struct mw_metrics *metrics, size_t *count) {
    size_t room = (size_t)metrics->count * MW_METRICS_PER_WORKER;
    const struct mw_metric **all = malloc(room * sizeof *all);
    *count = 0;
    for (int i = 0; all && i < metrics->count; i++) {
        const struct mw_metric_slot *slot = &metrics->slots[i];
        uint32_t shown = atomic_load_explicit(&slot->count, memory_order_acquire);
        for (uint32_t at = 0; at < shown; at++) {
            all[(*count)++] = &slot->series[at];
        }
    }
    return all;
}

/* A name has one kind, which is that of its first series: workers that disagree, as they may for a moment while scripts
 * are replaced, do not spoil the whole. */
void mw_metrics_write(const struct mw_metrics *metrics, struct mw_text *text) {
    size_t count, next;
    const struct mw_metric **all = gather(metrics, &count), *named = NULL;
    if (!all) {
        text->failed = true;
        return;
    }
    qsort(all, count, sizeof *all, compare);
    for (size_t i = 0; i < count; i = next) {
        for (next = i + 1; next < count && compare(&all[i], &all[next]) == 0 && all[next]->kind == all[i]->kind;) {
            next++;
        }
        bool is_first = !named || strcmp(named->name, all[i]->name) != 0;
        if (is_first) {
            named = all[i];
            write_help(text, named);
        }
        if (named->kind == all[i]->kind) {
            write_series(text, all + i, next - i);
        }
    }
    free(all);
}
