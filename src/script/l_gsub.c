#include "script/bounds.h"
#include "script/l_pattern.h"

#include <ctype.h>
#include <lauxlib.h>
#include <string.h>

/* What lies where on the stack of gsub. */
enum { SUBJECT = 1, PATTERN, REPLACEMENT, LIMIT, STATE, OUTPUT };

/* Where gsub stands, as offsets into the subject: all of it survives a wait in the
 * function that gives the replacements. */
struct gsub {
    size_t at;
    size_t last;   /* the end of the last match, SIZE_MAX: there was none */
    size_t copied; /* what is before it is in the output already */
    size_t start, end; /* of the match that is being replaced */
    lua_Integer count, most;
    uint64_t steps;
    size_t used, room; /* of the output, which is behind this struct until OUTPUT holds it */
    bool anchored, changed;
};

enum { SMALL = 1024 }; /* bytes of output behind the struct, at most */

static char *output_of(lua_State *L, struct gsub *g) {
    return lua_isnil(L, OUTPUT) ? (char *)(g + 1) : lua_touserdata(L, OUTPUT);
}

static char *make_room(lua_State *L, struct gsub *g, size_t size) {
    if (size > mw_bound_bytes(L) - g->used) {
        mw_bound_refuse_bytes(L);
    }
    char *output = output_of(L, g);
    if (g->used + size > g->room) {
        size_t room = (g->used + size) * 2;
        char *larger = lua_newuserdatauv(L, room, 0);
        memcpy(larger, output, g->used);
        lua_replace(L, OUTPUT);
        g->room = room;
        output = larger;
    }
    return output + g->used;
}

static void add(lua_State *L, struct gsub *g, const char *bytes, size_t size) {
    if (size > 0) {
        memcpy(make_room(L, g, size), bytes, size);
        g->used += size;
    }
}

/* Adds the string on top, and pops it. */
static void add_value(lua_State *L, struct gsub *g) {
    size_t size;
    const char *bytes = lua_tolstring(L, -1, &size);
    add(L, g, bytes, size);
    lua_pop(L, 1);
}

/* What is before the match stays as it is. */
static void add_untouched(lua_State *L, struct gsub *g, size_t end) {
    add(L, g, lua_tostring(L, SUBJECT) + g->copied, end - g->copied);
    g->copied = end;
}

/* A replacement string, in which % and a digit stand for a capture. */
static void add_template(lua_State *L, struct gsub *g, const struct mw_pattern *m) {
    size_t length;
    const char *text = lua_tolstring(L, REPLACEMENT, &length), *end = text + length, *mark;
    add_untouched(L, g, g->start);
    while ((mark = memchr(text, '%', (size_t)(end - text)))) {
        add(L, g, text, (size_t)(mark - text));
        text = mark + 2;
        unsigned char letter = (unsigned char)mark[1];
        if (letter == '%') {
            add(L, g, "%", 1);
        } else if (letter == '0') {
            add(L, g, m->subject + g->start, g->end - g->start);
        } else if (isdigit(letter)) {
            mw_l_push_capture(L, m, letter - '1', m->subject + g->start, m->subject + g->end);
            luaL_tolstring(L, -1, NULL);
            lua_remove(L, -2);
            add_value(L, g);
        } else {
            luaL_error(L, "invalid use of '%c' in replacement string", '%');
        }
    }
    add(L, g, text, (size_t)(end - text));
    g->copied = g->end;
    g->changed = true;
}

/* Takes the value on top in place of the match: false and nil leave it as it is. */
static void take_value(lua_State *L, struct gsub *g) {
    if (!lua_toboolean(L, -1)) {
        lua_pop(L, 1);
        return;
    }
    if (!lua_isstring(L, -1)) {
        luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
    }
    add_untouched(L, g, g->start);
    add_value(L, g);
    g->copied = g->end;
    g->changed = true;
}

static int finish(lua_State *L, struct gsub *g) {
    size_t length;
    lua_tolstring(L, SUBJECT, &length);
    if (g->changed) {
        add_untouched(L, g, length);
        lua_pushlstring(L, output_of(L, g), g->used);
    } else {
        lua_pushvalue(L, SUBJECT);
    }
    lua_pushinteger(L, g->count);
    return 2;
}

static int replace_rest(lua_State *L, struct gsub *g);

static int called(lua_State *L, int status, lua_KContext context) {
    struct gsub *g = lua_touserdata(L, STATE);
    (void)status;
    (void)context;
    take_value(L, g);
    return replace_rest(L, g);
}

static void replace(lua_State *L, struct gsub *g, const struct mw_pattern *m) {
    const char *start = m->subject + g->start, *end = m->subject + g->end;
    switch (lua_type(L, REPLACEMENT)) {
    case LUA_TFUNCTION: {
        lua_pushvalue(L, REPLACEMENT);
        int count = mw_l_push_captures(L, m, start, end);
        lua_callk(L, count, 1, 0, called);
        take_value(L, g);
        break;
    }
    case LUA_TTABLE:
        mw_l_push_capture(L, m, 0, start, end);
        lua_gettable(L, REPLACEMENT);
        take_value(L, g);
        break;
    default: add_template(L, g, m);
    }
}

static int replace_rest(lua_State *L, struct gsub *g) {
    size_t length, text_length;
    const char *subject = lua_tolstring(L, SUBJECT, &length), *text = lua_tolstring(L, PATTERN, &text_length);
    struct mw_pattern m;
    mw_pattern_init(&m, subject, length, text + g->anchored, text_length - g->anchored, g->steps);
    while (g->count < g->most && g->at <= length && !(g->anchored && g->count + (lua_Integer)g->at > 0)) {
        const char *end;
        enum mw_pattern_result result = mw_pattern_match(&m, subject + g->at, &end);
        g->steps = m.steps;
        if (result == MW_PATTERN_FAULT) {
            return mw_l_pattern_fail(L, &m);
        }
        if (result == MW_PATTERN_MATCHES && (size_t)(end - subject) != g->last) {
            g->count++;
            g->start = g->at;
            g->at = g->last = g->end = (size_t)(end - subject);
            replace(L, g, &m);
        } else {
            g->at++;
        }
    }
    return finish(L, g);
}

int mw_l_gsub(lua_State *L) {
    size_t length, text_length;
    luaL_checklstring(L, SUBJECT, &length);
    const char *text = luaL_checklstring(L, PATTERN, &text_length);
    int type = lua_type(L, REPLACEMENT);
    lua_Integer most = luaL_optinteger(L, LIMIT, (lua_Integer)length + 1);
    luaL_argexpected(L, type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TFUNCTION || type == LUA_TTABLE,
                     REPLACEMENT, "string/function/table");
    lua_settop(L, LIMIT);
    size_t room = length < SMALL / 2 ? length * 2 : SMALL;
    struct gsub *g = lua_newuserdatauv(L, sizeof *g + room, 0);
    *g = (struct gsub){.last = SIZE_MAX, .most = most, .steps = mw_bound_steps(L, length), .room = room};
    g->anchored = text_length > 0 && *text == '^';
    lua_pushnil(L); /* OUTPUT */
    return replace_rest(L, g);
}
