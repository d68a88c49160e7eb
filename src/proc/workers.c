#include "proc/workers.h"

#include "base/metric.h"
#include "net/admission.h"
#include "net/tally.h"
#include "net/tls_tickets.h"
#include "proc/confine.h"
#include "proc/router.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const double FIRST_DELAY = 0.1, HEALTHY_SECONDS = 60; /* of living without an end */
static const double LOOK_SECONDS = 1;

/* Each in a line of the cache of its own: they are written in every turn. */
struct mw_beats {
    struct {
        _Alignas(64) struct mw_pulse pulse;
    } of[1];
};

static size_t beats_size(int count) {
    return sizeof(struct mw_beats) * (size_t)count;
}

/* --- the process --- */

/* In the child. */
static int run(void *context, int channel) {
    struct mw_worker *worker = context;
    struct mw_workers *workers = worker->workers;
    const struct mw_place place = {
        .worker = worker->number,
        .workers = workers->count,
        .channel = channel,
        .store = workers->options.store,
        .store_folder = workers->options.store_folder,
        .pulse = &workers->beats->of[worker->number - 1].pulse,
        .metrics = workers->metrics,
        .admissions = workers->admissions,
        .tallies = workers->tallies,
        .tickets = workers->tickets,
    };
    struct mw_fault fault;
    if (!mw_confine_worker(workers->options.settings, &fault)) {
        mw_log(MW_LOG_ERROR, "worker %d: %s", worker->number, fault.message);
        return 1;
    }
    return workers->options.main(&place);
}

static void forget_services(struct mw_worker *worker) {
    mw_services_release(worker->on);
    mw_services_release(worker->next);
    worker->on = worker->next = NULL;
    worker->moving = 0;
}

static const struct mw_offspring_events events;

static bool start(struct mw_worker *worker) {
    struct mw_workers *workers = worker->workers;
    struct mw_pulse *pulse = &workers->beats->of[worker->number - 1].pulse;
    pulse->turns = 0;
    pulse->polling = false;
    worker->process = mw_offspring_start(workers->loop, run, worker, &events, worker);
    if (!worker->process) {
        return false;
    }
    worker->state = MW_WORKER_STARTING;
    worker->since = worker->moved = mw_loop_update(workers->loop);
    worker->turns = 0;
    if (workers->current) {
        mw_worker_bring(worker, workers->current, false);
    }
    workers->options.events->on_start(workers->options.owner, worker);
    return true;
}

/* --- starting again --- */

static double next_delay(struct mw_worker *worker, double now) {
    const struct mw_settings *settings = worker->workers->options.settings;
    if (worker->exhausted) {
        return settings->most > settings->within / 2 ? settings->most : settings->within / 2;
    }
    if (now - worker->since >= HEALTHY_SECONDS) {
        worker->failures = 0;
    }
    unsigned failures = worker->failures++;
    double delay = failures == 0 ? 0 : FIRST_DELAY;
    for (unsigned i = 1; i < failures && delay < settings->most; i++) {
        delay *= 2;
    }
    return delay < settings->most ? delay : settings->most;
}

/* Once it has ended too often, it must live for as long as ends are counted to be trusted again. */
static void spend_budget(struct mw_worker *worker, double now) {
    const struct mw_settings *settings = worker->workers->options.settings;
    bool before = worker->exhausted;
    worker->ends[worker->next_end] = now;
    worker->next_end = (worker->next_end + 1) % MW_BUDGET_MOST;
    double first = worker->ends[(worker->next_end + MW_BUDGET_MOST - settings->budget) % MW_BUDGET_MOST];
    worker->exhausted = now - first < settings->within || (before && now - worker->since < settings->within);
    if (worker->exhausted && !before) {
        mw_log(MW_LOG_ERROR,
               "worker %d has ended %d times within %g s (last: %s): from now on it is started now and then only, until it "
               "lives for so long",
               worker->number, settings->budget, settings->within, worker->last_end);
    }
}

static void start_again(struct mw_worker *worker);

static void schedule(struct mw_worker *worker) {
    struct mw_loop *loop = worker->workers->loop;
    double now = mw_loop_update(loop);
    spend_budget(worker, now);
    double delay = next_delay(worker, now);
    if (delay == 0 || !mw_timer_set(mw_loop_timers(loop), &worker->again, now + delay)) {
        start_again(worker);
    }
}

static void start_again(struct mw_worker *worker) {
    worker->restarts++;
    if (start(worker)) {
        return;
    }
    worker->since = mw_loop_now(worker->workers->loop);
    snprintf(worker->last_end, sizeof worker->last_end, "not started");
    mw_log(MW_LOG_ERROR, "worker %d cannot be started: %s", worker->number, strerror(errno));
    schedule(worker);
}

static void on_again(struct mw_timer *timer) {
    start_again(mw_list_owner(timer, struct mw_worker, again));
}

static void on_end(void *owner, struct mw_child_status status) {
    struct mw_worker *worker = owner;
    struct mw_workers *workers = worker->workers;
    pid_t id = mw_offspring_id(worker->process);
    worker->process = NULL;
    worker->state = MW_WORKER_DOWN;
    mw_timer_clear(&worker->limit);
    forget_services(worker);
    mw_offspring_reason(status, worker->last_end, sizeof worker->last_end);
    mw_admissions_reset(workers->admissions, worker->number);
    mw_tallies_reset(workers->tallies, worker->number);
    if (!workers->stopping) {
        mw_log(MW_LOG_ERROR, "worker %d (process %d) has ended: %s", worker->number, (int)id, worker->last_end);
    }
    workers->options.events->on_end(workers->options.owner, worker);
    worker->led = false;
    if (!workers->stopping && !worker->process) {
        schedule(worker);
    }
}

/* --- going its own pace --- */

/* A worker that serves something else than what is current by now, and that nobody leads. */
static void catch_up(struct mw_worker *worker) {
    struct mw_services *current = worker->workers->current;
    if (worker->state == MW_WORKER_SERVING && !worker->led && !worker->moving && worker->on != current) {
        mw_worker_bring(worker, current, false);
    }
}

void mw_worker_forget(struct mw_worker *worker) {
    mw_services_release(worker->next);
    worker->next = NULL;
    worker->moving = 0;
    worker->led = false;
    catch_up(worker);
}

void mw_workers_set_current(struct mw_workers *workers, struct mw_services *services) {
    struct mw_services *before = workers->current;
    workers->current = mw_services_hold(services);
    mw_services_release(before);
    for (int i = 0; i < workers->count; i++) {
        catch_up(&workers->list[i]);
    }
}

static void on_limit(struct mw_timer *timer) {
    struct mw_worker *worker = mw_list_owner(timer, struct mw_worker, limit);
    mw_log(MW_LOG_ERROR, "worker %d has not come to generation %lld in time and is replaced", worker->number,
           (long long)worker->moving);
    mw_offspring_kill(worker->process);
}

/* A worker that goes its own pace. */
static void go_on(struct mw_worker *worker, enum mw_order kind, const struct mw_value *message) {
    char text[1024];
    switch (kind) {
    case MW_ORDER_READY: mw_worker_step(worker, MW_ORDER_ADOPT); break;
    case MW_ORDER_ADOPTED: mw_worker_commit(worker, 1); break;
    case MW_ORDER_SWITCHED:
        mw_timer_clear(&worker->limit);
        worker->workers->options.events->on_serving(worker->workers->options.owner, worker);
        catch_up(worker);
        break;
    default:
        mw_log(MW_LOG_ERROR, "worker %d cannot serve and is replaced: %s", worker->number,
               mw_value_string(message, "message", text, sizeof text));
        mw_offspring_kill(worker->process);
    }
}

static void on_step(struct mw_worker *worker, enum mw_order kind, const struct mw_value *message) {
    if (!worker->moving || mw_value_integer(message, "generation", 0) != worker->moving) {
        return;
    }
    if (kind == MW_ORDER_SWITCHED && !worker->next) {
        worker->state = MW_WORKER_SERVING;
        worker->moving = 0;
    }
    if (worker->led) {
        worker->workers->options.events->on_step(worker->workers->options.owner, worker, kind, message);
    } else {
        go_on(worker, kind, message);
    }
}

/* --- what workers say --- */

static void on_message(void *owner, uint8_t kind, const char *bytes, size_t size, const int *descriptors, int count) {
    struct mw_worker *worker = owner;
    struct mw_value message;
    for (int i = 0; i < count; i++) {
        close(descriptors[i]);
    }
    if (kind == MW_ORDER_PUBLISH) {
        mw_router_pass(worker->workers, worker, bytes, size);
    } else if (!mw_message_read(&message, bytes, size)) {
        mw_log(MW_LOG_ERROR, "worker %d speaks nonsense and is replaced", worker->number);
        mw_offspring_kill(worker->process);
    } else if (kind == MW_ORDER_ANSWER) {
        worker->workers->options.events->on_answer(worker->workers->options.owner, worker, &message);
    } else if (kind == MW_ORDER_RENEWED) {
        worker->workers->options.events->on_renewed(worker->workers->options.owner, worker, &message);
    } else if (kind >= MW_ORDER_READY && kind <= MW_ORDER_SWITCHED) {
        on_step(worker, (enum mw_order)kind, &message);
    }
}

static const struct mw_offspring_events events = {.on_message = on_message, .on_end = on_end};

/* --- whether they live --- */

static void look_at(struct mw_worker *worker, double now) {
    struct mw_workers *workers = worker->workers;
    const struct mw_pulse *pulse = &workers->beats->of[worker->number - 1].pulse;
    unsigned turns = pulse->turns;
    if (pulse->polling || turns != worker->turns) {
        worker->turns = turns;
        worker->moved = now;
    } else if (now - worker->moved >= workers->options.settings->stuck) {
        mw_log(MW_LOG_ERROR, "worker %d (process %d) stands still for %.1f s and is replaced", worker->number,
               (int)mw_offspring_id(worker->process), now - worker->moved);
        worker->moved = now;
        mw_offspring_kill(worker->process);
    }
}

/* When we were stopped ourselves, so were they: nobody has stood still for that long. */
static void on_look(struct mw_timer *timer) {
    struct mw_workers *workers = mw_list_owner(timer, struct mw_workers, look);
    double now = mw_loop_update(workers->loop);
    bool late = now - workers->looked > 2 * LOOK_SECONDS;
    for (int i = 0; i < workers->count; i++) {
        struct mw_worker *worker = &workers->list[i];
        if (worker->process && late) {
            worker->moved = now;
        } else if (worker->process) {
            look_at(worker, now);
        }
    }
    workers->looked = now;
    mw_timer_set(mw_loop_timers(workers->loop), &workers->look, now + LOOK_SECONDS);
}

/* --- all of them --- */

static void init_worker(struct mw_workers *workers, int number) {
    struct mw_worker *worker = &workers->list[number - 1];
    worker->workers = workers;
    worker->number = number;
    for (int i = 0; i < MW_BUDGET_MOST; i++) {
        worker->ends[i] = -HUGE_VAL;
    }
    mw_timer_init(&worker->again, on_again);
    mw_timer_init(&worker->limit, on_limit);
}

static bool map_memory(struct mw_workers *workers) {
    /* cppcheck-suppress invalidFunctionArg */
    void *beats = mmap(NULL, beats_size(workers->count), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (beats == MAP_FAILED) {
        return false;
    }
    workers->beats = beats;
    workers->metrics = mw_metrics_new(workers->count);
    workers->admissions = workers->metrics ? mw_admissions_new(workers->count) : NULL;
    workers->tallies = workers->admissions ? mw_tallies_new(workers->count) : NULL;
    workers->tickets = workers->tallies ? mw_tls_tickets_new(MW_TLS_TICKETS_INTERVAL) : NULL;
    return workers->tickets != NULL;
}

struct mw_workers *mw_workers_new(struct mw_loop *loop, const struct mw_workers_options *options) {
    int count = options->settings->workers;
    struct mw_workers *workers = calloc(1, sizeof *workers + (size_t)count * sizeof *workers->list);
    if (!workers) {
        return NULL;
    }
    workers->loop = loop;
    workers->options = *options;
    workers->count = count;
    mw_timer_init(&workers->look, on_look);
    for (int number = 1; number <= count; number++) {
        init_worker(workers, number);
    }
    workers->looked = mw_loop_update(loop);
    if (!map_memory(workers) ||
        !mw_timer_set(mw_loop_timers(loop), &workers->look, workers->looked + LOOK_SECONDS)) {
        int error = errno;
        mw_workers_free(workers);
        errno = error;
        return NULL;
    }
    return workers;
}

static void free_worker(struct mw_worker *worker) {
    struct mw_timers *timers = mw_loop_timers(worker->workers->loop);
    mw_timer_remove(timers, &worker->again);
    mw_timer_remove(timers, &worker->limit);
    if (worker->process) {
        mw_offspring_close(worker->process);
    }
    forget_services(worker);
}

void mw_workers_free(struct mw_workers *workers) {
    mw_timer_remove(mw_loop_timers(workers->loop), &workers->look);
    for (int i = 0; i < workers->count; i++) {
        free_worker(&workers->list[i]);
    }
    mw_services_release(workers->current);
    if (workers->admissions) {
        mw_admissions_free(workers->admissions);
    }
    mw_tls_tickets_free(workers->tickets);
    mw_tallies_free(workers->tallies);
    if (workers->metrics) {
        mw_metrics_free(workers->metrics);
    }
    if (workers->beats) {
        munmap(workers->beats, beats_size(workers->count));
    }
    free(workers);
}

bool mw_workers_start(struct mw_workers *workers) {
    for (int i = 0; i < workers->count; i++) {
        if (!start(&workers->list[i])) {
            return false;
        }
    }
    return true;
}

void mw_workers_tell(struct mw_workers *workers, enum mw_order kind, const struct mw_text *message,
                     const int *descriptors, int count) {
    for (int i = 0; i < workers->count; i++) {
        if (workers->list[i].process) {
            mw_offspring_tell(workers->list[i].process, kind, message, descriptors, count);
        }
    }
}

void mw_workers_stop(struct mw_workers *workers, double drain) {
    struct mw_text text = {.bytes = NULL};
    workers->stopping = true;
    for (int i = 0; i < workers->count; i++) {
        mw_timer_clear(&workers->list[i].again);
        mw_timer_clear(&workers->list[i].limit);
        forget_services(&workers->list[i]);
    }
    mw_services_release(workers->current);
    workers->current = NULL;
    size_t table = mw_message_open(&text);
    mw_message_put_number(&text, "drain", drain);
    mw_message_close(&text, table);
    mw_workers_tell(workers, MW_ORDER_STOP, &text, NULL, 0);
    mw_text_free(&text);
}

void mw_workers_kill(struct mw_workers *workers) {
    for (int i = 0; i < workers->count; i++) {
        if (workers->list[i].process) {
            mw_offspring_kill(workers->list[i].process);
        }
    }
}

void mw_workers_wake(struct mw_workers *workers) {
    for (int i = 0; i < workers->count; i++) {
        struct mw_worker *worker = &workers->list[i];
        if (worker->state == MW_WORKER_DOWN && !workers->stopping) {
            mw_timer_clear(&worker->again);
            worker->failures = 0;
            worker->exhausted = false;
            start_again(worker);
        }
    }
}

int mw_workers_alive(const struct mw_workers *workers) {
    int alive = 0;
    for (int i = 0; i < workers->count; i++) {
        alive += workers->list[i].process != NULL;
    }
    return alive;
}
