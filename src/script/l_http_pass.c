/* Heads that pass through a proxy. They are written anew from what was parsed: whatever came in, what goes out has one
 * framing, one Host, and nothing that concerned the other connection. */
#include "script/l_http_pass.h"

#include "script/check.h"
#include "script/fault.h"
#include "script/l_http_hop.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

static const char TYPE[] = "moonwire.http.pass_rules";

static bool is_dropped(const struct mw_http_pass_rules *rules, const struct mw_http1_field *field) {
    for (int i = 0; i < rules->drops; i++) {
        if (mw_http_is_name(field, rules->dropped[i].name, rules->dropped[i].size)) {
            return true;
        }
    }
    return false;
}

/* --- writing --- */

static char *put(char *at, const char *bytes, size_t size) {
    memcpy(at, bytes, size);
    return at + size;
}

#define PUT(at, text) put(at, text, sizeof(text) - 1)

static char *put_field(char *at, const struct mw_http1_field *field) {
    at = put(at, field->name, field->name_size);
    at = PUT(at, ": ");
    at = put(at, field->value, field->value_size);
    return PUT(at, "\r\n");
}

static char *put_number(char *at, uint64_t number) {
    char digits[20], *first = digits + sizeof digits;
    do {
        *--first = (char)('0' + number % 10);
    } while (number /= 10);
    return put(at, first, (size_t)(digits + sizeof digits - first));
}

/* --- who the client is --- */

/* What proxies say about a client, which anybody could say. */
static bool is_about_client(const struct mw_http1_field *field) {
    return MW_HTTP_IS(field, "forwarded") || MW_HTTP_IS(field, "x-real-ip") ||
           (field->name_size > 12 && strncasecmp(field->name, "x-forwarded-", 12) == 0);
}

static bool is_trusted(const struct mw_http_pass_rules *rules, const struct mw_endpoint *peer) {
    uint8_t bytes[16];
    if (rules->trusts == 0 || !mw_network_address(bytes, peer)) {
        return false;
    }
    for (int i = 0; i < rules->trusts; i++) {
        if (mw_network_holds(&rules->trusted[i], bytes)) {
            return true;
        }
    }
    return false;
}

/* The address without port; an IPv6 one within brackets if `bracketed`. */
static size_t client_name(char text[MW_ADDR_TEXT], const struct mw_endpoint *peer, bool bracketed) {
    struct mw_addr addr;
    char name[MW_ADDR_TEXT];
    mw_endpoint_unpack(&addr, peer);
    const char *from = mw_addr_format(&addr, name), *port = strrchr(from, ':');
    if (!peer->family || !port || strncmp(from, "unix", 4) == 0) {
        return (size_t)(put(text, "unknown", 7) - text);
    }
    if (from[0] == '[' && !bracketed) {
        from++;
        port--;
    }
    return (size_t)(put(text, from, (size_t)(port - from)) - text);
}

/* name: old values, */
static char *put_old(char *at, const struct mw_http_request *request, const char *name, size_t size, bool trusted) {
    struct mw_http1_field field;
    uint32_t from = request->head.fields;
    at = put(at, name, size);
    at = PUT(at, ": ");
    while (trusted && mw_http1_find_field(request->bytes, request->head.size, &from, name, size, &field)) {
        at = put(at, field.value, field.value_size);
        at = PUT(at, ", ");
    }
    return at;
}

static bool has(const struct mw_http_request *request, const char *name, size_t size) {
    struct mw_http1_field field;
    uint32_t from = request->head.fields;
    return mw_http1_find_field(request->bytes, request->head.size, &from, name, size, &field);
}

static char *put_x_forwarded(char *at, const struct mw_http_request *request, bool trusted) {
    char name[MW_ADDR_TEXT];
    at = put_old(at, request, "X-Forwarded-For", 15, trusted);
    at = put(at, name, client_name(name, &request->peer, false));
    at = PUT(at, "\r\n");
    if (!trusted || !has(request, "x-forwarded-proto", 17)) {
        at = request->secure ? PUT(at, "X-Forwarded-Proto: https\r\n") : PUT(at, "X-Forwarded-Proto: http\r\n");
    }
    if (request->head.host.size && (!trusted || !has(request, "x-forwarded-host", 16))) {
        at = PUT(at, "X-Forwarded-Host: ");
        at = put(at, request->bytes + request->head.host.at, request->head.host.size);
        at = PUT(at, "\r\n");
    }
    return at;
}

/* RFC 7239 */
static char *put_forwarded(char *at, const struct mw_http_request *request, bool trusted) {
    char name[MW_ADDR_TEXT];
    size_t size = client_name(name, &request->peer, true);
    bool is_quoted = name[0] == '[';
    at = put_old(at, request, "Forwarded", 9, trusted);
    at = is_quoted ? PUT(at, "for=\"") : PUT(at, "for=");
    at = put(at, name, size);
    at = is_quoted ? PUT(at, "\";") : PUT(at, ";");
    if (request->head.host.size) {
        at = PUT(at, "host=\"");
        at = put(at, request->bytes + request->head.host.at, request->head.host.size);
        at = PUT(at, "\";");
    }
    return request->secure ? PUT(at, "proto=https\r\n") : PUT(at, "proto=http\r\n");
}

/* Fields that we write ourselves take the place of what came. */
static bool is_ours(const struct mw_http_pass_rules *rules, const struct mw_http1_field *field, bool trusted) {
    if (!is_about_client(field)) {
        return false;
    }
    return !trusted || (rules->x_forwarded && MW_HTTP_IS(field, "x-forwarded-for")) ||
           (rules->forwarded && MW_HTTP_IS(field, "forwarded"));
}

/* Whether a field passes for one that is not passed on with those who take '_' in names for '-', as CGI and what came
 * after it do: a client could say with it what only we may say. */
static bool is_twin(const struct mw_http_pass_rules *rules, const struct mw_http1_field *field) {
    char name[64];
    struct mw_http1_field twin = {.name = name, .name_size = field->name_size};
    if (field->name_size > sizeof name || !memchr(field->name, '_', field->name_size)) {
        return false;
    }
    memcpy(name, field->name, field->name_size);
    for (size_t i = 0; i < field->name_size; i++) {
        if (name[i] == '_') {
            name[i] = '-';
        }
    }
    return mw_http_is_of_hop(&twin) || MW_HTTP_IS(&twin, "host") || MW_HTTP_IS(&twin, "expect") ||
           is_about_client(&twin) || is_dropped(rules, &twin);
}

/* --- a request --- */

/* A protocol that only says that the other side would be spoken to in another version is not passed on: behind it
 * requests would go where this proxy does not see them. */
static bool passes_upgrade(const struct mw_http_request *request) {
    const struct mw_http1_head *head = &request->head;
    return head->upgrade.size && !mw_http1_has_token(request->bytes + head->upgrade.at, head->upgrade.size, "h2c");
}

static bool is_method(const struct mw_http_request *request, const char *method) {
    size_t size = strlen(method);
    return request->head.method.size == size && memcmp(request->bytes + request->head.method.at, method, size) == 0;
}

static char *put_framing(char *at, const struct mw_http_request *request) {
    const struct mw_http1_head *head = &request->head;
    if (head->framing == MW_HTTP1_LENGTH) {
        at = PUT(at, "Content-Length: ");
        at = put_number(at, head->length);
        at = PUT(at, "\r\n");
    } else if (head->framing == MW_HTTP1_CHUNKED) {
        at = PUT(at, "Transfer-Encoding: chunked\r\n");
    } else if (is_method(request, "POST") || is_method(request, "PUT") || is_method(request, "PATCH")) {
        at = PUT(at, "Content-Length: 0\r\n");
    }
    if (request->body.awaits_continue) {
        at = PUT(at, "Expect: 100-continue\r\n");
    }
    if (passes_upgrade(request)) {
        at = PUT(at, "Connection: Upgrade\r\nUpgrade: ");
        at = put(at, request->bytes + head->upgrade.at, head->upgrade.size);
        at = PUT(at, "\r\n");
    }
    return PUT(at, "\r\n");
}

/* One hop fewer (RFC 9110 section 7.6.2); a number that is none is nobody's. */
static char *put_hops(char *at, const struct mw_http1_field *field) {
    uint64_t hops = 0;
    for (uint32_t i = 0; i < field->value_size; i++) {
        unsigned digit = (unsigned char)field->value[i] - (unsigned)'0';
        if (digit > 9 || hops > UINT32_MAX) {
            return put_field(at, field);
        }
        hops = hops * 10 + digit;
    }
    at = PUT(at, "Max-Forwards: ");
    at = put_number(at, hops ? hops - 1 : 0);
    return PUT(at, "\r\n");
}

static bool counts_hops(const struct mw_http_request *request) {
    return is_method(request, "OPTIONS") || is_method(request, "TRACE");
}

static char *put_fields(char *at, const struct mw_http_request *request, const struct mw_http_pass_rules *rules,
                        bool trusted) {
    const struct mw_http1_head *head = &request->head;
    struct mw_http_listed listed;
    struct mw_http1_field field;
    uint32_t from = head->fields;
    mw_http_find_listed(&listed, request->bytes, from, head->size);
    while (mw_http1_next_field(request->bytes, head->size, &from, &field)) {
        if (!mw_http_is_of_hop(&field) && !MW_HTTP_IS(&field, "host") && !MW_HTTP_IS(&field, "expect") &&
            !(listed.count && mw_http_is_listed(&listed, &field)) && !is_ours(rules, &field, trusted) &&
            !(rules->drops && is_dropped(rules, &field)) && !is_twin(rules, &field)) {
            bool is_count = MW_HTTP_IS(&field, "max-forwards") && counts_hops(request);
            at = is_count ? put_hops(at, &field) : put_field(at, &field);
        }
    }
    return at;
}

/* A text as Lua has it. */
struct words {
    const char *bytes;
    size_t size;
};

static char *put_start(char *at, const struct mw_http_request *request, struct words target, struct words host) {
    const struct mw_http1_head *head = &request->head;
    at = put(at, request->bytes + head->method.at, head->method.size);
    at = PUT(at, " ");
    at = put(at, target.bytes, target.size);
    at = PUT(at, " HTTP/1.1\r\nHost: ");
    at = put(at, host.bytes, host.size);
    return PUT(at, "\r\n");
}

/* Every field may be written twice, when it is about the client. */
static size_t room_for(const struct mw_http_request *request, const struct mw_http_pass_rules *rules,
                       struct words target, struct words host) {
    return 4 * (size_t)request->head.size + target.size + host.size + rules->lines_size + 4 * MW_ADDR_TEXT + 512;
}

static int queue_head(struct mw_l_stream *stream, const struct mw_http_request *request,
                      const struct mw_http_pass_rules *rules, struct words target, struct words host) {
    static struct mw_text text; /* the next head lies where this one did */
    bool trusted = is_trusted(rules, &request->peer);
    text.size = 0;
    char *at = mw_text_reserve(&text, room_for(request, rules, target, host));
    if (!at) {
        text.failed = false;
        return ENOMEM;
    }
    at = put_start(at, request, target, host);
    at = put_fields(at, request, rules, trusted);
    at = rules->x_forwarded ? put_x_forwarded(at, request, trusted) : at;
    at = rules->forwarded ? put_forwarded(at, request, trusted) : at;
    at = put(at, rules->lines, rules->lines_size);
    at = put_framing(at, request);
    return mw_stream_queue(stream->stream, text.bytes, (size_t)(at - text.bytes));
}

/* Path and query: a target that names a whole URL loses its host. OPTIONS without a path asks about the server. */
static struct words own_target(lua_State *L, const struct mw_http_request *request) {
    const struct mw_http1_head *head = &request->head;
    struct words target = {.bytes = request->bytes + head->path.at, .size = head->path.size};
    if (head->has_query) {
        target.size = (size_t)(request->bytes + head->query.at + head->query.size - target.bytes);
    }
    bool has_folder = !lua_isnoneornil(L, 4);
    if (target.size == 0) {
        target = (struct words){.bytes = is_method(request, "OPTIONS") && !has_folder ? "*" : "/", .size = 1};
    }
    if (has_folder) { /* a folder of the upstream server */
        lua_pushvalue(L, 4);
        lua_pushlstring(L, target.bytes, target.size);
        lua_concat(L, 2);
        target.bytes = lua_tolstring(L, -1, &target.size);
    }
    return target;
}

static struct words host_of(lua_State *L, const struct mw_http_request *request) {
    struct words host = {.bytes = request->bytes + request->head.host.at, .size = request->head.host.size};
    if (!lua_isnoneornil(L, 5)) {
        host.bytes = luaL_checklstring(L, 5, &host.size);
    }
    return host;
}

/* Whether all of the body has come. */
static bool is_at_hand(const struct mw_http_request *request) {
    size_t unread;
    if (request->body.ended) {
        return true;
    }
    mw_stream_unread(request->stream.stream, &unread);
    return request->head.framing == MW_HTTP1_LENGTH && unread >= request->head.length;
}

/* pass_request(stream, request, rules, folder?, host?) → "none" | "here" | "coming": what there is of its body
 * | nil, err, code */
static int pass_request(lua_State *L) {
    struct mw_l_stream *stream = mw_l_stream_check(L, 1);
    struct mw_http_request *request = mw_http_request_check(L, 2);
    const struct mw_http_pass_rules *rules = mw_http_pass_rules_check(L, 3);
    struct words target = own_target(L, request), host = host_of(L, request);
    if (!stream->stream || !request->stream.stream) {
        return mw_push_word(L, "closed");
    }
    bool is_empty = request->head.framing == MW_HTTP1_EMPTY, is_here = is_at_hand(request);
    request->body.awaits_continue = request->body.awaits_continue && !is_here;
    int error = queue_head(stream, request, rules, target, host);
    if (error) {
        return mw_l_stream_push_fault(L, stream, "write", error);
    }
    lua_pushstring(L, is_empty ? "none" : is_here ? "here" : "coming");
    return 1;
}

/* --- an answer --- */

static void note(struct mw_http_response *response, const struct mw_http1_field *field) {
    response->has_type = response->has_type || MW_HTTP_IS(field, "content-type");
    response->has_date = response->has_date || MW_HTTP_IS(field, "date");
}

bool mw_http_pass_fields(struct mw_http_response *response, const struct mw_http_reply *reply,
                         const struct mw_http_pass_rules *rules) {
    const struct mw_http1_head *head = &reply->head;
    struct mw_http_listed listed;
    struct mw_http1_field field;
    uint32_t from = head->fields;
    char *start = mw_text_reserve(&response->fields, 2 * (size_t)head->size + rules->lines_size), *at = start;
    if (!at) {
        return false;
    }
    mw_http_find_listed(&listed, reply->bytes, from, head->size);
    while (mw_http1_next_field(reply->bytes, head->size, &from, &field)) {
        response->has_length = response->has_length || MW_HTTP_IS(&field, "content-length");
        if (!mw_http_is_of_hop(&field) && !(listed.count && mw_http_is_listed(&listed, &field)) &&
            !(rules->drops && is_dropped(rules, &field))) {
            at = put_field(at, &field);
            note(response, &field);
        }
    }
    at = put(at, rules->lines, rules->lines_size);
    response->fields.size += (size_t)(at - start);
    response->status = head->status;
    response->length = head->length;
    response->has_type = true; /* what the server has not said is not for us to say */
    return true;
}

/* pass_fields(response, reply, rules): of an answer 101, for response:upgrade */
static int pass_fields(lua_State *L) {
    struct mw_http_response *response = mw_http_response_check(L);
    if (!mw_http_pass_fields(response, mw_http_reply_check(L, 2), mw_http_pass_rules_check(L, 3))) {
        return luaL_error(L, "not enough memory");
    }
    response->has_length = false;
    response->status = 200;
    return 0;
}

/* --- rules --- */

struct mw_http_pass_rules *mw_http_pass_rules_check(lua_State *L, int index) {
    return luaL_checkudata(L, index, TYPE);
}

/* Calls `add` for each text of the list that is the field `key` of the table at 1. */
static void each(lua_State *L, struct mw_http_pass_rules *rules, const char *key,
                 void (*add)(lua_State *L, struct mw_http_pass_rules *rules, const char *text, size_t size)) {
    if (lua_getfield(L, 1, key) == LUA_TTABLE) {
        for (lua_Integer i = 1; lua_geti(L, -1, i) != LUA_TNIL; i++) {
            size_t size;
            const char *text = luaL_checklstring(L, -1, &size);
            add(L, rules, text, size);
            lua_pop(L, 1);
        }
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

static void add_dropped(lua_State *L, struct mw_http_pass_rules *rules, const char *text, size_t size) {
    luaL_argcheck(L, rules->drops < MW_HTTP_PASS_NAMES, 1, "too many names of fields");
    rules->dropped[rules->drops].name = text;
    rules->dropped[rules->drops++].size = size;
}

static void add_trusted(lua_State *L, struct mw_http_pass_rules *rules, const char *text, size_t size) {
    const char *why;
    luaL_argcheck(L, rules->trusts < MW_HTTP_PASS_NETWORKS, 1, "too many networks");
    if (!mw_network_parse(&rules->trusted[rules->trusts++], text, size, &why)) {
        luaL_argerror(L, 1, lua_pushfstring(L, "option 'trust': %s: %s", text, why));
    }
}

/* pass_rules{ drop = { "name", … }, trust = { "10.0.0.0/8", … }, lines = "Via: …\r\n", x_forwarded = true, forwarded =
 * true }. The table and the strings in it are kept. */
static int pass_rules(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    struct mw_http_pass_rules *rules = lua_newuserdatauv(L, sizeof *rules, 1);
    memset(rules, 0, sizeof *rules);
    luaL_setmetatable(L, TYPE);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, 2, 1);
    each(L, rules, "drop", add_dropped);
    each(L, rules, "trust", add_trusted);
    rules->x_forwarded = mw_option_boolean(L, 1, "x_forwarded", false);
    rules->forwarded = mw_option_boolean(L, 1, "forwarded", false);
    rules->lines = "";
    if (lua_getfield(L, 1, "lines") == LUA_TSTRING) {
        rules->lines = lua_tolstring(L, -1, &rules->lines_size);
    }
    lua_settop(L, 2);
    return 1;
}

void mw_l_http_pass_open(lua_State *L) {
    static const luaL_Reg none[] = {{NULL, NULL}};
    static const luaL_Reg functions[] = {
        {"pass_rules", pass_rules}, {"pass_request", pass_request}, {"pass_fields", pass_fields}, {NULL, NULL}};
    mw_new_type(L, TYPE, none, none);
    luaL_setfuncs(L, functions, 0);
}
