/* Two streams of a script into each other. */
#ifndef MW_SCRIPT_L_STREAM_RELAY_H
#define MW_SCRIPT_L_STREAM_RELAY_H

#include "script/task.h"

#include <lua.h>

/* What a task waits for that has the reading and the writing of two streams. */
extern const struct mw_wait mw_l_stream_relay_wait;

/* Registers the type of a relay under way. */
void mw_l_stream_relay_open(lua_State *L);

/* relay(a, b, options) → bytes from a to b, bytes from b to a | nil, err, code */
int mw_l_stream_relay(lua_State *L);

#endif
