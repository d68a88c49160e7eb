/* string.find, match, gmatch and gsub over src/base/pattern: in a sandboxed
 * state with a budget of steps, and gsub calls functions that may wait. */
#ifndef MW_SCRIPT_L_PATTERN_H
#define MW_SCRIPT_L_PATTERN_H

#include "base/pattern.h"

#include <lua.h>

/* find(s, pattern [, init [, plain]]), match(s, pattern [, init]), gmatch(s, pattern [, init]) */
int mw_l_find(lua_State *L);
int mw_l_match(lua_State *L);
int mw_l_gmatch(lua_State *L);

/* gsub(s, pattern, replacement [, n]) */
int mw_l_gsub(lua_State *L);

/* Raises what is wrong with the pattern. */
int mw_l_pattern_fail(lua_State *L, const struct mw_pattern *pattern);

/* Pushes capture `index`, from 0, of the match; without captures the whole match is the first. */
void mw_l_push_capture(lua_State *L, const struct mw_pattern *pattern, int index, const char *start, const char *end);

/* Pushes all captures, or the whole match when there are none; returns how many. */
int mw_l_push_captures(lua_State *L, const struct mw_pattern *pattern, const char *start, const char *end);

#endif
