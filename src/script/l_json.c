/* JSON to Lua values. Tables, strings and the numbers of elements lie on the
 * stacks of Lua and C: nothing is allocated that an error would leak. */
#include "script/l_json.h"

#include "base/json.h"
#include "script/check.h"
#include "script/fault.h"

#include <string.h>

enum {
    DEPTH_DEFAULT = 128,
    MAX_DEFAULT = 1024 * 1024, /* bytes */
    SHORT = 256,               /* bytes of a string that is written without a buffer */
};

struct decoding {
    struct mw_json json;
    lua_Integer counts[MW_JSON_DEPTH_MOST]; /* elements of the arrays that are open; objects: -1 */
};

static void push_string(lua_State *L, const struct mw_json *json) {
    if (!json->written_otherwise) {
        lua_pushlstring(L, json->text + json->string, json->string_length);
        return;
    }
    size_t room = json->string_length * (json->replace ? 3 : 1);
    if (room <= SHORT) {
        char text[SHORT];
        lua_pushlstring(L, text, mw_json_string(json, text));
        return;
    }
    luaL_Buffer buffer;
    char *text = luaL_buffinitsize(L, &buffer, room);
    luaL_pushresultsize(&buffer, mw_json_string(json, text));
}

/* nil, err, code and the place. */
static int push_refusal(lua_State *L, const struct mw_json *json) {
    if (json->too_deep) {
        mw_push_word(L, "too_large");
    } else {
        size_t line, column;
        mw_json_position(json, json->start, &line, &column);
        lua_pushnil(L);
        lua_pushfstring(L, "decode JSON at line %I, column %I: %s", (LUAI_UACINT)line, (LUAI_UACINT)column, json->why);
        lua_pushliteral(L, "invalid");
    }
    lua_pushinteger(L, (lua_Integer)json->start + 1);
    return 4;
}

/* The key on top must be new to the object below it. */
static bool is_new_key(lua_State *L, struct mw_json *json) {
    lua_pushvalue(L, -1);
    bool is_new = lua_rawget(L, -3) == LUA_TNIL;
    lua_pop(L, 1);
    json->why = "a key that the object has already";
    return is_new;
}

/* Puts the value on top into the array or object below it. */
static void put(lua_State *L, lua_Integer *count) {
    if (*count < 0) {
        lua_rawset(L, -3);
    } else {
        lua_rawseti(L, -2, ++*count);
    }
}

/* Pushes the scalar, or the new table, that the token stands for. */
static void push_value(lua_State *L, struct decoding *decoding, enum mw_json_token token) {
    const struct mw_json *json = &decoding->json;
    switch (token) {
    case MW_JSON_FALSE:
    case MW_JSON_TRUE:
        lua_pushboolean(L, token == MW_JSON_TRUE);
        break;
    case MW_JSON_INTEGER:
        lua_pushinteger(L, json->integer);
        break;
    case MW_JSON_REAL:
        lua_pushnumber(L, json->real);
        break;
    case MW_JSON_STRING:
        push_string(L, json);
        break;
    case MW_JSON_ARRAY:
    case MW_JSON_OBJECT:
        luaL_checkstack(L, 4, "JSON");
        lua_newtable(L);
        decoding->counts[json->depth - 1] = token == MW_JSON_ARRAY ? 0 : -1;
        if (token == MW_JSON_ARRAY) {
            luaL_setmetatable(L, MW_L_JSON_ARRAY);
        }
        break;
    default:
        lua_pushlightuserdata(L, NULL);
    }
}

/* Pushes the value of the whole text. False with a fault, and then with the
 * values that are open on the stack. */
static bool build(lua_State *L, struct decoding *decoding) {
    struct mw_json *json = &decoding->json;
    for (;;) {
        enum mw_json_token token = mw_json_next(json);
        switch (token) {
        case MW_JSON_FAULT:
            return false;
        case MW_JSON_END:
            return true;
        case MW_JSON_KEY:
            push_string(L, json);
            if (!is_new_key(L, json)) {
                return false;
            }
            continue;
        case MW_JSON_ARRAY_END:
        case MW_JSON_OBJECT_END:
            break;
        default:
            push_value(L, decoding, token);
            if (token == MW_JSON_ARRAY || token == MW_JSON_OBJECT) {
                continue;
            }
        }
        if (json->depth) {
            put(L, &decoding->counts[json->depth - 1]);
        }
    }
}

/* decode(text, options) → value | nil, err, code, place */
static int json_decode(lua_State *L) {
    static const char *const known[] = {"max", "depth", "replace", NULL};
    struct decoding decoding;
    memset(&decoding.json, 0, sizeof decoding.json);
    struct mw_json *json = &decoding.json;
    json->text = luaL_checklstring(L, 1, &json->length);
    mw_check_options(L, 2, known);
    lua_Integer max = mw_option_integer(L, 2, "max", 1, LUA_MAXINTEGER, MAX_DEFAULT);
    json->depth_limit = (unsigned)mw_option_integer(L, 2, "depth", 1, MW_JSON_DEPTH_MOST, DEPTH_DEFAULT);
    json->replace = mw_option_boolean(L, 2, "replace", false);
    if (json->length > (size_t)max) {
        return mw_push_word(L, "too_large");
    }
    return build(L, &decoding) ? 1 : push_refusal(L, json);
}

/* array(table) → the same table, which is an array also when it is empty */
static int json_array(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    if (lua_getmetatable(L, 1)) {
        luaL_getmetatable(L, MW_L_JSON_ARRAY);
        luaL_argcheck(L, lua_rawequal(L, -1, -2), 1, "a table without a metatable expected");
    }
    lua_settop(L, 1);
    luaL_setmetatable(L, MW_L_JSON_ARRAY);
    return 1;
}

static const luaL_Reg functions[] = {
    {"decode", json_decode}, {"encode", mw_l_json_encode}, {"array", json_array}, {NULL, NULL},
};

void mw_l_json_open(lua_State *L) {
    luaL_newmetatable(L, MW_L_JSON_ARRAY);
    lua_pop(L, 1);
    mw_set_functions(L, "json", functions);
    lua_getfield(L, -1, "json");
    lua_pushlightuserdata(L, NULL);
    lua_setfield(L, -2, "null");
    lua_pop(L, 1);
}
