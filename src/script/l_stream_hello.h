/* stream:peek_client_hello: what a TLS client asks for, read without taking it. */
#ifndef MW_SCRIPT_L_STREAM_HELLO_H
#define MW_SCRIPT_L_STREAM_HELLO_H

#include <lua.h>

/* stream:peek_client_hello({ max = bytes, timeout = seconds }) → table | nil, err, code */
int mw_l_stream_peek_client_hello(lua_State *L);

#endif
