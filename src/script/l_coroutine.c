/* A coroutine yields for its script (coroutine.yield), or for the scheduler: it
 * waits, or was interrupted. In the latter case whoever resumed it yields, too,
 * level by level up to the task, and resumes it again when the task runs again.
 *
 * While a task runs a coroutine, that is the coroutine's task (mw_task_of), so that
 * waiting functions need not know; the root task when a yield cannot leave it,
 * because a C function without a continuation is between it and the task. */
#include "script/l_coroutine.h"

#include "script/guard.h"
#include "script/sched.h"

#include <lauxlib.h>

/* What came of resuming: values on top of L. */
enum resumed { RETURNED, FAILED, PASSES };

static void set_task(lua_State *thread, struct mw_task *task) {
    *(struct mw_task **)lua_getextraspace(thread) = task;
}

static lua_State *check_coroutine(lua_State *L, int index) {
    lua_State *thread = lua_tothread(L, index);
    luaL_argexpected(L, thread, index, "coroutine");
    return thread;
}

/* Why it cannot be resumed; NULL: it can. One that belongs to a task is resumed
 * already, or waits. */
static const char *refusal(lua_State *L, lua_State *thread, int arguments) {
    const struct mw_sched *sched = mw_sched_of(L);
    if (mw_task_of(thread) != &sched->root || thread == sched->L) {
        return lua_status(thread) == LUA_YIELD ? "cannot resume a coroutine that waits"
                                               : "cannot resume non-suspended coroutine";
    }
    if (lua_status(thread) == LUA_OK && lua_gettop(thread) == 0) {
        return "cannot resume dead coroutine";
    }
    return lua_checkstack(thread, arguments) ? NULL : "too many arguments to resume";
}

static struct mw_task *task_within(lua_State *L, struct mw_sched *sched) {
    struct mw_task *task = sched->running;
    return task && mw_task_of(L) == task && lua_isyieldable(L) ? task : &sched->root;
}

static int run(lua_State *L, lua_State *thread, int arguments, int *count) {
    struct mw_sched *sched = mw_sched_of(L);
    lua_State *outer = sched->innermost;
    set_task(thread, task_within(L, sched));
    sched->innermost = thread;
    int status = lua_resume(thread, L, arguments, count);
    sched->innermost = outer;
    return status;
}

/* Whether a yield was meant for the scheduler. */
static bool is_for_scheduler(const struct mw_sched *sched) {
    return sched->running && (sched->running->wait || sched->preempt.interrupted);
}

/* Resumes the thread with `arguments` values from the top of L. */
static enum resumed resume(lua_State *L, lua_State *thread, int arguments, int *count) {
    lua_xmove(L, thread, arguments);
    int status = run(L, thread, arguments, count);
    if (status == LUA_YIELD && is_for_scheduler(mw_sched_of(L))) {
        return PASSES;
    }
    set_task(thread, &mw_sched_of(L)->root);
    if (status != LUA_OK && status != LUA_YIELD) {
        lua_xmove(thread, L, 1);
        return FAILED;
    }
    if (!lua_checkstack(L, *count + 1)) {
        lua_pop(thread, *count);
        lua_pushliteral(L, "too many results to resume");
        return FAILED;
    }
    lua_xmove(thread, L, *count);
    return RETURNED;
}

/* --- coroutine.resume --- */

static int go_on_resuming(lua_State *L, int status, lua_KContext context);

static int resume_protected(lua_State *L, lua_State *thread, int arguments) {
    int count;
    switch (resume(L, thread, arguments, &count)) {
    case PASSES: return lua_yieldk(L, 0, lua_gettop(L), go_on_resuming);
    case FAILED:
        lua_pushboolean(L, 0);
        lua_insert(L, -2);
        return 2;
    default:
        lua_pushboolean(L, 1);
        lua_insert(L, -count - 1);
        return count + 1;
    }
}

/* The thread is the first argument still; what the task was resumed with lies on top. */
static int go_on_resuming(lua_State *L, int status, lua_KContext top) {
    (void)status;
    return resume_protected(L, lua_tothread(L, 1), lua_gettop(L) - (int)top);
}

static int coroutine_resume(lua_State *L) {
    lua_State *thread = check_coroutine(L, 1);
    int arguments = lua_gettop(L) - 1;
    const char *refused = refusal(L, thread, arguments);
    if (refused) {
        lua_pushboolean(L, 0);
        lua_pushstring(L, refused);
        return 2;
    }
    return resume_protected(L, thread, arguments);
}

/* --- coroutine.wrap: the thread is the upvalue --- */

static int go_on_with_wrapped(lua_State *L, int status, lua_KContext context);

/* Raises what is on top of L, with the caller's place in front of a string. */
static int raise_from(lua_State *L, lua_State *thread) {
    if (thread && lua_status(thread) != LUA_OK && lua_status(thread) != LUA_YIELD) {
        bool raised = mw_guard_raised(L, -1);
        if (!raised && lua_resetthread(thread) != LUA_OK) { /* closes its variables, of which one may have failed, too */
            lua_pop(L, 1);
            lua_xmove(thread, L, 1);
        }
    }
    if (lua_type(L, -1) == LUA_TSTRING) {
        luaL_where(L, 1);
        lua_insert(L, -2);
        lua_concat(L, 2);
    }
    return lua_error(L);
}

static int run_wrapped(lua_State *L, int arguments) {
    lua_State *thread = lua_tothread(L, lua_upvalueindex(1));
    int count;
    switch (resume(L, thread, arguments, &count)) {
    case PASSES: return lua_yieldk(L, 0, lua_gettop(L), go_on_with_wrapped);
    case FAILED: return raise_from(L, thread);
    default: return count;
    }
}

static int go_on_with_wrapped(lua_State *L, int status, lua_KContext top) {
    (void)status;
    return run_wrapped(L, lua_gettop(L) - (int)top);
}

static int call_wrapped(lua_State *L) {
    lua_State *thread = lua_tothread(L, lua_upvalueindex(1));
    const char *refused = refusal(L, thread, lua_gettop(L));
    if (refused) {
        lua_pushstring(L, refused);
        return raise_from(L, NULL);
    }
    return run_wrapped(L, lua_gettop(L));
}

static int coroutine_wrap(lua_State *L) {
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_State *thread = lua_newthread(L);
    lua_pushvalue(L, 1);
    lua_xmove(L, thread, 1);
    lua_pushcclosure(L, call_wrapped, 1);
    return 1;
}

/* --- coroutine.close --- */

/* Whether it is neither dead nor suspended for its script. */
static bool is_in_use(lua_State *L, lua_State *thread) {
    lua_Debug level;
    const struct mw_sched *sched = mw_sched_of(L);
    return mw_task_of(thread) != &sched->root || thread == sched->L || thread == L ||
           (lua_status(thread) == LUA_OK && lua_getstack(thread, 0, &level));
}

static int coroutine_close(lua_State *L) {
    lua_State *thread = check_coroutine(L, 1);
    struct mw_sched *sched = mw_sched_of(L);
    if (is_in_use(L, thread)) {
        return luaL_error(L, "cannot close a coroutine that runs or waits");
    }
    lua_State *outer = sched->innermost;
    sched->innermost = thread;
    int status = lua_resetthread(thread);
    sched->innermost = outer;
    if (status == LUA_OK) {
        lua_pushboolean(L, 1);
        return 1;
    }
    lua_pushboolean(L, 0);
    lua_xmove(thread, L, 1);
    return 2;
}

static const luaL_Reg functions[] = {
    {"resume", coroutine_resume},
    {"wrap", coroutine_wrap},
    {"close", coroutine_close},
    {NULL, NULL},
};

void mw_l_coroutine_open(lua_State *L) {
    lua_getglobal(L, "coroutine");
    luaL_setfuncs(L, functions, 0);
    lua_pop(L, 1);
}
