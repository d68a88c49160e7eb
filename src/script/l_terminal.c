#include "script/l_terminal.h"

#include "script/check.h"
#include "script/fault.h"
#include "script/sched.h"
#include "script/tty.h"

static const char TYPE[] = "moonwire.terminal";

/* There is one terminal: what is to be given back is known to tty.c. */
struct terminal {
    bool taken;
    struct mw_resource resource;
};

static void close_terminal(struct terminal *terminal) {
    if (terminal->taken) {
        terminal->taken = false;
        mw_tty_release();
        mw_task_disown(&terminal->resource);
    }
}

static void close_resource(struct mw_resource *resource) {
    close_terminal(mw_list_owner(resource, struct terminal, resource));
}

/* open() → terminal: takes the screen until it is closed. Belongs to the running task. */
static int terminal_open(lua_State *L) {
    struct terminal *terminal = lua_newuserdatauv(L, sizeof *terminal, 0);
    *terminal = (struct terminal){.resource.close = close_resource};
    mw_list_init(&terminal->resource.node);
    luaL_setmetatable(L, TYPE);
    mw_tty_keep();
    if (!mw_tty_is_there() || !mw_tty_take_screen()) {
        mw_tty_release();
        return mw_push_word(L, "unavailable");
    }
    terminal->taken = true;
    mw_task_own(L, &terminal->resource);
    return 1;
}

static int terminal_close(lua_State *L) {
    close_terminal(luaL_checkudata(L, 1, TYPE));
    return 0;
}

/* size() → columns, rows */
static int terminal_size(lua_State *L) {
    lua_pushinteger(L, mw_tty_columns());
    lua_pushinteger(L, mw_tty_rows());
    return 2;
}

static const luaL_Reg functions[] = {{"open", terminal_open}, {"size", terminal_size}, {NULL, NULL}};

static const luaL_Reg methods[] = {{"close", terminal_close}, {NULL, NULL}};

static const luaL_Reg metamethods[] = {{"__close", terminal_close}, {"__gc", terminal_close}, {NULL, NULL}};

void mw_l_terminal_open(lua_State *L) {
    mw_new_type(L, TYPE, methods, metamethods);
    mw_set_functions(L, "terminal", functions);
}
