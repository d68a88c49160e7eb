#include "script/l_bus.h"

#include "script/bus.h"
#include "script/check.h"
#include "script/fault.h"
#include "script/l_data.h"
#include "script/state.h"

#include <string.h>

static const char TYPE[] = "moonwire.subscription";

enum { QUEUE_LIMIT = 1000 };

struct subscription {
    struct mw_bus_subscriber subscriber;
    struct mw_task *waiter;
    struct mw_loop *loop;
    struct mw_resource resource;
    bool open;
    char pattern[];
};

static struct subscription *check_subscription(lua_State *L) {
    return luaL_checkudata(L, 1, TYPE);
}

static struct mw_bus *bus_of(lua_State *L) {
    struct mw_bus *bus = mw_state_bus(mw_state_of(L));
    if (!bus) {
        luaL_error(L, "not enough memory");
    }
    return bus;
}

/* The topic or pattern at index 1. */
static const char *check_topic(lua_State *L, size_t *size, bool is_pattern) {
    const char *topic = luaL_checklstring(L, 1, size);
    const char *problem = mw_topic_problem(topic, *size, is_pattern);
    if (problem) {
        const char *noun = is_pattern ? "the pattern" : "the topic";
        luaL_argerror(L, 1, lua_pushfstring(L, "%s %s; such as \"chat.room.7\"", noun, problem));
    }
    return topic;
}

/* --- publishing --- */

/* What is wrong with the value; the rest is the script's mistake, and raised. */
static int refuse(lua_State *L, const char *topic, const struct mw_fault *fault) {
    if (strcmp(fault->code, "invalid") == 0) {
        return luaL_argerror(L, 2, fault->message);
    }
    if (strcmp(fault->code, "memory") == 0) {
        return luaL_error(L, "not enough memory");
    }
    lua_pushnil(L);
    lua_pushfstring(L, "publish %s: %s", topic, fault->message);
    lua_pushstring(L, fault->code);
    return 3;
}

/* publish(topic, value) → how many subscriptions it reached here | nil, err, code */
static int bus_publish(lua_State *L) {
    size_t size, reached;
    struct mw_fault fault;
    struct mw_text message = {.bytes = NULL};
    const char *topic = check_topic(L, &size, false);
    luaL_argcheck(L, !lua_isnoneornil(L, 2), 2, "a value that is not nil expected; use false or a table");
    struct mw_bus *bus = bus_of(L);
    mw_bus_address(&message, topic, size);
    bool good = mw_data_encode(L, 2, "value", &message, &fault);
    if (good && message.size > 1 + size + MW_BUS_VALUE_MOST) {
        mw_fault_format(&fault, "too_large", "value is too large: more than %d KiB cannot be published",
                        MW_BUS_VALUE_MOST / 1024);
        good = false;
    }
    bool published = good && mw_bus_publish(bus, &message, &reached);
    mw_text_free(&message);
    if (!good) {
        return refuse(L, topic, &fault);
    }
    if (!published) {
        return luaL_error(L, "not enough memory");
    }
    lua_pushinteger(L, (lua_Integer)reached);
    return 1;
}

/* --- subscribing --- */

static void on_news(struct mw_bus_subscriber *subscriber) {
    struct subscription *subscription = mw_list_owner(subscriber, struct subscription, subscriber);
    struct mw_task *task = subscription->waiter;
    if (task) {
        subscription->waiter = NULL;
        mw_task_ready(task, 0);
    }
}

static void close_subscription(struct subscription *subscription) {
    if (subscription->open) {
        subscription->open = false;
        mw_bus_unsubscribe(&subscription->subscriber);
        mw_task_disown(&subscription->resource);
        on_news(&subscription->subscriber);
    }
}

static void close_resource(struct mw_resource *resource) {
    close_subscription(mw_list_owner(resource, struct subscription, resource));
}

static enum mw_bus_policy read_policy(lua_State *L) {
    static const char *const names[] = {
        [MW_BUS_DROP_OLDEST] = "drop_oldest",
        [MW_BUS_DROP_NEWEST] = "drop_newest",
        [MW_BUS_DISCONNECT] = "disconnect",
    };
    const char *name = mw_option_string(L, 2, "policy");
    int policy = 0;
    while (name && policy <= MW_BUS_DISCONNECT && strcmp(name, names[policy]) != 0) {
        policy++;
    }
    luaL_argcheck(L, policy <= MW_BUS_DISCONNECT, 2,
                  "option 'policy' is one of \"drop_oldest\", \"drop_newest\", \"disconnect\"");
    return (enum mw_bus_policy)policy;
}

static void read_options(lua_State *L, struct mw_bus_subscriber *subscriber) {
    static const char *const known[] = {"queue", "policy", NULL};
    lua_Integer limit = QUEUE_LIMIT;
    if (mw_check_options(L, 2, known)) {
        limit = mw_option_integer(L, 2, "queue", 1, MW_BUS_QUEUE_MOST, QUEUE_LIMIT);
        subscriber->policy = read_policy(L);
    }
    subscriber->limit = (size_t)limit;
    subscriber->on_news = on_news;
}

/* Pushes one that is open, and the running task's. */
static void open_subscription(lua_State *L, const struct mw_bus_subscriber *subscriber, const char *pattern,
                              size_t size) {
    struct mw_bus *bus = bus_of(L);
    struct subscription *subscription = lua_newuserdatauv(L, sizeof *subscription + size + 1, 0);
    *subscription = (struct subscription){
        .subscriber = *subscriber,
        .loop = mw_sched_of(L)->loop,
        .resource.close = close_resource,
    };
    mw_list_init(&subscription->resource.node);
    memcpy(subscription->pattern, pattern, size + 1);
    luaL_setmetatable(L, TYPE);
    if (!mw_bus_subscribe(bus, &subscription->subscriber, pattern, size)) {
        luaL_error(L, "not enough memory");
    }
    subscription->open = true;
    mw_task_own(L, &subscription->resource);
}

/* subscribe(pattern, options) → subscription, and for loops nil, nil, and what is to be closed at their end */
static int bus_subscribe(lua_State *L) {
    size_t size;
    struct mw_bus_subscriber subscriber = {.limit = 0};
    const char *pattern = check_topic(L, &size, true);
    read_options(L, &subscriber);
    open_subscription(L, &subscriber, pattern, size);
    lua_pushnil(L);
    lua_pushnil(L);
    lua_pushvalue(L, -3);
    return 4;
}

/* --- taking --- */

/* A light userdata of a message → its value, its topic. A value that was json.null is that again: nil would end
 * loops. */
static int push_message(lua_State *L) {
    const struct mw_bus_message *message = lua_touserdata(L, 1);
    size_t size;
    const char *bytes = mw_bus_value(message, &size);
    if (!mw_data_push(L, bytes, size)) {
        return luaL_error(L, "a message that cannot be read");
    }
    if (lua_isnil(L, -1)) {
        lua_pushlightuserdata(L, NULL);
        lua_replace(L, -2);
    }
    bytes = mw_bus_topic(message, &size);
    lua_pushlstring(L, bytes, size);
    return 2;
}

/* A light userdata of a message → its bytes, for a bridge */
static int push_raw(lua_State *L) {
    const struct mw_bus_message *message = lua_touserdata(L, 1);
    lua_pushlstring(L, message->bytes, message->size);
    return 1;
}

/* Amid the making of the value the collector may call finalizers, which may close the
 * subscription; and memory may be out: hence a reference of our own, and a call that comes back. */
static int deliver(lua_State *L, struct mw_bus_message *message, bool is_raw) {
    int results = is_raw ? 1 : 2;
    lua_pushcfunction(L, is_raw ? push_raw : push_message);
    lua_pushlightuserdata(L, message);
    bool good = lua_pcall(L, 1, results, 0) == LUA_OK;
    mw_bus_release(message);
    return good ? results : lua_error(L);
}

static void abandon_wait(struct mw_task *task, void *subject) {
    struct subscription *subscription = subject;
    (void)task;
    subscription->waiter = NULL;
}

static const struct mw_wait bus_wait = {.name = "bus", .abandon = abandon_wait};

/* Nothing comes: for a loop that is its end when the subscription is closed, and a fault otherwise. */
static int give_up(lua_State *L, const char *code, const char *message, lua_KContext in_loop) {
    if (!in_loop) {
        lua_pushnil(L);
        lua_pushstring(L, message);
        lua_pushstring(L, code);
        return 3;
    }
    if (strcmp(code, "closed") == 0) {
        return 0;
    }
    mw_push_fault_object(L, code, message);
    return lua_error(L);
}

static int give_up_overrun(lua_State *L, const struct subscription *subscription, lua_KContext in_loop) {
    struct mw_fault fault;
    mw_fault_format(&fault, "full", "subscription to %s: it has ended, because more than %zu messages waited",
                    subscription->pattern, subscription->subscriber.limit);
    return give_up(L, fault.code, fault.message, in_loop);
}

static int go_on(lua_State *L, int status, lua_KContext in_loop);

/* The next message, or else a wait until `due`. */
static int take(lua_State *L, struct subscription *subscription, double due, lua_KContext in_loop) {
    if (subscription->waiter) {
        return give_up(L, "busy", "busy", in_loop);
    }
    struct mw_bus_message *message = mw_bus_take(&subscription->subscriber);
    if (message) {
        return deliver(L, message, subscription->subscriber.is_bridge);
    }
    if (!subscription->open) {
        return give_up(L, "closed", "closed", in_loop);
    }
    if (subscription->subscriber.overrun) {
        return give_up_overrun(L, subscription, in_loop);
    }
    double seconds = due - mw_loop_now(subscription->loop);
    if (seconds <= 0) {
        return give_up(L, "timeout", "timeout", in_loop);
    }
    subscription->waiter = mw_task_begin_wait(L, seconds);
    return mw_task_wait(subscription->waiter, &bus_wait, subscription, in_loop, go_on);
}

/* The moment to give up lies at index 2. */
static int go_on(lua_State *L, int status, lua_KContext in_loop) {
    (void)status;
    if (mw_task_outcome(L) == MW_TIMED_OUT) {
        return give_up(L, "timeout", "timeout", in_loop);
    }
    return take(L, check_subscription(L), lua_tonumber(L, 2), in_loop);
}

/* next([seconds]) → value, topic | nil, err, code */
static int subscription_next(lua_State *L) {
    struct subscription *subscription = check_subscription(L);
    double seconds = lua_isnoneornil(L, 2) ? MW_TIMER_NEVER : mw_check_seconds(L, 2);
    double due = mw_loop_now(subscription->loop) + seconds;
    lua_settop(L, 1);
    lua_pushnumber(L, due);
    return take(L, subscription, due, false);
}

/* A step of a loop: → value, topic */
static int subscription_call(lua_State *L) {
    struct subscription *subscription = check_subscription(L);
    lua_settop(L, 1);
    lua_pushnumber(L, MW_TIMER_NEVER);
    return take(L, subscription, MW_TIMER_NEVER, true);
}

/* --- bridges --- */

/* bridge(queue) → a subscription to all that this daemon publishes, which gives bytes; the bridge that serves, now */
static int bus_bridge(lua_State *L) {
    struct mw_bus_subscriber subscriber = {
        .limit = (size_t)mw_check_count(L, 1, 1, MW_BUS_QUEUE_MOST),
        .is_bridge = true,
        .on_news = on_news,
    };
    open_subscription(L, &subscriber, ">", 1);
    return 1;
}

/* serves([bridge]) → whether it is the one that was opened last of those that are open; whether there is any */
static int bus_serves(lua_State *L) {
    const struct mw_bus_subscriber *last = mw_bus_bridge(bus_of(L));
    lua_pushboolean(L, lua_isnoneornil(L, 1) ? last != NULL : last == &check_subscription(L)->subscriber);
    return 1;
}

/* inject(bytes) → whether they were a message */
static int bus_inject(lua_State *L) {
    size_t size;
    const char *bytes = luaL_checklstring(L, 1, &size);
    lua_pushboolean(L, mw_bus_inject(bus_of(L), bytes, size));
    return 1;
}

/* --- as an object --- */

static int subscription_counters(lua_State *L) {
    const struct mw_bus_subscriber *subscriber = &check_subscription(L)->subscriber;
    lua_createtable(L, 0, 3);
    lua_pushinteger(L, (lua_Integer)subscriber->taken);
    lua_setfield(L, -2, "received");
    lua_pushinteger(L, (lua_Integer)subscriber->dropped);
    lua_setfield(L, -2, "dropped");
    lua_pushinteger(L, (lua_Integer)subscriber->count);
    lua_setfield(L, -2, "queued");
    return 1;
}

static int subscription_close(lua_State *L) {
    close_subscription(check_subscription(L));
    return 0;
}

static int subscription_gc(lua_State *L) {
    struct subscription *subscription = check_subscription(L);
    if (subscription->open) {
        mw_sched_warn_of_lost(mw_sched_of(L), "subscription", subscription->pattern);
        close_subscription(subscription);
    }
    return 0;
}

static int subscription_keep(lua_State *L) {
    struct subscription *subscription = check_subscription(L);
    if (subscription->open) {
        mw_task_disown(&subscription->resource);
        mw_list_append(&mw_sched_of(L)->root.owned, &subscription->resource.node);
    }
    lua_settop(L, 1);
    return 1;
}

static int subscription_is_open(lua_State *L) {
    lua_pushboolean(L, check_subscription(L)->open);
    return 1;
}

static int subscription_tostring(lua_State *L) {
    const struct subscription *subscription = check_subscription(L);
    lua_pushfstring(L, "%s: %s %s", TYPE, subscription->pattern, subscription->open ? "open" : "closed");
    return 1;
}

static const luaL_Reg methods[] = {
    {"next", subscription_next},   {"counters", subscription_counters}, {"close", subscription_close},
    {"keep", subscription_keep},   {"is_open", subscription_is_open},   {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__call", subscription_call},
    {"__tostring", subscription_tostring},
    {"__close", subscription_close},
    {"__gc", subscription_gc},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"publish", bus_publish}, {"subscribe", bus_subscribe}, {"bridge", bus_bridge},
    {"serves", bus_serves},   {"inject", bus_inject},       {NULL, NULL},
};

void mw_l_bus_open(lua_State *L) {
    mw_new_type(L, TYPE, methods, metamethods);
    mw_set_functions(L, "bus", functions);
}
