#include "script/sandbox_internal.h"

#include <lauxlib.h>

/* Fields of the metatable of a proxy, and of the registry. */
static const char real_table, proxies, known_metatables;

bool mw_sandbox_push_real(lua_State *L, int index) {
    if (!lua_istable(L, index) || !lua_getmetatable(L, index)) {
        return false;
    }
    int type = lua_rawgetp(L, -1, &real_table);
    lua_remove(L, -2);
    if (type == LUA_TNIL) {
        lua_pop(L, 1);
        return false;
    }
    return true;
}

/* Puts what a proxy stands for into its place. */
static void see_through(lua_State *L, int index) {
    if (mw_sandbox_push_real(L, index)) {
        lua_replace(L, index);
    }
}

/* next(table [, key]) */
static int sandbox_next(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 2);
    see_through(L, 1);
    if (lua_next(L, 1)) {
        return 2;
    }
    lua_pushnil(L);
    return 1;
}

static int proxy_pairs(lua_State *L) {
    lua_pushcfunction(L, sandbox_next);
    lua_pushvalue(L, 1);
    lua_pushnil(L);
    return 3;
}

static int proxy_newindex(lua_State *L) {
    return luaL_error(L, "'%s' cannot be set: this table can only be read in a sandbox", luaL_tolstring(L, 2, NULL));
}

static int proxy_len(lua_State *L) {
    see_through(L, 1);
    lua_len(L, 1);
    return 1;
}

/* A weak table of the registry, made at the first use. */
static void push_weak_table(lua_State *L, const void *key, const char *mode) {
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, key) == LUA_TTABLE) {
        return;
    }
    lua_pop(L, 1);
    lua_newtable(L);
    lua_newtable(L);
    lua_pushstring(L, mode);
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

/* Makes a proxy for the table on top, above it. */
static void new_proxy(lua_State *L) {
    static const luaL_Reg metamethods[] = {
        {"__newindex", proxy_newindex}, {"__pairs", proxy_pairs}, {"__len", proxy_len}, {NULL, NULL},
    };
    lua_newtable(L);
    luaL_newlib(L, metamethods);
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pushvalue(L, -3);
    lua_rawsetp(L, -2, &real_table);
    lua_setmetatable(L, -2);
}

void mw_sandbox_push_proxy(lua_State *L) {
    luaL_checktype(L, -1, LUA_TTABLE);
    push_weak_table(L, &proxies, "k");
    lua_pushvalue(L, -2);
    if (lua_rawget(L, -2) == LUA_TNIL) {
        lua_pop(L, 1);
        lua_pushvalue(L, -2);
        new_proxy(L);
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        lua_rawset(L, -5);
        lua_remove(L, -2);
    }
    lua_replace(L, -3);
    lua_pop(L, 1);
}

/* rawget(table, key) */
static int sandbox_rawget(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkany(L, 2);
    lua_settop(L, 2);
    see_through(L, 1);
    lua_rawget(L, 1);
    return 1;
}

/* rawlen(table or string) */
static int sandbox_rawlen(lua_State *L) {
    luaL_argexpected(L, lua_istable(L, 1) || lua_type(L, 1) == LUA_TSTRING, 1, "table or string");
    see_through(L, 1);
    lua_pushinteger(L, (lua_Integer)lua_rawlen(L, 1));
    return 1;
}

/* rawset(table, key, value) → table */
static int sandbox_rawset(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkany(L, 2);
    luaL_checkany(L, 3);
    lua_settop(L, 3);
    luaL_argcheck(L, !mw_sandbox_push_real(L, 1), 1, "this table can only be read in a sandbox");
    lua_rawset(L, 1);
    return 1;
}

/* Whether the metatable on top was set by the script: only those are shown to it. */
static bool is_known(lua_State *L) {
    push_weak_table(L, &known_metatables, "k");
    lua_pushvalue(L, -2);
    bool known = lua_rawget(L, -2) != LUA_TNIL;
    lua_pop(L, 2);
    return known;
}

/* getmetatable(value): false for what is not the script's */
static int sandbox_getmetatable(lua_State *L) {
    luaL_checkany(L, 1);
    if (!lua_getmetatable(L, 1)) {
        lua_pushnil(L);
        return 1;
    }
    if (!is_known(L)) {
        lua_pushboolean(L, 0);
        return 1;
    }
    lua_pushliteral(L, "__metatable");
    if (lua_rawget(L, -2) == LUA_TNIL) {
        lua_pop(L, 1);
    }
    return 1;
}

static void remember(lua_State *L) {
    push_weak_table(L, &known_metatables, "k");
    lua_pushvalue(L, 2);
    lua_pushboolean(L, 1);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

/* Raises when the metatable of the table must not be changed. */
static void check_changeable(lua_State *L) {
    if (!lua_getmetatable(L, 1)) {
        return;
    }
    bool known = is_known(L);
    lua_pushliteral(L, "__metatable");
    if (lua_rawget(L, -2) != LUA_TNIL || !known) {
        luaL_error(L, "cannot change a protected metatable");
    }
    lua_pop(L, 2);
}

static bool has_finalizer(lua_State *L) {
    lua_pushliteral(L, "__gc");
    bool has = lua_rawget(L, 2) != LUA_TNIL;
    lua_pop(L, 1);
    return has;
}

/* setmetatable(table, metatable or nil) → table. Lua looks for __gc here and at
 * no later time: set afterwards it does nothing. */
static int sandbox_setmetatable(lua_State *L) {
    int type = lua_type(L, 2);
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_argexpected(L, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table");
    lua_settop(L, 2);
    check_changeable(L);
    if (type == LUA_TTABLE) {
        luaL_argcheck(L, !mw_sandbox_push_real(L, 2), 2, "this table can only be read in a sandbox");
        luaL_argcheck(L, !has_finalizer(L), 2, "no __gc in a sandbox; use __close");
        if (lua_pushvalue(L, 2), !is_known(L)) {
            remember(L);
        }
        lua_pop(L, 1);
    }
    lua_setmetatable(L, 1);
    return 1;
}

void mw_sandbox_add_table_functions(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"next", sandbox_next},     {"rawget", sandbox_rawget},
        {"rawset", sandbox_rawset}, {"rawlen", sandbox_rawlen},
        {"getmetatable", sandbox_getmetatable}, {"setmetatable", sandbox_setmetatable},
        {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
}

/* The usual Class.__index = Class would give every object its class to change. */
int mw_sandbox_own_setmetatable(lua_State *L) {
    lua_settop(L, 2);
    if (lua_istable(L, 2)) {
        lua_pushliteral(L, "__index");
        if (lua_rawget(L, 2) == LUA_TTABLE && !mw_sandbox_push_real(L, -1)) {
            mw_sandbox_push_proxy(L);
            lua_setfield(L, 2, "__index");
        }
        lua_settop(L, 2);
    }
    return lua_tocfunction(L, lua_upvalueindex(1))(L);
}
