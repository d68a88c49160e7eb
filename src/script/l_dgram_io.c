/* Receiving and sending datagrams. The kernel keeps what comes while nobody
 * waits; a datagram that is awaited goes straight to the task. */
#include "script/check.h"
#include "script/fault.h"
#include "script/l_dgram.h"
#include "script/sched.h"

#include <errno.h>
#include <string.h>

/* --- what the socket tells --- */

/* The task runs here and now, and takes what arrived: the bytes are gone after
 * the event. If it waits again, receiving goes on with the next datagram. */
static void hand_over(struct mw_l_dgram *socket, struct mw_l_dgram_arrival arrival) {
    struct mw_task *task = socket->receiver;
    socket->receiver = NULL;
    socket->arrival = arrival;
    mw_dgram_receive(socket->dgram, false);
    mw_task_resume(task, 0);
}

static void on_datagram(void *owner, const char *bytes, size_t size, const struct mw_addr *peer) {
    hand_over(owner, (struct mw_l_dgram_arrival){.bytes = bytes, .size = size, .peer = peer});
}

static void on_fault(void *owner, int error) {
    hand_over(owner, (struct mw_l_dgram_arrival){.error = error});
}

static void on_writable(void *owner) {
    struct mw_l_dgram *socket = owner;
    struct mw_task *task = socket->sender;
    socket->sender = NULL;
    mw_task_resume(task, 0);
}

const struct mw_dgram_events mw_l_dgram_events = {
    .on_datagram = on_datagram,
    .on_writable = on_writable,
    .on_fault = on_fault,
};

/* --- receiving --- */

static void abandon_receive(struct mw_task *task, void *subject) {
    struct mw_l_dgram *socket = subject;
    (void)task;
    socket->receiver = NULL;
    if (socket->dgram) {
        mw_dgram_receive(socket->dgram, false);
    }
}

static const struct mw_wait receive_wait = {.name = "receive", .abandon = abandon_receive};

/* nil, err, code for a fault that concerns `peer`, NULL: nobody in particular. */
static int push_fault(lua_State *L, int error, const char *operation, const struct mw_addr *peer) {
    char text[MW_ADDR_TEXT];
    return mw_push_errno(L, error, operation, peer && peer->length ? mw_addr_format(peer, text) : NULL);
}

static int wait_for_datagram(lua_State *L, struct mw_l_dgram *socket, double seconds, lua_KFunction k) {
    if (!socket->dgram) {
        return mw_push_word(L, "closed");
    }
    if (socket->receiver) {
        return mw_push_word(L, "busy");
    }
    struct mw_task *task = mw_task_begin_wait(L, seconds);
    socket->receiver = task;
    socket->arrival = (struct mw_l_dgram_arrival){.bytes = NULL};
    mw_dgram_receive(socket->dgram, true);
    return mw_task_wait(task, &receive_wait, socket, 0, k);
}

/* What the wait has brought: data, peer | nil, err, code. */
static int take_arrival(lua_State *L) {
    struct mw_l_dgram *socket = lua_touserdata(L, 1);
    if (mw_task_outcome(L) == MW_TIMED_OUT) {
        return mw_push_word(L, "timeout");
    }
    struct mw_l_dgram_arrival arrival = socket->arrival;
    socket->arrival = (struct mw_l_dgram_arrival){.bytes = NULL};
    if (arrival.bytes) {
        char text[MW_ADDR_TEXT];
        lua_pushlstring(L, arrival.bytes, arrival.size);
        lua_pushstring(L, mw_addr_format(arrival.peer, text));
        return 2;
    }
    return arrival.error ? push_fault(L, arrival.error, "receive", &socket->peer) : mw_push_word(L, "closed");
}

static int received(lua_State *L, int status, lua_KContext context) {
    (void)status;
    (void)context;
    return take_arrival(L);
}

int mw_l_dgram_receive(lua_State *L) {
    struct mw_l_dgram *socket = mw_l_dgram_check(L, 1);
    double seconds = lua_isnoneornil(L, 2) ? socket->read_timeout : mw_check_seconds(L, 2);
    return wait_for_datagram(L, socket, seconds, received);
}

/* The loop ends when the socket is closed; other faults are raised. */
static int give_to_loop(lua_State *L, int count) {
    if (count == 2) {
        return count;
    }
    if (strcmp(lua_tostring(L, -1), "closed") == 0) {
        lua_pushnil(L);
        return 1;
    }
    mw_push_fault_object(L, lua_tostring(L, -1), lua_tostring(L, -2));
    return lua_error(L);
}

static int received_in_loop(lua_State *L, int status, lua_KContext context) {
    (void)status;
    (void)context;
    return give_to_loop(L, take_arrival(L));
}

/* Waiting does not return; what does is nil, err, code. */
static int next_datagram(lua_State *L) {
    struct mw_l_dgram *socket = mw_l_dgram_check(L, 1);
    return give_to_loop(L, wait_for_datagram(L, socket, socket->read_timeout, received_in_loop));
}

int mw_l_dgram_datagrams(lua_State *L) {
    mw_l_dgram_check(L, 1);
    lua_pushcfunction(L, next_datagram);
    lua_pushvalue(L, 1);
    return 2;
}

/* --- sending --- */

static void abandon_send(struct mw_task *task, void *subject) {
    struct mw_l_dgram *socket = subject;
    (void)task;
    socket->sender = NULL;
    if (socket->dgram) {
        mw_dgram_forget_output(socket->dgram);
    }
}

static const struct mw_wait send_wait = {.name = "send", .abandon = abandon_send};

/* The numeric address at `index`, or the fixed peer. False: the latter. */
static bool check_peer(lua_State *L, int index, const struct mw_l_dgram *socket, struct mw_addr *peer) {
    struct mw_address address;
    if (lua_isnoneornil(L, index)) {
        luaL_argcheck(L, socket->peer.length, index, "this socket has no fixed peer; name one");
        return false;
    }
    mw_check_address(L, index, &address);
    if (address.host[0] == '\0' || strcmp(address.host, "*") == 0 || !mw_addr_resolve(peer, &address)) {
        luaL_argerror(L, index,
                      "a numeric address expected, such as 127.0.0.1:53; moonwire.dns looks names up");
        return false;
    }
    return true;
}

static int sent(lua_State *L, int status, lua_KContext context);

static int try_to_send(lua_State *L, struct mw_l_dgram *socket, bool first) {
    struct mw_addr peer;
    size_t size;
    const char *bytes = luaL_checklstring(L, 2, &size);
    bool named = check_peer(L, 3, socket, &peer);
    if (!socket->dgram) {
        return mw_push_word(L, "closed");
    }
    if (socket->sender) {
        return mw_push_word(L, "busy");
    }
    int error = mw_dgram_send(socket->dgram, bytes, size, named ? &peer : NULL);
    if (error == EAGAIN) {
        double now = mw_loop_now(socket->sched->loop);
        if (first) {
            socket->send_due = now + socket->write_timeout;
        }
        struct mw_task *task = mw_task_begin_wait(L, socket->send_due > now ? socket->send_due - now : 0);
        socket->sender = task;
        mw_dgram_await_output(socket->dgram);
        return mw_task_wait(task, &send_wait, socket, 0, sent);
    }
    if (error) {
        return push_fault(L, error, "send", named ? &peer : &socket->peer);
    }
    lua_pushboolean(L, 1);
    return 1;
}

static int sent(lua_State *L, int status, lua_KContext context) {
    (void)status;
    (void)context;
    if (mw_task_outcome(L) == MW_TIMED_OUT) {
        return mw_push_word(L, "timeout");
    }
    return try_to_send(L, lua_touserdata(L, 1), false);
}

int mw_l_dgram_send(lua_State *L) {
    return try_to_send(L, mw_l_dgram_check(L, 1), true);
}
