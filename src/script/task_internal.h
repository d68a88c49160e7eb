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

/* The task has returned (`status` LUA_OK, `count` results on its thread) or
 * died: frees what it had, and its thread for the next. */
void mw_task_end(struct mw_task *task, int status, int count);

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
