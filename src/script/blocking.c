#include "script/blocking.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <string.h>

/* Moonwire's own modules are not in the list, and the list is one of them. */
static bool is_ours(const char *name) {
    return strncmp(name, "moonwire.", sizeof "moonwire." - 1) == 0;
}

/* A searcher that never finds anything: (name) → nothing. */
static int note(lua_State *L) {
    const char *name = luaL_checkstring(L, 1);
    if (is_ours(name)) {
        return 0;
    }
    lua_getglobal(L, "require");
    lua_pushliteral(L, "moonwire.blocking");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "note");
    lua_pushvalue(L, 1);
    lua_call(L, 1, 0);
    return 0;
}

/* Behind the first searcher: what is in package.preload stands in for a module. */
void mw_blocking_watch(lua_State *L) {
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "searchers");
    for (lua_Integer last = (lua_Integer)lua_rawlen(L, -1); last >= 2; last--) {
        lua_rawgeti(L, -1, last);
        lua_rawseti(L, -2, last + 1);
    }
    lua_pushcfunction(L, note);
    lua_rawseti(L, -2, 2);
    lua_pop(L, 2);
}
