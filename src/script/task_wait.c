/* Waiting: who may, until when, and what ends it. */
#include "script/fault.h"
#include "script/task_internal.h"

#include <lauxlib.h>

static int raise_fault(lua_State *L, const char *code) {
    mw_push_fault_object(L, code, code);
    return lua_error(L);
}

/* Says why nobody may wait here. */
static int refuse(lua_State *L, const struct mw_sched *sched) {
    if (!sched->running) {
        return luaL_error(L, "cannot wait here: no task is running");
    }
    if (sched->running->dying) {
        return luaL_error(L, "cannot wait while a task that failed is being closed");
    }
    return luaL_error(L, "cannot wait here: a module that is being required, or a metamethod called from C, "
                         "must return at once");
}

bool mw_task_may_wait(lua_State *L) {
    const struct mw_task *task = mw_task_of(L);
    return task->sched->running == task && !task->dying && lua_isyieldable(L);
}

/* The running task, if it may wait here. */
static inline struct mw_task *about_to_wait(lua_State *L) {
    struct mw_task *task = mw_task_of(L);
    struct mw_sched *sched = task->sched;
    if (!mw_task_may_wait(L)) {
        refuse(L, sched);
    }
    return task;
}

struct mw_task *mw_task_begin_closing(lua_State *L) {
    struct mw_task *task = about_to_wait(L);
    mw_timer_clear(&task->timer);
    return task;
}

struct mw_task *mw_task_begin_wait(lua_State *L, double seconds) {
    struct mw_task *task = about_to_wait(L);
    struct mw_sched *sched = task->sched;
    double now = mw_loop_now(sched->loop), due = now + seconds;
    if (task->cancelled) {
        raise_fault(L, "cancelled");
    }
    if (task->group && task->group->deadline < due) {
        due = task->group->deadline;
        if (due <= now) {
            raise_fault(L, "timeout");
        }
    }
    if (due == MW_TIMER_NEVER) {
        mw_timer_clear(&task->timer);
    } else if (!mw_timer_set(mw_loop_timers(sched->loop), &task->timer, due)) {
        luaL_error(L, "not enough memory");
    }
    return task;
}

int mw_task_wait(struct mw_task *task, const struct mw_wait *wait, void *subject, lua_KContext context,
                 lua_KFunction k) {
    task->wait = wait;
    task->subject = subject;
    task->state = MW_TASK_WAITING;
    lua_State *coroutine = task->sched->innermost;
    return lua_yieldk(coroutine ? coroutine : task->thread, 0, context, k);
}

enum mw_outcome mw_task_outcome(lua_State *L) {
    struct mw_task *task = mw_task_of(L);
    if (task->cancelled) {
        raise_fault(L, "cancelled");
    }
    if (task->expired) {
        task->expired = false;
        raise_fault(L, "timeout");
    }
    return task->outcome;
}
