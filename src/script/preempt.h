/* Pre-emption: a task that computes for long is interrupted, so that others
 * run. It goes on by and by, in slices that leave most of the processor to the
 * others, until it waits or has used up what a task may. Costs nothing until then.
 *
 * A ticker (script/guard) sees which task runs. The hook it arms makes the task
 * yield; every level of coroutines passes that on, up to mw_task_run. */
#ifndef MW_SCRIPT_PREEMPT_H
#define MW_SCRIPT_PREEMPT_H

#include "base/list.h"
#include "loop/timer.h"

#include <lua.h>
#include <stdbool.h>

struct mw_sched;
struct mw_task;

struct mw_preempt {
    double cpu_limit; /* seconds of the processor that a task may use between two waits; MW_TIMER_NEVER: no limit */

    /* The task that computes, as the ticker's signal handler has seen it. */
    struct mw_task *volatile seen; /* NULL: code of the service that is in no task */
    volatile unsigned turn;        /* of the loop, in which it was seen */
    volatile double since;         /* processor time when it was seen first in that turn */
    volatile double seen_at;       /* that moment on the wall clock */
    volatile bool interrupted;     /* the hook has made the running task yield */

    struct mw_list waiting;  /* tasks that were interrupted, mw_task.node */
    struct mw_task *sliced;  /* runs in a slice; NULL: none */
    double begun;            /* when the slice began, on the wall clock */
    double spent;            /* seconds that it had used before this slice */
    struct mw_timer look;    /* the next look whether the others are quiet */
    double looked;           /* processor time at the last look, or at the end of the last slice */
    double ended;            /* when the last slice ended, on the wall clock */
    double slice;            /* seconds that it took, on the wall clock */
    bool quiet;              /* nobody else ran between the last two looks */
};

void mw_preempt_init(struct mw_preempt *preempt);

/* The seconds that the task (NULL: code that is in none) has used in this turn of
 * the loop, as far as they were seen: short stretches are not. */
double mw_preempt_used(const struct mw_sched *sched, const struct mw_task *task);

/* Whether what runs is alone in its process, as a program is, or a server that has
 * not begun to serve: it hurts nobody. A service of a daemon never is. */
bool mw_preempt_is_alone(const struct mw_sched *sched);

/* A task has yielded without waiting for anything: whether that was the hook's
 * doing. If so it is taken care of, and may have ended. */
bool mw_preempt_take(struct mw_task *task);

/* Runs a slice when it is time for one. At the end of a turn of the loop in
 * which tasks that were interrupted wait. */
void mw_preempt_settle(struct mw_sched *sched);

#endif
