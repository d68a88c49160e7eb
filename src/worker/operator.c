#include "worker/operator.h"

#include "net/network.h"
#include "script/l_stream.h"
#include "script/stack.h"
#include "script/task_internal.h"

#include <inttypes.h>
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

/* --- which connections --- */

struct filter {
    char service[MW_SERVICE_NAME], id[48], peer[MW_ADDR_TEXT];
    bool by_network; /* `peer` is one, or an address without a port */
    struct mw_network network;
};

static void read_filter(struct filter *filter, const struct mw_value *request) {
    mw_value_string(request, "service", filter->service, sizeof filter->service);
    mw_value_string(request, "connection", filter->id, sizeof filter->id);
    mw_value_string(request, "peer", filter->peer, sizeof filter->peer);
    const char *why;
    filter->by_network = mw_network_parse(&filter->network, filter->peer, strlen(filter->peer), &why);
}

static const char *name_of(const struct mw_guest *guest, char text[48]) {
    snprintf(text, 48, "%d.%" PRIu64, guest->host->daemon->place->worker, guest->id);
    return text;
}

static const char *peer_of(const struct mw_guest *guest, char text[MW_ADDR_TEXT]) {
    struct mw_addr addr;
    mw_endpoint_unpack(&addr, &guest->peer);
    return mw_addr_format(&addr, text);
}

/* A peer is named by its address with the port, or by a network that it is in. */
static bool is_of_peer(const struct filter *filter, const struct mw_guest *guest) {
    char peer[MW_ADDR_TEXT];
    uint8_t address[16];
    if (filter->by_network) {
        return mw_network_address(address, &guest->peer) && mw_network_holds(&filter->network, address);
    }
    return strcmp(filter->peer, peer_of(guest, peer)) == 0;
}

static bool fits(const struct filter *filter, const struct mw_guest *guest) {
    char id[48];
    return (!*filter->service || strcmp(filter->service, guest->host->name) == 0) &&
           (!*filter->id || strcmp(filter->id, name_of(guest, id)) == 0) &&
           (!*filter->peer || is_of_peer(filter, guest));
}

/* --- the list --- */

struct listing {
    struct mw_text *text;
    bool stack, locals;
    int64_t left; /* how many may follow */
    bool any;
};

static void add_string(struct mw_text *text, const char *key, const char *value) {
    mw_text_format(text, "\"%s\":", key);
    mw_text_json(text, value, strlen(value));
    mw_text_puts(text, ",");
}

static void add_local(struct mw_text *text, const struct mw_guest *guest) {
    struct mw_addr addr = {.length = sizeof addr.storage};
    char name[MW_ADDR_TEXT];
    if (getsockname(mw_stream_fd(guest->transport), &addr.any, &addr.length) == 0) {
        add_string(text, "local", mw_addr_format(&addr, name));
    }
}

/* What its task does: for a connection that has not spoken yet there is none. */
static void add_task(const struct listing *listing, const struct mw_guest *guest, double now) {
    const struct mw_task *task = mw_guest_task(guest);
    struct mw_text *text = listing->text;
    if (!task) {
        add_string(text, "waits", guest->speak_by > 0 ? "first bytes" : "end");
        return;
    }
    bool waits = task->state == MW_TASK_WAITING && task->wait;
    add_string(text, "waits", waits ? task->wait->name : "processor");
    mw_text_format(text, "\"since\":%.3f,", now - task->since);
    if (listing->stack && waits) {
        struct mw_text stack = {.bytes = NULL};
        mw_stack_write(task, listing->locals, &stack);
        add_string(text, "stack", mw_text_string(&stack));
        mw_text_free(&stack);
    }
}

static int64_t generation_of(const struct mw_guest *guest) {
    const struct mw_task *task = mw_guest_task(guest);
    if (task && task->sched->provider) {
        return mw_list_owner(task->sched->provider, struct mw_instance, service)->generation;
    }
    return guest->host->current ? guest->host->current->generation : 0;
}

static void add_guest(struct listing *listing, const struct mw_guest *guest) {
    struct mw_text *text = listing->text;
    struct mw_stream_counters counters;
    char id[48], peer[MW_ADDR_TEXT];
    double now = mw_loop_now(guest->host->daemon->loop);
    mw_stream_count(guest->transport, &counters);
    mw_text_puts(text, listing->any ? ",{" : "{");
    listing->any = true;
    add_string(text, "id", name_of(guest, id));
    add_string(text, "service", guest->host->name);
    add_string(text, "peer", peer_of(guest, peer));
    add_local(text, guest);
    add_task(listing, guest, now);
    mw_text_format(text, "\"generation\":%" PRId64 ",\"age\":%.3f,\"idle\":%.3f,\"received\":%" PRIu64 ",\"sent\":%" PRIu64
                   ",\"pending\":%zu}", generation_of(guest), now - counters.opened, now - counters.active, counters.received,
                   counters.sent, mw_stream_pending(guest->transport));
}

/* Calls `act` for each guest that fits, until it says that this was enough. */
static void each_guest(struct mw_daemon *daemon, const struct filter *filter,
                       bool (*act)(void *context, struct mw_guest *guest), void *context) {
    for (struct mw_list *node = daemon->hosts.next; node != &daemon->hosts; node = node->next) {
        struct mw_list *guests = &mw_list_owner(node, struct mw_host, node)->guests;
        for (struct mw_list *at = guests->next, *next; at != guests; at = next) {
            struct mw_guest *guest = mw_list_owner(at, struct mw_guest, node);
            next = at->next;
            if (fits(filter, guest) && !act(context, guest)) {
                return;
            }
        }
    }
}

static bool list_one(void *context, struct mw_guest *guest) {
    struct listing *listing = context;
    add_guest(listing, guest);
    return --listing->left > 0;
}

void mw_operator_list(struct mw_daemon *daemon, const struct mw_value *request, struct mw_text *text) {
    struct filter filter;
    struct listing listing = {
        .text = text,
        .stack = mw_value_boolean(request, "stack", false),
        .locals = mw_value_boolean(request, "locals", false),
        .left = mw_value_integer(request, "limit", INT64_MAX),
    };
    read_filter(&filter, request);
    mw_text_puts(text, "{\"connections\":[");
    each_guest(daemon, &filter, list_one, &listing);
    mw_text_puts(text, "]}");
}

/* --- ending --- */

/* Its task learns that the connection is closed, and is cancelled wherever it waits. */
static bool kill_one(void *context, struct mw_guest *guest) {
    struct mw_l_stream *stream = mw_l_stream_of(guest->transport);
    struct mw_task *task = mw_guest_task(guest);
    ++*(size_t *)context;
    if (stream) {
        mw_l_stream_abort(stream);
    } else if (guest->speak_by > 0) {
        mw_stream_abort(guest->transport);
    }
    if (task) {
        mw_task_cancel(task);
    }
    return true;
}

void mw_operator_kill(struct mw_daemon *daemon, const struct mw_value *request, struct mw_text *text) {
    struct filter filter;
    size_t killed = 0;
    read_filter(&filter, request);
    if (*filter.service || *filter.id || *filter.peer) {
        each_guest(daemon, &filter, kill_one, &killed);
    }
    mw_text_format(text, "{\"killed\":%zu}", killed);
}

/* --- code --- */

struct evaluation {
    struct mw_sched *sched;
    struct mw_value code;
    int64_t id;
};

/* Protected: moonwire.operator's function `evaluate`, as a task. */
static int start_evaluation(lua_State *L) {
    const struct evaluation *evaluation = lua_touserdata(L, 1);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "moonwire.operator");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "evaluate");
    lua_pushinteger(L, evaluation->id);
    lua_pushlstring(L, evaluation->code.bytes, evaluation->code.size);
    struct mw_task *task = mw_task_new(L, evaluation->sched, &evaluation->sched->service);
    lua_xmove(L, task->thread, 3);
    mw_task_ready(task, 2);
    return 0;
}

static void refuse(struct mw_daemon *daemon, int64_t id, const char *service, const char *why) {
    struct mw_text text = {.bytes = NULL};
    mw_text_format(&text, "{\"error\":");
    struct mw_text message = {.bytes = NULL};
    mw_text_format(&message, "service %s: %s", service, why);
    mw_text_json(&text, message.bytes, message.size);
    mw_text_free(&message);
    mw_text_puts(&text, "}");
    mw_request_send(daemon, id, &text);
}

void mw_operator_evaluate(struct mw_daemon *daemon, const struct mw_value *request, int64_t id) {
    char name[MW_SERVICE_NAME];
    struct mw_host *host = mw_host_find(daemon, mw_value_string(request, "service", name, sizeof name));
    if (!host || !host->current) {
        refuse(daemon, id, name, "there is none of this name in the worker");
        return;
    }
    struct mw_sched *sched = &host->current->service.state->sched;
    struct evaluation evaluation = {.sched = sched, .code = mw_value_field(request, "code"), .id = id};
    lua_State *L = sched->L;
    lua_pushcfunction(L, start_evaluation);
    lua_pushlightuserdata(L, &evaluation);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
        const char *message = lua_tostring(L, -1);
        refuse(daemon, id, name, message ? message : "not enough memory");
        lua_pop(L, 1);
    }
}
