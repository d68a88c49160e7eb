/* Groups: the tasks that end before their owner does. A group with a deadline
 * is a scope: past it, waits of its owner raise. */
#ifndef MW_SCRIPT_GROUP_H
#define MW_SCRIPT_GROUP_H

#include "script/task.h"

struct mw_group {
    struct mw_task *owner;   /* NULL: the service */
    struct mw_group *outer;  /* the next group of the same owner */
    struct mw_list tasks;    /* mw_task.sibling */
    struct mw_list waiters;  /* mw_task.node of tasks that wait for its end */
    struct mw_list owned;    /* of mw_resource: what starts tasks in it, such as a listener that serves */
    double deadline;         /* own and outer ones, the earliest */
    struct mw_group **handle; /* the script's pointer to it; NULL: none */
    const char *failure;     /* code of the first task that failed: "error", "timeout"…; NULL: none */
    int failure_message;     /* registry reference, LUA_NOREF: none */
    bool cancelling;         /* new tasks are cancelled at once */
    bool fails_together;     /* the first failure cancels the others */
};

extern const struct mw_wait mw_group_wait;

/* Opens a group of the running task, innermost from now on. NULL when memory is out. */
struct mw_group *mw_group_open(struct mw_task *owner, double deadline);

/* The innermost group of a task. When there is none: one is opened, or that of
 * the service serves if the task lends. NULL when memory is out. */
struct mw_group *mw_group_of(struct mw_task *task);

/* Cancels all its tasks, and those spawned into it later; closes what it owns. */
void mw_group_cancel(struct mw_group *group);

/* Unlinks and frees a group without tasks. Waiters are woken. */
void mw_group_close(lua_State *L, struct mw_group *group);

/* A task of the group has ended. */
void mw_group_forget(struct mw_group *group, struct mw_task *task);

/* Notes the failure of a task whose error value is at `index` of L. */
void mw_group_note_failure(lua_State *L, struct mw_group *group, const char *code, const char *message);

#endif
