#include "script/bounded_table.h"

#include "script/bounds.h"

#include <lauxlib.h>
#include <stdbool.h>

void mw_check_list(lua_State *L, int index, const char *events) {
    for (; *events && !lua_istable(L, index); events++) {
        const char *name = *events == 'i' ? "__index" : *events == 'n' ? "__newindex" : "__len";
        if (luaL_getmetafield(L, index, name) == LUA_TNIL) {
            luaL_checktype(L, index, LUA_TTABLE);
        }
        lua_pop(L, 1);
    }
}

/* first..last are not too many; the difference may be beyond an integer. */
static void check_range(lua_State *L, lua_Integer first, lua_Integer last) {
    if (last >= first && (lua_Unsigned)last - (lua_Unsigned)first >= (lua_Unsigned)mw_bound_elements(L)) {
        mw_bound_refuse_elements(L);
    }
}

/* Adds the element, whose string must fit. */
static void add_element(lua_State *L, luaL_Buffer *buffer, lua_Integer index, size_t separator, size_t *size) {
    lua_geti(L, 1, index);
    if (!lua_isstring(L, -1)) {
        luaL_error(L, "invalid value (%s) at index %I in table for 'concat'", luaL_typename(L, -1),
                   (LUAI_UACINT)index);
    }
    size_t length;
    lua_tolstring(L, -1, &length);
    *size += length + separator;
    if (*size > MW_BOUND_BYTES) {
        mw_bound_refuse_bytes(L);
    }
    luaL_addvalue(buffer);
}

int mw_bounded_concat(lua_State *L) {
    size_t separator_length, size = 0;
    mw_check_list(L, 1, "il");
    lua_Integer length = luaL_len(L, 1);
    const char *separator = luaL_optlstring(L, 2, "", &separator_length);
    lua_Integer first = luaL_optinteger(L, 3, 1), last = luaL_optinteger(L, 4, length);
    check_range(L, first, last);
    luaL_Buffer buffer;
    luaL_buffinit(L, &buffer);
    for (lua_Integer i = first; i < last; i++) {
        add_element(L, &buffer, i, separator_length, &size);
        luaL_addlstring(&buffer, separator, separator_length);
    }
    if (first <= last) {
        add_element(L, &buffer, last, 0, &size);
    }
    luaL_pushresult(&buffer);
    return 1;
}

int mw_bounded_insert(lua_State *L) {
    mw_check_list(L, 1, "inl");
    lua_Integer end = (lua_Integer)((lua_Unsigned)luaL_len(L, 1) + 1), position = end;
    switch (lua_gettop(L)) {
    case 2: break;
    case 3:
        position = luaL_checkinteger(L, 2);
        luaL_argcheck(L, (lua_Unsigned)position - 1U < (lua_Unsigned)end, 2, "position out of bounds");
        check_range(L, position, end);
        for (lua_Integer i = end; i > position; i--) {
            lua_geti(L, 1, i - 1);
            lua_seti(L, 1, i);
        }
        break;
    default: return luaL_error(L, "wrong number of arguments to 'insert'");
    }
    lua_seti(L, 1, position);
    return 0;
}

int mw_bounded_remove(lua_State *L) {
    mw_check_list(L, 1, "inl");
    lua_Integer length = luaL_len(L, 1), position = luaL_optinteger(L, 2, length);
    if (position != length) {
        luaL_argcheck(L, (lua_Unsigned)position - 1U <= (lua_Unsigned)length, 1, "position out of bounds");
    }
    check_range(L, position, length);
    lua_geti(L, 1, position);
    for (; position < length; position++) {
        lua_geti(L, 1, position + 1);
        lua_seti(L, 1, position);
    }
    lua_pushnil(L);
    lua_seti(L, 1, position);
    return 1;
}

/* Upwards, unless that would overwrite what is still to be moved. */
static void move_elements(lua_State *L, lua_Integer first, lua_Integer count, lua_Integer target, int to) {
    bool upwards = target > first + count - 1 || target <= first || (to != 1 && !lua_compare(L, 1, to, LUA_OPEQ));
    for (lua_Integer i = 0; i < count; i++) {
        lua_Integer offset = upwards ? i : count - 1 - i;
        lua_geti(L, 1, first + offset);
        lua_seti(L, to, target + offset);
    }
}

int mw_bounded_move(lua_State *L) {
    lua_Integer first = luaL_checkinteger(L, 2), last = luaL_checkinteger(L, 3), target = luaL_checkinteger(L, 4);
    int to = lua_isnoneornil(L, 5) ? 1 : 5;
    mw_check_list(L, 1, "i");
    mw_check_list(L, to, "n");
    if (last >= first) {
        luaL_argcheck(L, first > 0 || last < LUA_MAXINTEGER + first, 3, "too many elements to move");
        lua_Integer count = last - first + 1;
        luaL_argcheck(L, target <= LUA_MAXINTEGER - count + 1, 4, "destination wrap around");
        check_range(L, first, last);
        move_elements(L, first, count, target, to);
    }
    lua_pushvalue(L, to);
    return 1;
}
