/* moonwire.core.coding: what zlib and brotli compress, for scripts. */
#ifndef MW_SCRIPT_L_CODING_H
#define MW_SCRIPT_L_CODING_H

#include <lua.h>

/* Registers the types and adds the field `coding` to the table on top of the stack. */
void mw_l_coding_open(lua_State *L);

#endif
