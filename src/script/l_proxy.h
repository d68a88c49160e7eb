/* The PROXY protocol for scripts: from whom a listener takes headers, what one said, what a client sends. */
#ifndef MW_SCRIPT_L_PROXY_H
#define MW_SCRIPT_L_PROXY_H

#include "net/entrance.h"
#include "proto/proxyhdr.h"

#include <lua.h>

/* Reads `proxies` and `proxy_timeout` of the options at `index` into the entrance. Pushes what keeps the networks, for
 * as long as connections come; nil: there are none. Raises on misuse. */
void mw_l_proxies_push(lua_State *L, int index, struct mw_entrance *entrance);

struct mw_l_proxy_header {
    size_t size; /* 0: none is sent */
    char bytes[MW_PROXYHDR_WRITE];
};

/* Reads `proxy_header` of the options at `index`. False: it is a connection that is closed. Raises on misuse. */
bool mw_l_proxy_header_option(lua_State *L, int index, struct mw_l_proxy_header *header);

/* proxy() → nil | { address, version, destination, is_local, authority, protocol, unique_id, tls } */
int mw_l_stream_proxy(lua_State *L);

/* Pushes what it returns. */
struct mw_l_stream;
void mw_l_proxy_push(lua_State *L, const struct mw_l_stream *stream);

#endif
