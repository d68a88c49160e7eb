#include "script/l_main.h"

#include "base/log.h"
#include "script/check.h"
#include "script/state.h"
#include "script/task_internal.h"

static void stop_waiting(struct mw_task *task, void *subject) {
    struct mw_sched *sched = subject;
    (void)task;
    sched->main_waits = false;
}

static const struct mw_wait main_wait = {.name = "main", .abandon = stop_waiting};

static int noted(lua_State *L, int status, lua_KContext context) {
    struct mw_sched *sched = mw_sched_of(L);
    (void)status;
    (void)context;
    sched->main_noted = false;
    mw_task_outcome(L);
    lua_pushboolean(L, sched->stopping);
    return 1;
}

/* wait() → whether to stop: returns at every end of a listener, of the last other task when no
 * listener is open, and when a stop is asked for or a service begins to serve. Main task only. */
static int main_wait_for_news(lua_State *L) {
    struct mw_sched *sched = mw_sched_of(L);
    if (sched->stopping) {
        lua_pushboolean(L, 1);
        return 1;
    }
    struct mw_task *task = mw_task_begin_wait(L, MW_TIMER_NEVER);
    if (task != sched->main) {
        return luaL_error(L, "only the main task waits here");
    }
    sched->main_waits = true;
    return mw_task_wait(task, &main_wait, sched, 0, noted);
}

/* is_busy() → whether listeners are open or other tasks run */
static int main_is_busy(lua_State *L) {
    const struct mw_sched *sched = mw_sched_of(L);
    lua_pushboolean(L, sched->listeners > 0 || sched->tasks > 1 + sched->aside);
    return 1;
}

/* served() → whether connections are open, how many have failed by an error of the script's */
static int main_served(lua_State *L) {
    const struct mw_sched *sched = mw_sched_of(L);
    lua_pushboolean(L, sched->connections > 0);
    lua_pushinteger(L, (lua_Integer)sched->failures);
    return 2;
}

/* exit(status): the status the process ends with when the main task returns */
static int main_exit(lua_State *L) {
    struct mw_sched *sched = mw_sched_of(L);
    sched->exit_status = (int)mw_check_count(L, 1, 0, 255);
    return 0;
}

/* set_strict(boolean): whether assignments to undeclared globals raise */
static int main_set_strict(lua_State *L) {
    luaL_checktype(L, 1, LUA_TBOOLEAN);
    mw_state_set_strict(mw_state_of(L), lua_toboolean(L, 1));
    return 0;
}

/* lend(): what the running task opens and spawns from now on belongs to the
 * service and outlives it; but for what it spawns into groups that it opens. */
static int main_lend(lua_State *L) {
    struct mw_sched *sched = mw_sched_of(L);
    if (!sched->running) {
        return luaL_error(L, "no task is running here");
    }
    sched->running->lends = true;
    return 0;
}

/* step_aside(): the running task is the process's own, and keeps it from ending no more */
static int main_step_aside(lua_State *L) {
    struct mw_sched *sched = mw_sched_of(L);
    if (!sched->running || sched->running == sched->main) {
        return luaL_error(L, "no task that could step aside is running here");
    }
    sched->aside += !sched->running->aside;
    sched->running->aside = true;
    if (sched->tasks == 1 + sched->aside) {
        mw_main_note(sched);
    }
    return 0;
}

static const luaL_Reg functions[] = {
    {"wait", main_wait_for_news},
    {"is_busy", main_is_busy},
    {"served", main_served},
    {"exit", main_exit},
    {"set_strict", main_set_strict},
    {"lend", main_lend},
    {"step_aside", main_step_aside},
    {NULL, NULL},
};

void mw_l_main_open(lua_State *L) {
    mw_set_functions(L, "main", functions);
}

/* Protected: (module, options) */
static int spawn_main(lua_State *L) {
    struct mw_sched *sched = mw_sched_of(L);
    lua_getglobal(L, "require");
    lua_pushvalue(L, 1);
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "main");
    luaL_checktype(L, -1, LUA_TFUNCTION);
    struct mw_task *task = mw_task_new(L, sched, &sched->service);
    lua_pushvalue(L, 2);
    lua_xmove(L, task->thread, 2);
    sched->main = task;
    mw_task_ready(task, 1);
    return 0;
}

bool mw_main_spawn(struct mw_sched *sched, const char *module) {
    lua_State *L = sched->L;
    lua_pushcfunction(L, spawn_main);
    lua_pushstring(L, module);
    lua_rotate(L, -3, -1);
    if (lua_pcall(L, 2, 0, 0) != LUA_OK) {
        mw_log(MW_LOG_ERROR, "%s", lua_tostring(L, -1));
        lua_pop(L, 1);
        return false;
    }
    return true;
}

void mw_main_note(struct mw_sched *sched) {
    if (sched->main_waits) {
        sched->main_waits = false;
        sched->main_noted = true;
        mw_task_ready(sched->main, 0);
    }
}

void mw_main_stop(struct mw_sched *sched) {
    sched->stopping = true;
    if (sched->main_waits) {
        mw_main_note(sched);
    } else if (sched->main && !sched->main_noted) {
        mw_task_cancel(sched->main);
    }
}
