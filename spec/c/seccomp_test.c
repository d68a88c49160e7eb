/* layers: base loop proto net proc */
/* wrap: prctl seccomp_init seccomp_load */
#include "net/net.h"
#include "proc/seccomp_linux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* Everything happens in a child: a filter stays. */

#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        errno = 0;                                                                                           \
        if (!(condition)) {                                                                                  \
            print_error("%s:%d: %s (%s, %m)\n", __FILE__, __LINE__, #condition, fault.message);              \
            _exit(1);                                                                                        \
        }                                                                                                    \
    } while (0)

#ifdef __SANITIZE_ADDRESS__
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

static struct mw_fault fault;
static bool without_filters, without_memory;
static int load_error;

int wrapped_prctl(int option, unsigned long a, unsigned long b, unsigned long c,
                  unsigned long d) __asm__("__wrap_prctl");
int libc_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d) __asm__("__real_prctl");
void *wrapped_init(uint32_t action) __asm__("__wrap_seccomp_init");
void *real_init(uint32_t action) __asm__("__real_seccomp_init");
int wrapped_load(const void *filter) __asm__("__wrap_seccomp_load");
int real_load(const void *filter) __asm__("__real_seccomp_load");

int wrapped_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d) {
    if (option == PR_GET_SECCOMP && without_filters) {
        errno = EINVAL;
        return -1;
    }
    return libc_prctl(option, a, b, c, d);
}

void *wrapped_init(uint32_t action) {
    return without_memory ? NULL : real_init(action);
}

int wrapped_load(const void *filter) {
    return load_error ? load_error : real_load(filter);
}

/* The status that the child ended with, as waitpid gives it. */
static int run(void (*act)(void), bool programs) {
    int status;
    pid_t child = fork();
    if (child == 0) {
        CHECK(mw_seccomp_confine(programs, &fault));
        act();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void assert_goes_well(void (*act)(void), bool programs) {
    assert_int_equal(run(act, programs), 0);
}

static bool refused(long result) {
    return result == -1 && errno == EPERM;
}

/* --- what a worker needs --- */

static void *work(void *context) {
    return context;
}

static void use_files(void) {
    char path[] = "/tmp/seccomp_test.XXXXXX";
    struct open_how how = {.flags = O_RDONLY, .resolve = RESOLVE_BENEATH};
    int file = mkstemp(path), pipes[2];
    CHECK(file >= 0 && pipe2(pipes, O_CLOEXEC) == 0 && write(file, "0123", 4) == 4 && fsync(file) == 0);
    CHECK(lseek(file, 0, SEEK_SET) == 0 && splice(file, NULL, pipes[1], NULL, 4, 0) == 4);
    CHECK(fallocate(file, 0, 0, 100) == 0 && ftruncate(file, 2) == 0 && fdatasync(file) == 0);
    int folder = open("/tmp", O_PATH | O_DIRECTORY);
    CHECK(folder >= 0 && syscall(SYS_openat2, folder, path + 5, &how, sizeof how) >= 0);
    int watch = inotify_init1(IN_NONBLOCK);
    CHECK(watch >= 0 && inotify_add_watch(watch, path, IN_MODIFY) >= 0 && unlink(path) == 0);
    int memory = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    CHECK(memory >= 0 && fcntl(memory, F_ADD_SEALS, F_SEAL_WRITE) == 0);
}

static void use_time_and_threads(void) {
    struct sigevent event = {.sigev_notify = SIGEV_NONE};
    struct timespec moment = {.tv_nsec = 1000000};
    pthread_t thread;
    timer_t timer;
    CHECK(timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer) == 0 && timer_delete(timer) == 0);
    CHECK(nanosleep(&moment, NULL) == 0 && timerfd_create(CLOCK_MONOTONIC, 0) >= 0);
    CHECK(pthread_create(&thread, NULL, work, NULL) == 0 && pthread_join(thread, NULL) == 0);
    signal(SIGUSR1, SIG_IGN);
    CHECK(raise(SIGUSR1) == 0 && kill(getpid(), SIGUSR1) == 0);
}

static void run_a_loop(void) {
    struct mw_loop *loop = mw_loop_new();
    struct mw_net *net = loop ? mw_net_new(loop) : NULL;
    CHECK(net);
    mw_loop_run(loop);
    mw_net_free(net);
    mw_loop_free(loop);
}

static void use_sockets(void) {
    static const int families[] = {AF_UNIX, AF_INET, AF_INET6};
    for (int i = 0; i < 3; i++) {
        int fd = socket(families[i], SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK(fd >= 0 || errno == EAFNOSUPPORT);
    }
    CHECK(if_nametoindex("lo") > 0 && socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0) >= 0);
}

static void what_a_worker_needs_is_allowed(void **state) {
    (void)state;
    for (int programs = 0; programs < 2; programs++) {
        assert_goes_well(use_files, programs);
        assert_goes_well(use_time_and_threads, programs);
        assert_goes_well(run_a_loop, programs);
        assert_goes_well(use_sockets, programs);
    }
}

/* --- what it does not --- */

static void do_what_is_nobodys_business(void) {
    CHECK(refused(socket(AF_PACKET, SOCK_RAW, 0)) && refused(socket(AF_VSOCK, SOCK_STREAM, 0)));
    CHECK(refused(socket(AF_ALG, SOCK_SEQPACKET, 0)));
    CHECK(refused(chroot("/")) && refused(sethostname("x", 1)) && refused(setuid(getuid())));
    CHECK(refused(syscall(SYS_io_uring_setup, 1, NULL)) && refused(syscall(SYS_clock_settime, 0, NULL)));
    CHECK(refused(syscall(SYS_seccomp, 0, 0, NULL)) && refused(syscall(100000)));
    CHECK(refused(syscall(SYS_clone, SIGCHLD | CLONE_NEWUSER, NULL, NULL, NULL, 0)));
    CHECK(syscall(SYS_clone3, NULL, 0) == -1 && errno == ENOSYS);
}

static void other_calls_fail(void **state) {
    (void)state;
    assert_goes_well(do_what_is_nobodys_business, false);
    assert_goes_well(do_what_is_nobodys_business, true);
}

static void start_programs(void) {
    static char *const arguments[] = {(char *)(uintptr_t) "true", NULL};
    CHECK(refused(execve("/bin/true", arguments, NULL)) && refused(fork()) && refused(vfork()));
    CHECK(refused(kill(getppid(), 0)) && refused(syscall(SYS_tgkill, getppid(), getppid(), 0)));
    CHECK(refused(setpgid(0, 0)) && refused(syscall(SYS_pidfd_open, getppid(), 0)));
}

static void programs_are_not_started_without_leave(void **state) {
    (void)state;
    if (SANITIZED) {
        skip();
    }
    assert_goes_well(start_programs, false);
}

static void run_a_pipeline(void) {
    char line[40] = "";
    FILE *output =
        popen("printf '%s\\n' a b | sort -r | tr '\\n' ' '; true & wait; id -u >/dev/null && echo done", "r");
    CHECK(output && fgets(line, sizeof line, output) && strcmp(line, "b a done\n") == 0);
    CHECK(pclose(output) == 0 && kill(getppid(), 0) == 0);
}

static void programs_run_with_leave(void **state) {
    (void)state;
    assert_goes_well(run_a_pipeline, true);
}

/* --- what ends the process --- */

static void trace(void) {
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static void mount_something(void) {
    mount("none", "/tmp", "tmpfs", 0, NULL);
}

static void use_bpf(void) {
    syscall(SYS_bpf, 0, NULL, 0);
}

static void load_a_module(void) {
    syscall(SYS_init_module, NULL, 0, "");
}

static void load_a_kernel(void) {
    syscall(SYS_kexec_load, 0, 0, NULL, 0);
}

static void read_another(void) {
    syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0);
}

static void leave_the_namespace(void) {
    unshare(CLONE_NEWUSER);
}

static void intruders_are_ended(void **state) {
    (void)state;
    static void (*const acts[])(void) = {mount_something, use_bpf,      load_a_module, load_a_kernel,
                                         read_another,    leave_the_namespace, trace};
    struct rlimit none = {.rlim_cur = 0};
    setrlimit(RLIMIT_CORE, &none);
    for (size_t i = 0; i < sizeof acts / sizeof *acts - SANITIZED; i++) {
        for (int programs = 0; programs < 2; programs++) {
            int status = run(acts[i], programs);
            assert_true(WIFSIGNALED(status));
            assert_int_equal(WTERMSIG(status), SIGSYS);
        }
    }
}

/* --- faults --- */

static void a_kernel_without_filters_is_said(void **state) {
    (void)state;
    without_filters = true;
    assert_false(mw_seccomp_confine(false, &fault));
    without_filters = false;
    assert_string_equal(fault.code, "unavailable");
}

static void a_refusal_is_said(void **state) {
    (void)state;
    load_error = -EACCES;
    assert_false(mw_seccomp_confine(false, &fault));
    load_error = 0;
    assert_string_equal(fault.code, "denied");
    assert_non_null(strstr(fault.message, "confine system calls"));
    without_memory = true;
    assert_false(mw_seccomp_confine(false, &fault));
    without_memory = false;
    assert_string_equal(fault.code, "memory");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_worker_needs_is_allowed),
        cmocka_unit_test(other_calls_fail),
        cmocka_unit_test(programs_are_not_started_without_leave),
        cmocka_unit_test(programs_run_with_leave),
        cmocka_unit_test(intruders_are_ended),
        cmocka_unit_test(a_kernel_without_filters_is_said),
        cmocka_unit_test(a_refusal_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
