/* A job on a thread of the pool while a task waits for it. A function of a
 * script that computes long or uses the disk is written so:
 *
 *     struct hashing { struct mw_l_job job; … };      // what goes in and what comes out
 *
 *     static int hash(lua_State *L) {
 *         …check all arguments…
 *         struct hashing *hashing = mw_l_job_push(L, &kind, sizeof *hashing);
 *         …fill it with copies: Lua's own strings are not for threads…
 *         return mw_l_job_run(L, &hashing->job);
 *     }
 *
 * A task that is cancelled, or past a deadline, leaves at once. What has not begun
 * then never does; what runs goes on unseen, and is released when it is done. */
#ifndef MW_SCRIPT_L_JOB_H
#define MW_SCRIPT_L_JOB_H

#include "loop/pool.h"
#include "script/task.h"

struct mw_l_job;

struct mw_l_job_kind {
    struct mw_wait wait; /* MW_L_JOB_WAIT("read") */
    /* On a thread: no Lua, no loop, no log. */
    void (*work)(struct mw_l_job *job);
    /* Pushes what the function returns. May raise. */
    int (*push)(lua_State *L, struct mw_l_job *job);
    /* Frees what the job holds, not itself; on the loop, also of a job that never
     * ran. NULL: nothing. */
    void (*release)(struct mw_l_job *job);
};

/* The first member of the caller's struct. Private but for `kind`. */
struct mw_l_job {
    struct mw_pool_job pool;
    const struct mw_l_job_kind *kind;
    struct mw_pool *threads;
    struct mw_task *task;    /* that waits; NULL: it has left */
    struct mw_l_job **owner; /* in the userdata; NULL: that is no more */
    bool under_way;
};

/* Pushes a userdata that owns a new struct of `size` bytes, zeroed but for its
 * first member, and returns that. Raises when memory is out. */
void *mw_l_job_push(lua_State *L, const struct mw_l_job_kind *kind, size_t size);

/* Runs the job that mw_l_job_push has left on top of the stack: `return
 * mw_l_job_run(…)` from a C function. Returns what `push` does, or nil, err, code
 * "full" when too many jobs wait. */
int mw_l_job_run(lua_State *L, struct mw_l_job *job);

/* Whether nobody waits for it any more; for `work`. */
static inline bool mw_l_job_is_unwanted(struct mw_l_job *job) {
    return mw_pool_job_is_unwanted(&job->pool);
}

void mw_l_job_abandon(struct mw_task *task, void *subject);
#define MW_L_JOB_WAIT(what) {.name = (what), .abandon = mw_l_job_abandon}

/* Registers the type. Raises when memory is out. */
void mw_l_job_open(lua_State *L);

#endif
