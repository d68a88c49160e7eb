#include "script/l_stream.h"

#include "script/check.h"
#include "script/fault.h"
#include "script/l_checkpoint.h"
#include "script/l_proxy.h"
#include "script/l_stream_hello.h"
#include "script/l_stream_relay.h"
#include "script/l_stream_send_file.h"
#include "script/l_tls.h"
#include "script/sched.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char TYPE[] = "moonwire.stream";

/* How long queued output may take to leave after close, seconds. */
#define LINGER_SECONDS 30.0

struct mw_l_profile mw_l_profile_default = {
    .marks = {.input = 64 * 1024, .high = 64 * 1024, .low = 16 * 1024, .cap = 4 * 1024 * 1024},
    .read_timeout = 300,
    .write_timeout = 60,
    .references = 1,
};

static const struct mw_stream_events events = {
    .on_readable = mw_l_stream_on_readable,
    .on_writable = mw_l_stream_on_writable,
};

struct mw_l_stream *mw_l_stream_check(lua_State *L, int index) {
    struct mw_l_stream *stream = lua_touserdata(L, index);
    if (stream && stream == mw_sched_of(L)->served) {
        return stream;
    }
    if (!stream || lua_rawlen(L, index) != sizeof *stream || stream->type != TYPE) {
        luaL_typeerror(L, index, TYPE);
    }
    return stream;
}

/* A relay waits in both places. */
static void wake(struct mw_task **waiter) {
    struct mw_task *task = *waiter;
    *waiter = NULL;
    if (task && task->state == MW_TASK_WAITING) {
        mw_task_ready(task, 0);
    }
}

/* Takes the transport out: whoever waits learns that the stream is closed. */
static struct mw_stream *detach(struct mw_l_stream *stream) {
    struct mw_stream *transport = stream->stream;
    if (transport) {
        if (stream->reader && stream->reader->wait == &mw_l_tls_wait) {
            mw_tls_cancel(transport);
        }
        stream->stream = NULL;
        free(stream->host);
        stream->host = NULL;
        mw_task_disown(&stream->resource);
        wake(&stream->reader);
        wake(&stream->writer);
        mw_l_profile_release(stream->profile);
        mw_l_checkpoint_forget(stream);
    }
    return transport;
}

void mw_l_stream_close(struct mw_l_stream *stream) {
    struct mw_stream *transport = detach(stream);
    if (transport) {
        mw_stream_close(transport, LINGER_SECONDS);
    }
}

static void close_resource(struct mw_resource *resource) {
    mw_l_stream_close(mw_list_owner(resource, struct mw_l_stream, resource));
}

struct mw_l_stream *mw_l_stream_push(lua_State *L) {
    struct mw_l_stream *stream = lua_newuserdatauv(L, sizeof *stream, 0);
    *stream = (struct mw_l_stream){.type = TYPE};
    stream->resource.close = close_resource;
    mw_list_init(&stream->resource.node);
    luaL_setmetatable(L, TYPE);
    return stream;
}

void mw_l_stream_hold(struct mw_l_stream *stream, struct mw_stream *transport, const struct mw_addr *peer,
                      struct mw_l_profile *profile) {
    stream->stream = transport;
    stream->profile = profile;
    profile->references++;
    if (peer) {
        mw_endpoint_pack(&stream->peer, peer);
    }
    mw_stream_set_marks(transport, &profile->marks);
    mw_stream_set_owner(transport, &events, stream);
}

const char *mw_l_stream_name(const struct mw_l_stream *stream, char *text, size_t size) {
    struct mw_addr addr;
    char name[MW_ADDR_TEXT];
    mw_endpoint_unpack(&addr, &stream->peer);
    snprintf(text, size, "%s", stream->peer.family ? mw_addr_format(&addr, name) : "pipe");
    return text;
}

int mw_l_stream_push_fault(lua_State *L, const struct mw_l_stream *stream, const char *operation, int error) {
    char name[MW_ADDR_TEXT];
    return mw_push_errno(L, error, operation, mw_l_stream_name(stream, name, sizeof name));
}

struct mw_l_stream *mw_l_stream_of(const struct mw_stream *transport) {
    return mw_stream_owner(transport, &events);
}

void mw_l_stream_abort(struct mw_l_stream *stream) {
    struct mw_stream *transport = detach(stream);
    if (transport) {
        mw_stream_abort(transport);
    }
}

void mw_l_stream_pass(struct mw_l_stream *from, struct mw_l_stream *to) {
    struct mw_addr peer;
    mw_endpoint_unpack(&peer, &from->peer);
    mw_l_stream_hold(to, from->stream, from->peer.family ? &peer : NULL, from->profile);
    to->origin = from->origin;
    to->host = from->host;
    from->host = NULL;
    detach(from);
}

static int stream_close(lua_State *L) {
    mw_l_stream_close(mw_l_stream_check(L, 1));
    return 0;
}

static int stream_abort(lua_State *L) {
    mw_l_stream_abort(mw_l_stream_check(L, 1));
    return 0;
}

static int stream_gc(lua_State *L) {
    struct mw_l_stream *stream = mw_l_stream_check(L, 1);
    if (mw_sched_of(L)->served == stream) {
        mw_sched_of(L)->served = NULL;
    }
    if (stream->stream) {
        char name[MW_ADDR_TEXT];
        if (!stream->is_of_child) {
            mw_sched_warn_of_lost(mw_sched_of(L), "stream", mw_l_stream_name(stream, name, sizeof name));
        }
        mw_l_stream_close(stream);
    }
    return 0;
}

static int stream_tostring(lua_State *L) {
    const struct mw_l_stream *stream = mw_l_stream_check(L, 1);
    char name[MW_ADDR_TEXT];
    mw_l_stream_name(stream, name, sizeof name);
    lua_pushfstring(L, "%s: %s %s", TYPE, name, stream->stream ? "open" : "closed");
    return 1;
}

static int stream_peer_address(lua_State *L) {
    const struct mw_l_stream *stream = mw_l_stream_check(L, 1);
    char name[MW_ADDR_TEXT];
    lua_pushstring(L, mw_l_stream_name(stream, name, sizeof name));
    return 1;
}

static int stream_local_address(lua_State *L) {
    const struct mw_l_stream *stream = mw_l_stream_check(L, 1);
    struct mw_addr addr = {.length = sizeof addr.storage};
    char name[MW_ADDR_TEXT];
    if (!stream->stream) {
        return mw_push_word(L, "closed");
    }
    if (getsockname(mw_stream_fd(stream->stream), &addr.any, &addr.length) != 0) {
        lua_pushliteral(L, "pipe");
    } else {
        lua_pushstring(L, mw_addr_format(&addr, name));
    }
    return 1;
}

static int stream_counters(lua_State *L) {
    const struct mw_l_stream *stream = mw_l_stream_check(L, 1);
    struct mw_stream_counters counters;
    if (!stream->stream) {
        return mw_push_word(L, "closed");
    }
    double now = mw_loop_now(mw_sched_of(L)->loop);
    mw_stream_count(stream->stream, &counters);
    lua_createtable(L, 0, 5);
    lua_pushinteger(L, (lua_Integer)counters.received);
    lua_setfield(L, -2, "received");
    lua_pushinteger(L, (lua_Integer)counters.sent);
    lua_setfield(L, -2, "sent");
    lua_pushinteger(L, (lua_Integer)mw_stream_pending(stream->stream));
    lua_setfield(L, -2, "pending");
    lua_pushnumber(L, now - counters.opened);
    lua_setfield(L, -2, "age");
    lua_pushnumber(L, now - counters.active);
    lua_setfield(L, -2, "idle");
    return 1;
}

static int stream_configure(lua_State *L) {
    static const char *const known[] = {MW_L_PROFILE_OPTIONS, NULL};
    struct mw_l_stream *stream = mw_l_stream_check(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    mw_check_options(L, 2, known);
    if (stream->reader && stream->reader->wait == &mw_l_stream_relay_wait) {
        return mw_push_word(L, "busy"); /* it uses the marks */
    }
    if (stream->stream) {
        struct mw_l_profile *profile = mw_l_profile_options(L, 2, stream->profile);
        mw_stream_set_marks(stream->stream, &profile->marks);
        mw_l_profile_release(stream->profile);
        stream->profile = profile;
    }
    lua_settop(L, 1);
    return 1;
}

/* The stream outlives the task that made it: it is the service's now. */
static int stream_keep(lua_State *L) {
    struct mw_l_stream *stream = mw_l_stream_check(L, 1);
    if (stream->stream) {
        mw_task_disown(&stream->resource);
        mw_list_append(&mw_sched_of(L)->root.owned, &stream->resource.node);
    }
    lua_settop(L, 1);
    return 1;
}

static int stream_is_open(lua_State *L) {
    lua_pushboolean(L, mw_l_stream_check(L, 1)->stream != NULL);
    return 1;
}

static const luaL_Reg methods[] = {
    {"read", mw_l_stream_read},
    {"read_some", mw_l_stream_read_some},
    {"read_line", mw_l_stream_read_line},
    {"read_until", mw_l_stream_read_until},
    {"read_all", mw_l_stream_read_all},
    {"peek", mw_l_stream_peek},
    {"peek_some", mw_l_stream_peek_some},
    {"peek_client_hello", mw_l_stream_peek_client_hello},
    {"lines", mw_l_stream_lines},
    {"chunks", mw_l_stream_chunks},
    {"write", mw_l_stream_write},
    {"try_write", mw_l_stream_try_write},
    {"flush", mw_l_stream_flush},
    {"start_tls", mw_l_stream_start_tls},
    {"tls", mw_l_stream_tls},
    {"channel_binding", mw_l_stream_channel_binding},
    {"send_file", mw_l_stream_send_file},
    {"shutdown_write", mw_l_stream_shutdown_write},
    {"close", stream_close},
    {"abort", stream_abort},
    {"keep", stream_keep},
    {"checkpoint", mw_l_stream_checkpoint},
    {"is_open", stream_is_open},
    {"peer_address", stream_peer_address},
    {"local_address", stream_local_address},
    {"proxy", mw_l_stream_proxy},
    {"counters", stream_counters},
    {"configure", stream_configure},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__tostring", stream_tostring},
    {"__close", stream_close},
    {"__gc", stream_gc},
    {NULL, NULL},
};

void mw_l_stream_open(lua_State *L) {
    mw_new_type(L, TYPE, methods, metamethods);
}
