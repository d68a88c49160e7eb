/* layers: loop base */
/* Alarms interrupt the thread that set them; the watchdog tells of a turn that does
 * not end, and lets a loop sleep that has nothing to do. */
#include "loop/alarm_linux.h"
#include "loop/watchdog_linux.h"
#include "support/alloc_failure.h"

#include "base/list.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

struct bell {
    struct mw_alarm alarm;
    volatile unsigned rung;
};

static void on_ring(struct mw_alarm *alarm) {
    mw_list_owner(alarm, struct bell, alarm)->rung++;
}

/* Seconds of sleep, whatever interrupts it. */
static void rest(double seconds) {
    double end = mw_alarm_now(MW_ALARM_WALL) + seconds;
    while (mw_alarm_now(MW_ALARM_WALL) < end) {
        usleep(1000);
    }
}

static void compute_until(const struct bell *bell, unsigned rung) {
    double end = mw_alarm_now(MW_ALARM_COMPUTING) + 10;
    while (bell->rung < rung && mw_alarm_now(MW_ALARM_COMPUTING) < end) {
    }
}

static void one_that_counts_computing_rings_for_that_alone(void **state) {
    struct bell bell = {.rung = 0};
    (void)state;
    assert_true(mw_alarm_init(&bell.alarm, MW_ALARM_COMPUTING, on_ring));
    double before = mw_alarm_now(MW_ALARM_COMPUTING);
    mw_alarm_set(&bell.alarm, 0.05);
    rest(0.3);
    double used = mw_alarm_now(MW_ALARM_COMPUTING) - before;
    assert_true(bell.rung <= (unsigned)(used / 0.05) + 1);
    compute_until(&bell, bell.rung + 3);
    assert_true(mw_alarm_now(MW_ALARM_COMPUTING) - before >= 0.1);
    mw_alarm_remove(&bell.alarm);
}

static void one_on_the_wall_rings_while_the_thread_sleeps(void **state) {
    struct bell bell = {.rung = 0};
    (void)state;
    assert_true(mw_alarm_init(&bell.alarm, MW_ALARM_WALL, on_ring));
    double before = mw_alarm_now(MW_ALARM_WALL);
    mw_alarm_set(&bell.alarm, 0.01);
    while (bell.rung < 5) {
        pause();
    }
    assert_true(mw_alarm_now(MW_ALARM_WALL) - before >= 0.04);
    mw_alarm_set(&bell.alarm, 0);
    unsigned rung = bell.rung;
    rest(0.05);
    assert_int_equal(bell.rung, rung);
    mw_alarm_set(&bell.alarm, 0.001);
    mw_alarm_remove(&bell.alarm);
    rung = bell.rung;
    rest(0.02);
    assert_int_equal(bell.rung, rung);
}

static void the_signal_sent_by_somebody_else_rings_nothing(void **state) {
    struct bell bell = {.rung = 0};
    (void)state;
    assert_true(mw_alarm_init(&bell.alarm, MW_ALARM_WALL, on_ring));
    raise(SIGRTMIN + 7);
    assert_int_equal(bell.rung, 0);
    mw_alarm_remove(&bell.alarm);
}

static void none_can_be_had_when_the_system_has_none(void **state) {
    struct bell bell = {.rung = 0};
    struct rlimit before, none = {.rlim_cur = 0};
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_SIGPENDING, &before), 0);
    none.rlim_max = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_SIGPENDING, &none), 0);
    bool made = mw_alarm_init(&bell.alarm, MW_ALARM_WALL, on_ring);
    struct mw_loop *loop = mw_loop_new();
    struct mw_watchdog *watchdog = mw_watchdog_new(loop, NULL, NULL);
    setrlimit(RLIMIT_SIGPENDING, &before);
    mw_watchdog_free(watchdog);
    mw_loop_free(loop);
    assert_false(made);
    assert_null(watchdog);
}

/* --- the watchdog --- */

static struct mw_loop *loop;
static struct mw_watchdog *watchdog;
static volatile unsigned told;
static volatile double told_seconds[8];

static void on_stuck(void *context, double seconds) {
    (void)context;
    if (told < 8) {
        told_seconds[told] = seconds;
    }
    told++;
}

static int open_watchdog(void **state) {
    (void)state;
    told = 0;
    loop = mw_loop_new();
    watchdog = loop ? mw_watchdog_new(loop, on_stuck, NULL) : NULL;
    return watchdog ? 0 : -1;
}

static int close_watchdog(void **state) {
    (void)state;
    mw_watchdog_free(watchdog);
    mw_loop_free(loop);
    return 0;
}

static double block_seconds, begun;
static unsigned turns;

static void on_due(struct mw_timer *timer) {
    (void)timer;
    begun = mw_alarm_now(MW_ALARM_WALL);
    rest(block_seconds);
    mw_loop_stop(loop);
}

static void run_with(double wait, double block) {
    struct mw_timer timer;
    block_seconds = block;
    mw_timer_init(&timer, on_due);
    mw_timer_set(mw_loop_timers(loop), &timer, mw_loop_update(loop) + wait);
    mw_loop_run(loop);
    mw_timer_remove(mw_loop_timers(loop), &timer);
}

static void a_turn_that_does_not_end_is_told_of(void **state) {
    (void)state;
    run_with(0, 3.2);
    assert_true(told >= 2);
    assert_true(told_seconds[0] == 1 && told_seconds[1] == 2);
    unsigned before = told;
    run_with(0, 0.1);
    assert_int_equal(told, before);
}

static void a_loop_that_slept_is_looked_after_again(void **state) {
    (void)state;
    run_with(1.7, 1.3);
    assert_true(told >= 1);
}

static void count_turn(void *context) {
    (void)context;
    turns++;
}

static void a_loop_that_waits_is_left_alone(void **state) {
    (void)state;
    run_with(1.2, 0); /* until the watchdog has looked away */
    unsigned before = mw_loop_turn(loop);
    static struct mw_work work = {.run = count_turn};
    mw_loop_add_work(loop, &work);
    run_with(1.6, 0);
    assert_int_equal(told, 0);
    assert_true(mw_loop_turn(loop) - before <= 5); /* those of the timer; a look each half second would be more */
}

static void memory_out(void **state) {
    (void)state;
    struct mw_loop *other = mw_loop_new();
    alloc_failure_arm(1);
    assert_null(mw_watchdog_new(other, on_stuck, NULL));
    alloc_failure_disarm();
    mw_loop_free(other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_counts_computing_rings_for_that_alone),
        cmocka_unit_test(one_on_the_wall_rings_while_the_thread_sleeps),
        cmocka_unit_test(the_signal_sent_by_somebody_else_rings_nothing),
        cmocka_unit_test(none_can_be_had_when_the_system_has_none),
        cmocka_unit_test_setup_teardown(a_turn_that_does_not_end_is_told_of, open_watchdog, close_watchdog),
        cmocka_unit_test_setup_teardown(a_loop_that_slept_is_looked_after_again, open_watchdog, close_watchdog),
        cmocka_unit_test_setup_teardown(a_loop_that_waits_is_left_alone, open_watchdog, close_watchdog),
        cmocka_unit_test(memory_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
