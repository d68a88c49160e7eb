/* Child processes for scripts. */
#ifndef MW_SCRIPT_L_CHILD_H
#define MW_SCRIPT_L_CHILD_H

#include "loop/child.h"
#include "script/l_stream.h"

struct mw_l_child {
    struct mw_child *child; /* NULL before its start and after its end */
    struct mw_sched *sched;
    struct mw_resource resource;
    struct mw_list waiters;       /* mw_task.node */
    struct mw_l_stream *stdio[3]; /* held by the user value; NULL: no stream */
    struct mw_child_status status;
    double grace;           /* seconds from asking it to end to killing it */
    pid_t id;               /* 0 before its start */
    int self;               /* registry reference that keeps it while it runs */
    int ours[3], theirs[3]; /* descriptors while it is started; -1: none */
    char name[48];
};

/* Adds the field `process` to the table on top of the stack. */
void mw_l_child_open(lua_State *L);

/* Pushes the userdata of a child that is to be started. */
struct mw_l_child *mw_l_child_push(lua_State *L, const char *name);

/* Its on_exit. */
void mw_l_child_on_exit(void *context, struct mw_child_status status);

/* process.spawn, in a file of its own. */
int mw_l_child_spawn(lua_State *L);

#endif
