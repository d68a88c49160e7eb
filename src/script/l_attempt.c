#include "script/l_attempt.h"

#include "loop/alarm_linux.h"
#include "script/check.h"
#include "script/guard.h"

#define MOST_SECONDS 1e8 /* as good as for ever: a timer of the kernel's takes no infinity */

struct attempt {
    struct mw_alarm alarm;
    struct mw_sched *sched;
    lua_State *L; /* that it was called on */
};

static int raise_it(lua_State *L) {
    lua_Debug level;
    if (lua_getstack(L, 0, &level) && lua_getinfo(L, "Sl", &level) && level.currentline > 0) {
        lua_pushfstring(L, "%s:%d: ", level.short_src, level.currentline);
    } else {
        lua_pushliteral(L, "");
    }
    lua_pushliteral(L, "computes for too long: is there an endless loop?");
    lua_concat(L, 2);
    return lua_error(L);
}

/* The hook stays: whoever catches the error gets it again at the next instruction. */
static void on_hook(lua_State *L, lua_Debug *level) {
    (void)level;
    raise_it(L);
}

/* In a signal handler. The thread that runs may be a coroutine; those who resumed it must not go on either. */
static void on_alarm(struct mw_alarm *alarm) {
    struct attempt *attempt = mw_list_owner(alarm, struct attempt, alarm);
    lua_sethook(attempt->L, on_hook, LUA_MASKCOUNT, 1);
    if (attempt->sched->innermost) {
        lua_sethook(attempt->sched->innermost, on_hook, LUA_MASKCOUNT, 1);
    }
}

int mw_l_attempt(lua_State *L) {
    struct attempt attempt = {.sched = mw_sched_of(L), .L = L};
    double seconds = mw_check_seconds(L, 1);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    if (!mw_alarm_init(&attempt.alarm, MW_ALARM_COMPUTING, on_alarm)) {
        return luaL_error(L, "the system has no timer left");
    }
    mw_alarm_set(&attempt.alarm, seconds < MOST_SECONDS ? seconds : MOST_SECONDS);
    int status = lua_pcall(L, lua_gettop(L) - 2, LUA_MULTRET, 0);
    mw_alarm_remove(&attempt.alarm);
    lua_sethook(L, NULL, 0, 0);
    lua_pushboolean(L, status == LUA_OK);
    lua_replace(L, 1);
    return lua_gettop(L);
}
