/* moonwire.core.signal: signals as events. */
#ifndef MW_SCRIPT_L_SIGNAL_H
#define MW_SCRIPT_L_SIGNAL_H

#include <lua.h>

/* Adds the field `signal` to the table on top of the stack. */
void mw_l_signal_open(lua_State *L);

#endif
