#include "script/sandbox.h"

#include "base/addr.h"
#include "script/bounded.h"
#include "script/check.h"
#include "script/sandbox_internal.h"

#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

/* A list of names, as long as a standard library has. */
enum { NAMES = 20 };

/* What is left of each library, and of the global functions: the rest is gone,
 * for our own modules as for scripts. */
struct library {
    const char *name;
    const char *keeps[NAMES];
};

static const struct library libraries[] = {
    {LUA_OSLIBNAME, {"clock", "date", "difftime", "time"}},
    {LUA_IOLIBNAME, {"stderr"}},
    {LUA_LOADLIBNAME, {"cpath", "loaded", "path", "preload", "searchers", "searchpath"}},
    {LUA_DBLIBNAME, {NULL}},
};

static bool is_kept(const struct library *library, const char *name) {
    for (int i = 0; i < NAMES && library->keeps[i]; i++) {
        if (strcmp(library->keeps[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static void strip_library(lua_State *L, const struct library *library) {
    lua_getglobal(L, library->name);
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        lua_pop(L, 1);
        if (!is_kept(library, lua_tostring(L, -1))) {
            lua_pushvalue(L, -1);
            lua_pushnil(L);
            lua_rawset(L, -4);
        }
    }
    lua_pop(L, 1);
}

static void strip_globals(lua_State *L) {
    static const char *const names[] = {LUA_DBLIBNAME, "dofile", "warn"};
    for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) {
        strip_library(L, &libraries[i]);
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        lua_pushnil(L);
        lua_setglobal(L, names[i]);
    }
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_pushnil(L);
    lua_setfield(L, -2, LUA_DBLIBNAME);
    lua_pop(L, 1);
}

static void lock_strings(lua_State *L) {
    lua_pushliteral(L, "");
    lua_getmetatable(L, -1);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 2);
}

/* collectgarbage(): "count" only */
static int count_memory(lua_State *L) {
    if (strcmp(luaL_optstring(L, 1, "collect"), "count") != 0) {
        return luaL_argerror(L, 1, "only \"count\" in a sandbox");
    }
    lua_pushnumber(L, lua_gc(L, LUA_GCCOUNT) + lua_gc(L, LUA_GCCOUNTB) / 1024.0);
    return 1;
}

/* A function of core.net, the upvalue, for addresses of other machines only. A
 * Unix socket is a file, and often the way to command a daemon; a descriptor may
 * be anything that the process has open. */
static int network_only(lua_State *L) {
    struct mw_address address;
    mw_check_address(L, 1, &address);
    if (address.scheme == MW_SCHEME_UNIX || address.scheme == MW_SCHEME_FD) {
        return luaL_argerror(L, 1, "no Unix sockets and no descriptors in a sandbox");
    }
    return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

/* network_only(function) → function */
static int push_network_only(lua_State *L) {
    luaL_argcheck(L, lua_iscfunction(L, 1), 1, "C function expected");
    lua_settop(L, 1);
    lua_pushcclosure(L, network_only, 1);
    return 1;
}

/* read_only(table) → proxy */
static int push_read_only(lua_State *L) {
    lua_settop(L, 1);
    mw_sandbox_push_proxy(L);
    return 1;
}

/* call(fn, ...): fn may not wait */
static int call_without_waits(lua_State *L) {
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

void mw_sandbox_open(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"read_only", push_read_only},
        {"network_only", push_network_only},
        {"load_with", mw_sandbox_load_with},
        {"read_module", mw_sandbox_read_module},
        {"call", call_without_waits},
        {NULL, NULL},
    };
    mw_bounded_open(L);
    strip_globals(L);
    lock_strings(L);
    lua_getglobal(L, "setmetatable");
    lua_pushcclosure(L, mw_sandbox_own_setmetatable, 1);
    lua_setglobal(L, "setmetatable");
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_getfield(L, -1, "moonwire.core");
    mw_set_functions(L, "sandbox", functions);
    lua_getfield(L, -1, "sandbox");
    lua_newtable(L);
    mw_sandbox_add_table_functions(L);
    lua_pushcfunction(L, count_memory);
    lua_setfield(L, -2, "collectgarbage");
    lua_setfield(L, -2, "globals");
    lua_pop(L, 3);
}
