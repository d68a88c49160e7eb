#include "script/l_log.h"

#include "script/check.h"
#include "script/report.h"
#include "script/sched.h"

#include <string.h>

enum { FIELDS_MAX = 32 };

static enum mw_log_level check_level(lua_State *L, int index) {
    const char *name = luaL_checkstring(L, index);
    int level = mw_log_level_named(name);
    luaL_argcheck(L, level >= 0, index, "\"debug\", \"info\", \"warn\" or \"error\" expected");
    return (enum mw_log_level)level;
}

/* The keys are on the stack at `keys`, sorted, so that entries read alike. */
static size_t collect(lua_State *L, int table, struct mw_log_field *fields, size_t room) {
    size_t count = 0;
    lua_pushnil(L);
    while (lua_next(L, table)) {
        luaL_argcheck(L, lua_type(L, -2) == LUA_TSTRING, table, "field names must be strings");
        luaL_argcheck(L, count < room, table, "too many fields");
        luaL_checkstack(L, 4, "too many fields");
        int type = lua_type(L, -1);
        struct mw_log_field *field = &fields[count++];
        field->key = lua_tostring(L, -2);
        field->value = luaL_tolstring(L, -1, &field->length);
        field->bare = type == LUA_TNUMBER || type == LUA_TBOOLEAN;
        lua_replace(L, -2); /* the text stays on the stack while the entry is written */
        lua_pushvalue(L, -2);
    }
    return count;
}

static void sort(struct mw_log_field *fields, size_t count) {
    for (size_t i = 1; i < count; i++) {
        struct mw_log_field moved = fields[i];
        size_t place = i;
        for (; place > 0 && strcmp(fields[place - 1].key, moved.key) > 0; place--) {
            fields[place] = fields[place - 1];
        }
        fields[place] = moved;
    }
}

static int write_entry(lua_State *L, enum mw_log_level level) {
    size_t length, count = 0;
    const char *message = luaL_checklstring(L, 1, &length);
    struct mw_report_context context;
    struct mw_log_field fields[FIELDS_MAX + MW_REPORT_FIELDS];
    if (!lua_isnoneornil(L, 2)) {
        luaL_checktype(L, 2, LUA_TTABLE);
    }
    lua_settop(L, 2);
    if (!mw_log_enabled(level)) {
        return 0;
    }
    struct mw_sched *sched = mw_sched_of(L);
    mw_report_context(&context, sched, sched->running);
    memcpy(fields, context.fields, context.count * sizeof *fields);
    if (lua_istable(L, 2)) {
        count = collect(L, 2, fields + context.count, FIELDS_MAX);
        sort(fields + context.count, count);
    }
    mw_log_write(level, message, length, fields, context.count + count);
    return 0;
}

static int log_debug(lua_State *L) {
    return write_entry(L, MW_LOG_DEBUG);
}

static int log_info(lua_State *L) {
    return write_entry(L, MW_LOG_INFO);
}

static int log_warn(lua_State *L) {
    return write_entry(L, MW_LOG_WARN);
}

static int log_error(lua_State *L) {
    return write_entry(L, MW_LOG_ERROR);
}

static int log_set_level(lua_State *L) {
    mw_log_set_level(check_level(L, 1));
    return 0;
}

static int log_get_level(lua_State *L) {
    static const char *const names[] = {"debug", "info", "warn", "error"};
    lua_pushstring(L, names[mw_log_get_level()]);
    return 1;
}

static int log_enabled(lua_State *L) {
    lua_pushboolean(L, mw_log_enabled(check_level(L, 1)));
    return 1;
}

static const luaL_Reg functions[] = {
    {"debug", log_debug},         {"info", log_info},           {"warn", log_warn},
    {"error", log_error},         {"set_level", log_set_level}, {"get_level", log_get_level},
    {"is_enabled", log_enabled}, {NULL, NULL},
};

void mw_l_log_open(lua_State *L) {
    mw_set_functions(L, "log", functions);
}
