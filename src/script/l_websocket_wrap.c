/* What handshakes in Lua need of C: a stream that becomes a WebSocket, and the head of an answer. */
#include "script/check.h"
#include "script/fault.h"
#include "script/l_http_body.h"
#include "script/l_websocket_internal.h"

#include <stdlib.h>
#include <string.h>

enum { MESSAGE_DEFAULT = 1024 * 1024, MESSAGE_MOST = 1 << 30, FRAMES_DEFAULT = 100000, THRESHOLD_DEFAULT = 32 };

#define PING_INTERVAL 30.0
#define PING_TIMEOUT 30.0
#define CLOSE_TIMEOUT 5.0

static void read_limits(lua_State *L, int index, struct mw_ws_limits *limits) {
    *limits = (struct mw_ws_limits){
        .message = (size_t)mw_option_integer(L, index, "max", 1, MESSAGE_MOST, MESSAGE_DEFAULT),
        .frames = (uint32_t)mw_option_integer(L, index, "frames_max", 1, MESSAGE_MOST, FRAMES_DEFAULT),
        .ping_interval = mw_option_seconds(L, index, "ping_interval", PING_INTERVAL),
        .ping_timeout = mw_option_seconds(L, index, "ping_timeout", PING_TIMEOUT),
        .close_timeout = mw_option_seconds(L, index, "close_timeout", CLOSE_TIMEOUT),
    };
}

/* What the extension was agreed on to be, from the table at the top. */
static void read_deflate(lua_State *L, struct mw_l_websocket *ws) {
    static const char *const known[] = {"level",       "threshold", "own_window", "peer_window",
                                        "own_context", "peer_context", NULL};
    int index = lua_gettop(L);
    mw_check_options(L, index, known);
    struct mw_ws_deflate deflate = {
        .threshold = (uint32_t)mw_option_integer(L, index, "threshold", 0, MESSAGE_MOST, THRESHOLD_DEFAULT),
        .level = (uint8_t)mw_option_integer(L, index, "level", 1, 9, 6),
        .own_window = (uint8_t)mw_option_integer(L, index, "own_window", 9, 15, 15),
        .peer_window = (uint8_t)mw_option_integer(L, index, "peer_window", 8, 15, 15),
        .own_keeps = mw_option_boolean(L, index, "own_context", true),
        .peer_keeps = mw_option_boolean(L, index, "peer_context", true),
    };
    ws->deflate = malloc(sizeof *ws->deflate);
    if (!ws->deflate) {
        luaL_error(L, "not enough memory");
        return;
    }
    *ws->deflate = deflate;
    ws->rules.deflated = true;
}

static void read_protocol(lua_State *L, struct mw_l_websocket *ws) {
    const char *protocol = mw_option_string(L, 2, "protocol");
    if (protocol) {
        mw_text_puts(&ws->protocol, protocol);
    }
}

/* wrap(stream, { role, protocol, deflate, … }) → WebSocket: behind the handshake, the stream is its own from now on */
int mw_l_websocket_wrap(lua_State *L) {
    static const char *const known[] = {"role", "protocol", "deflate", "max", "frames_max", "ping_interval",
                                        "ping_timeout", "close_timeout", NULL};
    struct mw_l_stream *stream = mw_l_stream_check(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    mw_check_options(L, 2, known);
    if (!stream->stream) {
        return mw_push_word(L, "closed");
    }
    const char *role = mw_option_string(L, 2, "role");
    struct mw_l_websocket like = {.is_client = role && strcmp(role, "client") == 0};
    like.rules.masked = !like.is_client;
    read_limits(L, 2, &like.limits);
    struct mw_l_websocket *ws = mw_ws_push(L, 1, &like);
    read_protocol(L, ws);
    if (lua_getfield(L, 2, "deflate") == LUA_TTABLE) {
        read_deflate(L, ws);
    }
    lua_pop(L, 1);
    mw_list_append(&stream->resource.node, &ws->resource.node);
    return 1;
}

/* parse_response(head) → status, fields | nil, why, "invalid": the head of the answer to a handshake, up to its empty line */
int mw_l_websocket_parse_response(lua_State *L) {
    struct mw_http1_head head = {.size = 0};
    size_t size;
    const char *bytes = luaL_checklstring(L, 1, &size);
    if (mw_http1_parse_response(&head, bytes, size, &mw_http1_default_limits, false, false) != MW_HTTP1_DONE) {
        lua_pushnil(L);
        lua_pushstring(L, head.why ? head.why : "not the head of a response");
        lua_pushliteral(L, "invalid");
        return 3;
    }
    lua_pushinteger(L, head.status);
    mw_l_http_push_fields(L, bytes, head.fields, head.size);
    return 2;
}

/* is_field(name, value) → whether they can be sent as a field of a head */
int mw_l_websocket_is_field(lua_State *L) {
    size_t name_size, value_size;
    const char *name = luaL_checklstring(L, 1, &name_size);
    const char *value = luaL_checklstring(L, 2, &value_size);
    lua_pushboolean(L, mw_http1_is_token(name, name_size) && mw_http1_is_value(value, value_size));
    return 1;
}
