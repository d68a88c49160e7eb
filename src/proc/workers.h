/* The workers: started, looked after, and started again when they die, with what waits
 * between: at once the first time, then longer and longer. Each is brought to the services that
 * are current by the steps in proto/order.h; a reload leads all of them at the same pace, else each goes
 * its own. */
#ifndef MW_PROC_WORKERS_H
#define MW_PROC_WORKERS_H

#include "base/place.h"
#include "proc/offspring.h"
#include "proc/service.h"

enum { MW_WORKER_REASON = 32 };

enum mw_worker_state {
    MW_WORKER_DOWN,     /* waits for its next start */
    MW_WORKER_STARTING, /* there, but serves nothing yet */
    MW_WORKER_SERVING,
};

struct mw_worker {
    struct mw_workers *workers;
    int number; /* from 1 */
    enum mw_worker_state state;
    struct mw_offspring *process; /* NULL: none */
    struct mw_services *on;       /* what it serves; NULL: nothing */
    struct mw_services *next;     /* what it is brought to; NULL: it stays as it is */
    int64_t moving;               /* the generation that it is brought to or switches to; 0: none */
    bool led;                     /* by a reload, which says when the next step is */
    bool answered;                /* for who leads it: the present step, set by them */
    double since;                 /* of the process: when it was started */
    unsigned restarts;            /* since the beginning */
    unsigned failures;            /* since it has lived for a while */
    bool exhausted;               /* the budget: it is tried now and then only */
    char last_end[MW_WORKER_REASON]; /* "signal 9"; "": never */
    double ends[MW_BUDGET_MOST]; /* the latest; the next is written at `next_end` */
    int next_end;
    size_t missed;      /* messages of the bus, since it was told */
    double tell_missed; /* when that may be told again */
    struct mw_timer again; /* the next start */
    struct mw_timer limit; /* of being brought to `next` on its own */
    unsigned turns;        /* of its loop, when it was looked at */
    double moved;          /* when they were others */
};

struct mw_workers_events {
    /* A worker that is led has answered a step, READY, FAULT, ADOPTED or SWITCHED, of the generation that it is brought to. */
    void (*on_step)(void *owner, struct mw_worker *worker, enum mw_order kind, const struct mw_value *message);
    void (*on_answer)(void *owner, struct mw_worker *worker, const struct mw_value *message);
    /* It has judged certificates: RENEWED. */
    void (*on_renewed)(void *owner, struct mw_worker *worker, const struct mw_value *message);
    /* It was started, and told what it is to serve; nothing was answered yet. */
    void (*on_start)(void *owner, struct mw_worker *worker);
    /* Its process has ended. Before it is started again. */
    void (*on_end)(void *owner, struct mw_worker *worker);
    /* It serves, after a start of its own. */
    void (*on_serving)(void *owner, struct mw_worker *worker);
};

struct mw_workers_options {
    const char *store, *store_folder; /* see base/place.h */
    const struct mw_settings *settings; /* read when they are needed; the number of workers stays what it was */
    int (*main)(const struct mw_place *place);
    const struct mw_workers_events *events;
    void *owner;
};

struct mw_workers {
    struct mw_loop *loop;
    struct mw_workers_options options;
    int count;
    struct mw_services *current; /* what workers that start are brought to; NULL: nothing yet */
    bool stopping;               /* none is started any more */
    struct mw_beats *beats;
    struct mw_metrics *metrics;
    struct mw_admissions *admissions;
    struct mw_tallies *tallies;
    struct mw_tls_tickets *tickets;
    struct mw_timer look; /* at their pulses */
    double looked;
    struct mw_worker list[];
};

/* Maps the memory that they share. None is started yet. NULL and errno. */
struct mw_workers *mw_workers_new(struct mw_loop *loop, const struct mw_workers_options *options);

/* Kills those that are left. */
void mw_workers_free(struct mw_workers *workers);

/* Starts all. False and errno when a process cannot be started. */
bool mw_workers_start(struct mw_workers *workers);

/* From now on these are current; workers that serve others are brought to them, unless a reload leads them. */
void mw_workers_set_current(struct mw_workers *workers, struct mw_services *services);

/* Sends what the worker needs to go from what it serves to `services`: SERVICE of those that differ, and PREPARE. */
void mw_worker_bring(struct mw_worker *worker, struct mw_services *services, bool led);

/* One of the further steps, with the generation of what the worker is brought to. */
void mw_worker_step(struct mw_worker *worker, enum mw_order step);

/* COMMIT: with a share of 1 it serves what it was brought to. */
void mw_worker_commit(struct mw_worker *worker, double share);

/* It stays with what it serves, and is led no more. */
void mw_worker_forget(struct mw_worker *worker);

/* To all that have a process. */
void mw_workers_tell(struct mw_workers *workers, enum mw_order kind, const struct mw_text *message,
                     const int *descriptors, int count);

/* STOP with so many seconds of drain; nobody is started again, and nothing is held any more that they serve. */
void mw_workers_stop(struct mw_workers *workers, double drain);
void mw_workers_kill(struct mw_workers *workers);

/* Starts those that wait for their next start, at once: what they died of may be gone. */
void mw_workers_wake(struct mw_workers *workers);

/* How many have a process. */
int mw_workers_alive(const struct mw_workers *workers);

#endif
