/* The table moonwire.core.ipset: networks with values, as lua/moonwire/ipset.lua uses it. */
#ifndef MW_SCRIPT_L_IPSET_H
#define MW_SCRIPT_L_IPSET_H

#include <lua.h>

/* Adds the field `ipset` to the table on top of the stack. */
void mw_l_ipset_open(lua_State *L);

#endif
