/* Arguments were checked in Lua (lua/moonwire/tally.lua), but for the addresses. */
#include "script/l_tally.h"

#include "net/network.h"
#include "net/tally.h"
#include "script/check.h"
#include "script/l_address.h"
#include "script/sched.h"
#include "script/state.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

static const char RATE[] = "moonwire.tally_rate", PLACES[] = "moonwire.tally_places", PLACE[] = "moonwire.tally_place";

/* A limit of a service: what it is called and how it counts are part of every key of it. */
struct limit {
    struct mw_tallies *tallies;
    int worker;
    uint64_t name;
    uint8_t v4_bits, v6_bits; /* of 128 */
    struct mw_tally_rate rate;
    uint64_t most;
};

/* A script has a pointer to it. Who comes in and does not look at its place any more has it all the same: the task does. */
struct place {
    struct mw_tallies *tallies;
    int worker;
    uint64_t key;
    bool is_taken;
    bool is_kept; /* it is the service's: free when the script has lost it */
    bool is_lost; /* the script has no pointer to it any more */
    struct mw_resource resource;
};

/* The key of a client: an address has the bits of its network, all else is itself. */
static uint64_t check_key(lua_State *L, const struct limit *limit, int index) {
    struct {
        uint64_t name;
        uint8_t bytes[16];
        uint64_t text; /* the hash of what is no address */
    } subject = {.name = limit->name};
    uint8_t bytes[16];
    if (mw_l_check_address_bytes(L, index, bytes)) {
        mw_network_cut(subject.bytes, bytes, mw_network_is_v4(bytes) ? limit->v4_bits : limit->v6_bits);
    } else {
        size_t size;
        const char *text = lua_tolstring(L, index, &size);
        subject.text = mw_tally_key(limit->tallies, text, size);
    }
    return mw_tally_key(limit->tallies, &subject, sizeof subject);
}

/* What tells limits apart: service, name, and how they count. */
static uint64_t name_of(lua_State *L, const struct limit *limit, const char *kind) {
    struct {
        uint64_t service, name, kind;
        uint64_t v4_bits, v6_bits, interval, tolerance;
    } subject = {
        .v4_bits = limit->v4_bits,
        .v6_bits = limit->v6_bits,
        .interval = limit->rate.interval,
        .tolerance = limit->rate.tolerance,
    };
    size_t size;
    const char *name = luaL_checklstring(L, 1, &size), *service = mw_sched_of(L)->name;
    subject.service = mw_tally_key(limit->tallies, service ? service : "", service ? strlen(service) : 0);
    subject.name = mw_tally_key(limit->tallies, name, size);
    subject.kind = mw_tally_key(limit->tallies, kind, strlen(kind));
    return mw_tally_key(limit->tallies, &subject, sizeof subject);
}

/* Arguments 2 and 3 are the bits of IPv4 and IPv6. */
static struct limit *push_limit(lua_State *L, const char *type) {
    struct limit *limit = lua_newuserdatauv(L, sizeof *limit, 0);
    *limit = (struct limit){
        .tallies = mw_state_tallies(mw_state_of(L)),
        .worker = mw_sched_of(L)->tallied,
        .v4_bits = (uint8_t)(96 + mw_check_count(L, 2, 0, 32)),
        .v6_bits = (uint8_t)mw_check_count(L, 3, 0, 128),
    };
    if (!limit->tallies) {
        luaL_error(L, "not enough memory");
    }
    luaL_setmetatable(L, type);
    return limit;
}

/* rate(name, v4_bits, v6_bits, per_second, burst) → rate */
static int tally_rate(lua_State *L) {
    struct limit *limit = push_limit(L, RATE);
    mw_tally_rate_init(&limit->rate, luaL_checknumber(L, 4), luaL_checknumber(L, 5));
    limit->name = name_of(L, limit, RATE);
    return 1;
}

/* places(name, v4_bits, v6_bits, most) → places */
static int tally_places(lua_State *L) {
    struct limit *limit = push_limit(L, PLACES);
    limit->most = (uint64_t)luaL_checkinteger(L, 4);
    limit->name = name_of(L, limit, PLACES);
    return 1;
}

/* rate:take(client) → true | false, seconds */
static int rate_take(lua_State *L) {
    struct limit *limit = luaL_checkudata(L, 1, RATE);
    uint64_t key = check_key(L, limit, 2);
    double seconds = mw_tally_take(limit->tallies, key, &limit->rate, mw_loop_now(mw_sched_of(L)->loop));
    lua_pushboolean(L, seconds <= 0);
    if (seconds <= 0) {
        return 1;
    }
    lua_pushnumber(L, seconds);
    return 2;
}

/* --- places --- */

static void close_place(struct place *place) {
    if (place->is_taken) {
        place->is_taken = false;
        mw_tally_leave(place->tallies, place->worker, place->key);
        mw_task_disown(&place->resource);
    }
}

static void close_resource(struct mw_resource *resource) {
    struct place *place = mw_list_owner(resource, struct place, resource);
    close_place(place);
    if (place->is_lost) {
        free(place);
    }
}

/* A place that is not taken yet, and its handle on the stack. NULL when memory is out. */
static struct place *push_place(lua_State *L, const struct limit *limit, uint64_t key) {
    struct place **handle = lua_newuserdatauv(L, sizeof *handle, 0);
    *handle = calloc(1, sizeof **handle);
    luaL_setmetatable(L, PLACE);
    if (*handle) {
        **handle = (struct place){
            .tallies = limit->tallies,
            .worker = limit->worker,
            .key = key,
            .resource.close = close_resource,
        };
        mw_list_init(&(*handle)->resource.node);
    }
    return *handle;
}

/* places:enter(client) → place | nil */
static int places_enter(lua_State *L) {
    struct limit *limit = luaL_checkudata(L, 1, PLACES);
    struct place *place = push_place(L, limit, check_key(L, limit, 2));
    if (!place) {
        return luaL_error(L, "not enough memory");
    }
    place->is_taken = mw_tally_enter(limit->tallies, limit->worker, place->key, limit->most);
    if (!place->is_taken) {
        return 0;
    }
    mw_task_own(L, &place->resource);
    return 1;
}

/* places:count(client) → integer */
static int places_count(lua_State *L) {
    const struct limit *limit = luaL_checkudata(L, 1, PLACES);
    lua_pushinteger(L, (lua_Integer)mw_tally_count(limit->tallies, check_key(L, limit, 2)));
    return 1;
}

/* NULL: it was collected before the one whose finalizer asks. */
static struct place *check_place(lua_State *L) {
    return *(struct place **)luaL_checkudata(L, 1, PLACE);
}

static int place_close(lua_State *L) {
    struct place *place = check_place(L);
    if (place) {
        close_place(place);
    }
    return 0;
}

/* The script has lost it. A task that owns it gives it back when it ends. */
static int place_collect(lua_State *L) {
    struct place **handle = luaL_checkudata(L, 1, PLACE), *place = *handle;
    *handle = NULL;
    if (place && place->is_taken && !place->is_kept) {
        place->is_lost = true;
        return 0;
    }
    if (place) {
        close_place(place);
    }
    free(place);
    return 0;
}

static int place_keep(lua_State *L) {
    struct place *place = check_place(L);
    if (place && place->is_taken) {
        mw_task_disown(&place->resource);
        mw_list_append(&mw_sched_of(L)->root.owned, &place->resource.node);
        place->is_kept = true;
    }
    lua_settop(L, 1);
    return 1;
}

static const luaL_Reg no_metamethods[] = {{NULL, NULL}};
static const luaL_Reg place_metamethods[] = {{"__gc", place_collect}, {"__close", place_close}, {NULL, NULL}};
static const luaL_Reg rate_methods[] = {{"take", rate_take}, {NULL, NULL}};
static const luaL_Reg places_methods[] = {{"enter", places_enter}, {"count", places_count}, {NULL, NULL}};
static const luaL_Reg place_methods[] = {{"close", place_close}, {"keep", place_keep}, {NULL, NULL}};
static const luaL_Reg functions[] = {{"rate", tally_rate}, {"places", tally_places}, {NULL, NULL}};

void mw_l_tally_open(lua_State *L) {
    mw_new_type(L, RATE, rate_methods, no_metamethods);
    mw_new_type(L, PLACES, places_methods, no_metamethods);
    mw_new_type(L, PLACE, place_methods, place_metamethods);
    mw_set_functions(L, "tally", functions);
}
