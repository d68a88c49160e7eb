#include "loop/alarm_linux.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static const clockid_t clocks[] = {CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC};

/* One of the real-time signals that no program sends by chance. */
static int alarm_signal(void) {
    return SIGRTMIN + 7;
}

static void on_signal(int number, siginfo_t *info, void *context) {
    (void)number;
    (void)context;
    if (info->si_code == SI_TIMER) {
        int kept = errno;
        struct mw_alarm *alarm = info->si_value.sival_ptr;
        alarm->ring(alarm);
        errno = kept;
    }
}

/* Signals that ring while another alarm does wait for its end. */
static void handle_signal(void) {
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(alarm_signal(), &action, NULL);
}

bool mw_alarm_init(struct mw_alarm *alarm, enum mw_alarm_clock clock, void (*ring)(struct mw_alarm *alarm)) {
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = alarm_signal()};
    event.sigev_value.sival_ptr = alarm;
    event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
    handle_signal();
    alarm->ring = ring;
    return timer_create(clocks[clock], &event, &alarm->timer) == 0;
}

double mw_alarm_now(enum mw_alarm_clock clock) {
    struct timespec time;
    clock_gettime(clocks[clock], &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

void mw_alarm_set(struct mw_alarm *alarm, double seconds) {
    struct timespec interval = {.tv_sec = (time_t)seconds};
    interval.tv_nsec = (long)((seconds - (double)interval.tv_sec) * 1e9);
    struct itimerspec times = {.it_interval = interval, .it_value = interval};
    timer_settime(alarm->timer, 0, &times, NULL);
}

/* A signal that is pending already would find an alarm that is gone. */
static void take_pending(void) {
    static const struct timespec at_once = {.tv_sec = 0};
    sigset_t ours;
    sigemptyset(&ours);
    sigaddset(&ours, alarm_signal());
    while (sigtimedwait(&ours, NULL, &at_once) > 0) {
    }
}

void mw_alarm_remove(struct mw_alarm *alarm) {
    sigset_t ours, before;
    sigemptyset(&ours);
    sigaddset(&ours, alarm_signal());
    pthread_sigmask(SIG_BLOCK, &ours, &before);
    timer_delete(alarm->timer);
    take_pending();
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}
