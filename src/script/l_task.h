/* Tasks for scripts: moonwire.core.task. */
#ifndef MW_SCRIPT_L_TASK_H
#define MW_SCRIPT_L_TASK_H

#include <lua.h>

/* Adds the field `task` to the table on top of the stack. */
void mw_l_task_open(lua_State *L);

/* Spawns the function and its arguments that are on top of the stack, from
 * `first` on, into `group`; pushes the handle and returns 1. */
struct mw_group;
int mw_l_task_spawn(lua_State *L, struct mw_group *group, int first);

#endif
