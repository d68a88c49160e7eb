/* layers: loop base */
#include "loop/timer.h"
#include "support/alloc_failure.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { ALARMS = 200 };

struct alarm {
    struct mw_timer timer;
    double set_to; /* for what the test wants to remember */
    unsigned rings;
};

static struct mw_timers *timers;
static struct alarm alarms[ALARMS];
static char order[64]; /* the letters of the alarms that rang: 'a' for the first */
static double next;    /* what on_next said last */
static unsigned next_calls;

static void note_next(void *context, double moment) {
    assert_ptr_equal(context, &next);
    next = moment;
    next_calls++;
}

static void ring(struct mw_timer *timer) {
    struct alarm *alarm = (struct alarm *)timer;
    assert_true(timer->due == MW_TIMER_NEVER);
    alarm->rings++;
    size_t length = strlen(order);
    if (length < sizeof order - 1) {
        order[length] = (char)('a' + (alarm - alarms));
        order[length + 1] = '\0';
    }
}

static int open_timers(void **state) {
    (void)state;
    memset(alarms, 0, sizeof alarms);
    for (size_t i = 0; i < ALARMS; i++) {
        mw_timer_init(&alarms[i].timer, ring);
    }
    order[0] = '\0';
    next = -1;
    next_calls = 0;
    timers = mw_timers_new(note_next, &next);
    return timers ? 0 : -1;
}

static int close_timers(void **state) {
    (void)state;
    alloc_failure_disarm();
    mw_timers_free(timers);
    return 0;
}

static void set(size_t index, double due) {
    assert_true(mw_timer_set(timers, &alarms[index].timer, due));
}

static void assert_rings(double now, const char *expected) {
    order[0] = '\0';
    mw_timers_run(timers, now);
    assert_string_equal(order, expected);
}

static void ring_in_order_of_moment(void **state) {
    (void)state;
    set(0, 5);
    set(1, 1);
    set(2, 3.5);
    set(3, 2);
    assert_int_equal(mw_timers_count(timers), 4);
    assert_rings(0.999, "");
    assert_rings(2, "bd");
    assert_rings(100, "ca");
    assert_rings(1000, "");
    assert_int_equal(mw_timers_count(timers), 0);
    assert_false(mw_timers_pending(timers));
}

static void tells_the_first_moment(void **state) {
    (void)state;
    set(0, 5);
    assert_true(next == 5);
    set(1, 7);
    assert_int_equal(next_calls, 1);
    set(1, 3);
    assert_true(next == 3);
    assert_int_equal(next_calls, 2);
    mw_timers_run(timers, 3);
    assert_true(next == 5);
    mw_timers_run(timers, 4);
    assert_int_equal(next_calls, 4);
    assert_true(next == 5);
    mw_timers_run(timers, 5);
    assert_true(next == MW_TIMER_NEVER);
}

static void later_is_noticed_when_the_old_moment_passes(void **state) {
    (void)state;
    set(0, 1);
    uint32_t place = alarms[0].timer.place;
    set(0, 2);
    set(0, 3);
    assert_int_equal(alarms[0].timer.place, place);
    assert_int_equal(next_calls, 1);
    assert_rings(2.5, "");
    assert_true(next == 3);
    assert_rings(3, "a");
}

static void later_needs_no_memory(void **state) {
    (void)state;
    set(0, 1);
    alloc_failure_arm(1);
    set(0, 2);
    mw_timer_clear(&alarms[0].timer);
    set(0, 1.5);
    set(0, 0.5);
    assert_false(alloc_failure_disarm());
    assert_rings(0.5, "a");
}

static void moved_ones_still_ring_in_order(void **state) {
    (void)state;
    set(0, 1);
    set(1, 2);
    set(0, 3);
    assert_rings(10, "ba");
}

static void earlier_counts_at_once(void **state) {
    (void)state;
    set(0, 5);
    set(1, 4);
    set(0, 1);
    assert_true(next == 1);
    assert_rings(1, "a");
    assert_rings(4, "b");
}

static void cleared_ones_do_not_ring(void **state) {
    (void)state;
    set(0, 1);
    set(1, 2);
    mw_timer_clear(&alarms[0].timer);
    assert_int_equal(mw_timers_count(timers), 1);
    assert_true(mw_timers_pending(timers));
    assert_rings(1, "");
    assert_int_equal(alarms[0].timer.place, 0);
    assert_true(next == 2);
    mw_timer_clear(&alarms[1].timer);
    assert_false(mw_timers_pending(timers));
    assert_rings(2, "");
    assert_true(next == MW_TIMER_NEVER);
}

static void cleared_ones_can_be_set_again(void **state) {
    (void)state;
    set(0, 5);
    mw_timer_clear(&alarms[0].timer);
    set(0, 7);
    assert_int_equal(next_calls, 1);
    mw_timer_clear(&alarms[0].timer);
    set(0, 2);
    assert_true(next == 2);
    assert_rings(2, "a");
}

static void never_is_a_clear(void **state) {
    (void)state;
    alloc_failure_arm(1);
    set(0, MW_TIMER_NEVER);
    assert_false(alloc_failure_disarm());
    assert_int_equal(alarms[0].timer.place, 0);
    set(0, 1);
    set(0, MW_TIMER_NEVER);
    assert_rings(10, "");
}

static void removed_ones_are_forgotten(void **state) {
    (void)state;
    for (size_t i = 0; i < 20; i++) {
        set(i, 1 + (double)(i * 7 % 20));
    }
    for (size_t i = 0; i < 20; i += 2) {
        mw_timer_remove(timers, &alarms[i].timer);
        assert_int_equal(alarms[i].timer.place, 0);
        mw_timer_remove(timers, &alarms[i].timer);
    }
    assert_int_equal(mw_timers_count(timers), 10);
    memset(&alarms[0].timer, 0xff, sizeof alarms[0].timer);
    assert_rings(100, "djpbhntflr");
}

static void moments_before_zero_and_equal_ones(void **state) {
    (void)state;
    set(0, -5);
    set(1, -HUGE_VAL);
    set(2, -5);
    assert_true(next == -HUGE_VAL);
    assert_rings(-6, "b");
    mw_timers_run(timers, -5);
    assert_int_equal(alarms[0].rings, 1);
    assert_int_equal(alarms[2].rings, 1);
}

/* Sets itself anew, to what `set_to` says. */
static void ring_and_set(struct mw_timer *timer) {
    ring(timer);
    assert_true(mw_timer_set(timers, timer, ((struct alarm *)timer)->set_to));
}

static void set_from_within_to_the_past_waits_for_the_next_run(void **state) {
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        mw_timer_init(&alarms[i].timer, ring_and_set);
    }
    alarms[0].set_to = 9;
    alarms[1].set_to = 10;
    alarms[2].set_to = 8;
    set(0, 1);
    set(1, 2);
    set(2, 3);
    assert_rings(10, "abc");
    assert_true(next == 8);
    assert_int_equal(mw_timers_count(timers), 3);
    assert_rings(10, "cab");
}

static void set_from_within_to_later_waits_for_its_moment(void **state) {
    (void)state;
    mw_timer_init(&alarms[0].timer, ring_and_set);
    alarms[0].set_to = 10.5;
    set(0, 1);
    assert_rings(10, "a");
    assert_true(next == 10.5);
    assert_int_equal(next_calls, 2); /* for the first set, and after the run */
    assert_rings(10.25, "");
    assert_rings(10.5, "a");
}

/* What alarm 0 does to alarm 1, which is due in the same run, when it rings. */
static void (*action)(struct mw_timer *other);

static void ring_and_act(struct mw_timer *timer) {
    ring(timer);
    action(&alarms[1].timer);
}

static void act_in_run(void (*what)(struct mw_timer *other), const char *expected) {
    action = what;
    mw_timer_init(&alarms[0].timer, ring_and_act);
    set(0, 1);
    set(1, 2);
    set(2, 3);
    assert_rings(10, expected);
}

static void remove_it(struct mw_timer *other) {
    mw_timer_remove(timers, other);
}

static void set_it_to_the_past(struct mw_timer *other) {
    assert_true(mw_timer_set(timers, other, 2.5));
}

static void set_it_to_the_past_and_clear(struct mw_timer *other) {
    set_it_to_the_past(other);
    mw_timer_clear(other);
}

static void set_it_to_the_past_and_later(struct mw_timer *other) {
    set_it_to_the_past(other);
    assert_true(mw_timer_set(timers, other, 11));
}

static void set_it_to_the_past_and_clear_and_set(struct mw_timer *other) {
    set_it_to_the_past_and_clear(other);
    assert_true(mw_timer_set(timers, other, 11));
}

static void set_two_to_the_past_and_remove_one(struct mw_timer *other) {
    set_it_to_the_past(other);
    set_it_to_the_past(&alarms[3].timer);
    set_it_to_the_past(other);
    assert_int_equal(mw_timers_count(timers), 3);
    mw_timer_remove(timers, other);
    mw_timer_remove(timers, other);
}

static void others_removed_from_within(void **state) {
    (void)state;
    act_in_run(remove_it, "ac");
    assert_rings(20, "");
}

static void others_cleared_from_within(void **state) {
    (void)state;
    act_in_run(mw_timer_clear, "ac");
    assert_rings(20, "");
}

static void others_set_to_the_past_from_within(void **state) {
    (void)state;
    act_in_run(set_it_to_the_past, "ac");
    assert_true(next == 2.5);
    assert_rings(10, "b");
}

static void others_set_to_the_past_and_cleared(void **state) {
    (void)state;
    act_in_run(set_it_to_the_past_and_clear, "ac");
    assert_true(next == MW_TIMER_NEVER);
    assert_int_equal(alarms[1].timer.place, 0);
}

static void others_set_to_the_past_and_later(void **state) {
    (void)state;
    act_in_run(set_it_to_the_past_and_later, "ac");
    assert_true(next == 11);
    assert_rings(11, "b");
}

static void others_set_to_the_past_and_cleared_and_set(void **state) {
    (void)state;
    act_in_run(set_it_to_the_past_and_clear_and_set, "ac");
    assert_true(next == 11);
    assert_rings(11, "b");
}

/* Each ring also sets one that was in no heap, to a moment ahead. */
static void ring_and_set_two(struct mw_timer *timer) {
    struct alarm *alarm = (struct alarm *)timer;
    ring_and_set(timer);
    if (alarm->rings == 1) {
        set((size_t)(alarm - alarms) + ALARMS / 2, 20);
    }
}

static void there_is_room_for_all_that_is_set_from_within(void **state) {
    (void)state;
    for (size_t i = 0; i < ALARMS / 2; i++) {
        mw_timer_init(&alarms[i].timer, ring_and_set_two);
        set(i, 1);
    }
    mw_timers_run(timers, 10);
    assert_int_equal(mw_timers_count(timers), ALARMS);
    mw_timers_run(timers, 10);
    assert_int_equal(mw_timers_count(timers), ALARMS);
    for (size_t i = 0; i < ALARMS; i++) {
        assert_int_equal(alarms[i].rings, i < ALARMS / 2 ? 2 : 0);
    }
}

static void others_set_to_the_past_and_removed(void **state) {
    (void)state;
    act_in_run(set_two_to_the_past_and_remove_one, "ac");
    assert_int_equal(mw_timers_count(timers), 1);
    assert_rings(10, "d");
}

static void failure_leaves_the_timer_as_it_was(void **state) {
    (void)state;
    alloc_failure_arm(1);
    assert_false(mw_timer_set(timers, &alarms[0].timer, 1));
    assert_true(alloc_failure_disarm());
    assert_true(alarms[0].timer.due == MW_TIMER_NEVER);
    assert_int_equal(alarms[0].timer.place, 0);
    assert_int_equal(next_calls, 0);
    size_t held = 0;
    for (alloc_failure_arm(2); mw_timer_set(timers, &alarms[held].timer, (double)held); held++) {
    }
    assert_true(alloc_failure_disarm());
    assert_int_equal(mw_timers_count(timers), held);
    set(held, (double)held);
    mw_timers_run(timers, ALARMS);
    for (size_t i = 0; i <= held; i++) {
        assert_int_equal(alarms[i].rings, 1);
    }
    alloc_failure_arm(1);
    assert_null(mw_timers_new(note_next, &next));
}

static void fail_to_set_it_to_the_past(struct mw_timer *other) {
    alloc_failure_arm(1);
    assert_false(mw_timer_set(timers, other, 2.5));
    assert_true(alloc_failure_disarm());
    assert_true(other->due == 2);
}

static void failure_within_a_run(void **state) {
    (void)state;
    act_in_run(fail_to_set_it_to_the_past, "abc");
}

static double run_now, last_moment; /* of the run that is going on */

static void ring_in_turn(struct mw_timer *timer) {
    struct alarm *alarm = (struct alarm *)timer;
    assert_true(alarm->set_to <= run_now);
    assert_true(alarm->set_to >= last_moment);
    last_moment = alarm->set_to;
    alarm->set_to = MW_TIMER_NEVER;
    alarm->rings++;
}

static unsigned random_number(unsigned below) {
    static uint32_t seed = 20261122;
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % below;
}

/* One random change; `set_to` is the model. */
static void change_one(double now) {
    struct alarm *alarm = &alarms[random_number(ALARMS)];
    switch (random_number(6)) {
    case 0:
        mw_timer_clear(&alarm->timer);
        alarm->set_to = MW_TIMER_NEVER;
        break;
    case 1:
        mw_timer_remove(timers, &alarm->timer);
        alarm->set_to = MW_TIMER_NEVER;
        break;
    default:
        alarm->set_to = now + random_number(50);
        assert_true(mw_timer_set(timers, &alarm->timer, alarm->set_to));
    }
}

/* Nothing that should have rung is left, and the heap knows as many as the model. */
static void assert_agrees_with_model(double now) {
    size_t waiting = 0;
    double first = MW_TIMER_NEVER;
    for (size_t i = 0; i < ALARMS; i++) {
        assert_true(alarms[i].set_to > now);
        assert_true(alarms[i].timer.due == alarms[i].set_to);
        waiting += alarms[i].set_to < MW_TIMER_NEVER;
        first = alarms[i].set_to < first ? alarms[i].set_to : first;
    }
    assert_int_equal(mw_timers_count(timers), waiting);
    assert_int_equal(mw_timers_pending(timers), waiting > 0);
    assert_true(next <= first);
}

static void random_changes_agree_with_a_model(void **state) {
    (void)state;
    unsigned rings = 0;
    for (size_t i = 0; i < ALARMS; i++) {
        mw_timer_init(&alarms[i].timer, ring_in_turn);
        alarms[i].set_to = MW_TIMER_NEVER;
    }
    for (int round = 0; round < 500; round++) {
        run_now = round;
        for (int i = 0; i < 40; i++) {
            change_one(run_now);
        }
        last_moment = -1;
        mw_timers_run(timers, run_now);
        assert_agrees_with_model(run_now);
    }
    for (size_t i = 0; i < ALARMS; i++) {
        rings += alarms[i].rings;
    }
    assert_true(rings > 1000);
}

#define timed(test) cmocka_unit_test_setup_teardown(test, open_timers, close_timers)

int main(void) {
    const struct CMUnitTest tests[] = {
        timed(ring_in_order_of_moment),
        timed(tells_the_first_moment),
        timed(later_is_noticed_when_the_old_moment_passes),
        timed(later_needs_no_memory),
        timed(moved_ones_still_ring_in_order),
        timed(earlier_counts_at_once),
        timed(cleared_ones_do_not_ring),
        timed(cleared_ones_can_be_set_again),
        timed(never_is_a_clear),
        timed(removed_ones_are_forgotten),
        timed(moments_before_zero_and_equal_ones),
        timed(set_from_within_to_the_past_waits_for_the_next_run),
        timed(set_from_within_to_later_waits_for_its_moment),
        timed(others_removed_from_within),
        timed(others_cleared_from_within),
        timed(others_set_to_the_past_from_within),
        timed(others_set_to_the_past_and_cleared),
        timed(others_set_to_the_past_and_later),
        timed(others_set_to_the_past_and_cleared_and_set),
        timed(others_set_to_the_past_and_removed),
        timed(there_is_room_for_all_that_is_set_from_within),
        timed(failure_leaves_the_timer_as_it_was),
        timed(failure_within_a_run),
        timed(random_changes_agree_with_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
