/* moonwire.core.dns: names to addresses and records. */
#ifndef MW_SCRIPT_L_RESOLVER_H
#define MW_SCRIPT_L_RESOLVER_H

#include <lua.h>

/* Adds the field `dns` to the table on top of the stack. */
void mw_l_resolver_open(lua_State *L);

#endif
