#include "script/task.h"

#include "script/fault.h"
#include "script/l_main.h"
#include "script/move.h"
#include "script/task_internal.h"

#include <lauxlib.h>
#include <stdlib.h>

/* Threads kept for the next task: reuse costs a third of a new one. */
enum { SPARE_LIMIT = 256 };

/* Tasks that ran at which sending does not wait for the end of the tick: what they
 * wrote still is in the processor's second cache, as a rule. It is not streams that
 * count: what many say to the same thousand leaves in one call for each of these. */
enum { FLUSH_AT = 64 };

static void wait_is_over(struct mw_task *task) {
    task->wait = NULL;
    task->subject = NULL;
}

static void abandon_wait(struct mw_task *task) {
    const struct mw_wait *wait = task->wait;
    void *subject = task->subject;
    wait_is_over(task);
    if (wait->abandon) {
        wait->abandon(task, subject);
    }
}

/* The timer keeps the moment of the last wait, so that the next one, due later,
 * need not look into the heap: it may ring for a task that does not wait. */
static void on_timer_due(struct mw_timer *timer) {
    struct mw_task *task = mw_list_owner(timer, struct mw_task, timer);
    struct mw_loop *loop = task->sched->loop;
    if (task->state != MW_TASK_WAITING) {
        return;
    }
    task->expired = task->group && task->group->deadline <= mw_loop_now(loop);
    abandon_wait(task);
    task->outcome = MW_TIMED_OUT;
    task->arguments = 0;
    mw_task_run(task);
    mw_loop_wake(loop);
}

/* A task struct on a thread of its own, anchored in the table of threads. */
static struct mw_task *create(lua_State *L, struct mw_sched *sched) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, sched->threads);
    lua_State *thread = lua_newthread(L);
    int slot = luaL_ref(L, -2);
    lua_pop(L, 1);
    struct mw_task *task = calloc(1, sizeof *task);
    if (!task) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, sched->threads);
        luaL_unref(L, -1, slot);
        luaL_error(L, "not enough memory");
        return NULL;
    }
    task->thread = thread;
    task->slot = slot;
    task->sched = sched;
    mw_list_init(&task->node);
    mw_list_init(&task->sibling);
    mw_list_init(&task->owned);
    mw_timer_init(&task->timer, on_timer_due);
    *(struct mw_task **)lua_getextraspace(thread) = task;
    return task;
}

struct mw_task *mw_task_new(lua_State *L, struct mw_sched *sched, struct mw_group *home) {
    struct mw_task *task;
    if (mw_list_empty(&sched->spare)) {
        task = create(L, sched);
    } else {
        task = mw_list_owner(sched->spare.next, struct mw_task, node);
        mw_list_remove(&task->node);
        sched->spares--;
    }
    task->id = ++sched->last_id;
    task->home = home;
    task->cancelled = home->cancelling;
    mw_list_append(&home->tasks, &task->sibling);
    sched->tasks++;
    return task;
}

void mw_task_free(struct mw_task *task) {
    while (task->group) {
        struct mw_group *group = task->group;
        task->group = group->outer;
        free(group);
    }
    mw_timer_remove(mw_loop_timers(task->sched->loop), &task->timer);
    free(task);
}

static void recycle(struct mw_task *task) {
    struct mw_sched *sched = task->sched;
    if (task->kept_traceback) {
        mw_sched_forget_traceback(task);
    }
    if (task->anchors) {
        lua_pushnil(sched->L);
        lua_rawsetp(sched->L, LUA_REGISTRYINDEX, task);
    }
    lua_settop(task->thread, 0);
    mw_timer_clear(&task->timer);
    task->home = NULL;
    task->connection = NULL;
    sched->aside -= task->aside;
    task->cancelled = task->expired = task->dying = task->lingers = task->lends = task->anchors = task->aside = false;
    task->state = MW_TASK_FREE;
    sched->tasks--;
    if (sched->spares < SPARE_LIMIT && !task->hookless) {
        sched->spares++;
        mw_list_append(&sched->spare, &task->node);
        return;
    }
    lua_rawgeti(sched->L, LUA_REGISTRYINDEX, sched->threads);
    luaL_unref(sched->L, -1, task->slot);
    lua_pop(sched->L, 1);
    mw_task_free(task);
}

static inline void run(lua_State *from, struct mw_task *task) {
    struct mw_sched *sched = task->sched;
    int count, arguments = task->arguments;
    task->arguments = 0;
    task->wait = NULL;
    task->resumes++;
    task->since = mw_loop_now(sched->loop);
    task->state = MW_TASK_RUNNING;
    sched->running = task;
    int status = lua_resume(task->thread, from, arguments, &count);
    sched->running = NULL;
    if (status != LUA_YIELD || !task->wait) {
        mw_task_left(task, status, count);
    } else if (sched->retired && task->connection) {
        mw_move_parked(task);
    }
}

void mw_task_run(struct mw_task *task) {
    run(task->sched->L, task);
}

void mw_task_run_within(lua_State *L, struct mw_task *task) {
    struct mw_sched *sched = task->sched;
    struct mw_task *running = sched->running;
    lua_State *innermost = sched->innermost;
    sched->innermost = NULL;
    run(L, task);
    sched->innermost = innermost;
    sched->running = running;
}

void mw_task_resume(struct mw_task *task, int arguments) {
    wait_is_over(task);
    task->outcome = MW_WOKEN;
    task->arguments = arguments;
    struct mw_sched *sched = task->sched;
    mw_loop_wake(sched->loop);
    mw_task_run(task);
    if (sched->net->dirty && ++sched->unflushed >= FLUSH_AT) {
        sched->unflushed = 0;
        mw_net_flush(sched->net);
    }
}

void mw_task_ready(struct mw_task *task, int arguments) {
    if (task->state == MW_TASK_WAITING) {
        wait_is_over(task);
        mw_list_remove(&task->node);
    }
    task->outcome = MW_WOKEN;
    task->arguments = arguments;
    task->state = MW_TASK_READY;
    mw_list_append(&task->sched->ready, &task->node);
    mw_loop_wake(task->sched->loop);
}

void mw_task_cancel(struct mw_task *task) {
    task->cancelled = true;
    if (task->state == MW_TASK_WAITING) {
        abandon_wait(task);
        mw_task_ready(task, 0);
    }
}

void mw_task_unqueue(struct mw_task *task) {
    if (task->state == MW_TASK_WAITING) {
        abandon_wait(task);
    } else if (task->state == MW_TASK_READY) {
        mw_list_remove(&task->node);
    }
    task->state = MW_TASK_ENDING;
}

void mw_task_own(lua_State *L, struct mw_resource *resource) {
    struct mw_sched *sched = mw_sched_of(L);
    struct mw_task *task = sched->running && !sched->running->lends ? sched->running : &sched->root;
    mw_list_append(&task->owned, &resource->node);
}

void mw_task_disown(struct mw_resource *resource) {
    mw_list_remove(&resource->node);
}

void mw_resources_close(struct mw_list *owned) {
    while (!mw_list_empty(owned)) {
        struct mw_resource *resource = mw_list_owner(owned->next, struct mw_resource, node);
        mw_list_remove(&resource->node);
        resource->close(resource);
    }
}

void mw_task_close_owned(struct mw_task *task) {
    for (struct mw_group *group = task->group; group; group = group->outer) {
        mw_resources_close(&group->owned);
    }
    mw_resources_close(&task->owned);
}

void *mw_task_connection(const struct mw_task *task) {
    while (task && !task->connection) {
        task = task->home ? task->home->owner : NULL;
    }
    return task ? task->connection : NULL;
}

static void close_groups(struct mw_task *task) {
    while (task->group) {
        mw_group_close(task->sched->L, task->group);
    }
}

/* Looks the handle up: its finalizer, which takes it off the task, is skipped when memory is out. */
static void wake_joiners(struct mw_task *task) {
    lua_State *L = task->sched->L;
    if (!mw_task_find_handle(L, task)) {
        task->handle = NULL;
        return;
    }
    struct mw_task_handle *handle = task->handle;
    task->handle = NULL;
    handle->task = NULL;
    while (!mw_list_empty(&handle->waiters)) {
        mw_task_ready(mw_list_owner(handle->waiters.next, struct mw_task, node), 0);
    }
    lua_pop(L, 1);
}

static bool has_children(const struct mw_task *task) {
    for (const struct mw_group *group = task->group; group; group = group->outer) {
        if (!mw_list_empty(&group->tasks)) {
            return true;
        }
    }
    return false;
}

/* Whether the main task waits for this end of another: it goes on anyway as long as it listens, and one of a daemon's
 * service waits for orders. */
static bool concerns_main(const struct mw_sched *sched) {
    return sched->main && sched->tasks == 1 + sched->aside && sched->listeners == 0 && !sched->provider;
}

/* What the end of a task means for the service: it ends with its main task. */
static void tell_service(struct mw_sched *sched, bool main_ended) {
    if (main_ended) {
        sched->main = NULL;
        mw_group_cancel(&sched->service);
    } else if (concerns_main(sched)) {
        mw_main_note(sched);
    }
    if (sched->tasks == 0) {
        sched->on_idle(sched->idle_context);
    }
}

/* The end of a task whose children are gone. The owner when it waited for that. */
static struct mw_task *finish(struct mw_task *task) {
    struct mw_sched *sched = task->sched;
    struct mw_group *home = task->home;
    bool is_main = task == sched->main;
    close_groups(task);
    mw_task_close_owned(task);
    sched->lingering -= task->lingers;
    wake_joiners(task);
    mw_group_forget(home, task);
    recycle(task);
    tell_service(sched, is_main);
    return home->owner && home->owner->state == MW_TASK_ENDING ? home->owner : NULL;
}

void mw_task_finish(struct mw_task *task) {
    while (task && !has_children(task)) {
        task = finish(task);
    }
    if (task && !task->lingers) {
        task->lingers = true;
        task->sched->lingering++;
    }
}
