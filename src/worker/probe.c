#include "worker/probe.h"

#include "base/log.h"
#include "base/privilege_linux.h"
#include "net/channel.h"
#include "proto/message.h"
#include "proto/order.h"
#include "script/paths.h"
#include "script/state.h"

#include <lauxlib.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

/* For the config: of each script its own limit holds. */
#define MEMORY_BYTES ((size_t)1 << 30)

#define SEND_SECONDS 10.0 /* what the supervisor may take to receive */

struct probe {
    struct mw_loop *loop;
    struct mw_net *net;
    struct mw_state *state;
};

static bool open_probe(struct probe *probe) {
    char library[PATH_MAX];
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
    if (!mw_find_library(library, sizeof library)) {
        mw_log(MW_LOG_ERROR, "Moonwire's Lua library is in none of these: %s", library);
        return false;
    }
    probe->loop = mw_loop_new();
    probe->net = probe->loop ? mw_net_new(probe->loop) : NULL;
    probe->state =
        probe->net ? mw_state_new(probe->loop, probe->net, &(struct mw_state_options){.library = library}) : NULL;
    if (!probe->state) {
        mw_log(MW_LOG_ERROR, "cannot judge the config: not enough memory, or no epoll");
        return false;
    }
    probe->state->sched.name = "config";
    mw_state_set_limits(probe->state, &(struct mw_state_limits){.cpu = MW_TIMER_NEVER, .memory = MEMORY_BYTES});
    return true;
}

static void close_probe(struct probe *probe) {
    if (probe->state) {
        mw_state_free(probe->state);
    }
    if (probe->net) {
        mw_net_free(probe->net);
    }
    if (probe->loop) {
        mw_loop_free(probe->loop);
    }
}

/* Workers never keep the rights of root, and neither does who loads their scripts. */
static const char *stand_in(bool for_operator) {
    const char *user = mw_privilege_stand_in();
    if (for_operator) {
        fprintf(stderr, "moonwire: note: the config names no user: started by root, its scripts run as %s\n", user);
    } else {
        mw_log(MW_LOG_WARN, "started by root, and the config names no user: scripts run as %s; say user = \"%s\", or another",
               user, user);
    }
    return user;
}

/* drop([user [, group]]) → nil or what went wrong, and the user that was taken for want of one. The upvalue: it is for an
 * operator, who may be somebody else. */
static int drop(lua_State *L) {
    struct mw_fault fault;
    bool for_operator = lua_toboolean(L, lua_upvalueindex(1));
    const char *user = luaL_optstring(L, 1, NULL), *taken = NULL;
    if (for_operator && geteuid() != 0) {
        return 0;
    }
    if (!user && geteuid() == 0) {
        user = taken = stand_in(for_operator);
    }
    if (!mw_privilege_drop(user, luaL_optstring(L, 2, NULL), &fault) || !mw_privilege_is_without_root(user, &fault)) {
        lua_pushstring(L, fault.message);
        return 1;
    }
    lua_pushnil(L);
    lua_pushstring(L, taken);
    return 2;
}

/* Protected: (name of a function of moonwire.probe, path of the config, whether it is for an operator, the one service)
 * → what the function returns */
static int call(lua_State *L) {
    lua_getglobal(L, "require");
    lua_pushliteral(L, "moonwire.probe");
    lua_call(L, 1, 1);
    lua_pushvalue(L, 1);
    lua_gettable(L, -2);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, 3);
    lua_pushcclosure(L, drop, 1);
    lua_pushvalue(L, 4);
    lua_call(L, 3, 2);
    return 2;
}

/* Leaves two values on the stack; false: an error that nobody expected. */
static bool judge(struct probe *probe, const char *name, const char *config, const char *service, bool for_operator) {
    lua_State *L = probe->state->sched.L;
    lua_pushcfunction(L, call);
    lua_pushstring(L, name);
    lua_pushstring(L, config);
    lua_pushboolean(L, for_operator);
    lua_pushstring(L, service);
    return lua_pcall(L, 4, 2, 0) == LUA_OK;
}

/* --- for the supervisor --- */

static void on_message(void *owner, uint8_t kind, const char *bytes, size_t size, const int *descriptors, int count) {
    (void)owner, (void)kind, (void)bytes, (void)size;
    for (int i = 0; i < count; i++) {
        close(descriptors[i]);
    }
}

static void on_end(void *owner) {
    (void)owner;
}

static bool is_sent(void *channel) {
    return mw_channel_pending(channel) == 0;
}

static bool send_probed(struct probe *probe, int descriptor, const char *bytes, size_t size) {
    static const struct mw_channel_events events = {.on_message = on_message, .on_end = on_end};
    struct mw_channel *channel = mw_channel_new(probe->loop, descriptor, &events, NULL);
    if (!channel) {
        return false;
    }
    bool sent = mw_channel_send(channel, MW_ORDER_PROBED, bytes, size, NULL, 0) == 0;
    if (sent && !is_sent(channel)) {
        mw_channel_converse(channel, SEND_SECONDS, is_sent, channel);
        sent = is_sent(channel);
    }
    mw_channel_close(channel);
    return sent;
}

/* An error of ours: memory may be out. */
static bool send_fault(struct probe *probe, int descriptor, const char *message) {
    struct mw_text text = {.bytes = NULL};
    size_t opened = mw_message_open(&text);
    mw_message_put_string(&text, "fault", message);
    mw_message_close(&text, opened);
    bool sent = !text.failed && send_probed(probe, descriptor, text.bytes, text.size);
    mw_text_free(&text);
    return sent;
}

int mw_probe_main(const char *config, const char *service, int channel) {
    struct probe probe = {.loop = NULL};
    bool sent = false;
    if (open_probe(&probe)) {
        lua_State *L = probe.state->sched.L;
        size_t size = 0;
        bool judged = judge(&probe, "message", config, service, false);
        const char *bytes = lua_tolstring(L, judged ? -2 : -1, &size);
        sent = judged && bytes ? send_probed(&probe, channel, bytes, size)
                               : send_fault(&probe, channel, bytes ? bytes : "the config cannot be judged");
    }
    close_probe(&probe);
    return sent ? 0 : 1;
}

/* --- for an operator --- */

int mw_check_main(const char *config) {
    struct probe probe = {.loop = NULL};
    bool good = false;
    if (open_probe(&probe)) {
        lua_State *L = probe.state->sched.L;
        good = judge(&probe, "check", config, NULL, true) && lua_toboolean(L, -2);
        const char *text = lua_tostring(L, -1);
        fprintf(good ? stdout : stderr, "%s%s\n", good ? "" : "moonwire: ", text ? text : "the config cannot be judged");
    }
    close_probe(&probe);
    return good ? 0 : 1;
}
