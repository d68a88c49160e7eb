#include "script/l_listener_internal.h"

#include "base/log.h"
#include "script/check.h"
#include "script/fault.h"
#include "script/l_main.h"
#include "script/l_proxy.h"
#include "script/l_tls_options.h"
#include "script/service.h"
#include "script/task_internal.h"

#include <string.h>
#include <unistd.h>

static const char TYPE[] = "moonwire.listener";

static struct mw_l_listener *check_listener(lua_State *L) {
    return luaL_checkudata(L, 1, TYPE);
}

/* --- a connection becomes a stream --- */

static struct mw_stream *new_transport(struct mw_l_listener *listener, int fd) {
    return mw_stream_new(listener->handler.sched->net, fd, &mw_plain_ops, NULL);
}

void mw_l_listener_serve(struct mw_l_listener *listener, struct mw_stream *transport, const struct mw_addr *peer) {
    if (listener->http) {
        mw_http_accept(listener->http, transport, peer, listener->tls != NULL);
        return;
    }
    if (listener->defers) {
        mw_l_listener_defer(listener, transport, peer);
        return;
    }
    struct mw_task *task = mw_l_handler_start(&listener->handler, transport, peer);
    if (task) {
        mw_task_ready(task, 2);
    }
}

/* To its handler, or through what comes before it. */
static bool receive(struct mw_l_listener *listener, int fd, const struct mw_addr *peer) {
    struct mw_stream *transport = new_transport(listener, fd);
    if (!transport) {
        close(fd);
    } else if (listener->enters) {
        mw_l_listener_enter(listener, transport, peer);
    } else {
        mw_l_listener_serve(listener, transport, peer);
    }
    return true;
}

/* One connection for the task that waits in accept; no more until it asks. */
static bool hand_over(struct mw_l_listener *listener, int fd, const struct mw_addr *peer) {
    struct mw_task *task = listener->acceptor;
    listener->acceptor = NULL;
    listener->fd = fd;
    listener->peer = *peer;
    mw_listener_accept(listener->listener, false);
    mw_task_ready(task, 0);
    return false;
}

static bool on_accept(void *owner, int fd, const struct mw_addr *peer) {
    struct mw_l_listener *listener = owner;
    bool received = listener->handler.group || listener->enters;
    return received ? receive(listener, fd, peer) : hand_over(listener, fd, peer);
}

static const struct mw_listener_events events = {.on_accept = on_accept};

/* --- its life --- */

/* What it says of its connections. */
static void release_settings(struct mw_l_listener *listener) {
    mw_tls_settings_release(listener->tls);
    listener->tls = NULL;
    if (listener->handler.profile) {
        mw_l_profile_release(listener->handler.profile);
        listener->handler.profile = NULL;
    }
}

static void close_listener(struct mw_l_listener *listener) {
    if (!listener->listener) {
        return;
    }
    lua_State *L = listener->handler.sched->L;
    mw_listener_close(listener->listener);
    listener->handler.sched->listeners--;
    mw_main_note(listener->handler.sched);
    listener->listener = NULL;
    mw_task_disown(&listener->resource);
    mw_l_listener_forget_deferred(listener);
    mw_l_listener_forget_newcomers(listener);
    release_settings(listener);
    if (listener->fd >= 0) {
        close(listener->fd);
        listener->fd = -1;
    }
    if (listener->acceptor) {
        mw_task_ready(listener->acceptor, 0);
        listener->acceptor = NULL;
    }
    if (listener->http) {
        mw_http_server_close(listener->http);
        listener->http = NULL;
    } else {
        luaL_unref(L, LUA_REGISTRYINDEX, listener->handler.function);
        luaL_unref(L, LUA_REGISTRYINDEX, listener->handler.context);
    }
    luaL_unref(L, LUA_REGISTRYINDEX, listener->self);
}

static void close_resource(struct mw_resource *resource) {
    close_listener(mw_list_owner(resource, struct mw_l_listener, resource));
}

struct mw_listener_options mw_l_listener_options(lua_State *L, int index) {
    static const char *const known[] = {"backlog", "mode",       "reuse_port",         "v6_only",
                                        "nodelay", "keepalive",  "defer", "tls", "proxies", "proxy_timeout",
                                        MW_L_PROFILE_OPTIONS, NULL};
    struct mw_listener_options options = mw_listener_defaults;
    if (mw_check_options(L, index, known)) {
        options.backlog = (int)mw_option_integer(L, index, "backlog", 1, 65535, 0);
        options.mode = (int)mw_option_integer(L, index, "mode", 0, 0777, -1);
        options.reuse_port = mw_option_boolean(L, index, "reuse_port", false);
        options.v6_only = mw_option_boolean(L, index, "v6_only", false);
        options.no_delay = mw_option_boolean(L, index, "nodelay", true);
        options.keep_alive = mw_option_boolean(L, index, "keepalive", false);
    }
    return options;
}

/* What the listener says of TLS, or without a word, when its address asks for it, what the service's config says of it, or
 * a development certificate. False: it could not be used. */
static bool read_tls(lua_State *L, int options, const char *place, bool wanted, struct mw_tls_settings **settings,
                     struct mw_fault *fault) {
    const struct mw_service *service = mw_sched_of(L)->provider;
    if (!mw_l_tls_option(L, options, true, settings, fault)) {
        return false;
    }
    if (*settings || !wanted) {
        return true;
    }
    if (service && service->tls) {
        *settings = mw_tls_settings_hold(service->tls);
        return true;
    }
    mw_log(MW_LOG_WARN, "service %s: %s has a development certificate, which nobody trusts: say tls = { certificate = … }",
           mw_sched_of(L)->name, place);
    lua_pushliteral(L, "auto");
    *settings = mw_l_tls_settings(L, options, -1, true, false, NULL, fault);
    lua_pop(L, 1);
    return *settings != NULL;
}

static struct mw_l_listener *push_listener(lua_State *L) {
    struct mw_l_listener *listener = lua_newuserdatauv(L, sizeof *listener, 1);
    *listener = (struct mw_l_listener){
        .handler = {.sched = mw_sched_of(L), .function = LUA_NOREF, .context = LUA_NOREF},
        .fd = -1,
        .self = LUA_NOREF,
        .resource.close = close_resource,
    };
    mw_list_init(&listener->resource.node);
    mw_list_init(&listener->deferred);
    mw_list_init(&listener->newcomers);
    mw_list_init(&listener->entered);
    luaL_setmetatable(L, TYPE);
    return listener;
}

static struct mw_l_listener *refuse(lua_State *L, struct mw_l_listener *listener, const struct mw_fault *fault) {
    release_settings(listener);
    mw_push_fault(L, fault);
    return NULL;
}

/* With the settings of TLS, held; by them its connections begin, or may in mid-stream. */
static void take_tls(lua_State *L, struct mw_l_listener *listener, struct mw_tls_settings *settings, bool at_once) {
    if (settings) {
        listener->tls = settings;
        listener->handler.profile = mw_l_profile_with_tls(L, listener->handler.profile, settings);
    }
    if (!at_once) {
        mw_tls_settings_release(settings);
        listener->tls = NULL;
    }
}

struct mw_l_listener *mw_l_listener_prepare(lua_State *L, int options, const char *place, bool secure) {
    struct mw_fault fault = {.code = NULL};
    struct mw_tls_settings *settings;
    struct mw_l_listener *listener = push_listener(L);
    mw_l_proxies_push(L, options, &listener->entrance);
    lua_setiuservalue(L, -2, 1);
    listener->handler.profile = mw_l_profile_options(L, options, &mw_l_profile_default);
    if (!read_tls(L, options, place, secure, &settings, &fault)) {
        return refuse(L, listener, &fault);
    }
    take_tls(L, listener, settings, secure);
    mw_l_listener_prepare_entrance(listener);
    return listener;
}

/* Opens the socket and pushes its userdata; or pushes nil, err, code and
 * returns NULL. `options` is the index of the options table. */
static struct mw_l_listener *open_listener(lua_State *L, int options) {
    struct mw_address address;
    struct mw_fault fault = {.code = NULL};
    mw_check_address(L, 1, &address);
    luaL_argcheck(L, address.scheme != MW_SCHEME_UDP, 1, "a udp address has no connections; use net.datagram");
    struct mw_listener_options chosen = mw_l_listener_options(L, options);
    bool secure = address.scheme == MW_SCHEME_TLS;
    struct mw_l_listener *listener = mw_l_listener_prepare(L, options, lua_tostring(L, 1), secure);
    if (!listener) {
        return NULL;
    }
    int fd = mw_listener_open(&address, &chosen, &fault);
    if (fd < 0) {
        return refuse(L, listener, &fault);
    }
    listener->listener = mw_listener_new(listener->handler.sched->net, fd, &events, listener);
    if (!listener->listener) {
        close(fd);
        mw_fault_format(&fault, "memory", "listen: not enough memory");
        return refuse(L, listener, &fault);
    }
    listener->handler.sched->listeners++;
    mw_task_own(L, &listener->resource);
    return listener;
}

int mw_l_listen(lua_State *L) {
    luaL_argcheck(L, !lua_istable(L, 2) || lua_getfield(L, 2, "defer") == LUA_TNIL, 2,
                  "option 'defer' is for listeners that serve their connections themselves");
    lua_settop(L, 2);
    return open_listener(L, 2) ? 1 : 3;
}

void mw_l_listener_give(lua_State *L, struct mw_l_listener *listener, struct mw_group *group, int function) {
    listener->handler.group = group;
    mw_task_disown(&listener->resource);
    mw_list_append(&group->owned, &listener->resource.node);
    lua_pushvalue(L, function);
    listener->handler.function = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pushvalue(L, function + 2);
    listener->handler.context = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pushvalue(L, -1);
    listener->self = luaL_ref(L, LUA_REGISTRYINDEX);
}

/* A listener that hands its connections to the function at 2; options at 3, context at 4. NULL: nil, err, code are pushed. */
static struct mw_l_listener *open_serving(lua_State *L) {
    struct mw_sched *sched = mw_sched_of(L);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    struct mw_group *group = sched->running ? mw_group_of(sched->running) : &sched->service;
    if (!group) {
        luaL_error(L, "not enough memory");
        return NULL;
    }
    struct mw_l_listener *listener = open_listener(L, 3);
    if (listener) {
        mw_l_listener_give(L, listener, group, 2);
    }
    return listener;
}

int mw_l_serve(lua_State *L) {
    lua_settop(L, 4);
    struct mw_l_listener *listener = open_serving(L);
    if (!listener) {
        return 3;
    }
    listener->defers = mw_option_boolean(L, 3, "defer", false);
    mw_listener_accept(listener->listener, true);
    return 1;
}

void mw_l_listener_answer(lua_State *L, struct mw_l_listener *listener, const struct mw_http_rules *rules) {
    listener->http = mw_http_server_new(&listener->handler, rules);
    if (!listener->http) {
        luaL_error(L, "not enough memory");
    }
    listener->handler.profile->references++;
}

int mw_l_serve_http(lua_State *L) {
    struct mw_http_rules rules;
    lua_settop(L, 5);
    mw_http_rules_read(L, 4, &rules);
    lua_remove(L, 4);
    struct mw_l_listener *listener = open_serving(L);
    if (!listener) {
        return 3;
    }
    mw_l_listener_answer(L, listener, &rules);
    mw_listener_accept(listener->listener, true);
    return 1;
}

/* --- methods --- */

static void abandon_accept(struct mw_task *task, void *subject) {
    struct mw_l_listener *listener = subject;
    (void)task;
    listener->acceptor = NULL;
    if (listener->listener) {
        mw_listener_accept(listener->listener, false);
    }
}

static const struct mw_wait accept_wait = {.name = "accept", .abandon = abandon_accept};

static bool has_connection(const struct mw_l_listener *listener) {
    return listener->fd >= 0 || !mw_list_empty(&listener->entered);
}

/* The transport of the connection that waits; the socket stays where it is when memory is out. */
static struct mw_stream *take_transport(struct mw_l_listener *listener, struct mw_addr *peer) {
    if (listener->fd < 0) {
        return mw_l_listener_take_entered(listener, peer);
    }
    struct mw_stream *transport = new_transport(listener, listener->fd);
    *peer = listener->peer;
    listener->fd = transport ? -1 : listener->fd;
    return transport;
}

static int take_connection(lua_State *L, struct mw_l_listener *listener) {
    struct mw_addr peer;
    struct mw_l_stream *stream = mw_l_stream_push(L);
    struct mw_stream *transport = take_transport(listener, &peer);
    if (!transport) {
        return luaL_error(L, "not enough memory");
    }
    mw_l_stream_hold(stream, transport, &peer, listener->handler.profile);
    stream->origin = MW_L_STREAM_ACCEPTED;
    mw_task_own(L, &stream->resource);
    return 1;
}

static int accepted(lua_State *L, int status, lua_KContext context) {
    struct mw_l_listener *listener = check_listener(L);
    (void)status;
    (void)context;
    if (mw_task_outcome(L) == MW_TIMED_OUT) {
        return mw_push_word(L, "timeout");
    }
    return has_connection(listener) ? take_connection(L, listener) : mw_push_word(L, "closed");
}

static int listener_accept(lua_State *L) {
    struct mw_l_listener *listener = check_listener(L);
    double seconds = lua_isnoneornil(L, 2) ? MW_TIMER_NEVER : mw_check_seconds(L, 2);
    luaL_argcheck(L, !listener->handler.group, 1, "this listener serves its connections itself");
    if (!listener->listener) {
        return mw_push_word(L, "closed");
    }
    if (has_connection(listener)) {
        return take_connection(L, listener);
    }
    if (listener->acceptor) {
        return mw_push_word(L, "busy");
    }
    struct mw_task *task = mw_task_begin_wait(L, seconds);
    listener->acceptor = task;
    mw_listener_accept(listener->listener, true);
    return mw_task_wait(task, &accept_wait, listener, 0, accepted);
}

static int listener_close(lua_State *L) {
    close_listener(check_listener(L));
    return 0;
}

static int listener_gc(lua_State *L) {
    struct mw_l_listener *listener = check_listener(L);
    if (listener->listener) {
        struct mw_addr local;
        char text[MW_ADDR_TEXT];
        mw_listener_local(listener->listener, &local);
        mw_sched_warn_of_lost(listener->handler.sched, "listener", mw_addr_format(&local, text));
        close_listener(listener);
    } else {
        release_settings(listener); /* of one that could not be opened */
    }
    return 0;
}

static int listener_local_address(lua_State *L) {
    struct mw_l_listener *listener = check_listener(L);
    struct mw_addr local;
    char text[MW_ADDR_TEXT];
    if (!listener->listener) {
        return mw_push_word(L, "closed");
    }
    mw_listener_local(listener->listener, &local);
    lua_pushstring(L, mw_addr_format(&local, text));
    return 1;
}

static int listener_is_open(lua_State *L) {
    lua_pushboolean(L, check_listener(L)->listener != NULL);
    return 1;
}

/* The listener outlives the task that made it: it is the service's now. */
static int listener_keep(lua_State *L) {
    struct mw_l_listener *listener = check_listener(L);
    if (listener->listener) {
        mw_task_disown(&listener->resource);
        mw_list_append(&listener->handler.sched->root.owned, &listener->resource.node);
    }
    if (listener->handler.group) {
        listener->handler.group = &listener->handler.sched->service;
    }
    if (listener->http) {
        mw_http_server_set_group(listener->http, &listener->handler.sched->service);
    }
    lua_settop(L, 1);
    return 1;
}

static int listener_tostring(lua_State *L) {
    struct mw_l_listener *listener = check_listener(L);
    struct mw_addr local;
    char text[MW_ADDR_TEXT];
    if (!listener->listener) {
        lua_pushfstring(L, "%s: closed", TYPE);
        return 1;
    }
    mw_listener_local(listener->listener, &local);
    lua_pushfstring(L, "%s: %s open", TYPE, mw_addr_format(&local, text));
    return 1;
}

static const luaL_Reg methods[] = {
    {"accept", listener_accept},   {"close", listener_close}, {"local_address", listener_local_address},
    {"is_open", listener_is_open}, {"keep", listener_keep},   {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__tostring", listener_tostring},
    {"__close", listener_close},
    {"__gc", listener_gc},
    {NULL, NULL},
};

void mw_l_listener_open(lua_State *L) {
    mw_new_type(L, TYPE, methods, metamethods);
}
