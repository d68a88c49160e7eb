/* A function of a script that serves connections: each is a task of its own. */
#ifndef MW_SCRIPT_L_HANDLER_H
#define MW_SCRIPT_L_HANDLER_H

#include "script/l_stream.h"
#include "script/sched.h"

/* Embedded by who accepts connections. References are to the registry, LUA_NOREF: none. */
struct mw_l_handler {
    struct mw_sched *sched;
    struct mw_group *group;       /* its tasks belong to */
    struct mw_l_profile *profile; /* of its connections; one reference is the owner's */
    int function, context;        /* function(conn, context) */
};

/* A task for the connection, which still has to be set going with two arguments
 * (mw_task_ready, mw_task_resume); NULL, the connection closed, when memory is out. */
struct mw_task *mw_l_handler_start(const struct mw_l_handler *handler, struct mw_stream *transport,
                                   const struct mw_addr *peer);

/* Protected, on the main thread: pushes a task that will call the function at `function` of
 * the stack with a connection and the `count` values above it; holds no transport yet. Raises when memory is out. */
struct mw_task *mw_l_handler_new_task(lua_State *L, struct mw_group *group, struct mw_l_stream *stream, int function);

/* A task that serves a connection ends; `ok`: by returning. */
void mw_l_handler_left(struct mw_task *task, bool ok);

/* A connection of the state has ended or moved: whoever waits for the last one is told. */
void mw_l_handler_count_left(struct mw_sched *sched);

#endif
