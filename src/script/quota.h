/* The memory quota of a Lua state. An allocation past it is an error in the script
 * that wants it. A task that goes on all the same is ended, and when the quota
 * cannot be kept for long, so are all tasks of the service. */
#ifndef MW_SCRIPT_QUOTA_H
#define MW_SCRIPT_QUOTA_H

#include "script/memory.h"

#include <stdbool.h>

struct mw_sched;
struct mw_task;

struct mw_quota {
    struct mw_memory *memory;
    struct mw_task *task; /* whose allocation was refused last; NULL: no task's */
    unsigned refusals;    /* of that task, in a row */
    double since, last;   /* loop seconds: when refusals began, and came last */
    bool refused;         /* in this turn of the loop */
    bool is_paced;        /* see mw_quota_pace */
    bool is_small;
    char place[96];       /* of the script: the last allocation that was refused */
};

/* Keeps `memory`, which has its limit, within its quota from now on. */
void mw_quota_init(struct mw_sched *sched, struct mw_memory *memory);

/* Whether the task, which was interrupted, goes on without regard to refusals:
 * it must end. */
bool mw_quota_is_over(const struct mw_task *task);

/* Ends the tasks of the service if nothing else helps. At the end of a turn of the
 * loop in which allocations were refused. */
void mw_quota_settle(struct mw_sched *sched);

/* Sets how often the collector looks at all values: a small state twice as seldom as Lua would, where a look costs as much
 * as serving dozens of requests, and what it leaves is little. Once a turn of the loop. */
void mw_quota_pace(struct mw_sched *sched);

/* Lets the state have a little more than its quota, for telling what happened;
 * the second call takes it back. */
void mw_quota_lend(struct mw_sched *sched, bool lend);

#endif
