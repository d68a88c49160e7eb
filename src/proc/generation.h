/* From one generation of services to the next: everywhere or nowhere. A probe judges
 * config and scripts, new sockets open, all workers prepare, their services hand over, all switch. Whatever
 * fails before the switch is undone, and the old generation never noticed. */
#ifndef MW_PROC_GENERATION_H
#define MW_PROC_GENERATION_H

#include "proc/asking.h"
#include "proc/canary.h"
#include "proc/workers.h"

struct mw_generations;

struct mw_reload_wish {
    char service[MW_SERVICE_NAME]; /* "": all */
    struct mw_canary_rule canary;
};

struct mw_reload_outcome {
    const char *fault; /* NULL: done */
    const char *code;  /* of the fault: "fault" (of config or scripts), "timeout", "worker", "canary", "stopping", "memory" */
    int64_t generation;
    bool partial;               /* one service alone */
    int64_t moved, kept, ended; /* connections */
    double seconds;
};

/* Who awaits an outcome. */
struct mw_reload_waiter {
    void (*on_outcome)(void *owner, uint64_t context, const struct mw_reload_outcome *outcome);
    void *owner;
    uint64_t context;
};

struct mw_generations_events {
    void (*on_begin)(void *owner);
    /* A reload has ended. `plan` is what the probe read, NULL when there is none; with a fault of the probe
     * only its files are of use. */
    void (*on_outcome)(void *owner, const struct mw_reload_outcome *outcome, const struct mw_plan *plan);
};

struct mw_generations_options {
    struct mw_loop *loop;
    int (*probe_main)(const char *config, const char *service, int channel);
    const char *config;
    const struct mw_settings *settings; /* read when they are needed */
    struct mw_sockets *sockets;
    struct mw_workers *workers;
    struct mw_asking *asking;
    const struct mw_generations_events *events;
    void *owner;
};

/* NULL when memory is out. */
struct mw_generations *mw_generations_new(const struct mw_generations_options *options);

/* Awaiters hear nothing. */
void mw_generations_free(struct mw_generations *generations);

/* The first generation: of a plan that is there (and belongs to this from now on), to workers that were just started.
 * on_outcome follows; on_begin is not called. */
void mw_generations_first(struct mw_generations *generations, struct mw_plan *plan);

/* Reloads, after those that are under way; the same wish that still waits for its turn is one reload. `waiter` may be NULL.
 * False when memory is out. */
bool mw_generations_reload(struct mw_generations *generations, const struct mw_reload_wish *wish,
                           const struct mw_reload_waiter *waiter);

/* What is under way is undone, and what waits refused. None begins any more. */
void mw_generations_stop(struct mw_generations *generations);

bool mw_generations_busy(const struct mw_generations *generations);

/* For the events of the workers. */
void mw_generations_on_step(struct mw_generations *generations, struct mw_worker *worker, enum mw_order kind,
                            const struct mw_value *message);
void mw_generations_on_end(struct mw_generations *generations, struct mw_worker *worker);
void mw_generations_on_serving(struct mw_generations *generations, struct mw_worker *worker);

#endif
