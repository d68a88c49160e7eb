/* layers: proto script net loop base */
/* Reading lines, delimiters and exact counts, with the bytes cut anywhere: the
 * script lines.lua holds every result against what plain string functions find
 * in the whole text. */
#include "script/state.h"
#include "target.h"

#include <lauxlib.h>
#include <limits.h>

static struct mw_loop *loop;
static struct mw_state *state;

static void on_idle(void *context) {
    (void)context;
    mw_loop_stop(loop);
}

static void open_state(void) {
    char library[PATH_MAX];
    must(realpath("lua", library) != NULL);
    loop = mw_loop_new();
    struct mw_net *net = mw_net_new(loop);
    state = mw_state_new(loop, net, &(struct mw_state_options){.library = library});
    must(state != NULL);
    state->sched.on_idle = on_idle;
    lua_State *L = state->sched.L;
    if (luaL_loadfilex(L, "spec/fuzz/lines.lua", "t") != LUA_OK || lua_pcall(L, 0, 1, 0) != LUA_OK) {
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
        abort();
    }
    lua_setfield(L, LUA_REGISTRYINDEX, "fuzz.start");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    if (!state) {
        open_state();
    }
    lua_State *L = state->sched.L;
    lua_getfield(L, LUA_REGISTRYINDEX, "fuzz.start");
    lua_pushlstring(L, (const char *)bytes, size);
    must(lua_pcall(L, 1, 1, 0) == LUA_OK);
    mw_loop_run(loop);
    must(state->sched.tasks == 0 && state->sched.net->streams == 0);
    lua_getfield(L, -1, "fault");
    if (!lua_isnil(L, -1)) {
        fprintf(stderr, "%s\n", luaL_tolstring(L, -1, NULL));
        abort();
    }
    lua_settop(L, 0);
    return 0;
}
