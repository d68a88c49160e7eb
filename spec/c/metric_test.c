/* layers: base */
/* wrap: mmap getrandom */
#include "base/metric.h"
#include "support/alloc_failure.h"
#include "support/mapping_failure.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { WORKERS = 2 };

static struct mw_metrics *metrics;
static const double bounds[] = {0.1, 1, 2.5};

static int open_all(void **state) {
    (void)state;
    metrics = mw_metrics_new(WORKERS);
    mw_metrics_attach(metrics, 1);
    return 0;
}

static int close_all(void **state) {
    (void)state;
    alloc_failure_disarm();
    mw_metrics_free(metrics);
    return 0;
}

static struct mw_metric *counter(const char *name, const char *labels) {
    struct mw_metric *metric = mw_metric(metrics, MW_COUNTER, name, "What it counts.", labels, NULL, 0);
    assert_non_null(metric);
    return metric;
}

static struct mw_metric *gauge(const char *name, const char *labels) {
    struct mw_metric *metric = mw_metric(metrics, MW_GAUGE, name, "What it is.", labels, NULL, 0);
    assert_non_null(metric);
    return metric;
}

static struct mw_metric *histogram(const char *name, const char *labels) {
    struct mw_metric *metric = mw_metric(metrics, MW_HISTOGRAM, name, "How long it took.", labels, bounds, 3);
    assert_non_null(metric);
    return metric;
}

static void assert_text(const char *expected) {
    struct mw_text text = {.bytes = NULL};
    mw_metrics_write(metrics, &text);
    assert_string_equal(mw_text_string(&text), expected);
    mw_text_free(&text);
}

static void without_metrics_there_is_no_text(void **state) {
    (void)state;
    assert_text("");
}

static void workers_add_up(void **state) {
    (void)state;
    mw_metric_add(counter("a_total", NULL), 2);
    mw_metric_set(gauge("b", "service=\"echo\""), 1.5);
    mw_metrics_attach(metrics, 2);
    mw_metric_add(counter("a_total", NULL), 0.25);
    mw_metric_add(counter("a_total", "code=\"200\""), 1);
    mw_metric_add(gauge("b", "service=\"echo\""), -4);
    assert_text("# HELP a_total What it counts.\n# TYPE a_total counter\na_total 2.25\na_total{code=\"200\"} 1\n"
                "# HELP b What it is.\n# TYPE b gauge\nb{service=\"echo\"} -2.5\n");
}

static void histograms_have_cumulative_buckets(void **state) {
    (void)state;
    static const double values[] = {0.05, 0.1, 0.5, 2.5, 3, -1, (double)NAN};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        mw_metric_observe(histogram("h_seconds", "service=\"echo\""), values[i]);
    }
    mw_metrics_attach(metrics, 2);
    mw_metric_observe(histogram("h_seconds", "service=\"echo\""), 0.5);
    assert_text("# HELP h_seconds How long it took.\n# TYPE h_seconds histogram\n"
                "h_seconds_bucket{service=\"echo\",le=\"0.1\"} 3\nh_seconds_bucket{service=\"echo\",le=\"1\"} 5\n"
                "h_seconds_bucket{service=\"echo\",le=\"2.5\"} 6\nh_seconds_bucket{service=\"echo\",le=\"+Inf\"} 7\n"
                "h_seconds_sum{service=\"echo\"} 5.65\nh_seconds_count{service=\"echo\"} 7\n");
}

static void a_histogram_without_labels_has_one(void **state) {
    (void)state;
    mw_metric_observe(histogram("h_seconds", NULL), 1);
    assert_text("# HELP h_seconds How long it took.\n# TYPE h_seconds histogram\n"
                "h_seconds_bucket{le=\"0.1\"} 0\nh_seconds_bucket{le=\"1\"} 1\nh_seconds_bucket{le=\"2.5\"} 1\n"
                "h_seconds_bucket{le=\"+Inf\"} 1\nh_seconds_sum 1\nh_seconds_count 1\n");
}

static void other_bounds_begin_anew(void **state) {
    (void)state;
    const double fewer[] = {7};
    struct mw_metric *old = histogram("h", "service=\"a\"");
    mw_metric_observe(old, 1);
    assert_ptr_equal(histogram("h", "service=\"a\""), old);
    assert_ptr_equal(mw_metric(metrics, MW_HISTOGRAM, "h", NULL, "service=\"a\"", fewer, 1), old);
    mw_metric_observe(old, 1);
    const char *expected = "# HELP h How long it took.\n# TYPE h histogram\nh_bucket{service=\"a\",le=\"7\"} 1\n"
                           "h_bucket{service=\"a\",le=\"+Inf\"} 1\nh_sum{service=\"a\"} 1\nh_count{service=\"a\"} 1\n";
    assert_text(expected);
    mw_metrics_attach(metrics, 2);
    mw_metric_observe(histogram("h", "service=\"a\""), 1); /* not there yet: left out */
    assert_text(expected);
    mw_metrics_set_bounds(metrics, "h", "service=\"b\"", fewer, 1);
    assert_text(expected);
    mw_metrics_set_bounds(metrics, "h", "service=\"a\"", fewer, 1);
    mw_metrics_set_bounds(metrics, "h", "", fewer, 1);
    mw_metric_observe(histogram("h", "service=\"b\""), 1);
    mw_metrics_set_bounds(metrics, "h", "service=\"b\"", NULL, 0);
    assert_non_null(mw_metric_find(metrics, "h", "service=\"b\""));
}

static void the_same_name_is_the_same_series(void **state) {
    (void)state;
    struct mw_metric *one = counter("a_total", "code=\"200\"");
    assert_ptr_equal(counter("a_total", "code=\"200\""), one);
    assert_ptr_equal(mw_metric_find(metrics, "a_total", "code=\"200\""), one);
    assert_null(mw_metric_find(metrics, "a_total", "code=\"404\""));
    assert_null(mw_metric_find(metrics, "a_total", NULL));
    assert_null(mw_metric_find(metrics, "a_", "total"));
    counter("a_total", "code=\"404\"");
    counter("a_total", "service=\"x\"");
    counter("b_total", "code=\"404\"");
    assert_int_equal(mw_metrics_count(metrics, "a_total", "code="), 2);
    assert_int_equal(mw_metrics_count(metrics, NULL, "code="), 3);
    assert_int_equal(mw_metrics_count(metrics, "a_total", ""), 3);
}

static void a_successor_goes_on(void **state) {
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        mw_metrics_attach(metrics, 2);
        mw_metric_add(counter("a_total", NULL), 3);
        mw_metric_set(gauge("b", NULL), 3);
        mw_metric_observe(histogram("c", NULL), 3);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    mw_metrics_attach(metrics, 2);
    assert_non_null(mw_metric_find(metrics, "b", NULL));
    mw_metric_add(counter("a_total", NULL), 1);
    mw_metric_observe(histogram("c", NULL), 0);
    assert_int_equal(mw_metrics_count(metrics, NULL, ""), 3);
    assert_text("# HELP a_total What it counts.\n# TYPE a_total counter\na_total 4\n"
                "# HELP b What it is.\n# TYPE b gauge\nb 0\n# HELP c How long it took.\n# TYPE c histogram\n"
                "c_bucket{le=\"0.1\"} 1\nc_bucket{le=\"1\"} 1\nc_bucket{le=\"2.5\"} 1\nc_bucket{le=\"+Inf\"} 2\n"
                "c_sum 3\nc_count 2\n");
}

static void who_is_not_attached_counts_too(void **state) {
    (void)state;
    struct mw_metrics *alone = mw_metrics_new(0);
    mw_metric_add(mw_metric(alone, MW_COUNTER, "a_total", NULL, NULL, NULL, 0), 1);
    struct mw_text text = {.bytes = NULL};
    mw_metrics_write(alone, &text);
    assert_string_equal(mw_text_string(&text), "# TYPE a_total counter\na_total 1\n");
    mw_text_free(&text);
    mw_metrics_free(alone);
}

static void names_are_checked(void **state) {
    (void)state;
    static const char *const bad[] = {"", "1a", "a-b", "a b", "a\xc3\xa4", "a{b}", "a_total", "a_bucket", "a_sum", "a_count"};
    char endless[MW_METRIC_NAME + 1] = {0};
    memset(endless, 'a', MW_METRIC_NAME);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_non_null(mw_metric_name_problem(MW_GAUGE, bad[i]));
        assert_null(mw_metric(metrics, MW_GAUGE, bad[i], NULL, NULL, NULL, 0));
    }
    assert_non_null(mw_metric_name_problem(MW_GAUGE, endless));
    assert_null(mw_metric(metrics, MW_GAUGE, endless, NULL, NULL, NULL, 0));
    endless[MW_METRIC_NAME - 1] = '\0';
    assert_null(mw_metric_name_problem(MW_GAUGE, endless));
    gauge(endless, NULL);
    gauge("_a:B_9", NULL);
    assert_null(mw_metric(metrics, MW_COUNTER, "requests", NULL, NULL, NULL, 0));
    assert_null(mw_metric_name_problem(MW_COUNTER, "requests_total"));
}

static void labels_are_checked(void **state) {
    (void)state;
    static const char *const bad[] = {
        "a", "a=", "a=b", "a=\"b", "a=\"b\",", ",a=\"b\"", "a=\"b\"c=\"d\"", "a=\"b\",a=\"c\"", "1a=\"b\"", "le=\"1\"",
        "quantile=\"1\"", "__a=\"b\"", "=\"b\"", "a=\"\n\"", "a=\"\\x\"", "a=\"\\", "a=\"\xff\"", "a=\"b\" ", "a-b=\"c\""};
    char endless[MW_METRIC_LABELS + 1] = {0};
    memset(endless, 'a', MW_METRIC_LABELS);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (mw_metric(metrics, MW_GAUGE, "a", NULL, bad[i], NULL, 0)) {
            fail_msg("accepted: %s", bad[i]);
        }
    }
    assert_null(mw_metric(metrics, MW_GAUGE, "a", NULL, endless, NULL, 0));
    endless[MW_METRIC_LABELS - 1] = '\0';
    assert_null(mw_metric(metrics, MW_GAUGE, "a", NULL, endless, NULL, 0));
    gauge("a", "a=\"\",aa=\"\\\\\\\"\\n\",b_9=\"\xe2\x82\xac\"");
    gauge("a", "");
}

static void values_of_labels_are_escaped(void **state) {
    (void)state;
    char labels[MW_METRIC_LABELS] = "", expected[] = "service=\"echo\",path=\"a\\\\b\\\"c\\nd\xef\xbf\xbd\xef\xbf\xbd\xc3\xa4\"";
    assert_true(mw_metric_label(labels, "service", "echo", 4));
    assert_true(mw_metric_label(labels, "path", "a\\b\"c\nd\xff\0\xc3\xa4", 11));
    assert_string_equal(labels, expected);
    gauge("a", labels);
    char text[MW_METRIC_LABELS] = {0};
    memset(text, 'x', sizeof text - 1);
    assert_false(mw_metric_label(labels, "more", text, sizeof text - 1));
    assert_false(mw_metric_label(labels, text, "", 0));
    assert_string_equal(labels, expected);
    size_t room = MW_METRIC_LABELS - strlen(labels) - strlen(",m=\"\"") - 1;
    assert_false(mw_metric_label(labels, "m", text, room + 1));
    assert_true(mw_metric_label(labels, "m", text, room));
    assert_int_equal(strlen(labels), MW_METRIC_LABELS - 1);
    gauge("a", labels);
}

static void a_name_has_one_kind(void **state) {
    (void)state;
    assert_int_equal(mw_metrics_kind(metrics, "a"), -1);
    gauge("a", NULL);
    assert_int_equal(mw_metrics_kind(metrics, "a"), MW_GAUGE);
    assert_null(mw_metric(metrics, MW_HISTOGRAM, "a", NULL, NULL, bounds, 3));
    assert_null(mw_metric(metrics, MW_HISTOGRAM, "a", NULL, "x=\"1\"", bounds, 3));
    mw_metrics_attach(metrics, 2);
    mw_metric_observe(histogram("a", NULL), 1);
    mw_metric_observe(histogram("a", "x=\"1\""), 1);
    assert_text("# HELP a What it is.\n# TYPE a gauge\na 0\n");
}

static void bounds_are_checked(void **state) {
    (void)state;
    static const double unsorted[] = {2, 1}, twice[] = {1, 1}, endless[] = {1, (double)INFINITY}, none[] = {(double)NAN};
    double many[MW_METRIC_BUCKETS + 1];
    for (int i = 0; i <= MW_METRIC_BUCKETS; i++) {
        many[i] = i;
    }
    assert_null(mw_metric(metrics, MW_HISTOGRAM, "a", NULL, NULL, unsorted, 2));
    assert_null(mw_metric(metrics, MW_HISTOGRAM, "a", NULL, NULL, twice, 2));
    assert_null(mw_metric(metrics, MW_HISTOGRAM, "a", NULL, NULL, endless, 2));
    assert_null(mw_metric(metrics, MW_HISTOGRAM, "a", NULL, NULL, none, 1));
    assert_null(mw_metric(metrics, MW_HISTOGRAM, "a", NULL, NULL, many, MW_METRIC_BUCKETS + 1));
    assert_null(mw_metric(metrics, MW_HISTOGRAM, "a", NULL, NULL, NULL, 0));
    assert_non_null(mw_metric(metrics, MW_HISTOGRAM, "a", NULL, NULL, many, MW_METRIC_BUCKETS));
}

static void help_is_escaped_and_cut(void **state) {
    (void)state;
    char help[200] = {0}, expected[400];
    memset(help, 'x', 126);
    strcat(help, "\xc3\xa4");
    mw_metric(metrics, MW_GAUGE, "a", "one\ntwo\\three", NULL, NULL, 0);
    mw_metric(metrics, MW_GAUGE, "a", "another", "x=\"1\"", NULL, 0);
    mw_metric(metrics, MW_GAUGE, "b", help, NULL, NULL, 0);
    snprintf(expected, sizeof expected, "# HELP a one\\ntwo\\\\three\n# TYPE a gauge\na 0\na{x=\"1\"} 0\n"
             "# HELP b %.126s\n# TYPE b gauge\nb 0\n", help);
    assert_text(expected);
}

static void numbers_are_exact_and_short(void **state) {
    (void)state;
    mw_metric_set(gauge("a", NULL), 0.1);
    mw_metric_set(gauge("b", NULL), 9007199254740991.0);
    mw_metric_set(gauge("c", NULL), (double)INFINITY);
    mw_metric_set(gauge("d", NULL), -(double)INFINITY);
    mw_metric_set(gauge("e", NULL), 1.0 / 3);
    mw_metric_set(gauge("f", NULL), (double)INFINITY);
    mw_metric_add(gauge("f", NULL), -(double)INFINITY);
    struct mw_text text = {.bytes = NULL};
    mw_metrics_write(metrics, &text);
    const char *written = mw_text_string(&text);
    assert_non_null(strstr(written, "\na 0.1\n"));
    assert_non_null(strstr(written, "\nb 9007199254740991\n"));
    assert_non_null(strstr(written, "\nc +Inf\n"));
    assert_non_null(strstr(written, "\nd -Inf\n"));
    assert_non_null(strstr(written, "\ne 0.3333333333333333\n"));
    assert_non_null(strstr(written, "\nf NaN\n"));
    mw_text_free(&text);
}

static void counters_never_fall(void **state) {
    (void)state;
    struct mw_metric *metric = counter("a_total", NULL);
    mw_metric_add(metric, 5);
    mw_metric_add(metric, -3);
    mw_metric_add(metric, (double)NAN);
    mw_metric_add(NULL, 1);
    mw_metric_set(NULL, 1);
    mw_metric_observe(NULL, 1);
    assert_text("# HELP a_total What it counts.\n# TYPE a_total counter\na_total 5\n");
}

static void a_full_slot_says_so(void **state) {
    (void)state;
    char labels[32];
    for (int i = 0; i < MW_METRICS_PER_WORKER; i++) {
        snprintf(labels, sizeof labels, "i=\"%d\"", i);
        mw_metric_set(gauge("a", labels), i);
    }
    assert_null(mw_metric(metrics, MW_GAUGE, "a", NULL, "i=\"more\"", NULL, 0));
    assert_null(mw_metric(metrics, MW_GAUGE, "b", NULL, NULL, NULL, 0));
    assert_non_null(mw_metric_find(metrics, "a", "i=\"1000\""));
    mw_metrics_attach(metrics, 2);
    gauge("b", NULL);
    mw_metrics_attach(metrics, 1);
    assert_non_null(mw_metric_find(metrics, "a", "i=\"2047\""));
}

static void says_when_there_is_no_memory(void **state) {
    (void)state;
    alloc_failure_arm(1);
    assert_null(mw_metrics_new(WORKERS));
    assert_int_equal(errno, ENOMEM);
    mmap_error = ENOMEM;
    assert_null(mw_metrics_new(WORKERS));
    assert_int_equal(errno, ENOMEM);
    mmap_error = 0;
    random_error = ENOSYS;
    assert_null(mw_metrics_new(WORKERS));
    assert_int_equal(errno, ENOSYS);
    random_error = 0;
    struct mw_text text = {.bytes = NULL};
    alloc_failure_arm(1);
    mw_metrics_write(metrics, &text);
    assert_true(alloc_failure_disarm());
    assert_true(text.failed);
    mw_text_free(&text);
    mw_metrics_free(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_all, close_all)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(without_metrics_there_is_no_text),
        TEST(workers_add_up),
        TEST(histograms_have_cumulative_buckets),
        TEST(a_histogram_without_labels_has_one),
        TEST(other_bounds_begin_anew),
        TEST(the_same_name_is_the_same_series),
        TEST(a_successor_goes_on),
        TEST(who_is_not_attached_counts_too),
        TEST(names_are_checked),
        TEST(labels_are_checked),
        TEST(values_of_labels_are_escaped),
        TEST(a_name_has_one_kind),
        TEST(bounds_are_checked),
        TEST(help_is_escaped_and_cut),
        TEST(numbers_are_exact_and_short),
        TEST(counters_never_fall),
        TEST(a_full_slot_says_so),
        TEST(says_when_there_is_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
