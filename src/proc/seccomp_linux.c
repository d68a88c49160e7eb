#include "proc/seccomp_linux.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Names that an architecture, or the library, does not know are passed over: so the lists hold old calls beside those
 * that replaced them, and new ones before they are known everywhere. Separated by spaces. */

/* --- what a worker does --- */

static const char of_files[] =
    "access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2 fadvise64 "
    "fallocate fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync fgetxattr flistxattr flock "
    "fsetxattr fstat fstatfs fsync ftruncate futimesat getcwd getdents getdents64 getxattr inotify_add_watch "
    "inotify_init inotify_init1 inotify_rm_watch ioctl lchown lgetxattr link linkat listxattr llistxattr lseek "
    "lsetxattr lstat memfd_create mkdir mkdirat mknod mknodat newfstatat open openat openat2 pipe pipe2 pread64 "
    "preadv preadv2 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv rename renameat renameat2 "
    "rmdir sendfile setxattr splice stat statfs statx symlink symlinkat sync_file_range syncfs tee truncate umask "
    "unlink unlinkat utime utimensat utimes vmsplice write writev";

static const char of_networks[] =
    "accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmmsg recvmsg sendmmsg "
    "sendmsg sendto setsockopt shutdown socketpair";

static const char of_waiting[] =
    "alarm clock_getres clock_gettime clock_nanosleep epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 "
    "epoll_wait eventfd eventfd2 getitimer gettimeofday nanosleep poll ppoll pselect6 select setitimer time "
    "timer_create timer_delete timer_getoverrun timer_gettime timer_settime timerfd_create timerfd_gettime "
    "timerfd_settime";

static const char of_memory[] =
    "brk madvise mincore mlock mlock2 mmap mprotect mremap msync munlock munmap";

static const char of_processes[] =
    "arch_prctl capget exit exit_group futex futex_waitv get_robust_list getcpu getegid geteuid getgid getgroups "
    "getpgid getpgrp getpid getppid getpriority getrandom getresgid getresuid getrlimit getrusage getsid gettid "
    "getuid membarrier pause prctl prlimit64 restart_syscall rseq rt_sigaction rt_sigpending rt_sigprocmask "
    "rt_sigreturn rt_sigsuspend rt_sigtimedwait sched_get_priority_max sched_get_priority_min sched_getaffinity "
    "sched_getparam sched_getscheduler sched_yield set_robust_list set_tid_address sigaltstack signalfd signalfd4 "
    "sysinfo times uname wait4 waitid";

/* What other programs do besides, and who starts them. */
static const char of_programs[] =
    "execve execveat fork ioprio_get ioprio_set kill mlockall munlockall pidfd_open pidfd_send_signal pkey_alloc "
    "pkey_free pkey_mprotect rt_sigqueueinfo rt_tgsigqueueinfo sched_setaffinity setpgid setpriority setrlimit "
    "setsid sync tgkill tkill vfork";

/* --- what nobody does who means well --- */

static const char of_intruders[] =
    "acct add_key bpf delete_module finit_module fsconfig fsmount fsopen fspick init_module ioperm iopl "
    "kexec_file_load kexec_load keyctl mount mount_setattr move_mount open_by_handle_at open_tree perf_event_open "
    "pivot_root process_vm_readv process_vm_writev quotactl quotactl_fd reboot request_key setns swapoff swapon "
    "umount umount2 unshare userfaultfd";

/* The leak check of AddressSanitizer traces its own process from a process that it makes. */
#ifdef __SANITIZE_ADDRESS__
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

/* The number of the call that `*list` begins with, which is moved on; negative: unknown here. False at the end. */
static bool next_call(const char **list, int *number) {
    char name[32];
    *list += strspn(*list, " ");
    size_t length = strcspn(*list, " ");
    if (length == 0 || length >= sizeof name) {
        return false;
    }
    memcpy(name, *list, length);
    name[length] = '\0';
    *list += length;
    *number = seccomp_syscall_resolve_name(name);
    return true;
}

static int add_all(scmp_filter_ctx filter, uint32_t action, const char *list) {
    int number, error = 0;
    while (!error && next_call(&list, &number)) {
        if (number >= 0) {
            error = seccomp_rule_add(filter, action, number, 0);
        }
    }
    return error;
}

/* Sockets of the network, of this machine, and those that tell of interfaces and routes. */
static int add_sockets(scmp_filter_ctx filter) {
    static const int families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};
    int error = 0;
    for (size_t i = 0; !error && i < sizeof families / sizeof *families; i++) {
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
                                 SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[i], 0));
    }
    return error;
}

/* Threads, or processes without namespaces of their own. What clone3 is asked for cannot be seen from here: the C
 * library takes clone where there is none. */
static int add_clone(scmp_filter_ctx filter, bool programs) {
    const scmp_datum_t namespaces = CLONE_NEWNS | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC |
                                    CLONE_NEWUTS | CLONE_NEWCGROUP;
    int error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    if (error) {
        return error;
    }
    if (programs) {
        return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                                SCMP_A0(SCMP_CMP_MASKED_EQ, namespaces, 0));
    }
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                            SCMP_A0(SCMP_CMP_MASKED_EQ, namespaces | CLONE_THREAD, CLONE_THREAD));
}

/* Signals to this process alone: the supervisor may be of the same user. */
static int add_own_signals(scmp_filter_ctx filter) {
    static const int calls[] = {SCMP_SYS(kill), SCMP_SYS(tgkill), SCMP_SYS(rt_sigqueueinfo),
                                SCMP_SYS(rt_tgsigqueueinfo)};
    int error = 0;
    for (size_t i = 0; !error && i < sizeof calls / sizeof *calls; i++) {
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 1,
                                 SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0));
    }
    return error;
}

static int add_rules(scmp_filter_ctx filter, bool programs) {
    static const char *const lists[] = {of_files, of_networks, of_waiting, of_memory, of_processes};
    int error = 0;
    for (size_t i = 0; !error && i < sizeof lists / sizeof *lists; i++) {
        error = add_all(filter, SCMP_ACT_ALLOW, lists[i]);
    }
    if (!error) {
        error = programs ? add_all(filter, SCMP_ACT_ALLOW, of_programs) : add_own_signals(filter);
    }
    if (!error) {
        error = add_all(filter, SCMP_ACT_KILL_PROCESS, of_intruders);
    }
    if (!error) {
        error = add_all(filter, SANITIZED ? SCMP_ACT_ALLOW : SCMP_ACT_KILL_PROCESS, "ptrace");
    }
    if (!error) {
        error = add_sockets(filter);
    }
    return error ? error : add_clone(filter, programs);
}

/* Refusals are in the kernel's audit log where it keeps one. For the sake of speed calls are looked for in a tree,
 * because a kernel before 5.11 goes through the list each time; and one before 5.16 shall not slow down all memory
 * accesses against speculative stores: that is for those who run machine code of strangers. */
static int load(scmp_filter_ctx filter) {
    seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1);
    seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    seccomp_attr_set(filter, SCMP_FLTATR_CTL_SSB, 1);
    int error = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    return error ? error : seccomp_load(filter);
}

static bool is_supported(void) {
    return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0 || errno != EINVAL;
}

bool mw_seccomp_confine(bool programs, struct mw_fault *fault) {
    if (!is_supported()) {
        mw_fault_format(fault, "unavailable", "confine system calls: this kernel has no filters for them");
        return false;
    }
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    int error = filter ? add_rules(filter, programs || SANITIZED) : -ENOMEM;
    if (!error) {
        error = load(filter);
    }
    seccomp_release(filter);
    if (error) {
        mw_fault_set(fault, -error, "confine", "system calls");
    }
    return !error;
}
