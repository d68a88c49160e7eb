/* The end of a task: what it returned or died of is noted and told. */
#include "base/log.h"
#include "script/fault.h"
#include "script/l_handler.h"
#include "script/report.h"
#include "script/service.h"
#include "script/state.h"
#include "script/task_internal.h"

#include <lauxlib.h>
#include <string.h>

struct ending {
    struct mw_task *task;
    int status, count;
    const char *code, *message; /* what it is dropped for; code NULL: it ends by itself */
};

void mw_task_protected(struct mw_sched *sched, lua_CFunction run, void *context) {
    lua_State *L = sched->L;
    lua_pushcfunction(L, run);
    lua_pushlightuserdata(L, context);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
        const char *message = lua_tostring(L, -1);
        mw_log(MW_LOG_ERROR, "service %s: %s", sched->name, message ? message : "error without a message");
        lua_pop(L, 1);
    }
}

/* Takes the results that are on top of L as what join returns. */
static void set_results(lua_State *L, struct mw_task *task, int count) {
    lua_createtable(L, count, 1);
    lua_insert(L, -count - 1);
    for (int i = count; i > 0; i--) {
        lua_rawseti(L, -i - 1, i);
    }
    lua_pushinteger(L, count);
    lua_setfield(L, -2, "n");
    if (mw_task_find_handle(L, task)) {
        lua_insert(L, -2);
        lua_setiuservalue(L, -2, 1);
    }
    lua_pop(L, 1);
}

static void set_failure(lua_State *L, struct mw_task *task, const char *message, const char *code) {
    if (task->handle) {
        lua_pushnil(L);
        lua_pushstring(L, message);
        lua_pushstring(L, code);
        set_results(L, task, 3);
    }
    bool is_cancelled = strcmp(code, "cancelled") == 0;
    if (!is_cancelled && !task->connection) { /* a connection fails alone, and whoever cancels a task means it */
        mw_group_note_failure(L, task->home, code, message);
    }
    if (task == task->sched->main && !is_cancelled) {
        task->sched->exit_status = 1;
        if (task->sched->provider) {
            mw_service_failed(task->sched->provider, message);
        }
    }
}

/* Whether the <close> variables of the thread may run. Those of a sandboxed script may
 * not where no hook would end them. */
static bool may_close(const struct mw_task *task) {
    return !mw_state_of(task->sched->L)->sandboxed || !task->hookless;
}

/* Runs the pending <close> variables of the dead thread. A fault of theirs, any
 * but the one at `value` that killed it, is an entry of its own. */
static void close_thread(lua_State *L, struct mw_task *task, int value) {
    struct mw_sched *sched = task->sched;
    if (!may_close(task)) {
        return;
    }
    task->dying = true;
    sched->running = task;
    int status = lua_resetthread(task->thread);
    sched->running = NULL;
    lua_sethook(task->thread, NULL, 0, 0); /* left there for what would not end */
    if (status == LUA_OK) {
        return;
    }
    lua_xmove(task->thread, L, 1);
    if (!lua_rawequal(L, -1, value)) {
        mw_report_death(task, mw_report_text(L, -1), "raised while <close> variables were closed");
    }
}

/* Protected: a light userdata of struct ending. */
static int conclude_failure(lua_State *L) {
    struct ending *ending = lua_touserdata(L, 1);
    struct mw_task *task = ending->task;
    const char *code, *message;
    if (ending->code) {
        lua_pushstring(L, ending->message ? ending->message : "ended");
    } else if (ending->status == LUA_YIELD) {
        lua_pushliteral(L, "coroutine.yield outside a coroutine of the script's own; use task.yield");
    } else {
        lua_pushvalue(task->thread, -1);
        lua_xmove(task->thread, L, 1);
    }
    int value = lua_gettop(L);
    if (mw_is_fault_object(L, value, &code, &message)) {
        if (strcmp(code, "cancelled") != 0) {
            mw_report_death(task, message, NULL);
        }
    } else {
        code = ending->code ? ending->code : "error";
        message = mw_report_text(L, value);
        if (!ending->code || ending->message) {
            lua_pushvalue(L, value);
            mw_sched_push_traceback(L, task);
            mw_report_death(task, message, lua_tostring(L, -1));
        }
    }
    if (task->connection && (strcmp(code, "error") == 0 || (ending->code && ending->message))) {
        task->sched->failures++;
    }
    set_failure(L, task, message, code);
    close_thread(L, task, value);
    return 0;
}

static int conclude_success(lua_State *L) {
    struct ending *ending = lua_touserdata(L, 1);
    luaL_checkstack(L, ending->count + 8, "too many results");
    lua_xmove(ending->task->thread, L, ending->count);
    set_results(L, ending->task, ending->count);
    return 0;
}

static void end(struct ending *ending) {
    struct mw_task *task = ending->task;
    task->state = MW_TASK_ENDING;
    if (task->connection) {
        mw_l_handler_left(task, ending->status == LUA_OK);
    }
    if (ending->status == LUA_OK && task->connection) {
        ending->count--; /* the stream below the handler is not a result */
    }
    if (ending->status == LUA_OK && task->handle) {
        mw_task_protected(task->sched, conclude_success, ending);
    } else if (ending->status != LUA_OK) {
        mw_quota_lend(task->sched, true);
        mw_task_protected(task->sched, conclude_failure, ending);
        if (lua_status(task->thread) != LUA_OK && may_close(task)) {
            lua_resetthread(task->thread); /* memory was out before it came to that */
        }
        mw_quota_lend(task->sched, false);
        task->connection = NULL; /* nothing refers to it any more */
    }
    for (struct mw_group *group = task->group; group; group = group->outer) {
        mw_group_cancel(group);
    }
    mw_task_finish(task);
}

void mw_task_left(struct mw_task *task, int status, int count) {
    if (status != LUA_YIELD || !mw_preempt_take(task)) {
        struct ending ending = {.task = task, .status = status, .count = count};
        end(&ending);
    }
}

void mw_task_drop(struct mw_task *task, const char *code, const char *message) {
    struct ending ending = {.task = task, .status = LUA_YIELD, .code = code, .message = message};
    mw_task_unqueue(task);
    end(&ending);
}
