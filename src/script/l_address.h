/* Addresses of peers, as scripts have them. */
#ifndef MW_SCRIPT_L_ADDRESS_H
#define MW_SCRIPT_L_ADDRESS_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

/* The address in the text at `index`, IPv4 as mapped (net/network.h), with a port or without: "192.0.2.1",
 * "192.0.2.1:4711", "[::1]:80", "::1". False when there is none, as of a Unix socket. Raises for what is no text. */
bool mw_l_check_address_bytes(lua_State *L, int index, uint8_t bytes[16]);

#endif
