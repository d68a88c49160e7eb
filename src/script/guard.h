/* The guard of a worker: sees which task runs for long, and interrupts it; tells
 * the log where the worker is stuck when it cannot be interrupted. Works by
 * signals to the worker's thread: none while it sleeps, and nothing that a task
 * does costs more for it. */
#ifndef MW_SCRIPT_GUARD_H
#define MW_SCRIPT_GUARD_H

#include "script/sched.h"

struct mw_guard;

/* A guard for the Lua states of this thread's loop. NULL when memory is out or the
 * system has no timers left. */
struct mw_guard *mw_guard_new(struct mw_loop *loop);

/* No state must be looked after any more. NULL is allowed. */
void mw_guard_free(struct mw_guard *guard);

/* Looks after a state from now on, until it is forgotten. */
void mw_guard_add(struct mw_guard *guard, struct mw_sched *sched);
void mw_guard_forget(struct mw_guard *guard, struct mw_sched *sched);

/* Makes the task that runs stop at the next instruction of Lua, for others to run or
 * for its end. Safe amid anything. */
void mw_guard_interrupt(struct mw_sched *sched);

/* The thread that runs now: the state's main thread when no task does. */
lua_State *mw_guard_thread(const struct mw_sched *sched);

/* Whether an error at `index` was raised by the guard, in code that could not be
 * interrupted otherwise: no more code of the script's must run for it. */
bool mw_guard_raised(lua_State *L, int index);

#endif
