/* moonwire.core.config: what reading a config needs of the system. */
#ifndef MW_SCRIPT_L_CONFIG_H
#define MW_SCRIPT_L_CONFIG_H

#include <lua.h>

/* Adds the field `config` to the table on top of the stack. */
void mw_l_config_open(lua_State *L);

#endif
