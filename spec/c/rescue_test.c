/* layers: base */
#include "base/rescue.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include <cmocka.h>

struct reading {
    const volatile char *place;
    int steps;
};

static void read_it(void *context) {
    struct reading *reading = context;
    reading->steps = 1;
    (void)*reading->place;
    reading->steps = 2;
}

/* A page that nobody may read. */
static const volatile char *hole(void) {
    char *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(page != MAP_FAILED);
    return page;
}

static void what_can_be_read_is_read_to_its_end(void **state) {
    (void)state;
    struct reading reading = {.place = "x"};
    assert_true(mw_rescue(read_it, &reading));
    assert_int_equal(reading.steps, 2);
}

static void reading_what_is_not_there_is_left(void **state) {
    (void)state;
    struct reading reading = {.place = hole()};
    for (int round = 0; round < 3; round++) {
        assert_false(mw_rescue(read_it, &reading));
        assert_int_equal(reading.steps, 1);
    }
}

static void in_signal_handler(int number) {
    (void)number;
    struct reading reading = {.place = hole()};
    assert_false(mw_rescue(read_it, &reading));
}

static void it_works_in_a_signal_handler(void **state) {
    (void)state;
    struct sigaction action = {.sa_handler = in_signal_handler}, before;
    sigemptyset(&action.sa_mask);
    sigaction(SIGUSR1, &action, &before);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(raise(SIGUSR1), 0);
    }
    sigaction(SIGUSR1, &before, NULL);
}

static void handler_of_others(int number) {
    (void)number;
}

static void who_handled_faults_before_does_so_afterwards(void **state) {
    (void)state;
    struct sigaction theirs = {.sa_handler = handler_of_others}, before, after;
    struct reading reading = {.place = hole()};
    sigemptyset(&theirs.sa_mask);
    sigaction(SIGSEGV, &theirs, &before);
    assert_false(mw_rescue(read_it, &reading));
    sigaction(SIGSEGV, &before, &after);
    assert_true(after.sa_handler == handler_of_others);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_can_be_read_is_read_to_its_end),
        cmocka_unit_test(reading_what_is_not_there_is_left),
        cmocka_unit_test(it_works_in_a_signal_handler),
        cmocka_unit_test(who_handled_faults_before_does_so_afterwards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
