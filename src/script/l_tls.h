/* TLS on streams of scripts: handshakes that a task waits for, and what came of them. */
#ifndef MW_SCRIPT_L_TLS_H
#define MW_SCRIPT_L_TLS_H

#include "script/l_stream.h"
#include "script/tls_settings.h"

/* The wait of a task in a handshake: whoever takes the transport from the stream then cancels that first. */
extern const struct mw_wait mw_l_tls_wait;

/* Begins TLS on the open stream at index 1, which nobody waits for, and waits for it: `return mw_l_tls_begin(…)` from a C
 * function or continuation. The stream is what that returns then, or nil, err, code with the stream closed. `name`: of the
 * server, for a client; copied. */
int mw_l_tls_begin(lua_State *L, struct mw_tls_settings *settings, bool server, const char *name);

/* Methods of streams. */
int mw_l_stream_start_tls(lua_State *L);
int mw_l_stream_tls(lua_State *L);
int mw_l_stream_channel_binding(lua_State *L);

/* Registers the type. Raises when memory is out. */
void mw_l_tls_open(lua_State *L);

#endif
