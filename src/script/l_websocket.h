/* WebSockets for scripts, server and client (RFC 6455), over the stream of a connection behind the handshake. */
#ifndef MW_SCRIPT_L_WEBSOCKET_H
#define MW_SCRIPT_L_WEBSOCKET_H

#include <lua.h>

/* Adds the field `websocket` to the table on top of the stack, and registers the types. */
void mw_l_websocket_open(lua_State *L);

#endif
