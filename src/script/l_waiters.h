/* moonwire.core.waiters: tasks that wait for something that happens in Lua. */
#ifndef MW_SCRIPT_L_WAITERS_H
#define MW_SCRIPT_L_WAITERS_H

#include <lua.h>

/* Adds the field `waiters` to the table on top of the stack. */
void mw_l_waiters_open(lua_State *L);

#endif
