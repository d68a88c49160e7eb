/* moonwire.core.service: what the main task of a daemon's service tells the daemon,
 * and hears from it. */
#include "script/check.h"
#include "script/fault.h"
#include "script/service.h"
#include "script/task_internal.h"

#include <stdlib.h>
#include <string.h>

static struct mw_service *provider(lua_State *L) {
    struct mw_service *service = mw_sched_of(L)->provider;
    if (!service) {
        luaL_error(L, "only a service of the daemon has this");
    }
    return service;
}

/* The registry reference of a function in the table at 1. */
static int take_function(lua_State *L, const char *name) {
    if (lua_getfield(L, 1, name) == LUA_TNIL) {
        lua_pop(L, 1);
        return LUA_NOREF;
    }
    return luaL_ref(L, LUA_REGISTRYINDEX);
}

/* The function `request` of the table at 1, with the option `http` of those at 3, makes a server that gets the
 * connections. The context is that of the other functions. */
static void take_http(lua_State *L, struct mw_service_door *door) {
    struct mw_http_rules rules;
    struct mw_l_handler handler = door->connect;
    handler.function = take_function(L, "request");
    if (handler.function == LUA_NOREF) {
        return;
    }
    lua_pushnil(L);
    if (lua_istable(L, 3)) {
        lua_getfield(L, 3, "http");
    }
    mw_http_rules_read(L, lua_gettop(L), &rules);
    lua_rawgeti(L, LUA_REGISTRYINDEX, door->connect.context);
    handler.context = luaL_ref(L, LUA_REGISTRYINDEX);
    door->http = mw_http_server_new(&handler, &rules);
    if (!door->http) {
        luaL_error(L, "not enough memory");
        return;
    }
    handler.profile->references++;
}

/* The functions of the table at 1, the context at 2 and the options at 3 become those of the door, which has a
 * profile already. */
static void take_door(lua_State *L, struct mw_service_door *door) {
    static const char *const known[] = {"defer", "http", MW_L_PROFILE_OPTIONS, NULL};
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 3);
    mw_check_options(L, 3, known);
    struct mw_l_profile *profile = mw_l_profile_options(L, 3, &mw_l_profile_default);
    mw_l_profile_release(door->connect.profile);
    door->connect.profile = profile;
    door->defers = mw_option_boolean(L, 3, "defer", false);
    door->connect.function = take_function(L, "connect");
    lua_pushvalue(L, 2);
    door->connect.context = luaL_ref(L, LUA_REGISTRYINDEX);
    take_http(L, door);
}

/* door(functions, ctx, options, name): one more, before `ready`. `functions` are connect or request. */
static int service_door(lua_State *L) {
    struct mw_service *service = provider(L);
    const char *name = luaL_checkstring(L, 4);
    bool is_new = *name && strlen(name) < MW_SERVICE_DOOR && !mw_service_door_of(service, name);
    luaL_argcheck(L, is_new, 4, "a new name expected");
    struct mw_service_door *more = realloc(service->doors, (service->door_count + 1) * sizeof *more);
    if (!more) {
        return luaL_error(L, "not enough memory");
    }
    service->doors = more;
    struct mw_service_door *door = &more[service->door_count++];
    *door = (struct mw_service_door){.connect = service->door.connect};
    door->connect.profile->references++;
    door->connect.function = door->connect.context = LUA_NOREF;
    stpcpy(door->name, name);
    take_door(L, door);
    return 0;
}

/* ready(functions, ctx, options): the service has started. `functions` are connect, request,
 * resume, handoff and adopt; `options` those of its connections. */
static int service_ready(lua_State *L) {
    struct mw_service *service = provider(L);
    take_door(L, &service->door);
    service->resume = take_function(L, "resume");
    service->handoff = take_function(L, "handoff");
    service->adopt = take_function(L, "adopt");
    service->is_ready = true;
    service->on_ready(service);
    return 0;
}

/* fail(message): the service cannot start */
static int service_fail(lua_State *L) {
    struct mw_service *service = provider(L);
    service->on_failed(service, luaL_checkstring(L, 1));
    return 0;
}

/* is_serving() → whether connections come */
static int service_is_serving(lua_State *L) {
    lua_pushboolean(L, provider(L)->is_serving);
    return 1;
}

/* take_datagram() → descriptor | nil: the next bound datagram socket, the caller's from now on */
static int service_take_datagram(lua_State *L) {
    struct mw_service *service = provider(L);
    if (service->datagram_count == 0) {
        return 0;
    }
    lua_pushinteger(L, service->datagrams[--service->datagram_count]);
    return 1;
}

static void stop_draining(struct mw_task *task, void *subject) {
    struct mw_sched *sched = subject;
    (void)task;
    sched->main_drains = false;
}

static const struct mw_wait drain_wait = {.name = "drain", .abandon = stop_draining};

static int drained(lua_State *L, int status, lua_KContext context) {
    (void)status;
    (void)context;
    lua_pushboolean(L, mw_task_outcome(L) == MW_WOKEN);
    return 1;
}

/* drain(seconds) → whether the last connection has ended by then. Main task only. */
static int service_drain(lua_State *L) {
    struct mw_sched *sched = mw_sched_of(L);
    double seconds = mw_check_seconds(L, 1);
    if (sched->connections == 0) {
        lua_pushboolean(L, 1);
        return 1;
    }
    struct mw_task *task = mw_task_begin_wait(L, seconds);
    if (task != sched->main) {
        return luaL_error(L, "only the main task waits here");
    }
    sched->main_drains = true;
    return mw_task_wait(task, &drain_wait, sched, 0, drained);
}

/* drain_time() → seconds that are allowed for stopping */
static int service_drain_time(lua_State *L) {
    lua_pushnumber(L, provider(L)->drain);
    return 1;
}

/* answer(id, text): to an operator's request */
static int service_answer(lua_State *L) {
    struct mw_service *service = provider(L);
    size_t size;
    lua_Integer id = luaL_checkinteger(L, 1);
    const char *text = luaL_checklstring(L, 2, &size);
    service->on_answer(service, id, text, size);
    return 0;
}

static const luaL_Reg functions[] = {
    {"door", service_door},
    {"ready", service_ready},
    {"fail", service_fail},
    {"is_serving", service_is_serving},
    {"take_datagram", service_take_datagram},
    {"drain", service_drain},
    {"drain_time", service_drain_time},
    {"answer", service_answer},
    {NULL, NULL},
};

void mw_l_service_open(lua_State *L) {
    mw_set_functions(L, "service", functions);
}
