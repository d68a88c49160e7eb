/* The table moonwire.core.tally: rates and places of clients, as lua/moonwire/tally.lua uses it. */
#ifndef MW_SCRIPT_L_TALLY_H
#define MW_SCRIPT_L_TALLY_H

#include <lua.h>

/* Adds the field `tally` to the table on top of the stack. */
void mw_l_tally_open(lua_State *L);

#endif
