/* xpcall, whose message handler cannot escape the guard. */
#ifndef MW_SCRIPT_L_XPCALL_H
#define MW_SCRIPT_L_XPCALL_H

#include <lua.h>

/* Replaces xpcall. The guard raises an error from within a hook, and while that is
 * under way no other hook fires: a message handler, which is called there, could run
 * for ever. So it is not called for such errors. Raises when memory is out. */
void mw_l_xpcall_open(lua_State *L);

#endif
