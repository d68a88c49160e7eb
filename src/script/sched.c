#include "script/sched.h"

#include "base/log.h"
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
    mw_preempt_init(&sched->preempt);
    mw_list_init(&sched->last);
    init_root(sched);
    lua_newtable(L);
    sched->threads = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_newtable(L);
    sched->tracebacks = luaL_ref(L, LUA_REGISTRYINDEX);
    sched->settle.run = settle;
    sched->settle.context = sched;
    mw_loop_add_work(loop, &sched->settle);
}

/* Runs those that are ready now. After one that had to be interrupted the others
 * have their turn when the sockets were asked again: it may not be the only one. */
static void run_ready(struct mw_sched *sched) {
    struct mw_list batch;
    mw_list_init(&batch);
    mw_list_splice(&batch, &sched->ready);
    double ended = sched->preempt.ended;
    while (!mw_list_empty(&batch) && sched->preempt.ended == ended) {
        struct mw_task *task = mw_list_owner(batch.next, struct mw_task, node);
        mw_list_remove(&task->node);
        mw_task_run(task);
    }
    if (!mw_list_empty(&batch)) {
        mw_list_splice(&batch, &sched->ready);
        mw_list_splice(&sched->ready, &batch);
    }
}

void mw_sched_settle(struct mw_sched *sched) {
    if (!mw_list_empty(&sched->ready)) {
        run_ready(sched);
    }
    if (sched->quota.refused) {
        mw_quota_settle(sched);
    }
    mw_quota_pace(sched);
    if (!mw_list_empty(&sched->preempt.waiting)) {
        mw_preempt_settle(sched);
    }
    if (sched->net->dirty) {
        sched->unflushed = 0;
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
    sched->closed = true;
    mw_loop_remove_work(&sched->settle);
    mw_timer_remove(mw_loop_timers(sched->loop), &sched->preempt.look);
    flatten(sched);
    for (struct mw_list *node = all->next; node != all; node = node->next) {
        mw_task_close_owned(mw_list_owner(node, struct mw_task, sibling));
    }
    mw_task_close_owned(&sched->root);
}

void mw_sched_free_tasks(struct mw_sched *sched) {
    mw_resources_close(&sched->last);
    for (struct mw_list *node = sched->service.tasks.next, *next; node != &sched->service.tasks; node = next) {
        next = node->next;
        mw_task_free(mw_list_owner(node, struct mw_task, sibling));
    }
    for (struct mw_list *node = sched->spare.next, *next; node != &sched->spare; node = next) {
        next = node->next;
        mw_task_free(mw_list_owner(node, struct mw_task, node));
    }
}

static struct mw_task *last_of(const struct mw_list *tasks) {
    return mw_list_empty(tasks) ? NULL : mw_list_owner(tasks->previous, struct mw_task, sibling);
}

static struct mw_task *last_child(const struct mw_task *task) {
    struct mw_task *child = NULL;
    for (const struct mw_group *group = task->group; group && !child; group = group->outer) {
        child = last_of(&group->tasks);
    }
    return child;
}

/* A task of the service that has no children; NULL: there is none but main. The
 * search goes through the list from the end, where main, the oldest, comes last. */
static struct mw_task *find_leaf(const struct mw_sched *sched) {
    struct mw_task *leaf = NULL;
    for (struct mw_task *task = last_of(&sched->service.tasks); task; task = last_child(task)) {
        leaf = task;
    }
    return leaf == sched->main ? NULL : leaf;
}

void mw_sched_drop_tasks(struct mw_sched *sched) {
    for (struct mw_task *leaf = find_leaf(sched); leaf; leaf = find_leaf(sched)) {
        mw_task_drop(leaf, "limit", NULL);
    }
}

void mw_sched_warn_of_lost(const struct mw_sched *sched, const char *kind, const char *name) {
    if (sched->lingering == 0) {
        mw_log(MW_LOG_WARN, "%s %s was left open without a reference to it: close it or keep it", kind, name);
    }
}

int mw_sched_keep_traceback(lua_State *L) {
    struct mw_sched *sched = mw_sched_of(L);
    struct mw_task *task = sched->running ? sched->running : &sched->root;
    const char *code, *message;
    lua_settop(L, 1);
    if (mw_is_fault_object(L, 1, &code, &message)) {
        return 1;
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, sched->tracebacks);
    lua_createtable(L, 2, 0);
    lua_pushvalue(L, 1);
    lua_rawseti(L, -2, 1);
    mw_report_traceback(L, L);
    lua_rawseti(L, -2, 2);
    lua_rawsetp(L, 2, task);
    task->kept_traceback = true;
    lua_settop(L, 1);
    return 1;
}

/* Pushes the traceback that was kept for the value at `value`, or nothing. */
static bool push_kept(lua_State *L, const struct mw_task *task, int value) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, task->sched->tracebacks);
    lua_rawgetp(L, -1, task);
    lua_rawgeti(L, -1, 1);
    bool same = lua_rawequal(L, -1, value);
    lua_rawgeti(L, -2, 2);
    lua_replace(L, -4);
    lua_pop(L, same ? 2 : 3);
    return same;
}

void mw_sched_push_traceback(lua_State *L, const struct mw_task *task) {
    if (!task->kept_traceback || !push_kept(L, task, lua_gettop(L))) {
        mw_report_traceback(L, task->thread);
    }
}

void mw_sched_forget_traceback(struct mw_task *task) {
    lua_State *L = task->sched->L;
    lua_rawgeti(L, LUA_REGISTRYINDEX, task->sched->tracebacks);
    lua_pushnil(L);
    lua_rawsetp(L, -2, task);
    lua_pop(L, 1);
    task->kept_traceback = false;
}
