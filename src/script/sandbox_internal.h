/* What the parts of the sandbox share. */
#ifndef MW_SCRIPT_SANDBOX_INTERNAL_H
#define MW_SCRIPT_SANDBOX_INTERNAL_H

#include <lua.h>
#include <stdbool.h>

/* Makes a proxy for the table on top, in its place: it can be read, also by
 * pairs, and not written. Of one table it is always the same proxy. */
void mw_sandbox_push_proxy(lua_State *L);

/* Pushes the table that a proxy stands for; false, nothing pushed: it is none. */
bool mw_sandbox_push_real(lua_State *L, int index);

/* Adds to the table on top what scripts have instead of functions that could
 * write to proxies or take them apart: next, rawget, rawset, rawlen,
 * getmetatable, setmetatable. */
void mw_sandbox_add_table_functions(lua_State *L);

/* setmetatable of our own modules, over that which is the upvalue: methods of an
 * object can only be read. */
int mw_sandbox_own_setmetatable(lua_State *L);

/* load_with(env) → load(chunk [, name [, mode [, env]]]): text only, and with
 * that environment unless another is given. */
int mw_sandbox_load_with(lua_State *L);

/* read_module(folder, path) → text | nil: a regular file below the folder,
 * reached through no symbolic link. Raises when it is too large or cannot be read. */
int mw_sandbox_read_module(lua_State *L);

#endif
