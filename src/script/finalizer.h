/* Finalizers (__gc) that are written in Lua. The collector calls them amid other
 * code, with hooks off, where nothing could interrupt them: so each runs as a task,
 * which starts at once, on the collector's stack, and goes on elsewhere when it is
 * interrupted or waits. */
#ifndef MW_SCRIPT_FINALIZER_H
#define MW_SCRIPT_FINALIZER_H

#include <lua.h>

/* Replaces setmetatable: of the same effect, but that a Lua function in the field
 * __gc is replaced by one that starts it. Raises when memory is out. */
void mw_finalizer_open(lua_State *L);

#endif
