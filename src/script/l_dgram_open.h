/* Opening datagram sockets. */
#ifndef MW_SCRIPT_L_DGRAM_OPEN_H
#define MW_SCRIPT_L_DGRAM_OPEN_H

#include <lua.h>

/* Registers the type of a socket whose peer is being looked up. */
void mw_l_dgram_open_lookup(lua_State *L);

#endif
