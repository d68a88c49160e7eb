/* The table moonwire.core.store: the store that processes of this machine share (net/store.h), as lua/moonwire/store
   uses it. */
#ifndef MW_SCRIPT_L_STORE_H
#define MW_SCRIPT_L_STORE_H

#include <lua.h>

/* Adds the field `store` to the table on top of the stack. */
void mw_l_store_open(lua_State *L);

#endif
