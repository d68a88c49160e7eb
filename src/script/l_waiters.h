/* moonwire.core.waiters: tasks that wait for something that happens in Lua. */
#ifndef MW_SCRIPT_L_WAITERS_H
#define MW_SCRIPT_L_WAITERS_H

#include <lua.h>
#include <stdbool.h>

struct mw_waiters;

/* Adds the field `waiters` to the table on top of the stack. */
void mw_l_waiters_open(lua_State *L);

/* The waiters at `index`; raises for anything else. */
struct mw_waiters *mw_waiters_check(lua_State *L, int index);

/* Wakes the first one, without values. Whether somebody waited. */
bool mw_waiters_wake_one(struct mw_waiters *waiters);

#endif
