#include "script/l_job.h"

#include "script/check.h"
#include "script/fault.h"
#include "script/sched.h"

#include <errno.h>
#include <stdlib.h>

static const char TYPE[] = "moonwire.job";

static void release(struct mw_l_job *job) {
    if (job->owner) {
        *job->owner = NULL;
    }
    if (job->kind->release) {
        job->kind->release(job);
    }
    free(job);
}

static void work(struct mw_pool_job *pool) {
    struct mw_l_job *job = mw_list_owner(pool, struct mw_l_job, pool);
    job->kind->work(job);
}

static void done(struct mw_pool_job *pool) {
    struct mw_l_job *job = mw_list_owner(pool, struct mw_l_job, pool);
    job->under_way = false;
    if (job->task) {
        mw_task_resume(job->task, 0);
    } else {
        release(job);
    }
}

/* The task has left, or the state closes. */
static void leave(struct mw_l_job *job) {
    job->task = NULL;
    if (!job->under_way || mw_pool_take_back(job->threads, &job->pool)) {
        release(job);
    }
}

void mw_l_job_abandon(struct mw_task *task, void *subject) {
    (void)task;
    leave(subject);
}

static int job_gc(lua_State *L) {
    struct mw_l_job **owner = luaL_checkudata(L, 1, TYPE);
    struct mw_l_job *job = *owner;
    if (job) {
        *owner = NULL;
        job->owner = NULL;
        leave(job);
    }
    return 0;
}

void *mw_l_job_push(lua_State *L, const struct mw_l_job_kind *kind, size_t size) {
    struct mw_l_job **owner = lua_newuserdatauv(L, sizeof *owner, 0);
    *owner = NULL;
    luaL_setmetatable(L, TYPE);
    struct mw_l_job *job = calloc(1, size);
    if (!job) {
        luaL_error(L, "not enough memory");
        return NULL;
    }
    *job = (struct mw_l_job){
        .pool = {.work = work, .done = done},
        .kind = kind,
        .threads = mw_sched_of(L)->net->threads,
        .owner = owner,
    };
    *owner = job;
    return job;
}

static int conclude(lua_State *L, struct mw_l_job *job) {
    int count = job->kind->push(L, job);
    release(job);
    return count;
}

static int finished(lua_State *L, int status, lua_KContext index) {
    struct mw_l_job **owner = lua_touserdata(L, (int)index);
    (void)status;
    mw_task_outcome(L);
    struct mw_l_job *job = *owner;
    job->task = NULL;
    return conclude(L, job);
}

int mw_l_job_run(lua_State *L, struct mw_l_job *job) {
    int index = lua_gettop(L);
    struct mw_task *task = mw_task_begin_wait(L, MW_TIMER_NEVER);
    int error = mw_pool_submit(job->threads, &job->pool);
    if (error) {
        const char *what = job->kind->wait.name;
        release(job);
        struct mw_fault fault;
        mw_fault_format(&fault, "full", "%s: too many operations wait for a thread", what);
        return mw_push_fault(L, &fault);
    }
    job->task = task;
    job->under_way = true;
    return mw_task_wait(task, &job->kind->wait, job, index, finished);
}

static const luaL_Reg methods[] = {{NULL, NULL}};
static const luaL_Reg metamethods[] = {{"__gc", job_gc}, {NULL, NULL}};

void mw_l_job_open(lua_State *L) {
    mw_new_type(L, TYPE, methods, metamethods);
}
