#include "script/stack.h"

#include "script/sched.h"

#include <lauxlib.h>

enum { LEVELS = 32, VARIABLES = 20, STRING_SHOWN = 80 };

/* Values as they are: a __tostring would be the script's code. */
static void add_value(struct mw_text *text, lua_State *L, int index) {
    size_t length;
    const char *string;
    switch (lua_type(L, index)) {
    case LUA_TSTRING:
        string = lua_tolstring(L, index, &length);
        mw_text_json(text, string, length > STRING_SHOWN ? STRING_SHOWN : length);
        mw_text_puts(text, length > STRING_SHOWN ? "…" : "");
        break;
    case LUA_TNUMBER:
        if (lua_isinteger(L, index)) {
            mw_text_format(text, LUA_INTEGER_FMT, lua_tointeger(L, index));
        } else {
            mw_text_format(text, LUA_NUMBER_FMT, lua_tonumber(L, index));
        }
        break;
    case LUA_TBOOLEAN: mw_text_puts(text, lua_toboolean(L, index) ? "true" : "false"); break;
    case LUA_TNIL: mw_text_puts(text, "nil"); break;
    case LUA_TTABLE: mw_text_format(text, "table of %zu", (size_t)lua_rawlen(L, index)); break;
    default: mw_text_puts(text, luaL_typename(L, index));
    }
}

/* Names that begin with a bracket are Lua's own. */
static void add_variables(struct mw_text *text, lua_State *thread, const lua_Debug *level) {
    const char *name;
    for (int i = 1; i <= VARIABLES && (name = lua_getlocal(thread, level, i)); i++) {
        if (*name != '(') {
            mw_text_format(text, "    %s = ", name);
            add_value(text, thread, -1);
            mw_text_puts(text, "\n");
        }
        lua_pop(thread, 1);
    }
}

static void add_level(struct mw_text *text, lua_State *thread, lua_Debug *level) {
    lua_getinfo(thread, "Sln", level);
    if (level->currentline > 0) {
        mw_text_format(text, "%s:%d: in ", level->short_src, level->currentline);
    } else {
        mw_text_format(text, "%s: in ", level->short_src);
    }
    if (*level->what == 'm') {
        mw_text_puts(text, "main chunk\n");
    } else if (level->name) {
        mw_text_format(text, "%s '%s'\n", level->namewhat, level->name);
    } else {
        mw_text_format(text, "function <%s:%d>\n", level->short_src, level->linedefined);
    }
}

void mw_stack_write(const struct mw_task *task, bool locals, struct mw_text *text) {
    lua_Debug level;
    lua_State *thread = task->thread;
    if (!lua_checkstack(thread, 1)) {
        return;
    }
    for (int i = 0; i < LEVELS && lua_getstack(thread, i, &level); i++) {
        add_level(text, thread, &level);
        if (locals) {
            add_variables(text, thread, &level);
        }
    }
}
