#include "script/sched.h"

#include "script/fault.h"
#include "script/report.h"
#include "script/task_internal.h"

#include <lauxlib.h>

static void settle(void *context) {
    mw_sched_settle(context);
}

static void init_root(struct mw_sched *sched) {
    sched->root = (struct mw_task){.thread = sched->L, .sched = sched, .group = &sched->service};
    mw_list_init(&sched->root.owned);
    sched->service = (struct mw_group){
        .deadline = MW_TIMER_NEVER,
        .failure_message = LUA_NOREF,
    };
    mw_list_init(&sched->service.tasks);
    mw_list_init(&sched->service.waiters);
    mw_list_init(&sched->service.owned);
    *(struct mw_task **)lua_getextraspace(sched->L) = &sched->root;
}

void mw_sched_init(struct mw_sched *sched, lua_State *L, struct mw_loop *loop, struct mw_net *net) {
    *sched = (struct mw_sched){.L = L, .loop = loop, .net = net, .name = "script"};
    mw_list_init(&sched->ready);
    mw_list_init(&sched->spare);
    sched->traceback = sched->traceback_of = LUA_NOREF;
    init_root(sched);
    lua_newtable(L);
    sched->threads = luaL_ref(L, LUA_REGISTRYINDEX);
    mw_loop_set_work(loop, settle, sched);
}

void mw_sched_settle(struct mw_sched *sched) {
    struct mw_list batch;
    mw_list_init(&batch);
    mw_list_splice(&batch, &sched->ready);
    while (!mw_list_empty(&batch)) {
        struct mw_task *task = mw_list_owner(batch.next, struct mw_task, node);
        mw_list_remove(&task->node);
        mw_task_run(task);
    }
    if (sched->net->dirty) {
        mw_net_flush(sched->net);
    }
    if (!mw_list_empty(&sched->ready)) {
        mw_loop_wake(sched->loop);
    }
}

/* Makes the tree of groups, which may be deep, one list. */
static void flatten(struct mw_sched *sched) {
    struct mw_list *all = &sched->service.tasks;
    for (struct mw_list *node = all->next; node != all; node = node->next) {
        struct mw_task *task = mw_list_owner(node, struct mw_task, sibling);
        for (struct mw_group *group = task->group; group; group = group->outer) {
            mw_list_splice(all, &group->tasks);
        }
    }
}

void mw_sched_close(struct mw_sched *sched) {
    struct mw_list *all = &sched->service.tasks;
    mw_loop_set_work(sched->loop, NULL, NULL);
    flatten(sched);
    for (struct mw_list *node = all->next; node != all; node = node->next) {
        mw_task_close_owned(mw_list_owner(node, struct mw_task, sibling));
    }
    mw_task_close_owned(&sched->root);
}

void mw_sched_free_tasks(struct mw_sched *sched) {
    for (struct mw_list *node = sched->service.tasks.next, *next; node != &sched->service.tasks; node = next) {
        next = node->next;
        mw_task_free(mw_list_owner(node, struct mw_task, sibling));
    }
    for (struct mw_list *node = sched->spare.next, *next; node != &sched->spare; node = next) {
        next = node->next;
        mw_task_free(mw_list_owner(node, struct mw_task, node));
    }
}

int mw_sched_keep_traceback(lua_State *L) {
    struct mw_sched *sched = mw_sched_of(L);
    const char *code, *message;
    lua_settop(L, 1);
    if (mw_is_fault_object(L, 1, &code, &message)) {
        return 1;
    }
    luaL_unref(L, LUA_REGISTRYINDEX, sched->traceback);
    luaL_unref(L, LUA_REGISTRYINDEX, sched->traceback_of);
    mw_report_traceback(L, L);
    sched->traceback = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pushvalue(L, 1);
    sched->traceback_of = luaL_ref(L, LUA_REGISTRYINDEX);
    return 1;
}
