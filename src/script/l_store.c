/* Arguments were checked in Lua (lua/moonwire/store/handle.lua). */
#include "script/l_store.h"

#include "net/store.h"
#include "script/check.h"
#include "script/fault.h"
#include "script/sched.h"

#include <lauxlib.h>
#include <string.h>

static const char TYPE[] = "moonwire.store_file";

static struct mw_store *check_store(lua_State *L) {
    struct mw_store **store = luaL_checkudata(L, 1, TYPE);
    if (!*store) {
        luaL_error(L, "the store is closed");
    }
    return *store;
}

static struct mw_store_bytes check_bytes(lua_State *L, int index) {
    struct mw_store_bytes bytes;
    bytes.bytes = luaL_checklstring(L, index, &bytes.size);
    return bytes;
}

static struct mw_store_bytes check_key(lua_State *L, int index) {
    struct mw_store_bytes key = check_bytes(L, index);
    luaL_argcheck(L, key.size > 0 && key.size <= MW_STORE_KEY_MOST, index, "no key of a store");
    return key;
}

static struct mw_store_bytes optional_bytes(lua_State *L, int index) {
    struct mw_store_bytes nothing = {.bytes = NULL};
    return lua_isnoneornil(L, index) ? nothing : check_bytes(L, index);
}

static double optional_seconds(lua_State *L, int index) {
    return lua_isnoneornil(L, index) ? MW_TIMER_NEVER : mw_check_seconds(L, index);
}

static int push_refusal(lua_State *L, const char *code, const char *operation, const char *why) {
    lua_pushnil(L);
    lua_pushfstring(L, "%s: %s", operation, why);
    lua_pushstring(L, code);
    return 3;
}

/* nil, err, code */
static int push_outcome(lua_State *L, const struct mw_store *store, enum mw_store_outcome outcome,
                        const char *operation) {
    struct mw_fault fault;
    switch (outcome) {
    case MW_STORE_NOT_FOUND: return push_refusal(L, "not_found", operation, "no such key");
    case MW_STORE_EXISTS: return push_refusal(L, "exists", operation, "the key exists");
    case MW_STORE_CONFLICT: return push_refusal(L, "conflict", operation, "the key holds something else");
    case MW_STORE_NO_INTEGER:
        return push_refusal(L, "invalid", operation, "the key holds no integer, or the sum would not be one");
    case MW_STORE_FULL: return push_refusal(L, "full", operation, "the store is full");
    default: break;
    }
    mw_store_fault(store, operation, &fault);
    return mw_push_fault(L, &fault);
}

/* Pushes true, or what went wrong. */
static int change(lua_State *L, struct mw_store *store, struct mw_store_change *change, const char *operation) {
    enum mw_store_outcome outcome = mw_store_change(store, change);
    if (outcome != MW_STORE_DONE) {
        return push_outcome(L, store, outcome, operation);
    }
    lua_pushboolean(L, true);
    return 1;
}

/* file:get(key) → bytes | nil, err, code */
static int store_get(lua_State *L) {
    struct mw_store *store = check_store(L);
    struct mw_store_bytes value;
    enum mw_store_outcome outcome = mw_store_get(store, check_key(L, 2), &value);
    if (outcome == MW_STORE_DONE) {
        lua_pushlstring(L, value.bytes, value.size);
    }
    mw_store_leave(store);
    return outcome == MW_STORE_DONE ? 1 : push_outcome(L, store, outcome, "get");
}

/* file:set(key, bytes, seconds | nil, only_new) → true | nil, err, code */
static int store_set(lua_State *L) {
    struct mw_store_change set = {
        .verb = MW_STORE_SET,
        .key = check_key(L, 2),
        .value = check_bytes(L, 3),
        .seconds = optional_seconds(L, 4),
        .only_new = lua_toboolean(L, 5),
    };
    return change(L, check_store(L), &set, "set");
}

/* file:delete(key) → boolean | nil, err, code */
static int store_delete(lua_State *L) {
    struct mw_store *store = check_store(L);
    struct mw_store_change drop = {.verb = MW_STORE_DELETE, .key = check_key(L, 2)};
    enum mw_store_outcome outcome = mw_store_change(store, &drop);
    if (outcome != MW_STORE_DONE && outcome != MW_STORE_NOT_FOUND) {
        return push_outcome(L, store, outcome, "delete");
    }
    lua_pushboolean(L, outcome == MW_STORE_DONE);
    return 1;
}

/* file:incr(key, by, seconds | nil) → integer | nil, err, code */
static int store_incr(lua_State *L) {
    struct mw_store *store = check_store(L);
    struct mw_store_change add = {
        .verb = MW_STORE_INCR,
        .key = check_key(L, 2),
        .number = luaL_checkinteger(L, 3),
        .seconds = optional_seconds(L, 4),
    };
    enum mw_store_outcome outcome = mw_store_change(store, &add);
    if (outcome != MW_STORE_DONE) {
        return push_outcome(L, store, outcome, "incr");
    }
    lua_pushinteger(L, add.number);
    return 1;
}

/* file:expire(key, seconds | nil) → true | nil, err, code */
static int store_expire(lua_State *L) {
    struct mw_store_change expire = {
        .verb = MW_STORE_EXPIRE, .key = check_key(L, 2), .seconds = optional_seconds(L, 3)};
    return change(L, check_store(L), &expire, "expire");
}

/* file:compare_and_set(key, expected | nil, bytes | nil, seconds | nil) → true | nil, err, code */
static int store_compare_and_set(lua_State *L) {
    struct mw_store_change compare = {
        .verb = MW_STORE_COMPARE,
        .key = check_key(L, 2),
        .expected = optional_bytes(L, 3),
        .value = optional_bytes(L, 4),
        .seconds = optional_seconds(L, 5),
    };
    return change(L, check_store(L), &compare, "compare_and_set");
}

/* The key right behind `after`, if that is not before the prefix; its bytes are on the stack. */
static struct mw_store_bytes first_of(lua_State *L, int index, struct mw_store_bytes prefix) {
    if (lua_isnoneornil(L, index)) {
        return prefix;
    }
    lua_pushvalue(L, index);
    lua_pushlstring(L, "\0", 1);
    lua_concat(L, 2);
    struct mw_store_bytes after = check_bytes(L, -1);
    size_t common = after.size < prefix.size ? after.size : prefix.size;
    int order = memcmp(after.bytes, prefix.bytes, common);
    return order < 0 || (order == 0 && after.size < prefix.size) ? prefix : after;
}

static int push_pairs(lua_State *L, struct mw_store *store, struct mw_store_walk *walk, lua_Integer count) {
    enum mw_store_outcome outcome = MW_STORE_DONE;
    lua_Integer size = 0;
    while (size < 2 * count && (outcome = mw_store_next(store, walk)) == MW_STORE_DONE) {
        lua_pushlstring(L, walk->key.bytes, walk->key.size);
        lua_rawseti(L, -2, ++size);
        lua_pushlstring(L, walk->value.bytes, walk->value.size);
        lua_rawseti(L, -2, ++size);
    }
    mw_store_leave(store);
    return outcome == MW_STORE_FAILED ? push_outcome(L, store, outcome, "scan") : 1;
}

/* file:scan(prefix, after | nil, count) → { key, bytes, … } | nil, err, code */
static int store_scan(lua_State *L) {
    struct mw_store *store = check_store(L);
    struct mw_store_walk walk = {.prefix = check_bytes(L, 2)};
    lua_Integer count = luaL_checkinteger(L, 4);
    walk.from = first_of(L, 3, walk.prefix);
    luaL_argcheck(L, walk.from.size <= MW_STORE_KEY_MOST + 1, 3, "no key of a store");
    lua_newtable(L);
    return push_pairs(L, store, &walk, count);
}

/* file:usage() → bytes that are taken, bytes that may be */
static int store_usage(lua_State *L) {
    size_t used, most;
    mw_store_usage(check_store(L), &used, &most);
    lua_pushinteger(L, (lua_Integer)used);
    lua_pushinteger(L, (lua_Integer)most);
    return 2;
}

static int store_close(lua_State *L) {
    struct mw_store **store = luaL_checkudata(L, 1, TYPE);
    if (*store) {
        mw_store_release(*store);
        *store = NULL;
    }
    return 0;
}

/* open(folder, bytes, keep) → file | nil, err, code */
static int store_open(lua_State *L) {
    struct mw_fault fault;
    struct mw_store_options options = {
        .folder = luaL_checkstring(L, 1),
        .size = (size_t)luaL_checkinteger(L, 2),
        .keep = lua_toboolean(L, 3),
    };
    struct mw_store **store = lua_newuserdatauv(L, sizeof *store, 0);
    *store = NULL;
    luaL_setmetatable(L, TYPE);
    *store = mw_store_open(mw_sched_of(L)->net, &options, &fault);
    return *store ? 1 : mw_push_fault(L, &fault);
}

static const luaL_Reg methods[] = {
    {"get", store_get},
    {"set", store_set},
    {"delete", store_delete},
    {"incr", store_incr},
    {"expire", store_expire},
    {"compare_and_set", store_compare_and_set},
    {"scan", store_scan},
    {"usage", store_usage},
    {"close", store_close},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {{"__gc", store_close}, {"__close", store_close}, {NULL, NULL}};

/* default() → url | nil, folder | nil, name of the service */
static int store_default(lua_State *L) {
    const struct mw_sched *sched = mw_sched_of(L);
    lua_pushstring(L, sched->store);
    lua_pushstring(L, sched->store_folder);
    lua_pushstring(L, sched->name);
    return 3;
}

static const luaL_Reg functions[] = {{"open", store_open}, {"default", store_default}, {NULL, NULL}};

void mw_l_store_open(lua_State *L) {
    mw_new_type(L, TYPE, methods, metamethods);
    mw_set_functions(L, "store", functions);
}
