/* Requests for scripts. What the head says lies in the userdata itself; values are made when they are asked for. */
#include "script/l_http_internal.h"

#include "base/hash.h"
#include "script/fault.h"
#include "script/l_proxy.h"
#include "script/sched.h"

#include <inttypes.h>
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

const char mw_http_request_type[] = "moonwire.http.request";
#define TYPE mw_http_request_type

/* User values of the userdata. */
enum { FIELDS = 1, HEADERS, VALUES = HEADERS };

struct mw_http_request *mw_http_request_push(lua_State *L, struct mw_http_connection *connection,
                                             const struct mw_http1_head *head, const char *bytes, int type) {
    struct mw_http_request *request = lua_newuserdatauv(L, sizeof *request + head->size, VALUES);
    const struct mw_http_rules *rules = &connection->server->rules;
    mw_l_http_body_start(&request->body, &request->stream, head);
    request->body.limit = rules->body;
    request->body.rate = rules->body_rate;
    request->stream = (struct mw_l_stream){.peer = connection->peer};
    mw_list_init(&request->stream.resource.node);
    request->connection = connection;
    request->response = NULL;
    request->task = NULL;
    request->peer = connection->peer;
    request->begun = mw_loop_now(connection->server->handler.sched->loop);
    request->id = 0;
    request->secure = connection->secure;
    request->is_head = head->method.size == 4 && memcmp(bytes + head->method.at, "HEAD", 4) == 0;
    request->head = *head;
    memcpy(request->bytes, bytes, head->size);
    lua_pushvalue(L, type);
    lua_setmetatable(L, -2);
    return request;
}

/* Unique over processes and restarts: a random start, mixed so that neighbours look different. */
uint64_t mw_http_request_id(struct mw_http_request *request) {
    static uint64_t next;
    if (request->id) {
        return request->id;
    }
    if (next == 0 && getrandom(&next, sizeof next, 0) != sizeof next) {
        next = (uint64_t)(uintptr_t)request;
    }
    uint64_t mixed = next++;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9U;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebU;
    request->id = (mixed ^ (mixed >> 31)) | 1;
    return request->id;
}

struct mw_http_request *mw_http_request_check(lua_State *L, int index) {
    struct mw_http_request *request = luaL_testudata(L, index, TYPE);
    if (!request) {
        luaL_typeerror(L, index, TYPE);
    }
    return request;
}

static struct mw_http_request *check(lua_State *L) {
    return mw_http_request_check(L, 1);
}

/* --- fields --- */

enum field {
    METHOD = 1, TARGET, PATH, QUERY, AUTHORITY, HOST, VERSION, SCHEME, PEER, ID, HEADER_TABLE, LENGTH, UPGRADE
};

static const struct {
    const char *name;
    enum field field;
} fields[] = {
    {"method", METHOD}, {"target", TARGET},   {"path", PATH},     {"query", QUERY}, {"authority", AUTHORITY},
    {"host", HOST},     {"version", VERSION}, {"scheme", SCHEME}, {"peer", PEER},   {"id", ID},
    {"headers", HEADER_TABLE},                {"length", LENGTH}, {"upgrade", UPGRADE},
};

static void push_part(lua_State *L, const struct mw_http_request *request, struct mw_http1_part part) {
    lua_pushlstring(L, request->bytes + part.at, part.size);
}

static void push_path(lua_State *L, const struct mw_http_request *request) {
    struct mw_http1_part path = request->head.path;
    luaL_Buffer buffer;
    if (path.size == 0) { /* of an absolute target; or it is "*" or an authority, which have none */
        lua_pushstring(L, request->head.target.size > 1 && request->head.path.at ? "/" : "*");
        return;
    }
    char *room = luaL_buffinitsize(L, &buffer, path.size + 1);
    luaL_pushresultsize(&buffer, mw_http1_decode_path(room, request->bytes + path.at, path.size));
}

/* The host of the authority without its port, lower-case. */
static void push_host(lua_State *L, const struct mw_http_request *request) {
    struct mw_http1_part host = request->head.host;
    const char *text = request->bytes + host.at;
    size_t size = host.size;
    const char *colon = memrchr(text, ':', size);
    const char *bracket = memrchr(text, ']', size);
    if (colon && (!bracket || colon > bracket)) {
        size = (size_t)(colon - text);
    }
    luaL_Buffer buffer;
    char *room = luaL_buffinitsize(L, &buffer, size);
    for (size_t i = 0; i < size; i++) {
        room[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] + ('a' - 'A') : text[i]);
    }
    luaL_pushresultsize(&buffer, size);
}

static void push_peer(lua_State *L, const struct mw_http_request *request) {
    struct mw_addr peer;
    char name[MW_ADDR_TEXT];
    mw_endpoint_unpack(&peer, &request->peer);
    lua_pushstring(L, mw_addr_format(&peer, name));
}

static void push_id(lua_State *L, struct mw_http_request *request) {
    char text[20];
    snprintf(text, sizeof text, "%016" PRIx64, mw_http_request_id(request));
    lua_pushstring(L, text);
}

/* Made once: the table is the script's to look into. */
static void push_headers(lua_State *L, const struct mw_http_request *request) {
    if (lua_getiuservalue(L, 1, HEADERS) == LUA_TTABLE) {
        return;
    }
    lua_pop(L, 1);
    mw_l_http_push_fields(L, request->bytes, request->head.fields, request->head.size);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, 1, HEADERS);
}

static void push_optional(lua_State *L, const struct mw_http_request *request, struct mw_http1_part part, bool is_there) {
    if (is_there) {
        push_part(L, request, part);
    } else {
        lua_pushnil(L);
    }
}

static void push_field(lua_State *L, struct mw_http_request *request, enum field field) {
    const struct mw_http1_head *head = &request->head;
    switch (field) {
    case METHOD: push_part(L, request, head->method); break;
    case TARGET: push_part(L, request, head->target); break;
    case PATH: push_path(L, request); break;
    case QUERY: push_optional(L, request, head->query, head->has_query); break;
    case AUTHORITY: push_part(L, request, head->host); break;
    case HOST: push_host(L, request); break;
    case VERSION: lua_pushstring(L, head->minor ? "1.1" : "1.0"); break;
    case SCHEME: lua_pushstring(L, request->secure ? "https" : "http"); break;
    case PEER: push_peer(L, request); break;
    case ID: push_id(L, request); break;
    case HEADER_TABLE: push_headers(L, request); break;
    case UPGRADE: push_optional(L, request, head->upgrade, head->upgrade.size > 0); break;
    case LENGTH:
        if (head->framing == MW_HTTP1_LENGTH) {
            lua_pushinteger(L, (lua_Integer)head->length);
        } else {
            lua_pushnil(L);
        }
        break;
    }
}

/* Upvalues: the methods, the numbers of the fields. What a script has put there comes first: so it may have other
 * methods for one request. */
static int request_index(lua_State *L) {
    struct mw_http_request *request = lua_touserdata(L, 1);
    if (lua_getiuservalue(L, 1, FIELDS) == LUA_TTABLE) {
        lua_pushvalue(L, 2);
        if (lua_rawget(L, -2) != LUA_TNIL) {
            return 1;
        }
    }
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) {
        return 1;
    }
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(2)) != LUA_TNIL) {
        push_field(L, request, (enum field)lua_tointeger(L, -1));
    }
    return 1;
}

static int request_newindex(lua_State *L) {
    check(L);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(2)) != LUA_TNIL) {
        return luaL_error(L, "the field '%s' of a request cannot be set", lua_tostring(L, 2));
    }
    lua_pop(L, 1);
    if (lua_getiuservalue(L, 1, FIELDS) != LUA_TTABLE) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, -1);
        lua_setiuservalue(L, 1, FIELDS);
    }
    lua_insert(L, 2);
    lua_rawset(L, 2);
    return 0;
}

/* --- methods --- */

/* request:header(name) → value | nil */
static int request_header(lua_State *L) {
    const struct mw_http_request *request = check(L);
    size_t size;
    const char *name = luaL_checklstring(L, 2, &size);
    mw_l_http_push_field(L, request->bytes, request->head.fields, request->head.size, name, size);
    return 1;
}

static int next_field(lua_State *L) {
    const struct mw_http_request *request = check(L);
    uint32_t at = (uint32_t)lua_tointeger(L, lua_upvalueindex(1));
    struct mw_http1_field field;
    if (!mw_http1_next_field(request->bytes, request->head.size, &at, &field)) {
        return 0;
    }
    lua_pushinteger(L, at);
    lua_replace(L, lua_upvalueindex(1));
    lua_pushlstring(L, field.name, field.name_size);
    lua_pushlstring(L, field.value, field.value_size);
    return 2;
}

/* request:fields() → iterator over name, value, as they came */
static int request_fields(lua_State *L) {
    const struct mw_http_request *request = check(L);
    lua_pushinteger(L, request->head.fields);
    lua_pushcclosure(L, next_field, 1);
    lua_pushvalue(L, 1);
    return 2;
}

/* request:is_open(): whether it can still be answered */
static int request_is_open(lua_State *L) {
    const struct mw_http_request *request = check(L);
    lua_pushboolean(L, request->connection && request->stream.stream && !mw_stream_input_fault(request->stream.stream));
    return 1;
}

static int request_tostring(lua_State *L) {
    const struct mw_http_request *request = check(L);
    struct mw_http1_part method = request->head.method, target = request->head.target;
    lua_pushfstring(L, "%s: ", TYPE);
    lua_pushlstring(L, request->bytes + method.at, method.size);
    lua_pushliteral(L, " ");
    lua_pushlstring(L, request->bytes + target.at, target.size);
    lua_concat(L, 4);
    return 1;
}

/* blame(request, status): what it is answered with when the handler dies without an answer */
static int blame(lua_State *L) {
    struct mw_http_request *request = check(L);
    lua_Integer status = luaL_checkinteger(L, 2);
    luaL_argcheck(L, status >= 400 && status <= 499, 2, "a status from 400 to 499 expected");
    request->body.blame = (uint16_t)status;
    return 0;
}

static bool is_condition(const struct mw_http1_field *field) {
    return (field->name_size > 3 && !strncasecmp(field->name, "if-", 3)) ||
           (field->name_size == 5 && !strncasecmp(field->name, "range", 5));
}

/* is_conditional(request) → whether it may be content with less than all: it has a field If-… or Range */
static int is_conditional(lua_State *L) {
    const struct mw_http_request *request = check(L);
    uint32_t at = request->head.fields;
    struct mw_http1_field field;
    bool found = false;
    while (!found && mw_http1_next_field(request->bytes, request->head.size, &at, &field)) {
        found = is_condition(&field);
    }
    lua_pushboolean(L, found);
    return 1;
}

/* What the PROXY header of its connection has said. */
static int request_proxy(lua_State *L) {
    mw_l_proxy_push(L, &check(L)->stream);
    return 1;
}

static const luaL_Reg methods[] = {
    {"header", request_header},
    {"fields", request_fields},
    {"is_open", request_is_open},
    {"proxy", request_proxy},
    {"read_some", mw_l_http_body_read_some},
    {"read_all", mw_l_http_body_read_all},
    {"chunks", mw_l_http_body_chunks},
    {"trailers", mw_l_http_body_trailers},
    {"limit_body", mw_l_http_body_limit},
    {NULL, NULL},
};

static void push_field_numbers(lua_State *L) {
    lua_createtable(L, 0, sizeof fields / sizeof *fields);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        lua_pushinteger(L, fields[i].field);
        lua_setfield(L, -2, fields[i].name);
    }
}

/* Adds request_methods, blame and is_conditional to the table on top. */
void mw_http_request_open(lua_State *L) {
    luaL_newmetatable(L, TYPE);
    luaL_newlib(L, methods);
    push_field_numbers(L);
    lua_pushvalue(L, -2);
    lua_pushvalue(L, -2);
    lua_pushcclosure(L, request_index, 2);
    lua_setfield(L, -4, "__index");
    lua_pushvalue(L, -2);
    lua_pushvalue(L, -2);
    lua_pushcclosure(L, request_newindex, 2);
    lua_setfield(L, -4, "__newindex");
    lua_pop(L, 1);
    lua_pushcfunction(L, request_tostring);
    lua_setfield(L, -3, "__tostring");
    lua_pushboolean(L, 1);
    lua_setfield(L, -3, "__http_body");
    lua_pushboolean(L, 0);
    lua_setfield(L, -3, "__metatable");
    lua_setfield(L, -3, "request_methods");
    lua_pop(L, 1);
    lua_pushcfunction(L, blame);
    lua_setfield(L, -2, "blame");
    lua_pushcfunction(L, is_conditional);
    lua_setfield(L, -2, "is_conditional");
}
