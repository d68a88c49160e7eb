/* moonwire.core: what the modules in lua/moonwire are made of. Not for scripts. */
#ifndef MW_SCRIPT_CORE_H
#define MW_SCRIPT_CORE_H

#include <lua.h>

/* Registers all types and preloads the module "moonwire.core". */
void mw_core_open(lua_State *L);

#endif
