#include "script/l_signal.h"

#include "loop/signal.h"
#include "script/check.h"
#include "script/fault.h"
#include "script/sched.h"

#include <signal.h>

static const char TYPE[] = "moonwire.signals";

/* Signals that one script task listens for, from `watch` until `close`. What
 * arrives while nobody waits is remembered, once a number. */
struct signals {
    struct mw_signal *watched[NSIG];
    bool arrived[NSIG];
    bool open;
    struct mw_loop *loop;
    struct mw_task *waiter; /* set by set_waiter */
    struct mw_resource resource;
};

static struct signals *check_signals(lua_State *L) {
    return luaL_checkudata(L, 1, TYPE);
}

/* A task that waits for a signal holds the loop, which watchers of signals do
 * not: a program may have nothing else to do. */
static void set_waiter(struct signals *signals, struct mw_task *task) {
    if (task && !signals->waiter) {
        ev_ref(mw_loop_ev(signals->loop));
    } else if (!task && signals->waiter) {
        ev_unref(mw_loop_ev(signals->loop));
    }
    signals->waiter = task;
}

static void close_signals(struct signals *signals) {
    struct mw_task *task = signals->waiter;
    for (int number = 1; number < NSIG; number++) {
        if (signals->watched[number]) {
            mw_signal_unwatch(signals->watched[number]);
            signals->watched[number] = NULL;
        }
    }
    signals->open = false;
    mw_task_disown(&signals->resource);
    set_waiter(signals, NULL);
    if (task) {
        mw_task_ready(task, 0);
    }
}

static void close_resource(struct mw_resource *resource) {
    close_signals(mw_list_owner(resource, struct signals, resource));
}

static void on_signal(void *context, int number) {
    struct signals *signals = context;
    struct mw_task *task = signals->waiter;
    signals->arrived[number] = true;
    if (task) {
        set_waiter(signals, NULL);
        mw_task_resume(task, 0);
    }
}

static int check_number(lua_State *L, int index) {
    int number = mw_signal_number(luaL_checkstring(L, index));
    luaL_argcheck(L, number > 0, index, "no signal that can be caught; such as \"hup\", \"term\", \"usr1\"");
    return number;
}

/* watch(name, ...) → signals */
static int signal_watch(lua_State *L) {
    int count = lua_gettop(L);
    luaL_checkstring(L, 1);
    struct signals *signals = lua_newuserdatauv(L, sizeof *signals, 0);
    *signals = (struct signals){
        .open = true,
        .loop = mw_sched_of(L)->loop,
        .resource.close = close_resource,
    };
    mw_list_init(&signals->resource.node);
    luaL_setmetatable(L, TYPE);
    for (int i = 1; i <= count; i++) {
        int number = check_number(L, i);
        if (!signals->watched[number]) {
            signals->watched[number] = mw_signal_watch(signals->loop, number, on_signal, signals);
        }
        if (!signals->watched[number]) {
            return luaL_error(L, "not enough memory");
        }
    }
    mw_task_own(L, &signals->resource);
    return 1;
}

static void abandon_wait(struct mw_task *task, void *subject) {
    (void)task;
    set_waiter(subject, NULL);
}

static const struct mw_wait signal_wait = {.name = "signal", .abandon = abandon_wait};

/* Pushes the name of a signal that arrived. */
static int take_arrived(lua_State *L, struct signals *signals) {
    for (int number = 1; number < NSIG; number++) {
        if (signals->arrived[number]) {
            signals->arrived[number] = false;
            lua_pushstring(L, mw_signal_name(number));
            return 1;
        }
    }
    return 0;
}

static int signalled(lua_State *L, int status, lua_KContext context) {
    (void)status;
    (void)context;
    if (mw_task_outcome(L) == MW_TIMED_OUT) {
        return mw_push_word(L, "timeout");
    }
    return take_arrived(L, check_signals(L)) ? 1 : mw_push_word(L, "closed");
}

/* wait([seconds]) → name | nil, err, code */
static int signals_wait(lua_State *L) {
    struct signals *signals = check_signals(L);
    double seconds = lua_isnoneornil(L, 2) ? MW_TIMER_NEVER : mw_check_seconds(L, 2);
    if (take_arrived(L, signals)) {
        return 1;
    }
    if (!signals->open) {
        return mw_push_word(L, "closed");
    }
    if (signals->waiter) {
        return mw_push_word(L, "busy");
    }
    struct mw_task *task = mw_task_begin_wait(L, seconds);
    set_waiter(signals, task);
    return mw_task_wait(task, &signal_wait, signals, 0, signalled);
}

static int signals_close(lua_State *L) {
    close_signals(check_signals(L));
    return 0;
}

static int signals_tostring(lua_State *L) {
    lua_pushfstring(L, "%s: %s", TYPE, check_signals(L)->open ? "open" : "closed");
    return 1;
}

static const luaL_Reg functions[] = {{"watch", signal_watch}, {NULL, NULL}};

static const luaL_Reg methods[] = {{"wait", signals_wait}, {"close", signals_close}, {NULL, NULL}};

static const luaL_Reg metamethods[] = {
    {"__tostring", signals_tostring},
    {"__close", signals_close},
    {"__gc", signals_close},
    {NULL, NULL},
};

void mw_l_signal_open(lua_State *L) {
    mw_new_type(L, TYPE, methods, metamethods);
    mw_set_functions(L, "signal", functions);
}
