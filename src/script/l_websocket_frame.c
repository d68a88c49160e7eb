/* Messages that are encoded once and sent to many. */
#include "script/check.h"
#include "script/fault.h"
#include "script/l_websocket_internal.h"

#include <lauxlib.h>
#include <string.h>

static const char TYPE[] = "moonwire.websocket.frame";

enum { LEVEL = 6 };

/* Frames as a server sends them: a client has to mask each anew. */
struct mw_ws_prepared {
    const void *type;
    struct mw_text plain, deflated; /* header and payload */
    size_t header;                  /* bytes of that of `plain` */
    uint8_t opcode;
    bool was_deflated; /* or it was tried */
};

struct mw_ws_prepared *mw_ws_test_prepared(lua_State *L, int index) {
    struct mw_ws_prepared *prepared = lua_touserdata(L, index);
    return prepared && lua_rawlen(L, index) == sizeof *prepared && prepared->type == TYPE ? prepared : NULL;
}

static size_t add_frame(struct mw_text *text, struct mw_wsframe *frame, const char *bytes, size_t size) {
    char header[MW_WSFRAME_HEADER];
    frame->size = size;
    size_t length = mw_wsframe_write_header(header, frame, false);
    mw_text_add(text, header, length);
    mw_text_add(text, bytes, size);
    return length;
}

static struct mw_ws_prepared *push_prepared(lua_State *L, uint8_t opcode, const char *bytes, size_t size) {
    struct mw_wsframe frame = {.opcode = opcode, .final = true};
    struct mw_ws_prepared *prepared = lua_newuserdatauv(L, sizeof *prepared, 0);
    *prepared = (struct mw_ws_prepared){.type = TYPE, .opcode = opcode};
    luaL_setmetatable(L, TYPE);
    prepared->header = add_frame(&prepared->plain, &frame, bytes, size);
    if (prepared->plain.failed) {
        luaL_error(L, "not enough memory");
    }
    return prepared;
}

/* At its first use: whether it is there. */
static bool is_deflated(struct mw_ws_prepared *prepared) {
    if (!prepared->was_deflated) {
        struct mw_text payload = {.bytes = NULL};
        struct mw_wsframe frame = {.opcode = prepared->opcode, .final = true, .compressed = true};
        const char *bytes = prepared->plain.bytes + prepared->header;
        prepared->was_deflated = true;
        if (mw_ws_deflate_once(bytes, prepared->plain.size - prepared->header, LEVEL, &payload)) {
            add_frame(&prepared->deflated, &frame, payload.bytes, payload.size);
        }
        mw_text_free(&payload);
    }
    return prepared->deflated.size && !prepared->deflated.failed;
}

const char *mw_ws_post_prepared(struct mw_l_websocket *ws, struct mw_ws_prepared *prepared) {
    const char *bytes = prepared->plain.bytes + prepared->header;
    size_t size = prepared->plain.size - prepared->header;
    if (ws->is_client || (ws->deflate && ws->deflate->own_window < 15)) {
        return mw_ws_post(ws, prepared->opcode, bytes, size);
    }
    const struct mw_text *frame = &prepared->plain;
    if (ws->deflate && size >= ws->deflate->threshold && is_deflated(prepared) && mw_ws_takes_deflated(ws, size)) {
        frame = &prepared->deflated;
    }
    return mw_ws_word(mw_stream_queue(ws->stream->stream, frame->bytes, frame->size));
}

/* frame(message, kind?) → what can be sent to many */
static int new_frame(lua_State *L) {
    size_t size;
    const char *bytes = luaL_checklstring(L, 1, &size);
    uint8_t opcode = mw_ws_check_kind(L, 2);
    mw_ws_check_text(L, 1, opcode);
    push_prepared(L, opcode, bytes, size);
    return 1;
}

static int frame_gc(lua_State *L) {
    struct mw_ws_prepared *prepared = mw_ws_test_prepared(L, 1);
    mw_text_free(&prepared->plain);
    mw_text_free(&prepared->deflated);
    return 0;
}

/* --- broadcast --- */

/* The WebSocket of an entry: its value, else its key. Leaves its place on the stack in `*index`. */
static struct mw_l_websocket *one_of(lua_State *L, int *index) {
    *index = lua_gettop(L);
    struct mw_l_websocket *ws = mw_ws_test(L, *index);
    if (!ws) {
        ws = mw_ws_test(L, --*index);
    }
    if (!ws) {
        luaL_argerror(L, 1, "a table of WebSockets expected, as keys or as values");
    }
    return ws;
}

/* Notes in the table at `missed`, made when it is nil, why somebody was left out. */
static void note(lua_State *L, int missed, int index, const char *word) {
    if (lua_isnil(L, missed)) {
        lua_newtable(L);
        lua_replace(L, missed);
    }
    lua_pushvalue(L, index);
    lua_pushstring(L, word);
    lua_rawset(L, missed);
}

/* broadcast(sockets, message, kind?) → how many will get it, table of the others: WebSocket → code */
static int broadcast(lua_State *L) {
    enum { PREPARED = 4, MISSED };
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 3);
    struct mw_ws_prepared *prepared = mw_ws_test_prepared(L, 2);
    if (!prepared) {
        size_t size;
        const char *bytes = luaL_checklstring(L, 2, &size);
        uint8_t opcode = mw_ws_check_kind(L, 3);
        mw_ws_check_text(L, 2, opcode);
        prepared = push_prepared(L, opcode, bytes, size);
    }
    lua_settop(L, MISSED);
    lua_Integer count = 0;
    for (lua_pushnil(L); lua_next(L, 1); lua_settop(L, MISSED + 1)) {
        int index;
        struct mw_l_websocket *ws = one_of(L, &index);
        const char *word = mw_ws_obstacle(ws, false);
        word = word ? word : mw_ws_post_prepared(ws, prepared);
        if (word) {
            note(L, MISSED, index, word);
        } else {
            count++;
        }
    }
    lua_pushinteger(L, count);
    lua_pushvalue(L, MISSED);
    return 2;
}

void mw_l_websocket_frame_open(lua_State *L) {
    static const luaL_Reg functions[] = {{"frame", new_frame}, {"broadcast", broadcast}, {NULL, NULL}};
    static const luaL_Reg methods[] = {{NULL, NULL}};
    static const luaL_Reg metamethods[] = {{"__gc", frame_gc}, {NULL, NULL}};
    mw_new_type(L, TYPE, methods, metamethods);
    luaL_setfuncs(L, functions, 0);
}
