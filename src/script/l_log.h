/* moonwire.core.log: the log for scripts. */
#ifndef MW_SCRIPT_L_LOG_H
#define MW_SCRIPT_L_LOG_H

#include <lua.h>

/* Adds the field `log` to the table on top of the stack. */
void mw_l_log_open(lua_State *L);

#endif
