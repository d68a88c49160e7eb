/* Groups and deadline scopes for scripts. */
#ifndef MW_SCRIPT_L_GROUP_H
#define MW_SCRIPT_L_GROUP_H

#include <lua.h>

/* Registers the type. */
void mw_l_group_open(lua_State *L);

/* group([seconds]) → group: opened in the running task; with a deadline that
 * many seconds away it is a scope. */
int mw_l_group_new(lua_State *L);

#endif
