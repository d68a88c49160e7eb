#include "script/l_proxy.h"

#include "net/proxied.h"
#include "script/check.h"
#include "script/l_http_internal.h"
#include "script/l_stream.h"

#include <string.h>

enum { PROXIES_MOST = 1024 };

#define HEADER_SECONDS 10.0

/* --- from whom --- */

static const char *check_text(lua_State *L, int index, size_t *size) {
    if (lua_type(L, -1) != LUA_TSTRING) {
        luaL_argerror(L, index, "option 'proxies': networks, such as \"10.0.0.0/8\", or \"unix\" expected");
    }
    return lua_tolstring(L, -1, size);
}

/* The one on top of the stack, which is popped: a network, or whoever comes by a Unix socket. */
static void read_one(lua_State *L, int index, struct mw_network *networks, struct mw_entrance *entrance) {
    size_t size;
    const char *why, *text = check_text(L, index, &size);
    if (strcmp(text, "unix") == 0) {
        entrance->proxies_local = true;
    } else if (mw_network_parse(&networks[entrance->proxy_count], text, size, &why)) {
        entrance->proxy_count++;
    } else {
        luaL_argerror(L, index, lua_pushfstring(L, "option 'proxies': \"%s\": %s", text, why));
    }
    lua_pop(L, 1);
}

static void read_list(lua_State *L, int index, struct mw_entrance *entrance) {
    int list = lua_gettop(L);
    lua_Integer count = luaL_len(L, list);
    luaL_argcheck(L, count <= PROXIES_MOST, index, "option 'proxies': too many networks");
    struct mw_network *networks = lua_newuserdatauv(L, (size_t)(count + 1) * sizeof *networks, 0);
    entrance->proxies = networks;
    for (lua_Integer i = 1; i <= count; i++) {
        lua_geti(L, list, i);
        read_one(L, index, networks, entrance);
    }
    lua_replace(L, list);
}

void mw_l_proxies_push(lua_State *L, int index, struct mw_entrance *entrance) {
    if (!lua_istable(L, index)) {
        lua_pushnil(L);
        return;
    }
    entrance->timeout = mw_option_seconds(L, index, "proxy_timeout", HEADER_SECONDS);
    int type = lua_getfield(L, index, "proxies");
    if (type != LUA_TNIL) {
        luaL_argcheck(L, type == LUA_TTABLE, index, "option 'proxies': a list of networks expected");
        read_list(L, index, entrance);
    }
}

/* --- what was said --- */

static void set_address(lua_State *L, const char *key, const struct mw_endpoint *endpoint) {
    struct mw_addr addr;
    char text[MW_ADDR_TEXT];
    if (endpoint->family) {
        mw_endpoint_unpack(&addr, endpoint);
        lua_pushstring(L, mw_addr_format(&addr, text));
        lua_setfield(L, -2, key);
    }
}

/* Sets the field that the TLV is of, if it is one of these. */
static void set_text(lua_State *L, const struct mw_proxyhdr_tlv *tlv, uint8_t type, const char *key) {
    if (tlv->type == type) {
        lua_pushlstring(L, tlv->value, tlv->size);
        lua_setfield(L, -2, key);
    }
}

static void set_tls(lua_State *L, const struct mw_proxyhdr_tlv *tls) {
    struct mw_proxyhdr_ssl said;
    struct mw_proxyhdr_tlv tlv;
    uint16_t at = 5;
    mw_proxyhdr_read_ssl(&said, tls);
    if (!said.is_tls) {
        return;
    }
    lua_createtable(L, 0, 4);
    lua_pushboolean(L, said.has_certificate && said.is_verified);
    lua_setfield(L, -2, "verified");
    while (mw_proxyhdr_next_tlv(tls->value, tls->size, &at, &tlv)) {
        set_text(L, &tlv, MW_PROXYHDR_SSL_VERSION, "version");
        set_text(L, &tlv, MW_PROXYHDR_SSL_CIPHER, "cipher");
        set_text(L, &tlv, MW_PROXYHDR_SSL_CN, "common_name");
    }
    lua_setfield(L, -2, "tls");
}

void mw_l_proxy_push(lua_State *L, const struct mw_l_stream *stream) {
    const struct mw_proxied *proxied = stream->stream ? mw_stream_proxied(stream->stream) : NULL;
    struct mw_proxyhdr_tlv tlv;
    uint16_t at = 0;
    if (!proxied) {
        lua_pushnil(L);
        return;
    }
    lua_createtable(L, 0, 8);
    set_address(L, "address", &proxied->proxy);
    set_address(L, "destination", &proxied->destination);
    lua_pushinteger(L, proxied->version);
    lua_setfield(L, -2, "version");
    lua_pushboolean(L, proxied->is_local);
    lua_setfield(L, -2, "is_local");
    while (mw_proxyhdr_next_tlv(proxied->tlvs, proxied->size, &at, &tlv)) {
        set_text(L, &tlv, MW_PROXYHDR_AUTHORITY, "authority");
        set_text(L, &tlv, MW_PROXYHDR_ALPN, "protocol");
        set_text(L, &tlv, MW_PROXYHDR_UNIQUE_ID, "unique_id");
        if (tlv.type == MW_PROXYHDR_SSL) {
            set_tls(L, &tlv);
        }
    }
}

int mw_l_stream_proxy(lua_State *L) {
    mw_l_proxy_push(L, mw_l_stream_check(L, 1));
    return 1;
}

/* --- what is sent --- */

/* The address in the option of that name, of the table on top; length 0: there is none. */
static void read_address(lua_State *L, int index, const char *key, struct mw_addr *addr) {
    struct mw_address address;
    const char *why = "text expected, such as \"192.0.2.1:4711\"";
    size_t size;
    addr->length = 0;
    if (lua_getfield(L, -1, key) != LUA_TNIL) {
        const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &size) : NULL;
        bool parsed = text && mw_address_parse(&address, text, size, &why);
        if (!parsed || !mw_addr_resolve(addr, &address)) {
            luaL_argerror(L, index, lua_pushfstring(L, "option 'proxy_header.%s': %s", key,
                                                    parsed ? "a numeric address expected" : why));
        }
    }
    lua_pop(L, 1);
}

static void write_said(lua_State *L, int index, struct mw_l_proxy_header *header) {
    static const char *const known[] = {"version", "source", "destination", NULL};
    struct mw_addr source, destination;
    int table = lua_gettop(L);
    mw_check_options(L, table, known);
    int version = (int)mw_option_integer(L, table, "version", 1, 2, 2);
    read_address(L, index, "source", &source);
    read_address(L, index, "destination", &destination);
    luaL_argcheck(L, !source.length == !destination.length, index,
                  "option 'proxy_header': source and destination go together");
    header->size = mw_proxyhdr_write(header->bytes, version, &source, &destination);
}

/* What its client has connected to, as far as we know. */
static void find_destination(const struct mw_l_stream *stream, struct mw_addr *destination) {
    const struct mw_proxied *proxied = mw_stream_proxied(stream->stream);
    if (proxied && proxied->destination.family) {
        mw_endpoint_unpack(destination, &proxied->destination);
        return;
    }
    destination->length = sizeof destination->storage;
    if (getsockname(mw_stream_fd(stream->stream), &destination->any, &destination->length) != 0) {
        destination->length = 0;
    }
}

static bool write_of(const struct mw_l_stream *stream, struct mw_l_proxy_header *header) {
    struct mw_addr source, destination;
    if (!stream->stream) {
        return false;
    }
    mw_endpoint_unpack(&source, &stream->peer);
    source.length = stream->peer.family ? source.length : 0;
    find_destination(stream, &destination);
    header->size = mw_proxyhdr_write(header->bytes, 2, &source, &destination);
    return true;
}

/* The connection that is on top of the stack, or whose request is. */
static const struct mw_l_stream *check_source(lua_State *L, int index) {
    if (luaL_testudata(L, -1, "moonwire.stream")) {
        return lua_touserdata(L, -1);
    }
    const struct mw_http_request *request = luaL_testudata(L, -1, mw_http_request_type);
    luaL_argcheck(L, request, index, "option 'proxy_header': a table, a stream or a request expected");
    return &request->stream;
}

bool mw_l_proxy_header_option(lua_State *L, int index, struct mw_l_proxy_header *header) {
    bool known = true;
    header->size = 0;
    if (!lua_istable(L, index)) {
        return true;
    }
    switch (lua_getfield(L, index, "proxy_header")) {
    case LUA_TNIL:
        break;
    case LUA_TTABLE:
        write_said(L, index, header);
        break;
    case LUA_TUSERDATA:
        known = write_of(check_source(L, index), header);
        break;
    default:
        luaL_argerror(L, index, "option 'proxy_header': a table, a stream or a request expected");
    }
    lua_pop(L, 1);
    return known;
}
