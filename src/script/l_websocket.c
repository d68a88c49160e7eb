#include "script/l_websocket.h"

#include "script/check.h"
#include "script/fault.h"
#include "script/l_websocket_internal.h"
#include "script/sched.h"

#include <stdlib.h>

static const char TYPE[] = "moonwire.websocket";

struct mw_l_websocket *mw_ws_test(lua_State *L, int index) {
    struct mw_l_websocket *ws = lua_touserdata(L, index);
    return ws && lua_rawlen(L, index) == sizeof *ws && ws->type == TYPE ? ws : NULL;
}

struct mw_l_websocket *mw_ws_check(lua_State *L, int index) {
    struct mw_l_websocket *ws = mw_ws_test(L, index);
    if (!ws) {
        luaL_typeerror(L, index, TYPE);
    }
    return ws;
}

void mw_ws_end(struct mw_l_websocket *ws, unsigned code) {
    if (ws->state != MW_WS_CLOSED) {
        ws->state = MW_WS_CLOSED;
        ws->close_code = (uint16_t)code;
        mw_text_free(&ws->collected);
    }
    mw_task_disown(&ws->resource);
    mw_l_stream_close(ws->stream);
    if (ws->closer) {
        struct mw_task *closer = ws->closer;
        ws->closer = NULL;
        mw_task_ready(closer, 0);
    }
}

void mw_ws_free(struct mw_l_websocket *ws) {
    mw_text_free(&ws->collected);
    mw_text_free(&ws->protocol);
    mw_ws_deflate_free(ws->deflate);
    ws->deflate = NULL;
}

/* Whoever owned it goes: the peer learns it, if it still can. */
static void leave(struct mw_l_websocket *ws, unsigned code) {
    if (!mw_ws_is_over(ws)) {
        mw_ws_queue_close(ws, code, "", 0);
    }
    mw_ws_end(ws, MW_WSFRAME_ABNORMAL);
    mw_ws_deflate_free(ws->deflate);
    ws->deflate = NULL;
}

static void close_resource(struct mw_resource *resource) {
    leave(mw_list_owner(resource, struct mw_l_websocket, resource), MW_WSFRAME_GOING_AWAY);
}

struct mw_l_websocket *mw_ws_push(lua_State *L, int stream, const struct mw_l_websocket *like) {
    stream = lua_absindex(L, stream);
    struct mw_l_websocket *ws = lua_newuserdatauv(L, sizeof *ws, MW_WS_VALUES);
    *ws = (struct mw_l_websocket){
        .type = TYPE,
        .stream = lua_touserdata(L, stream),
        .rules = like->rules,
        .limits = like->limits,
        .is_client = like->is_client,
        .heard = mw_loop_now(mw_sched_of(L)->loop),
    };
    ws->resource.close = close_resource;
    mw_list_init(&ws->resource.node);
    lua_pushvalue(L, stream);
    lua_setiuservalue(L, -2, MW_WS_STREAM);
    luaL_setmetatable(L, TYPE);
    return ws;
}

/* --- methods --- */

/* The end of a <close> variable: 1000, and 1011 behind an error. Waits for nothing. */
static int ws_close_variable(lua_State *L) {
    leave(mw_ws_check(L, 1), lua_isnoneornil(L, 2) ? MW_WSFRAME_NORMAL : MW_WSFRAME_INTERNAL_ERROR);
    return 0;
}

/* Nobody can talk to the peer any more. */
static int ws_gc(lua_State *L) {
    struct mw_l_websocket *ws = mw_ws_check(L, 1);
    leave(ws, MW_WSFRAME_GOING_AWAY);
    mw_ws_free(ws);
    return 0;
}

static int ws_tostring(lua_State *L) {
    const struct mw_l_websocket *ws = mw_ws_check(L, 1);
    char name[MW_ADDR_TEXT];
    mw_l_stream_name(ws->stream, name, sizeof name);
    lua_pushfstring(L, "%s: %s %s", TYPE, name, mw_ws_is_over(ws) ? "closed" : "open");
    return 1;
}

/* ws:abort(): at once, without a close frame */
static int ws_abort(lua_State *L) {
    struct mw_l_websocket *ws = mw_ws_check(L, 1);
    mw_l_stream_abort(ws->stream);
    mw_ws_end(ws, MW_WSFRAME_ABNORMAL);
    return 0;
}

static int ws_is_open(lua_State *L) {
    const struct mw_l_websocket *ws = mw_ws_check(L, 1);
    lua_pushboolean(L, ws->state == MW_WS_OPEN && ws->stream->stream);
    return 1;
}

/* ws:close_code() → code | nil while it is open */
static int ws_close_code(lua_State *L) {
    const struct mw_l_websocket *ws = mw_ws_check(L, 1);
    if (!mw_ws_is_over(ws)) {
        return 0;
    }
    lua_pushinteger(L, ws->close_code ? ws->close_code : MW_WSFRAME_ABNORMAL);
    return 1;
}

static int ws_close_reason(lua_State *L) {
    mw_ws_check(L, 1);
    lua_getiuservalue(L, 1, MW_WS_REASON);
    return 1;
}

/* ws:protocol() → the subprotocol that was agreed on | nil */
static int ws_protocol(lua_State *L) {
    const struct mw_text *protocol = &mw_ws_check(L, 1)->protocol;
    if (protocol->size == 0) {
        return 0;
    }
    lua_pushlstring(L, protocol->bytes, protocol->size);
    return 1;
}

/* Calls the method of the stream that has the name of the first upvalue. */
static int ask_stream(lua_State *L) {
    mw_ws_check(L, 1);
    lua_settop(L, 1);
    lua_getiuservalue(L, 1, MW_WS_STREAM);
    lua_getfield(L, -1, lua_tostring(L, lua_upvalueindex(1)));
    lua_insert(L, -2);
    lua_call(L, 1, LUA_MULTRET);
    return lua_gettop(L) - 1;
}

/* ws:is_compressed() → whether permessage-deflate was agreed on */
static int ws_is_compressed(lua_State *L) {
    lua_pushboolean(L, mw_ws_check(L, 1)->rules.deflated);
    return 1;
}

/* ws:keep(): it outlives the task that made it */
static int ws_keep(lua_State *L) {
    struct mw_l_websocket *ws = mw_ws_check(L, 1);
    if (!mw_ws_is_over(ws)) {
        struct mw_list *owned = &mw_sched_of(L)->root.owned;
        mw_task_disown(&ws->stream->resource);
        mw_task_disown(&ws->resource);
        mw_list_append(owned, &ws->resource.node);
        mw_list_append(owned, &ws->stream->resource.node);
    }
    lua_settop(L, 1);
    return 1;
}

static const luaL_Reg methods[] = {
    {"receive", mw_l_websocket_receive},
    {"receive_some", mw_l_websocket_receive_some},
    {"messages", mw_l_websocket_messages},
    {"send", mw_l_websocket_send},
    {"try_send", mw_l_websocket_try_send},
    {"write", mw_l_websocket_write},
    {"finish", mw_l_websocket_finish},
    {"flush", mw_l_websocket_flush},
    {"ping", mw_l_websocket_ping},
    {"close", mw_l_websocket_close},
    {"abort", ws_abort},
    {"keep", ws_keep},
    {"checkpoint", mw_l_websocket_checkpoint},
    {"is_open", ws_is_open},
    {"is_compressed", ws_is_compressed},
    {"close_code", ws_close_code},
    {"close_reason", ws_close_reason},
    {"protocol", ws_protocol},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__tostring", ws_tostring},
    {"__close", ws_close_variable},
    {"__gc", ws_gc},
    {NULL, NULL},
};

static void add_questions(lua_State *L) {
    static const char *const names[] = {"peer_address", "local_address", "counters"};
    luaL_getmetatable(L, TYPE);
    lua_getfield(L, -1, "__index");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        lua_pushstring(L, names[i]);
        lua_pushcclosure(L, ask_stream, 1);
        lua_setfield(L, -2, names[i]);
    }
    lua_pop(L, 2);
}

void mw_l_websocket_open(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"wrap", mw_l_websocket_wrap},
        {"parse_response", mw_l_websocket_parse_response},
        {"is_field", mw_l_websocket_is_field},
        {NULL, NULL},
    };
    mw_new_type(L, TYPE, methods, metamethods);
    add_questions(L);
    mw_set_functions(L, "websocket", functions);
    lua_getfield(L, -1, "websocket");
    mw_l_websocket_frame_open(L);
    lua_pop(L, 1);
}
