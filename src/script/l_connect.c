#include "script/l_connect.h"

#include "net/connector.h"
#include "script/check.h"
#include "script/fault.h"
#include "script/l_dgram.h"
#include "script/l_proxy.h"
#include "script/l_stream.h"
#include "script/l_tls.h"
#include "script/l_tls_options.h"
#include "script/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char TYPE[] = "moonwire.connecting";

/* Lies on the stack of the waiting function, so that nothing leaks whatever is
 * raised there. */
struct connecting {
    struct mw_connector *connector; /* NULL once it answered */
    struct mw_task *task;
    struct mw_l_profile *profile;
    struct mw_tls_settings *tls; /* NULL: in clear */
    char *host; /* that the connection is to */
    int fd; /* -1: none, or taken */
    struct mw_addr peer;
    struct mw_l_proxy_header header; /* sent before all else */
    struct mw_fault fault;
};

static const char *const known_options[] = {"timeout", "local_address", "nodelay", "keepalive", "attempt_delay", "tls",
                                            "proxy_header", MW_L_PROFILE_OPTIONS, NULL};

/* The socket is the stream's from here on; it belongs to the running task. */
static struct mw_l_stream *push_connected(lua_State *L, struct connecting *connecting) {
    struct mw_l_stream *stream = mw_l_stream_push(L);
    struct mw_stream *transport = mw_stream_new(mw_sched_of(L)->net, connecting->fd, &mw_plain_ops, NULL);
    if (!transport) {
        luaL_error(L, "not enough memory");
        return NULL;
    }
    connecting->fd = -1;
    mw_l_stream_hold(stream, transport, &connecting->peer, connecting->profile);
    stream->origin = MW_L_STREAM_CONNECTED;
    stream->host = connecting->host;
    connecting->host = NULL;
    mw_task_own(L, &stream->resource);
    if (connecting->header.size && mw_stream_queue(transport, connecting->header.bytes, connecting->header.size) != 0) {
        luaL_error(L, "not enough memory");
        return NULL;
    }
    return stream;
}

/* Pushes the name that the server has to prove: that of the address, unless the options say otherwise. */
static const char *push_server_name(lua_State *L, const struct mw_l_stream *stream) {
    if (lua_istable(L, 2) && lua_getfield(L, 2, "tls") == LUA_TTABLE && lua_getfield(L, -1, "name") == LUA_TSTRING) {
        return lua_tostring(L, -1);
    }
    return lua_pushstring(L, stream->host);
}

/* The stream, or the handshake that comes before it. */
static int give(lua_State *L, struct connecting *connecting) {
    const struct mw_l_stream *stream = push_connected(L, connecting);
    if (!connecting->tls) {
        return 1;
    }
    lua_replace(L, 1);
    const char *name = push_server_name(L, stream);
    return mw_l_tls_begin(L, connecting->tls, false, name);
}

static void on_connected(void *context, int fd, const struct mw_addr *peer, const struct mw_fault *fault) {
    struct connecting *connecting = context;
    connecting->connector = NULL;
    connecting->fd = fd;
    if (fd >= 0) {
        connecting->peer = *peer;
    } else {
        connecting->fault = *fault;
    }
    mw_task_resume(connecting->task, 0);
}

static void abandon_connect(struct mw_task *task, void *subject) {
    struct connecting *connecting = subject;
    (void)task;
    mw_connector_cancel(connecting->connector);
    connecting->connector = NULL;
}

static const struct mw_wait connect_wait = {.name = "connect", .abandon = abandon_connect};

static int connected(lua_State *L, int status, lua_KContext index) {
    struct connecting *connecting = lua_touserdata(L, (int)index);
    (void)status;
    mw_task_outcome(L);
    if (connecting->fd < 0) {
        return mw_push_fault(L, &connecting->fault);
    }
    return give(L, connecting);
}

static int connecting_gc(lua_State *L) {
    struct connecting *connecting = luaL_checkudata(L, 1, TYPE);
    if (connecting->connector) {
        mw_connector_cancel(connecting->connector);
    }
    if (connecting->fd >= 0) {
        close(connecting->fd);
    }
    if (connecting->profile) {
        mw_l_profile_release(connecting->profile);
        connecting->profile = NULL;
    }
    mw_tls_settings_release(connecting->tls);
    connecting->tls = NULL;
    free(connecting->host);
    connecting->host = NULL;
    return 0;
}

static void read_options(lua_State *L, struct mw_connector_options *options) {
    const char *why, *local;
    options->timeout = mw_option_seconds(L, 2, "timeout", options->timeout);
    options->attempt_delay = mw_option_seconds(L, 2, "attempt_delay", options->attempt_delay);
    options->nodelay = mw_option_boolean(L, 2, "nodelay", options->nodelay);
    options->keepalive = mw_option_boolean(L, 2, "keepalive", options->keepalive);
    local = mw_push_string_option(L, 2, "local_address");
    struct mw_address address;
    if (local && (!mw_address_parse(&address, local, strlen(local), &why) || !mw_addr_resolve(&options->local, &address))) {
        luaL_argerror(L, 2, "option 'local_address': a numeric address expected, such as 127.0.0.1:0");
    }
    lua_pop(L, 1);
}

/* An open descriptor that another program handed over. */
static int adopt(lua_State *L, int fd, struct connecting *connecting) {
    struct mw_addr *peer = &connecting->peer;
    peer->length = sizeof peer->storage;
    if (getpeername(fd, &peer->any, &peer->length) != 0) {
        return mw_push_errno(L, errno, "connect", lua_tostring(L, 1));
    }
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    connecting->fd = fd;
    return give(L, connecting);
}

/* What is said of TLS, as far as the address asks for it. False and the fault: it cannot be used. */
static bool read_tls(lua_State *L, struct connecting *connecting, bool wanted) {
    bool said = lua_istable(L, 2) && lua_getfield(L, 2, "tls") != LUA_TNIL;
    luaL_argcheck(L, wanted || !said, 2, "option 'tls' goes with a tls:// address; see also conn:start_tls");
    if (!wanted) {
        lua_settop(L, 3);
        return true;
    }
    if (!said) {
        lua_settop(L, 3);
        lua_pushnil(L);
    } else if (lua_istable(L, -1)) {
        int type = lua_getfield(L, -1, "name");
        luaL_argcheck(L, type == LUA_TNIL || (type == LUA_TSTRING && lua_rawlen(L, -1) > 0), 2,
                      "option 'tls.name': the name of the server expected");
        lua_pop(L, 1);
    }
    connecting->tls = mw_l_tls_settings(L, 2, -1, false, true, NULL, &connecting->fault);
    lua_settop(L, 3);
    return connecting->tls != NULL;
}

/* What TLS will ask the server to prove. False when memory is out. */
static bool remember_host(struct connecting *connecting, const struct mw_address *target) {
    bool has_host = target->scheme == MW_SCHEME_TCP || target->scheme == MW_SCHEME_TLS;
    connecting->host = has_host ? strdup(target->host) : NULL;
    return connecting->host || !has_host;
}

static bool needs_resolver(const struct mw_address *target) {
    struct mw_addr addr;
    return !mw_addr_resolve(&addr, target);
}

int mw_l_connect(lua_State *L) {
    struct mw_connector_options options = mw_connector_default_options;
    struct mw_state *state = mw_state_of(L);
    struct mw_resolver *resolver = NULL;
    mw_check_address(L, 1, &options.target);
    if (options.target.scheme == MW_SCHEME_UDP) {
        return mw_l_connect_datagram(L);
    }
    if (mw_check_options(L, 2, known_options)) {
        read_options(L, &options);
    }
    lua_settop(L, 2);
    struct mw_task *task = mw_task_begin_wait(L, MW_TIMER_NEVER);
    struct connecting *connecting = lua_newuserdatauv(L, sizeof *connecting, 0);
    *connecting = (struct connecting){.fd = -1, .task = task};
    luaL_setmetatable(L, TYPE);
    if (!mw_l_proxy_header_option(L, 2, &connecting->header)) {
        return mw_push_word(L, "closed");
    }
    connecting->profile = mw_l_profile_options(L, 2, &mw_l_profile_default);
    if (!remember_host(connecting, &options.target)) {
        return luaL_error(L, "not enough memory");
    }
    if (!read_tls(L, connecting, options.target.scheme == MW_SCHEME_TLS)) {
        return mw_push_fault(L, &connecting->fault);
    }
    if (options.target.scheme == MW_SCHEME_FD) {
        return adopt(L, options.target.fd, connecting);
    }
    if (needs_resolver(&options.target)) {
        resolver = mw_state_resolver(state, &connecting->fault);
        if (!resolver) {
            return mw_push_fault(L, &connecting->fault);
        }
    }
    connecting->connector = mw_connector_start(state->sched.loop, resolver, &options, on_connected, connecting);
    if (!connecting->connector) {
        return luaL_error(L, "not enough memory");
    }
    return mw_task_wait(task, &connect_wait, connecting, 3, connected);
}

int mw_l_stream_pair(lua_State *L) {
    struct mw_l_stream *streams[2] = {mw_l_stream_push(L), mw_l_stream_push(L)};
    struct mw_stream *ends[2];
    if (!mw_stream_new_memory(mw_sched_of(L)->net, ends)) {
        return luaL_error(L, "not enough memory");
    }
    for (int i = 0; i < 2; i++) {
        mw_l_stream_hold(streams[i], ends[i], NULL, &mw_l_profile_default);
        mw_task_own(L, &streams[i]->resource);
    }
    return 2;
}

static const luaL_Reg methods[] = {{NULL, NULL}};
static const luaL_Reg metamethods[] = {{"__gc", connecting_gc}, {NULL, NULL}};

void mw_l_connect_open(lua_State *L) {
    mw_new_type(L, TYPE, methods, metamethods);
}
