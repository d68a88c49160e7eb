#include "script/l_dgram.h"

#include "script/check.h"
#include "script/fault.h"
#include "script/l_dgram_open.h"
#include "script/sched.h"

#include <errno.h>
#include <unistd.h>

static const char TYPE[] = "moonwire.datagram";

struct mw_l_dgram *mw_l_dgram_check(lua_State *L, int index) {
    return luaL_checkudata(L, index, TYPE);
}

/* --- its life --- */

static void wake(struct mw_task **waiter) {
    struct mw_task *task = *waiter;
    *waiter = NULL;
    if (task) {
        mw_task_ready(task, 0);
    }
}

/* Whoever waits learns that the socket is closed. */
static void close_socket(struct mw_l_dgram *socket) {
    if (socket->dgram) {
        mw_dgram_close(socket->dgram);
        socket->dgram = NULL;
        mw_task_disown(&socket->resource);
        wake(&socket->receiver);
        wake(&socket->sender);
    }
}

static void close_resource(struct mw_resource *resource) {
    close_socket(mw_list_owner(resource, struct mw_l_dgram, resource));
}

struct mw_l_dgram *mw_l_dgram_push(lua_State *L) {
    struct mw_l_dgram *socket = lua_newuserdatauv(L, sizeof *socket, 0);
    *socket = (struct mw_l_dgram){.sched = mw_sched_of(L), .resource.close = close_resource};
    mw_list_init(&socket->resource.node);
    luaL_setmetatable(L, TYPE);
    return socket;
}

int mw_l_dgram_start(lua_State *L, struct mw_l_dgram *socket, int fd, const struct mw_addr *peer) {
    socket->dgram = mw_dgram_new(socket->sched->net, fd, &mw_l_dgram_events, socket);
    if (!socket->dgram) {
        close(fd);
        return mw_push_errno(L, ENOMEM, "open", "a datagram socket");
    }
    if (peer) {
        socket->peer = *peer;
    }
    mw_task_own(L, &socket->resource);
    return 1;
}

/* --- methods --- */

static const char *local_name(const struct mw_l_dgram *socket, char text[MW_ADDR_TEXT]) {
    struct mw_addr local;
    mw_dgram_local(socket->dgram, &local);
    return mw_addr_format(&local, text);
}

static int dgram_close(lua_State *L) {
    close_socket(mw_l_dgram_check(L, 1));
    return 0;
}

static int dgram_gc(lua_State *L) {
    struct mw_l_dgram *socket = mw_l_dgram_check(L, 1);
    if (socket->dgram) {
        char text[MW_ADDR_TEXT];
        mw_sched_warn_of_lost(mw_sched_of(L), "datagram socket", local_name(socket, text));
        close_socket(socket);
    }
    return 0;
}

static int dgram_tostring(lua_State *L) {
    const struct mw_l_dgram *socket = mw_l_dgram_check(L, 1);
    char text[MW_ADDR_TEXT];
    if (socket->dgram) {
        lua_pushfstring(L, "%s: %s open", TYPE, local_name(socket, text));
    } else {
        lua_pushfstring(L, "%s: closed", TYPE);
    }
    return 1;
}

static int dgram_local_address(lua_State *L) {
    const struct mw_l_dgram *socket = mw_l_dgram_check(L, 1);
    char text[MW_ADDR_TEXT];
    if (!socket->dgram) {
        return mw_push_word(L, "closed");
    }
    lua_pushstring(L, local_name(socket, text));
    return 1;
}

/* nil alone for a socket without a fixed peer: that is no fault. */
static int dgram_peer_address(lua_State *L) {
    const struct mw_l_dgram *socket = mw_l_dgram_check(L, 1);
    char text[MW_ADDR_TEXT];
    if (socket->peer.length == 0) {
        lua_pushnil(L);
    } else {
        lua_pushstring(L, mw_addr_format(&socket->peer, text));
    }
    return 1;
}

static int dgram_counters(lua_State *L) {
    const struct mw_l_dgram *socket = mw_l_dgram_check(L, 1);
    struct mw_dgram_counters counters;
    if (!socket->dgram) {
        return mw_push_word(L, "closed");
    }
    mw_dgram_count(socket->dgram, &counters);
    lua_createtable(L, 0, 4);
    lua_pushinteger(L, (lua_Integer)counters.received);
    lua_setfield(L, -2, "received");
    lua_pushinteger(L, (lua_Integer)counters.sent);
    lua_setfield(L, -2, "sent");
    lua_pushinteger(L, (lua_Integer)counters.received_bytes);
    lua_setfield(L, -2, "received_bytes");
    lua_pushinteger(L, (lua_Integer)counters.sent_bytes);
    lua_setfield(L, -2, "sent_bytes");
    return 1;
}

/* The socket outlives the task that made it: it is the service's now. */
static int dgram_keep(lua_State *L) {
    struct mw_l_dgram *socket = mw_l_dgram_check(L, 1);
    if (socket->dgram) {
        mw_task_disown(&socket->resource);
        mw_list_append(&socket->sched->root.owned, &socket->resource.node);
    }
    lua_settop(L, 1);
    return 1;
}

static int dgram_is_open(lua_State *L) {
    lua_pushboolean(L, mw_l_dgram_check(L, 1)->dgram != NULL);
    return 1;
}

static const luaL_Reg methods[] = {
    {"receive", mw_l_dgram_receive},
    {"datagrams", mw_l_dgram_datagrams},
    {"send", mw_l_dgram_send},
    {"close", dgram_close},
    {"keep", dgram_keep},
    {"is_open", dgram_is_open},
    {"local_address", dgram_local_address},
    {"peer_address", dgram_peer_address},
    {"counters", dgram_counters},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__tostring", dgram_tostring},
    {"__close", dgram_close},
    {"__gc", dgram_gc},
    {NULL, NULL},
};

void mw_l_dgram_open(lua_State *L) {
    mw_new_type(L, TYPE, methods, metamethods);
    mw_l_dgram_open_lookup(L);
}
