#include "script/bounded.h"

#include "script/bounded_table.h"
#include "script/bounds.h"
#include "script/l_pattern.h"
#include "script/l_sort.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdbool.h>
#include <string.h>

enum {
    NUMBER_SIZE = 512,     /* of any number that format writes: %99.99f of the largest has 409 digits */
    WIDTH_MAX = 99,
    DATE_FORMAT_MAX = 4096, /* of os.date, which makes a hundred bytes of two at most */
};

/* Calls the function that the running one, whose first upvalue it is, stands for:
 * within the same call, so that its errors blame the right line and name. */
static int original(lua_State *L) {
    return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

/* rep(s, n [, separator]) */
static int bounded_rep(lua_State *L) {
    size_t length, separator;
    luaL_checklstring(L, 1, &length);
    lua_Integer count = luaL_checkinteger(L, 2);
    luaL_optlstring(L, 3, "", &separator);
    if (count > 0 && length + separator > MW_BOUND_BYTES / (size_t)count) {
        return mw_bound_refuse_bytes(L);
    }
    return original(L);
}

/* The bytes of a string as %q writes it, or fewer. */
static size_t quoted_size(const char *text, size_t length) {
    size_t size = length + 2;
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        size += byte < ' ' || byte == 127 ? 3 : byte == '"' || byte == '\\';
    }
    return size;
}

/* How many bytes argument `index` becomes at most. What has a __tostring is made
 * a string here, once. */
static size_t size_of_argument(lua_State *L, int index, char conversion) {
    size_t length;
    int type = lua_type(L, index);
    if (conversion == 's' && type != LUA_TSTRING && type != LUA_TNUMBER && type != LUA_TNONE) {
        luaL_tolstring(L, index, NULL);
        lua_replace(L, index);
        type = LUA_TSTRING;
    }
    if (type != LUA_TSTRING) {
        return NUMBER_SIZE;
    }
    const char *text = lua_tolstring(L, index, &length);
    return conversion == 'q' ? quoted_size(text, length) : length + (conversion == 's' ? WIDTH_MAX : NUMBER_SIZE);
}

/* format(format, …) */
static int bounded_format(lua_State *L) {
    size_t length;
    const char *format = luaL_checklstring(L, 1, &length), *end = format + length;
    size_t size = length;
    int last = lua_gettop(L), index = 1;
    while ((format = memchr(format, '%', (size_t)(end - format)))) {
        format++;
        if (*format == '%') {
            format++;
            continue;
        }
        format += strspn(format, "-+ #0123456789.");
        if (++index <= last) {
            size += size_of_argument(L, index, *format);
        }
        if (size > MW_BOUND_BYTES) {
            return mw_bound_refuse_bytes(L);
        }
    }
    return original(L);
}

/* What the options c[n] of a format of string.pack reserve. */
static size_t reserved_size(const char *format) {
    size_t size = 0;
    while ((format = strchr(format, 'c')) && size <= MW_BOUND_BYTES) {
        size_t count = 0;
        for (format++; *format >= '0' && *format <= '9'; format++) {
            count = count <= MW_BOUND_BYTES ? count * 10 + (size_t)(*format - '0') : count;
        }
        size += count;
    }
    return size;
}

/* pack(format, …) */
static int bounded_pack(lua_State *L) {
    size_t strings = 0;
    size_t reserved = reserved_size(luaL_checkstring(L, 1));
    for (int i = 2; i <= lua_gettop(L) && strings <= MW_BOUND_BYTES; i++) {
        strings += lua_type(L, i) == LUA_TSTRING ? lua_rawlen(L, i) : 0;
    }
    if (reserved > MW_BOUND_BYTES || strings > MW_BOUND_BYTES) {
        return mw_bound_refuse_bytes(L);
    }
    return original(L);
}

/* os.date([format [, time]]) */
static int bounded_date(lua_State *L) {
    size_t length;
    luaL_optlstring(L, 1, "%c", &length);
    luaL_argcheck(L, length <= DATE_FORMAT_MAX, 1, "the format is too long");
    return original(L);
}

/* gsub of other states: only functions may wait, the rest is the original's. */
static int gsub_with_callback(lua_State *L) {
    return lua_isfunction(L, 3) ? mw_l_gsub(L) : original(L);
}

static int sort_with_callback(lua_State *L) {
    return lua_isfunction(L, 2) ? mw_l_sort(L) : original(L);
}

/* Puts a function in the place of another, which becomes its upvalue. */
static void stand_in(lua_State *L, const luaL_Reg *functions) {
    for (; functions->name; functions++) {
        lua_getfield(L, -1, functions->name);
        lua_pushcclosure(L, functions->func, 1);
        lua_setfield(L, -2, functions->name);
    }
    lua_pop(L, 1);
}

static void replace_functions(lua_State *L, const luaL_Reg *functions) {
    luaL_setfuncs(L, functions, 0);
    lua_pop(L, 1);
}

void mw_bounded_open_callbacks(lua_State *L) {
    static const luaL_Reg in_string[] = {{"gsub", gsub_with_callback}, {NULL, NULL}};
    static const luaL_Reg in_table[] = {{"sort", sort_with_callback}, {NULL, NULL}};
    lua_getglobal(L, LUA_STRLIBNAME);
    stand_in(L, in_string);
    lua_getglobal(L, LUA_TABLIBNAME);
    stand_in(L, in_table);
}

void mw_bounded_open(lua_State *L) {
    static const luaL_Reg own_string[] = {
        {"find", mw_l_find}, {"match", mw_l_match}, {"gmatch", mw_l_gmatch}, {"gsub", mw_l_gsub}, {NULL, NULL},
    };
    static const luaL_Reg in_string[] = {
        {"rep", bounded_rep}, {"format", bounded_format}, {"pack", bounded_pack}, {NULL, NULL},
    };
    static const luaL_Reg own_table[] = {
        {"concat", mw_bounded_concat}, {"insert", mw_bounded_insert}, {"move", mw_bounded_move},
        {"remove", mw_bounded_remove}, {"sort", mw_l_sort},           {NULL, NULL},
    };
    static const luaL_Reg in_os[] = {{"date", bounded_date}, {NULL, NULL}};
    lua_getglobal(L, LUA_STRLIBNAME);
    lua_pushvalue(L, -1);
    replace_functions(L, own_string);
    stand_in(L, in_string);
    lua_getglobal(L, LUA_TABLIBNAME);
    replace_functions(L, own_table);
    lua_getglobal(L, LUA_OSLIBNAME);
    stand_in(L, in_os);
}
