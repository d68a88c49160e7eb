#include "script/l_ipset.h"

#include "net/network_table.h"
#include "net/network_text.h"
#include "script/check.h"
#include "script/l_address.h"

#include <arpa/inet.h>
#include <lauxlib.h>
#include <string.h>

static const char TYPE[] = "moonwire.ipset_table";

/* The table is the userdata itself: it counts as memory of the service. */
static struct mw_network_table *push_table(lua_State *L, size_t room) {
    struct mw_network_table *table = mw_network_table_init(lua_newuserdatauv(L, mw_network_table_size(room), 0));
    luaL_setmetatable(L, TYPE);
    return table;
}

/* table(list) → table; each network has its place in the list for a number | nil, place, why */
static int ipset_table(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_Integer count = luaL_len(L, 1);
    luaL_argcheck(L, count >= 0 && count <= INT32_MAX, 1, "too many networks");
    struct mw_network_table *table = push_table(L, (size_t)count);
    for (lua_Integer i = 1; i <= count; i++) {
        struct mw_network network = {.bits = 0};
        const char *why = "no text";
        size_t size = 0;
        bool is_text = lua_geti(L, 1, i) == LUA_TSTRING;
        const char *text = is_text ? lua_tolstring(L, -1, &size) : NULL;
        if (!text || !mw_network_parse(&network, text, size, &why)) {
            lua_pushnil(L);
            lua_pushinteger(L, i);
            lua_pushstring(L, why);
            return 3;
        }
        mw_network_table_add(table, &network, (uint32_t)i);
        lua_pop(L, 1);
    }
    mw_network_table_sort(table);
    return 1;
}

static size_t count_lines(const char *text, size_t size) {
    size_t count = 1;
    const char *at = text, *end = text + size;
    while ((at = memchr(at, '\n', (size_t)(end - at)))) {
        at++;
        count++;
    }
    return count;
}

/* parse(text) → table, values; the number of a network is the place of its value, which is true where none was said |
 * nil, line, why */
static int ipset_parse(lua_State *L) {
    struct mw_network_text text;
    size_t size;
    const char *bytes = luaL_checklstring(L, 1, &size);
    size_t lines = count_lines(bytes, size);
    luaL_argcheck(L, lines <= INT32_MAX, 1, "too many lines");
    struct mw_network_table *table = push_table(L, lines);
    lua_newtable(L);
    enum mw_network_text_result result;
    lua_Integer count = 0;
    mw_network_text_init(&text, bytes, size);
    while ((result = mw_network_text_next(&text)) == MW_NETWORK_TEXT_ONE) {
        mw_network_table_add(table, &text.network, (uint32_t)++count);
        if (text.value_size) {
            lua_pushlstring(L, text.value, text.value_size);
        } else {
            lua_pushboolean(L, true);
        }
        lua_rawseti(L, -2, count);
    }
    if (result == MW_NETWORK_TEXT_BAD) {
        lua_pushnil(L);
        lua_pushinteger(L, (lua_Integer)text.line);
        lua_pushstring(L, text.why);
        return 3;
    }
    mw_network_table_sort(table);
    return 2;
}

/* network(address, v4_bits, v6_bits) → the network of so many bits that it is in | nil */
static int ipset_network(lua_State *L) {
    uint8_t bytes[16], cut[16];
    char text[INET6_ADDRSTRLEN];
    int v4_bits = (int)mw_check_count(L, 2, 0, 32), v6_bits = (int)mw_check_count(L, 3, 0, 128);
    if (!mw_l_check_address_bytes(L, 1, bytes)) {
        return 0;
    }
    bool is_v4 = mw_network_is_v4(bytes);
    int bits = is_v4 ? v4_bits : v6_bits, all = is_v4 ? 32 : 128;
    mw_network_cut(cut, bytes, is_v4 ? 96 + bits : bits);
    inet_ntop(is_v4 ? AF_INET : AF_INET6, is_v4 ? cut + 12 : cut, text, sizeof text);
    lua_pushfstring(L, bits < all ? "%s/%d" : "%s", text, bits);
    return 1;
}

/* table:find(address) → number | nil */
static int table_find(lua_State *L) {
    const struct mw_network_table *table = luaL_checkudata(L, 1, TYPE);
    uint8_t bytes[16];
    uint32_t number;
    if (!mw_l_check_address_bytes(L, 2, bytes) || !mw_network_table_find(table, bytes, &number)) {
        return 0;
    }
    lua_pushinteger(L, number);
    return 1;
}

/* table:count() → integer */
static int table_count(lua_State *L) {
    lua_pushinteger(L, (lua_Integer)mw_network_table_count(luaL_checkudata(L, 1, TYPE)));
    return 1;
}

void mw_l_ipset_open(lua_State *L) {
    static const luaL_Reg methods[] = {{"find", table_find}, {"count", table_count}, {NULL, NULL}};
    static const luaL_Reg metamethods[] = {{NULL, NULL}};
    static const luaL_Reg functions[] = {{"table", ipset_table}, {"parse", ipset_parse}, {"network", ipset_network}, {NULL, NULL}};
    mw_new_type(L, TYPE, methods, metamethods);
    mw_set_functions(L, "ipset", functions);
}
