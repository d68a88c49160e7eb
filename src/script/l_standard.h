/* The one connection that a process was started for, for its script. */
#ifndef MW_SCRIPT_L_STANDARD_H
#define MW_SCRIPT_L_STANDARD_H

#include "script/l_listener_internal.h"

#include <lua.h>

/* serve_standard(handler, options, context, secure, http) → true | nil, err, code: serves it as a listener with these
 * options would that it has come to. Main task only, once. */
int mw_l_serve_standard(lua_State *L);

/* That connection is through what lies before its handler, or was refused. Nothing, for other listeners. */
void mw_l_standard_entered(struct mw_l_listener *listener, bool ok);

#endif
