/* A state for scripts from others: what could reach files, processes, other
 * scripts' tables or unbounded time and memory is out of it, or bounded.
 *
 * The interpreter keeps one global table for Moonwire's own modules, and the
 * script has another, which lua/moonwire/sandbox.lua makes of core.sandbox: its
 * tables of functions are proxies that can only be read. */
#ifndef MW_SCRIPT_SANDBOX_H
#define MW_SCRIPT_SANDBOX_H

#include <lua.h>

/* Bounds the library, takes out of it what no module of ours needs, and locks
 * the metatable of strings. Behind the opening of libraries and of the core. */
void mw_sandbox_open(lua_State *L);

#endif
