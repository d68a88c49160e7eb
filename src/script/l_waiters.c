/* Waiters for scripts: a list of tasks that wait for something that happens in
 * Lua. moonwire.sync is made of it. */
#include "script/l_waiters.h"

#include "script/check.h"
#include "script/fault.h"
#include "script/sched.h"

static const char TYPE[] = "moonwire.waiters";

struct mw_waiters {
    struct mw_list tasks; /* mw_task.node */
    struct mw_wait wait;  /* with the name that status shows */
};

struct mw_waiters *mw_waiters_check(lua_State *L, int index) {
    return luaL_checkudata(L, index, TYPE);
}

bool mw_waiters_wake_one(struct mw_waiters *waiters) {
    if (mw_list_empty(&waiters->tasks)) {
        return false;
    }
    mw_task_ready(mw_list_owner(waiters->tasks.next, struct mw_task, node), 0);
    return true;
}

static struct mw_waiters *check_waiters(lua_State *L) {
    return mw_waiters_check(L, 1);
}

static void stop_waiting(struct mw_task *task, void *subject) {
    (void)subject;
    mw_list_remove(&task->node);
}

static int waiters_new(lua_State *L) {
    const char *name = luaL_checkstring(L, 1);
    struct mw_waiters *waiters = lua_newuserdatauv(L, sizeof *waiters, 1);
    *waiters = (struct mw_waiters){.wait = {.name = name, .abandon = stop_waiting}};
    mw_list_init(&waiters->tasks);
    lua_pushvalue(L, 1); /* keeps the name alive */
    lua_setiuservalue(L, -2, 1);
    luaL_setmetatable(L, TYPE);
    return 1;
}

static int woken(lua_State *L, int status, lua_KContext top) {
    (void)status;
    if (mw_task_outcome(L) == MW_TIMED_OUT) {
        return mw_push_word(L, "timeout");
    }
    return lua_gettop(L) - (int)top;
}

/* wait([seconds]) → what wake was called with | nil, "timeout", "timeout" */
static int waiters_wait(lua_State *L) {
    struct mw_waiters *waiters = check_waiters(L);
    double seconds = lua_isnoneornil(L, 2) ? MW_TIMER_NEVER : mw_check_seconds(L, 2);
    struct mw_task *task = mw_task_begin_wait(L, seconds);
    mw_list_append(&waiters->tasks, &task->node);
    return mw_task_wait(task, &waiters->wait, waiters, lua_gettop(L), woken);
}

static void wake(lua_State *L, struct mw_task *task, int count) {
    luaL_checkstack(L, count + 1, "too many values");
    if (!lua_checkstack(task->thread, count + 1)) {
        luaL_error(L, "too many values");
    }
    for (int i = 0; i < count; i++) {
        lua_pushvalue(L, 2 + i);
    }
    lua_xmove(L, task->thread, count);
    mw_task_ready(task, count);
}

/* wake(...) → whether somebody waited: the first gets the values */
static int waiters_wake(lua_State *L) {
    struct mw_waiters *waiters = check_waiters(L);
    bool waiting = !mw_list_empty(&waiters->tasks);
    if (waiting) {
        wake(L, mw_list_owner(waiters->tasks.next, struct mw_task, node), lua_gettop(L) - 1);
    }
    lua_pushboolean(L, waiting);
    return 1;
}

/* wake_all(...) → how many waited */
static int waiters_wake_all(lua_State *L) {
    struct mw_waiters *waiters = check_waiters(L);
    int values = lua_gettop(L) - 1;
    lua_Integer count = 0;
    for (; !mw_list_empty(&waiters->tasks); count++) {
        wake(L, mw_list_owner(waiters->tasks.next, struct mw_task, node), values);
    }
    lua_pushinteger(L, count);
    return 1;
}

static int waiters_count(lua_State *L) {
    const struct mw_waiters *waiters = check_waiters(L);
    lua_Integer count = 0;
    for (const struct mw_list *node = waiters->tasks.next; node != &waiters->tasks; node = node->next) {
        count++;
    }
    lua_pushinteger(L, count);
    return 1;
}

static int waiters_is_empty(lua_State *L) {
    lua_pushboolean(L, mw_list_empty(&check_waiters(L)->tasks));
    return 1;
}

static const luaL_Reg methods[] = {
    {"wait", waiters_wait},   {"wake", waiters_wake},         {"wake_all", waiters_wake_all},
    {"count", waiters_count}, {"is_empty", waiters_is_empty}, {NULL, NULL},
};

static const luaL_Reg metamethods[] = {{NULL, NULL}};

static const luaL_Reg functions[] = {{"new", waiters_new}, {NULL, NULL}};

void mw_l_waiters_open(lua_State *L) {
    mw_new_type(L, TYPE, methods, metamethods);
    mw_set_functions(L, "waiters", functions);
}
