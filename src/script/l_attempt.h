/* moonwire.core.attempt: a protected call that ends, too, when what is called computes for ever. */
#ifndef MW_SCRIPT_L_ATTEMPT_H
#define MW_SCRIPT_L_ATTEMPT_H

#include <lua.h>

/* attempt(seconds, function, ...) → as pcall: past these seconds of the processor an
 * error is raised in it, which no pcall within can hold up. It may not wait. */
int mw_l_attempt(lua_State *L);

#endif
