#include "script/l_scratch.h"

#include "script/check.h"
#include "script/state.h"

static const char TYPE[] = "moonwire.scratch";

struct scratch {
    struct mw_loop *loop;
    struct mw_net *net;
    struct mw_state *state;
};

static int free_scratch(lua_State *L) {
    struct scratch *scratch = luaL_checkudata(L, 1, TYPE);
    if (scratch->state) {
        mw_state_free(scratch->state);
    }
    if (scratch->net) {
        mw_net_free(scratch->net);
    }
    if (scratch->loop) {
        mw_loop_free(scratch->loop);
    }
    *scratch = (struct scratch){.loop = NULL};
    return 0;
}

/* The userdata owns all of it, whatever raises. */
static struct mw_state *push_scratch(lua_State *L, const struct mw_state_options *options) {
    struct scratch *scratch = lua_newuserdatauv(L, sizeof *scratch, 0);
    *scratch = (struct scratch){.loop = NULL};
    luaL_setmetatable(L, TYPE);
    scratch->loop = mw_loop_new();
    scratch->net = scratch->loop ? mw_net_new(scratch->loop) : NULL;
    scratch->state = scratch->net ? mw_state_new(scratch->loop, scratch->net, options) : NULL;
    if (!scratch->state) {
        luaL_error(L, "not enough memory, or no epoll, for a Lua state");
    }
    return scratch->state;
}

/* Pushes onto L what lies at `index` of another state. Raises in L only. */
static void copy(lua_State *L, lua_State *from, int index) {
    size_t length;
    const char *text;
    switch (lua_type(from, index)) {
    case LUA_TSTRING: text = lua_tolstring(from, index, &length); lua_pushlstring(L, text, length); break;
    case LUA_TBOOLEAN: lua_pushboolean(L, lua_toboolean(from, index)); break;
    default: lua_pushnil(L);
    }
}

enum { MODULE = 2, FUNCTION, FIRST_ARGUMENT };

/* In the new state, protected: (the state that calls, how many values lie there) */
static int enter(lua_State *L) {
    lua_State *from = lua_touserdata(L, 1);
    int last = (int)lua_tointeger(L, 2);
    luaL_checkstack(L, last, NULL);
    lua_getglobal(L, "require");
    copy(L, from, MODULE);
    lua_call(L, 1, 1);
    copy(L, from, FUNCTION);
    lua_gettable(L, -2);
    for (int i = FIRST_ARGUMENT; i <= last; i++) {
        copy(L, from, i);
    }
    lua_call(L, last - FUNCTION, LUA_MULTRET);
    return lua_gettop(L) - 3;
}

int mw_l_scratch(lua_State *L) {
    static const char *const known[] = {"sandbox", "memory", "name", NULL};
    mw_check_options(L, 1, known);
    luaL_checkstring(L, MODULE);
    luaL_checkstring(L, FUNCTION);
    int last = lua_gettop(L);
    struct mw_state_options options = {
        .library = mw_sched_of(L)->library,
        .sandboxed = mw_option_boolean(L, 1, "sandbox", false),
    };
    lua_Integer memory = mw_option_integer(L, 1, "memory", 0, LUA_MAXINTEGER, 0);
    const char *name = mw_option_string(L, 1, "name");
    struct mw_state *state = push_scratch(L, &options);
    struct mw_state_limits limits = {.cpu = MW_TIMER_NEVER, .memory = memory ? (size_t)memory : SIZE_MAX};
    lua_State *inner = state->sched.L;
    state->sched.name = name ? name : "script";
    mw_state_set_limits(state, &limits);
    lua_pushcfunction(inner, enter);
    lua_pushlightuserdata(inner, L);
    lua_pushinteger(inner, last);
    int status = lua_pcall(inner, 2, LUA_MULTRET, 0);
    int count = lua_gettop(inner);
    luaL_checkstack(L, count, NULL);
    for (int i = 1; i <= count; i++) {
        copy(L, inner, i);
    }
    return status == LUA_OK ? count : lua_error(L);
}

void mw_l_scratch_open(lua_State *L) {
    static const luaL_Reg metamethods[] = {{"__gc", free_scratch}, {NULL, NULL}};
    luaL_newmetatable(L, TYPE);
    luaL_setfuncs(L, metamethods, 0);
    lua_pop(L, 1);
}
