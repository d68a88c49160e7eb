#include "script/l_child.h"

#include "script/check.h"
#include "script/fault.h"
#include "script/sched.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char TYPE[] = "moonwire.child";

static struct mw_l_child *check_child(lua_State *L) {
    return luaL_checkudata(L, 1, TYPE);
}

static void close_resource(struct mw_resource *resource) {
    struct mw_l_child *child = mw_list_owner(resource, struct mw_l_child, resource);
    mw_child_end(child->child, child->grace);
}

struct mw_l_child *mw_l_child_push(lua_State *L, const char *name) {
    struct mw_l_child *child = lua_newuserdatauv(L, sizeof *child, 1);
    *child = (struct mw_l_child){
        .sched = mw_sched_of(L),
        .resource.close = close_resource,
        .self = LUA_NOREF,
        .ours = {-1, -1, -1},
        .theirs = {-1, -1, -1},
    };
    const char *slash = strrchr(name, '/');
    snprintf(child->name, sizeof child->name, "%s", slash ? slash + 1 : name);
    mw_list_init(&child->resource.node);
    mw_list_init(&child->waiters);
    luaL_setmetatable(L, TYPE);
    lua_newtable(L);
    lua_setiuservalue(L, -2, 1);
    return child;
}

/* It is the script's alone from now on: nothing is lost when that forgets it. */
void mw_l_child_on_exit(void *context, struct mw_child_status status) {
    struct mw_l_child *child = context;
    child->child = NULL;
    child->status = status;
    mw_task_disown(&child->resource);
    while (!mw_list_empty(&child->waiters)) {
        mw_task_ready(mw_list_owner(child->waiters.next, struct mw_task, node), 0);
    }
    luaL_unref(child->sched->L, LUA_REGISTRYINDEX, child->self);
    child->self = LUA_NOREF;
}

static int push_status(lua_State *L, const struct mw_l_child *child) {
    char name[32];
    lua_pushinteger(L, child->status.code);
    if (child->status.signal == 0) {
        return 1;
    }
    mw_child_signal_name(child->status.signal, name, sizeof name);
    lua_pushstring(L, name);
    return 2;
}

static void abandon_wait(struct mw_task *task, void *subject) {
    (void)subject;
    mw_list_remove(&task->node);
}

static const struct mw_wait exit_wait = {.name = "exit", .abandon = abandon_wait};

static int exited(lua_State *L, int status, lua_KContext context) {
    (void)status;
    (void)context;
    if (mw_task_outcome(L) == MW_TIMED_OUT) {
        return mw_push_word(L, "timeout");
    }
    return push_status(L, check_child(L));
}

/* wait([seconds]) → code, signal | nil, err, code */
static int child_wait(lua_State *L) {
    struct mw_l_child *child = check_child(L);
    double seconds = lua_isnoneornil(L, 2) ? MW_TIMER_NEVER : mw_check_seconds(L, 2);
    if (!child->child) {
        return push_status(L, child);
    }
    struct mw_task *task = mw_task_begin_wait(L, seconds);
    mw_list_append(&child->waiters, &task->node);
    return mw_task_wait(task, &exit_wait, child, 0, exited);
}

/* status() → code, signal | nil while it runs */
static int child_status(lua_State *L) {
    const struct mw_l_child *child = check_child(L);
    if (child->child) {
        lua_pushnil(L);
        return 1;
    }
    return push_status(L, child);
}

static int child_kill(lua_State *L) {
    struct mw_l_child *child = check_child(L);
    int number = mw_child_signal_number(luaL_optstring(L, 2, "term"));
    luaL_argcheck(L, number > 0, 2, "no signal; such as \"term\", \"kill\", \"hup\"");
    if (!child->child) {
        return mw_push_word(L, "closed");
    }
    int error = mw_child_signal(child->child, number);
    if (error) {
        return mw_push_errno(L, error, "kill", child->name);
    }
    lua_pushboolean(L, 1);
    return 1;
}

/* Ends it, and its streams. */
static int child_close(lua_State *L) {
    struct mw_l_child *child = check_child(L);
    for (int i = 0; i < 3; i++) {
        if (child->stdio[i] && child->stdio[i]->stream) {
            child->stdio[i]->resource.close(&child->stdio[i]->resource);
        }
    }
    if (child->child) {
        mw_child_end(child->child, child->grace);
    }
    return 0;
}

static void keep(struct mw_sched *sched, struct mw_resource *resource) {
    mw_task_disown(resource);
    mw_list_append(&sched->root.owned, &resource->node);
}

/* It outlives the task that started it: it is the service's now. */
static int child_keep(lua_State *L) {
    struct mw_l_child *child = check_child(L);
    if (child->child) {
        keep(child->sched, &child->resource);
    }
    for (int i = 0; i < 3; i++) {
        if (child->stdio[i] && child->stdio[i]->stream) {
            keep(child->sched, &child->stdio[i]->resource);
        }
    }
    lua_settop(L, 1);
    return 1;
}

static int child_id(lua_State *L) {
    lua_pushinteger(L, check_child(L)->id);
    return 1;
}

static void close_all(int fds[3]) {
    for (int i = 0; i < 3; i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
            fds[i] = -1;
        }
    }
}

/* A child that runs is held by the registry: this is the end of the state, or of
 * one that was never started. */
static int child_gc(lua_State *L) {
    struct mw_l_child *child = check_child(L);
    close_all(child->ours);
    close_all(child->theirs);
    if (child->child) {
        mw_task_disown(&child->resource);
        mw_child_disown(child->child);
        child->child = NULL;
    }
    return 0;
}

static int child_tostring(lua_State *L) {
    const struct mw_l_child *child = check_child(L);
    if (child->child) {
        lua_pushfstring(L, "%s: %s %d running", TYPE, child->name, (int)child->id);
    } else {
        lua_pushfstring(L, "%s: %s %d ended with %d", TYPE, child->name, (int)child->id, child->status.code);
    }
    return 1;
}

/* A method, which the first upvalue has, or one of its streams. */
static int child_index(lua_State *L) {
    check_child(L);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) == LUA_TNIL) {
        lua_getiuservalue(L, 1, 1);
        lua_pushvalue(L, 2);
        lua_rawget(L, -2);
    }
    return 1;
}

static const luaL_Reg functions[] = {{"spawn", mw_l_child_spawn}, {NULL, NULL}};

static const luaL_Reg methods[] = {
    {"wait", child_wait},   {"status", child_status}, {"kill", child_kill}, {"id", child_id},
    {"close", child_close}, {"keep", child_keep},     {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__tostring", child_tostring},
    {"__close", child_close},
    {"__gc", child_gc},
    {NULL, NULL},
};

void mw_l_child_open(lua_State *L) {
    mw_new_type(L, TYPE, methods, metamethods);
    luaL_getmetatable(L, TYPE);
    lua_getfield(L, -1, "__index");
    lua_pushcclosure(L, child_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    mw_set_functions(L, "process", functions);
}
