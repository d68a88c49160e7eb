/* Client connections for scripts. */
#ifndef MW_SCRIPT_L_CONNECT_H
#define MW_SCRIPT_L_CONNECT_H

#include <lua.h>

/* Registers the type of a connection in the making. */
void mw_l_connect_open(lua_State *L);

/* connect(address, options) → stream | nil, err, code */
int mw_l_connect(lua_State *L);

/* pair() → stream, stream: two ends in memory. */
int mw_l_stream_pair(lua_State *L);

#endif
