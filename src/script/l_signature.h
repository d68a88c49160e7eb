/* The table moonwire.core.signature: what is looked for in the bytes of streams, as lua/moonwire/gate uses it. */
#ifndef MW_SCRIPT_L_SIGNATURE_H
#define MW_SCRIPT_L_SIGNATURE_H

#include <lua.h>

/* Adds the field `signature` to the table on top of the stack. */
void mw_l_signature_open(lua_State *L);

#endif
