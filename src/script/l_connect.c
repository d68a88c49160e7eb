#include "script/l_connect.h"

#include "net/connector.h"
#include "script/check.h"
#include "script/fault.h"
#include "script/l_dgram.h"
#include "script/l_stream.h"
#include "script/state.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static const char TYPE[] = "moonwire.connecting";

/* Lies on the stack of the waiting function, so that nothing leaks whatever is
 * raised there. */
struct connecting {
    struct mw_connector *connector; /* NULL once it answered */
    struct mw_task *task;
    struct mw_l_profile *profile;
    int fd; /* -1: none, or taken */
    struct mw_addr peer;
    struct mw_fault fault;
};

static const char *const known_options[] = {"timeout", "local_address", "nodelay", "keepalive", "attempt_delay",
                                            MW_L_PROFILE_OPTIONS, NULL};

/* The socket is the stream's from here on; it belongs to the running task. */
static int push_connected(lua_State *L, int *fd, const struct mw_addr *peer, struct mw_l_profile *profile) {
    struct mw_l_stream *stream = mw_l_stream_push(L);
    struct mw_stream *transport = mw_stream_new(mw_sched_of(L)->net, *fd, &mw_plain_ops, NULL);
    if (!transport) {
        return luaL_error(L, "not enough memory");
    }
    *fd = -1;
    mw_l_stream_hold(stream, transport, peer, profile);
    mw_task_own(L, &stream->resource);
    return 1;
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
    return push_connected(L, &connecting->fd, &connecting->peer, connecting->profile);
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
static int adopt(lua_State *L, int fd, struct mw_l_profile *profile) {
    struct mw_addr peer = {.length = sizeof peer.storage};
    if (getpeername(fd, &peer.any, &peer.length) != 0) {
        return mw_push_errno(L, errno, "connect", lua_tostring(L, 1));
    }
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    return push_connected(L, &fd, &peer, profile);
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
    luaL_argcheck(L, options.target.scheme != MW_SCHEME_TLS, 1, "tls connections are not available");
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
    connecting->profile = mw_l_profile_options(L, 2, &mw_l_profile_default);
    if (options.target.scheme == MW_SCHEME_FD) {
        return adopt(L, options.target.fd, connecting->profile);
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

int mw_l_stream_standard(lua_State *L) {
    struct mw_l_stream *stream = mw_l_stream_push(L);
    struct mw_stream *transport = mw_stream_new_pair(mw_sched_of(L)->net, STDIN_FILENO, STDOUT_FILENO);
    if (!transport) {
        return luaL_error(L, "not enough memory");
    }
    mw_l_stream_hold(stream, transport, NULL, &mw_l_profile_default);
    mw_task_own(L, &stream->resource);
    return 1;
}

static const luaL_Reg methods[] = {{NULL, NULL}};
static const luaL_Reg metamethods[] = {{"__gc", connecting_gc}, {NULL, NULL}};

void mw_l_connect_open(lua_State *L) {
    mw_new_type(L, TYPE, methods, metamethods);
}
