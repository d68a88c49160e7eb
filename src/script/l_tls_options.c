#include "script/l_tls_options.h"

#include "net/tls_development.h"
#include "script/check.h"
#include "script/fault.h"
#include "script/l_data.h"
#include "script/state.h"

#include <string.h>

static const char CACHE[] = "moonwire.tls.settings";
static const char TYPE[] = "moonwire.tls.options";
static const char AUTO[] = "moonwire.tls.auto";
static const char DEVELOPMENT[] = "moonwire.tls.development";

enum { CACHED_MOST = 32 };

/* --- one value after the other, checked, into the plain table on top --- */

/* Where the options are, and what messages call them. */
struct reading {
    lua_State *L;
    int argument, table; /* of the function that is called; index of the options */
    const char *path;    /* "tls" */
};

static int refuse(const struct reading *reading, const char *key, const char *expected) {
    lua_getfield(reading->L, reading->table, key);
    const char *got = luaL_typename(reading->L, -1);
    return luaL_argerror(reading->L, reading->argument,
                         lua_pushfstring(reading->L, "option '%s.%s': %s expected, got %s", reading->path, key, expected,
                                         got));
}

/* Raises when what the key has, if anything, is of another type. */
static bool has(const struct reading *reading, const char *key, int type, const char *expected) {
    int found = lua_getfield(reading->L, reading->table, key);
    lua_pop(reading->L, 1);
    if (found != LUA_TNIL && found != type) {
        refuse(reading, key, expected);
    }
    return found == type;
}

static void copy_field(const struct reading *reading, const char *key) {
    lua_getfield(reading->L, reading->table, key);
    lua_setfield(reading->L, -2, key);
}

static void copy_text(const struct reading *reading, const char *key) {
    if (has(reading, key, LUA_TSTRING, "a string")) {
        copy_field(reading, key);
    }
}

/* A script in a sandbox has no files. */
static void copy_file(const struct reading *reading, const char *key) {
    if (!has(reading, key, LUA_TSTRING, "the name of a file")) {
        return;
    }
    if (mw_state_of(reading->L)->sandboxed) {
        luaL_argerror(reading->L, reading->argument,
                      lua_pushfstring(reading->L, "option '%s.%s': a script in a sandbox names no files; give %s_pem",
                                      reading->path, key, key));
    }
    lua_getfield(reading->L, reading->table, key);
    const char *name = lua_tostring(reading->L, -1);
    if (!*name || strlen(name) != lua_rawlen(reading->L, -1)) {
        refuse(reading, key, "the name of a file");
    }
    lua_setfield(reading->L, -2, key);
}

static int refuse_key(const struct reading *reading, const char *key, const char *const known[], const char *extra) {
    luaL_Buffer buffer;
    luaL_buffinit(reading->L, &buffer);
    luaL_addstring(&buffer, extra ? extra : "");
    luaL_addstring(&buffer, extra ? ", " : "");
    for (; *known; known++) {
        luaL_addstring(&buffer, *known);
        luaL_addstring(&buffer, known[1] ? ", " : "");
    }
    luaL_pushresult(&buffer);
    return luaL_argerror(reading->L, reading->argument,
                         lua_pushfstring(reading->L, "unknown option '%s.%s' (known: %s)", reading->path, key,
                                         lua_tostring(reading->L, -1)));
}

static void check_keys(const struct reading *reading, const char *const known[], const char *extra) {
    lua_State *L = reading->L;
    lua_pushnil(L);
    while (lua_next(L, reading->table)) {
        lua_pop(L, 1);
        const char *key = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "?";
        bool found = extra && strcmp(key, extra) == 0;
        for (const char *const *one = known; !found && *one; one++) {
            found = strcmp(key, *one) == 0;
        }
        if (!found) {
            refuse_key(reading, key, known, extra);
        }
    }
}

static bool has_key(const struct reading *reading, const char *key) {
    bool there = lua_getfield(reading->L, reading->table, key) != LUA_TNIL;
    lua_pop(reading->L, 1);
    return there;
}

/* Appends a pair to the list on top, if the table has one. */
static bool add_pair(const struct reading *reading) {
    lua_State *L = reading->L;
    bool certificate = has_key(reading, "certificate") || has_key(reading, "certificate_pem");
    bool key = has_key(reading, "key") || has_key(reading, "key_pem");
    if (certificate != key) {
        const char *missing = key ? "certificate" : "key";
        luaL_argerror(L, reading->argument,
                      lua_pushfstring(L, "option '%s': a certificate goes with its key, and there is no %s",
                                      reading->path, missing));
    }
    if (!certificate) {
        return false;
    }
    lua_createtable(L, 0, 3);
    copy_file(reading, "certificate");
    copy_file(reading, "key");
    copy_file(reading, "staple");
    copy_text(reading, "certificate_pem");
    copy_text(reading, "key_pem");
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    return true;
}

/* Appends those of the list `certificates`. */
static void add_certificates(const struct reading *reading) {
    static const char *const known[] = {"certificate", "key", "certificate_pem", "key_pem", "staple", NULL};
    lua_State *L = reading->L;
    if (!has(reading, "certificates", LUA_TTABLE, "a list of tables")) {
        return;
    }
    lua_getfield(L, reading->table, "certificates");
    lua_insert(L, -2);
    for (lua_Integer i = 1; lua_rawgeti(L, -2, i) != LUA_TNIL; i++) {
        struct reading one = {L, reading->argument, lua_gettop(L), "tls.certificates"};
        if (!lua_istable(L, -1)) {
            refuse(reading, "certificates", "a list of tables");
        }
        check_keys(&one, known, NULL);
        lua_pushvalue(L, -2);
        if (!add_pair(&one)) {
            luaL_argerror(L, reading->argument, "option 'tls.certificates': an entry has no certificate");
        }
        lua_pop(L, 2);
    }
    lua_pop(L, 1);
    lua_remove(L, -2);
}

static void copy_pairs(const struct reading *reading) {
    lua_State *L = reading->L;
    lua_newtable(L);
    add_pair(reading);
    add_certificates(reading);
    lua_setfield(L, -2, "pairs");
}

static void copy_protocols(const struct reading *reading) {
    lua_State *L = reading->L;
    if (!has(reading, "protocols", LUA_TTABLE, "a list of names")) {
        return;
    }
    lua_getfield(L, reading->table, "protocols");
    lua_newtable(L);
    for (lua_Integer i = 1; lua_rawgeti(L, -2, i) != LUA_TNIL; i++) {
        size_t length = lua_type(L, -1) == LUA_TSTRING ? lua_rawlen(L, -1) : 0;
        if (length == 0 || length > 255 || i > 32) {
            refuse(reading, "protocols", "a list of at most 32 names of 1 to 255 bytes");
        }
        lua_rawseti(L, -2, i);
    }
    lua_pop(L, 1);
    lua_remove(L, -2);
    lua_setfield(L, -2, "protocols");
}

static void copy_verify(const struct reading *reading, bool server) {
    if (!has(reading, "verify", LUA_TSTRING, "a string")) {
        return;
    }
    lua_getfield(reading->L, reading->table, "verify");
    const char *word = lua_tostring(reading->L, -1);
    if (strcmp(word, "none") != 0 && strcmp(word, "required") != 0 && (!server || strcmp(word, "optional") != 0)) {
        const char *words = server ? "\"none\", \"optional\" or \"required\"" : "\"required\" or \"none\"";
        luaL_argerror(reading->L, reading->argument,
                      lua_pushfstring(reading->L, "option '%s.verify': %s expected, got \"%s\"", reading->path, words,
                                      word));
    }
    lua_setfield(reading->L, -2, "verify");
}

static void copy_version(const struct reading *reading) {
    if (!has(reading, "least_version", LUA_TNUMBER, "1.2 or 1.3")) {
        return;
    }
    lua_getfield(reading->L, reading->table, "least_version");
    double version = lua_tonumber(reading->L, -1);
    lua_pop(reading->L, 1);
    if (version != 1.2 && version != 1.3) {
        refuse(reading, "least_version", "1.2 or 1.3");
    }
    lua_pushinteger(reading->L, version == 1.2 ? 12 : 13);
    lua_setfield(reading->L, -2, "least_version");
}

static void copy_limits(const struct reading *reading, bool server) {
    lua_State *L = reading->L;
    if (has_key(reading, "handshake_timeout")) {
        lua_pushnumber(L, mw_option_seconds(L, reading->table, "handshake_timeout", MW_TLS_HANDSHAKE_SECONDS));
        lua_setfield(L, -2, "handshake_timeout");
    }
    if (server && has_key(reading, "handshakes")) {
        lua_pushinteger(L, mw_option_integer(L, reading->table, "handshakes", 1, 1000000, MW_TLS_HANDSHAKES));
        lua_setfield(L, -2, "handshakes");
    }
}

#define OF_BOTH "certificate", "key", "certificate_pem", "key_pem", "authorities", "authorities_pem", "verify", \
    "protocols", "least_version", "handshake_timeout"

/* Pushes the plain table that the options at `reading->table` mean. */
static void push_plain(const struct reading *reading, bool server, const char *extra) {
    static const char *const of_server[] = {OF_BOTH, "staple", "certificates", "handshakes", NULL};
    static const char *const of_client[] = {OF_BOTH, "name", NULL};
    check_keys(reading, server ? of_server : of_client, extra);
    lua_newtable(reading->L);
    copy_pairs(reading);
    copy_file(reading, "authorities");
    copy_text(reading, "authorities_pem");
    copy_verify(reading, server);
    copy_protocols(reading);
    copy_version(reading);
    copy_limits(reading, server);
}

/* --- a development certificate: one for all listeners of a state --- */

static int development_gc(lua_State *L) {
    mw_tls_development_free(lua_touserdata(L, 1));
    return 0;
}

/* In a userdata: whatever raises, the collector frees it. NULL and the fault: nothing is pushed. */
static const struct mw_tls_development *push_development(lua_State *L, struct mw_fault *fault) {
    struct mw_tls_development *made = lua_newuserdatauv(L, sizeof *made, 0);
    *made = (struct mw_tls_development){.key = NULL};
    luaL_setmetatable(L, DEVELOPMENT);
    if (mw_tls_development_make(made, fault)) {
        return made;
    }
    lua_pop(L, 1);
    return NULL;
}

static bool push_auto(lua_State *L, struct mw_fault *fault) {
    if (lua_getfield(L, LUA_REGISTRYINDEX, AUTO) == LUA_TTABLE) {
        return true;
    }
    lua_pop(L, 1);
    const struct mw_tls_development *made = push_development(L, fault);
    if (!made) {
        return false;
    }
    lua_createtable(L, 0, 1);
    lua_createtable(L, 1, 0);
    lua_createtable(L, 0, 2);
    lua_pushlstring(L, made->certificate, made->certificate_size);
    lua_setfield(L, -2, "certificate_pem");
    lua_pushlstring(L, made->key, made->key_size);
    lua_setfield(L, -2, "key_pem");
    lua_rawseti(L, -2, 1);
    lua_setfield(L, -2, "pairs");
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, AUTO);
    lua_remove(L, -2);
    return true;
}

/* --- made once, shared --- */

static int settings_gc(lua_State *L) {
    struct mw_tls_settings **held = luaL_checkudata(L, 1, TYPE);
    mw_tls_settings_release(*held);
    *held = NULL;
    return 0;
}

static void push_cache(lua_State *L) {
    if (lua_getfield(L, LUA_REGISTRYINDEX, CACHE) == LUA_TTABLE) {
        return;
    }
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, CACHE);
}

static int count_entries(lua_State *L, int table) {
    int count = 0;
    lua_pushnil(L);
    while (lua_next(L, table)) {
        lua_pop(L, 1);
        count++;
    }
    return count;
}

/* Keeps the settings under the key on top of the stack, which is popped; begins anew when there are many. */
static void keep(lua_State *L, struct mw_tls_settings *settings) {
    int key = lua_gettop(L);
    struct mw_tls_settings **held = lua_newuserdatauv(L, sizeof *held, 0);
    *held = NULL;
    luaL_setmetatable(L, TYPE);
    push_cache(L);
    if (count_entries(L, lua_gettop(L)) >= CACHED_MOST) {
        lua_pushnil(L);
        lua_setfield(L, LUA_REGISTRYINDEX, CACHE);
        lua_pop(L, 1);
        push_cache(L);
    }
    lua_pushvalue(L, key);
    lua_pushvalue(L, key + 1);
    lua_rawset(L, -3);
    *held = mw_tls_settings_hold(settings);
    lua_settop(L, key - 1);
}

/* Those under the key on top of the stack, which stays there; NULL: none. */
static struct mw_tls_settings *find(lua_State *L) {
    push_cache(L);
    lua_pushvalue(L, -2);
    struct mw_tls_settings **held = lua_rawget(L, -2) == LUA_TUSERDATA ? lua_touserdata(L, -1) : NULL;
    lua_pop(L, 2);
    return held ? *held : NULL;
}

/* Of the plain table on top of the stack, which is popped. */
static struct mw_tls_settings *make(lua_State *L, bool server, bool shared, struct mw_fault *fault) {
    struct mw_text text = {.bytes = NULL};
    if (!mw_data_encode(L, -1, "tls", &text, fault)) {
        mw_text_free(&text);
        lua_pop(L, 1);
        return NULL;
    }
    lua_pop(L, 1);
    if (!shared) {
        return mw_tls_settings_new(&text, server, mw_state_tickets(mw_state_of(L)), NULL, fault);
    }
    lua_pushlstring(L, text.bytes, text.size);
    lua_pushstring(L, server ? "server" : "client");
    lua_concat(L, 2);
    struct mw_tls_settings *settings = find(L);
    if (settings) {
        mw_text_free(&text);
        lua_pop(L, 1);
        return mw_tls_settings_hold(settings);
    }
    settings = mw_tls_settings_new(&text, server, mw_state_tickets(mw_state_of(L)), NULL, fault);
    if (!settings) {
        lua_pop(L, 1);
        return NULL;
    }
    keep(L, settings);
    return settings;
}

struct mw_tls_settings *mw_l_tls_settings(lua_State *L, int argument, int value, bool server, bool shared,
                                          const char *extra, struct mw_fault *fault) {
    struct reading reading = {L, argument, lua_absindex(L, value), "tls"};
    const char *word = lua_type(L, value) == LUA_TSTRING ? lua_tostring(L, value) : NULL;
    if (word && server && strcmp(word, "auto") == 0) {
        return push_auto(L, fault) ? make(L, server, shared, fault) : NULL;
    }
    if (lua_isnoneornil(L, value)) {
        lua_newtable(L);
        return make(L, server, shared, fault);
    }
    if (!lua_istable(L, value)) {
        const char *expected = server ? "a table of options or \"auto\"" : "a table of options";
        luaL_argerror(L, argument,
                      lua_pushfstring(L, "option 'tls': %s expected, got %s", expected, luaL_typename(L, value)));
    }
    push_plain(&reading, server, extra);
    lua_getfield(L, -1, "pairs");
    bool empty = lua_rawlen(L, -1) == 0;
    lua_pop(L, 1);
    if (server && empty) {
        luaL_argerror(L, argument, "option 'tls': a server needs a certificate and its key, or tls = \"auto\"");
    }
    return make(L, server, shared, fault);
}

bool mw_l_tls_option(lua_State *L, int argument, bool server, struct mw_tls_settings **settings,
                     struct mw_fault *fault) {
    *settings = NULL;
    if (!lua_istable(L, argument) || lua_getfield(L, argument, "tls") == LUA_TNIL) {
        lua_settop(L, lua_istable(L, argument) ? lua_gettop(L) - 1 : lua_gettop(L));
        return true;
    }
    *settings = mw_l_tls_settings(L, argument, -1, server, !server, NULL, fault);
    lua_pop(L, 1);
    return *settings != NULL;
}

/* --- for the config's judge --- */

/* judge(table) → true | nil, why, code: whether a server could be made of these plain options (see tls_settings.h) */
static int tls_judge(lua_State *L) {
    struct mw_fault fault;
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    struct mw_tls_settings *settings = make(L, true, false, &fault);
    if (!settings) {
        return mw_push_fault(L, &fault);
    }
    mw_tls_settings_release(settings);
    lua_pushboolean(L, 1);
    return 1;
}

/* develop() → certificate, key: PEM texts of a development certificate | nil, why, code */
static int tls_develop(lua_State *L) {
    struct mw_fault fault;
    const struct mw_tls_development *made = push_development(L, &fault);
    if (!made) {
        return mw_push_fault(L, &fault);
    }
    lua_pushlstring(L, made->certificate, made->certificate_size);
    lua_pushlstring(L, made->key, made->key_size);
    return 2;
}

void mw_l_tls_options_open(lua_State *L) {
    static const luaL_Reg functions[] = {{"judge", tls_judge}, {"develop", tls_develop}, {NULL, NULL}};
    static const luaL_Reg metamethods[] = {{"__gc", settings_gc}, {NULL, NULL}};
    static const luaL_Reg methods[] = {{NULL, NULL}};
    static const luaL_Reg of_development[] = {{"__gc", development_gc}, {NULL, NULL}};
    mw_new_type(L, TYPE, methods, metamethods);
    mw_new_type(L, DEVELOPMENT, methods, of_development);
    mw_set_functions(L, "tls", functions);
}
