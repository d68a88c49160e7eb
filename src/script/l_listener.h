/* Listeners for scripts. */
#ifndef MW_SCRIPT_L_LISTENER_H
#define MW_SCRIPT_L_LISTENER_H

#include "base/addr.h"

#include <lua.h>

/* Registers the type. */
void mw_l_listener_open(lua_State *L);

/* listen(address, options) → listener. A listener whose connections the script
 * accepts by itself. */
int mw_l_listen(lua_State *L);

/* serve(address, handler, options, context) → listener. Every connection is a
 * task that runs handler(conn, context). */
int mw_l_serve(lua_State *L);

/* serve(address, handler, options, http_options, context) → listener. Every HTTP request is a task that runs
 * handler(request, response, context). */
int mw_l_serve_http(lua_State *L);

#endif
