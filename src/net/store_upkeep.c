/* What a store needs besides: the end of what is past its time, readers that were killed, and, if it is to be kept, the
 * disk. A second after a change, so that what changes often is written once. */
#include "net/store_internal.h"

#include "base/log.h"

static const double PAUSE_SECONDS = 1;

enum { SWEPT_AT_ONCE = 64, SWEEPS = 256 };

static void work(struct mw_pool_job *job) {
    struct mw_store *store = mw_list_owner(job, struct mw_store, job);
    int count = 1;
    mdb_reader_check(store->env, NULL);
    for (int i = 0; count > 0 && i < SWEEPS && !mw_pool_job_is_unwanted(job); i++) {
        if (mw_store_sweep_once(store, SWEPT_AT_ONCE, &count)) {
            break;
        }
    }
    if (store->keep) {
        mdb_env_sync(store->env, 1);
    }
}

static void done(struct mw_pool_job *job) {
    struct mw_store *store = mw_list_owner(job, struct mw_store, job);
    store->under_way = false;
    if (store->closing) {
        mw_store_free(store);
    } else if (store->restless) {
        store->restless = false;
        mw_store_upkeep_soon(store);
    }
}

static void on_due(struct mw_timer *timer) {
    struct mw_store *store = mw_list_owner(timer, struct mw_store, timer);
    store->under_way = mw_pool_submit(store->net->threads, &store->job) == 0;
}

void mw_store_upkeep_init(struct mw_store *store) {
    mw_timer_init(&store->timer, on_due);
    store->job = (struct mw_pool_job){.work = work, .done = done};
}

void mw_store_upkeep_soon(struct mw_store *store) {
    if (store->under_way) {
        store->restless = true;
    } else if (store->timer.due == MW_TIMER_NEVER) {
        mw_timer_set(mw_loop_timers(store->net->loop), &store->timer, mw_loop_now(store->net->loop) + PAUSE_SECONDS);
    }
}

void mw_store_upkeep_end(struct mw_store *store) {
    store->closing = true;
    if (store->under_way && !mw_pool_take_back(store->net->threads, &store->job)) {
        return;
    }
    if (store->keep) {
        mdb_env_sync(store->env, 1);
    }
    mw_store_free(store);
}
