/* Arguments from scripts. All of these raise on misuse, blaming the caller's line. */
#ifndef MW_SCRIPT_CHECK_H
#define MW_SCRIPT_CHECK_H

#include "base/addr.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

/* A duration in seconds: not negative, not NaN; math.huge is for ever. */
double mw_check_seconds(lua_State *L, int index);

/* A count of bytes or things: an integer from `least` up to `most`. */
size_t mw_check_count(lua_State *L, int index, lua_Integer least, lua_Integer most);

/* An address string. Raises with what is wrong and how it should look. */
void mw_check_address(lua_State *L, int index, struct mw_address *address);

/* Whether there is an options table at `index` (nil or none: no). Raises when
 * it has a key that is not among the `known` ones (NULL ends the list). */
bool mw_check_options(lua_State *L, int index, const char *const known[]);

/* One option of the table at `index`, or the default when it is absent. Seconds
 * take `false` as for ever. */
bool mw_option_boolean(lua_State *L, int index, const char *key, bool otherwise);
double mw_option_seconds(lua_State *L, int index, const char *key, double otherwise);
lua_Integer mw_option_integer(lua_State *L, int index, const char *key, lua_Integer least, lua_Integer most,
                              lua_Integer otherwise);

/* The string option, or NULL; valid while the table holds it, and until Lua runs or
 * allocates when the table inherits it. */
const char *mw_option_string(lua_State *L, int index, const char *key);

/* Pushes the string option and returns it; pushes nil and returns NULL when it
 * is absent. On the stack it lives, whoever made it: the table may inherit it. */
const char *mw_push_string_option(lua_State *L, int index, const char *key);

/* Adds functions to a new table, sets it as field `name` of the table on top. */
void mw_set_functions(lua_State *L, const char *name, const luaL_Reg *functions);

/* Makes the metatable of a userdata type: __name, __index with `methods`, and
 * `metamethods`; locked against getmetatable. */
void mw_new_type(lua_State *L, const char *name, const luaL_Reg *methods, const luaL_Reg *metamethods);

#endif
