#include "script/l_http_date.h"

#include "proto/http1.h"

#include <lauxlib.h>

/* The last second of the year 9999. */
#define MOMENT_MOST 253402300799.0

int mw_l_http_date(lua_State *L) {
    char date[MW_HTTP1_DATE];
    lua_Number seconds = luaL_checknumber(L, 1);
    luaL_argcheck(L, seconds >= 0 && seconds <= MOMENT_MOST, 1, "seconds since 1970 expected");
    mw_http1_date(date, (time_t)seconds);
    lua_pushstring(L, date);
    return 1;
}

int mw_l_http_parse_date(lua_State *L) {
    size_t size;
    time_t moment;
    const char *text = luaL_checklstring(L, 1, &size);
    if (!mw_http1_parse_date(text, size, &moment)) {
        return 0;
    }
    lua_pushinteger(L, (lua_Integer)moment);
    return 1;
}
