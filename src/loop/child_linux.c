/* Starting processes on Linux.
 *
 * Not by posix_spawn, which has no step for the death signal: a child shall end
 * with this process even when that is killed and can end nobody itself. This
 * does what posix_spawn does inside: the child borrows our memory, on a stack of
 * its own, while we stand still until it has executed or failed. So starting costs
 * the same for a large process as for a small one, and its fault is simply a
 * variable. Between clone and exec only what a signal handler may call is called. */
#include "loop/child_internal.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STACK = 64 * 1024, STATUS_UNKNOWN = 255 };

struct start {
    const struct mw_child_plan *plan;
    const char *path;
    rlim_t descriptors;
    pid_t parent;
    int error;
    bool folder_failed;
};

/* A handler of ours would run in our memory; what we ignore the child would ignore
 * too. By system call, because sanitizers keep books about sigaction, in memory
 * that is ours. All zero is the default action, whatever the order of the fields. */
static void reset_signals(void) {
    static const unsigned long standard[8];
    for (int number = 1; number < NSIG; number++) {
        syscall(SYS_rt_sigaction, number, standard, NULL, NSIG / 8);
    }
}

/* False when this process is gone already: then nobody would end the child. */
static bool bind_life(const struct start *start) {
    return prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == start->parent;
}

static bool place_stdio(const int stdio[3]) {
    for (int fd = 0; fd < 3; fd++) {
        if (dup2(stdio[fd], fd) < 0) {
            return false;
        }
    }
    return close_range(3, ~0U, 0) == 0;
}

static void limit_descriptors(rlim_t soft) {
    struct rlimit limit;
    if (soft && getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = soft < limit.rlim_max ? soft : limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int become(void *context) {
    struct start *start = context;
    const struct mw_child_plan *plan = start->plan;
    sigset_t none;
    reset_signals();
    if (plan->folder && chdir(plan->folder) != 0) {
        start->folder_failed = true;
    } else if (bind_life(start) && (!plan->group || setpgid(0, 0) == 0) && place_stdio(plan->stdio)) {
        limit_descriptors(start->descriptors);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        execve(start->path, plan->arguments, plan->environment);
    }
    start->error = errno ? errno : ESRCH;
    _exit(127);
}

/* All signals are held back: none may reach the child before its handlers are gone. */
static int clone_child(struct mw_process *process, struct start *start, char *stack) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    errno = 0;
    process->id = clone(become, stack + STACK, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, start,
                        &process->descriptor);
    int error = process->id < 0 ? errno : 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

int mw_process_start(struct mw_process *process, const struct mw_child_plan *plan, const char *path,
                     rlim_t descriptors, bool *folder_failed) {
    struct start start = {.plan = plan, .path = path, .descriptors = descriptors, .parent = getpid()};
    char *stack = malloc(STACK);
    if (!stack) {
        return ENOMEM;
    }
    int error = clone_child(process, &start, stack);
    free(stack);
    if (!error && start.error) {
        error = start.error;
        waitpid(process->id, NULL, 0);
        close(process->descriptor);
    }
    *folder_failed = start.folder_failed;
    return error;
}

bool mw_process_collect(struct mw_process *process, struct mw_child_status *status) {
    siginfo_t info = {.si_pid = 0};
    int got;
    do {
        got = waitid(P_PIDFD, (id_t)process->descriptor, &info, WEXITED | WNOHANG);
    } while (got != 0 && errno == EINTR);
    if (got == 0 && info.si_pid == 0) {
        return false;
    }
    /* Where SIGCHLD is ignored the kernel keeps no status. */
    *status = (struct mw_child_status){.code = STATUS_UNKNOWN};
    if (got == 0 && info.si_code == CLD_EXITED) {
        status->code = info.si_status;
    } else if (got == 0) {
        status->code = 128 + info.si_status;
        status->signal = info.si_status;
    }
    close(process->descriptor);
    return true;
}
