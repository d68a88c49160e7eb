/* Dates of HTTP, for the parts of it that are written in Lua. */
#ifndef MW_SCRIPT_L_HTTP_DATE_H
#define MW_SCRIPT_L_HTTP_DATE_H

#include <lua.h>

/* date(seconds since 1970) → "Sun, 06 Nov 1994 08:49:37 GMT" */
int mw_l_http_date(lua_State *L);

/* parse_date(text) → seconds since 1970 | nil, for any form that HTTP knows */
int mw_l_http_parse_date(lua_State *L);

#endif
