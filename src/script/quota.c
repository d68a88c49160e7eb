#include "script/quota.h"

#include "base/log.h"
#include "script/guard.h"
#include "script/report.h"
#include "script/task_internal.h"

#include <stdio.h>
#include <string.h>

enum { SMALL = 8 * 1024 * 1024 }; /* bytes of a state, see mw_quota_pace */

enum {
    MOST_REFUSALS = 16,    /* in a row, of one task; an error takes two: before and after a collection */
    LENT = 256 * 1024,     /* bytes */
    PLACE_LEVELS = 32,     /* how far up the stack a line of the script is looked for */
};

#define PATIENCE_SECONDS 1.0 /* for how long refusals may go on */
#define CALM_SECONDS 1.0     /* without one: they do not go on */
#define FULL 0.9             /* of the quota: too little is left to live on */

/* Where in the script the thread is. Called amid an allocation: reads only. */
static void note_place(struct mw_quota *quota, struct mw_sched *sched) {
    lua_Debug level;
    lua_State *L = mw_guard_thread(sched);
    for (int number = 0; number < PLACE_LEVELS && lua_getstack(L, number, &level); number++) {
        lua_getinfo(L, "Sl", &level);
        if (level.currentline > 0 && !mw_report_is_library(&level, sched->library)) {
            snprintf(quota->place, sizeof quota->place, "%s:%d", level.short_src, level.currentline);
            return;
        }
    }
}

static void on_refused(void *context) {
    struct mw_sched *sched = context;
    struct mw_quota *quota = &sched->quota;
    if (quota->task != sched->running) {
        quota->task = sched->running;
        quota->refusals = 0;
    }
    quota->refusals++;
    note_place(quota, sched);
    if (!quota->refused) {
        double now = mw_loop_now(sched->loop);
        quota->since = now - quota->last > CALM_SECONDS ? now : quota->since;
        quota->last = now;
        quota->refused = true;
        mw_loop_wake(sched->loop);
    }
    if (quota->task && quota->refusals >= MOST_REFUSALS) {
        mw_guard_interrupt(sched);
    }
}

void mw_quota_init(struct mw_sched *sched, struct mw_memory *memory) {
    sched->quota = (struct mw_quota){.memory = memory, .last = -CALM_SECONDS, .place = "?"};
    mw_memory_on_refused(memory, on_refused, sched);
}

bool mw_quota_is_over(const struct mw_task *task) {
    const struct mw_quota *quota = &task->sched->quota;
    return quota->task == task && quota->refusals >= MOST_REFUSALS;
}

void mw_quota_lend(struct mw_sched *sched, bool lend) {
    mw_memory_lend(sched->quota.memory, lend ? LENT : 0);
}

/* Whether hardly anything is left when all garbage is gone. */
static bool is_full(struct mw_sched *sched) {
    lua_gc(sched->L, LUA_GCCOLLECT);
    double used = lua_gc(sched->L, LUA_GCCOUNT) * 1024.0;
    return used > FULL * (double)mw_memory_limit(sched->quota.memory);
}

static void log_end(const struct mw_sched *sched) {
    char message[200];
    int length = snprintf(message, sizeof message,
                          "the memory limit of %.1f MiB cannot be kept: all tasks of the service end; "
                          "the last allocation was refused at %s (--memory-limit)",
                          (double)mw_memory_limit(sched->quota.memory) / (1024 * 1024), sched->quota.place);
    struct mw_report_context context;
    mw_report_context(&context, sched, NULL);
    mw_log_write(MW_LOG_ERROR, message, (size_t)length, context.fields, context.count);
}

void mw_quota_settle(struct mw_sched *sched) {
    struct mw_quota *quota = &sched->quota;
    quota->refused = false;
    if (quota->last - quota->since < PATIENCE_SECONDS || !is_full(sched)) {
        return;
    }
    log_end(sched);
    quota->since = quota->last;
    mw_quota_lend(sched, true);
    mw_sched_drop_tasks(sched);
    mw_quota_lend(sched, false);
    if (sched->main && is_full(sched)) {
        mw_task_drop(sched->main, "limit", "the memory limit cannot be kept: what is in use belongs to no task");
    }
}

void mw_quota_pace(struct mw_sched *sched) {
    struct mw_quota *quota = &sched->quota;
    bool is_small = mw_memory_taken(quota->memory) < SMALL;
    if (is_small != quota->is_small || !quota->is_paced) {
        quota->is_paced = true;
        quota->is_small = is_small;
        lua_gc(sched->L, LUA_GCINC, is_small ? 400 : 200, 0, 0);
    }
}
