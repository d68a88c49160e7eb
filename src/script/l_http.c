/* HTTP servers: who answers, and all the connections. */
#include "script/l_http_internal.h"

#include "script/check.h"
#include "script/l_http_date.h"
#include "script/l_http_link.h"
#include "script/l_http_pass.h"
#include "script/l_http_reply.h"
#include "script/l_listener.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct mw_http_rules defaults = {
    .body = 10 * 1024 * 1024,
    .head_timeout = 10,
    .keep_alive = 60,
    .body_rate = 256,
    .requests = UINT64_MAX,
};

/* --- rules --- */

/* A count, or false for none. */
static uint64_t count_option(lua_State *L, int index, const char *key, uint64_t otherwise) {
    bool is_off = lua_getfield(L, index, key) == LUA_TBOOLEAN && !lua_toboolean(L, -1);
    lua_pop(L, 1);
    lua_Integer given = is_off ? -1 : mw_option_integer(L, index, key, 0, LUA_MAXINTEGER, -1);
    return is_off ? UINT64_MAX : given < 0 ? otherwise : (uint64_t)given;
}

void mw_http_rules_read(lua_State *L, int index, struct mw_http_rules *rules) {
    static const char *const known[] = {MW_HTTP_OPTIONS, NULL};
    *rules = defaults;
    rules->head = mw_http1_default_limits;
    if (!mw_check_options(L, index, known)) {
        return;
    }
    rules->head.size = (uint32_t)mw_option_integer(L, index, "head_max", 256, 1 << 20, rules->head.size);
    rules->head.fields = (uint32_t)mw_option_integer(L, index, "fields_max", 1, 10000, rules->head.fields);
    rules->head.target = rules->head.target < rules->head.size ? rules->head.target : rules->head.size;
    rules->body = count_option(L, index, "body_max", rules->body);
    rules->requests = count_option(L, index, "requests_max", rules->requests);
    rules->head_timeout = mw_option_seconds(L, index, "head_timeout", rules->head_timeout);
    rules->keep_alive = mw_option_seconds(L, index, "keep_alive", rules->keep_alive);
    lua_Integer rate = (lua_Integer)count_option(L, index, "body_rate", (uint64_t)rules->body_rate);
    rules->body_rate = rate < 0 ? 0 : (double)rate;
    rules->access_log = mw_option_boolean(L, index, "access_log", false);
}

/* --- servers --- */

/* Those that are awake are looked at once each: what wakes meanwhile has its turn in the next job. */
static void look_at_awake(void *context) {
    struct mw_http_server *server = context;
    struct mw_list now;
    mw_loop_remove_work(&server->work);
    mw_list_init(&now);
    mw_list_splice(&now, &server->awake);
    while (!mw_list_empty(&now)) {
        struct mw_http_connection *connection = mw_list_owner(now.next, struct mw_http_connection, node);
        mw_list_remove(&connection->node);
        mw_list_append(&connection->server->connections, &connection->node);
        connection->is_awake = false;
        if (connection->transport) { /* else a request has begun meanwhile */
            mw_http_connection_serve(connection);
        }
    }
}

static void free_server(struct mw_http_server *server) {
    lua_State *L = server->handler.sched->L;
    mw_list_remove(&server->resource.node);
    mw_loop_remove_work(&server->work);
    luaL_unref(L, LUA_REGISTRYINDEX, server->handler.function);
    luaL_unref(L, LUA_REGISTRYINDEX, server->handler.context);
    luaL_unref(L, LUA_REGISTRYINDEX, server->entry);
    mw_l_profile_release(server->handler.profile);
    free(server);
}

static void close_resting(struct mw_list *list) {
    for (struct mw_list *node = list->next, *next; node != list; node = next) {
        struct mw_http_connection *connection = mw_list_owner(node, struct mw_http_connection, node);
        next = node->next;
        if (connection->transport) {
            mw_http_connection_end(connection, MW_HTTP_LINGER);
        }
    }
}

void mw_http_server_close(struct mw_http_server *server) {
    if (!server->closing) {
        server->closing = true;
        server->count++; /* so that the last connection does not free it under our hands */
        close_resting(&server->connections);
        close_resting(&server->awake);
        server->count--;
    }
    if (server->count == 0) {
        free_server(server);
    }
}

/* The state ends: requests in progress end with it, before their values go. */
static void close_resource(struct mw_resource *resource) {
    struct mw_http_server *server = mw_list_owner(resource, struct mw_http_server, resource);
    mw_list_init(&resource->node);
    server->count++;
    while (!mw_list_empty(&server->connections)) {
        struct mw_http_connection *connection =
            mw_list_owner(server->connections.next, struct mw_http_connection, node);
        if (connection->request) {
            mw_http_exchange_abort(connection->request);
        } else {
            mw_http_connection_end(connection, 0);
        }
    }
    close_resting(&server->awake);
    server->count--;
    free_server(server);
}

struct mw_http_server *mw_http_server_new(const struct mw_l_handler *handler, const struct mw_http_rules *rules) {
    struct mw_http_server *server = calloc(1, sizeof *server);
    if (!server) {
        return NULL;
    }
    server->handler = *handler;
    server->rules = *rules;
    server->work.run = look_at_awake;
    server->work.context = server;
    server->resource.close = close_resource;
    mw_list_init(&server->connections);
    mw_list_init(&server->awake);
    mw_list_append(&handler->sched->root.owned, &server->resource.node);
    mw_http_exchange_push_entry(handler->sched->L, handler);
    server->entry = luaL_ref(handler->sched->L, LUA_REGISTRYINDEX);
    return server;
}

void mw_http_server_set_group(struct mw_http_server *server, struct mw_group *group) {
    server->handler.group = group;
}

static size_t move_from(struct mw_list *list, struct mw_http_server *to, size_t most) {
    size_t moved = 0;
    for (struct mw_list *node = list->next, *next; node != list && moved < most; node = next) {
        struct mw_http_connection *connection = mw_list_owner(node, struct mw_http_connection, node);
        next = node->next;
        if (!connection->transport) {
            continue;
        }
        moved++;
        if (to) {
            mw_http_connection_pass(connection, to);
        } else {
            mw_http_connection_end(connection, MW_HTTP_LINGER);
        }
    }
    return moved;
}

size_t mw_http_move_some(struct mw_http_server *from, struct mw_http_server *to, size_t most) {
    size_t moved = move_from(&from->connections, to, most);
    return moved + move_from(&from->awake, to, most - moved);
}

/* --- moonwire.core.http --- */

/* kind(value) → "request" | "response" | nil */
static int kind(lua_State *L) {
    if (luaL_testudata(L, 1, mw_http_request_type)) {
        lua_pushliteral(L, "request");
    } else if (mw_http_response_test(L, 1)) {
        lua_pushliteral(L, "response");
    } else {
        lua_pushnil(L);
    }
    return 1;
}

static const luaL_Reg functions[] = {
    {"kind", kind},
    {"serve", mw_l_serve_http},
    {"date", mw_l_http_date},
    {"parse_date", mw_l_http_parse_date},
    {NULL, NULL},
};

void mw_l_http_open(lua_State *L) {
    mw_set_functions(L, "http", functions);
    lua_getfield(L, -1, "http");
    mw_http_request_open(L);
    mw_http_response_open(L);
    mw_l_http_reply_open(L);
    mw_l_http_link_open(L);
    mw_l_http_pass_open(L);
    mw_l_http_pump_open(L);
    mw_l_http_interim_open(L);
    lua_pop(L, 1);
}
