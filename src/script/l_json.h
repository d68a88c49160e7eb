/* moonwire.core.json: JSON for scripts. */
#ifndef MW_SCRIPT_L_JSON_H
#define MW_SCRIPT_L_JSON_H

#include <lua.h>

/* The metatable of tables that are arrays also when they are empty. */
#define MW_L_JSON_ARRAY "moonwire.json.array"

/* Adds the field `json` to the table on top of the stack. */
void mw_l_json_open(lua_State *L);

/* Lua values as text, in a file of its own. */
int mw_l_json_encode(lua_State *L);

#endif
