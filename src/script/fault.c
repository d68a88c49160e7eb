#include "script/fault.h"

#include <lauxlib.h>

static const char METATABLE[] = "moonwire.fault";

static int fault_tostring(lua_State *L) {
    lua_settop(L, 1);
    if (!lua_istable(L, 1)) {
        return luaL_typeerror(L, 1, METATABLE);
    }
    lua_pushliteral(L, "message");
    lua_rawget(L, 1);
    return 1;
}

void mw_fault_open(lua_State *L) {
    luaL_newmetatable(L, METATABLE);
    lua_pushcfunction(L, fault_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pop(L, 1);
}

int mw_push_fault(lua_State *L, const struct mw_fault *fault) {
    lua_pushnil(L);
    lua_pushstring(L, fault->message);
    lua_pushstring(L, fault->code);
    return 3;
}

int mw_push_word(lua_State *L, const char *word) {
    lua_pushnil(L);
    lua_pushstring(L, word);
    lua_pushvalue(L, -1);
    return 3;
}

int mw_push_errno(lua_State *L, int error, const char *operation, const char *subject) {
    struct mw_fault fault;
    mw_fault_set(&fault, error, operation, subject);
    return mw_push_fault(L, &fault);
}

void mw_push_fault_object(lua_State *L, const char *code, const char *message) {
    lua_createtable(L, 0, 2);
    lua_pushstring(L, code);
    lua_setfield(L, -2, "code");
    lua_pushstring(L, message);
    lua_setfield(L, -2, "message");
    luaL_setmetatable(L, METATABLE);
}

static const char *raw_string(lua_State *L, int index, const char *key) {
    lua_pushstring(L, key);
    lua_rawget(L, index);
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
    lua_pop(L, 1);
    return text;
}

bool mw_is_fault_object(lua_State *L, int index, const char **code, const char **message) {
    index = lua_absindex(L, index);
    if (!lua_istable(L, index) || !lua_getmetatable(L, index)) {
        return false;
    }
    luaL_getmetatable(L, METATABLE);
    bool same = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    if (!same) {
        return false;
    }
    *code = raw_string(L, index, "code");
    *message = raw_string(L, index, "message");
    return *code && *message;
}
