/* layers: loop base */
/* wrap: clone */
#include "loop/child.h"
#include "support/alloc_failure.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct mw_loop *loop;
static struct mw_children *children;
static int null;     /* a descriptor of /dev/null */
static int ready[2]; /* a pipe: what children write is read here */

/* An owner of a child. */
struct witness {
    struct mw_child *child;
    struct mw_child_status status;
    int exits;
};

/* --- what the kernel may refuse --- */

static int clone_error;

int __real_clone(int (*run)(void *), void *stack, int flags, void *context, ...);
int __wrap_clone(int (*run)(void *), void *stack, int flags, void *context, int *pidfd);

int __wrap_clone(int (*run)(void *), void *stack, int flags, void *context, int *pidfd) {
    if (clone_error) {
        errno = clone_error;
        return -1;
    }
    return __real_clone(run, stack, flags, context, pidfd);
}

/* --- the world --- */

static int open_loop(void **state) {
    (void)state;
    alarm(60);
    clone_error = 0;
    loop = mw_loop_new();
    children = loop ? mw_loop_children(loop) : NULL;
    int low = open("/dev/null", O_RDWR | O_CLOEXEC);
    null = fcntl(low, F_DUPFD_CLOEXEC, 3);
    if (low != null) {
        close(low);
    }
    return loop && null >= 3 && pipe2(ready, O_CLOEXEC) == 0 ? 0 : -1;
}

/* No process may be left, not even a dead one. */
static int close_loop(void **state) {
    (void)state;
    alloc_failure_disarm();
    mw_loop_free(loop);
    close(null);
    close(ready[0]);
    close(ready[1]);
    return waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD ? 0 : -1;
}

static void on_exit_of(void *context, struct mw_child_status status) {
    struct witness *witness = context;
    witness->child = NULL;
    witness->status = status;
    witness->exits++;
}

static bool start(struct witness *witness, const char *program, const char *command, bool group) {
    static char *environment[] = {(char *)(uintptr_t) "PATH=/usr/bin:/bin", NULL};
    char *arguments[] = {(char *)(uintptr_t)program, (char *)(uintptr_t) "-c", (char *)(uintptr_t)command,
                         NULL};
    struct mw_child_plan plan = {
        .program = program,
        .arguments = arguments,
        .environment = environment,
        .stdio = {null, ready[1], null},
        .group = group,
    };
    struct mw_fault fault;
    *witness = (struct witness){.exits = 0};
    witness->child = mw_child_start(children, &plan, on_exit_of, witness, &fault);
    return witness->child != NULL;
}

/* Waits for the line that it writes when it will not listen to SIGTERM any more. */
static void start_stubborn(struct witness *witness) {
    char byte;
    assert_true(start(witness, "sh", "trap '' TERM; echo; while :; do sleep 0.02; done", true));
    assert_int_equal(read(ready[0], &byte, 1), 1);
}

static void run_until_exit(struct witness *witness) {
    while (!witness->exits) {
        ev_run(mw_loop_ev(loop), EVRUN_ONCE);
    }
}

static int descriptors(void) {
    int count = 0;
    for (int fd = 0; fd < 1024; fd++) {
        count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
}

/* --- tests --- */

static void the_end_is_an_event(void **state) {
    (void)state;
    struct witness witness;
    int before = descriptors();
    assert_true(start(&witness, "sh", "exit 42", true));
    assert_true(mw_child_id(witness.child) > 0);
    assert_int_equal(witness.exits, 0);
    run_until_exit(&witness);
    assert_int_equal(witness.status.code, 42);
    assert_int_equal(witness.status.signal, 0);
    assert_int_equal(witness.exits, 1);
    assert_int_equal(descriptors(), before);
}

static void a_signal_is_told(void **state) {
    (void)state;
    struct witness witness;
    assert_true(start(&witness, "sh", "kill -KILL $$", false));
    run_until_exit(&witness);
    assert_int_equal(witness.status.code, 128 + SIGKILL);
    assert_int_equal(witness.status.signal, SIGKILL);
}

static void the_loop_is_held_by_a_child(void **state) {
    (void)state;
    struct witness witness;
    assert_true(start(&witness, "sh", "sleep 0.05", true));
    mw_loop_run(loop);
    assert_int_equal(witness.exits, 1);
}

static void many_are_told_apart(void **state) {
    (void)state;
    struct witness witnesses[8];
    char command[32];
    for (int i = 0; i < 8; i++) {
        snprintf(command, sizeof command, "exit %d", 10 + i);
        assert_true(start(&witnesses[i], "sh", command, true));
    }
    mw_loop_run(loop);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(witnesses[i].status.code, 10 + i);
    }
}

static void another_child_of_the_process_is_left_alone(void **state) {
    (void)state;
    struct witness witness;
    pid_t other = fork();
    if (other == 0) {
        _exit(9);
    }
    assert_true(start(&witness, "sh", "exit 1", true));
    mw_loop_run(loop);
    int status;
    assert_int_equal(waitpid(other, &status, 0), other);
    assert_int_equal(WEXITSTATUS(status), 9);
}

static void an_end_is_asked_for_then_forced(void **state) {
    (void)state;
    struct witness gentle, stubborn;
    assert_true(start(&gentle, "sh", "while :; do sleep 0.02; done", true));
    mw_child_end(gentle.child, 30);
    run_until_exit(&gentle);
    assert_int_equal(gentle.status.signal, SIGTERM);
    start_stubborn(&stubborn);
    mw_loop_update(loop);
    mw_child_end(stubborn.child, 0.05);
    mw_child_end(stubborn.child, 1000);
    mw_loop_run(loop);
    assert_int_equal(stubborn.status.signal, SIGKILL);
}

static void without_a_grace_it_is_killed_at_once(void **state) {
    (void)state;
    struct witness witness;
    start_stubborn(&witness);
    mw_child_end(witness.child, 1000);
    mw_child_end(witness.child, 0);
    run_until_exit(&witness);
    assert_int_equal(witness.status.signal, SIGKILL);
}

static void an_owner_that_left_hears_nothing(void **state) {
    (void)state;
    struct witness witness;
    assert_true(start(&witness, "sh", "exit 0", true));
    mw_child_disown(witness.child);
    mw_loop_run(loop);
    assert_int_equal(witness.exits, 0);
}

static void note_drained(void *context) {
    ++*(int *)context;
}

static void drained_is_told_when_the_last_has_ended(void **state) {
    (void)state;
    struct witness witness;
    int drained = 0;
    mw_children_drain(children, note_drained, &drained);
    assert_int_equal(drained, 1);
    assert_true(start(&witness, "sh", "exit 0", true));
    mw_children_drain(children, note_drained, &drained);
    assert_int_equal(drained, 1);
    mw_loop_run(loop);
    assert_int_equal(drained, 2);
}

static void what_is_left_is_killed_with_the_loop(void **state) {
    (void)state;
    struct witness witness;
    start_stubborn(&witness);
    pid_t id = mw_child_id(witness.child);
    mw_children_close(children);
    assert_int_equal(witness.exits, 0);
    int status;
    pid_t collected = waitpid(id, &status, 0);
    assert_true(collected == id || errno == ECHILD); /* it was collected already */
}

static void children_get_the_limit_of_descriptors(void **state) {
    (void)state;
    struct witness witness;
    children->descriptors = 77;
    assert_true(start(&witness, "sh", "exit $(ulimit -Sn)", true));
    run_until_exit(&witness);
    assert_int_equal(witness.status.code, 77);
}

static void a_fault_names_the_program(void **state) {
    (void)state;
    char *words[] = {(char *)(uintptr_t) "no-such-program", NULL};
    struct mw_child_plan plan = {
        .program = *words, .arguments = words, .environment = words + 1, .stdio = {null, null, null}};
    struct mw_fault fault;
    assert_null(mw_child_start(children, &plan, on_exit_of, NULL, &fault));
    assert_string_equal(fault.code, "not_found");
    assert_string_equal(fault.message, "spawn no-such-program: no such file or directory");
    plan.program = "true";
    plan.folder = "/no/such";
    assert_null(mw_child_start(children, &plan, on_exit_of, NULL, &fault));
    assert_string_equal(fault.message, "enter /no/such: no such file or directory");
}

static void what_the_kernel_refuses_is_told(void **state) {
    (void)state;
    struct witness witness;
    int before = descriptors();
    clone_error = EAGAIN;
    assert_false(start(&witness, "sh", "exit 0", true));
    clone_error = 0;
    assert_int_equal(descriptors(), before);
}

static void no_memory_is_a_fault(void **state) {
    (void)state;
    struct witness witness;
    for (int nth = 1; nth <= 2; nth++) {
        alloc_failure_arm(nth);
        assert_false(start(&witness, "sh", "exit 0", true));
        assert_true(alloc_failure_disarm());
    }
}

static void signals_are_unblocked_and_default(void **state) {
    (void)state;
    struct witness witness;
    sigset_t set, before;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, &before);
    signal(SIGPIPE, SIG_IGN);
    assert_true(start(&witness, "sh", "test $(grep -cE '^Sig(Blk|Ign):.0*$' /proc/self/status) = 2", true));
    run_until_exit(&witness);
    assert_int_equal(witness.status.code, 0);
    sigset_t after;
    sigprocmask(SIG_SETMASK, &before, &after);
    assert_true(sigismember(&after, SIGTERM));
    assert_ptr_equal(signal(SIGPIPE, SIG_DFL), SIG_IGN);
}

static void signals_have_names(void **state) {
    (void)state;
    char name[32];
    assert_int_equal(mw_child_signal_number("term"), SIGTERM);
    assert_int_equal(mw_child_signal_number("SIGKILL"), SIGKILL);
    assert_int_equal(mw_child_signal_number("sigusr1"), SIGUSR1);
    assert_int_equal(mw_child_signal_number("nonsense"), 0);
    assert_int_equal(mw_child_signal_number(""), 0);
    mw_child_signal_name(SIGSEGV, name, sizeof name);
    assert_string_equal(name, "segv");
    mw_child_signal_name(40, name, sizeof name);
    assert_string_equal(name, "signal 40");
}

#define looped(test) cmocka_unit_test_setup_teardown(test, open_loop, close_loop)

int main(void) {
    const struct CMUnitTest tests[] = {
        looped(the_end_is_an_event),
        looped(a_signal_is_told),
        looped(the_loop_is_held_by_a_child),
        looped(many_are_told_apart),
        looped(another_child_of_the_process_is_left_alone),
        looped(an_end_is_asked_for_then_forced),
        looped(without_a_grace_it_is_killed_at_once),
        looped(an_owner_that_left_hears_nothing),
        looped(drained_is_told_when_the_last_has_ended),
        looped(what_is_left_is_killed_with_the_loop),
        looped(children_get_the_limit_of_descriptors),
        looped(a_fault_names_the_program),
        looped(what_the_kernel_refuses_is_told),
        looped(no_memory_is_a_fault),
        looped(signals_are_unblocked_and_default),
        looped(signals_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
