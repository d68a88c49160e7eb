#include "proc/generation.h"

#include "proc/cohort.h"
#include "proc/probe.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double TRIAL_LOOK_SECONDS = 1;

enum stage {
    REST,
    PROBE,   /* config and scripts are judged */
    GATHER,  /* workers that were just started come to the old generation first */
    PREPARE, /* they build the new one */
    ADOPT,   /* old services hand over */
    SWITCH,  /* the new one serves, or a part of the connections meet it */
    TRIAL,
    RETURN, /* from a trial to the old one */
};

struct waiting {
    struct mw_list node;
    struct mw_reload_waiter waiter;
};

struct job {
    struct mw_list node;
    struct mw_reload_wish wish;
    bool first;
    struct mw_list waiting;
};

struct mw_generations {
    struct mw_generations_options options;
    struct mw_list jobs; /* the first is under way unless at REST */
    enum stage stage;
    bool stopped;
    int64_t number; /* the latest that workers have heard of */
    struct mw_probe *probe;
    struct mw_plan *plan;
    struct mw_services *next;
    struct mw_reload_outcome sums;
    struct mw_canary canary;
    bool on_trial; /* the switch is that of a trial */
    double began, trial_ends;
    struct mw_timer limit; /* of the workers, or the next look at a trial */
    char fault[MW_PLAN_FAULT];
};

static const char *const doing[] = {
    [PREPARE] = "while it prepared the new generation",
    [ADOPT] = "while its services handed over",
    [TRIAL] = "in the trial",
    [SWITCH] = "while it switched",
};

/* --- the queue --- */

static struct job *job_now(const struct mw_generations *generations) {
    return mw_list_owner(generations->jobs.next, struct job, node);
}

static const char *only(const struct mw_generations *generations) {
    const char *service = job_now(generations)->wish.service;
    return service[0] ? service : NULL;
}

/* Tells who waits, or nobody when there is no outcome, and frees the job. */
static void end_job(struct job *job, const struct mw_reload_outcome *outcome) {
    for (struct mw_list *node = job->waiting.next, *next; node != &job->waiting; node = next) {
        struct waiting *waiting = mw_list_owner(node, struct waiting, node);
        next = node->next;
        if (outcome) {
            waiting->waiter.on_outcome(waiting->waiter.owner, waiting->waiter.context, outcome);
        }
        free(waiting);
    }
    mw_list_remove(&job->node);
    free(job);
}

static void end_jobs(struct mw_generations *generations, const struct mw_reload_outcome *outcome) {
    for (struct mw_list *node = generations->jobs.next, *next; node != &generations->jobs; node = next) {
        next = node->next;
        end_job(mw_list_owner(node, struct job, node), outcome);
    }
}

static void begin(struct mw_generations *generations);

static void finish(struct mw_generations *generations, const char *code) {
    struct mw_reload_outcome outcome = generations->sums;
    struct mw_plan *plan = generations->plan;
    struct job *job = job_now(generations);
    mw_list_remove(&job->node);
    mw_timer_clear(&generations->limit);
    mw_services_release(generations->next);
    generations->next = NULL;
    generations->plan = NULL;
    generations->stage = REST;
    outcome.fault = code ? generations->fault : NULL;
    outcome.code = code;
    outcome.seconds = mw_loop_update(generations->options.loop) - generations->began;
    generations->options.events->on_outcome(generations->options.owner, &outcome, plan);
    end_job(job, &outcome);
    mw_plan_free(plan);
    if (generations->stage == REST && !mw_list_empty(&generations->jobs) && !generations->stopped) {
        begin(generations);
    }
}

/* --- stages --- */

static void step(struct mw_generations *generations, enum stage stage, enum mw_order order) {
    generations->stage = stage;
    mw_cohort_step(generations->options.workers, order);
}

static void commit(struct mw_generations *generations, double share) {
    generations->stage = SWITCH;
    mw_cohort_commit(generations->options.workers, share);
}

static void forget(struct mw_generations *generations) {
    mw_cohort_forget(generations->options.workers);
}

/* Before the switch: nothing has happened. */
__attribute__((format(printf, 3, 4))) static void fail(struct mw_generations *generations, const char *code,
                                                       const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(generations->fault, sizeof generations->fault, format, arguments);
    va_end(arguments);
    if (generations->stage == PREPARE || generations->stage == ADOPT) {
        step(generations, generations->stage, MW_ORDER_ABORT);
        forget(generations);
    }
    mw_services_release(generations->next);
    generations->next = NULL;
    mw_services_settle(generations->options.workers->current);
    finish(generations, code);
}

/* A worker that dies from now on has switched: its successor begins with the new generation. */
static void commit_all(struct mw_generations *generations) {
    generations->on_trial = false;
    mw_workers_set_current(generations->options.workers, generations->next);
    commit(generations, 1);
}

static void switched(struct mw_generations *generations) {
    forget(generations);
    mw_services_settle(generations->options.workers->current);
    mw_workers_wake(generations->options.workers);
    finish(generations, NULL);
}

static bool set_limit(struct mw_generations *generations, double seconds) {
    struct mw_loop *loop = generations->options.loop;
    return mw_timer_set(mw_loop_timers(loop), &generations->limit, mw_loop_update(loop) + seconds);
}

static void look_at_trial(struct mw_generations *generations);

static void advance(struct mw_generations *generations);

/* When nobody is there to answer, the step is done. */
static void prepared(struct mw_generations *generations) {
    step(generations, ADOPT, MW_ORDER_ADOPT);
    advance(generations);
}

static void adopted(struct mw_generations *generations) {
    if (generations->on_trial) {
        commit(generations, job_now(generations)->wish.canary.share);
    } else {
        commit_all(generations);
    }
    advance(generations);
}

static void advance(struct mw_generations *generations) {
    if (mw_cohort_silent(generations->options.workers)) {
        return;
    }
    switch (generations->stage) {
    case PREPARE: prepared(generations); break;
    case ADOPT: adopted(generations); break;
    case SWITCH:
        if (generations->on_trial) {
            generations->stage = TRIAL;
            generations->trial_ends = mw_loop_now(generations->options.loop) + job_now(generations)->wish.canary.seconds;
            look_at_trial(generations);
        } else {
            switched(generations);
        }
        break;
    case RETURN:
        forget(generations);
        mw_services_release(generations->next);
        generations->next = NULL;
        mw_services_settle(generations->options.workers->current);
        finish(generations, "canary");
        break;
    default: break;
    }
}

/* The steps themselves, for who is there. Nobody may be, when all workers die of the old generation: then the new
 * one is judged by the probe alone. */
static void prepare(struct mw_generations *generations) {
    const struct mw_generations_options *options = &generations->options;
    const struct job *job = job_now(generations);
    generations->next = mw_services_new(generations->plan, only(generations), options->workers->current,
                                        options->sockets, generations->number + 1, generations->fault);
    if (!generations->next) {
        finish(generations, "fault");
        return;
    }
    generations->stage = PREPARE;
    generations->sums.generation = ++generations->number;
    generations->on_trial = job->wish.canary.share < 1;
    generations->canary = (struct mw_canary){.begun = false};
    mw_cohort_bring(options->workers, generations->next, job->first);
    if (!set_limit(generations, options->settings->reload_timeout)) {
        fail(generations, "memory", "not enough memory to watch the time of a reload");
        return;
    }
    advance(generations);
}

static void gather(struct mw_generations *generations) {
    const struct mw_workers *workers = generations->options.workers;
    for (int i = 0; i < workers->count; i++) {
        const struct mw_worker *worker = &workers->list[i];
        if (worker->process && (worker->state == MW_WORKER_STARTING || worker->moving)) {
            generations->stage = GATHER;
            return;
        }
    }
    prepare(generations);
}

static void on_probed(void *owner, struct mw_plan *plan, const char *fault) {
    struct mw_generations *generations = owner;
    generations->probe = NULL;
    generations->plan = plan;
    if (fault) {
        fail(generations, "fault", "%s", fault);
    } else {
        gather(generations);
    }
}

static void begin(struct mw_generations *generations) {
    const struct mw_generations_options *options = &generations->options;
    generations->stage = PROBE;
    generations->began = mw_loop_update(options->loop);
    generations->sums = (struct mw_reload_outcome){.generation = generations->number, .partial = only(generations)};
    options->events->on_begin(options->owner);
    generations->probe = mw_probe_start(options->loop, options->probe_main, options->config, only(generations),
                                        options->settings->reload_timeout, on_probed, generations);
    if (!generations->probe) {
        fail(generations, mw_fault_code(errno), "%s: cannot start the probe: %s", options->config, strerror(errno));
    }
}

/* --- trials --- */

static void end_trial(struct mw_generations *generations, bool well) {
    if (!set_limit(generations, generations->options.settings->reload_timeout)) {
        mw_timer_clear(&generations->limit);
    }
    if (well) {
        commit_all(generations);
    } else {
        step(generations, RETURN, MW_ORDER_ROLLBACK);
    }
    advance(generations);
}

static void on_counted(void *owner, uint64_t context, struct mw_question *question) {
    struct mw_generations *generations = owner;
    const struct mw_canary_rule *rule = &job_now(generations)->wish.canary;
    char rates[160];
    if (generations->stage != TRIAL || context != (uint64_t)generations->number) {
        return;
    }
    mw_canary_count(&generations->canary, question, generations->options.workers->count);
    if (mw_canary_is_worse(&generations->canary, rule->factor, rates, sizeof rates)) {
        snprintf(generations->fault, sizeof generations->fault, "generation %lld was taken back: %s",
                 (long long)generations->number, rates);
        end_trial(generations, false);
    } else if (mw_loop_update(generations->options.loop) >= generations->trial_ends) {
        end_trial(generations, true);
    }
}

static void look_at_trial(struct mw_generations *generations) {
    double left = generations->trial_ends - mw_loop_update(generations->options.loop);
    if (!set_limit(generations, left > 0 && left < TRIAL_LOOK_SECONDS ? left : TRIAL_LOOK_SECONDS) ||
        !mw_asking_start(generations->options.asking, "canary", NULL, 0, on_counted, generations,
                         (uint64_t)generations->number)) {
        snprintf(generations->fault, sizeof generations->fault, "not enough memory to watch the trial of generation %lld",
                 (long long)generations->number);
        end_trial(generations, false);
    }
}

/* --- what happens meanwhile --- */

static void on_limit(struct mw_timer *timer) {
    struct mw_generations *generations = mw_list_owner(timer, struct mw_generations, limit);
    switch (generations->stage) {
    case PREPARE:
    case ADOPT:
        fail(generations, "timeout", "worker %d has not answered for %g s %s", mw_cohort_silent(generations->options.workers)->number,
             generations->options.settings->reload_timeout, doing[generations->stage]);
        break;
    case SWITCH:
    case RETURN: mw_cohort_replace_silent(generations->options.workers); break;
    case TRIAL: look_at_trial(generations); break;
    default: break;
    }
}

void mw_generations_on_step(struct mw_generations *generations, struct mw_worker *worker, enum mw_order kind,
                            const struct mw_value *message) {
    static const enum mw_order awaited[] = {
        [PREPARE] = MW_ORDER_READY,
        [ADOPT] = MW_ORDER_ADOPTED,
        [SWITCH] = MW_ORDER_SWITCHED,
        [RETURN] = MW_ORDER_SWITCHED,
    };
    if (kind == MW_ORDER_FAULT && (generations->stage == PREPARE || generations->stage == ADOPT)) {
        char name[MW_SERVICE_NAME], text[MW_PLAN_FAULT / 2];
        fail(generations, "fault", "service '%s' on worker %d: %s",
             mw_value_string(message, "service", name, sizeof name), worker->number,
             mw_value_string(message, "message", text, sizeof text));
        return;
    }
    enum stage stage = generations->stage;
    if ((stage != PREPARE && stage != ADOPT && stage != SWITCH && stage != RETURN) || awaited[stage] != kind) {
        return;
    }
    worker->answered = true;
    if (kind == MW_ORDER_SWITCHED) {
        generations->sums.moved += mw_value_integer(message, "moved", 0);
        generations->sums.kept += mw_value_integer(message, "kept", 0);
        generations->sums.ended += mw_value_integer(message, "ended", 0);
    }
    advance(generations);
}

void mw_generations_on_end(struct mw_generations *generations, struct mw_worker *worker) {
    enum stage stage = generations->stage;
    bool led = worker->led;
    worker->led = false;
    if (stage == GATHER) {
        gather(generations);
    } else if (!led) {
        return;
    } else if (stage == PREPARE || stage == ADOPT) {
        fail(generations, "worker", "worker %d has died %s: %s", worker->number, doing[stage], worker->last_end);
    } else if (generations->on_trial && (stage == SWITCH || stage == TRIAL)) {
        snprintf(generations->fault, sizeof generations->fault,
                 "generation %lld was taken back: worker %d has died %s: %s", (long long)generations->number,
                 worker->number, doing[stage], worker->last_end);
        end_trial(generations, false);
    } else {
        advance(generations);
    }
}

void mw_generations_on_serving(struct mw_generations *generations, struct mw_worker *worker) {
    (void)worker;
    if (generations->stage == GATHER) {
        gather(generations);
    }
}

/* --- from outside --- */

static struct job *add_job(struct mw_generations *generations, const struct mw_reload_wish *wish) {
    struct job *job = calloc(1, sizeof *job);
    if (job) {
        job->wish = *wish;
        mw_list_init(&job->node);
        mw_list_init(&job->waiting);
        mw_list_append(&generations->jobs, &job->node);
    }
    return job;
}

static bool are_equal(const struct mw_reload_wish *one, const struct mw_reload_wish *other) {
    return strcmp(one->service, other->service) == 0 && one->canary.share == other->canary.share &&
           one->canary.seconds == other->canary.seconds && one->canary.factor == other->canary.factor;
}

/* A job that still waits for its turn and has the same wish. */
static struct job *find_job(const struct mw_generations *generations, const struct mw_reload_wish *wish) {
    const struct mw_list *head = &generations->jobs;
    for (struct mw_list *node = generations->stage == REST ? head->next : head->next->next; node != head;
         node = node->next) {
        struct job *job = mw_list_owner(node, struct job, node);
        if (are_equal(&job->wish, wish)) {
            return job;
        }
    }
    return NULL;
}

static bool join(struct job *job, const struct mw_reload_waiter *waiter) {
    struct waiting *waiting = waiter ? malloc(sizeof *waiting) : NULL;
    if (waiting) {
        waiting->waiter = *waiter;
        mw_list_init(&waiting->node);
        mw_list_append(&job->waiting, &waiting->node);
    }
    return waiting || !waiter;
}

bool mw_generations_reload(struct mw_generations *generations, const struct mw_reload_wish *wish,
                           const struct mw_reload_waiter *waiter) {
    struct job *job = find_job(generations, wish);
    if (job) {
        return join(job, waiter);
    }
    job = add_job(generations, wish);
    if (!job || !join(job, waiter)) {
        if (job) {
            end_job(job, NULL);
        }
        return false;
    }
    if (generations->stage == REST) {
        begin(generations);
    }
    return true;
}

void mw_generations_first(struct mw_generations *generations, struct mw_plan *plan) {
    struct job *job = add_job(generations, &(struct mw_reload_wish){.canary = {.share = 1}});
    if (!job) {
        mw_plan_free(plan);
        return;
    }
    job->first = true;
    generations->plan = plan;
    generations->began = mw_loop_update(generations->options.loop);
    prepare(generations);
}

void mw_generations_stop(struct mw_generations *generations) {
    static const char why[] = "the daemon stops";
    const struct mw_reload_outcome refused = {.fault = why, .code = "stopping"};
    generations->stopped = true;
    if (generations->probe) {
        mw_probe_cancel(generations->probe);
        generations->probe = NULL;
    }
    if (generations->stage == SWITCH || generations->stage == TRIAL || generations->stage == RETURN) {
        forget(generations);
    }
    if (generations->stage != REST) {
        fail(generations, "stopping", "%s", why);
    }
    end_jobs(generations, &refused);
}

bool mw_generations_busy(const struct mw_generations *generations) {
    return generations->stage != REST;
}

struct mw_generations *mw_generations_new(const struct mw_generations_options *options) {
    struct mw_generations *generations = calloc(1, sizeof *generations);
    if (generations) {
        generations->options = *options;
        mw_list_init(&generations->jobs);
        mw_timer_init(&generations->limit, on_limit);
    }
    return generations;
}

void mw_generations_free(struct mw_generations *generations) {
    if (generations->probe) {
        mw_probe_cancel(generations->probe);
    }
    end_jobs(generations, NULL);
    mw_timer_remove(mw_loop_timers(generations->options.loop), &generations->limit);
    mw_services_release(generations->next);
    mw_plan_free(generations->plan);
    free(generations);
}
