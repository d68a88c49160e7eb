/* The functions of the standard library that could take unbounded time or memory
 * within one call, with bounds. Results and errors within the bounds are those of
 * the originals. What is not here is linear in strings and tables that exist
 * already, and so bounded by the memory of the state: string.byte, char, len,
 * lower, reverse, sub, unpack, upper, all of utf8 and math, table.pack;
 * table.unpack ends with the stack, at a million values. */
#ifndef MW_SCRIPT_BOUNDED_H
#define MW_SCRIPT_BOUNDED_H

#include <lua.h>

/* In any state: gsub and sort call functions that may wait. The rest of the
 * library is as it was. */
void mw_bounded_open_callbacks(lua_State *L);

/* In a sandboxed state: replaces what is unbounded in the tables string, table and os. */
void mw_bounded_open(lua_State *L);

#endif
