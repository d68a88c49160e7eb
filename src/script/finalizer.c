#include "script/finalizer.h"

#include "script/task_internal.h"

#include <lauxlib.h>

/* Once no task runs any more, as when the state is closed: on a thread of its own,
 * where hooks work. An error becomes Lua's warning about finalizers. */
static int run_at_close(lua_State *L, struct mw_sched *sched) {
    int count;
    lua_State *outer = sched->innermost;
    lua_State *thread = lua_newthread(L);
    lua_insert(L, 1);
    lua_xmove(L, thread, 2);
    sched->innermost = thread;
    int status = lua_resume(thread, L, 1, &count);
    sched->innermost = outer;
    if (status == LUA_OK) {
        return 0;
    }
    if (status == LUA_YIELD) {
        return luaL_error(L, "a finalizer cannot yield");
    }
    lua_xmove(thread, L, 1);
    return lua_error(L);
}

/* The __gc of tables that have one in Lua, the upvalue. */
static int finalize(lua_State *L) {
    struct mw_sched *sched = mw_sched_of(L);
    lua_settop(L, 1);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    if (sched->closed) {
        return run_at_close(L, sched);
    }
    struct mw_task *task = mw_task_new(L, sched, &sched->service);
    lua_xmove(L, task->thread, 2);
    if (mw_list_empty(&sched->preempt.waiting)) {
        task->arguments = 1;
        mw_task_run_within(L, task);
    } else {
        mw_task_ready(task, 1); /* one that did not end may have many like it behind */
    }
    return 0;
}

static int set_metatable(lua_State *L) {
    int type = lua_type(L, 2);
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_argexpected(L, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table");
    if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL) {
        return luaL_error(L, "cannot change a protected metatable");
    }
    lua_settop(L, 2);
    if (type == LUA_TTABLE) {
        lua_pushliteral(L, "__gc");
        if (lua_rawget(L, 2) == LUA_TFUNCTION && !lua_iscfunction(L, -1)) {
            lua_pushliteral(L, "__gc");
            lua_insert(L, -2);
            lua_pushcclosure(L, finalize, 1);
            lua_rawset(L, 2);
        }
        lua_settop(L, 2);
    }
    lua_setmetatable(L, 1);
    return 1;
}

void mw_finalizer_open(lua_State *L) {
    lua_register(L, "setmetatable", set_metatable);
}
