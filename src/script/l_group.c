#include "script/l_group.h"

#include "script/check.h"
#include "script/fault.h"
#include "script/l_task.h"
#include "script/sched.h"

static const char TYPE[] = "moonwire.group";

struct handle {
    struct mw_group *group; /* NULL when it is closed */
    uint32_t owner;         /* id of the task that opened it */
    double deadline;
};

static struct handle *check_group(lua_State *L) {
    return luaL_checkudata(L, 1, TYPE);
}

/* A group ends with the task that opened it, whatever the script still holds. */
static struct mw_group *open_group(lua_State *L, const struct handle *handle) {
    if (handle->group) {
        return handle->group;
    }
    luaL_error(L, "this group is closed");
    return NULL;
}

int mw_l_group_new(lua_State *L) {
    struct mw_sched *sched = mw_sched_of(L);
    double seconds = lua_isnoneornil(L, 1) ? MW_TIMER_NEVER : mw_check_seconds(L, 1);
    if (!sched->running) {
        return luaL_error(L, "no task is running here; open a group in a function of the service");
    }
    struct handle *handle = lua_newuserdatauv(L, sizeof *handle, 0);
    *handle = (struct handle){.owner = sched->running->id, .deadline = mw_loop_now(sched->loop) + seconds};
    luaL_setmetatable(L, TYPE);
    handle->group = mw_group_open(sched->running, handle->deadline);
    if (!handle->group) {
        return luaL_error(L, "not enough memory");
    }
    handle->group->fails_together = true;
    handle->group->handle = &handle->group;
    return 1;
}

static int group_spawn(lua_State *L) {
    return mw_l_task_spawn(L, open_group(L, check_group(L)), 2);
}

/* true, or what the first task that failed died of. */
static int verdict(lua_State *L, const struct mw_group *group) {
    if (!group || !group->failure) {
        lua_pushboolean(L, 1);
        return 1;
    }
    lua_pushnil(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, group->failure_message);
    lua_pushstring(L, group->failure);
    return 3;
}

static int wait_for(struct mw_task *task, struct mw_group *group, lua_KFunction k) {
    mw_list_append(&group->waiters, &task->node);
    return mw_task_wait(task, &mw_group_wait, group, 0, k);
}

static int waited(lua_State *L, int status, lua_KContext context) {
    (void)status;
    (void)context;
    if (mw_task_outcome(L) == MW_TIMED_OUT) {
        return mw_push_word(L, "timeout");
    }
    return verdict(L, check_group(L)->group);
}

/* A task that awaited its own end, or that of a task above it, would wait for ever. */
static void refuse_member(lua_State *L, const struct mw_group *group) {
    const struct mw_task *task = mw_sched_of(L)->running;
    while (task && task->home) {
        if (task->home == group) {
            luaL_error(L, "a task cannot wait for the group that it runs in; group:cancel() does not wait");
        }
        task = task->home->owner;
    }
}

static int group_wait(lua_State *L) {
    struct mw_group *group = open_group(L, check_group(L));
    double seconds = lua_isnoneornil(L, 2) ? MW_TIMER_NEVER : mw_check_seconds(L, 2);
    refuse_member(L, group);
    if (mw_list_empty(&group->tasks)) {
        return verdict(L, group);
    }
    return wait_for(mw_task_begin_wait(L, seconds), group, waited);
}

static int group_cancel(lua_State *L) {
    mw_group_cancel(open_group(L, check_group(L)));
    return 0;
}

/* Whether the group's own deadline is over: this is the scope that expired. */
static int group_expired(lua_State *L) {
    const struct handle *handle = check_group(L);
    lua_pushboolean(L, handle->deadline <= mw_loop_now(mw_sched_of(L)->loop));
    return 1;
}

/* Its tasks are cancelled and awaited, also in a task that is cancelled or past
 * a deadline: cancelled tasks end soon. */
static int group_close(lua_State *L);

static int emptied(lua_State *L, int status, lua_KContext context) {
    (void)status;
    (void)context;
    return group_close(L);
}

static int group_close(lua_State *L) {
    struct handle *handle = check_group(L);
    struct mw_group *group = handle->group;
    if (!group) {
        return 0;
    }
    refuse_member(L, group);
    mw_group_cancel(group);
    if (mw_list_empty(&group->tasks)) {
        mw_group_close(mw_sched_of(L)->L, group);
        return 0;
    }
    if (!mw_task_may_wait(L)) {
        return 0; /* the end of the task awaits them */
    }
    return wait_for(mw_task_begin_closing(L), group, emptied);
}

static int group_tostring(lua_State *L) {
    lua_pushfstring(L, "%s: %s", TYPE, check_group(L)->group ? "open" : "closed");
    return 1;
}

static int group_gc(lua_State *L) {
    struct handle *handle = check_group(L);
    if (handle->group) {
        handle->group->handle = NULL;
        handle->group = NULL;
    }
    return 0;
}

static const luaL_Reg methods[] = {
    {"spawn", group_spawn}, {"wait", group_wait},   {"cancel", group_cancel},
    {"close", group_close}, {"expired", group_expired}, {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__tostring", group_tostring},
    {"__close", group_close},
    {"__gc", group_gc},
    {NULL, NULL},
};

void mw_l_group_open(lua_State *L) {
    mw_new_type(L, TYPE, methods, metamethods);
}
