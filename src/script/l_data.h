/* Plain data of Lua as messages (proto/message.h): what is passed from one state
 * or process to another. Plain are nil, booleans, numbers, strings, json.null,
 * and tables of these without a metatable, but that of json.array, which is kept. */
#ifndef MW_SCRIPT_L_DATA_H
#define MW_SCRIPT_L_DATA_H

#include "base/fault.h"
#include "base/text.h"

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

/* Appends the value at `index`, which is called `name` in messages ("state"). A table that occurs
 * twice is written twice. Calls no metamethod, leaves the stack as it was and never raises. False and
 * a fault, and then what was appended is worthless: "invalid" (what is no plain data, and the way to it:
 * "state.players[3].conn is a userdata; only plain data can be passed on"), "too_large" (nested more than
 * MW_MESSAGE_DEPTH_MOST deep, or more than MW_MESSAGE_SIZE_MOST bytes, in a sandbox MW_BOUND_BYTES, where a table
 * counts for 48 more), "memory". */
bool mw_data_encode(lua_State *L, int index, const char *name, struct mw_text *text, struct mw_fault *fault);

/* Pushes the value that `bytes` are. False, and nothing is pushed, when they are no
 * message. Raises when memory is out. */
bool mw_data_push(lua_State *L, const void *bytes, size_t size);

/* Adds the field `data` to the table on top of the stack. After json. */
void mw_l_data_open(lua_State *L);

#endif
