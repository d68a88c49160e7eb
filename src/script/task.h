/* Tasks: coroutines that may wait anywhere. A wait is a lua_yieldk with a
 * continuation of the waiting function; whoever ends the wait makes the task
 * run, and the continuation looks what there is. A task belongs to a group,
 * and owns the groups it opened and the resources it made: they end with it. */
#ifndef MW_SCRIPT_TASK_H
#define MW_SCRIPT_TASK_H

#include "base/list.h"
#include "loop/timer.h"

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

struct mw_sched;
struct mw_group;
struct mw_task;
struct mw_task_handle;

/* What a task may wait for. */
struct mw_wait {
    const char *name; /* as status and errors show it: "read", "sleep" */
    /* The wait is over without a result: forget the task. NULL: nothing to forget. */
    void (*abandon)(struct mw_task *task, void *subject);
    bool sends; /* output is under way, in whose middle the connection must not be taken from the task */
};

enum mw_outcome { MW_WOKEN, MW_TIMED_OUT };

/* Something that closes with its task: embedded by streams, listeners, … */
struct mw_resource {
    struct mw_list node;
    void (*close)(struct mw_resource *resource);
};

enum mw_task_state { MW_TASK_FREE, MW_TASK_READY, MW_TASK_RUNNING, MW_TASK_WAITING, MW_TASK_ENDING };

struct mw_task {
    lua_State *thread;
    struct mw_sched *sched;
    struct mw_list node;    /* in the ready queue, or in the list of what it waits for */
    struct mw_list sibling; /* in home->tasks */
    struct mw_list owned;   /* of mw_resource */
    struct mw_group *home;  /* the group it belongs to */
    struct mw_group *group; /* the innermost group it opened; NULL: none */
    struct mw_timer timer;  /* of the present wait */
    const struct mw_wait *wait;
    union {
        void *subject; /* of the wait */
        double spent;  /* of an interrupted task: seconds of the processor that it has used */
    };
    struct mw_task_handle *handle; /* the script's view; NULL: none */
    void *connection;              /* the stream it serves (struct mw_l_stream), for the log; NULL: none */
    double since; /* the loop's clock when it was resumed last: its present wait began in that turn */
    uint32_t id;
    uint32_t resumes; /* how often it was: tells one wait from the next */
    int slot;      /* of the thread in the table that anchors it */
    int arguments; /* values on the thread's stack for the next resume */
    uint8_t state;
    uint8_t outcome;
    bool cancelled : 1; /* raised at every wait from now on */
    bool expired : 1;   /* the present wait ran into the deadline of a scope */
    bool dying : 1;     /* its closing values run: no waits any more */
    bool lingers : 1;   /* has returned or died, and awaits the end of its children */
    bool kept_traceback : 1; /* see mw_sched_keep_traceback */
    bool hookless : 1; /* an error raised in a hook may have left its thread without hooks: not to be reused */
    bool anchors : 1;   /* the registry has a value of its under its address */
    bool lends : 1;     /* what it opens and spawns belongs to the service and outlives it */
    bool aside : 1;     /* of the process itself: nobody waits for its end */
};

/* The task of a thread: its own. Of a coroutine of the script's the task that runs
 * it, as long as that can be made to yield there (see l_coroutine); else the root
 * task, as of the main thread. */
static inline struct mw_task *mw_task_of(lua_State *L) {
    return *(struct mw_task **)lua_getextraspace(L);
}

/* Whether the code that runs on L may wait: it is in a task that is alive, and not in
 * a function that C called and cannot leave. */
bool mw_task_may_wait(lua_State *L);

/* The running task, about to wait at most `seconds` (MW_TIMER_NEVER: for ever;
 * the deadline of the nearest scope holds in any case). Raises when nobody may
 * wait here, when the task is cancelled, past its deadline, or memory is out:
 * so nothing must be claimed before this call. */
struct mw_task *mw_task_begin_wait(lua_State *L, double seconds);

/* The same for what must be awaited at the end of a scope: neither cancellation
 * nor a deadline raises, and nothing limits the wait. */
struct mw_task *mw_task_begin_closing(lua_State *L);

/* Suspends the task that mw_task_begin_wait returned: `return mw_task_wait(…)`
 * from a C function. `k` begins with mw_task_outcome. */
int mw_task_wait(struct mw_task *task, const struct mw_wait *wait, void *subject, lua_KContext context,
                 lua_KFunction k);

/* How the wait ended that a continuation is called for; raises for a cancelled
 * task and for an expired scope. */
enum mw_outcome mw_task_outcome(lua_State *L);

/* Ends the wait of a waiting task from an event of the loop, and runs it with
 * `arguments` values that lie on its thread's stack. What it wrote is sent at
 * the end of the tick, together with what the other tasks of the tick write:
 * running all of Lua first and all of the kernel's sending then keeps both in
 * the processor's caches. Not from within a task. */
void mw_task_resume(struct mw_task *task, int arguments);

/* The same from anywhere: the task runs soon. */
void mw_task_ready(struct mw_task *task, int arguments);

/* A task that runs what lies on its thread's stack — a function and
 * `arguments` values — as soon as mw_task_ready is called; belongs to `home`.
 * Raises a Lua error in `L` when memory is out. */
struct mw_task *mw_task_new(lua_State *L, struct mw_sched *sched, struct mw_group *home);

/* Ends the wait of the task; "cancelled" is raised there and at every later wait. */
void mw_task_cancel(struct mw_task *task);

/* Resources: `mw_task_own` gives it to the running task of L (or to the
 * service when there is none), `mw_task_disown` takes it off its owner. */
void mw_task_own(lua_State *L, struct mw_resource *resource);
void mw_task_disown(struct mw_resource *resource);

/* Closes all resources of a list. */
void mw_resources_close(struct mw_list *owned);

/* The connection that the task, or the nearest one above it, serves. NULL: none. */
void *mw_task_connection(const struct mw_task *task);

#endif
