#include "script/check.h"

#include <math.h>
#include <string.h>

double mw_check_seconds(lua_State *L, int index) {
    double seconds = luaL_checknumber(L, index);
    luaL_argcheck(L, seconds >= 0, index, "seconds, not negative, expected");
    return seconds;
}

size_t mw_check_count(lua_State *L, int index, lua_Integer least, lua_Integer most) {
    lua_Integer count = luaL_checkinteger(L, index);
    if (count < least || count > most) {
        luaL_argerror(L, index, lua_pushfstring(L, "%I is not within %I..%I", (LUAI_UACINT)count, (LUAI_UACINT)least,
                                                (LUAI_UACINT)most));
    }
    return (size_t)count;
}

void mw_check_address(lua_State *L, int index, struct mw_address *address) {
    size_t length;
    const char *why, *text = luaL_checklstring(L, index, &length);
    if (!mw_address_parse(address, text, length, &why)) {
        luaL_argerror(L, index, lua_pushfstring(L, "'%s' is no address: %s", text, why));
    }
}

static bool is_known(const char *key, const char *const known[]) {
    for (; *known; known++) {
        if (strcmp(key, *known) == 0) {
            return true;
        }
    }
    return false;
}

static void refuse_key(lua_State *L, int index, const char *key, const char *const known[]) {
    luaL_Buffer buffer;
    luaL_buffinit(L, &buffer);
    for (; *known; known++) {
        luaL_addstring(&buffer, *known);
        luaL_addstring(&buffer, known[1] ? ", " : "");
    }
    luaL_pushresult(&buffer);
    luaL_argerror(L, index, lua_pushfstring(L, "unknown option '%s' (known: %s)", key, lua_tostring(L, -1)));
}

bool mw_check_options(lua_State *L, int index, const char *const known[]) {
    if (lua_isnoneornil(L, index)) {
        return false;
    }
    luaL_checktype(L, index, LUA_TTABLE);
    lua_pushnil(L);
    while (lua_next(L, index)) {
        lua_pop(L, 1);
        const char *key = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : luaL_tolstring(L, -1, NULL);
        if (lua_type(L, -1) != LUA_TSTRING || !is_known(key, known)) {
            refuse_key(L, index, key, known);
        }
    }
    return true;
}

static void refuse_option(lua_State *L, int index, const char *key, const char *expected) {
    luaL_argerror(L, index,
                  lua_pushfstring(L, "option '%s': %s expected, got %s", key, expected, luaL_typename(L, -1)));
}

/* Pushes the option; false, nothing pushed, when it is absent. */
static bool push_option(lua_State *L, int index, const char *key) {
    if (lua_istable(L, index) && lua_getfield(L, index, key) != LUA_TNIL) {
        return true;
    }
    if (lua_istable(L, index)) {
        lua_pop(L, 1);
    }
    return false;
}

bool mw_option_boolean(lua_State *L, int index, const char *key, bool otherwise) {
    if (!push_option(L, index, key)) {
        return otherwise;
    }
    if (!lua_isboolean(L, -1)) {
        refuse_option(L, index, key, "true or false");
    }
    bool value = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return value;
}

double mw_option_seconds(lua_State *L, int index, const char *key, double otherwise) {
    if (!push_option(L, index, key)) {
        return otherwise;
    }
    double seconds = HUGE_VAL;
    if (lua_type(L, -1) == LUA_TNUMBER) {
        seconds = lua_tonumber(L, -1);
    } else if (!lua_isboolean(L, -1) || lua_toboolean(L, -1)) {
        refuse_option(L, index, key, "seconds or false");
    }
    if (!(seconds >= 0)) {
        refuse_option(L, index, key, "seconds, not negative,");
    }
    lua_pop(L, 1);
    return seconds;
}

lua_Integer mw_option_integer(lua_State *L, int index, const char *key, lua_Integer least, lua_Integer most,
                              lua_Integer otherwise) {
    if (!push_option(L, index, key)) {
        return otherwise;
    }
    int whole;
    lua_Integer value = lua_tointegerx(L, -1, &whole);
    if (!whole || lua_type(L, -1) != LUA_TNUMBER) {
        refuse_option(L, index, key, "an integer");
    }
    if (value < least || value > most) {
        luaL_argerror(L, index, lua_pushfstring(L, "option '%s': %I is not within %I..%I", key, (LUAI_UACINT)value,
                                                (LUAI_UACINT)least, (LUAI_UACINT)most));
    }
    lua_pop(L, 1);
    return value;
}

const char *mw_push_string_option(lua_State *L, int index, const char *key) {
    if (!push_option(L, index, key)) {
        lua_pushnil(L);
        return NULL;
    }
    if (lua_type(L, -1) != LUA_TSTRING) {
        refuse_option(L, index, key, "a string");
    }
    return lua_tostring(L, -1);
}

const char *mw_option_string(lua_State *L, int index, const char *key) {
    const char *text = mw_push_string_option(L, index, key);
    lua_pop(L, 1);
    return text;
}

void mw_set_functions(lua_State *L, const char *name, const luaL_Reg *functions) {
    lua_newtable(L);
    luaL_setfuncs(L, functions, 0);
    lua_setfield(L, -2, name);
}

void mw_new_type(lua_State *L, const char *name, const luaL_Reg *methods, const luaL_Reg *metamethods) {
    luaL_newmetatable(L, name);
    luaL_setfuncs(L, metamethods, 0);
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}
