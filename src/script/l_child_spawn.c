/* process.spawn: the command, the environment and the descriptors of a child. */
#include "script/check.h"
#include "script/child_log.h"
#include "script/child_stdio.h"
#include "script/fault.h"
#include "script/l_child.h"
#include "script/sched.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

/* Seconds a child has to end by itself once it was asked to. */
static const double GRACE = 3;

/* How much garbage a child and its pipes count for, in KiB: to the collector they
 * are small, but descriptors are dear. */
enum { WEIGHT = 64 };

/* Where things lie on the stack. */
enum { OPTIONS = 1, WORDS, STRINGS, CHILD };

/* --- the command --- */

static void check_text(lua_State *L, int index, const char *what) {
    size_t length;
    const char *text = lua_tolstring(L, index, &length);
    luaL_argcheck(L, text && strlen(text) == length, 1,
                  lua_pushfstring(L, "%s: a string without zero bytes expected, got %s", what,
                                  text ? "one with them" : luaL_typename(L, index)));
}

/* Parts the table that was given into OPTIONS and WORDS, and returns how many words there are. */
static lua_Integer part(lua_State *L) {
    lua_Integer count = 0;
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lua_newtable(L);
    lua_newtable(L);
    lua_pushnil(L);
    while (lua_next(L, 1)) {
        bool is_word = lua_isinteger(L, -2);
        count += is_word;
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, is_word ? 3 : 2);
    }
    lua_remove(L, 1);
    lua_newtable(L);
    return count;
}

/* An array of `count` pointers and a NULL, which the table STRINGS keeps. */
static char **new_list(lua_State *L, lua_Integer count) {
    char **list = lua_newuserdatauv(L, ((size_t)count + 1) * sizeof *list, 0);
    list[count] = NULL;
    luaL_ref(L, STRINGS);
    return list;
}

/* The string on top, which the table STRINGS keeps from now on. */
static char *hold(lua_State *L) {
    char *text = (char *)(uintptr_t)lua_tostring(L, -1);
    luaL_ref(L, STRINGS);
    return text;
}

static char **read_words(lua_State *L, lua_Integer count) {
    luaL_argcheck(L, count > 0, 1, "a command expected, as in { \"sort\", \"-n\" }");
    char **words = new_list(L, count);
    for (lua_Integer i = 0; i < count; i++) {
        lua_rawgeti(L, WORDS, i + 1);
        check_text(L, -1, "a word of the command");
        luaL_argcheck(L, i > 0 || *lua_tostring(L, -1), 1, "the command is empty");
        words[i] = hold(L);
    }
    return words;
}

/* The folder to start in; NULL: ours. */
static const char *read_folder(lua_State *L) {
    const char *folder = mw_option_string(L, OPTIONS, "cwd");
    if (folder) {
        lua_getfield(L, OPTIONS, "cwd");
        check_text(L, -1, "option 'cwd'");
        lua_pop(L, 1);
    }
    return folder;
}

/* --- the environment --- */

/* Whether the table on top has a variable of that name: what it says goes. */
static bool is_set(lua_State *L, const char *variable) {
    const char *end = strchrnul(variable, '=');
    lua_pushlstring(L, variable, (size_t)(end - variable));
    bool set = lua_rawget(L, -2) != LUA_TNIL;
    lua_pop(L, 1);
    return set;
}

/* The variable at -2 with its value at -1, as NAME=VALUE. */
static char *read_variable(lua_State *L) {
    luaL_argcheck(L, lua_type(L, -2) == LUA_TSTRING, 1, "option 'env': names are strings");
    const char *name = lua_tostring(L, -2);
    check_text(L, -2, "a name in option 'env'");
    luaL_argcheck(L, *name && !strchr(name, '='), 1, "option 'env': a name is empty or has a '='");
    if (lua_isboolean(L, -1) && !lua_toboolean(L, -1)) {
        return NULL;
    }
    lua_pushvalue(L, -1);
    check_text(L, -1, "a value in option 'env'");
    lua_pushfstring(L, "%s=%s", name, lua_tostring(L, -1));
    lua_remove(L, -2);
    return hold(L);
}

static lua_Integer length_of(lua_State *L, bool inherits) {
    lua_Integer count = 0;
    for (char **variable = environ; inherits && *variable; variable++) {
        count++;
    }
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        count++;
        lua_pop(L, 1);
    }
    return count;
}

static char **read_environment(lua_State *L) {
    bool inherits = !mw_option_boolean(L, OPTIONS, "clear_env", false);
    if (lua_getfield(L, OPTIONS, "env") == LUA_TNIL) {
        lua_newtable(L);
        lua_replace(L, -2);
    }
    luaL_argcheck(L, lua_istable(L, -1), 1, "option 'env': a table of names and values expected");
    char **list = new_list(L, length_of(L, inherits)), **next = list;
    for (char **variable = environ; inherits && *variable; variable++) {
        if (!is_set(L, *variable)) {
            *next++ = *variable;
        }
    }
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        *next = read_variable(L);
        next += *next != NULL;
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    *next = NULL;
    return list;
}

/* --- the start --- */

/* A stream over our end, which belongs to the running task. 0 or ENOMEM. */
static int open_stream(lua_State *L, struct mw_l_child *child, int index) {
    lua_getiuservalue(L, CHILD, 1);
    struct mw_l_stream *userdata = mw_l_stream_push(L);
    struct mw_stream *stream = mw_stream_new_pipe(child->sched->net, child->ours[index], index == 0);
    if (!stream) {
        lua_pop(L, 2);
        return ENOMEM;
    }
    child->ours[index] = -1;
    child->stdio[index] = userdata;
    mw_l_stream_hold(userdata, stream, NULL, &mw_l_profile_default);
    child->stdio[index]->is_of_child = true;
    mw_task_own(L, &child->stdio[index]->resource);
    lua_setfield(L, -2, mw_child_stdio_names[index]);
    lua_pop(L, 1);
    return 0;
}

/* Lives as long as mw_l_child_spawn runs. */
struct spawning {
    struct mw_child_plan plan;
    struct mw_child_stdio stdio;
    struct mw_child_log *logs[3];
    struct mw_fault fault;
};

static int open_log(struct mw_l_child *child, struct spawning *spawning, int index) {
    spawning->logs[index] = mw_child_log_new(child->sched, child->ours[index], spawning->plan.program);
    if (!spawning->logs[index]) {
        return ENOMEM;
    }
    child->ours[index] = -1;
    return 0;
}

/* All that can raise comes before the first log, which only this function knows of. */
static int open_all(lua_State *L, struct mw_l_child *child, struct spawning *spawning) {
    int error = mw_child_stdio_open(&spawning->stdio, child->ours, child->theirs);
    for (int i = 0; i < 3 && !error; i++) {
        error = spawning->stdio.role[i] == MW_CHILD_STREAM ? open_stream(L, child, i) : 0;
    }
    lua_pushvalue(L, CHILD);
    child->self = luaL_ref(L, LUA_REGISTRYINDEX);
    for (int i = 0; i < 3 && !error; i++) {
        error = spawning->stdio.role[i] == MW_CHILD_LOGGED ? open_log(child, spawning, i) : 0;
    }
    return error;
}

static void close_theirs(struct mw_l_child *child) {
    for (int i = 0; i < 3; i++) {
        if (child->theirs[i] >= 0) {
            close(child->theirs[i]);
            child->theirs[i] = -1;
        }
    }
}

/* It will never run. */
static int give_up(lua_State *L, struct mw_l_child *child, struct spawning *spawning) {
    close_theirs(child);
    for (int i = 0; i < 3; i++) {
        if (child->stdio[i]) {
            child->stdio[i]->resource.close(&child->stdio[i]->resource);
        }
        if (spawning->logs[i]) {
            mw_child_log_free(spawning->logs[i]);
        }
        if (child->ours[i] >= 0) {
            close(child->ours[i]);
            child->ours[i] = -1;
        }
    }
    luaL_unref(L, LUA_REGISTRYINDEX, child->self);
    child->self = LUA_NOREF;
    return mw_push_fault(L, &spawning->fault);
}

static bool start(lua_State *L, struct mw_l_child *child, struct spawning *spawning) {
    int error = open_all(L, child, spawning);
    if (error) {
        mw_fault_set(&spawning->fault, error, "spawn", spawning->plan.program);
        return false;
    }
    memcpy(spawning->plan.stdio, child->theirs, sizeof child->theirs);
    child->child = mw_child_start(mw_loop_children(child->sched->loop), &spawning->plan, mw_l_child_on_exit,
                                  child, &spawning->fault);
    return child->child != NULL;
}

static void note_start(lua_State *L, struct mw_l_child *child, const struct spawning *spawning) {
    close_theirs(child);
    child->id = mw_child_id(child->child);
    for (int i = 0; i < 3; i++) {
        if (spawning->logs[i]) {
            mw_child_log_name(spawning->logs[i], child->id);
        }
    }
    mw_task_own(L, &child->resource);
}

/* spawn { command, argument…, options } → child | nil, err, code */
int mw_l_child_spawn(lua_State *L) {
    static const char *const known[] = {"env",    "clear_env", "cwd",        "stdin", "stdout",
                                        "stderr", "group",     "kill_after", NULL};
    lua_Integer count = part(L);
    mw_check_options(L, OPTIONS, known);
    struct spawning spawning = {.stdio = mw_child_stdio_read(L, OPTIONS)};
    spawning.plan.arguments = read_words(L, count);
    spawning.plan.program = spawning.plan.arguments[0];
    spawning.plan.environment = read_environment(L);
    spawning.plan.folder = read_folder(L);
    spawning.plan.group = mw_option_boolean(L, OPTIONS, "group", true);
    double grace = mw_option_seconds(L, OPTIONS, "kill_after", GRACE);
    lua_gc(L, LUA_GCSTEP, WEIGHT);
    struct mw_l_child *child = mw_l_child_push(L, spawning.plan.program);
    child->grace = grace;
    if (!start(L, child, &spawning)) {
        return give_up(L, child, &spawning);
    }
    note_start(L, child, &spawning);
    lua_settop(L, CHILD);
    return 1;
}
