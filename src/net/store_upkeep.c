/* What a store needs besides: the end of what is past its time, readers that were killed, and, if it is to be kept, the
 * disk. A second after a change, so that what changes often is written once. */
#include "net/store_internal.h"

#include "base/log.h"

#include <errno.h>

/* Saving writes all that there is: a large store rests for longer. */
static const double PAUSE_SECONDS = 1, PAUSE_FACTOR = 20;

enum { SWEPT_AT_ONCE = 64, SWEEPS = 256 };

static double read_clock(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void save(struct mw_store *store, bool wait) {
    double begun = read_clock();
    store->trouble = mw_store_save(store, wait);
    double pause = PAUSE_FACTOR * (read_clock() - begun);
    store->pause = pause > PAUSE_SECONDS ? pause : PAUSE_SECONDS;
}

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
        save(store, false);
    }
}

/* Once for each reason. */
static void tell_trouble(struct mw_store *store) {
    struct mw_fault fault;
    if (store->trouble && store->trouble != store->told) {
        store->error = store->trouble;
        mw_store_fault(store, "save store", &fault);
        mw_log(MW_LOG_ERROR, "%s: it is not kept if the machine falls", fault.message);
    }
    store->told = store->trouble;
}

static void done(struct mw_pool_job *job) {
    struct mw_store *store = mw_list_owner(job, struct mw_store, job);
    store->under_way = false;
    if (store->trouble == EWOULDBLOCK) {
        store->trouble = 0;
        store->restless = true; /* another process may not have seen our last change */
    }
    tell_trouble(store);
    store->restless = store->restless || store->trouble;
    if (store->closing) {
        mw_store_upkeep_end(store);
    } else if (store->restless) {
        store->restless = false;
        mw_store_upkeep_soon(store);
    }
}

static void on_due(struct mw_timer *timer) {
    struct mw_store *store = mw_list_owner(timer, struct mw_store, timer);
    store->under_way = mw_pool_submit(store->net->threads, &store->job) == 0;
    if (!store->under_way) {
        mw_store_upkeep_soon(store); /* no thread takes it now */
    }
}

void mw_store_upkeep_init(struct mw_store *store) {
    mw_timer_init(&store->timer, on_due);
    store->job = (struct mw_pool_job){.work = work, .done = done};
    store->pause = PAUSE_SECONDS;
}

void mw_store_upkeep_soon(struct mw_store *store) {
    if (store->under_way) {
        store->restless = true;
    } else if (store->timer.due == MW_TIMER_NEVER) {
        double due = mw_loop_now(store->net->loop) + store->pause;
        mw_timer_set(mw_loop_timers(store->net->loop), &store->timer, due);
    }
}

/* What was not saved is, now. */
void mw_store_upkeep_end(struct mw_store *store) {
    bool changed = store->restless || store->timer.due != MW_TIMER_NEVER;
    store->closing = true;
    if (store->under_way) {
        if (!mw_pool_take_back(store->net->threads, &store->job)) {
            return;
        }
        store->under_way = false;
        changed = true;
    }
    if (store->keep && changed) {
        save(store, true);
        tell_trouble(store);
    }
    mw_store_free(store);
}
