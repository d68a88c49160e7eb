#include "proc/probe.h"

#include "proc/offspring.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { NICE = 5 };

struct mw_probe {
    struct mw_loop *loop;
    struct mw_offspring *child;
    int (*main)(const char *config, const char *service, int channel);
    const char *config, *service;
    struct mw_timer limit;
    double seconds;
    bool late;
    struct mw_plan *plan;
    char fault[MW_PLAN_FAULT];
    void (*on_answer)(void *owner, struct mw_plan *plan, const char *fault);
    void *owner;
};

/* Those that serve come first. */
static int run(void *context, int channel) {
    const struct mw_probe *probe = context;
    setpriority(PRIO_PROCESS, 0, NICE);
    return probe->main(probe->config, probe->service, channel);
}

static void close_descriptors(const int *descriptors, int count) {
    for (int i = 0; i < count; i++) {
        close(descriptors[i]);
    }
}

static void on_message(void *owner, uint8_t kind, const char *bytes, size_t size, const int *descriptors, int count) {
    struct mw_probe *probe = owner;
    close_descriptors(descriptors, count);
    if (kind == MW_ORDER_PROBED && !probe->plan) {
        probe->plan = mw_plan_new(bytes, size);
    }
}

static void on_limit(struct mw_timer *timer) {
    struct mw_probe *probe = mw_list_owner(timer, struct mw_probe, limit);
    probe->late = true;
    mw_offspring_kill(probe->child);
}

/* Why there is no plan. */
static const char *explain(struct mw_probe *probe, struct mw_child_status status) {
    char reason[32];
    mw_offspring_reason(status, reason, sizeof reason);
    if (probe->late) {
        snprintf(probe->fault, sizeof probe->fault,
                 "%s: reading config and scripts took more than %g s; a script must not wait or loop while it is loaded",
                 probe->config, probe->seconds);
    } else {
        snprintf(probe->fault, sizeof probe->fault, "%s: the probe that reads config and scripts has died: %s",
                 probe->config, reason);
    }
    return probe->fault;
}

static void on_end(void *owner, struct mw_child_status status) {
    struct mw_probe *probe = owner;
    mw_timer_remove(mw_loop_timers(probe->loop), &probe->limit);
    const char *fault = !probe->plan ? explain(probe, status) : probe->plan->fault[0] ? probe->plan->fault : NULL;
    probe->on_answer(probe->owner, probe->plan, fault);
    free(probe);
}

static const struct mw_offspring_events events = {.on_message = on_message, .on_end = on_end};

struct mw_probe *mw_probe_start(struct mw_loop *loop,
                                int (*main)(const char *config, const char *service, int channel), const char *config,
                                const char *service, double seconds,
                                void (*on_answer)(void *owner, struct mw_plan *plan, const char *fault), void *owner) {
    struct mw_probe *probe = calloc(1, sizeof *probe);
    if (!probe) {
        return NULL;
    }
    *probe = (struct mw_probe){.loop = loop, .main = main, .config = config, .service = service, .seconds = seconds};
    probe->on_answer = on_answer;
    probe->owner = owner;
    mw_timer_init(&probe->limit, on_limit);
    bool limited = mw_timer_set(mw_loop_timers(loop), &probe->limit, mw_loop_update(loop) + seconds);
    errno = ENOMEM;
    probe->child = limited ? mw_offspring_start(loop, run, probe, &events, probe) : NULL;
    if (!probe->child) {
        int error = errno;
        mw_timer_remove(mw_loop_timers(loop), &probe->limit);
        free(probe);
        errno = error;
        return NULL;
    }
    return probe;
}

void mw_probe_cancel(struct mw_probe *probe) {
    mw_timer_remove(mw_loop_timers(probe->loop), &probe->limit);
    mw_offspring_close(probe->child);
    mw_plan_free(probe->plan);
    free(probe);
}
