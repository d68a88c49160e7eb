#include "script/service.h"

#include "script/l_data.h"
#include "script/l_main.h"
#include "script/task_internal.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void on_idle(void *context) {
    struct mw_service *service = context;
    service->on_ended(service);
}

bool mw_service_start(struct mw_service *service, struct mw_state *state) {
    struct mw_sched *sched = &state->sched;
    service->state = state;
    service->door.connect = (struct mw_l_handler){
        .sched = sched,
        .group = &sched->service,
        .profile = &mw_l_profile_default,
        .function = LUA_NOREF,
        .context = LUA_NOREF,
    };
    mw_l_profile_default.references++;
    service->resume = service->handoff = service->adopt = LUA_NOREF;
    sched->provider = service;
    sched->on_idle = on_idle;
    sched->idle_context = service;
    return mw_main_spawn(sched, "moonwire.service");
}

void mw_service_failed(struct mw_service *service, const char *message) {
    if (!service->is_ready) {
        service->on_failed(service, message);
    }
}

void mw_service_serve(struct mw_service *service) {
    service->is_serving = true;
    mw_main_note(&service->state->sched);
}

struct mw_service_door *mw_service_door_of(struct mw_service *service, const char *name) {
    if (!*name) {
        return &service->door;
    }
    for (size_t i = 0; i < service->door_count; i++) {
        if (strcmp(service->doors[i].name, name) == 0) {
            return &service->doors[i];
        }
    }
    return NULL;
}

struct mw_http_server *mw_service_next_http(const struct mw_sched *sched, const struct mw_http_server *server) {
    const struct mw_service *service = sched->provider;
    const char *name = "";
    for (size_t i = 0; service && i < service->door_count; i++) {
        name = service->doors[i].http == server ? service->doors[i].name : name;
    }
    const struct mw_service_door *next = sched->successor ? mw_service_door_of(sched->successor, name) : NULL;
    return next ? next->http : NULL;
}

struct mw_task *mw_service_accept(struct mw_service_door *door, struct mw_stream *transport, const struct mw_addr *peer,
                                  bool secure) {
    if (door->http) {
        mw_http_accept(door->http, transport, peer, secure);
        return NULL;
    }
    return mw_l_handler_start(&door->connect, transport, peer);
}

void mw_service_stop(struct mw_service *service, double drain) {
    service->drain = drain;
    mw_main_stop(&service->state->sched);
}

static void free_doors(struct mw_service *service) {
    for (size_t i = 0; i < service->door_count; i++) {
        mw_l_profile_release(service->doors[i].connect.profile);
    }
    free(service->doors);
    service->doors = NULL;
    service->door_count = 0;
    mw_l_profile_release(service->door.connect.profile);
}

void mw_service_free(struct mw_service *service) {
    for (size_t i = 0; i < service->datagram_count; i++) {
        close(service->datagrams[i]);
    }
    free(service->datagrams);
    service->datagrams = NULL;
    service->datagram_count = 0;
    if (service->state) {
        struct mw_state *state = service->state;
        service->state = NULL;
        service->door.http = NULL;
        mw_state_free(state);
        free_doors(service);
    }
}

/* --- the state of its own --- */

struct passing {
    struct mw_service *service;
    struct mw_text *data;
    const struct mw_text *given;
};

static int call_handoff(lua_State *L) {
    struct passing *passing = lua_touserdata(L, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, passing->service->handoff);
    lua_rawgeti(L, LUA_REGISTRYINDEX, passing->service->door.connect.context);
    lua_call(L, 1, 1);
    struct mw_fault fault;
    return mw_data_encode(L, -1, "data", passing->data, &fault) ? 0 : luaL_error(L, "%s", fault.message);
}

static int call_adopt(lua_State *L) {
    struct passing *passing = lua_touserdata(L, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, passing->service->adopt);
    mw_data_push(L, passing->given->bytes, passing->given->size);
    lua_rawgeti(L, LUA_REGISTRYINDEX, passing->service->door.connect.context);
    lua_call(L, 2, 0);
    return 0;
}

/* Calls outside of any task: what waits there raises, what computes for long is ended. */
static bool call(struct mw_service *service, lua_CFunction function, struct passing *passing, const char *name,
                 char *message, size_t size) {
    lua_State *L = service->state->sched.L;
    lua_pushcfunction(L, function);
    lua_pushlightuserdata(L, passing);
    if (lua_pcall(L, 1, 0, 0) == LUA_OK) {
        return true;
    }
    const char *text = lua_tostring(L, -1);
    snprintf(message, size, "%s: %s", name, text ? text : "error without a message");
    lua_pop(L, 1);
    return false;
}

bool mw_service_handoff(struct mw_service *service, struct mw_text *data, char *message, size_t size) {
    struct passing passing = {.service = service, .data = data};
    return call(service, call_handoff, &passing, "handoff", message, size);
}

bool mw_service_adopt(struct mw_service *service, const struct mw_text *data, char *message, size_t size) {
    struct passing passing = {.service = service, .given = data};
    return call(service, call_adopt, &passing, "adopt", message, size);
}
