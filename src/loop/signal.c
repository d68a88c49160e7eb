#include "loop/signal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <strings.h>

static const struct {
    const char *name;
    int number;
} known[] = {
    {"hup", SIGHUP},   {"int", SIGINT},   {"quit", SIGQUIT},   {"usr1", SIGUSR1}, {"usr2", SIGUSR2},
    {"term", SIGTERM}, {"chld", SIGCHLD}, {"winch", SIGWINCH}, {"cont", SIGCONT}, {"tstp", SIGTSTP},
    {"ttin", SIGTTIN}, {"ttou", SIGTTOU}, {"alrm", SIGALRM},
};

enum { KNOWN = sizeof known / sizeof *known };

struct mw_signal {
    ev_signal watcher;
    struct mw_loop *loop;
    void (*on_signal)(void *context, int number);
    void *context;
};

/* May free the watcher, so nothing follows the call. */
static void on_arrival(struct ev_loop *ev, ev_signal *watcher, int events) {
    (void)ev;
    (void)events;
    struct mw_signal *signal = watcher->data;
    signal->on_signal(signal->context, watcher->signum);
}

/* A process may inherit a mask from its parent that would hold the signal back
 * for ever. libev is told to leave the mask alone, so it is ours to open. */
static void unblock(int number) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

struct mw_signal *mw_signal_watch(struct mw_loop *loop, int number,
                                  void (*on_signal)(void *context, int number), void *context) {
    if (!mw_signal_name(number)) {
        errno = EINVAL;
        return NULL;
    }
    struct mw_signal *signal = malloc(sizeof *signal);
    if (!signal) {
        return NULL;
    }
    signal->loop = loop;
    signal->on_signal = on_signal;
    signal->context = context;
    ev_signal_init(&signal->watcher, on_arrival, number);
    signal->watcher.data = signal;
    ev_signal_start(mw_loop_ev(loop), &signal->watcher);
    ev_unref(mw_loop_ev(loop));
    unblock(number);
    return signal;
}

void mw_signal_unwatch(struct mw_signal *signal) {
    if (signal) {
        ev_ref(mw_loop_ev(signal->loop));
        ev_signal_stop(mw_loop_ev(signal->loop), &signal->watcher);
        free(signal);
    }
}

int mw_signal_number(const char *name) {
    if (strncasecmp(name, "sig", 3) == 0) {
        name += 3;
    }
    for (size_t i = 0; i < KNOWN; i++) {
        if (strcasecmp(known[i].name, name) == 0) {
            return known[i].number;
        }
    }
    return 0;
}

const char *mw_signal_name(int number) {
    for (size_t i = 0; i < KNOWN; i++) {
        if (known[i].number == number) {
            return known[i].name;
        }
    }
    return NULL;
}
