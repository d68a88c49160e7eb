#include "proc/offspring.h"

#include "base/log.h"
#include "loop/child_internal.h"
#include "net/channel.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* What a child may take to end once it has closed its channel, and what reading the
 * rest of a channel may take whose other end is gone. */
static const double PARTING_SECONDS = 5, REST_SECONDS = 1;

struct mw_offspring {
    ev_io end; /* of the process */
    struct mw_loop *loop;
    struct mw_process process;
    struct mw_channel *channel;
    struct mw_timer parting;
    bool silent; /* the channel has ended */
    const struct mw_offspring_events *events;
    void *owner;
};

/* --- in the child --- */

/* Others may signal all of our processes at once: a terminal, killall, systemd. What that means is the parent's to say. */
static void reset_signals(void) {
    static const int deaf[] = {SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGPIPE};
    sigset_t none;
    for (int number = 1; number < NSIG; number++) {
        signal(number, SIG_DFL);
    }
    for (size_t i = 0; i < sizeof deaf / sizeof *deaf; i++) {
        signal(deaf[i], SIG_IGN);
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

bool mw_offspring_bind_life(pid_t parent) {
    return prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent;
}

/* The parent's loop is not touched: its epoll set would change for both of us. Closing
 * our descriptor of it changes nothing. */
static void close_others(int channel) {
    int log = mw_log_descriptor();
    unsigned low = (unsigned)(log > 2 && log < channel ? log : channel);
    unsigned high = (unsigned)(log > channel ? log : channel);
    if (low > 3) {
        close_range(3, low - 1, 0);
    }
    if (high > low + 1) {
        close_range(low + 1, high - 1, 0);
    }
    close_range(high + 1, ~0U, 0);
}

__attribute__((noreturn)) static void become(int (*run)(void *context, int channel), void *context, int channel,
                                             pid_t parent) {
    reset_signals();
    if (!mw_offspring_bind_life(parent)) {
        _exit(1);
    }
    close_others(channel);
    exit(run(context, channel));
}

/* --- in the parent --- */

static void on_message(void *owner, uint8_t kind, const char *bytes, size_t size, const int *descriptors, int count) {
    struct mw_offspring *child = owner;
    child->events->on_message(child->owner, kind, bytes, size, descriptors, count);
}

static void on_parting_is_over(struct mw_timer *timer) {
    mw_offspring_kill(mw_list_owner(timer, struct mw_offspring, parting));
}

static void on_silence(void *owner) {
    struct mw_offspring *child = owner;
    child->silent = true;
    if (!mw_timer_set(mw_loop_timers(child->loop), &child->parting, mw_loop_now(child->loop) + PARTING_SECONDS)) {
        mw_offspring_kill(child);
    }
}

static const struct mw_channel_events channel_events = {.on_message = on_message, .on_end = on_silence};

static void release(struct mw_offspring *child) {
    ev_io_stop(mw_loop_ev(child->loop), &child->end);
    mw_timer_remove(mw_loop_timers(child->loop), &child->parting);
    mw_channel_close(child->channel);
    free(child);
}

static bool is_silent(void *context) {
    const struct mw_offspring *child = context;
    return child->silent;
}

/* The end of the process may be seen before what it said last. */
static void on_end(struct ev_loop *ev, ev_io *end, int events) {
    struct mw_offspring *child = mw_list_owner(end, struct mw_offspring, end);
    struct mw_child_status status;
    (void)events;
    if (!mw_process_collect(&child->process, &status)) {
        return;
    }
    ev_io_stop(ev, end);
    if (!child->silent) {
        mw_channel_converse(child->channel, REST_SECONDS, is_silent, child);
    }
    child->events->on_end(child->owner, status);
    release(child);
}

/* Handlers of ours must not run in the child: signals are held back until it has none. */
static pid_t fork_child(int (*run)(void *context, int channel), void *context, int channel) {
    sigset_t all, before;
    pid_t parent = getpid();
    fflush(NULL);
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid_t id = fork();
    if (id == 0) {
        become(run, context, channel, parent);
    }
    int error = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return id;
}

static bool start(struct mw_offspring *child, int (*run)(void *context, int channel), void *context, int channel) {
    child->process.id = fork_child(run, context, channel);
    if (child->process.id < 0) {
        return false;
    }
    child->process.descriptor = pidfd_open(child->process.id, 0);
    if (child->process.descriptor < 0) {
        int error = errno;
        kill(child->process.id, SIGKILL);
        waitpid(child->process.id, NULL, 0);
        errno = error;
        return false;
    }
    ev_io_init(&child->end, on_end, child->process.descriptor, EV_READ);
    ev_io_start(mw_loop_ev(child->loop), &child->end);
    return true;
}

static struct mw_offspring *prepare(struct mw_loop *loop, int end) {
    struct mw_offspring *child = calloc(1, sizeof *child);
    if (!child) {
        return NULL;
    }
    child->loop = loop;
    mw_timer_init(&child->parting, on_parting_is_over);
    child->channel = mw_channel_new(loop, end, &channel_events, child);
    if (!child->channel) {
        free(child);
        return NULL;
    }
    return child;
}

struct mw_offspring *mw_offspring_start(struct mw_loop *loop, int (*run)(void *context, int channel), void *context,
                                        const struct mw_offspring_events *events, void *owner) {
    int ends[2];
    if (!mw_channel_pair(ends)) {
        return NULL;
    }
    struct mw_offspring *child = prepare(loop, ends[0]);
    if (!child) {
        close(ends[0]);
        close(ends[1]);
        errno = ENOMEM;
        return NULL;
    }
    child->events = events;
    child->owner = owner;
    bool started = start(child, run, context, ends[1]);
    int error = errno;
    close(ends[1]);
    if (!started) {
        release(child);
        errno = error;
        return NULL;
    }
    return child;
}

pid_t mw_offspring_id(const struct mw_offspring *child) {
    return child->process.id;
}

void mw_offspring_tell(struct mw_offspring *child, enum mw_order kind, const struct mw_text *message,
                       const int *descriptors, int count) {
    int error = ENOMEM;
    if (child->silent) {
        return;
    }
    if (!message->failed) {
        error = mw_channel_send(child->channel, (uint8_t)kind, message->bytes, message->size, descriptors, count);
    }
    if (error && error != EPIPE) {
        mw_log(MW_LOG_ERROR, "process %d cannot be told what to do and is ended: %s", (int)child->process.id,
               strerrordesc_np(error));
        mw_offspring_kill(child);
    }
}

size_t mw_offspring_pending(const struct mw_offspring *child) {
    return mw_channel_pending(child->channel);
}

void mw_offspring_kill(struct mw_offspring *child) {
    kill(child->process.id, SIGKILL);
}

void mw_offspring_close(struct mw_offspring *child) {
    mw_offspring_kill(child);
    waitpid(child->process.id, NULL, 0);
    close(child->process.descriptor);
    release(child);
}

void mw_offspring_reason(struct mw_child_status status, char *reason, size_t size) {
    snprintf(reason, size, "%s %d", status.signal ? "signal" : "status", status.signal ? status.signal : status.code);
}
