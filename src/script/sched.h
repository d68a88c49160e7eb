/* The scheduler of one Lua state: which task runs, which are ready, the pool
 * of threads to run them on. */
#ifndef MW_SCRIPT_SCHED_H
#define MW_SCRIPT_SCHED_H

#include "net/net.h"
#include "script/group.h"
#include "script/preempt.h"
#include "script/quota.h"
#include "script/task.h"

struct mw_sched {
    lua_State *L;        /* the main thread */
    const char *name;    /* of the service, for the log */
    const char *library; /* folder of Moonwire's own Lua modules */
    struct mw_loop *loop;
    struct mw_net *net;
    struct mw_work settle; /* see mw_sched_settle */
    struct mw_metrics *metrics; /* of all workers; NULL until there are any, see mw_state_metrics */
    struct mw_tls_tickets *tickets; /* of all workers; NULL until there are any, see mw_state_tickets */
    struct mw_tallies *tallies; /* of all workers; NULL until there are any, see mw_state_tallies */
    int tallied;                /* the number of this worker in them */
    const char *store, *store_folder; /* where the default store is, see base/place.h; NULL: nothing was said */
    struct mw_bus *bus; /* of all states of the process; NULL until there is one, see mw_state_bus */
    struct mw_task *running;
    lua_State *innermost; /* the coroutine of the script's that runs in it; NULL: the task's own thread */
    struct mw_task root;     /* stands for the service: owns its resources; never runs */
    struct mw_group service; /* the tasks that belong to nobody else */
    struct mw_list ready, spare;
    struct mw_list last; /* of mw_resource: closed after all else, with the state */
    unsigned spares;
    unsigned unflushed; /* tasks that ran since output left last */
    size_t tasks;       /* alive */
    size_t aside;       /* of these, such as keep no program from ending */
    unsigned lingering; /* tasks that have ended but for their children */
    size_t listeners;   /* open */
    size_t connections; /* tasks that serve one */
    uint64_t failures;  /* of such tasks, so far: those that died of an error, not of what the world did */
    struct mw_service *provider;   /* what the daemon knows it as; NULL: it is run by itself */
    struct mw_standard *standard;  /* the connection that the process was started for; NULL: none */
    size_t came;        /* connections that moved here; whoever counts them sets it back */
    struct mw_service *successor;  /* takes the connections of a retired state; NULL: none */
    bool retired; /* connections that come to a checkpoint pass to the successor, or end if there is none */
    bool main_drains;  /* it waits for the last connection to end */
    struct mw_task *main; /* NULL before and after its life */
    const void *served;   /* userdata of the stream that was read last: known to be one */
    const void *http_served; /* the HTTP connection whose requests are being started; NULL: none, or it is gone */
    bool main_waits;      /* it waits for news */
    bool main_noted;      /* it was woken with some, and has not run since */
    bool stopping;
    int exit_status;
    struct mw_preempt preempt;
    struct mw_quota quota;
    struct mw_guard *guard; /* NULL: nobody interrupts tasks */
    struct mw_sched *next_guarded;
    bool closed; /* no task runs any more */
    uint32_t last_id;
    int threads; /* registry reference of the table that anchors threads */
    int tracebacks; /* registry reference of a table, task → { error value, its traceback } */
    void (*on_idle)(void *context); /* the main task has ended; set before it starts */
    void *idle_context;
};

/* Initialises the scheduler of a state, in place. Raises when memory is out. */
void mw_sched_init(struct mw_sched *sched, lua_State *L, struct mw_loop *loop, struct mw_net *net);

/* Closes what tasks and service own. Tasks that are left never run again. */
void mw_sched_close(struct mw_sched *sched);

/* Frees the tasks, once their Lua state is closed. */
void mw_sched_free_tasks(struct mw_sched *sched);

/* Runs the tasks that are ready and sends what they wrote. Once a tick: what
 * becomes ready meanwhile waits for the next, so that no task starves a socket. */
void mw_sched_settle(struct mw_sched *sched);

/* Ends all tasks but the main one, without a word in the log. */
void mw_sched_drop_tasks(struct mw_sched *sched);

/* Logs that the collector found what nobody can close any more: "stream", its
 * address. It says nothing while a task lingers, whose variables are gone and
 * whose resources close at its end. */
void mw_sched_warn_of_lost(const struct mw_sched *sched, const char *kind, const char *name);

/* Message handler for protected calls that will raise the error again: keeps
 * the traceback that the death of the task will be logged with. */
int mw_sched_keep_traceback(lua_State *L);

/* Pushes the traceback of the error value on top of L that the task dies of:
 * the one that was kept, or else that of its dead thread. */
void mw_sched_push_traceback(lua_State *L, const struct mw_task *task);

/* Forgets what was kept for a task. */
void mw_sched_forget_traceback(struct mw_task *task);

static inline struct mw_sched *mw_sched_of(lua_State *L) {
    return mw_task_of(L)->sched;
}

#endif
