#include "script/report.h"

#include "net/stream.h"
#include "script/l_stream.h"
#include "script/sched.h"

#include <inttypes.h>
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

enum { LEVELS = 16 }; /* lines of a traceback */

static void add(struct mw_report_context *context, const char *key, const char *value, bool bare) {
    context->fields[context->count++] =
        (struct mw_log_field){.key = key, .value = value, .length = strlen(value), .bare = bare};
}

/* Which of the exchanges on a connection it is. */
static void add_request(struct mw_report_context *context, struct mw_l_stream *connection) {
    if (connection->role) {
        snprintf(context->request, sizeof context->request, "%016" PRIx64, connection->role->id(connection));
        add(context, "request", context->request, true);
    }
}

void mw_report_context(struct mw_report_context *context, const struct mw_sched *sched, const struct mw_task *task) {
    context->count = 0;
    add(context, "service", sched->name, false);
    if (!task || task == &sched->root) {
        return;
    }
    struct mw_l_stream *connection = mw_task_connection(task);
    if (connection) {
        mw_l_stream_name(connection, context->connection, sizeof context->connection);
        add(context, "connection", context->connection, false);
        add_request(context, connection);
    }
    snprintf(context->id, sizeof context->id, "%u", (unsigned)task->id);
    add(context, "task", context->id, true);
}

void mw_report_death(const struct mw_task *task, const char *message, const char *traceback) {
    struct mw_report_context context;
    char details[MW_LOG_VALUE_MAX];
    size_t first = strcspn(message, "\n");
    const char *rest = message[first] ? message + first + 1 : "";
    mw_report_context(&context, task->sched, task);
    snprintf(details, sizeof details, "%s%s%s", rest, *rest && traceback ? "\n" : "", traceback ? traceback : "");
    if (*details) {
        add(&context, "traceback", details, false);
    }
    mw_log_write(traceback ? MW_LOG_ERROR : MW_LOG_INFO, message, first, context.fields, context.count);
}

static int protected_tostring(lua_State *L) {
    luaL_tolstring(L, 1, NULL);
    return 1;
}

const char *mw_report_text(lua_State *L, int index) {
    index = lua_absindex(L, index);
    if (lua_type(L, index) == LUA_TSTRING) {
        lua_pushvalue(L, index);
        return lua_tostring(L, -1);
    }
    if (luaL_getmetafield(L, index, "__tostring") != LUA_TNIL) {
        lua_pop(L, 1);
        lua_pushcfunction(L, protected_tostring);
        lua_pushvalue(L, index);
        if (lua_pcall(L, 1, 1, 0) == LUA_OK && lua_type(L, -1) == LUA_TSTRING) {
            return lua_tostring(L, -1);
        }
        lua_pop(L, 1);
    }
    return lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, index));
}

/* Levels of our own library say nothing to a script author. */
bool mw_report_is_library(const lua_Debug *level, const char *library) {
    size_t length = strlen(library);
    return *level->source == '@' && strncmp(level->source + 1, library, length) == 0 && level->source[1 + length] == '/';
}

static void add_level(luaL_Buffer *buffer, lua_State *L, const lua_Debug *level) {
    if (level->currentline > 0) {
        lua_pushfstring(L, "%s:%d: in ", level->short_src, level->currentline);
    } else {
        lua_pushfstring(L, "%s: in ", level->short_src);
    }
    luaL_addvalue(buffer);
    if (*level->what == 'm') {
        lua_pushliteral(L, "main chunk");
    } else if (*level->namewhat) {
        lua_pushfstring(L, "%s '%s'", level->namewhat, level->name);
    } else if (*level->what == 'C') {
        lua_pushliteral(L, "?");
    } else {
        lua_pushfstring(L, "function <%s:%d>", level->short_src, level->linedefined);
    }
    luaL_addvalue(buffer);
}

/* The number of the outermost level. Reaching a level takes time in proportion
 * to its number: after an overflow of the stack there are 200,000. */
static int outermost_level(lua_State *thread) {
    lua_Debug level;
    int found = -1, beyond = 1;
    while (lua_getstack(thread, beyond, &level)) {
        found = beyond;
        beyond *= 2;
    }
    while (beyond - found > 1) {
        int middle = found + (beyond - found) / 2;
        if (lua_getstack(thread, middle, &level)) {
            found = middle;
        } else {
            beyond = middle;
        }
    }
    return found;
}

/* The number of the last level that is in a script, -1 when none is: what C
 * functions called it from is of no use. */
static int last_script_level(lua_State *thread, const char *library) {
    lua_Debug level;
    int number = outermost_level(thread);
    for (; number >= 0 && lua_getstack(thread, number, &level); number--) {
        lua_getinfo(thread, "S", &level);
        if (*level.what != 'C' && !mw_report_is_library(&level, library)) {
            break;
        }
    }
    return number;
}

void mw_report_traceback(lua_State *L, lua_State *thread) {
    const char *library = mw_sched_of(L)->library;
    int last = last_script_level(thread, library), printed = 0;
    luaL_Buffer buffer;
    lua_Debug level;
    luaL_buffinit(L, &buffer);
    for (int number = 0; number <= last && lua_getstack(thread, number, &level); number++) {
        lua_getinfo(thread, "Slnt", &level);
        if ((printed == 0 && *level.what == 'C') || mw_report_is_library(&level, library)) {
            continue;
        }
        if (printed > 0) {
            luaL_addchar(&buffer, '\n');
        }
        if (++printed > LEVELS) {
            luaL_addstring(&buffer, "...");
            break;
        }
        add_level(&buffer, L, &level);
    }
    luaL_pushresult(&buffer);
}
