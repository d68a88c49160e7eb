/* What clients of HTTP need in C: the answers of servers, and connections that are used again. */
#ifndef MW_SCRIPT_L_HTTP_CLIENT_H
#define MW_SCRIPT_L_HTTP_CLIENT_H

#include <lua.h>

/* Adds `reply` to the table on top of the stack (moonwire.core.http), and registers the type. */
void mw_l_http_reply_open(lua_State *L);

/* Adds `link`, the same way. */
void mw_l_http_link_open(lua_State *L);

#endif
