#include "script/l_resolver.h"

#include "net/resolver.h"
#include "script/check.h"
#include "script/fault.h"
#include "script/state.h"

#include <arpa/inet.h>
#include <string.h>

static const char TYPE[] = "moonwire.lookup";

enum { TRIES_MOST = 100, ENTRIES_MOST = 1 << 20 };
static const double DEFAULT_TIMEOUT = 2; /* seconds */

/* Lies on the stack of the waiting function, so that nothing leaks whatever is
 * raised there. The lists are the resolver's, valid while the task takes them. */
struct looking {
    struct mw_lookup *lookup; /* NULL once it answered */
    struct mw_task *task;
    const struct mw_addr *addresses;
    const struct mw_record *records;
    size_t count; /* 0: the fault says why */
    struct mw_fault fault;
};

/* The task runs here and now. */
static void answer(struct looking *looking, size_t count, const struct mw_fault *fault) {
    looking->lookup = NULL;
    looking->count = count;
    if (fault) {
        looking->fault = *fault;
    }
    mw_task_resume(looking->task, 0);
}

static void on_addresses(void *context, const struct mw_addr *list, size_t count,
                         const struct mw_fault *fault) {
    struct looking *looking = context;
    looking->addresses = list;
    answer(looking, count, fault);
}

static void on_records(void *context, const struct mw_record *list, size_t count,
                       const struct mw_fault *fault) {
    struct looking *looking = context;
    looking->records = list;
    answer(looking, count, fault);
}

static void abandon_lookup(struct mw_task *task, void *subject) {
    struct looking *looking = subject;
    (void)task;
    mw_lookup_cancel(looking->lookup);
    looking->lookup = NULL;
}

static const struct mw_wait lookup_wait = {.name = "resolve", .abandon = abandon_lookup};

static int looking_gc(lua_State *L) {
    struct looking *looking = luaL_checkudata(L, 1, TYPE);
    if (looking->lookup) {
        mw_lookup_cancel(looking->lookup);
        looking->lookup = NULL;
    }
    return 0;
}

/* The resolver and, pushed, what the wait needs; NULL, with nil, err, code
 * pushed, when there is no resolver. The task is about to wait then. */
static struct mw_resolver *begin(lua_State *L, struct looking **looking) {
    *looking = lua_newuserdatauv(L, sizeof **looking, 0);
    **looking = (struct looking){.lookup = NULL};
    luaL_setmetatable(L, TYPE);
    struct mw_resolver *resolver = mw_state_resolver(mw_state_of(L), &(*looking)->fault);
    if (!resolver) {
        mw_push_fault(L, &(*looking)->fault);
        return NULL;
    }
    (*looking)->task = mw_task_begin_wait(L, MW_TIMER_NEVER);
    return resolver;
}

static int wait_for_answer(lua_State *L, struct looking *looking, lua_KFunction k) {
    if (!looking->lookup) {
        return luaL_error(L, "not enough memory");
    }
    return mw_task_wait(looking->task, &lookup_wait, looking, lua_gettop(L), k);
}

/* The list that was found, an element pushed by `push`; or nil, err, code. */
static int give(lua_State *L, lua_KContext index,
                void (*push)(lua_State *L, const struct looking *looking, size_t at)) {
    const struct looking *looking = lua_touserdata(L, (int)index);
    mw_task_outcome(L);
    if (looking->count == 0) {
        return mw_push_fault(L, &looking->fault);
    }
    lua_createtable(L, (int)looking->count, 0);
    for (size_t i = 0; i < looking->count; i++) {
        push(L, looking, i);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* --- addresses --- */

static void push_host(lua_State *L, const struct looking *looking, size_t at) {
    const struct mw_addr *addr = &looking->addresses[at];
    char text[INET6_ADDRSTRLEN];
    const void *bytes =
        addr->any.sa_family == AF_INET ? (const void *)&addr->v4.sin_addr : (const void *)&addr->v6.sin6_addr;
    inet_ntop(addr->any.sa_family, bytes, text, sizeof text);
    lua_pushstring(L, text);
}

static int found_addresses(lua_State *L, int status, lua_KContext index) {
    (void)status;
    return give(L, index, push_host);
}

static int check_family(lua_State *L, int index) {
    static const char *const known[] = {"family", NULL};
    mw_check_options(L, index, known);
    const char *family = mw_push_string_option(L, index, "family");
    bool v4 = family && strcmp(family, "v4") == 0, v6 = family && strcmp(family, "v6") == 0;
    luaL_argcheck(L, !family || v4 || v6, index, "option 'family': \"v4\" or \"v6\" expected");
    lua_pop(L, 1);
    return v4 ? AF_INET : v6 ? AF_INET6 : AF_UNSPEC;
}

/* addresses(name, options) → list of numeric addresses | nil, err, code */
static int resolver_addresses(lua_State *L) {
    struct looking *looking;
    size_t length;
    const char *name = luaL_checklstring(L, 1, &length);
    int family = check_family(L, 2);
    struct mw_resolver *resolver = begin(L, &looking);
    if (!resolver) {
        return 3;
    }
    looking->lookup = mw_resolver_addresses(resolver, name, length, 0, family, on_addresses, looking);
    return wait_for_answer(L, looking, found_addresses);
}

/* --- records --- */

/* In the order of enum mw_record_type. */
static const char *const type_names[] = {"A", "AAAA", "MX", "TXT", "SRV", "PTR", NULL};

static void set_number(lua_State *L, const char *key, lua_Integer value) {
    lua_pushinteger(L, value);
    lua_setfield(L, -2, key);
}

static void push_record(lua_State *L, const struct looking *looking, size_t at) {
    const struct mw_record *record = &looking->records[at];
    lua_createtable(L, 0, 6);
    lua_pushstring(L, type_names[record->type]);
    lua_setfield(L, -2, "type");
    lua_pushlstring(L, record->text, record->length);
    lua_setfield(L, -2, "text");
    set_number(L, "ttl", record->ttl);
    if (record->type == MW_RECORD_MX || record->type == MW_RECORD_SRV) {
        set_number(L, "priority", record->priority);
    }
    if (record->type == MW_RECORD_SRV) {
        set_number(L, "weight", record->weight);
        set_number(L, "port", record->port);
    }
}

static int found_records(lua_State *L, int status, lua_KContext index) {
    (void)status;
    return give(L, index, push_record);
}

static void push_text(lua_State *L, const struct looking *looking, size_t at) {
    lua_pushlstring(L, looking->records[at].text, looking->records[at].length);
}

static int found_names(lua_State *L, int status, lua_KContext index) {
    (void)status;
    return give(L, index, push_text);
}

static int look_up_records(lua_State *L, enum mw_record_type type, lua_KFunction k) {
    struct looking *looking;
    size_t length;
    const char *name = luaL_checklstring(L, 1, &length);
    struct mw_resolver *resolver = begin(L, &looking);
    if (!resolver) {
        return 3;
    }
    looking->lookup = mw_resolver_records(resolver, name, length, type, on_records, looking);
    return wait_for_answer(L, looking, k);
}

/* records(name, type) → list of tables | nil, err, code */
static int resolver_records(lua_State *L) {
    luaL_checkstring(L, 1);
    return look_up_records(L, (enum mw_record_type)luaL_checkoption(L, 2, NULL, type_names), found_records);
}

/* reverse(address) → list of names | nil, err, code */
static int resolver_reverse(lua_State *L) {
    return look_up_records(L, MW_RECORD_PTR, found_names);
}

/* --- settings --- */

/* Pushes the list of servers joined with commas and returns it; NULL when the
 * option is absent. */
static const char *join_servers(lua_State *L, int index) {
    luaL_Buffer buffer;
    if (lua_getfield(L, index, "servers") == LUA_TNIL) {
        return NULL;
    }
    luaL_argcheck(L, lua_istable(L, -1), index, "option 'servers': a list of addresses expected");
    int list = lua_gettop(L);
    lua_Integer count = luaL_len(L, list);
    luaL_buffinit(L, &buffer);
    for (lua_Integer i = 1; i <= count; i++) {
        if (lua_geti(L, list, i) != LUA_TSTRING) {
            luaL_argerror(L, index, "option 'servers': a list of addresses expected");
        }
        luaL_addvalue(&buffer);
        luaL_addstring(&buffer, i < count ? "," : "");
    }
    luaL_pushresult(&buffer);
    return lua_tostring(L, -1);
}

static bool apply(struct mw_state *state, const struct mw_resolver_options *options, struct mw_fault *fault) {
    if (state->resolver) {
        return mw_resolver_configure(state->resolver, options, fault);
    }
    state->resolver = mw_resolver_new(state->sched.loop, options, fault);
    return state->resolver != NULL;
}

/* configure(options) → true | nil, err, code. Raises for servers that are no addresses. */
static int resolver_configure(lua_State *L) {
    static const char *const known[] = {"servers", "resolv_conf", "timeout", "tries", "entries", NULL};
    struct mw_state *state = mw_state_of(L);
    struct mw_fault fault;
    luaL_checktype(L, 1, LUA_TTABLE);
    mw_check_options(L, 1, known);
    struct mw_resolver_options options = {
        .resolv_conf = mw_push_string_option(L, 1, "resolv_conf"),
        .timeout = mw_option_seconds(L, 1, "timeout", DEFAULT_TIMEOUT),
        .tries = (unsigned)mw_option_integer(L, 1, "tries", 1, TRIES_MOST, 0),
        .entries = (unsigned)mw_option_integer(L, 1, "entries", 1, ENTRIES_MOST, 0),
        .servers = join_servers(L, 1),
    };
    luaL_argcheck(L, options.timeout > 0, 1, "option 'timeout': seconds above 0 expected");
    if (!apply(state, &options, &fault)) {
        luaL_argcheck(L, strcmp(fault.code, "invalid") != 0, 1, fault.message);
        return mw_push_fault(L, &fault);
    }
    lua_pushboolean(L, 1);
    return 1;
}

static const luaL_Reg functions[] = {
    {"addresses", resolver_addresses},
    {"records", resolver_records},
    {"reverse", resolver_reverse},
    {"configure", resolver_configure},
    {NULL, NULL},
};

static const luaL_Reg methods[] = {{NULL, NULL}};
static const luaL_Reg metamethods[] = {{"__gc", looking_gc}, {NULL, NULL}};

void mw_l_resolver_open(lua_State *L) {
    mw_new_type(L, TYPE, methods, metamethods);
    mw_set_functions(L, "dns", functions);
}
