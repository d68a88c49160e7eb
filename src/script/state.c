#include "script/state.h"

#include "base/log.h"
#include "base/metric.h"
#include "net/tally.h"
#include "net/tls_tickets.h"
#include "script/blocking.h"
#include "script/bounded.h"
#include "script/bus.h"
#include "script/core.h"
#include "script/fault.h"
#include "script/finalizer.h"
#include "script/guard.h"
#include "script/l_coroutine.h"
#include "script/l_xpcall.h"
#include "script/library.h"
#include "script/memory.h"
#include "script/sandbox.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>

/* Where Debian and LuaRocks keep modules for 5.4. */
#define LUA_PLACES                                                                                     \
    "/usr/local/share/lua/5.4/?.lua;/usr/local/share/lua/5.4/?/init.lua;"                              \
    "/usr/share/lua/5.4/?.lua;/usr/share/lua/5.4/?/init.lua"
#define C_PLACES                                                                                       \
    "/usr/local/lib/lua/5.4/?.so;/usr/lib/x86_64-linux-gnu/lua/5.4/?.so;"                              \
    "/usr/lib/aarch64-linux-gnu/lua/5.4/?.so;/usr/lib/lua/5.4/?.so;/usr/local/lib/lua/5.4/loadall.so"

static int panic(lua_State *L) {
    const char *message = lua_tostring(L, -1);
    mw_log(MW_LOG_ERROR, "panic: %s", message ? message : "error without a message");
    return 0;
}

/* load or loadfile, the first upvalue, but only text: the mode, whose place
 * among the arguments is the second upvalue, is always "t". */
static int load_text(lua_State *L) {
    int mode = (int)lua_tointeger(L, lua_upvalueindex(2));
    lua_settop(L, lua_gettop(L) < mode ? mode : lua_gettop(L));
    lua_pushliteral(L, "t");
    lua_replace(L, mode);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

static int finish_dofile(lua_State *L, int status, lua_KContext context) {
    (void)status;
    (void)context;
    return lua_gettop(L) - 1;
}

static int dofile_text(lua_State *L) {
    const char *name = luaL_checkstring(L, 1);
    lua_settop(L, 1);
    if (luaL_loadfilex(L, name, "t") != LUA_OK) {
        return lua_error(L);
    }
    lua_callk(L, 0, LUA_MULTRET, 0, finish_dofile);
    return finish_dofile(L, LUA_OK, 0);
}

static int fail_loading(lua_State *L, const char *name, const char *file) {
    return luaL_error(L, "error loading module '%s' from file '%s':\n\t%s", name, file, lua_tostring(L, -1));
}

/* A module of the library that is kept in memory. */
static int load_kept(lua_State *L, const char *name, const char *text, size_t size, const char *path) {
    lua_pushfstring(L, "@%s", path);
    if (luaL_loadbufferx(L, text, size, lua_tostring(L, -1), "t") != LUA_OK) {
        return fail_loading(L, name, path);
    }
    lua_pushstring(L, path);
    return 2;
}

/* The searcher of package.path, for text chunks only. */
static int search_lua(lua_State *L) {
    const char *name = luaL_checkstring(L, 1), *path;
    size_t size;
    const char *text = mw_library_text(name, &size, &path);
    if (text) {
        return load_kept(L, name, text, size, path);
    }
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "searchpath");
    lua_pushvalue(L, 1);
    lua_getfield(L, -3, "path");
    lua_call(L, 2, 2);
    if (lua_isnil(L, -2)) {
        return 1;
    }
    const char *file = lua_tostring(L, -2);
    if (luaL_loadfilex(L, file, "t") != LUA_OK) {
        return fail_loading(L, name, file);
    }
    lua_pushstring(L, file);
    return 2;
}

static void wrap_loader(lua_State *L, const char *name, int mode) {
    lua_getglobal(L, name);
    lua_pushinteger(L, mode);
    lua_pushcclosure(L, load_text, 2);
    lua_setglobal(L, name);
}

static void allow_text_only(lua_State *L) {
    wrap_loader(L, "load", 3);
    wrap_loader(L, "loadfile", 2);
    lua_register(L, "dofile", dofile_text);
    lua_getglobal(L, "string");
    lua_pushnil(L);
    lua_setfield(L, -2, "dump");
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "searchers");
    lua_pushcfunction(L, search_lua);
    lua_rawseti(L, -2, 2);
    lua_pop(L, 3);
}

/* print writes to standard error: standard output may be a connection. */
static int print_to_stderr(lua_State *L) {
    int count = lua_gettop(L);
    for (int i = 1; i <= count; i++) {
        size_t length;
        const char *text = luaL_tolstring(L, i, &length);
        fwrite(text, 1, length, stderr);
        fputc(i < count ? '\t' : '\n', stderr);
        lua_pop(L, 1);
    }
    if (count == 0) {
        fputc('\n', stderr);
    }
    return 0;
}

/* Modules that came with a package may make globals: many do, and their users
 * cannot mend them. */
static bool is_installed(const lua_Debug *level) {
    return *level->what == 'C' || strncmp(level->source, "@/usr/share/lua/", 16) == 0 ||
           strncmp(level->source, "@/usr/local/share/lua/", 22) == 0;
}

/* A C module that names itself, as luafilesystem does, does so on purpose. */
static bool is_set_by_c(lua_State *L) {
    lua_Debug setter;
    return !lua_getstack(L, 1, &setter) || (lua_getinfo(L, "S", &setter) && *setter.what == 'C');
}

static int refuse_global(lua_State *L) {
    if (is_set_by_c(L)) {
        lua_rawset(L, 1);
        return 0;
    }
    lua_Debug level;
    if (lua_getstack(L, 1, &level) && lua_getinfo(L, "S", &level) && is_installed(&level)) {
        lua_rawset(L, 1);
        return 0;
    }
    return luaL_error(L, "assignment to the undeclared global '%s'; declare it local, or set it with rawset(_G, …)",
                      luaL_tolstring(L, 2, NULL));
}

void mw_state_set_strict(struct mw_state *state, bool strict) {
    lua_State *L = state->sched.L;
    lua_pushglobaltable(L);
    if (strict) {
        lua_newtable(L);
        lua_pushcfunction(L, refuse_global);
        lua_setfield(L, -2, "__newindex");
    } else {
        lua_pushnil(L);
    }
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
}

static void set_paths(lua_State *L, const char *library) {
    lua_getglobal(L, "package");
    lua_pushfstring(L, "%s/?.lua;%s/?/init.lua;%s", library, library, LUA_PLACES);
    lua_setfield(L, -2, "path");
    lua_pushliteral(L, C_PLACES);
    lua_setfield(L, -2, "cpath");
    lua_pop(L, 1);
}

struct opening {
    struct mw_state *state;
    struct mw_loop *loop;
    struct mw_net *net;
};

static int open_state(lua_State *L) {
    struct opening *opening = lua_touserdata(L, 1);
    luaL_openlibs(L);
    allow_text_only(L);
    lua_register(L, "print", print_to_stderr);
    if (!opening->state->library) {
        return luaL_error(L, "not enough memory");
    }
    set_paths(L, opening->state->library);
    mw_sched_init(&opening->state->sched, opening->state->sched.L, opening->loop, opening->net);
    mw_quota_init(&opening->state->sched, opening->state->memory);
    opening->state->sched.library = opening->state->library;
    mw_fault_open(L);
    mw_l_coroutine_open(L);
    mw_finalizer_open(L);
    mw_l_xpcall_open(L);
    mw_core_open(L);
    if (opening->state->sandboxed) {
        mw_sandbox_open(L);
    } else {
        mw_bounded_open_callbacks(L);
        mw_blocking_watch(L);
    }
    mw_state_set_strict(opening->state, true);
    return 0;
}

struct mw_state *mw_state_new(struct mw_loop *loop, struct mw_net *net, const struct mw_state_options *options) {
    struct mw_state *state = calloc(1, sizeof *state);
    struct mw_memory *memory = state ? mw_memory_new() : NULL;
    lua_State *L = memory ? lua_newstate(mw_memory_allocate, memory) : NULL;
    if (!L) {
        free(memory);
        free(state);
        return NULL;
    }
    state->memory = memory;
    lua_atpanic(L, panic);
    state->sched.L = L;
    state->library = strdup(options->library);
    state->sandboxed = options->sandboxed;
    struct opening opening = {.state = state, .loop = loop, .net = net};
    lua_pushcfunction(L, open_state);
    lua_pushlightuserdata(L, &opening);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
        mw_loop_remove_work(&state->sched.settle);
        mw_memory_on_refused(memory, NULL, NULL);
        lua_close(L);
        mw_memory_free(memory);
        free(state->library);
        free(state);
        return NULL;
    }
    return state;
}

void mw_state_set_limits(struct mw_state *state, const struct mw_state_limits *limits) {
    state->sched.preempt.cpu_limit = limits->cpu;
    mw_memory_set_limit(state->memory, limits->memory);
}

void mw_state_free(struct mw_state *state) {
    mw_sched_close(&state->sched);
    mw_memory_on_refused(state->memory, NULL, NULL);
    lua_close(state->sched.L);
    if (state->sched.guard) {
        mw_guard_forget(state->sched.guard, &state->sched);
    }
    mw_memory_free(state->memory);
    free(state->library);
    mw_sched_free_tasks(&state->sched);
    if (state->resolver) {
        mw_resolver_free(state->resolver);
    }
    mw_metrics_free(state->own_metrics);
    mw_bus_free(state->own_bus);
    mw_tls_tickets_free(state->own_tickets);
    mw_tallies_free(state->own_tallies);
    free(state);
}

struct mw_resolver *mw_state_resolver(struct mw_state *state, struct mw_fault *fault) {
    if (!state->resolver) {
        state->resolver = mw_resolver_new(state->sched.loop, NULL, fault);
    }
    return state->resolver;
}

struct mw_metrics *mw_state_metrics(struct mw_state *state) {
    if (!state->sched.metrics) {
        state->sched.metrics = state->own_metrics = mw_metrics_new(0);
    }
    return state->sched.metrics;
}

struct mw_bus *mw_state_bus(struct mw_state *state) {
    if (!state->sched.bus) {
        state->sched.bus = state->own_bus = mw_bus_new();
    }
    return state->sched.bus;
}

struct mw_tls_tickets *mw_state_tickets(struct mw_state *state) {
    if (!state->sched.tickets) {
        state->sched.tickets = state->own_tickets = mw_tls_tickets_new(MW_TLS_TICKETS_INTERVAL);
    }
    return state->sched.tickets;
}

struct mw_tallies *mw_state_tallies(struct mw_state *state) {
    if (!state->sched.tallies) {
        state->sched.tallies = state->own_tallies = mw_tallies_new(1);
        state->sched.tallied = 1;
    }
    return state->sched.tallies;
}
