/* table.sort whose comparison function may wait and be pre-empted: a merge sort
 * that keeps where it stands, with at most n log n comparisons whatever they say. */
#ifndef MW_SCRIPT_L_SORT_H
#define MW_SCRIPT_L_SORT_H

#include <lua.h>

/* sort(list [, is_less]) */
int mw_l_sort(lua_State *L);

#endif
