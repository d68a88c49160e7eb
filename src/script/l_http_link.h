/* moonwire.core.http.link: connections of a client that are used again. */
#ifndef MW_SCRIPT_L_HTTP_LINK_H
#define MW_SCRIPT_L_HTTP_LINK_H

#include <lua.h>

/* Adds `link` to the table on top of the stack (moonwire.core.http), and registers the type. */
void mw_l_http_link_open(lua_State *L);

#endif
