/* From an address to a datagram socket for scripts: bound to it, or with it as
 * the fixed peer, whose name is looked up first. */
#include "script/l_dgram_open.h"

#include "net/resolver.h"
#include "script/check.h"
#include "script/fault.h"
#include "script/l_dgram.h"
#include "script/state.h"

#include <string.h>
#include <unistd.h>

static const char TYPE[] = "moonwire.datagram.lookup";

/* Seconds. A server waits for its clients as long as it takes; a client whose
 * server does not answer asks again. */
static const double CONNECT_TIMEOUT = 10, CLIENT_READ_TIMEOUT = 10, WRITE_TIMEOUT = 60;

struct settings {
    struct mw_dgram_options options;
    struct mw_addr local; /* length 0: wherever the kernel likes */
    double timeout, read_timeout, write_timeout;
};

/* Lies on the stack of the waiting function, so that nothing leaks whatever is
 * raised there. */
struct lookup {
    struct mw_lookup *lookup; /* NULL once it answered */
    struct mw_task *task;
    struct settings settings;
    int fd; /* -1: none, or taken */
    struct mw_addr peer;
    struct mw_fault fault;
};

static void read_timeouts(lua_State *L, struct settings *settings, double read_timeout) {
    settings->read_timeout = mw_option_seconds(L, 2, "read_timeout", read_timeout);
    settings->write_timeout = mw_option_seconds(L, 2, "write_timeout", WRITE_TIMEOUT);
}

static struct mw_l_dgram *push_socket(lua_State *L, const struct settings *settings) {
    struct mw_l_dgram *socket = mw_l_dgram_push(L);
    socket->read_timeout = settings->read_timeout;
    socket->write_timeout = settings->write_timeout;
    return socket;
}

/* --- bound --- */

static struct settings bound_settings(lua_State *L) {
    static const char *const known[] = {"reuse_port",   "v6_only",       "broadcast",
                                        "read_timeout", "write_timeout", NULL};
    struct settings settings = {.options = mw_dgram_defaults};
    mw_check_options(L, 2, known);
    settings.options.reuse_port = mw_option_boolean(L, 2, "reuse_port", false);
    settings.options.v6_only = mw_option_boolean(L, 2, "v6_only", false);
    settings.options.broadcast = mw_option_boolean(L, 2, "broadcast", false);
    read_timeouts(L, &settings, MW_TIMER_NEVER);
    return settings;
}

/* An adopted descriptor may be connected. */
static bool has_peer(int fd, struct mw_addr *peer) {
    *peer = (struct mw_addr){.length = sizeof peer->storage};
    return getpeername(fd, &peer->any, &peer->length) == 0;
}

int mw_l_datagram(lua_State *L) {
    struct mw_address address;
    struct mw_fault fault;
    struct mw_addr peer;
    mw_check_address(L, 1, &address);
    luaL_argcheck(L, address.scheme == MW_SCHEME_UDP || address.scheme == MW_SCHEME_FD, 1,
                  "a datagram socket needs an address such as udp://127.0.0.1:53 or fd://3");
    struct settings settings = bound_settings(L);
    struct mw_l_dgram *socket = push_socket(L, &settings);
    int fd = mw_dgram_open(&address, &settings.options, &fault);
    if (fd < 0) {
        return mw_push_fault(L, &fault);
    }
    return mw_l_dgram_start(L, socket, fd, has_peer(fd, &peer) ? &peer : NULL);
}

/* --- with a fixed peer --- */

static struct settings peer_settings(lua_State *L) {
    static const char *const known[] = {"local_address", "timeout",       "broadcast",
                                        "read_timeout",  "write_timeout", NULL};
    struct settings settings = {.options = mw_dgram_defaults};
    struct mw_address address;
    const char *why;
    mw_check_options(L, 2, known);
    settings.timeout = mw_option_seconds(L, 2, "timeout", CONNECT_TIMEOUT);
    settings.options.broadcast = mw_option_boolean(L, 2, "broadcast", false);
    read_timeouts(L, &settings, CLIENT_READ_TIMEOUT);
    const char *local = mw_option_string(L, 2, "local_address");
    if (local && (!mw_address_parse(&address, local, strlen(local), &why) ||
                  !mw_addr_resolve(&settings.local, &address))) {
        luaL_argerror(L, 2, "option 'local_address': a numeric address expected, such as 127.0.0.1:0");
    }
    return settings;
}

static int open_to(const struct mw_addr *peer, const struct settings *settings, struct mw_fault *fault) {
    const struct mw_addr *local = settings->local.length ? &settings->local : NULL;
    return mw_dgram_connect(peer, local, &settings->options, fault);
}

/* The first address that there is a way to. */
static void on_addresses(void *context, const struct mw_addr *list, size_t count,
                         const struct mw_fault *fault) {
    struct lookup *lookup = context;
    lookup->lookup = NULL;
    if (fault) {
        lookup->fault = *fault;
    }
    for (size_t i = 0; i < count && lookup->fd < 0; i++) {
        lookup->fd = open_to(&list[i], &lookup->settings, &lookup->fault);
        lookup->peer = list[i];
    }
    mw_task_resume(lookup->task, 0);
}

static void abandon_lookup(struct mw_task *task, void *subject) {
    struct lookup *lookup = subject;
    (void)task;
    mw_lookup_cancel(lookup->lookup);
    lookup->lookup = NULL;
}

static const struct mw_wait lookup_wait = {.name = "connect", .abandon = abandon_lookup};

static int looked_up(lua_State *L, int status, lua_KContext index) {
    struct lookup *lookup = lua_touserdata(L, (int)index);
    (void)status;
    if (mw_task_outcome(L) == MW_TIMED_OUT) {
        return mw_push_word(L, "timeout");
    }
    if (lookup->fd < 0) {
        return mw_push_fault(L, &lookup->fault);
    }
    struct mw_l_dgram *socket = push_socket(L, &lookup->settings);
    int fd = lookup->fd;
    lookup->fd = -1;
    return mw_l_dgram_start(L, socket, fd, &lookup->peer);
}

static int lookup_gc(lua_State *L) {
    struct lookup *lookup = luaL_checkudata(L, 1, TYPE);
    if (lookup->lookup) {
        mw_lookup_cancel(lookup->lookup);
        lookup->lookup = NULL;
    }
    if (lookup->fd >= 0) {
        close(lookup->fd);
        lookup->fd = -1;
    }
    return 0;
}

static struct lookup *push_lookup(lua_State *L, const struct settings *settings) {
    struct lookup *lookup = lua_newuserdatauv(L, sizeof *lookup, 0);
    *lookup = (struct lookup){.fd = -1, .settings = *settings};
    luaL_setmetatable(L, TYPE);
    return lookup;
}

static int look_up(lua_State *L, const struct mw_address *address, const struct settings *settings) {
    struct lookup *lookup = push_lookup(L, settings);
    struct mw_resolver *resolver = mw_state_resolver(mw_state_of(L), &lookup->fault);
    int family = settings->local.length ? settings->local.any.sa_family : AF_UNSPEC;
    if (!resolver) {
        return mw_push_fault(L, &lookup->fault);
    }
    lookup->task = mw_task_begin_wait(L, settings->timeout);
    lookup->lookup = mw_resolver_addresses(resolver, address->host, strlen(address->host), address->port,
                                           family, on_addresses, lookup);
    if (!lookup->lookup) {
        return luaL_error(L, "not enough memory");
    }
    return mw_task_wait(lookup->task, &lookup_wait, lookup, lua_gettop(L), looked_up);
}

static int open_at_once(lua_State *L, const struct mw_addr *peer, const struct settings *settings) {
    struct mw_fault fault;
    struct mw_l_dgram *socket = push_socket(L, settings);
    int fd = open_to(peer, settings, &fault);
    return fd >= 0 ? mw_l_dgram_start(L, socket, fd, peer) : mw_push_fault(L, &fault);
}

int mw_l_connect_datagram(lua_State *L) {
    struct mw_address address;
    struct mw_addr peer;
    mw_check_address(L, 1, &address);
    luaL_argcheck(L, address.scheme == MW_SCHEME_UDP, 1, "an address such as udp://127.0.0.1:53 expected");
    luaL_argcheck(L, address.host[0] && strcmp(address.host, "*") != 0, 1,
                  "name the host to connect to, as in udp://127.0.0.1:53");
    struct settings settings = peer_settings(L);
    lua_settop(L, 2);
    if (mw_addr_resolve(&peer, &address)) {
        return open_at_once(L, &peer, &settings);
    }
    return look_up(L, &address, &settings);
}

static const luaL_Reg methods[] = {{NULL, NULL}};
static const luaL_Reg metamethods[] = {{"__gc", lookup_gc}, {NULL, NULL}};

void mw_l_dgram_open_lookup(lua_State *L) {
    mw_new_type(L, TYPE, methods, metamethods);
}
