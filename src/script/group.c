#include "script/group.h"

#include "script/sched.h"

#include <lauxlib.h>
#include <stdlib.h>

static void stop_waiting(struct mw_task *task, void *subject) {
    (void)subject;
    mw_list_remove(&task->node);
}

const struct mw_wait mw_group_wait = {.name = "group", .abandon = stop_waiting};

struct mw_group *mw_group_open(struct mw_task *owner, double deadline) {
    struct mw_group *group = malloc(sizeof *group);
    if (!group) {
        return NULL;
    }
    *group = (struct mw_group){
        .owner = owner,
        .outer = owner->group,
        .deadline = deadline,
        .failure_message = LUA_NOREF,
    };
    if (group->outer && group->outer->deadline < deadline) {
        group->deadline = group->outer->deadline;
    }
    mw_list_init(&group->tasks);
    mw_list_init(&group->waiters);
    mw_list_init(&group->owned);
    owner->group = group;
    return group;
}

struct mw_group *mw_group_of(struct mw_task *task) {
    if (!task->group && task->lends) {
        return &task->sched->service;
    }
    return task->group ? task->group : mw_group_open(task, MW_TIMER_NEVER);
}

void mw_group_cancel(struct mw_group *group) {
    group->cancelling = true;
    mw_resources_close(&group->owned);
    for (struct mw_list *node = group->tasks.next; node != &group->tasks; node = node->next) {
        mw_task_cancel(mw_list_owner(node, struct mw_task, sibling));
    }
}

static void wake_waiters(struct mw_group *group) {
    while (!mw_list_empty(&group->waiters)) {
        mw_task_ready(mw_list_owner(group->waiters.next, struct mw_task, node), 0);
    }
}

void mw_group_close(lua_State *L, struct mw_group *group) {
    struct mw_group **link = &group->owner->group;
    while (*link != group) {
        link = &(*link)->outer;
    }
    *link = group->outer;
    mw_resources_close(&group->owned);
    wake_waiters(group);
    if (group->handle) {
        *group->handle = NULL;
    }
    luaL_unref(L, LUA_REGISTRYINDEX, group->failure_message);
    free(group);
}

void mw_group_forget(struct mw_group *group, struct mw_task *task) {
    mw_list_remove(&task->sibling);
    if (mw_list_empty(&group->tasks)) {
        wake_waiters(group);
    }
}

void mw_group_note_failure(lua_State *L, struct mw_group *group, const char *code, const char *message) {
    if (group->failure || group->cancelling) {
        return;
    }
    group->failure = code;
    lua_pushstring(L, message);
    group->failure_message = luaL_ref(L, LUA_REGISTRYINDEX);
    if (group->fails_together) {
        mw_group_cancel(group);
    }
}
