/* layers: loop base */
#include "loop/signal.h"
#include "support/alloc_failure.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct mw_loop *loop;
static int arrived[8];          /* the numbers, in order of arrival */
static size_t arrivals, enough; /* the loop stops after enough of them */

static int open_loop(void **state) {
    (void)state;
    alarm(30);
    arrivals = 0;
    enough = 1;
    loop = mw_loop_new();
    return loop ? 0 : -1;
}

static int close_loop(void **state) {
    (void)state;
    alloc_failure_disarm();
    mw_loop_free(loop);
    return 0;
}

static void on_signal(void *context, int number) {
    assert_ptr_equal(context, arrived);
    assert_true(arrivals < sizeof arrived / sizeof *arrived);
    arrived[arrivals++] = number;
    if (arrivals == enough) {
        mw_loop_stop(loop);
    }
}

static struct mw_signal *watch(int number) {
    struct mw_signal *signal = mw_signal_watch(loop, number, on_signal, arrived);
    assert_non_null(signal);
    return signal;
}

static void send_self(int number) {
    assert_int_equal(kill(getpid(), number), 0);
}

static void give_up(struct mw_timer *timer) {
    (void)timer;
    mw_loop_stop(loop);
}

/* Runs until `enough` arrived; a timer holds the loop meanwhile, since signals do not. */
static void run(void) {
    struct mw_timer timer;
    mw_timer_init(&timer, give_up);
    assert_true(mw_timer_set(mw_loop_timers(loop), &timer, mw_loop_update(loop) + 10));
    mw_loop_run(loop);
    mw_timer_remove(mw_loop_timers(loop), &timer);
}

static void an_arrival_is_a_call(void **state) {
    (void)state;
    struct mw_signal *signal = watch(SIGUSR1);
    send_self(SIGUSR1);
    assert_int_equal(arrivals, 0);
    run();
    assert_int_equal(arrivals, 1);
    assert_int_equal(arrived[0], SIGUSR1);
    send_self(SIGUSR1);
    enough = 2;
    run();
    assert_int_equal(arrivals, 2);
    mw_signal_unwatch(signal);
}

static void several_watch_one_number(void **state) {
    (void)state;
    struct mw_signal *one = watch(SIGUSR1), *two = watch(SIGUSR1), *other = watch(SIGUSR2);
    enough = 2;
    send_self(SIGUSR1);
    run();
    assert_int_equal(arrivals, 2);
    assert_int_equal(arrived[0], SIGUSR1);
    assert_int_equal(arrived[1], SIGUSR1);
    mw_signal_unwatch(one);
    enough = 3;
    send_self(SIGUSR1);
    run();
    assert_int_equal(arrivals, 3);
    mw_signal_unwatch(two);
    mw_signal_unwatch(other);
}

static void does_not_hold_the_loop(void **state) {
    (void)state;
    struct mw_signal *signal = watch(SIGUSR1);
    mw_loop_run(loop);
    assert_int_equal(arrivals, 0);
    mw_signal_unwatch(signal);
    mw_loop_run(loop);
}

static struct mw_signal *pair[2];

static void unwatch_both(void *context, int number) {
    on_signal(context, number);
    mw_signal_unwatch(pair[0]);
    mw_signal_unwatch(pair[1]);
    mw_loop_stop(loop);
}

static void unwatched_from_within(void **state) {
    (void)state;
    enough = 0;
    pair[0] = mw_signal_watch(loop, SIGUSR1, unwatch_both, arrived);
    pair[1] = mw_signal_watch(loop, SIGUSR1, unwatch_both, arrived);
    send_self(SIGUSR1);
    run();
    assert_int_equal(arrivals, 1);
    mw_loop_run(loop);
}

static void an_inherited_mask_does_not_hold_it_back(void **state) {
    (void)state;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    assert_int_equal(sigprocmask(SIG_BLOCK, &set, NULL), 0);
    send_self(SIGUSR2);
    struct mw_signal *signal = watch(SIGUSR2);
    run();
    assert_int_equal(arrivals, 1);
    mw_signal_unwatch(signal);
}

static void the_default_action_returns(void **state) {
    (void)state;
    struct sigaction action;
    struct mw_signal *signal = watch(SIGUSR1);
    assert_int_equal(sigaction(SIGUSR1, NULL, &action), 0);
    assert_true(action.sa_handler != SIG_DFL);
    mw_signal_unwatch(signal);
    assert_int_equal(sigaction(SIGUSR1, NULL, &action), 0);
    assert_true(action.sa_handler == SIG_DFL);
    mw_signal_unwatch(NULL);
}

static void what_cannot_be_caught_is_refused(void **state) {
    (void)state;
    static const int numbers[] = {SIGKILL, SIGSTOP, SIGSEGV, 0, -1, 1000};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        errno = 0;
        assert_null(mw_signal_watch(loop, numbers[i], on_signal, arrived));
        assert_int_equal(errno, EINVAL);
    }
}

static void needs_memory(void **state) {
    (void)state;
    alloc_failure_arm(1);
    assert_null(mw_signal_watch(loop, SIGUSR1, on_signal, arrived));
    assert_int_equal(errno, ENOMEM);
    assert_true(alloc_failure_disarm());
}

static void names_and_numbers(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int number;
    } known[] = {
        {"hup", SIGHUP},   {"int", SIGINT},   {"quit", SIGQUIT},   {"usr1", SIGUSR1}, {"usr2", SIGUSR2},
        {"term", SIGTERM}, {"chld", SIGCHLD}, {"winch", SIGWINCH}, {"cont", SIGCONT}, {"tstp", SIGTSTP},
        {"ttin", SIGTTIN}, {"ttou", SIGTTOU}, {"alrm", SIGALRM},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        assert_int_equal(mw_signal_number(known[i].name), known[i].number);
        assert_string_equal(mw_signal_name(known[i].number), known[i].name);
    }
    assert_int_equal(mw_signal_number("SIGTERM"), SIGTERM);
    assert_int_equal(mw_signal_number("Term"), SIGTERM);
    static const char *const unknown[] = {"", "sig", "kill", "SIGSTOP", "sigsigterm", "terminate", "15"};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        assert_int_equal(mw_signal_number(unknown[i]), 0);
    }
    assert_null(mw_signal_name(SIGKILL));
    assert_null(mw_signal_name(0));
}

#define looped(test) cmocka_unit_test_setup_teardown(test, open_loop, close_loop)

int main(void) {
    const struct CMUnitTest tests[] = {
        looped(an_arrival_is_a_call),
        looped(several_watch_one_number),
        looped(does_not_hold_the_loop),
        looped(unwatched_from_within),
        looped(an_inherited_mask_does_not_hold_it_back),
        looped(the_default_action_returns),
        looped(what_cannot_be_caught_is_refused),
        looped(needs_memory),
        looped(names_and_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
