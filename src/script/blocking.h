/* A warning for modules that block. */
#ifndef MW_SCRIPT_BLOCKING_H
#define MW_SCRIPT_BLOCKING_H

#include <lua.h>

/* Lets `require` tell of modules that are known to block (lua/moonwire/blocking.lua),
 * before it looks for them. Raises when memory is out. */
void mw_blocking_watch(lua_State *L);

#endif
