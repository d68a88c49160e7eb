/* layers: worker net base */
#include "worker/core_metrics.h"
#include "support/alloc_failure.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct mw_metrics *metrics;
static struct mw_core_metrics *core;

static int open_all(void **state) {
    (void)state;
    metrics = mw_metrics_new(2);
    mw_metrics_attach(metrics, 2);
    core = mw_core_metrics_new(metrics, 2);
    return metrics && core ? 0 : -1;
}

static int close_all(void **state) {
    (void)state;
    alloc_failure_disarm();
    mw_core_metrics_free(core);
    mw_metrics_free(metrics);
    return 0;
}

/* The value of the series as it is written, -1 when there is none. */
static double value_of(const char *series) {
    struct mw_text text = {.bytes = NULL};
    char wanted[256];
    snprintf(wanted, sizeof wanted, "\n%s ", series);
    mw_metrics_write(metrics, &text);
    const char *found = strstr(mw_text_string(&text), wanted);
    double value = found ? strtod(found + strlen(wanted), NULL) : -1;
    mw_text_free(&text);
    return value;
}

static void assert_value(const char *series, double expected) {
    double value = value_of(series);
    if (value != expected) {
        fail_msg("%s: %g, not %g", series, value, expected);
    }
}

static void update(const struct mw_service_numbers *services, size_t count) {
    const struct mw_worker_numbers worker = {.generation = 3};
    assert_true(mw_core_metrics_update(core, &worker, services, count));
}

static void tells_of_the_worker(void **state) {
    (void)state;
    struct mw_worker_numbers worker = {.generation = 3, .turns = 100, .published = 7, .dropped = 1};
    assert_true(mw_core_metrics_update(core, &worker, NULL, 0));
    double before = value_of("moonwire_open_descriptors{worker=\"2\"}");
    worker.turns = 130;
    worker.published = 9;
    worker.dropped = 4;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(mw_core_metrics_update(core, &worker, NULL, 0));
    close(fd);
    assert_value("moonwire_open_descriptors{worker=\"2\"}", before + 1);
    assert_value("moonwire_loop_turns_total{worker=\"2\"}", 130);
    assert_value("moonwire_bus_published_total{worker=\"2\"}", 9);
    assert_value("moonwire_bus_dropped_total{worker=\"2\"}", 4);
    assert_value("moonwire_generation{worker=\"2\"}", 3);
    assert_true(value_of("moonwire_cpu_seconds_total{worker=\"2\"}") > 0);
    assert_true(value_of("moonwire_cpu_seconds_total{worker=\"2\"}") < 100);
    assert_true(value_of("moonwire_resident_memory_bytes{worker=\"2\"}") > 100000);
}

static void generations_of_a_service_add_up(void **state) {
    (void)state;
    struct mw_service_numbers services[] = {
        {.name = "echo", .generation = 1, .connections = 5, .tasks = 6, .memory = 7, .accepted = 8, .errors = 1,
         .received = 9, .sent = 10, .refused = {[MW_REFUSED_RATE] = 2, [MW_REFUSED_NETWORK] = 3}},
        {.name = "echo", .generation = 2, .connections = 1, .accepted = 1},
        {.name = "chat", .generation = 2, .connections = 4},
    };
    update(services, 1);
    update(services, 3);
    assert_value("moonwire_connections{service=\"echo\"}", 6);
    assert_value("moonwire_tasks{service=\"echo\"}", 6);
    assert_value("moonwire_lua_memory_bytes{service=\"echo\"}", 7);
    assert_value("moonwire_connections_accepted_total{service=\"echo\"}", 9);
    assert_value("moonwire_errors_total{service=\"echo\"}", 1);
    assert_value("moonwire_received_bytes_total{service=\"echo\"}", 9);
    assert_value("moonwire_sent_bytes_total{service=\"echo\"}", 10);
    assert_value("moonwire_connections_refused_total{service=\"echo\",reason=\"rate\"}", 2);
    assert_value("moonwire_connections_refused_total{service=\"echo\",reason=\"network\"}", 3);
    assert_value("moonwire_connections_refused_total{service=\"echo\",reason=\"connections\"}", 0);
    assert_value("moonwire_connections_refused_total{service=\"echo\",reason=\"address\"}", 0);
    assert_value("moonwire_connections{service=\"chat\"}", 4);
}

static void a_service_without_tls_has_no_handshakes(void **state) {
    (void)state;
    struct mw_service_numbers services[] = {
        {.name = "echo", .generation = 1, .handshakes = 5, .failed_handshakes = 2}, {.name = "chat", .generation = 1},
    };
    update(services, 2);
    services[0].handshakes = 7;
    update(services, 2);
    assert_value("moonwire_handshakes_total{service=\"echo\",result=\"completed\"}", 7);
    assert_value("moonwire_handshakes_total{service=\"echo\",result=\"failed\"}", 2);
    assert_null(mw_metric_find(metrics, "moonwire_handshakes_total", "service=\"chat\",result=\"failed\""));
}

static void what_ended_keeps_its_counters_only(void **state) {
    (void)state;
    struct mw_service_numbers services[] = {
        {.name = "echo", .generation = 1, .connections = 5, .accepted = 8},
        {.name = "echo", .generation = 2, .connections = 1, .accepted = 1},
    };
    update(services, 2);
    services[1].accepted = 4;
    update(services + 1, 1);
    assert_value("moonwire_connections{service=\"echo\"}", 1);
    assert_value("moonwire_connections_accepted_total{service=\"echo\"}", 12);
    update(NULL, 0);
    assert_value("moonwire_connections{service=\"echo\"}", 0);
    assert_value("moonwire_connections_accepted_total{service=\"echo\"}", 12);
}

static void counts_may_begin_anew(void **state) {
    (void)state;
    struct mw_service_numbers service = {.name = "echo", .received = 100, .refused = {[MW_REFUSED_RATE] = 5}};
    update(&service, 1);
    service.received = 0;
    service.refused[MW_REFUSED_RATE] = 2;
    update(&service, 1);
    service.received = 7;
    update(&service, 1);
    assert_value("moonwire_received_bytes_total{service=\"echo\"}", 107);
    assert_value("moonwire_connections_refused_total{service=\"echo\",reason=\"rate\"}", 7);
}

static void many_services_are_remembered(void **state) {
    (void)state;
    struct mw_service_numbers services[20];
    char names[20][24];
    for (int i = 0; i < 20; i++) {
        snprintf(names[i], sizeof names[i], "service%d", i);
        services[i] = (struct mw_service_numbers){.name = names[i], .accepted = 1};
    }
    update(services, 20);
    update(services, 20);
    assert_value("moonwire_connections_accepted_total{service=\"service19\"}", 1);
}

static void a_name_that_is_too_long_has_none(void **state) {
    (void)state;
    char name[200] = {0};
    memset(name, 'x', sizeof name - 1);
    struct mw_service_numbers service = {.name = name, .accepted = 1};
    update(&service, 1);
    update(&service, 1);
}

static void catches_up_when_memory_was_out(void **state) {
    (void)state;
    const struct mw_worker_numbers worker = {.generation = 3};
    const struct mw_service_numbers service = {.name = "echo", .accepted = 5};
    bool complete = false;
    for (int nth = 1; !complete; nth++) {
        alloc_failure_arm(nth);
        complete = mw_core_metrics_update(core, &worker, &service, 1);
        alloc_failure_disarm();
    }
    assert_value("moonwire_connections_accepted_total{service=\"echo\"}", 5);
    alloc_failure_arm(1);
    assert_null(mw_core_metrics_new(metrics, 1));
    alloc_failure_disarm();
    mw_core_metrics_free(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_all, close_all)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(tells_of_the_worker),
        TEST(generations_of_a_service_add_up),
        TEST(a_service_without_tls_has_no_handshakes),
        TEST(what_ended_keeps_its_counters_only),
        TEST(counts_may_begin_anew),
        TEST(many_services_are_remembered),
        TEST(a_name_that_is_too_long_has_none),
        TEST(catches_up_when_memory_was_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
