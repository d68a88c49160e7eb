/* Answers of servers, for clients: the head is read here, the body as any other. */
#include "script/l_http_reply.h"

#include "script/check.h"
#include "script/fault.h"
#include "script/sched.h"

#include <lauxlib.h>
#include <string.h>

static const char TYPE[] = "moonwire.http.reply";

enum { STREAM = 1, BYTES, HEADERS, VALUES = HEADERS }; /* user values */

enum { REPLY = 4 }; /* index on the stack while the head is read */

struct mw_http_reply *mw_http_reply_check(lua_State *L, int index) {
    return luaL_checkudata(L, index, TYPE);
}

static struct mw_http_reply *check(lua_State *L) {
    return mw_http_reply_check(L, 1);
}

/* --- reading the head --- */

static int look_for_head(lua_State *L, bool first);

static void abandon(struct mw_task *task, void *subject) {
    struct mw_l_stream *stream = subject;
    (void)task;
    stream->reader = NULL;
    if (stream->stream) {
        mw_stream_await_input(stream->stream, 0);
    }
}

static const struct mw_wait wait_for_head = {.name = "read answer", .abandon = abandon};

static int head_k(lua_State *L, int status, lua_KContext context) {
    (void)status;
    (void)context;
    if (mw_task_outcome(L) == MW_TIMED_OUT) {
        return mw_push_word(L, "timeout");
    }
    return look_for_head(L, false);
}

static int push_bad(lua_State *L, const struct mw_l_stream *stream, const char *why) {
    struct mw_fault fault;
    char name[MW_ADDR_TEXT];
    mw_fault_format(&fault, "invalid", "read answer %s: %s", mw_l_stream_name(stream, name, sizeof name), why);
    return mw_push_fault(L, &fault);
}

/* The answer begins: what is known of it is the reply's from now on. */
static int give_reply(lua_State *L, struct mw_http_reply *reply, struct mw_l_stream *stream, const char *bytes) {
    lua_pushlstring(L, bytes, reply->head.size);
    reply->bytes = lua_tostring(L, -1);
    lua_setiuservalue(L, REPLY, BYTES);
    mw_stream_take(stream->stream, reply->head.size);
    mw_l_http_body_start(&reply->body, stream, &reply->head);
    lua_settop(L, REPLY);
    return 1;
}

static int wait_for_more(lua_State *L, struct mw_http_reply *reply, struct mw_l_stream *stream, size_t unread, bool first) {
    double now = mw_loop_now(mw_sched_of(L)->loop);
    if (first) {
        reply->due = now + stream->profile->read_timeout;
    }
    struct mw_task *task = mw_task_begin_wait(L, reply->due > now ? reply->due - now : 0);
    stream->reader = task;
    mw_stream_await_input(stream->stream, unread + 1);
    return mw_task_wait(task, &wait_for_head, stream, 0, head_k);
}

static int look_for_head(lua_State *L, bool first) {
    struct mw_http_reply *reply = lua_touserdata(L, REPLY);
    struct mw_l_stream *stream = lua_touserdata(L, 1);
    if (!stream->stream) {
        return mw_push_word(L, "closed");
    }
    if (stream->reader) {
        return mw_push_word(L, "busy");
    }
    size_t size;
    const char *bytes = mw_stream_unread(stream->stream, &size);
    enum mw_http1_result result = size ? mw_http1_parse_response(&reply->head, bytes, size, &reply->limits,
                                                                 reply->to_head, reply->to_connect)
                                       : MW_HTTP1_MORE;
    if (result == MW_HTTP1_DONE) {
        return give_reply(L, reply, stream, bytes);
    }
    if (result == MW_HTTP1_BAD) {
        return push_bad(L, stream, reply->head.why ? reply->head.why : "not HTTP");
    }
    int error = mw_stream_input_fault(stream->stream);
    if (error) {
        return mw_l_stream_push_fault(L, stream, "read answer", error);
    }
    if (mw_stream_at_end(stream->stream)) {
        return size ? push_bad(L, stream, "it ended in its head") : mw_push_word(L, "eof");
    }
    return wait_for_more(L, reply, stream, size, first);
}

/* reply(stream, method, { head_max, fields_max }) → reply | nil, err, code: the next head on the stream, also an
 * interim one. "eof": the server has ended before the first byte. A timeout consumes nothing. */
static int reply_new(lua_State *L) {
    mw_l_stream_check(L, 1);
    const char *method = luaL_checkstring(L, 2);
    lua_settop(L, 3);
    struct mw_http_reply *reply = lua_newuserdatauv(L, sizeof *reply, VALUES);
    memset(reply, 0, sizeof *reply);
    reply->limits.size = (uint32_t)mw_option_integer(L, 3, "head_max", 256, 1 << 20, 64 * 1024);
    reply->limits.fields = (uint32_t)mw_option_integer(L, 3, "fields_max", 1, 10000, 200);
    reply->to_head = strcmp(method, "HEAD") == 0;
    reply->to_connect = strcmp(method, "CONNECT") == 0;
    luaL_setmetatable(L, TYPE);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, REPLY, STREAM);
    return look_for_head(L, true);
}

/* --- what it says --- */

static int reply_status(lua_State *L) {
    const struct mw_http_reply *reply = check(L);
    lua_pushinteger(L, reply->head.status);
    lua_pushlstring(L, reply->bytes + reply->head.reason.at, reply->head.reason.size);
    lua_pushstring(L, reply->head.minor ? "1.1" : "1.0");
    return 3;
}

/* reply:length() → bytes that the body was announced with | nil */
static int reply_length(lua_State *L) {
    const struct mw_http_reply *reply = check(L);
    if (reply->head.framing == MW_HTTP1_LENGTH) {
        lua_pushinteger(L, (lua_Integer)reply->head.length);
    } else if (reply->head.framing == MW_HTTP1_EMPTY) {
        lua_pushinteger(L, 0);
    } else {
        lua_pushnil(L);
    }
    return 1;
}

static int reply_header(lua_State *L) {
    const struct mw_http_reply *reply = check(L);
    size_t size;
    const char *name = luaL_checklstring(L, 2, &size);
    mw_l_http_push_field(L, reply->bytes, reply->head.fields, reply->head.size, name, size);
    return 1;
}

static int reply_headers(lua_State *L) {
    const struct mw_http_reply *reply = check(L);
    if (lua_getiuservalue(L, 1, HEADERS) != LUA_TTABLE) {
        mw_l_http_push_fields(L, reply->bytes, reply->head.fields, reply->head.size);
        lua_pushvalue(L, -1);
        lua_setiuservalue(L, 1, HEADERS);
    }
    return 1;
}

static int next_field(lua_State *L) {
    const struct mw_http_reply *reply = check(L);
    uint32_t at = (uint32_t)lua_tointeger(L, lua_upvalueindex(1));
    struct mw_http1_field field;
    if (!mw_http1_next_field(reply->bytes, reply->head.size, &at, &field)) {
        return 0;
    }
    lua_pushinteger(L, at);
    lua_replace(L, lua_upvalueindex(1));
    lua_pushlstring(L, field.name, field.name_size);
    lua_pushlstring(L, field.value, field.value_size);
    return 2;
}

static int reply_fields(lua_State *L) {
    const struct mw_http_reply *reply = check(L);
    lua_pushinteger(L, reply->head.fields);
    lua_pushcclosure(L, next_field, 1);
    lua_pushvalue(L, 1);
    return 2;
}

/* reply:is_whole() → whether the body was read, whether the connection may be used again then */
static int reply_is_whole(lua_State *L) {
    const struct mw_http_reply *reply = check(L);
    lua_pushboolean(L, mw_l_http_body_is_read(&reply->body));
    lua_pushboolean(L, reply->head.keeps_alive);
    return 2;
}

/* reply:skip() → whether all of the body has come, which nobody will read any more */
static int reply_skip(lua_State *L) {
    struct mw_http_reply *reply = check(L);
    const struct mw_l_stream *stream = reply->body.stream;
    lua_pushboolean(L, stream && stream->stream && !stream->reader && mw_l_http_body_skip(&reply->body));
    return 1;
}

/* reply:leave(): the stream is another's from now on */
static int reply_leave(lua_State *L) {
    mw_l_http_body_close(&check(L)->body);
    return 0;
}

static const luaL_Reg methods[] = {
    {"status", reply_status},
    {"length", reply_length},
    {"header", reply_header},
    {"headers", reply_headers},
    {"fields", reply_fields},
    {"is_whole", reply_is_whole},
    {"skip", reply_skip},
    {"leave", reply_leave},
    {"read_some", mw_l_http_body_read_some},
    {"read_all", mw_l_http_body_read_all},
    {"trailers", mw_l_http_body_trailers},
    {"limit_body", mw_l_http_body_limit},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {{"__gc", reply_leave}, {NULL, NULL}};

void mw_l_http_reply_open(lua_State *L) {
    mw_new_type(L, TYPE, methods, metamethods);
    luaL_getmetatable(L, TYPE);
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "__http_body");
    lua_pop(L, 1);
    lua_pushcfunction(L, reply_new);
    lua_setfield(L, -2, "reply");
}
