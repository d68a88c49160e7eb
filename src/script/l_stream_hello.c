#include "script/l_stream_hello.h"

#include "proto/clienthello.h"
#include "script/check.h"
#include "script/fault.h"
#include "script/l_stream.h"
#include "script/sched.h"

enum { MOST = 16384 }; /* bytes, unless `max` says otherwise */

/* Lies on the stack behind the stream: what was looked at is not looked at again. */
struct looking {
    struct mw_clienthello hello;
    size_t most;
    double due;
};

static void abandon(struct mw_task *task, void *subject) {
    struct mw_l_stream *stream = subject;
    (void)task;
    stream->reader = NULL;
    if (stream->stream) {
        mw_stream_await_input(stream->stream, 0);
    }
}

static const struct mw_wait hello_wait = {.name = "read", .abandon = abandon};

static void set_protocols(lua_State *L, const struct mw_clienthello *hello) {
    lua_Integer count = 0;
    lua_newtable(L);
    for (size_t at = 0; at < hello->protocols_size; at += 1 + (uint8_t)hello->protocols[at]) {
        lua_pushlstring(L, hello->protocols + at + 1, (uint8_t)hello->protocols[at]);
        lua_rawseti(L, -2, ++count);
    }
    lua_setfield(L, -2, "protocols");
}

static int push_hello(lua_State *L, const struct mw_clienthello *hello) {
    static const char *const versions[] = {"SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"};
    unsigned minor = hello->version & 0xff;
    lua_createtable(L, 0, 4);
    if (hello->name_size) {
        lua_pushlstring(L, hello->name, hello->name_size);
        lua_setfield(L, -2, "server_name");
    }
    set_protocols(L, hello);
    lua_pushstring(L, hello->version >> 8 == 3 && minor < 5 ? versions[minor] : "unknown");
    lua_setfield(L, -2, "version");
    lua_pushboolean(L, hello->is_encrypted);
    lua_setfield(L, -2, "encrypted");
    return 1;
}

static int push_refusal(lua_State *L, const struct mw_l_stream *stream, const struct mw_clienthello *hello) {
    char name[MW_ADDR_TEXT];
    lua_pushnil(L);
    lua_pushfstring(L, "ClientHello of %s: %s", mw_l_stream_name(stream, name, sizeof name), hello->why);
    lua_pushliteral(L, "protocol");
    return 3;
}

static int look(lua_State *L);

static int look_again(lua_State *L, int status, lua_KContext context) {
    (void)status;
    (void)context;
    if (mw_task_outcome(L) == MW_TIMED_OUT) {
        return mw_push_word(L, "timeout");
    }
    return look(L);
}

static int wait_for_more(lua_State *L, struct mw_l_stream *stream, const struct looking *looking) {
    double now = mw_loop_now(mw_sched_of(L)->loop);
    struct mw_task *task = mw_task_begin_wait(L, looking->due > now ? looking->due - now : 0);
    stream->reader = task;
    mw_stream_await_input(stream->stream, looking->hello.wanted);
    return mw_task_wait(task, &hello_wait, stream, 0, look_again);
}

/* On the stack are the stream and how far it was looked at. */
static int look(lua_State *L) {
    struct mw_l_stream *stream = lua_touserdata(L, 1);
    struct looking *looking = lua_touserdata(L, 2);
    size_t size;
    if (!stream->stream) {
        return mw_push_word(L, "closed");
    }
    if (stream->reader) {
        return mw_push_word(L, "busy");
    }
    const char *bytes = mw_stream_unread(stream->stream, &size);
    switch (mw_clienthello_look(&looking->hello, size ? bytes : "", size, looking->most)) {
    case MW_CLIENTHELLO_DONE:
        return push_hello(L, &looking->hello);
    case MW_CLIENTHELLO_BAD:
        return push_refusal(L, stream, &looking->hello);
    case MW_CLIENTHELLO_LARGE:
        return mw_push_word(L, "too_large");
    case MW_CLIENTHELLO_MORE:
        break;
    }
    int error = mw_stream_input_fault(stream->stream);
    if (error) {
        return mw_l_stream_push_fault(L, stream, "read", error);
    }
    return mw_stream_at_end(stream->stream) ? mw_push_word(L, "eof") : wait_for_more(L, stream, looking);
}

int mw_l_stream_peek_client_hello(lua_State *L) {
    static const char *const known[] = {"max", "timeout", NULL};
    const struct mw_l_stream *stream = mw_l_stream_check(L, 1);
    mw_check_options(L, 2, known);
    size_t most = (size_t)mw_option_integer(L, 2, "max", 1, MW_CLIENTHELLO_MOST, MOST);
    double seconds = mw_option_seconds(L, 2, "timeout", stream->stream ? stream->profile->read_timeout : 0);
    lua_settop(L, 1);
    struct looking *looking = lua_newuserdatauv(L, sizeof *looking, 0);
    *looking = (struct looking){.most = most, .due = mw_loop_now(mw_sched_of(L)->loop) + seconds};
    return look(L);
}
