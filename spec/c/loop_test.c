/* layers: loop base */
#include "loop/loop.h"
#include "support/alloc_failure.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static struct mw_loop *loop;
static char order[64]; /* letters of what happened */

static void note(char letter) {
    size_t length = strlen(order);
    if (length < sizeof order - 1) {
        order[length] = letter;
        order[length + 1] = '\0';
    }
}

/* A loop that hangs ends the whole program instead of the patience of who waits. */
static int open_loop(void **state) {
    (void)state;
    alarm(30);
    order[0] = '\0';
    loop = mw_loop_new();
    return loop ? 0 : -1;
}

static int close_loop(void **state) {
    (void)state;
    alloc_failure_disarm();
    mw_loop_free(loop);
    return 0;
}

static double clock_now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static double cpu_now(void) {
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void stop(struct mw_timer *timer) {
    (void)timer;
    note('t');
    mw_loop_stop(loop);
}

static void only_note(struct mw_timer *timer) {
    (void)timer;
    note('t');
}

static void set_in(struct mw_timer *timer, double seconds) {
    assert_true(mw_timer_set(mw_loop_timers(loop), timer, mw_loop_now(loop) + seconds));
}

static void ends_when_nothing_is_left(void **state) {
    (void)state;
    mw_loop_run(loop);
    mw_loop_run(loop);
}

static void needs_memory(void **state) {
    (void)state;
    for (int nth = 1; nth <= 2; nth++) {
        alloc_failure_arm(nth);
        assert_null(mw_loop_new());
        assert_true(alloc_failure_disarm());
    }
}

static void the_clock_is_monotonic_seconds(void **state) {
    (void)state;
    double before = clock_now();
    double updated = mw_loop_update(loop);
    assert_true(updated >= before && updated <= clock_now());
    while (clock_now() == updated) {
    }
    assert_true(mw_loop_now(loop) == updated);
    assert_true(mw_loop_update(loop) > updated);
}

static double seen_now;

static void see_now(struct mw_timer *timer) {
    (void)timer;
    seen_now = mw_loop_now(loop);
    note('t');
}

static void a_timer_holds_the_loop_until_its_moment(void **state) {
    (void)state;
    struct mw_timer timer;
    mw_timer_init(&timer, see_now);
    mw_loop_update(loop);
    double due = mw_loop_now(loop) + 0.03;
    set_in(&timer, 0.03);
    mw_loop_run(loop);
    assert_string_equal(order, "t");
    assert_true(seen_now >= due);
    assert_true(seen_now <= clock_now());
}

static void count_tick(struct ev_loop *ev, ev_prepare *watcher, int events) {
    (void)ev;
    (void)events;
    ++*(unsigned *)watcher->data;
}

static void waiting_for_a_timer_is_sleep(void **state) {
    (void)state;
    unsigned ticks = 0;
    ev_prepare counter;
    ev_prepare_init(&counter, count_tick);
    counter.data = &ticks;
    ev_prepare_start(mw_loop_ev(loop), &counter);
    struct mw_timer timer;
    mw_timer_init(&timer, stop);
    mw_loop_update(loop);
    set_in(&timer, 0.1);
    double cpu = cpu_now();
    mw_loop_run(loop);
    assert_true(cpu_now() - cpu < 0.05);
    assert_true(ticks < 10);
    ev_prepare_stop(mw_loop_ev(loop), &counter);
}

static void timers_ring_in_order(void **state) {
    (void)state;
    struct mw_timer first, second;
    mw_timer_init(&first, only_note);
    mw_timer_init(&second, stop);
    set_in(&second, 0.02);
    set_in(&first, 0.01);
    mw_loop_run(loop);
    assert_string_equal(order, "tt");
    mw_timer_init(&first, only_note);
    set_in(&first, -10);
    mw_loop_run(loop);
    assert_string_equal(order, "ttt");
}

/* The tick took long, and its clock was read anew since it began. */
static void a_timer_set_after_an_update_keeps_its_moment(void **state) {
    (void)state;
    struct mw_timer timer;
    mw_timer_init(&timer, see_now);
    double begin = clock_now();
    while (clock_now() < begin + 0.02) {
    }
    double due = mw_loop_update(loop) + 0.02;
    set_in(&timer, 0.02);
    mw_loop_run(loop);
    assert_true(seen_now >= due);
    assert_string_equal(order, "t");
}

static void a_cleared_timer_does_not_hold_the_loop(void **state) {
    (void)state;
    struct mw_timer timer;
    mw_timer_init(&timer, only_note);
    set_in(&timer, 3600);
    mw_timer_clear(&timer);
    mw_loop_run(loop);
    set_in(&timer, 1800);
    mw_timer_remove(mw_loop_timers(loop), &timer);
    mw_loop_run(loop);
    assert_string_equal(order, "");
}

static struct mw_timer later;

static void clear_later(struct mw_timer *timer) {
    (void)timer;
    note('t');
    mw_timer_clear(&later);
}

static void the_loop_ends_with_the_last_timer_that_is_set(void **state) {
    (void)state;
    struct mw_timer timer;
    mw_timer_init(&timer, clear_later);
    mw_timer_init(&later, only_note);
    set_in(&later, 3600);
    set_in(&timer, 0.005);
    mw_loop_run(loop);
    assert_string_equal(order, "t");
    mw_timer_remove(mw_loop_timers(loop), &later);
}

static unsigned rounds; /* times that again rings, or the job runs, after the first */

static void again(struct mw_timer *timer) {
    note('t');
    if (rounds-- > 0) {
        set_in(timer, 0);
    }
}

static void a_timer_set_anew_to_now_rings_in_the_next_tick(void **state) {
    (void)state;
    struct mw_timer timer;
    unsigned ticks = 0;
    ev_prepare counter;
    ev_prepare_init(&counter, count_tick);
    counter.data = &ticks;
    ev_prepare_start(mw_loop_ev(loop), &counter);
    mw_timer_init(&timer, again);
    rounds = 3;
    set_in(&timer, 0);
    ev_unref(mw_loop_ev(loop));
    mw_loop_run(loop);
    ev_ref(mw_loop_ev(loop));
    assert_string_equal(order, "tttt");
    assert_true(ticks >= 4);
    ev_prepare_stop(mw_loop_ev(loop), &counter);
}

static void set_work(void (*run)(void *context), void *context) {
    static struct mw_work job;
    job.run = run;
    job.context = context;
    mw_loop_add_work(loop, &job);
}

static void work(void *context) {
    note(*(const char *)context);
    if (rounds > 0) {
        rounds--;
        mw_loop_wake(loop);
    }
}

static void the_job_runs_only_when_woken(void **state) {
    (void)state;
    rounds = 0;
    mw_loop_wake(loop);
    mw_loop_run(loop); /* no job yet: nothing to do, and no end without it */
    set_work(work, "w");
    mw_loop_run(loop);
    assert_string_equal(order, "");
    mw_loop_wake(loop);
    mw_loop_wake(loop);
    mw_loop_run(loop);
    assert_string_equal(order, "w");
}

static struct mw_work first, second, third;

static void leave(void *context) {
    note(*(const char *)context);
    mw_loop_remove_work(&first);
    mw_loop_remove_work(&third);
}

static void jobs_run_in_their_order_and_any_may_leave(void **state) {
    (void)state;
    first = (struct mw_work){.run = leave, .context = "1"};
    second = (struct mw_work){.run = work, .context = "2"};
    third = (struct mw_work){.run = work, .context = "3"};
    rounds = 1;
    mw_loop_add_work(loop, &first);
    mw_loop_add_work(loop, &third);
    mw_loop_add_work(loop, &second);
    mw_loop_wake(loop);
    mw_loop_run(loop);
    assert_string_equal(order, "122");
    mw_loop_remove_work(&second);
    mw_loop_wake(loop);
    mw_loop_run(loop);
    assert_string_equal(order, "122");
}

static void wake(struct mw_timer *timer) {
    (void)timer;
    note('t');
    mw_loop_wake(loop);
}

static void a_job_woken_by_the_last_timer_runs(void **state) {
    (void)state;
    struct mw_timer timer;
    mw_timer_init(&timer, wake);
    rounds = 2;
    set_work(work, "w");
    set_in(&timer, 0.001);
    mw_loop_run(loop);
    assert_string_equal(order, "twww");
}

static void a_woken_job_runs_before_the_loop_sleeps(void **state) {
    (void)state;
    struct mw_timer waker, stopper;
    mw_timer_init(&waker, wake);
    mw_timer_init(&stopper, stop);
    rounds = 3;
    set_work(work, "w");
    set_in(&waker, 0.001);
    set_in(&stopper, 0.05);
    mw_loop_run(loop);
    assert_string_equal(order, "twwwwt");
}

static void after_the_last_round_the_loop_sleeps(void **state) {
    (void)state;
    struct mw_timer stopper;
    unsigned ticks = 0;
    ev_prepare counter;
    ev_prepare_init(&counter, count_tick);
    counter.data = &ticks;
    ev_prepare_start(mw_loop_ev(loop), &counter);
    mw_timer_init(&stopper, stop);
    rounds = 3;
    set_work(work, "w");
    mw_loop_wake(loop);
    set_in(&stopper, 0.1);
    mw_loop_run(loop);
    assert_string_equal(order, "wwwwt");
    assert_true(ticks < 15);
    ev_prepare_stop(mw_loop_ev(loop), &counter);
}

static int ends[2];

static void open_pair(void) {
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
}

static void close_pair(void) {
    close(ends[0]);
    close(ends[1]);
}

static void read_byte(struct ev_loop *ev, ev_io *watcher, int events) {
    (void)events;
    char byte;
    assert_int_equal(read(watcher->fd, &byte, 1), 1);
    note(byte);
    if (byte == '.') {
        ev_io_stop(ev, watcher);
        mw_loop_stop(loop);
    }
}

static void work_for_ever(void *context) {
    (void)context;
    if (rounds-- == 0) {
        assert_int_equal(write(ends[1], ".", 1), 1);
    }
    mw_loop_wake(loop);
}

static void a_job_that_is_always_woken_lets_input_in(void **state) {
    (void)state;
    ev_io watcher;
    open_pair();
    ev_io_init(&watcher, read_byte, ends[0], EV_READ);
    ev_io_start(mw_loop_ev(loop), &watcher);
    rounds = 5;
    set_work(work_for_ever, NULL);
    mw_loop_wake(loop);
    mw_loop_run(loop);
    assert_string_equal(order, ".");
    close_pair();
}

/* A tick that comes late brings the input before it brings the timeout. */
static void input_comes_before_timers(void **state) {
    (void)state;
    ev_io watcher;
    struct mw_timer timer;
    open_pair();
    ev_io_init(&watcher, read_byte, ends[0], EV_READ);
    ev_io_start(mw_loop_ev(loop), &watcher);
    mw_timer_init(&timer, only_note);
    assert_int_equal(write(ends[1], ".", 1), 1);
    set_in(&timer, -1);
    mw_loop_run(loop);
    assert_string_equal(order, ".t");
    close_pair();
}

static void wake_at_last(struct ev_loop *ev, ev_io *watcher, int events) {
    read_byte(ev, watcher, events);
    ev_io_stop(ev, watcher);
    mw_loop_wake(loop);
}

/* The last input of a program wakes a task: it must still run. */
static void a_job_woken_by_the_last_input_runs(void **state) {
    (void)state;
    ev_io watcher;
    open_pair();
    ev_io_init(&watcher, wake_at_last, ends[0], EV_READ);
    ev_io_start(mw_loop_ev(loop), &watcher);
    assert_int_equal(write(ends[1], "i", 1), 1);
    rounds = 0;
    set_work(work, "w");
    mw_loop_run(loop);
    assert_string_equal(order, "iw");
    close_pair();
}

static double same_moment;

static void set_to_the_same_moment(struct mw_timer *timer) {
    if (order[0] == '\0') {
        assert_true(mw_timer_set(mw_loop_timers(loop), timer, same_moment));
    } else {
        mw_loop_stop(loop);
    }
    note('t');
}

static void note_ticks_after_the_first_ring(void *context) {
    (void)context;
    if (order[0] != '\0') {
        note('w');
    }
    mw_loop_wake(loop);
}

/* The alarm that rang is set again, even if the first moment is the one it rang for. */
static void a_timer_set_to_the_same_moment_rings_in_the_next_tick(void **state) {
    (void)state;
    struct mw_timer timer;
    mw_timer_init(&timer, set_to_the_same_moment);
    set_work(note_ticks_after_the_first_ring, NULL);
    mw_loop_wake(loop);
    same_moment = mw_loop_update(loop) + 0.05;
    assert_true(mw_timer_set(mw_loop_timers(loop), &timer, same_moment));
    mw_loop_run(loop);
    assert_string_equal(order, "twt");
}

static void stop_at_once(void *context) {
    (void)context;
    note('w');
    mw_loop_wake(loop);
    mw_loop_stop(loop);
}

static void stop_ends_a_run_whatever_is_left(void **state) {
    (void)state;
    struct mw_timer timer;
    mw_timer_init(&timer, only_note);
    set_in(&timer, 3600);
    set_work(stop_at_once, NULL);
    mw_loop_wake(loop);
    mw_loop_run(loop);
    assert_string_equal(order, "w");
    mw_loop_run(loop);
    assert_string_equal(order, "ww");
    mw_timer_remove(mw_loop_timers(loop), &timer);
}

static void a_stop_outside_of_a_run_is_forgotten(void **state) {
    (void)state;
    struct mw_timer timer;
    mw_timer_init(&timer, only_note);
    set_in(&timer, 0.001);
    mw_loop_stop(loop);
    mw_loop_run(loop);
    assert_string_equal(order, "t");
}

#define looped(test) cmocka_unit_test_setup_teardown(test, open_loop, close_loop)

int main(void) {
    const struct CMUnitTest tests[] = {
        looped(ends_when_nothing_is_left),
        looped(needs_memory),
        looped(the_clock_is_monotonic_seconds),
        looped(a_timer_holds_the_loop_until_its_moment),
        looped(waiting_for_a_timer_is_sleep),
        looped(timers_ring_in_order),
        looped(a_timer_set_after_an_update_keeps_its_moment),
        looped(a_cleared_timer_does_not_hold_the_loop),
        looped(the_loop_ends_with_the_last_timer_that_is_set),
        looped(a_timer_set_anew_to_now_rings_in_the_next_tick),
        looped(jobs_run_in_their_order_and_any_may_leave),
        looped(the_job_runs_only_when_woken),
        looped(a_job_woken_by_the_last_timer_runs),
        looped(a_job_woken_by_the_last_input_runs),
        looped(a_timer_set_to_the_same_moment_rings_in_the_next_tick),
        looped(a_woken_job_runs_before_the_loop_sleeps),
        looped(after_the_last_round_the_loop_sleeps),
        looped(a_job_that_is_always_woken_lets_input_in),
        looped(input_comes_before_timers),
        looped(stop_ends_a_run_whatever_is_left),
        looped(a_stop_outside_of_a_run_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
