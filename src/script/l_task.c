#include "script/l_task.h"

#include "script/check.h"
#include "script/fault.h"
#include "script/l_group.h"
#include "script/task_internal.h"

static const char TYPE[] = "moonwire.task";
static const char HANDLES = 'h'; /* its address is the registry key of a table: weak, struct → userdata */

static struct mw_task_handle *check_handle(lua_State *L, int index) {
    return luaL_checkudata(L, index, TYPE);
}

bool mw_task_find_handle(lua_State *L, struct mw_task *task) {
    if (!task->handle) {
        return false;
    }
    lua_rawgetp(L, LUA_REGISTRYINDEX, &HANDLES);
    bool found = lua_rawgetp(L, -1, task->handle) != LUA_TNIL;
    lua_remove(L, -2);
    if (!found) {
        lua_pop(L, 1);
    }
    return found;
}

static void push_handle(lua_State *L, struct mw_task *task) {
    if (mw_task_find_handle(L, task)) {
        return;
    }
    lua_rawgetp(L, LUA_REGISTRYINDEX, &HANDLES);
    struct mw_task_handle *handle = lua_newuserdatauv(L, sizeof *handle, 1);
    *handle = (struct mw_task_handle){.task = NULL, .id = task->id};
    mw_list_init(&handle->waiters);
    luaL_setmetatable(L, TYPE);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, -3, handle);
    lua_remove(L, -2);
    handle->task = task;
    task->handle = handle;
}

static int refuse_arguments(lua_State *L) {
    return luaL_error(L, "not enough memory for the arguments");
}

int mw_l_task_spawn(lua_State *L, struct mw_group *group, int first) {
    luaL_checktype(L, first, LUA_TFUNCTION);
    int arguments = lua_gettop(L) - first;
    struct mw_task *task = mw_task_new(L, mw_sched_of(L), group);
    if (!lua_checkstack(task->thread, arguments + 1)) {
        lua_pushcfunction(task->thread, refuse_arguments); /* it belongs to its group already, and must end */
        mw_task_ready(task, 0);
        refuse_arguments(L);
    }
    lua_xmove(L, task->thread, arguments + 1);
    mw_task_ready(task, arguments);
    push_handle(L, task);
    return 1;
}

/* The running task; raises when there is none. */
static struct mw_task *running(lua_State *L) {
    struct mw_sched *sched = mw_sched_of(L);
    if (!sched->running) {
        luaL_error(L, "no task is running here; call this from a function of the service");
    }
    return sched->running;
}

static int task_spawn(lua_State *L) {
    struct mw_sched *sched = mw_sched_of(L);
    struct mw_group *group = sched->running ? mw_group_of(sched->running) : &sched->service;
    if (!group) {
        return luaL_error(L, "not enough memory");
    }
    return mw_l_task_spawn(L, group, 1);
}

static int task_current(lua_State *L) {
    push_handle(L, running(L));
    return 1;
}

static int slept(lua_State *L, int status, lua_KContext context) {
    (void)status;
    (void)context;
    mw_task_outcome(L);
    lua_pushboolean(L, 1);
    return 1;
}

static const struct mw_wait sleep_wait = {.name = "sleep"};

static int task_sleep(lua_State *L) {
    struct mw_task *task = mw_task_begin_wait(L, mw_check_seconds(L, 1));
    return mw_task_wait(task, &sleep_wait, NULL, 0, slept);
}

static const struct mw_wait yield_wait = {.name = "yield"};

static int task_yield(lua_State *L) {
    struct mw_task *task = mw_task_begin_wait(L, MW_TIMER_NEVER);
    mw_timer_clear(&task->timer); /* it is ready already: no deadline must run it too */
    mw_task_ready(task, 0);
    return mw_task_wait(task, &yield_wait, NULL, 0, slept);
}

static int push_results(lua_State *L, int index) {
    if (lua_getiuservalue(L, index, 1) != LUA_TTABLE) {
        return 0;
    }
    int table = lua_gettop(L);
    lua_getfield(L, table, "n");
    int count = (int)lua_tointeger(L, -1);
    luaL_checkstack(L, count, "too many results");
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, table, i);
    }
    return count;
}

static void stop_joining(struct mw_task *task, void *subject) {
    (void)subject;
    mw_list_remove(&task->node);
}

static const struct mw_wait join_wait = {.name = "join", .abandon = stop_joining};

static int joined(lua_State *L, int status, lua_KContext context) {
    (void)status;
    (void)context;
    if (mw_task_outcome(L) == MW_TIMED_OUT) {
        return mw_push_word(L, "timeout");
    }
    return push_results(L, 1);
}

static int handle_join(lua_State *L) {
    struct mw_task_handle *handle = check_handle(L, 1);
    double seconds = lua_isnoneornil(L, 2) ? MW_TIMER_NEVER : mw_check_seconds(L, 2);
    if (!handle->task) {
        return push_results(L, 1);
    }
    if (handle->task == mw_sched_of(L)->running) {
        return luaL_error(L, "a task cannot join itself");
    }
    struct mw_task *task = mw_task_begin_wait(L, seconds);
    mw_list_append(&handle->waiters, &task->node);
    return mw_task_wait(task, &join_wait, handle, 0, joined);
}

static int handle_cancel(lua_State *L) {
    struct mw_task_handle *handle = check_handle(L, 1);
    if (handle->task) {
        mw_task_cancel(handle->task);
    }
    return 0;
}

static int handle_status(lua_State *L) {
    static const char *const names[] = {"done", "ready", "running", "waiting", "ending"};
    const struct mw_task_handle *handle = check_handle(L, 1);
    lua_pushstring(L, handle->task ? names[handle->task->state] : "done");
    return 1;
}

static int handle_waits_for(lua_State *L) {
    const struct mw_task_handle *handle = check_handle(L, 1);
    lua_pushstring(L, handle->task && handle->task->wait ? handle->task->wait->name : NULL);
    return 1;
}

static int handle_tostring(lua_State *L) {
    const struct mw_task_handle *handle = check_handle(L, 1);
    handle_status(L);
    lua_pushfstring(L, "%s: %d %s", TYPE, (int)handle->id, lua_tostring(L, -1));
    return 1;
}

static int handle_gc(lua_State *L) {
    struct mw_task_handle *handle = check_handle(L, 1);
    if (handle->task) {
        handle->task->handle = NULL;
        handle->task = NULL;
    }
    return 0;
}

static int task_count(lua_State *L) {
    lua_pushinteger(L, (lua_Integer)mw_sched_of(L)->tasks);
    return 1;
}

static const luaL_Reg functions[] = {
    {"spawn", task_spawn},
    {"current", task_current},
    {"sleep", task_sleep},
    {"yield", task_yield},
    {"group", mw_l_group_new},
    {"count", task_count},
    {"keep_traceback", mw_sched_keep_traceback},
    {NULL, NULL},
};

static const luaL_Reg methods[] = {
    {"join", handle_join},
    {"cancel", handle_cancel},
    {"status", handle_status},
    {"waits_for", handle_waits_for},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__tostring", handle_tostring},
    {"__gc", handle_gc},
    {NULL, NULL},
};

void mw_l_task_open(lua_State *L) {
    mw_new_type(L, TYPE, methods, metamethods);
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "v");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &HANDLES);
    mw_l_group_open(L);
    mw_set_functions(L, "task", functions);
}
