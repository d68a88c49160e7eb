/* moonwire.core.bus: publishing, and subscriptions. */
#ifndef MW_SCRIPT_L_BUS_H
#define MW_SCRIPT_L_BUS_H

#include <lua.h>

/* Adds the field `bus` to the table on top of the stack. */
void mw_l_bus_open(lua_State *L);

#endif
