/* table.concat, insert, move and remove that go through a bounded number of
 * elements: a __len may tell any. Metamethods are honoured as by the originals. */
#ifndef MW_SCRIPT_BOUNDED_TABLE_H
#define MW_SCRIPT_BOUNDED_TABLE_H

#include <lua.h>

/* Refuses what is not a table and has not the metamethods named: some of "i", "n"
 * and "l", for __index, __newindex and __len. */
void mw_check_list(lua_State *L, int index, const char *events);

/* concat(list [, separator [, first [, last]]]) */
int mw_bounded_concat(lua_State *L);

/* insert(list, [position,] value) */
int mw_bounded_insert(lua_State *L);

/* move(from, first, last, to_first [, to]) */
int mw_bounded_move(lua_State *L);

/* remove(list [, position]) */
int mw_bounded_remove(lua_State *L);

#endif
