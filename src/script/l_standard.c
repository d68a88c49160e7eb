#include "script/l_standard.h"

#include "net/socket.h"
#include "net/standard.h"
#include "script/check.h"
#include "script/fault.h"
#include "script/task_internal.h"

#include <netinet/tcp.h>

/* Its connection, if that is still on its way in, is closed. */
static void close_resource(struct mw_resource *resource) {
    struct mw_l_listener *listener = mw_list_owner(resource, struct mw_l_listener, resource);
    mw_task_disown(&listener->resource);
    mw_l_listener_forget_newcomers(listener);
}

/* On its way in the connection counts already: the process waits for it. */
static void hold(struct mw_l_listener *listener) {
    listener->has_standard = true;
    listener->handler.sched->connections++;
}

void mw_l_standard_entered(struct mw_l_listener *listener, bool ok) {
    struct mw_sched *sched = listener->handler.sched;
    if (!listener->has_standard) {
        return;
    }
    listener->has_standard = false;
    if (!ok) {
        sched->exit_status = 1;
    }
    mw_l_handler_count_left(sched);
}

/* As those have that a listening socket accepts; Unix sockets and pipes refuse it. */
static void set_options(const struct mw_standard *standard, const struct mw_listener_options *options) {
    if (options->no_delay) {
        mw_socket_set(standard->input, IPPROTO_TCP, TCP_NODELAY, 1);
    }
    if (options->keep_alive) {
        mw_socket_set(standard->input, SOL_SOCKET, SO_KEEPALIVE, 1);
    }
}

static void begin(struct mw_l_listener *listener, struct mw_stream *transport, const struct mw_addr *peer) {
    hold(listener);
    if (listener->enters) {
        mw_l_listener_enter(listener, transport, peer);
    } else {
        mw_l_listener_serve(listener, transport, peer);
        mw_l_standard_entered(listener, true);
    }
}

/* The listener for it, on top of the stack; NULL: nil, err, code are pushed. */
static struct mw_l_listener *prepare(lua_State *L, struct mw_sched *sched) {
    struct mw_http_rules rules;
    bool answers = !lua_isnil(L, 5);
    if (answers) {
        mw_http_rules_read(L, 5, &rules);
    }
    struct mw_l_listener *listener = mw_l_listener_prepare(L, 2, "standard input", lua_toboolean(L, 4));
    if (!listener) {
        return NULL;
    }
    listener->resource.close = close_resource;
    mw_l_listener_give(L, listener, mw_group_of(sched->running), 1);
    if (answers) {
        mw_l_listener_answer(L, listener, &rules);
    }
    return listener;
}

int mw_l_serve_standard(lua_State *L) {
    struct mw_sched *sched = mw_sched_of(L);
    struct mw_addr peer;
    lua_settop(L, 5);
    luaL_checktype(L, 1, LUA_TFUNCTION);
    if (!sched->standard || sched->standard->input < 0 || sched->running != sched->main) {
        return luaL_error(L, "only the main task serves it, once");
    }
    struct mw_listener_options options = mw_l_listener_options(L, 2);
    struct mw_l_listener *listener = prepare(L, sched);
    if (!listener) {
        return 3;
    }
    set_options(sched->standard, &options);
    struct mw_stream *transport = mw_standard_open(sched->standard, sched->net, &peer);
    if (!transport) {
        return luaL_error(L, "not enough memory");
    }
    begin(listener, transport, &peer);
    lua_pushboolean(L, 1);
    return 1;
}
