/* Arguments were checked in Lua (lua/moonwire/gate/rules.lua). */
#include "script/l_signature.h"

#include "proto/signature.h"
#include "script/check.h"

#include <lauxlib.h>

static const char SET[] = "moonwire.signature_set", SCAN[] = "moonwire.signature_scan";

static struct mw_signatures *check_set(lua_State *L, int index) {
    struct mw_signatures **set = luaL_checkudata(L, index, SET);
    return *set;
}

static struct mw_scan *check_scan(lua_State *L) {
    struct mw_scan **scan = luaL_checkudata(L, 1, SCAN);
    return *scan;
}

/* The one on top of the stack: { text, whether it is an expression, within }, whose text the list holds. */
static void read_one(lua_State *L, struct mw_signature *signature) {
    luaL_checktype(L, -1, LUA_TTABLE);
    lua_geti(L, -1, 1);
    lua_geti(L, -2, 2);
    lua_geti(L, -3, 3);
    luaL_argcheck(L, lua_type(L, -3) == LUA_TSTRING, 1, "text expected");
    lua_Integer within = lua_tointeger(L, -1);
    luaL_argcheck(L, within > 0, 1, "a number of bytes expected");
    signature->text = lua_tolstring(L, -3, &signature->size);
    signature->is_regex = lua_toboolean(L, -2);
    signature->within = (uint64_t)within;
    lua_pop(L, 3);
}

static int push_refusal(lua_State *L, size_t wrong, size_t count, const char *why) {
    if (wrong == count) {
        return luaL_error(L, "not enough memory");
    }
    lua_pushnil(L);
    lua_pushinteger(L, (lua_Integer)wrong + 1);
    lua_pushstring(L, why);
    return 3;
}

/* set(list) → set | nil, place, why */
static int signature_set(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_Integer count = luaL_len(L, 1);
    luaL_argcheck(L, count <= MW_SIGNATURES_MOST, 1, "too many signatures");
    struct mw_signature *list = lua_newuserdatauv(L, (size_t)(count + 1) * sizeof *list, 0);
    struct mw_signatures **set = lua_newuserdatauv(L, sizeof(struct mw_signatures *), 0);
    *set = NULL;
    luaL_setmetatable(L, SET);
    for (lua_Integer i = 0; i < count; i++) {
        lua_geti(L, 1, i + 1);
        read_one(L, &list[i]);
        lua_pop(L, 1);
    }
    size_t wrong;
    char why[128];
    *set = mw_signatures_new(list, (size_t)count, &wrong, why);
    return *set ? 1 : push_refusal(L, wrong, (size_t)count, why);
}

/* set:scan() → scan, which keeps the set */
static int set_scan(lua_State *L) {
    struct mw_signatures *set = check_set(L, 1);
    struct mw_scan **scan = lua_newuserdatauv(L, sizeof(struct mw_scan *), 1);
    *scan = NULL;
    luaL_setmetatable(L, SCAN);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    *scan = set ? mw_scan_new(set) : NULL;
    return *scan ? 1 : luaL_error(L, "not enough memory");
}

/* What one piece has brought to light: numbers, in the order in which they were found; who gave up is negative. */
struct finds {
    size_t count;
    int32_t numbers[MW_SIGNATURES_MOST];
};

static void note(void *context, size_t number, enum mw_scan_result result) {
    struct finds *finds = context;
    int32_t place = (int32_t)number + 1;
    finds->numbers[finds->count++] = result == MW_SCAN_FOUND ? place : -place;
}

/* scan:feed(bytes, last) → list of places, those that gave up as negative | nil when there are none */
static int scan_feed(lua_State *L) {
    struct finds finds;
    size_t size;
    struct mw_scan *scan = check_scan(L);
    const char *bytes = luaL_checklstring(L, 2, &size);
    finds.count = 0;
    if (scan) {
        mw_scan_feed(scan, bytes, size, lua_toboolean(L, 3), note, &finds);
    }
    if (finds.count == 0) {
        return 0;
    }
    lua_createtable(L, (int)finds.count, 0);
    for (size_t i = 0; i < finds.count; i++) {
        lua_pushinteger(L, finds.numbers[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* scan:is_done() → boolean */
static int scan_is_done(lua_State *L) {
    const struct mw_scan *scan = check_scan(L);
    lua_pushboolean(L, !scan || mw_scan_is_done(scan));
    return 1;
}

static int set_gc(lua_State *L) {
    struct mw_signatures **set = luaL_checkudata(L, 1, SET);
    mw_signatures_free(*set);
    *set = NULL;
    return 0;
}

static int scan_gc(lua_State *L) {
    struct mw_scan **scan = luaL_checkudata(L, 1, SCAN);
    mw_scan_free(*scan);
    *scan = NULL;
    return 0;
}

void mw_l_signature_open(lua_State *L) {
    static const luaL_Reg set_methods[] = {{"scan", set_scan}, {NULL, NULL}};
    static const luaL_Reg set_metamethods[] = {{"__gc", set_gc}, {NULL, NULL}};
    static const luaL_Reg scan_methods[] = {{"feed", scan_feed}, {"is_done", scan_is_done}, {NULL, NULL}};
    static const luaL_Reg scan_metamethods[] = {{"__gc", scan_gc}, {NULL, NULL}};
    static const luaL_Reg functions[] = {{"set", signature_set}, {NULL, NULL}};
    mw_new_type(L, SET, set_methods, set_metamethods);
    mw_new_type(L, SCAN, scan_methods, scan_metamethods);
    mw_set_functions(L, "signature", functions);
}
