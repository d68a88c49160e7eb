/* The life of a task, shared by the files that are its verbs. */
#ifndef MW_SCRIPT_TASK_INTERNAL_H
#define MW_SCRIPT_TASK_INTERNAL_H

#include "script/sched.h"

/* The script's view of a task: outlives it, holds what it returned. The user
 * value is the table of results once the task is over. */
struct mw_task_handle {
    const void *type;
    struct mw_task *task;   /* NULL when it is over */
    struct mw_list waiters; /* mw_task.node of those that join */
    uint32_t id;
};

/* Runs a ready task until it waits or ends. */
void mw_task_run(struct mw_task *task);

/* The same from within other code of the state, running or not, on its stack: what
 * runs is as it was when this returns. For code that the collector calls. */
void mw_task_run_within(lua_State *L, struct mw_task *task);

/* The task's thread was left, and not for a wait. It was interrupted, or it has
 * returned (`status` LUA_OK, `count` results on its thread) or died: then what it
 * had is freed, and its thread is kept for the next. */
void mw_task_left(struct mw_task *task, int status, int count);

/* Ends a task that does not run: closes its thread, and logs the message as what
 * it died of (NULL: nothing). `code` is what those who join it get. */
void mw_task_drop(struct mw_task *task, const char *code, const char *message);

/* Takes a task that does not run, and is about to end, off whatever it waits for, or has its turn in. */
void mw_task_unqueue(struct mw_task *task);

/* Goes on with the end of a task as soon as no task of its groups is left. */
void mw_task_finish(struct mw_task *task);

/* Frees the struct and the groups it opened. Its thread must not run any more. */
void mw_task_free(struct mw_task *task);

/* Closes the resources that the task and its groups own. */
void mw_task_close_owned(struct mw_task *task);

/* Pushes the handle that the script has of the task. False, nothing pushed,
 * when it has none any more. */
bool mw_task_find_handle(lua_State *L, struct mw_task *task);

/* Calls `run` with a light userdata `context` in protected mode on the main thread. */
void mw_task_protected(struct mw_sched *sched, lua_CFunction run, void *context);

#endif
