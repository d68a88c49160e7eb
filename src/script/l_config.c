#include "script/l_config.h"

#include "base/addr.h"
#include "net/network.h"
#include "script/check.h"

#include <glob.h>
#include <sys/socket.h>

static const char NAMES[] = "moonwire.names";

/* --- files by pattern --- */

static int free_names(lua_State *L) {
    globfree(luaL_checkudata(L, 1, NAMES));
    return 0;
}

/* The collector frees the list, whatever raises while it is copied. */
static glob_t *push_names(lua_State *L) {
    static const luaL_Reg metamethods[] = {{"__gc", free_names}, {NULL, NULL}};
    glob_t *names = lua_newuserdatauv(L, sizeof *names, 0);
    *names = (glob_t){.gl_pathc = 0};
    if (luaL_newmetatable(L, NAMES)) {
        luaL_setfuncs(L, metamethods, 0);
    }
    lua_setmetatable(L, -2);
    return names;
}

/* files(pattern) → sorted list of the paths that fit; empty when none does */
static int config_files(lua_State *L) {
    const char *pattern = luaL_checkstring(L, 1);
    glob_t *names = push_names(L);
    int status = glob(pattern, 0, NULL, names);
    if (status != 0 && status != GLOB_NOMATCH) {
        return luaL_error(L, "not enough memory");
    }
    lua_createtable(L, (int)names->gl_pathc, 0);
    for (size_t i = 0; i < names->gl_pathc; i++) {
        lua_pushstring(L, names->gl_pathv[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* --- addresses to listen on --- */

/* An adopted descriptor is what it is; one that is not there yet is taken for a stream socket. */
static bool is_datagram(const struct mw_address *address) {
    int type = SOCK_STREAM;
    socklen_t length = sizeof type;
    if (address->scheme == MW_SCHEME_FD) {
        getsockopt(address->fd, SOL_SOCKET, SO_TYPE, &type, &length);
    }
    return address->scheme == MW_SCHEME_UDP || type == SOCK_DGRAM;
}

static const char *why_not_to_listen(const struct mw_address *address, struct mw_addr *addr) {
    if (address->scheme != MW_SCHEME_FD && !mw_addr_resolve(addr, address)) {
        return "give a numeric address, or * for all";
    }
    return NULL;
}

/* address(text) → { scheme, name, kind, port? } | nil, why: an address to listen on, in the one
 * form that two spellings of the same have */
static int config_address(lua_State *L) {
    static const char *const schemes[] = {"tcp", "tls", "udp", "unix", "fd"};
    struct mw_address address;
    struct mw_addr addr;
    char name[MW_ADDR_TEXT];
    size_t length;
    const char *why, *text = luaL_checklstring(L, 1, &length);
    if (!mw_address_parse(&address, text, length, &why) || (why = why_not_to_listen(&address, &addr))) {
        luaL_pushfail(L);
        lua_pushstring(L, why);
        return 2;
    }
    bool is_fd = address.scheme == MW_SCHEME_FD;
    lua_createtable(L, 0, 4);
    lua_pushstring(L, schemes[address.scheme]);
    lua_setfield(L, -2, "scheme");
    lua_pushstring(L, is_fd ? text : mw_addr_format(&addr, name));
    lua_setfield(L, -2, "name");
    lua_pushstring(L, is_datagram(&address) ? "datagram" : "stream");
    lua_setfield(L, -2, "kind");
    if (address.scheme != MW_SCHEME_UNIX && !is_fd) {
        lua_pushinteger(L, address.port);
        lua_setfield(L, -2, "port");
    }
    return 1;
}

/* network(text) → true | nil, why */
static int config_network(lua_State *L) {
    struct mw_network network;
    size_t length;
    const char *why, *text = luaL_checklstring(L, 1, &length);
    if (!mw_network_parse(&network, text, length, &why)) {
        luaL_pushfail(L);
        lua_pushstring(L, why);
        return 2;
    }
    lua_pushboolean(L, 1);
    return 1;
}

void mw_l_config_open(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"files", config_files}, {"address", config_address}, {"network", config_network}, {NULL, NULL},
    };
    mw_set_functions(L, "config", functions);
}
