/* moonwire.core.scratch: a function in a Lua state of its own, as for judging a script. */
#ifndef MW_SCRIPT_L_SCRATCH_H
#define MW_SCRIPT_L_SCRATCH_H

#include <lua.h>

/* scratch({ sandbox, memory, name }, module, function, ...) → what the function of the module
 * returns in a new Lua state, which is gone after, with a loop of its own that never runs: nothing
 * may wait there. Strings, booleans and nil go there and come back. Raises what it raises. */
int mw_l_scratch(lua_State *L);

/* Registers the type that owns the state. */
void mw_l_scratch_open(lua_State *L);

#endif
