#include "script/preempt.h"

#include "loop/alarm_linux.h"
#include "script/task_internal.h"

#include <stdio.h>

#define QUIET_SECONDS 50e-6 /* of processor time between two looks: what the loop itself uses, and no task */
#define LEAST_SLICE 1e-3    /* what a slice counts as at least */
#define CANCELLED_SECONDS 0.02 /* of processor time, for a task that does not wait any more, where it would notice */
#define LOOK_SECONDS 5e-3   /* between two looks */

/* For each interrupted task the others get this many times what it uses, at most. */
enum { MOST_SHARES = 9 };

/* Looks whether anybody else has run since the last look: a stream was read, or
 * there is no other explanation for the time that has been used. */
static bool look(struct mw_sched *sched) {
    struct mw_preempt *preempt = &sched->preempt;
    double now = mw_alarm_now(MW_ALARM_COMPUTING);
    bool quiet = !sched->served && now - preempt->looked < QUIET_SECONDS;
    sched->served = NULL;
    preempt->looked = now;
    return quiet;
}

static void on_look(struct mw_timer *timer) {
    struct mw_preempt *preempt = mw_list_owner(timer, struct mw_preempt, look);
    struct mw_sched *sched = mw_list_owner(preempt, struct mw_sched, preempt);
    preempt->quiet = look(sched);
    mw_loop_wake(sched->loop);
}

void mw_preempt_init(struct mw_preempt *preempt) {
    *preempt = (struct mw_preempt){.cpu_limit = MW_TIMER_NEVER};
    mw_list_init(&preempt->waiting);
    mw_timer_init(&preempt->look, on_look);
}

double mw_preempt_used(const struct mw_sched *sched, const struct mw_task *task) {
    const struct mw_preempt *preempt = &sched->preempt;
    if (preempt->seen != task || preempt->turn != mw_loop_turn(sched->loop)) {
        return 0;
    }
    return mw_alarm_now(MW_ALARM_COMPUTING) - preempt->since;
}

bool mw_preempt_is_alone(const struct mw_sched *sched) {
    return !sched->provider && sched->tasks <= 1 && sched->listeners == 0 && !sched->closed;
}

/* Whether the task has used up what it may, and was ended for that. */
static bool end_greedy(struct mw_task *task) {
    double limit = task->sched->preempt.cpu_limit;
    if (mw_quota_is_over(task)) {
        mw_task_drop(task, "limit", task->sched->provider ? "goes on although limits.memory is reached"
                                                          : "goes on although the memory limit is reached (--memory-limit)");
        return true;
    }
    if (task->cancelled && task->spent >= CANCELLED_SECONDS) {
        mw_task_drop(task, "cancelled", NULL);
        return true;
    }
    if (task->spent < limit || mw_preempt_is_alone(task->sched)) {
        return false;
    }
    char message[120];
    snprintf(message, sizeof message, "used the processor for %.3g s without waiting; the limit is %.3g s (%s)",
             task->spent, limit, task->sched->provider ? "limits.cpu" : "--cpu-limit");
    mw_task_drop(task, "limit", message);
    return true;
}

/* When the stretch began that was interrupted just now. One that was not seen, but
 * interrupted for its memory, has just begun. */
static double begin_of(const struct mw_task *task, double used) {
    const struct mw_preempt *preempt = &task->sched->preempt;
    if (task == preempt->sliced) {
        return preempt->begun;
    }
    return used > 0 ? preempt->seen_at : preempt->ended;
}

bool mw_preempt_take(struct mw_task *task) {
    struct mw_sched *sched = task->sched;
    struct mw_preempt *preempt = &sched->preempt;
    if (!preempt->interrupted) {
        return false;
    }
    double used = mw_preempt_used(sched, task);
    preempt->interrupted = false;
    preempt->seen = NULL;
    preempt->ended = mw_alarm_now(MW_ALARM_WALL);
    double slice = preempt->ended - begin_of(task, used);
    preempt->slice = slice > LEAST_SLICE ? slice : LEAST_SLICE;
    look(sched);
    task->spent = used + (task == preempt->sliced ? preempt->spent : 0);
    if (end_greedy(task)) {
        return true;
    }
    task->state = MW_TASK_READY;
    mw_list_append(&preempt->waiting, &task->node);
    mw_loop_wake(sched->loop);
    return true;
}

/* One slice for the task that has waited longest. */
static void run_slice(struct mw_sched *sched) {
    struct mw_preempt *preempt = &sched->preempt;
    struct mw_task *task = mw_list_owner(preempt->waiting.next, struct mw_task, node);
    mw_list_remove(&task->node);
    mw_timer_clear(&preempt->look);
    preempt->spent = task->spent;
    preempt->begun = mw_alarm_now(MW_ALARM_WALL);
    preempt->sliced = task;
    mw_task_run(task);
    preempt->sliced = NULL;
}

/* Whether the others have had their share since the last slice: as many times
 * its length as there are others, up to a limit. */
static bool others_had_their_share(const struct mw_sched *sched) {
    const struct mw_preempt *preempt = &sched->preempt;
    double others = sched->tasks > MOST_SHARES ? MOST_SHARES : (double)sched->tasks - 1;
    return mw_alarm_now(MW_ALARM_WALL) - preempt->ended >= others * preempt->slice;
}

/* While nobody else runs, slices follow each other with one look at the sockets
 * between. Otherwise the next one comes when the others have had their share, or
 * when nobody ran from one look to the next: the pauses between the requests of
 * busy clients are shorter, and not taken for quiet. */
void mw_preempt_settle(struct mw_sched *sched) {
    struct mw_preempt *preempt = &sched->preempt;
    preempt->quiet = preempt->quiet && look(sched);
    if (preempt->quiet || others_had_their_share(sched)) {
        run_slice(sched);
    }
    if (mw_list_empty(&preempt->waiting)) {
        return;
    }
    bool looks = preempt->look.due != MW_TIMER_NEVER;
    double next = mw_loop_now(sched->loop) + LOOK_SECONDS;
    /* Without memory for the timer it looks all the time. */
    if (preempt->quiet || (!looks && !mw_timer_set(mw_loop_timers(sched->loop), &preempt->look, next))) {
        mw_loop_wake(sched->loop);
    }
}
