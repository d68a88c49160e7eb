#include "loop/pool.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

enum { STACK = 512 * 1024 }; /* bytes of a thread's stack */

enum { IDLE, QUEUED, RUNNING, FINISHED };

struct mw_pool {
    struct mw_loop *loop;
    unsigned most_threads;
    size_t queue_limit;
    size_t under_way; /* submitted, and not yet handed back; the loop's */
    ev_async news;    /* something has finished; does not hold the loop itself */
    pthread_mutex_t lock;
    pthread_cond_t work_is_there;
    struct mw_list queued, finished; /* these and what follows are under the lock */
    size_t queue_length;
    unsigned idle;
    bool closing;
    unsigned threads_started; /* the loop's */
    pthread_t threads[MW_POOL_THREADS_MOST];
};

/* The first job of a list that is not empty. */
static struct mw_pool_job *take_first(struct mw_list *list) {
    struct mw_pool_job *job = mw_list_owner(list->next, struct mw_pool_job, node);
    mw_list_remove(&job->node);
    return job;
}

/* --- on the threads --- */

/* Called and returns with the lock held. */
static void work_off(struct mw_pool *pool, struct mw_pool_job *job) {
    job->state = RUNNING;
    pool->queue_length--;
    pthread_mutex_unlock(&pool->lock);
    job->work(job);
    pthread_mutex_lock(&pool->lock);
    job->state = FINISHED;
    mw_list_append(&pool->finished, &job->node);
    ev_async_send(mw_loop_ev(pool->loop), &pool->news);
}

static void *run_thread(void *context) {
    struct mw_pool *pool = context;
    pthread_mutex_lock(&pool->lock);
    while (!pool->closing || !mw_list_empty(&pool->queued)) {
        if (mw_list_empty(&pool->queued)) {
            pool->idle++;
            pthread_cond_wait(&pool->work_is_there, &pool->lock);
            pool->idle--;
        } else {
            work_off(pool, take_first(&pool->queued));
        }
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* --- on the loop --- */

/* A thread inherits the mask of who starts it: signals are for the loop's thread. */
static int start_thread(struct mw_pool *pool) {
    sigset_t all, mask;
    pthread_attr_t attributes;
    int error = pthread_attr_init(&attributes);
    if (error) {
        return error;
    }
    pthread_attr_setstacksize(&attributes, STACK);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &mask);
    error = pthread_create(&pool->threads[pool->threads_started], &attributes, run_thread, pool);
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    pthread_attr_destroy(&attributes);
    pool->threads_started += error == 0;
    return error;
}

static void hand_back(struct mw_pool *pool) {
    struct mw_list finished;
    mw_list_init(&finished);
    pthread_mutex_lock(&pool->lock);
    mw_list_splice(&finished, &pool->finished);
    pthread_mutex_unlock(&pool->lock);
    while (!mw_list_empty(&finished)) {
        struct mw_pool_job *job = take_first(&finished);
        job->state = IDLE;
        if (--pool->under_way == 0) {
            ev_unref(mw_loop_ev(pool->loop));
        }
        job->done(job);
    }
}

static void on_news(struct ev_loop *ev, ev_async *news, int events) {
    (void)ev;
    (void)events;
    hand_back(news->data);
}

struct mw_pool *mw_pool_new(struct mw_loop *loop, unsigned threads, size_t queue_limit) {
    struct mw_pool *pool = calloc(1, sizeof *pool);
    if (!pool) {
        return NULL;
    }
    pool->loop = loop;
    pool->most_threads = threads < MW_POOL_THREADS_MOST ? threads : MW_POOL_THREADS_MOST;
    pool->queue_limit = queue_limit;
    mw_list_init(&pool->queued);
    mw_list_init(&pool->finished);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work_is_there, NULL);
    ev_async_init(&pool->news, on_news);
    pool->news.data = pool;
    ev_async_start(mw_loop_ev(loop), &pool->news);
    ev_unref(mw_loop_ev(loop));
    return pool;
}

static void join_threads(struct mw_pool *pool) {
    pthread_mutex_lock(&pool->lock);
    pool->closing = true;
    pthread_cond_broadcast(&pool->work_is_there);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->threads_started; i++) {
        pthread_join(pool->threads[i], NULL);
    }
}

void mw_pool_free(struct mw_pool *pool) {
    if (!pool) {
        return;
    }
    join_threads(pool);
    hand_back(pool);
    ev_ref(mw_loop_ev(pool->loop));
    ev_async_stop(mw_loop_ev(pool->loop), &pool->news);
    pthread_cond_destroy(&pool->work_is_there);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

/* Puts the job into the queue if there is room. Whether idle threads are fewer
 * than the jobs that wait for one. */
static int enqueue(struct mw_pool *pool, struct mw_pool_job *job, bool *needs_thread) {
    int error = EAGAIN;
    pthread_mutex_lock(&pool->lock);
    if (pool->queue_length < pool->queue_limit) {
        error = 0;
        job->state = QUEUED;
        mw_list_append(&pool->queued, &job->node);
        pool->queue_length++;
        pthread_cond_signal(&pool->work_is_there);
    }
    *needs_thread = pool->queue_length > pool->idle;
    pthread_mutex_unlock(&pool->lock);
    return error;
}

static bool dequeue(struct mw_pool *pool, struct mw_pool_job *job) {
    pthread_mutex_lock(&pool->lock);
    bool was_queued = job->state == QUEUED;
    if (was_queued) {
        job->state = IDLE;
        mw_list_remove(&job->node);
        pool->queue_length--;
    }
    pthread_mutex_unlock(&pool->lock);
    return was_queued;
}

int mw_pool_submit(struct mw_pool *pool, struct mw_pool_job *job) {
    bool needs_thread;
    atomic_store_explicit(&job->unwanted, false, memory_order_relaxed);
    int error = enqueue(pool, job, &needs_thread);
    if (error) {
        return error;
    }
    if (needs_thread && pool->threads_started < pool->most_threads) {
        error = start_thread(pool);
    }
    if (error && pool->threads_started == 0) {
        dequeue(pool, job);
        return error;
    }
    if (pool->under_way++ == 0) {
        ev_ref(mw_loop_ev(pool->loop));
    }
    return 0;
}

bool mw_pool_take_back(struct mw_pool *pool, struct mw_pool_job *job) {
    if (!dequeue(pool, job)) {
        atomic_store_explicit(&job->unwanted, true, memory_order_relaxed);
        return false;
    }
    if (--pool->under_way == 0) {
        ev_unref(mw_loop_ev(pool->loop));
    }
    return true;
}
