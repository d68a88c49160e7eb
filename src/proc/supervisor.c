/* The life of the supervisor: its boot is two lists of steps, of which each needs those before it; the probe's answer
 * comes between. */
#include "proc/supervisor.h"

#include "proc/operator.h"
#include "proc/supervisor_internal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const double PROBE_SECONDS = 30; /* for the first probe; then the config says */
static const double STOP_GRACE = 2;      /* beyond the drain, until workers are killed */
static const double LINGER_SECONDS = 1; /* for answers of the control socket at the end */

enum { MOST_KEPT = 64 /* descriptors that systemd takes at once */ };

static const struct mw_reload_wish whole = {.canary = {.share = 1}};

/* --- the end --- */

static void end(struct mw_supervisor *supervisor, int status) {
    supervisor->status = status;
    mw_loop_stop(supervisor->loop);
}

static void end_if_alone(struct mw_supervisor *supervisor) {
    if (!supervisor->workers || mw_workers_alive(supervisor->workers) == 0) {
        end(supervisor, supervisor->status);
    }
}

static void on_limit(struct mw_timer *timer) {
    struct mw_supervisor *supervisor = mw_list_owner(timer, struct mw_supervisor, limit);
    mw_log(MW_LOG_WARN, "%d workers have not ended in time and are killed", mw_workers_alive(supervisor->workers));
    mw_workers_kill(supervisor->workers);
}

/* The longest that anything may take. */
static double longest_drain(const struct mw_supervisor *supervisor) {
    const struct mw_services *services = supervisor->workers ? supervisor->workers->current : NULL;
    double drain = supervisor->settings.drain;
    for (int i = 0; services && i < services->count; i++) {
        drain = services->list[i]->drain > drain ? services->list[i]->drain : drain;
    }
    return drain;
}

static void begin_stop(struct mw_supervisor *supervisor, bool now) {
    double drain = now ? 0 : supervisor->settings.drain;
    mw_log(MW_LOG_INFO, "stopping%s", now ? " at once" : "");
    mw_systemd_stopping(supervisor->systemd, "stopping");
    if (supervisor->probe) {
        mw_probe_cancel(supervisor->probe);
        supervisor->probe = NULL;
    }
    supervisor->state = MW_SUPERVISOR_STOPPING;
    if (supervisor->workers) {
        mw_sockets_leave(supervisor->sockets);
        double due = mw_loop_update(supervisor->loop) + (now ? 0 : longest_drain(supervisor)) + STOP_GRACE;
        mw_generations_stop(supervisor->generations);
        mw_workers_stop(supervisor->workers, drain);
        if (!mw_timer_set(mw_loop_timers(supervisor->loop), &supervisor->limit, due)) {
            mw_workers_kill(supervisor->workers);
        }
    }
    end_if_alone(supervisor);
}

void mw_supervisor_stop(struct mw_supervisor *supervisor, bool now) {
    if (supervisor->state != MW_SUPERVISOR_STOPPING) {
        begin_stop(supervisor, now);
    } else if (supervisor->workers) {
        mw_workers_kill(supervisor->workers);
    }
}

/* --- events --- */

static void on_signal(void *context, int number) {
    struct mw_supervisor *supervisor = context;
    if (number == SIGUSR1) {
        mw_supervisor_reopen_log(supervisor);
    } else if (number != SIGHUP) {
        mw_supervisor_stop(supervisor, false);
    } else if (supervisor->state == MW_SUPERVISOR_RUNNING && !mw_generations_reload(supervisor->generations, &whole, NULL)) {
        mw_log(MW_LOG_ERROR, "not enough memory for a reload");
    }
}

static void on_change(void *owner) {
    on_signal(owner, SIGHUP);
}

static void on_step(void *owner, struct mw_worker *worker, enum mw_order kind, const struct mw_value *message) {
    struct mw_supervisor *supervisor = owner;
    mw_generations_on_step(supervisor->generations, worker, kind, message);
}

static void on_answer(void *owner, struct mw_worker *worker, const struct mw_value *message) {
    struct mw_supervisor *supervisor = owner;
    mw_asking_answered(supervisor->asking, worker, message);
}

static void on_start(void *owner, struct mw_worker *worker) {
    struct mw_supervisor *supervisor = owner;
    mw_drains_tell(&supervisor->drains, worker);
}

static void on_renewed(void *owner, struct mw_worker *worker, const struct mw_value *message) {
    struct mw_supervisor *supervisor = owner;
    mw_renewal_answered(supervisor->renewal, worker, message);
}

static void on_serving(void *owner, struct mw_worker *worker) {
    struct mw_supervisor *supervisor = owner;
    mw_renewal_serving(supervisor->renewal, worker);
    mw_generations_on_serving(supervisor->generations, worker);
}

static void on_worker_end(void *owner, struct mw_worker *worker) {
    struct mw_supervisor *supervisor = owner;
    mw_asking_gone(supervisor->asking, worker);
    if (supervisor->state == MW_SUPERVISOR_STOPPING) {
        end_if_alone(supervisor);
    } else {
        mw_generations_on_end(supervisor->generations, worker);
    }
}

static const struct mw_workers_events workers_events = {
    .on_step = on_step,
    .on_answer = on_answer,
    .on_start = on_start,
    .on_renewed = on_renewed,
    .on_end = on_worker_end,
    .on_serving = on_serving,
};

/* --- generations --- */

static void on_begin(void *owner) {
    struct mw_supervisor *supervisor = owner;
    mw_log(MW_LOG_INFO, "reloading");
    mw_systemd_reloading(supervisor->systemd, "reloading");
}

/* What may change while the daemon runs, does. */
static void take_settings(struct mw_supervisor *supervisor, const struct mw_settings *settings) {
    struct mw_settings *ours = &supervisor->settings;
    if (settings->workers != ours->workers || strcmp(settings->control, ours->control) != 0 ||
        strcmp(settings->user, ours->user) != 0 || strcmp(settings->group, ours->group) != 0 ||
        strcmp(settings->store, ours->store) != 0 || settings->log_json != ours->log_json) {
        mw_log(MW_LOG_WARN, "other workers, control, user, group, store or log.format take effect with a restart only");
    }
    if (settings->processes && !ours->processes) {
        mw_log(MW_LOG_WARN, "a service is the first to have processes = true: it can start programs after a restart only");
    }
    if (settings->log_level != ours->log_level) {
        mw_supervisor_set_log_level(supervisor, (enum mw_log_level)settings->log_level);
    }
    if (strcmp(settings->log_to, ours->log_to) != 0) {
        if (mw_log_open_to(settings->log_to)) {
            snprintf(ours->log_to, sizeof ours->log_to, "%s", settings->log_to);
            mw_supervisor_move_log(supervisor);
        } else {
            mw_log(MW_LOG_ERROR, "log to %s: %s", settings->log_to, strerror(errno));
        }
    }
    ours->drain = settings->drain;
    ours->stuck = settings->stuck;
    ours->reload_timeout = settings->reload_timeout;
    ours->budget = settings->budget;
    ours->within = settings->within;
    ours->most = settings->most;
}

static void note_failure(struct mw_supervisor *supervisor, const struct mw_reload_outcome *outcome) {
    supervisor->reloads.failed++;
    snprintf(supervisor->reloads.last_error, sizeof supervisor->reloads.last_error, "%s", outcome->fault);
    mw_log(MW_LOG_ERROR, "nothing was reloaded: %s", outcome->fault);
    mw_systemd_ready(supervisor->systemd, "the last reload has failed, the generation before it serves");
}

static void note_success(struct mw_supervisor *supervisor, const struct mw_reload_outcome *outcome) {
    char status[128];
    supervisor->generation = outcome->generation;
    snprintf(status, sizeof status, "serving generation %lld with %d workers", (long long)outcome->generation,
             supervisor->workers->count);
    mw_systemd_ready(supervisor->systemd, status);
    if (supervisor->state == MW_SUPERVISOR_BOOTING) {
        supervisor->state = MW_SUPERVISOR_RUNNING;
        mw_systemd_drop_rest(supervisor->systemd, MW_SOCKET_KEPT);
        mw_log(MW_LOG_INFO, "ready: %s", status);
        return;
    }
    supervisor->reloads.done++;
    mw_log(MW_LOG_INFO, "reloaded: generation %lld, %lld connections moved, %lld stay with the code before, %lld ended",
           (long long)outcome->generation, (long long)outcome->moved, (long long)outcome->kept,
           (long long)outcome->ended);
}

static void on_outcome(void *owner, const struct mw_reload_outcome *outcome, const struct mw_plan *plan) {
    struct mw_supervisor *supervisor = owner;
    if (supervisor->state == MW_SUPERVISOR_STOPPING) {
        return;
    }
    if (supervisor->state == MW_SUPERVISOR_BOOTING && outcome->fault) {
        mw_log(MW_LOG_ERROR, "cannot start: %s", outcome->fault);
        supervisor->workers->stopping = true;
        end(supervisor, 1);
        return;
    }
    if (supervisor->watch && plan) {
        mw_watch_set(supervisor->watch, &plan->files, outcome->fault || outcome->partial);
    }
    if (outcome->fault) {
        note_failure(supervisor, outcome);
        return;
    }
    if (!outcome->partial && plan) {
        take_settings(supervisor, &plan->settings);
    }
    note_success(supervisor, outcome);
    mw_renewal_follow(supervisor->renewal);
}

static const struct mw_generations_events generations_events = {.on_begin = on_begin, .on_outcome = on_outcome};

/* --- boot, behind the probe --- */

static bool with_fault(struct mw_fault *fault, const char *operation, const char *subject) {
    mw_fault_set(fault, errno, operation, subject);
    return false;
}

static bool open_log(struct mw_supervisor *supervisor, struct mw_fault *fault) {
    mw_log_set_level((enum mw_log_level)supervisor->settings.log_level);
    mw_log_set_format(supervisor->settings.log_json ? MW_LOG_JSON : MW_LOG_TEXT);
    return mw_log_open_to(supervisor->settings.log_to) ||
           with_fault(fault, "log to", supervisor->settings.log_to);
}

static_assert((int)MW_SOCKET_NAME == (int)MW_SYSTEMD_NAME, "names are handed through");

static int take_kept(void *context, const struct mw_addr *addr, int type, char name[MW_SOCKET_NAME]) {
    const struct mw_supervisor *supervisor = context;
    return mw_systemd_take(supervisor->systemd, addr, type, name);
}

static bool keep(void *context, const char *name, const int *descriptors, int count) {
    const struct mw_supervisor *supervisor = context;
    for (int i = 0; i < count; i += MOST_KEPT) {
        mw_systemd_store(supervisor->systemd, name, descriptors + i, count - i < MOST_KEPT ? count - i : MOST_KEPT);
    }
    return mw_systemd_notifies(supervisor->systemd);
}

static void forget(void *context, const char *name) {
    const struct mw_supervisor *supervisor = context;
    mw_systemd_unstore(supervisor->systemd, name);
}

static bool open_sockets(struct mw_supervisor *supervisor, struct mw_fault *fault) {
    const struct mw_sockets_keeper systemd = {.take = take_kept, .keep = keep, .forget = forget, .context = supervisor};
    supervisor->sockets = mw_sockets_new(supervisor->settings.workers, &systemd);
    return supervisor->sockets || with_fault(fault, "open", "sockets");
}

static bool open_workers(struct mw_supervisor *supervisor, struct mw_fault *fault) {
    struct mw_workers_options options = {
        .settings = &supervisor->settings,
        .main = supervisor->options->worker_main,
        .events = &workers_events,
        .owner = supervisor,
    };
    supervisor->workers = mw_workers_new(supervisor->loop, &options);
    return supervisor->workers || with_fault(fault, "share memory with", "workers");
}

static bool open_store(struct mw_supervisor *supervisor, struct mw_fault *fault) {
    supervisor->store = mw_store_folder_open(&supervisor->settings, fault);
    if (!supervisor->store) {
        return false;
    }
    supervisor->workers->options.store = mw_store_folder_url(supervisor->store);
    supervisor->workers->options.store_folder = mw_store_folder_path(supervisor->store);
    return true;
}

static bool open_generations(struct mw_supervisor *supervisor, struct mw_fault *fault) {
    supervisor->asking = mw_asking_new(supervisor->loop, supervisor->workers);
    struct mw_generations_options options = {
        .loop = supervisor->loop,
        .probe_main = supervisor->options->probe_main,
        .config = supervisor->options->config,
        .settings = &supervisor->settings,
        .sockets = supervisor->sockets,
        .workers = supervisor->workers,
        .asking = supervisor->asking,
        .events = &generations_events,
        .owner = supervisor,
    };
    supervisor->generations = supervisor->asking ? mw_generations_new(&options) : NULL;
    return supervisor->generations || with_fault(fault, "prepare", "reloads");
}

static bool open_renewal(struct mw_supervisor *supervisor, struct mw_fault *fault) {
    supervisor->renewal = mw_renewal_new(supervisor->loop, supervisor->workers);
    return supervisor->renewal || with_fault(fault, "prepare", "renewals");
}

static bool start_watching(struct mw_supervisor *supervisor, struct mw_fault *fault) {
    if (supervisor->options->watch) {
        supervisor->watch = mw_watch_new(supervisor->loop, on_change, supervisor);
    }
    return supervisor->watch || !supervisor->options->watch || with_fault(fault, "watch", "files");
}

static bool start_workers(struct mw_supervisor *supervisor, struct mw_fault *fault) {
    return mw_workers_start(supervisor->workers) || with_fault(fault, "start", "workers");
}

/* A sign of life while somebody serves. */
static void on_alive(struct mw_timer *timer) {
    struct mw_supervisor *supervisor = mw_list_owner(timer, struct mw_supervisor, alive);
    bool serving = supervisor->state != MW_SUPERVISOR_RUNNING;
    for (int i = 0; i < supervisor->workers->count; i++) {
        serving = serving || supervisor->workers->list[i].state == MW_WORKER_SERVING;
    }
    if (serving) {
        mw_systemd_watchdog(supervisor->systemd);
    }
    mw_timer_set(mw_loop_timers(supervisor->loop), timer,
                 mw_loop_update(supervisor->loop) + mw_systemd_watchdog_interval(supervisor->systemd));
}

static bool show_life(struct mw_supervisor *supervisor, struct mw_fault *fault) {
    double interval = mw_systemd_watchdog_interval(supervisor->systemd);
    return interval <= 0 ||
           mw_timer_set(mw_loop_timers(supervisor->loop), &supervisor->alive,
                        mw_loop_update(supervisor->loop) + interval) ||
           with_fault(fault, "show life to", "systemd");
}

typedef bool boot_step(struct mw_supervisor *supervisor, struct mw_fault *fault);

static bool take_steps(struct mw_supervisor *supervisor, boot_step *const steps[], size_t count) {
    struct mw_fault fault = {.message = ""};
    for (size_t i = 0; i < count; i++) {
        if (!steps[i](supervisor, &fault)) {
            mw_log(MW_LOG_ERROR, "cannot start: %s", fault.message);
            return false;
        }
    }
    return true;
}

static boot_step *const with_plan[] = {
    open_log,     open_sockets,     open_workers,   open_generations, open_renewal, mw_operator_open,
    open_store,   start_watching,   start_workers,  show_life,
};

static void on_first_plan(void *owner, struct mw_plan *plan, const char *fault) {
    struct mw_supervisor *supervisor = owner;
    supervisor->probe = NULL;
    if (fault) {
        mw_log(MW_LOG_ERROR, "cannot start: %s", fault);
        mw_plan_free(plan);
        end(supervisor, 1);
        return;
    }
    supervisor->settings = plan->settings;
    if (take_steps(supervisor, with_plan, sizeof with_plan / sizeof *with_plan)) {
        mw_generations_first(supervisor->generations, plan);
    } else {
        mw_plan_free(plan);
        end(supervisor, 1);
    }
}

/* --- boot, before the probe --- */

/* A descriptor of ours must not be taken for standard output. */
static bool open_stdio(struct mw_supervisor *supervisor, struct mw_fault *fault) {
    int fd;
    (void)supervisor;
    do {
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    } while (fd >= 0 && fd <= 2);
    if (fd >= 0) {
        close(fd);
    }
    return fd >= 0 || with_fault(fault, "open", "/dev/null");
}

static bool open_loop(struct mw_supervisor *supervisor, struct mw_fault *fault) {
    supervisor->loop = mw_loop_new();
    supervisor->net = supervisor->loop ? mw_net_new(supervisor->loop) : NULL;
    if (supervisor->loop) {
        supervisor->began = mw_loop_now(supervisor->loop);
    }
    return supervisor->net || with_fault(fault, "open", "the event loop");
}

static bool watch_signals(struct mw_supervisor *supervisor, struct mw_fault *fault) {
    static const int numbers[MW_SUPERVISOR_SIGNALS] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
    for (int i = 0; i < MW_SUPERVISOR_SIGNALS; i++) {
        supervisor->signals[i] = mw_signal_watch(supervisor->loop, numbers[i], on_signal, supervisor);
        if (!supervisor->signals[i]) {
            return with_fault(fault, "watch", "signals");
        }
    }
    return true;
}

static bool meet_systemd(struct mw_supervisor *supervisor, struct mw_fault *fault) {
    supervisor->systemd = mw_systemd_new(fault);
    return supervisor->systemd != NULL;
}

static bool start_probe(struct mw_supervisor *supervisor, struct mw_fault *fault) {
    supervisor->probe = mw_probe_start(supervisor->loop, supervisor->options->probe_main, supervisor->options->config,
                                       NULL, PROBE_SECONDS, on_first_plan, supervisor);
    return supervisor->probe || with_fault(fault, "probe", supervisor->options->config);
}

static boot_step *const before_plan[] = {open_stdio, open_loop, watch_signals, meet_systemd, start_probe};

/* --- shutdown --- */

static void close_parts(struct mw_supervisor *supervisor) {
    mw_timer_remove(mw_loop_timers(supervisor->loop), &supervisor->limit);
    mw_timer_remove(mw_loop_timers(supervisor->loop), &supervisor->alive);
    if (supervisor->probe) {
        mw_probe_cancel(supervisor->probe);
    }
    if (supervisor->watch) {
        mw_watch_free(supervisor->watch);
    }
    if (supervisor->generations) {
        mw_generations_free(supervisor->generations);
    }
    mw_renewal_free(supervisor->renewal);
    if (supervisor->asking) {
        mw_asking_free(supervisor->asking);
    }
    if (supervisor->workers) {
        mw_workers_free(supervisor->workers);
    }
    if (supervisor->sockets) {
        mw_sockets_free(supervisor->sockets);
    }
    mw_store_folder_close(supervisor->store);
    mw_drains_free(&supervisor->drains);
}

/* Answers that were given still leave. */
static void close_control(struct mw_supervisor *supervisor) {
    if (supervisor->control) {
        mw_control_close(supervisor->control, LINGER_SECONDS);
        mw_loop_run(supervisor->loop);
    }
}

static void close_all(struct mw_supervisor *supervisor) {
    if (supervisor->loop) {
        close_parts(supervisor);
        for (int i = 0; i < MW_SUPERVISOR_SIGNALS; i++) {
            mw_signal_unwatch(supervisor->signals[i]);
        }
        close_control(supervisor);
    }
    if (supervisor->systemd) {
        mw_systemd_free(supervisor->systemd);
    }
    if (supervisor->net) {
        mw_net_free(supervisor->net);
    }
    mw_loop_free(supervisor->loop);
}

int mw_supervisor_run(const struct mw_supervisor_options *options) {
    struct mw_supervisor supervisor = {.options = options};
    mw_timer_init(&supervisor.limit, on_limit);
    mw_timer_init(&supervisor.alive, on_alive);
    mw_drains_init(&supervisor.drains);
    if (take_steps(&supervisor, before_plan, sizeof before_plan / sizeof *before_plan)) {
        mw_loop_run(supervisor.loop);
    } else {
        supervisor.status = 1;
    }
    close_all(&supervisor);
    if (supervisor.state == MW_SUPERVISOR_STOPPING) {
        mw_log(MW_LOG_INFO, "stopped");
    }
    return supervisor.status;
}
