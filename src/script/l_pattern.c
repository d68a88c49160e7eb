#include "script/l_pattern.h"

#include "script/bounds.h"

#include <lauxlib.h>
#include <string.h>

int mw_l_pattern_fail(lua_State *L, const struct mw_pattern *pattern) {
    return luaL_error(L, "%s", pattern->fault);
}

void mw_l_push_capture(lua_State *L, const struct mw_pattern *pattern, int index, const char *start, const char *end) {
    const struct mw_capture *capture = &pattern->capture[index];
    if (index >= pattern->captures) {
        if (index > 0) {
            luaL_error(L, "invalid capture index %%%d", index + 1);
        }
        lua_pushlstring(L, start, (size_t)(end - start));
    } else if (capture->length == MW_CAPTURE_POSITION) {
        lua_pushinteger(L, capture->start - pattern->subject + 1);
    } else if (capture->length == MW_CAPTURE_OPEN) {
        luaL_error(L, "unfinished capture");
    } else {
        lua_pushlstring(L, capture->start, (size_t)capture->length);
    }
}

static int push_explicit_captures(lua_State *L, const struct mw_pattern *pattern) {
    luaL_checkstack(L, pattern->captures, "too many captures");
    for (int i = 0; i < pattern->captures; i++) {
        mw_l_push_capture(L, pattern, i, NULL, NULL);
    }
    return pattern->captures;
}

int mw_l_push_captures(lua_State *L, const struct mw_pattern *pattern, const char *start, const char *end) {
    if (pattern->captures > 0) {
        return push_explicit_captures(L, pattern);
    }
    mw_l_push_capture(L, pattern, 0, start, end);
    return 1;
}

/* The offset that the argument names: from 1, or from the end when it is negative. */
static size_t check_offset(lua_State *L, int index, size_t length) {
    lua_Integer position = luaL_optinteger(L, index, 1);
    if (position > 0) {
        return (size_t)position - 1;
    }
    if (position == 0 || position < -(lua_Integer)length) {
        return 0;
    }
    return (size_t)((lua_Integer)length + position);
}

static int find_plain(lua_State *L, const char *subject, size_t length, const char *text, size_t text_length,
                      size_t offset) {
    const char *found = memmem(subject + offset, length - offset, text, text_length);
    if (!found) {
        luaL_pushfail(L);
        return 1;
    }
    lua_pushinteger(L, found - subject + 1);
    lua_pushinteger(L, found - subject + (lua_Integer)text_length);
    return 2;
}

static int find_or_match(lua_State *L, bool finds) {
    size_t length, text_length;
    const char *subject = luaL_checklstring(L, 1, &length), *text = luaL_checklstring(L, 2, &text_length);
    size_t offset = check_offset(L, 3, length);
    if (offset > length) {
        luaL_pushfail(L);
        return 1;
    }
    if (finds && (lua_toboolean(L, 4) || mw_pattern_is_plain(text, text_length))) {
        return find_plain(L, subject, length, text, text_length, offset);
    }
    bool anchored = text_length > 0 && *text == '^';
    struct mw_pattern pattern;
    const char *at = subject + offset, *end;
    mw_pattern_init(&pattern, subject, length, text + anchored, text_length - anchored,
                    mw_bound_steps(L, length));
    enum mw_pattern_result result =
        anchored ? mw_pattern_match(&pattern, at, &end) : mw_pattern_find(&pattern, &at, &end);
    if (result == MW_PATTERN_FAULT) {
        return mw_l_pattern_fail(L, &pattern);
    }
    if (result == MW_PATTERN_DIFFERS) {
        luaL_pushfail(L);
        return 1;
    }
    if (!finds) {
        return mw_l_push_captures(L, &pattern, at, end);
    }
    lua_pushinteger(L, at - subject + 1);
    lua_pushinteger(L, end - subject);
    return 2 + push_explicit_captures(L, &pattern);
}

int mw_l_find(lua_State *L) {
    return find_or_match(L, true);
}

int mw_l_match(lua_State *L) {
    return find_or_match(L, false);
}

/* Where gmatch stands, as offsets. */
struct walk {
    size_t at;
    size_t last; /* the end of the last match, SIZE_MAX: there was none */
};

/* Upvalues: subject, pattern, walk. An empty match at the end of the last one is none. */
static int next_match(lua_State *L) {
    size_t length, text_length;
    const char *subject = lua_tolstring(L, lua_upvalueindex(1), &length);
    const char *text = lua_tolstring(L, lua_upvalueindex(2), &text_length);
    struct walk *walk = lua_touserdata(L, lua_upvalueindex(3));
    struct mw_pattern pattern;
    mw_pattern_init(&pattern, subject, length, text, text_length, mw_bound_steps(L, length));
    for (size_t at = walk->at; at <= length; at++) {
        const char *end;
        enum mw_pattern_result result = mw_pattern_match(&pattern, subject + at, &end);
        if (result == MW_PATTERN_FAULT) {
            return mw_l_pattern_fail(L, &pattern);
        }
        if (result == MW_PATTERN_MATCHES && (size_t)(end - subject) != walk->last) {
            walk->at = walk->last = (size_t)(end - subject);
            return mw_l_push_captures(L, &pattern, subject + at, end);
        }
    }
    return 0;
}

int mw_l_gmatch(lua_State *L) {
    size_t length;
    luaL_checklstring(L, 1, &length);
    luaL_checkstring(L, 2);
    size_t offset = check_offset(L, 3, length);
    lua_settop(L, 2);
    struct walk *walk = lua_newuserdatauv(L, sizeof *walk, 0);
    *walk = (struct walk){.at = offset > length ? length + 1 : offset, .last = SIZE_MAX};
    lua_pushcclosure(L, next_match, 3);
    return 1;
}
