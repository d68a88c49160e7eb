/* The coroutines of scripts. They may wait, and are interrupted, like tasks: a
 * yield that is meant for the scheduler passes through all of them. */
#ifndef MW_SCRIPT_L_COROUTINE_H
#define MW_SCRIPT_L_COROUTINE_H

#include <lua.h>

/* Replaces resume, wrap and close in the table `coroutine`. The scheduler must be
 * initialised. Raises when memory is out. */
void mw_l_coroutine_open(lua_State *L);

#endif
