/* layers: loop base */
/* wrap: pthread_create */
#include "loop/pool.h"
#include "support/alloc_failure.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { THREADS = 3, QUEUE = 8, MANY = 2000 };

/* A job that notes what became of it. Once it is `held`, its thread waits until
 * the gate is posted. */
struct errand {
    struct mw_pool_job job;
    struct errand *next; /* submitted by `done` of this one */
    bool held, keeps_looking;
    int works, dones;
    pthread_t thread;
    sigset_t mask;
};

static struct mw_loop *loop;
static struct mw_pool *pool;
static sem_t gate, entered;
static int create_error; /* of pthread_create from now on; 0: none */
static int handed_back;

int wrapped_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                   void *context) __asm__("__wrap_pthread_create");
int libc_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                void *context) __asm__("__real_pthread_create");

int wrapped_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *context) {
    return create_error ? create_error : libc_create(thread, attributes, run, context);
}

static void work(struct mw_pool_job *job) {
    struct errand *errand = (struct errand *)job;
    errand->works++;
    errand->thread = pthread_self();
    pthread_sigmask(SIG_BLOCK, NULL, &errand->mask);
    if (errand->held) {
        sem_post(&entered);
        sem_wait(&gate);
    }
    while (errand->keeps_looking && !mw_pool_job_is_unwanted(job)) {
        usleep(100);
    }
}

static void done(struct mw_pool_job *job) {
    struct errand *errand = (struct errand *)job;
    errand->dones++;
    handed_back++;
    assert_true(errand->works == errand->dones);
    assert_false(pthread_equal(errand->thread, pthread_self()));
    if (errand->next) {
        assert_int_equal(mw_pool_submit(pool, &errand->next->job), 0);
    }
}

static struct errand errand_new(void) {
    return (struct errand){.job = {.work = work, .done = done}};
}

static void submit(struct errand *errand) {
    assert_int_equal(mw_pool_submit(pool, &errand->job), 0);
}

static int threads(void) {
    int count = -2; /* "." and ".." */
    DIR *folder = opendir("/proc/self/task");
    assert_non_null(folder);
    while (readdir(folder)) {
        count++;
    }
    closedir(folder);
    return count;
}

static int threads_before;

static int open_pool(void **state) {
    (void)state;
    alarm(60);
    create_error = handed_back = 0;
    sem_init(&gate, 0, 0);
    sem_init(&entered, 0, 0);
    loop = mw_loop_new();
    pool = mw_pool_new(loop, THREADS, QUEUE);
    threads_before = threads();
    return loop && pool ? 0 : -1;
}

static int close_pool(void **state) {
    (void)state;
    mw_pool_free(pool);
    mw_loop_free(loop);
    sem_destroy(&gate);
    sem_destroy(&entered);
    return 0;
}

static void wait_entered(int count) {
    while (count-- > 0) {
        sem_wait(&entered);
    }
}

static void open_gate(int count) {
    while (count-- > 0) {
        sem_post(&gate);
    }
}

static void a_job_is_worked_off_elsewhere_and_handed_back_here(void **state) {
    (void)state;
    struct errand errand = errand_new();
    submit(&errand);
    mw_loop_run(loop); /* ends with it */
    assert_int_equal(errand.works, 1);
    assert_int_equal(errand.dones, 1);
    submit(&errand);
    mw_loop_run(loop);
    assert_int_equal(errand.dones, 2);
}

static void an_idle_pool_neither_holds_the_loop_nor_has_threads(void **state) {
    (void)state;
    mw_loop_run(loop);
    assert_int_equal(threads(), threads_before);
}

static void threads_are_as_many_as_needed_and_no_more(void **state) {
    (void)state;
    struct errand errands[THREADS + 2];
    for (int i = 0; i < THREADS + 2; i++) {
        errands[i] = errand_new();
        errands[i].held = true;
        submit(&errands[i]);
    }
    wait_entered(THREADS);
    assert_int_equal(threads(), threads_before + THREADS);
    assert_int_equal(sem_trywait(&entered), -1);
    open_gate(THREADS + 2);
    mw_loop_run(loop);
    assert_int_equal(handed_back, THREADS + 2);
}

static void signals_are_not_for_the_threads(void **state) {
    (void)state;
    struct errand errand = errand_new();
    sigset_t before, after;
    pthread_sigmask(SIG_BLOCK, NULL, &before);
    submit(&errand);
    pthread_sigmask(SIG_BLOCK, NULL, &after);
    mw_loop_run(loop);
    for (int number = 1; number <= SIGRTMAX; number++) {
        bool is_blockable = number != SIGKILL && number != SIGSTOP && (number < 32 || number >= SIGRTMIN);
        assert_int_equal(sigismember(&errand.mask, number) == 1, is_blockable);
        assert_int_equal(sigismember(&before, number), sigismember(&after, number));
    }
}

static void what_has_not_begun_can_be_taken_back(void **state) {
    (void)state;
    struct errand held[THREADS], errand = errand_new();
    for (int i = 0; i < THREADS; i++) {
        held[i] = errand_new();
        held[i].held = true;
        submit(&held[i]);
    }
    wait_entered(THREADS);
    submit(&errand);
    assert_true(mw_pool_take_back(pool, &errand.job));
    open_gate(THREADS);
    mw_loop_run(loop);
    assert_int_equal(handed_back, THREADS);
    assert_int_equal(errand.works, 0);
    submit(&errand);
    mw_loop_run(loop);
    assert_int_equal(errand.dones, 1);
}

static void the_last_that_is_taken_back_releases_the_loop(void **state) {
    (void)state;
    struct errand errand = errand_new();
    for (int i = 0; i < 200; i++) { /* sometimes in time, sometimes too late */
        int before = errand.dones;
        submit(&errand);
        bool taken = mw_pool_take_back(pool, &errand.job);
        mw_loop_run(loop);
        assert_int_equal(errand.dones, before + !taken);
    }
}

static void what_runs_learns_that_nobody_wants_it(void **state) {
    (void)state;
    struct errand errand = errand_new();
    errand.held = errand.keeps_looking = true;
    submit(&errand);
    wait_entered(1);
    assert_false(mw_pool_take_back(pool, &errand.job));
    open_gate(1);
    mw_loop_run(loop);
    assert_int_equal(errand.dones, 1);
}

static void a_full_queue_refuses(void **state) {
    (void)state;
    struct errand errands[THREADS + QUEUE], refused = errand_new();
    for (int i = 0; i < THREADS + QUEUE; i++) {
        errands[i] = errand_new();
        errands[i].held = i < THREADS;
        submit(&errands[i]);
        if (i < THREADS) {
            wait_entered(1);
        }
    }
    assert_int_equal(mw_pool_submit(pool, &refused.job), EAGAIN);
    assert_true(mw_pool_take_back(pool, &errands[THREADS].job));
    submit(&refused);
    open_gate(THREADS);
    mw_loop_run(loop);
    assert_int_equal(handed_back, THREADS + QUEUE);
    assert_int_equal(refused.dones, 1);
}

static void done_may_submit(void **state) {
    (void)state;
    struct errand first = errand_new(), second = errand_new();
    first.next = &second;
    submit(&first);
    mw_loop_run(loop);
    assert_int_equal(second.dones, 1);
}

static void the_end_waits_for_what_was_submitted(void **state) {
    (void)state;
    struct errand errands[THREADS + 2];
    for (int i = 0; i < THREADS + 2; i++) {
        errands[i] = errand_new();
        errands[i].held = true;
        submit(&errands[i]);
    }
    open_gate(THREADS + 2);
    mw_pool_free(pool);
    pool = NULL;
    assert_int_equal(handed_back, THREADS + 2);
    while (threads() > threads_before) { /* the kernel takes a moment to forget one that was joined */
        usleep(1000);
    }
}

static void without_a_thread_it_refuses(void **state) {
    (void)state;
    struct errand errand = errand_new(), other = errand_new();
    create_error = EAGAIN;
    assert_int_equal(mw_pool_submit(pool, &errand.job), EAGAIN);
    mw_loop_run(loop);
    assert_int_equal(errand.works, 0);
    create_error = 0;
    errand.held = true;
    submit(&errand);
    wait_entered(1);
    create_error = EAGAIN; /* one there is will do */
    submit(&other);
    open_gate(1);
    mw_loop_run(loop);
    assert_int_equal(handed_back, 2);
}

static int left;

static void submit_again(struct mw_pool_job *job) {
    struct errand *errand = (struct errand *)job;
    errand->dones++;
    if (left > 0) {
        left--;
        assert_int_equal(mw_pool_submit(pool, job), 0);
    }
}

static void many_are_each_handed_back_once(void **state) {
    (void)state;
    struct errand errands[QUEUE];
    int works = 0, dones = 0;
    left = MANY - QUEUE;
    for (int i = 0; i < QUEUE; i++) {
        errands[i] = (struct errand){.job = {.work = work, .done = submit_again}};
        submit(&errands[i]);
    }
    mw_loop_run(loop);
    for (int i = 0; i < QUEUE; i++) {
        works += errands[i].works;
        dones += errands[i].dones;
    }
    assert_int_equal(works, MANY);
    assert_int_equal(dones, MANY);
}

static void needs_memory(void **state) {
    (void)state;
    alloc_failure_arm(1);
    assert_null(mw_pool_new(loop, THREADS, QUEUE));
    assert_true(alloc_failure_disarm());
    mw_pool_free(NULL);
}

#define pooled(test) cmocka_unit_test_setup_teardown(test, open_pool, close_pool)

int main(void) {
    const struct CMUnitTest tests[] = {
        pooled(a_job_is_worked_off_elsewhere_and_handed_back_here),
        pooled(an_idle_pool_neither_holds_the_loop_nor_has_threads),
        pooled(threads_are_as_many_as_needed_and_no_more),
        pooled(signals_are_not_for_the_threads),
        pooled(what_has_not_begun_can_be_taken_back),
        pooled(the_last_that_is_taken_back_releases_the_loop),
        pooled(what_runs_learns_that_nobody_wants_it),
        pooled(a_full_queue_refuses),
        pooled(done_may_submit),
        pooled(the_end_waits_for_what_was_submitted),
        pooled(without_a_thread_it_refuses),
        pooled(many_are_each_handed_back_once),
        pooled(needs_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
