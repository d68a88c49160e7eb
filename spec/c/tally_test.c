/* layers: base net */
/* wrap: mmap getrandom */
#include "net/tally.h"
#include "support/mapping_failure.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { WORKERS = 2 };

static struct mw_tallies *all;

static int open_all(void **state) {
    (void)state;
    mmap_error = random_error = 0;
    all = mw_tallies_new(WORKERS);
    return all ? 0 : -1;
}

static int close_all(void **state) {
    (void)state;
    mw_tallies_free(all);
    return 0;
}

static uint64_t key_of(const char *name) {
    return mw_tally_key(all, name, strlen(name));
}

static void places_are_counted_over_all_workers(void **state) {
    (void)state;
    uint64_t ann = key_of("ann"), bob = key_of("bob");
    assert_true(mw_tally_enter(all, 1, ann, 2));
    assert_true(mw_tally_enter(all, 2, ann, 2));
    assert_false(mw_tally_enter(all, 1, ann, 2));
    assert_false(mw_tally_enter(all, 2, ann, 2));
    assert_int_equal(mw_tally_count(all, ann), 2);
    assert_true(mw_tally_enter(all, 1, bob, 1));
    mw_tally_leave(all, 2, ann);
    assert_true(mw_tally_enter(all, 1, ann, 2));
    assert_int_equal(mw_tally_count(all, ann), 2);
}

static void a_worker_that_dies_holds_nothing(void **state) {
    (void)state;
    uint64_t ann = key_of("ann");
    assert_true(mw_tally_enter(all, 1, ann, 3));
    assert_true(mw_tally_enter(all, 2, ann, 3));
    assert_true(mw_tally_enter(all, 2, ann, 3));
    mw_tallies_reset(all, 2);
    assert_int_equal(mw_tally_count(all, ann), 1);
    mw_tallies_reset(all, 1);
    assert_int_equal(mw_tally_count(all, ann), 0);
}

static void children_share_the_counts(void **state) {
    (void)state;
    uint64_t ann = key_of("ann");
    struct mw_tally_rate rate;
    mw_tally_rate_init(&rate, 1, 1);
    pid_t child = fork();
    if (child == 0) {
        _exit(!mw_tally_enter(all, 2, ann, 1) || mw_tally_take(all, ann, &rate, 100) > 0);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_false(mw_tally_enter(all, 1, ann, 1));
    assert_true(mw_tally_take(all, ann, &rate, 100) > 0);
}

static void expect_seconds(double seconds, double expected) {
    assert_true(seconds > expected - 1e-6 && seconds < expected + 1e-6);
}

static void turns_come_at_their_rate(void **state) {
    (void)state;
    uint64_t ann = key_of("ann");
    struct mw_tally_rate rate;
    mw_tally_rate_init(&rate, 10, 3);
    for (int i = 0; i < 3; i++) {
        expect_seconds(mw_tally_take(all, ann, &rate, 1000), 0);
    }
    expect_seconds(mw_tally_take(all, ann, &rate, 1000), 0.1);
    expect_seconds(mw_tally_take(all, ann, &rate, 1000.05), 0.05);
    expect_seconds(mw_tally_take(all, ann, &rate, 1000.1001), 0);
    assert_true(mw_tally_take(all, ann, &rate, 1000.1001) > 0);
    for (int i = 0; i < 3; i++) {
        expect_seconds(mw_tally_take(all, ann, &rate, 2000), 0);
    }
    assert_true(mw_tally_take(all, ann, &rate, 2000) > 0);
    expect_seconds(mw_tally_take(all, key_of("bob"), &rate, 2000), 0);
}

static void rates_may_be_very_low_and_very_high(void **state) {
    (void)state;
    struct mw_tally_rate rate;
    mw_tally_rate_init(&rate, 1e-30, 1e30);
    expect_seconds(mw_tally_take(all, key_of("low"), &rate, 1), 0);
    assert_true(mw_tally_take(all, key_of("low"), &rate, 1) >= 0);
    mw_tally_rate_init(&rate, 1e30, 1);
    for (int i = 0; i < 100; i++) {
        assert_true(mw_tally_take(all, key_of("high"), &rate, 1 + i / 1e6) < 1e-6);
    }
}

/* As many keys as there are columns: nearly all share a counter, and some all three. */
static void keys_that_meet_have_too_much_never_too_little(void **state) {
    (void)state;
    enum { KEYS = 20000 };
    int refused = 0;
    for (uint32_t i = 0; i < KEYS; i++) {
        refused += !mw_tally_enter(all, 1 + (int)(i % WORKERS), mw_tally_key(all, &i, sizeof i), 1);
    }
    assert_in_range(refused, 0, KEYS / 20);
    for (uint32_t i = 0; i < KEYS; i++) {
        assert_true(mw_tally_count(all, mw_tally_key(all, &i, sizeof i)) >= 1);
    }
}

static void says_when_there_is_no_memory_or_no_key(void **state) {
    (void)state;
    mmap_error = ENOMEM;
    assert_null(mw_tallies_new(1));
    mmap_error = 0;
    random_error = ENOSYS;
    assert_null(mw_tallies_new(1));
    random_error = 0;
    mw_tallies_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(places_are_counted_over_all_workers, open_all, close_all),
        cmocka_unit_test_setup_teardown(a_worker_that_dies_holds_nothing, open_all, close_all),
        cmocka_unit_test_setup_teardown(children_share_the_counts, open_all, close_all),
        cmocka_unit_test_setup_teardown(turns_come_at_their_rate, open_all, close_all),
        cmocka_unit_test_setup_teardown(rates_may_be_very_low_and_very_high, open_all, close_all),
        cmocka_unit_test_setup_teardown(keys_that_meet_have_too_much_never_too_little, open_all, close_all),
        cmocka_unit_test_setup_teardown(says_when_there_is_no_memory_or_no_key, open_all, close_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
