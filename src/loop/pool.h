/* A few threads for what would hold the loop up: files, and computing that
 * takes long. A job is worked off on a thread and handed back on the loop. */
#ifndef MW_LOOP_POOL_H
#define MW_LOOP_POOL_H

#include "base/list.h"
#include "loop/loop.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

enum { MW_POOL_THREADS_MOST = 16 };

struct mw_pool;

/* Embedded by its owner, zeroed but for the two functions. From a successful
 * mw_pool_submit until `done` is called it is the pool's, and must not be freed. */
struct mw_pool_job {
    struct mw_list node; /* of the pool */
    /* On a thread, with all signals blocked: touches nothing but what the job
     * brings with it, neither loop nor Lua nor log. */
    void (*work)(struct mw_pool_job *job);
    /* On the loop, once: the job is the owner's again, who may free or submit it. */
    void (*done)(struct mw_pool_job *job);
    atomic_bool unwanted; /* see mw_pool_job_is_unwanted */
    int state;            /* the pool's */
};

/* No thread runs before the first job. At most `threads` do, and stay; at most
 * `queue_limit` jobs wait for one. NULL when memory is out. */
struct mw_pool *mw_pool_new(struct mw_loop *loop, unsigned threads, size_t queue_limit);

/* Waits for the jobs that were submitted, and calls `done` of each, which must
 * not submit any more: owners take back before what need not be worked off.
 * Before the loop is freed. NULL is ignored. */
void mw_pool_free(struct mw_pool *pool);

/* Has the job worked off. It holds the loop until `done`. From the thread of the
 * loop only, as all of these. 0 or errno: EAGAIN when too many wait already or
 * the system gives no thread. */
int mw_pool_submit(struct mw_pool *pool, struct mw_pool_job *job);

/* Nobody wants the result any more. True: it had not begun, is the owner's again,
 * and neither `work` nor `done` will be called. False: it runs or has run, and
 * `done` still comes. */
bool mw_pool_take_back(struct mw_pool *pool, struct mw_pool_job *job);

/* For `work`: whether taking back was tried meanwhile, so that a long one may give up. */
static inline bool mw_pool_job_is_unwanted(struct mw_pool_job *job) {
    return atomic_load_explicit(&job->unwanted, memory_order_relaxed);
}

#endif
